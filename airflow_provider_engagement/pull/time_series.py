"""Assemble stored responses of ``28hr`` and ``historical`` to ``tweet_metrics`` and the tables beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow

from airflow_provider_engagement.engagement_api.groupings import merge_groupings
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.time_range import TimeRange, ceil_to_hour, floor_to_hour
from airflow_provider_engagement.pull.assembly import AssemblyResult, record_outcomes, status_tables
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.pull.restatements import RestatementLog
from airflow_provider_engagement.pull.series_rows import SeriesRows, coverage_rows, covered_hours
from airflow_provider_engagement.pull.series_writer import SeriesWriter
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.granularity import partition_of
from airflow_provider_engagement.tables.staging import MergeTarget
from airflow_provider_engagement.tables.tables import (
    COVERAGE,
    RESTATEMENTS,
    TWEET_METRICS,
    TWEET_STATUS,
)


def assemble_time_series(
    fetched: FetchResult,
    statuses: TweetStatuses,
    store: ResponseStore,
    folder: DatasetFolder,
    *,
    rows: SeriesRows,
    run: TaskRun,
    write_restatements: bool = False,
) -> AssemblyResult:
    """Write the status of each Tweet, and the rows and coverage of all owners whose Tweets are complete.

    Each response is read once, in the order of the windows. Memory holds only the rows of incomplete partitions.

    :param fetched: what happened to the requests.
    :param statuses: the status of each Tweet.
    :param store: where the responses are stored.
    :param folder: where the tables are written.
    :param rows: which rows to make.
    :param run: the run of the task.
    :param write_restatements: whether to write the table ``restatements``.
    :raises EngagementError: if no owner's Tweets are complete. Only ``tweet_status`` is written then.
    """
    assembled = AssemblyResult()
    statuses.add_not_requested(rows.query.tweet_ids)
    path = run.file_path
    with folder.open({TWEET_STATUS: f"{TWEET_STATUS.name}/{path}"}) as files:
        for status_rows in status_tables(statuses, run, rows.query.endpoint):
            files[TWEET_STATUS.name].append(status_rows)
        assembled.rows[TWEET_STATUS.name] = files[TWEET_STATUS.name].rows
    incomplete = record_outcomes(assembled, fetched, statuses, run.accepted)
    restatements = _restatement_log(folder, rows, f"{RESTATEMENTS.name}/{path}") if write_restatements else None
    target = _open_target(folder, rows, restatements)
    stager = SeriesWriter(rows, statuses.owner_of, target)
    try:
        with folder.open({COVERAGE: f"{COVERAGE.name}/{path}"}) as files:
            coverage = files[COVERAGE.name]
            available: TimeRange | None = None
            without_hours: list[tuple[Request, StoredResponse | None]] = []
            for request in sorted(fetched.requests, key=_window_start):
                if request.query.account in incomplete:
                    continue
                response = store.read(request)
                if response is not None:
                    assembled.groupings = merge_groupings(assembled.groupings, response.groupings)
                    stager.add(request, response)
                hours = _requested_hours(request, response)
                if hours is None:
                    without_hours.append((request, response))
                else:
                    available = hours
                    found = statuses.of_request(request, response)
                    coverage.append(coverage_rows(request, hours, response, found, rows, run))
            for request, response in without_hours:
                hours = available or _last_28_hours(response)
                if hours is not None:
                    found = statuses.of_request(request, response)
                    coverage.append(coverage_rows(request, hours, response, found, rows, run))
            stager.finish()
            assembled.rows[COVERAGE.name] = coverage.rows
    except BaseException:
        target.discard()
        raise
    target.publish()
    assembled.rows[rows.table.name] = target.rows
    if restatements is not None:
        restated = restatements.table()
        _write_restatements(folder, f"{RESTATEMENTS.name}/{path}", restated)
        assembled.rows[RESTATEMENTS.name] = restated.num_rows
    folder.write_json("groupings", f"groupings/{path}.json", assembled.groupings)
    return assembled


def _restatement_log(folder: DatasetFolder, rows: SeriesRows, path: str) -> RestatementLog:
    return RestatementLog(
        str(rows.granularity),
        rows.zone_name,
        earlier=folder.read_file(RESTATEMENTS, path),
        save=partial(_write_restatements, folder, path),
    )


def _write_restatements(folder: DatasetFolder, path: str, rows: pyarrow.Table) -> None:
    with folder.open({RESTATEMENTS: path}) as files:
        files[RESTATEMENTS.name].append(rows)


def _open_target(folder: DatasetFolder, rows: SeriesRows, restatements: RestatementLog | None) -> MergeTarget:
    table, partition = rows.table, partial(partition_of, rows.granularity)
    if table is not TWEET_METRICS:
        return folder.open_merged(table, table.name, partition)
    on_change = partial(restatements.compare, metrics=rows.query.metrics) if restatements else None
    return folder.open_merged(table, f"{table.name}/{rows.granularity}", partition, on_change=on_change)


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
