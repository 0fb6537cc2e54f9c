"""Assemble stored responses of ``28hr`` and ``historical`` to ``tweet_metrics`` and the tables beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from airflow_provider_engagement.api.groupings import merge_groupings
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.api.time_range import TimeRange, ceil_to_hour, floor_to_hour
from airflow_provider_engagement.dataset.assembly import AssembledTables, TaskRun, failed_statuses, status_rows
from airflow_provider_engagement.dataset.completeness import check_complete
from airflow_provider_engagement.dataset.fetch import FetchResult
from airflow_provider_engagement.dataset.folder import DatasetFolder
from airflow_provider_engagement.dataset.granularity import partition_of
from airflow_provider_engagement.dataset.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.dataset.restatements import RestatementLog
from airflow_provider_engagement.dataset.row_stager import RowStager
from airflow_provider_engagement.dataset.schema import COVERAGE, RESTATEMENTS, TWEET_METRICS, TWEET_STATUS
from airflow_provider_engagement.dataset.series_rows import SeriesRows, coverage_rows, covered_hours
from airflow_provider_engagement.dataset.staged_rows import PublishedTable


@dataclass(slots=True)
class _TweetStatuses:
    """The status of each Tweet over all responses that name it."""

    by_tweet: dict[str, TweetStatus]
    authors: dict[str, str | None]
    checked: dict[str, datetime]

    def add(self, statuses: Mapping[str, TweetStatus], response: StoredResponse | None) -> None:
        for tweet_id, status in statuses.items():
            known = self.by_tweet.get(tweet_id)
            self.by_tweet[tweet_id] = known.joined(status) if known else status
            if response is not None:
                self.checked[tweet_id] = response.fetched_at
        if response is not None:
            self.authors |= response.authors


def assemble_time_series(
    fetched: FetchResult,
    store: ResponseStore,
    folder: DatasetFolder,
    *,
    rows: SeriesRows,
    run: TaskRun,
    name: str,
    date: datetime,
    write_restatements: bool = False,
) -> AssembledTables:
    """Write the status and coverage of each Tweet and, if the pull is complete, its rows.

    Each response is read once, in the order of the windows. Memory holds only the rows of incomplete partitions.

    :param fetched: what happened to the requests.
    :param store: where the responses are stored.
    :param folder: where the tables are written.
    :param rows: which rows to make.
    :param run: the run of the task.
    :param name: the name of the files that only this run writes.
    :param date: the date of the folder of these files.
    :param write_restatements: whether to write the table ``restatements``.
    :raises EngagementError: if the pull is not complete. Only ``tweet_status`` is written then.
    """
    assembled = AssembledTables()
    statuses = _TweetStatuses({}, {}, {})
    restatements = RestatementLog(str(rows.granularity), rows.zone_name) if write_restatements else None
    target = _open_target(folder, rows, restatements)
    stager = RowStager(rows, target)
    path = f"run_date={date:%Y-%m-%d}/{run.task}.{name}"
    try:
        with folder.open({COVERAGE: f"{COVERAGE.name}/{path}"}) as files:
            coverage = files[COVERAGE.name]
            available: TimeRange | None = None
            without_hours: list[tuple[Request, StoredResponse | None, Mapping[str, TweetStatus]]] = []
            for request in sorted(fetched.requests, key=_window_start):
                response = store.read(request)
                if response is None:
                    found: Mapping[str, TweetStatus] = failed_statuses(request, fetched.reason_missing(request))
                else:
                    found = response.statuses
                    assembled.groupings = merge_groupings(assembled.groupings, response.groupings)
                    stager.add(request, response)
                statuses.add(found, response)
                hours = _requested_hours(request, response)
                if hours is None:
                    without_hours.append((request, response, found))
                else:
                    available = hours
                    coverage.append(coverage_rows(request, hours, response, found, rows))
            for request, response, found in without_hours:
                hours = available or _last_28_hours(response)
                if hours is not None:
                    coverage.append(coverage_rows(request, hours, response, found, rows))
            _write_status(assembled, folder, rows, run, statuses, path)
            check_complete(assembled.outcomes, run.accepted, fetched.failures)
            stager.finish()
            assembled.rows[COVERAGE.name] = coverage.rows
    except BaseException:
        target.discard()
        raise
    target.publish()
    assembled.rows[rows.table.name] = target.rows
    if restatements is not None:
        with folder.open({RESTATEMENTS: f"{RESTATEMENTS.name}/{path}"}) as files:
            files[RESTATEMENTS.name].append(restatements.table())
            assembled.rows[RESTATEMENTS.name] = files[RESTATEMENTS.name].rows
    if assembled.groupings:
        folder.write_json("groupings", f"groupings/{path}.json", assembled.groupings)
    return assembled


def _write_status(
    assembled: AssembledTables,
    folder: DatasetFolder,
    rows: SeriesRows,
    run: TaskRun,
    statuses: _TweetStatuses,
    path: str,
) -> None:
    not_requested = TweetStatus(Outcome.OK, message="created after the interval")
    by_tweet = dict.fromkeys(rows.query.tweet_ids, not_requested) | statuses.by_tweet
    assembled.outcomes.add(by_tweet.items())
    with folder.open({TWEET_STATUS: f"{TWEET_STATUS.name}/{path}"}) as files:
        files[TWEET_STATUS.name].append(status_rows(by_tweet, statuses.authors, statuses.checked, run))
        assembled.rows[TWEET_STATUS.name] = files[TWEET_STATUS.name].rows


def _open_target(folder: DatasetFolder, rows: SeriesRows, restatements: RestatementLog | None) -> PublishedTable:
    table, partition = rows.table, partial(partition_of, rows.granularity)
    if table is not TWEET_METRICS:
        return folder.open_merged(table, table.name, partition)
    on_change = partial(restatements.compare, metrics=rows.query.metrics) if restatements else None
    return folder.open_merged(table, f"{table.name}/{rows.granularity}", partition, on_change)


def _window_start(request: Request) -> datetime:
    return request.window.start if request.window else datetime.min.replace(tzinfo=UTC)


def _requested_hours(request: Request, response: StoredResponse | None) -> TimeRange | None:
    """Return the hours that a request covers: its window, or what the response covers if it has counts."""
    if request.window is not None:
        return request.window
    return covered_hours(response) if response is not None and response.counts.num_rows else None


def _last_28_hours(response: StoredResponse | None) -> TimeRange | None:
    """Return the hours that ``28hr`` covers at the time of a response, as in the documented examples."""
    if response is None:
        return None
    return TimeRange(floor_to_hour(response.fetched_at - timedelta(hours=28)), ceil_to_hour(response.fetched_at))
