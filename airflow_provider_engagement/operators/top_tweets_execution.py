"""Rank the Tweets of a dataset, as a task of Airflow."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import pyarrow

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.engagement_api.time_range import (
    TimeRange,
    ceil_to_hour,
    floor_to_hour,
    time_range_or_none,
    to_api,
)
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.inputs.choices import parse_choice, parse_name
from airflow_provider_engagement.inputs.lists import parse_list
from airflow_provider_engagement.inputs.numbers import parse_whole_number
from airflow_provider_engagement.inputs.times import parse_time, parse_time_zone
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.lineage import Lineage, top_tweets_lineage
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.report.ranking import TopTweet, rank
from airflow_provider_engagement.report.ranking_documents import ranking_as_csv, ranking_as_markdown
from airflow_provider_engagement.report.tweet_counts import interval_counts, newest_snapshot, snapshot_counts
from airflow_provider_engagement.storage.paths import StoragePath, write_atomically
from airflow_provider_engagement.tables.days import check_days_of_hours, whole_days_of
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_TOTALS

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

ReadCounts = Callable[[Sequence[str]], pyarrow.Table]

MAX_TWEETS_IN_XCOM = 1_000
"""How many Tweets of each metric a task returns at most."""

METRICS_AT_ONCE = 6
"""How many metrics are in memory at the same time. The table is read once for each group of them."""


class TopTweetsTask(Protocol):
    """The parameters of the operator, and what it says afterwards."""

    outlets: list[Any]
    dataset_path: str
    table: str
    metrics: Sequence[str] | str | None
    limit: int | str
    snapshot_at: Any
    start: Any
    end: Any
    granularity: str
    time_zone: str
    csv_path: str | None
    markdown_path: str | None
    best_tweet: str | None
    lineage: Lineage | None


def execute_top_tweets(task: TopTweetsTask, context: Context) -> dict[str, Any]:
    """Rank the Tweets, write the files, and return the ranking."""
    with task_failures():
        unset_blank_parameters(task)
        limit = parse_whole_number(task.limit, field="limit", minimum=1)
        if limit > MAX_TWEETS_IN_XCOM:
            raise InvalidQueryError("limit", f"{limit} is too many", f"Pass at most {MAX_TWEETS_IN_XCOM}.")
        table, metrics = _table_and_metrics(task)
        folder = storage_path(task.dataset_path, field="dataset_path")
        if not (folder / table).exists():
            raise InvalidQueryError(
                "dataset_path",
                f"{folder} has no table {table}",
                "Pass the dataset_path of a pull, or another table.",
            )
        read, period = _reader(task, folder, table, run_of(context))
        ranking: dict[str, list[TopTweet]] = {}
        tweets = 0
        for first in range(0, len(metrics), METRICS_AT_ONCE):
            counts = read(metrics[first : first + METRICS_AT_ONCE])
            tweets = counts.num_rows
            ranking |= rank(counts, metrics[first : first + METRICS_AT_ONCE], number=limit)
        if task.metrics is None:
            ranking = {metric: ranked for metric, ranked in ranking.items() if ranked}
        outputs = {}
        title = f"Top {counted(limit, 'Tweet')} by metric"
        subtitle = f"Of {counted(tweets, 'Tweet')}, {_in_words(period)}."
        for name, path, text in (
            ("csv", task.csv_path, ranking_as_csv(ranking)),
            ("markdown", task.markdown_path, ranking_as_markdown(ranking, title=title, subtitle=subtitle)),
        ):
            if path:
                _write(storage_path(path, field=f"{name}_path"), text)
                outputs[name] = path
        task.lineage = top_tweets_lineage(task.dataset_path, table, task.granularity, outputs.values())
        task.best_tweet = next((ranked[0].link for ranked in ranking.values() if ranked), None)
        log.info("Ranked %s by %s, %s.", counted(tweets, "Tweet"), counted(len(ranking), "metric"), _in_words(period))
        extra = {"dataset": task.dataset_path, "table": table, **period, "tweets": tweets, "outputs": outputs}
        describe_outlets(task.outlets, extra, context)
        return {
            "table": table,
            **period,
            "tweets": tweets,
            "top": {
                metric: [
                    {"rank": place, "tweet_id": tweet.tweet_id, "count": tweet.count, "link": tweet.link}
                    for place, tweet in enumerate(ranked, start=1)
                ]
                for metric, ranked in ranking.items()
            },
            "outputs": outputs,
        }


def _table_and_metrics(task: TopTweetsTask) -> tuple[str, tuple[str, ...]]:

    tables = {table.name: table for table in (TWEET_TOTALS, TWEET_METRICS)}
    table = tables[parse_name(task.table, tables, field="table")]
    if task.metrics is None:
        return table.name, table.metrics
    names = parse_list(task.metrics, field="metrics")
    if not names:
        raise InvalidQueryError("metrics", "is empty", "Name a metric, or leave metrics out.")
    return table.name, tuple(dict.fromkeys(parse_name(name, table.metrics, field="metrics") for name in names))


def _reader(task: TopTweetsTask, folder: StoragePath, table: str, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:
    """Return a function that reads the counts of some metrics, and the snapshot or interval that they belong to."""
    if table == "tweet_totals":
        return _snapshot_reader(task, folder, run)
    return _interval_reader(task, folder, run)


def _snapshot_reader(task: TopTweetsTask, folder: StoragePath, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:

    newest = newest_snapshot(folder, address_of=table_address)
    if newest is None:
        raise InvalidQueryError("dataset_path", f"{folder} has no snapshot", "Run a totals pull first.")
    snapshot_at = (
        newest if task.snapshot_at is None else parse_time(task.snapshot_at, field="snapshot_at", now=run.time)
    )

    def read(metrics: Sequence[str]) -> pyarrow.Table:
        counts = snapshot_counts(folder, snapshot_at, metrics, address_of=table_address)
        if not counts.num_rows:
            raise InvalidQueryError(
                "snapshot_at",
                f"{folder} has no snapshot of {snapshot_at.isoformat()}; the newest is {newest.isoformat()}",
                "Pass the time of a snapshot, or none to use the newest.",
            )
        return counts

    return read, {"snapshot_at": snapshot_at.isoformat()}


def _interval_reader(task: TopTweetsTask, folder: StoragePath, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:

    if (task.start is None) != (task.end is None):
        missing, given = ("start", "end") if task.start is None else ("end", "start")
        raise InvalidQueryError(missing, f"is not set, but {given} is", "Set start and end, or neither.")
    first, last = run.interval if task.start is None else (task.start, task.end)
    granularity = parse_choice(task.granularity, (Granularity.HOUR, Granularity.DAY), field="granularity")
    zone = parse_time_zone(task.time_zone)
    interval = _whole_periods(
        parse_time(first, field="start", now=run.time, zone=zone),
        parse_time(last, field="end", now=run.time, zone=zone),
        zone=zone if granularity is Granularity.DAY else None,
        is_of_run=task.start is None,
    )
    rows_zone = zone if granularity is Granularity.DAY else parse_time_zone("UTC")
    read = partial(interval_counts, folder, interval, granularity=granularity, zone=rows_zone, address_of=table_address)
    return read, {"interval": [to_api(interval.start), to_api(interval.end)]}


def _whole_periods(start: datetime, end: datetime, *, zone: ZoneInfo | None, is_of_run: bool) -> TimeRange:
    """Return the whole days or hours between two times.

    :param start: the start, in UTC.
    :param end: the end, in UTC.
    :param zone: the time zone of the days; ``None`` for hours.
    :param is_of_run: whether the times are those of the run, which an error says.
    :raises InvalidQueryError: if there are none.
    """
    if start >= end and not is_of_run:
        raise InvalidQueryError(
            "start", f"{start.isoformat()} is not before end, {end.isoformat()}", "Pass an earlier start."
        )
    found = time_range_or_none(ceil_to_hour(start), floor_to_hour(end))
    if found is not None and zone is not None:
        check_days_of_hours(found, zone)
        found = whole_days_of(found, zone, first_is_whole=False)
    if found is not None:
        return found
    source = "the interval of the run," if is_of_run else "the interval"
    raise InvalidQueryError(
        "start",
        f"{source} from {start.isoformat()} to {end.isoformat()}{',' if is_of_run else ''} contains no whole "
        f"{'hour' if zone is None else 'day'}",
        "Set start and end, such as start='7d' and end='now'."
        if is_of_run
        else "Set start and end to a longer interval.",
    )


def _in_words(period: dict[str, Any]) -> str:
    if "snapshot_at" in period:
        return f"snapshot of {period['snapshot_at']}"
    start, end = period["interval"]
    return f"from {start} to {end}"


def _write(path: StoragePath, text: str) -> None:

    with write_atomically(path, path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp") as file:
        file.write(text.encode())
