"""Run a pull: send its requests, store the responses, assemble the tables, and write the manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.engagement_api.catalogue import Auth, MetricChange, changes_between
from airflow_provider_engagement.engagement_api.planner import Request, auth_names, estimate
from airflow_provider_engagement.engagement_api.rejected_tweets import SpareRequests
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import InvalidQueryError, MissingExtraError
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number
from airflow_provider_engagement.inputs.run_times import past_run_error
from airflow_provider_engagement.operators.asset_events import record_events
from airflow_provider_engagement.operators.attempt import AttemptTotals, add_to_attempt
from airflow_provider_engagement.operators.bounds import check_bounds
from airflow_provider_engagement.operators.lineage import pull_lineage
from airflow_provider_engagement.operators.observability import count_manifest, count_requests, span
from airflow_provider_engagement.operators.progress_report import reported_progress
from airflow_provider_engagement.pull.assembly import AssembledTables
from airflow_provider_engagement.pull.completeness import doubt_about_ids, owners_to_dict
from airflow_provider_engagement.pull.fetch import FetchResult, fetch_missing
from airflow_provider_engagement.pull.manifest import Manifest, manifest_path
from airflow_provider_engagement.pull.owner_ledger import read_owners, write_owners
from airflow_provider_engagement.pull.response_store import ResponseStore
from airflow_provider_engagement.pull.saved_rate_limit import load_rate_limit, save_rate_limit
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.storage.paths import StoragePath
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import OWNER_LEDGER

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.operators.base import EngagementPullOperator
    from airflow_provider_engagement.operators.pull import Pull

MAX_ROWS_IN_XCOM = 1_000
"""How many rows a pull without ``dataset_path`` returns at most."""


def run_pull(operator: EngagementPullOperator, pull: Pull, context: Context) -> dict[str, Any]:
    """Run a pull, and return its manifest.

    :param operator: the operator, with rendered parameters.
    :param pull: the pull that these parameters describe.
    :param context: the task's context.
    :raises WaitRequired: if the next request has to wait longer than the operator waits in place.
    :raises EngagementError: if the pull fails or is not complete.
    """
    dataset_format = _dataset_format(operator)
    if not operator.dataset_path and pull.estimated_rows > MAX_ROWS_IN_XCOM:
        raise InvalidQueryError(
            "dataset_path",
            f"the pull makes about {pull.estimated_rows} rows, but XCom holds at most {MAX_ROWS_IN_XCOM}",
            "Set dataset_path to the folder of a dataset, or request fewer rows.",
        )
    if operator.write_owner_ledger and not operator.dataset_path:
        raise InvalidQueryError(
            "write_owner_ledger", "there is no dataset to keep the ledger in", "Set dataset_path, or leave it out."
        )
    requests = pull.requests_of(pull.queries)
    with _open_dataset(operator.dataset_path) as path:
        writer = pull.run.digest
        store = ResponseStore(
            path,
            identity_of=operator.hook.identity_of,
            as_of=pull.as_of,
            is_reusable=pull.is_reusable,
            writer=writer,
        )
        if pull.last_start and pull.attempt_start > pull.last_start and _count_missing(requests, store):
            raise past_run_error(pull.run.time, endpoint=operator.endpoint, now=pull.attempt_start)
        if operator.estimate_only:
            return _estimate(operator, pull, requests, store)
        temporary_files = TemporaryFiles(path, writer=writer)
        temporary_files.delete_leftovers()
        temporary_files.check_writable()
        folder = DatasetFolder(path, dataset_format, writer=writer, address_of=table_address)
        _check_bounds(operator, pull, requests, store, folder)
        started = time.monotonic()
        fetched, statuses, attempt, rate_limit = _fetch(operator, pull, requests, store, path, context)
        with span("assemble", endpoint=operator.endpoint, tweets=len(pull.query.tweet_ids)):
            assembled = pull.assemble(fetched, statuses, store, folder)
            if operator.write_owner_ledger:
                rows = write_owners(folder, statuses, pull.owners, pull.run, operator.endpoint)
                assembled.rows[OWNER_LEDGER.name] = rows
        seconds = time.monotonic() - started
        manifest = _manifest(pull, fetched, assembled, attempt, rate_limit, versions=folder.versions, seconds=seconds)
        _log_summary(operator, manifest)
        if doubt := doubt_about_ids(manifest["outcomes"], pull.query.tweet_ids):
            operator.log.warning("%s", doubt)
        count_manifest(manifest)
        operator.lineage = pull_lineage(
            operator.hook.base_url,
            operator.endpoint,
            dataset_path=operator.dataset_path,
            granularity=getattr(operator, "granularity", None),
            rows=assembled.rows,
        )
        if not operator.dataset_path:
            if assembled.error is not None:
                raise assembled.error
            groupings = {"groupings": assembled.groupings} if assembled.groupings else {}
            return manifest | folder.read_rows() | groupings
        manifest["outputs"] = dict(folder.locations)
        folder.write_json("manifest", manifest_path(pull.run), manifest)
        operator.manifest_path = folder.locations["manifest"]
        if assembled.error is not None:
            raise assembled.error
        manifest |= {"outputs": dict(folder.locations)}
        record_events(operator, pull, manifest, context)
        return manifest


def _dataset_format(operator: EngagementPullOperator) -> DatasetFormat:
    dataset_format = parse_choice(operator.dataset_format, DatasetFormat, field="dataset_format")
    if dataset_format is DatasetFormat.DELTA and find_spec("deltalake") is None:
        raise MissingExtraError(
            "dataset_format 'delta'", "airflow-provider-engagement[delta]", "deltalake writes the tables"
        )
    # Without a dataset path, the tables are read again and deleted.
    return dataset_format if operator.dataset_path else DatasetFormat.PARQUET


@contextmanager
def _open_dataset(dataset_path: str | None) -> Iterator[StoragePath]:
    """Yield the folder of the dataset: the dataset path, or a temporary folder if there is none."""
    if dataset_path:
        yield storage_path(dataset_path, field="dataset_path")
    else:
        folder = WorkerFolder()
        try:
            yield folder.path
        finally:
            folder.delete()


def _estimate(
    operator: EngagementPullOperator, pull: Pull, requests: Sequence[Request], store: ResponseStore
) -> dict[str, Any]:
    estimated = estimate(
        pull.queries,
        requests,
        to_send=_count_missing(requests, store),
        requests_per_minute=operator.hook.requests_per_minute,
    )
    operator.log.info(
        "The pull would send %s of %s. Nothing is sent.",
        f"{estimated.requests:,}",
        counted(estimated.planned_requests, "planned request"),
    )
    return estimated.to_dict()


def _count_missing(requests: Sequence[Request], store: ResponseStore) -> int:
    return sum(not store.contains(request) for request in requests)


def _check_bounds(
    operator: EngagementPullOperator,
    pull: Pull,
    requests: Sequence[Request],
    store: ResponseStore,
    folder: DatasetFolder,
) -> None:
    if operator.max_tweets is operator.max_requests is operator.max_owners is None:
        return
    listed = {owner for owner in pull.owners.values() if owner is not None}
    check_bounds(
        operator,
        tweets=len(pull.query.tweet_ids),
        requests=_count_missing(requests, store),
        owners={query.owner for query in pull.queries if query.owner is not None} or listed,
        ledger=read_owners(folder, datetime.now(UTC)) if operator.write_owner_ledger else (),
    )


def _fetch(
    operator: EngagementPullOperator,
    pull: Pull,
    requests: Sequence[Request],
    store: ResponseStore,
    path: StoragePath,
    context: Context,
) -> tuple[FetchResult, TweetStatuses, AttemptTotals, RateLimitSnapshot]:
    """Send the requests without a stored response. Return what happened, and the state of the rate limit."""
    concurrent_requests = parse_whole_number(operator.concurrent_requests, field="concurrent_requests", minimum=1)
    max_inline_wait = parse_number(operator.max_inline_wait, field="max_inline_wait", minimum=0)
    max_wait = parse_number(operator.max_wait, field="max_wait", minimum=0)
    quota_key = operator.hook.quota_key
    to_send = _count_missing(requests, store)
    operator.log.info(
        "Pulling %s of %s with %s credentials: %s planned.",
        operator.endpoint,
        counted(len(pull.query.tweet_ids), "Tweet"),
        auth_names(pull.queries),
        counted(len(requests), "request"),
    )
    with operator.hook.get_conn(
        # A temporary folder does not outlive the worker, so its responses would be requested again.
        max_inline_wait=max_inline_wait if operator.dataset_path else None,
        max_wait=max_wait,
        # The error response names the authors of Tweets, which another token may read.
        drop_forbidden=Outcome.FORBIDDEN in pull.run.accepted or not operator.hook.accounts.is_empty,
        spare_requests=None if operator.max_requests is None else int(operator.max_requests) - to_send,
        max_connections=concurrent_requests,
        known_rate_limit=load_rate_limit(path, quota_key),
    ) as client:
        operator.client = client
        try:
            with (
                span("fetch", endpoint=operator.endpoint, requests=len(requests)),
                reported_progress(operator, client, context) as report,
            ):
                fetch = partial(
                    fetch_missing,
                    store=store,
                    fetch=client.fetch,
                    concurrent_requests=concurrent_requests,
                    since=pull.attempt_start,
                    report=report,
                )
                fetched, statuses = _fetch_by_author(operator, pull, requests, store, fetch, client.spare_requests)
        finally:
            count_requests(operator.endpoint, client)
            attempt = add_to_attempt(context, client)
            if client.requests_sent:
                save_rate_limit(path, quota_key, client.limiter.snapshot(), writer=pull.run.digest)
        return fetched, statuses, attempt, client.limiter.snapshot()


def _fetch_by_author(
    operator: EngagementPullOperator,
    pull: Pull,
    requests: Sequence[Request],
    store: ResponseStore,
    fetch: Callable[[Sequence[Request]], FetchResult],
    spare_requests: SpareRequests,
) -> tuple[FetchResult, TweetStatuses]:
    """Send the requests. Request the Tweets of another user again with the token of that user, if there is one."""
    fetched = fetch(requests)
    statuses = TweetStatuses.of(fetched, store)
    moved: set[str] = set()
    while readable := statuses.by_author(operator.hook.accounts.has_token, except_for=moved):
        others = counted(sum(map(len, readable.values())), "Tweet")
        moved.update(*readable.values())
        queries = [
            replace(pull.query, auth=Auth.USER, owner=author, tweet_ids=tuple(tweet_ids))
            for author, tweet_ids in readable.items()
        ]
        more = pull.requests_of(queries)
        if not spare_requests.take(_count_missing(more, store)):
            operator.log.warning(
                "Another owner than listed: %s. max_requests does not allow to request them again.",
                others,
            )
            break
        operator.log.warning(
            "Another owner than listed: %s. Requesting them with the tokens of %s.",
            others,
            counted(len(readable), "author"),
        )
        later = fetch(more)
        fetched = fetched.followed_by(later)
        statuses.add(later, store)
    return fetched, statuses


def _manifest(
    pull: Pull,
    fetched: FetchResult,
    assembled: AssembledTables,
    attempt: AttemptTotals,
    rate_limit: RateLimitSnapshot,
    *,
    versions: Mapping[str, int],
    seconds: float,
) -> dict[str, Any]:
    hours = pull.interval.time_range if pull.interval else None
    return Manifest(
        endpoint=str(pull.query.endpoint),
        auth=auth_names(request.query for request in fetched.requests) or str(pull.query.auth),
        owners=owners_to_dict(
            {request.query.account for request in fetched.requests},
            {owner for owner in pull.owners.values() if owner is not None} if pull.query.auth is Auth.APP else (),
            fetched.rejected,
        ),
        run_id=pull.run.run_id,
        task=pull.run.task,
        metrics=pull.query.metrics,
        requested=len(pull.query.tweet_ids),
        outcomes=assembled.outcomes,
        requests={
            "planned": len(fetched.requests),
            "sent": attempt.sent,
            "succeeded": fetched.succeeded,
            "reused": fetched.reused,
            "failed": len(fetched.failures),
            "rate_limited": attempt.rate_limited,
        },
        rows=assembled.rows,
        outputs={},
        versions=versions,
        seconds={
            "attempt": round(max(0.0, (datetime.now(UTC) - pull.attempt_start).total_seconds()), 3),
            "elapsed": round(seconds, 3),
            "waited": round(attempt.waited_seconds, 3),
        },
        rate_limit=rate_limit.to_dict(),
        interval=(to_api(hours.start), to_api(hours.end)) if hours else None,
        snapshot_at=pull.snapshot_at.isoformat() if pull.snapshot_at else None,
        adjustments=tuple(change.to_dict() for change in pull.interval.adjustments) if pull.interval else (),
        metric_changes=tuple(change.to_dict() for change in _metric_changes(pull)),
    ).to_dict()


def _metric_changes(pull: Pull) -> tuple[MetricChange, ...]:
    """Return the documented changes of the metrics on the days of the interval, if there is one."""
    if pull.interval is None:
        return ()
    hours = pull.interval.time_range
    return changes_between(hours.start, hours.end, metrics=pull.query.metrics, endpoints=[pull.query.endpoint])


def _log_summary(operator: EngagementPullOperator, manifest: dict[str, Any]) -> None:
    gaps = "".join(f", {gap['tweets']} {outcome}" for outcome, gap in manifest["missing"].items())
    operator.log.info(
        "Done: %s of %s complete%s; %s sent, %d reused; %.1f s with waits.",
        f"{manifest['complete']:,}",
        counted(manifest["requested"], "Tweet"),
        gaps,
        counted(manifest["requests"]["sent"], "request"),
        manifest["requests"]["reused"],
        manifest["seconds"]["attempt"],
    )
    for change in manifest["metric_changes"]:
        operator.log.warning(
            "The interval includes %s, when %s changed. %s %s",
            change["on"],
            change["metric"] or "every metric",
            change["what"],
            change["effect"],
        )
