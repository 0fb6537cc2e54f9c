"""A pull of ``totals``: one snapshot, in the tables ``tweet_totals`` and ``tweet_status``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.groupings import merge_groupings
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.inputs.run_times import check_not_to_come, last_start
from airflow_provider_engagement.inputs.settings import TotalsSettings
from airflow_provider_engagement.inputs.times import parse_time
from airflow_provider_engagement.pull.api import Api
from airflow_provider_engagement.pull.assembly import AssemblyResult, record_outcomes, status_tables
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.owner_routing import divide_by_owner
from airflow_provider_engagement.pull.pull import Pull, TweetOwners
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.pull.task_run import RunContext, TaskRun
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import RUNS, TWEET_STATUS, TWEET_TOTALS
from airflow_provider_engagement.tweet_id import TweetIds, created_at


@dataclass(frozen=True, kw_only=True)
class TotalsPull(Pull):
    """A pull of one snapshot.

    :param snapshot_at: the time of the snapshot.
    """

    snapshot_at: datetime

    @property
    def estimated_rows(self) -> int:
        """About how many rows the pull makes: one for each Tweet."""
        return len(self.query.tweet_ids)

    def assemble(
        self, fetched: FetchResult, statuses: TweetStatuses, store: ResponseStore, folder: DatasetFolder
    ) -> AssemblyResult:
        """Write the snapshot."""
        return assemble_totals(fetched, statuses, store, folder, run=self.run, snapshot_at=self.snapshot_at)


def totals_pull(settings: TotalsSettings, owners: TweetOwners, run: RunContext, api: Api) -> TotalsPull:
    """Return the pull of one snapshot.

    :param settings: what the DAG sets.
    :param owners: the Tweets, with their owners.
    :param run: the run of the task.
    :param api: the connection.
    :raises InvalidQueryError: if the settings do not fit the run or the connection.
    """
    now, snapshot_at = datetime.now(UTC), run.time
    check_not_to_come(run.time, field="logical_date", now=now)
    if settings.snapshot_at is not None:
        snapshot_at = parse_time(settings.snapshot_at, field="snapshot_at", now=run.time)
        check_not_to_come(snapshot_at, field="snapshot_at", now=now)
    # The column has milliseconds.
    snapshot_at = snapshot_at.replace(microsecond=snapshot_at.microsecond // 1000 * 1000)
    query = api.query(
        settings.endpoint,
        TweetIds(owners),
        metrics=settings.metrics,
        auth=settings.auth,
        groupings=settings.groupings,
    )
    return TotalsPull(
        settings=settings,
        query=query,
        owners=owners,
        queries=divide_by_owner(query, owners, settings.tweets, api, time=run.time),
        run=run.task_run(settings.accepted),
        attempt_start=run.attempt_start,
        as_of=snapshot_at,
        last_start=last_start(run.time, settings.max_delay),
        snapshot_at=snapshot_at,
    )


def assemble_totals(
    fetched: FetchResult,
    statuses: TweetStatuses,
    store: ResponseStore,
    folder: DatasetFolder,
    *,
    run: TaskRun,
    snapshot_at: datetime,
) -> AssemblyResult:
    """Write the status of each Tweet, and the snapshot of the totals of all owners whose Tweets are complete.

    :param fetched: what happened to the requests.
    :param statuses: the status of each Tweet.
    :param store: where the responses are stored.
    :param folder: where the tables are written.
    :param run: the run of the task.
    :param snapshot_at: the time of the snapshot.
    :raises EngagementError: if no owner's Tweets are complete. Only ``tweet_status`` is written then.
    """
    assembled = AssemblyResult()
    with folder.open({TWEET_STATUS: f"{TWEET_STATUS.name}/{run.file_path}"}) as files:
        for rows in status_tables(statuses, run, Endpoint.TOTALS):
            files[TWEET_STATUS.name].append(rows)
        assembled.rows[TWEET_STATUS.name] = files[TWEET_STATUS.name].rows
    incomplete = record_outcomes(assembled, fetched, statuses, run.accepted)
    target = folder.open_merged(TWEET_TOTALS, TWEET_TOTALS.name, _partition_of, file_of=_file_of, time=snapshot_at)
    without_row = dict.fromkeys(tweet_id for tweet_id, _ in statuses.items())
    try:
        for request in fetched.requests:
            response = None if request.query.account in incomplete else store.read(request)
            if response is not None:
                assembled.groupings = merge_groupings(assembled.groupings, response.groupings)
                rows = _total_rows(request, response, run, snapshot_at)
                target.stage(rows)
                for tweet_id in rows["tweet_id"].to_pylist():
                    without_row.pop(tweet_id, None)
        # A Tweet that can no longer be read keeps the counts that the run read before.
        target.replace_rows_of(run.digest, snapshot_at, keeps=pyarrow.array(without_row, pyarrow.string()))
    except BaseException:
        target.discard()
        raise
    target.publish()
    assembled.rows[TWEET_TOTALS.name] = target.rows
    folder.write_json("groupings", f"groupings/{run.file_path}.json", assembled.groupings)
    return assembled


def _partition_of(snapshot_at: datetime) -> str:
    return f"snapshot_date={snapshot_at:%Y-%m-%d}"


def _file_of(snapshot_at: datetime) -> str:
    """Return the name of the file of a snapshot, to the millisecond. Only runs that share a snapshot share a file."""
    return f"{snapshot_at:%Y%m%dT%H%M%S}{snapshot_at.microsecond // 1000:03}"


def _total_rows(request: Request, response: StoredResponse, run: TaskRun, snapshot_at: datetime) -> pyarrow.Table:
    counts = response.counts
    tweet_ids = counts["tweet_id"].to_pylist()
    constants: dict[str, Any] = {
        "snapshot_at": snapshot_at,
        "owner": request.query.owner,
        "auth": str(request.query.auth),
        "fetched_at": response.fetched_at,
        RUNS: run.digest,
    }
    return columns_to_table(
        TWEET_TOTALS,
        {
            "tweet_id": tweet_ids,
            "tweet_created_at": [created_at(tweet_id) for tweet_id in tweet_ids],
            **{column: [value] * len(tweet_ids) for column, value in constants.items()},
            **{metric: counts[metric] for metric in TWEET_TOTALS.metrics if metric in counts.column_names},
        },
    )
