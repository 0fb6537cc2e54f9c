"""Run a pull: send its requests, store the responses, assemble the tables, and write the manifest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_engagement.api.planner import estimate
from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.api.time_range import to_api
from airflow_provider_engagement.dataset.assembly import AssembledTables
from airflow_provider_engagement.dataset.fetch import FetchResult, fetch_missing
from airflow_provider_engagement.dataset.folder import DatasetFolder
from airflow_provider_engagement.dataset.formats import OutputFormat
from airflow_provider_engagement.dataset.manifest import FOLDER as MANIFESTS
from airflow_provider_engagement.dataset.manifest import Manifest
from airflow_provider_engagement.dataset.response_store import ResponseStore
from airflow_provider_engagement.dataset.saved_rate_limit import load_rate_limit, save_rate_limit
from airflow_provider_engagement.dataset.storage import StoragePath, safe_name
from airflow_provider_engagement.dataset.temporary_files import TemporaryFiles
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.storage_options import table_address
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number
from airflow_provider_engagement.operators.attempt import AttemptTotals, add_to_attempt
from airflow_provider_engagement.operators.observability import count_manifest, count_requests, span

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.operators.base import EngagementPullOperator
    from airflow_provider_engagement.operators.pull import Pull

MAX_ROWS_IN_XCOM = 1_000
"""How many rows a pull without ``output_path`` returns at most."""


def run_pull(operator: EngagementPullOperator, pull: Pull, context: Context) -> dict[str, Any]:
    """Run a pull, and return its manifest.

    :param operator: the operator, with rendered parameters.
    :param pull: the pull that these parameters describe.
    :param context: the task's context.
    :raises WaitRequired: if the next request has to wait longer than the operator waits in place.
    :raises EngagementError: if the pull fails or is not complete.
    """
    output_format = _output_format(operator)
    if not operator.output_path and pull.estimated_rows > MAX_ROWS_IN_XCOM:
        raise InvalidQueryError(
            "output_path",
            f"the pull makes about {pull.estimated_rows} rows, but XCom holds at most {MAX_ROWS_IN_XCOM}",
            "Set output_path to the folder of a dataset, or request fewer rows.",
        )
    with _open_dataset(operator.output_path) as path:
        writer = pull.run.writer
        store = ResponseStore(
            path, identity=operator.hook.identity, as_of=pull.as_of, is_reusable=pull.is_reusable, writer=writer
        )
        if operator.estimate_only:
            return _estimate(operator, pull, store)
        TemporaryFiles(path, writer=writer).delete_leftovers()
        started = time.monotonic()
        fetched, attempt, rate_limit = _fetch(operator, pull, store, path, context)
        folder = DatasetFolder(path, output_format, writer=writer, address_of=table_address)
        with span("assemble", endpoint=operator.endpoint, tweets=len(pull.query.tweet_ids)):
            assembled = pull.assemble(fetched, store, folder)
        seconds = time.monotonic() - started
        manifest = _manifest(pull, fetched, assembled, attempt, rate_limit, versions=folder.versions, seconds=seconds)
        _log_summary(operator, manifest)
        count_manifest(manifest)
        if not operator.output_path:
            groupings = {"groupings": assembled.groupings} if assembled.groupings else {}
            return manifest | folder.read_rows() | groupings
        manifest["outputs"] = dict(folder.locations)
        name = f"{pull.run.task}.{safe_name(pull.run.run_id)}.json"
        folder.write_json("manifest", f"{MANIFESTS}/{name}", manifest)
        return manifest | {"outputs": dict(folder.locations)}


def _output_format(operator: EngagementPullOperator) -> OutputFormat:
    output_format = parse_choice(operator.output_format, OutputFormat, field="output_format")
    if output_format is OutputFormat.DELTA and find_spec("deltalake") is None:
        raise InvalidQueryError(
            "output_format",
            "'delta' requires the package deltalake, which is not installed on this worker",
            "Install airflow-provider-engagement[delta].",
        )
    # Without an output path, the tables are read again and deleted.
    return output_format if operator.output_path else OutputFormat.PARQUET


@contextmanager
def _open_dataset(output_path: str | None) -> Iterator[StoragePath]:
    """Yield the folder of the dataset: the output path, or a temporary folder if there is none."""
    if output_path:
        yield ObjectStoragePath(output_path)
    else:
        with TemporaryDirectory(prefix="engagement-") as folder:
            yield Path(folder)


def _estimate(operator: EngagementPullOperator, pull: Pull, store: ResponseStore) -> dict[str, Any]:
    estimated = estimate(
        pull.query,
        pull.requests,
        to_send=sum(not store.contains(request) for request in pull.requests),
        requests_per_minute=operator.hook.requests_per_minute,
    )
    operator.log.info(
        "The pull would send %d of %d planned requests. Nothing is sent.",
        estimated.requests,
        estimated.planned_requests,
    )
    return estimated.to_dict()


def _fetch(
    operator: EngagementPullOperator, pull: Pull, store: ResponseStore, path: StoragePath, context: Context
) -> tuple[FetchResult, AttemptTotals, RateLimitSnapshot]:
    """Send the requests without a stored response. Return what happened, and the state of the rate limit."""
    concurrent_requests = parse_whole_number(operator.concurrent_requests, field="concurrent_requests", minimum=1)
    max_inline_wait = parse_number(operator.max_inline_wait, field="max_inline_wait", minimum=0)
    max_wait = parse_number(operator.max_wait, field="max_wait", minimum=0)
    quota_key = operator.hook.quota_key
    operator.log.info(
        "Pulling %s of %d Tweets with %s credentials: %d requests planned.",
        operator.endpoint,
        len(pull.query.tweet_ids),
        pull.query.auth,
        len(pull.requests),
    )
    with operator.hook.get_conn(
        # A temporary folder does not outlive the worker, so its responses would be requested again.
        max_inline_wait=max_inline_wait if operator.output_path else None,
        max_wait=max_wait,
        drop_forbidden=Outcome.FORBIDDEN in pull.run.accepted,
        max_connections=concurrent_requests,
        known_rate_limit=load_rate_limit(path, quota_key),
    ) as client:
        operator.client = client
        try:
            with span("fetch", endpoint=operator.endpoint, requests=len(pull.requests)):
                fetched = fetch_missing(
                    pull.requests,
                    store=store,
                    fetch=client.fetch,
                    concurrent_requests=concurrent_requests,
                    since=pull.attempt_start,
                )
        finally:
            count_requests(operator.endpoint, client)
            attempt = add_to_attempt(context, client)
            if client.requests_sent:
                save_rate_limit(path, quota_key, client.limiter.snapshot(), writer=pull.run.writer)
        return fetched, attempt, client.limiter.snapshot()


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
        auth=str(pull.query.auth),
        owner=pull.run.owner,
        run_id=pull.run.run_id,
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
        seconds={"elapsed": round(seconds, 3), "waited": round(attempt.waited_seconds, 3)},
        rate_limit=rate_limit.to_dict(),
        interval=(to_api(hours.start), to_api(hours.end)) if hours else None,
        snapshot_at=pull.snapshot_at.isoformat() if pull.snapshot_at else None,
        adjustments=tuple(change.to_dict() for change in pull.interval.adjustments) if pull.interval else (),
    ).to_dict()


def _log_summary(operator: EngagementPullOperator, manifest: dict[str, Any]) -> None:
    gaps = "".join(f", {gap['tweets']} {outcome}" for outcome, gap in manifest["missing"].items())
    operator.log.info(
        "Done: %d of %d Tweets complete%s; %d requests sent, %d reused; waited %.1f s.",
        manifest["complete"],
        manifest["requested"],
        gaps,
        manifest["requests"]["sent"],
        manifest["requests"]["reused"],
        manifest["seconds"]["waited"],
    )
