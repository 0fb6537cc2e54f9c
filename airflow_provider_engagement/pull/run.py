"""Run a pull: send its requests, store the responses, assemble the tables, and write the manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import Auth, MetricChange, changes_between
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import Estimate, Request, auth_names, estimate
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import EngagementError, InvalidQueryError, MissingExtraError
from airflow_provider_engagement.inputs.run_times import past_run_error
from airflow_provider_engagement.pull.api import Api
from airflow_provider_engagement.pull.assembly import AssemblyResult
from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.bounds import check_bounds
from airflow_provider_engagement.pull.completeness import doubt_about_ids, owners_to_dict
from airflow_provider_engagement.pull.fetch import FetchResult, fetch_missing
from airflow_provider_engagement.pull.manifest import Manifest, manifest_path
from airflow_provider_engagement.pull.owner_ledger import read_owners, write_owners
from airflow_provider_engagement.pull.progress import ReportProgress
from airflow_provider_engagement.pull.pull import Pull
from airflow_provider_engagement.pull.response_store import ResponseStore
from airflow_provider_engagement.pull.saved_rate_limit import load_rate_limit, save_rate_limit
from airflow_provider_engagement.pull.tracing import span
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.storage.paths import Locate, StoragePath
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import OWNER_LEDGER
from airflow_provider_engagement.tweet_id import TweetIds

log = logging.getLogger(__name__)

MAX_ROWS_IN_XCOM = 1_000
"""How many rows a pull without ``dataset_path`` returns at most."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What the requests of a pull brought.

    :param result: what happened to the requests.
    :param statuses: the status of each Tweet.
    :param rate_limit: the last known state of the rate limit, as JSON-compatible values.
    :param started: the time of a monotonic clock before the first request.
    """

    result: FetchResult
    statuses: TweetStatuses
    rate_limit: Mapping[str, Any]
    started: float


@dataclass(frozen=True, kw_only=True)
class PullResult:
    """What a pull has done.

    :param manifest: the manifest, with the paths of everything that was written. Without a dataset, also the rows.
    :param manifest_path: the path or URL of the file of the manifest; ``None`` without a dataset.
    :param rows: how many rows were written, by table.
    :param error: why the pull is not complete, if only the rows of some owners were written.
    """

    manifest: dict[str, Any]
    manifest_path: str | None
    rows: Mapping[str, int]
    error: EngagementError | None


class PullRun:
    """One execution of a pull.

    :param pull: the pull.
    :param api: the connection that sends its requests.
    :param path: the folder of the dataset, or a temporary one.
    :param address_of: returns the address and the storage options of a Delta table.
    """

    def __init__(self, pull: Pull, api: Api, path: StoragePath, *, address_of: Locate) -> None:
        self._pull = pull
        self._settings = pull.settings
        self._api = api
        self._path = path
        self._requests = pull.requests()
        self._folder = DatasetFolder(path, self._settings.dataset_format, writer=pull.run.digest, address_of=address_of)
        self._store = ResponseStore(
            path,
            identities=api.identities({query.owner for query in pull.queries}),
            as_of=pull.as_of,
            is_reusable=pull.is_reusable,
            writer=pull.run.digest,
        )

    def check_time(self) -> None:
        """Reject a run that is too old to read the counts that are missing.

        :raises InvalidQueryError: because the API has only current counts.
        """
        pull = self._pull
        if pull.last_start and pull.attempt_start > pull.last_start and self._count_missing(self._requests):
            raise past_run_error(pull.run.time, endpoint=self._settings.endpoint, now=pull.attempt_start)

    def estimate(self) -> Estimate:
        """Return what the pull would cost."""
        estimated = estimate(
            self._pull.queries,
            self._requests,
            to_send=self._count_missing(self._requests),
            requests_per_minute=self._api.requests_per_minute,
        )
        log.info(
            "The pull would send %s of %s. Nothing is sent.",
            f"{estimated.requests:,}",
            counted(estimated.planned_requests, "planned request"),
        )
        return estimated

    def check(self) -> None:
        """Check that the dataset is writable, and that the pull is not larger than its limits.

        :raises BoundExceededError: if it is.
        """
        temporary_files = TemporaryFiles(self._path, writer=self._pull.run.digest)
        temporary_files.delete_leftovers()
        temporary_files.check_writable()
        limits = self._settings.limits
        if limits.tweets is limits.requests is limits.owners is None:
            return
        listed = {owner for owner in self._pull.owners.values() if owner is not None}
        check_bounds(
            limits,
            tweets=len(self._pull.query.tweet_ids),
            requests=self._count_missing(self._requests),
            owners={query.owner for query in self._pull.queries if query.owner is not None} or listed,
            ledger=read_owners(self._folder, datetime.now(UTC)) if self._settings.write_owner_ledger else (),
        )

    @contextmanager
    def open_client(self) -> Iterator[EngagementClient]:
        """Yield a client for the requests. What it has learned of the rate limit is saved for the next task."""
        settings, quota_key = self._settings, self._api.quota_key
        to_send = self._count_missing(self._requests)
        with self._api.open_client(
            # A temporary folder does not outlive the worker, so its responses would be requested again.
            max_inline_wait=settings.max_inline_wait if settings.dataset_path else None,
            max_wait=settings.max_wait,
            # The error response names the authors of Tweets, which another token may read.
            drop_forbidden=Outcome.FORBIDDEN in settings.accepted or not self._api.accounts.is_empty,
            spare_requests=None if settings.limits.requests is None else settings.limits.requests - to_send,
            max_connections=settings.concurrent_requests,
            known_rate_limit=load_rate_limit(self._path, quota_key),
        ) as client:
            try:
                yield client
            finally:
                if client.requests_sent:
                    save_rate_limit(self._path, quota_key, client.limiter.snapshot(), writer=self._pull.run.digest)

    def fetch(self, client: EngagementClient, report: ReportProgress) -> Fetched:
        """Send the requests without a stored response.

        The Tweets of another user are requested again with the token of that user, if there is one.

        :param client: the client.
        :param report: is called with the progress.
        :raises WaitRequired: if the next request has to wait longer than the pull waits in place.
        """
        pull, started = self._pull, time.monotonic()
        fetch = partial(
            fetch_missing,
            store=self._store,
            fetch=client.fetch,
            concurrent_requests=self._settings.concurrent_requests,
            since=pull.attempt_start,
            report=report,
        )
        log.info(
            "Pulling %s of %s with %s credentials: %s planned.",
            self._settings.endpoint,
            counted(len(pull.query.tweet_ids), "Tweet"),
            auth_names(pull.queries),
            counted(len(self._requests), "request"),
        )
        with span("fetch", endpoint=str(self._settings.endpoint), requests=len(self._requests)):
            fetched = fetch(self._requests)
            statuses = TweetStatuses.from_responses(fetched, self._store)
            moved: set[str] = set()
            while readable := statuses.by_author(self._api.accounts.has_token, except_for=moved):
                others = counted(sum(map(len, readable.values())), "Tweet")
                moved.update(*readable.values())
                self._store.add_identities(self._api.identities(readable))
                more = pull.requests(
                    [
                        replace(pull.query, auth=Auth.USER, owner=author, tweet_ids=TweetIds(tweet_ids))
                        for author, tweet_ids in readable.items()
                    ]
                )
                if not client.spare_requests.take(self._count_missing(more)):
                    log.warning(
                        "Another owner than listed: %s. limits.requests does not allow to request them again.", others
                    )
                    break
                log.warning(
                    "Another owner than listed: %s. Requesting them with the tokens of %s.",
                    others,
                    counted(len(readable), "author"),
                )
                later = fetch(more)
                fetched = fetched.combined_with(later)
                statuses.add(later, self._store)
        rate_limit = client.limiter.snapshot().to_dict()
        return Fetched(result=fetched, statuses=statuses, rate_limit=rate_limit, started=started)

    def assemble(self, fetched: Fetched, attempt: AttemptTotals) -> PullResult:
        """Write the tables and the manifest.

        :param fetched: what the requests brought.
        :param attempt: what the attempt has sent, for the manifest.
        :raises EngagementError: if no owner's Tweets are complete.
        """
        pull, folder, endpoint = self._pull, self._folder, str(self._settings.endpoint)
        with span("assemble", endpoint=endpoint, tweets=len(pull.query.tweet_ids)):
            assembled = pull.assemble(fetched.result, fetched.statuses, self._store, folder)
            if self._settings.write_owner_ledger:
                assembled.rows[OWNER_LEDGER.name] = write_owners(
                    folder, fetched.statuses, pull.owners, pull.run, endpoint
                )
        manifest = _manifest(pull, fetched, assembled, attempt, versions=folder.versions)
        _log_summary(manifest)
        if doubt := doubt_about_ids(manifest["outcomes"], pull.query.tweet_ids):
            log.warning("%s", doubt)
        path = None
        if self._settings.dataset_path:
            manifest["outputs"] = dict(folder.locations)
            folder.write_json("manifest", manifest_path(pull.run), manifest)
            manifest["outputs"] = dict(folder.locations)
            path = folder.locations["manifest"]
        elif assembled.error is None:
            manifest |= folder.read_rows()
            manifest |= {"groupings": assembled.groupings} if assembled.groupings else {}
        return PullResult(manifest=manifest, manifest_path=path, rows=assembled.rows, error=assembled.error)

    def _count_missing(self, requests: Sequence[Request]) -> int:
        return sum(not self._store.contains(request) for request in requests)


def check_pull(pull: Pull) -> None:
    """Check that the worker and the result of the task can hold what a pull writes.

    :param pull: the pull.
    :raises InvalidQueryError: if it makes too many rows to return them.
    :raises MissingExtraError: if the package of the format is not installed.
    """
    settings = pull.settings
    if settings.dataset_format is DatasetFormat.DELTA and find_spec("deltalake") is None:
        raise MissingExtraError(
            "dataset_format 'delta'", "airflow-provider-engagement[delta]", "deltalake writes the tables"
        )
    if not settings.dataset_path and pull.estimated_rows > MAX_ROWS_IN_XCOM:
        raise InvalidQueryError(
            "dataset_path",
            f"the pull makes about {pull.estimated_rows} rows, but XCom holds at most {MAX_ROWS_IN_XCOM}",
            "Set dataset_path to the folder of a dataset, or request fewer rows.",
        )


def _manifest(
    pull: Pull,
    fetched: Fetched,
    assembled: AssemblyResult,
    attempt: AttemptTotals,
    *,
    versions: Mapping[str, int],
) -> dict[str, Any]:
    result = fetched.result
    hours = pull.interval.time_range if pull.interval else None
    return Manifest(
        endpoint=str(pull.query.endpoint),
        auth=auth_names(request.query for request in result.requests) or str(pull.query.auth),
        owners=owners_to_dict(
            {request.query.account for request in result.requests},
            {owner for owner in pull.owners.values() if owner is not None} if pull.query.auth is Auth.APP else (),
            result.rejected,
        ),
        run_id=pull.run.run_id,
        task=pull.run.task,
        metrics=pull.query.metrics,
        requested=len(pull.query.tweet_ids),
        outcomes=assembled.outcomes,
        requests={
            "planned": len(result.requests),
            "sent": attempt.sent,
            "succeeded": result.succeeded,
            "reused": result.reused,
            "failed": len(result.failures),
            "rate_limited": attempt.rate_limited,
        },
        rows=assembled.rows,
        outputs={},
        versions=versions,
        seconds={
            "attempt": round(max(0.0, (datetime.now(UTC) - pull.attempt_start).total_seconds()), 3),
            "elapsed": round(time.monotonic() - fetched.started, 3),
            "waited": round(attempt.waited_seconds, 3),
        },
        rate_limit=fetched.rate_limit,
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


def _log_summary(manifest: Mapping[str, Any]) -> None:
    gaps = "".join(f", {gap['tweets']} {outcome}" for outcome, gap in manifest["missing"].items())
    log.info(
        "Done: %s of %s complete%s; %s sent, %d reused; %.1f s with waits.",
        f"{manifest['complete']:,}",
        counted(manifest["requested"], "Tweet"),
        gaps,
        counted(manifest["requests"]["sent"], "request"),
        manifest["requests"]["reused"],
        manifest["seconds"]["attempt"],
    )
    for change in manifest["metric_changes"]:
        log.warning(
            "The interval includes %s, when %s changed. %s %s",
            change["on"],
            change["metric"] or "every metric",
            change["what"],
            change["effect"],
        )
