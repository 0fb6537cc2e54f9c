"""Which rows a pull makes of hourly counts: the hours of each Tweet, their periods, and their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.planner import Request, wanted_hours
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import TweetStatus
from airflow_provider_engagement.engagement_api.time_range import HOUR, TimeRange, range_after_post
from airflow_provider_engagement.pull.response_store import StoredResponse
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.days import whole_days_of
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import (
    COVERAGE,
    TWEET_HOURS_OF_DAY,
    TWEET_METRICS,
    Table,
)
from airflow_provider_engagement.tweet_id import created_at

_TIMESTAMP = pyarrow.timestamp("ms", "UTC")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesRows:
    """Which rows a pull makes of hourly counts.

    :param query: the query for all Tweets.
    :param granularity: what one row covers.
    :param zone: the time zone of days and hours of day.
    :param settling_time: how long after an hour its counts may still change.
    :param after_post_days: if set, only this many days of each Tweet's life are of interest.
    :param after_post_period: 1 for the first ``after_post_days`` days, 2 for those that follow, and so on.
    """

    query: Query
    granularity: Granularity
    zone: ZoneInfo
    settling_time: timedelta
    after_post_days: int | None = None
    after_post_period: int = 1

    @property
    def table(self) -> Table:
        """The table of the rows."""
        return TWEET_HOURS_OF_DAY if self.granularity is Granularity.HOUR_OF_DAY else TWEET_METRICS

    @property
    def zone_name(self) -> str:
        """The time zone in the key of the rows. Hours and totals are the same in every zone, and have ``UTC``."""
        return self.zone.key if self.granularity in (Granularity.DAY, Granularity.HOUR_OF_DAY) else "UTC"

    def hours_of(self, tweet_id: str, available: TimeRange) -> TimeRange | None:
        """Return the hours of a Tweet that rows are made of, if any.

        :param tweet_id: the Tweet.
        :param available: the hours that a response covers.
        """
        hours = wanted_hours(tweet_id, self.query.interval or available)
        if hours is not None and self.after_post_days is not None:
            hours = hours.intersection(self.period_of(tweet_id, available))
            if hours is not None and self.granularity is Granularity.DAY:
                first_hour = range_after_post(tweet_id, days=1).start
                hours = whole_days_of(hours, self.zone, first_is_whole=hours.start == first_hour)
        return hours and hours.intersection(available)

    def period_of(self, tweet_id: str, available: TimeRange) -> TimeRange:
        """Return the period of a Tweet's row, for the granularities ``total`` and ``hour_of_day``.

        :param tweet_id: the Tweet.
        :param available: the hours that a response covers.
        """
        interval = self.query.interval or available
        if self.after_post_days is None:
            return interval
        days = range_after_post(tweet_id, days=self.after_post_days, period=self.after_post_period)
        return days.intersection(interval) or interval


def covered_hours(response: StoredResponse) -> TimeRange:
    """Return the hours that a response with counts covers."""
    periods = response.counts["period_start"]
    return TimeRange(periods[0].as_py(), periods[-1].as_py() + HOUR)


def hourly_rows(response: StoredResponse, rows: SeriesRows) -> pyarrow.Table | None:
    """Return the hours of a response that rows are made of, with the columns that a rollup needs; ``None`` if none.

    A response holds the same hours of each of its Tweets, one Tweet after the other. The hours of one Tweet are
    consecutive rows, so they are cut out by position.
    """
    counts = response.counts
    if not counts.num_rows:
        return None
    tweet_ids = counts["tweet_id"].unique().to_pylist()
    available = covered_hours(response)
    pieces = []
    for number, tweet_id in enumerate(tweet_ids):
        hours = rows.hours_of(tweet_id, available)
        if hours is not None:
            offset = number * available.hours + (hours.start - available.start) // HOUR
            pieces.append(counts.slice(offset, hours.hours))
    if not pieces:
        return None
    wanted = pyarrow.concat_tables(pieces)
    ends = compute.add(wanted["period_start"], pyarrow.scalar(HOUR, pyarrow.duration("ms"))).cast(_TIMESTAMP)
    final_before = pyarrow.scalar(response.fetched_at - rows.settling_time, _TIMESTAMP)
    return pyarrow.table(
        {
            "tweet_id": wanted["tweet_id"],
            "period_start": wanted["period_start"],
            "period_end": ends,
            "fetched_at": pyarrow.repeat(pyarrow.scalar(response.fetched_at, _TIMESTAMP), wanted.num_rows),
            "is_final": compute.less_equal(ends, final_before),
        }
        | {metric: wanted[metric] for metric in rows.query.metrics if metric in wanted.column_names}
    )


def table_rows(counts: pyarrow.Table, rows: SeriesRows, owner_of: Callable[[str], str | None]) -> pyarrow.Table:
    """Return summed counts with every column of their table.

    :param counts: the counts.
    :param rows: which rows the pull makes.
    :param owner_of: returns the owner of a Tweet.
    """
    number = counts.num_rows
    encoded = counts["tweet_id"].combine_chunks().dictionary_encode()
    tweet_ids = encoded.dictionary.to_pylist()
    created = [created_at(tweet_id) for tweet_id in tweet_ids]
    owners = [owner_of(tweet_id) for tweet_id in tweet_ids]
    columns: dict[str, Any] = {
        **{name: counts[name] for name in counts.column_names},
        "owner": pyarrow.array(owners, pyarrow.string()).take(encoded.indices),
        "tweet_created_at": pyarrow.array(created, _TIMESTAMP).take(encoded.indices),
        "endpoint": pyarrow.repeat(str(rows.query.endpoint), number),
        "time_zone": pyarrow.repeat(rows.zone_name, number),
    }
    if rows.table is TWEET_METRICS:
        columns["granularity"] = pyarrow.repeat(str(rows.granularity), number)
        zone = ZoneInfo(rows.zone_name)
        starts = counts["period_start"].combine_chunks().dictionary_encode()
        dates = [start.astimezone(zone).date() for start in starts.dictionary.to_pylist()]
        columns["period_date"] = pyarrow.array(dates, pyarrow.date32()).take(starts.indices)
    return columns_to_table(rows.table, columns)


def coverage_rows(
    request: Request,
    available: TimeRange,
    response: StoredResponse | None,
    statuses: Mapping[str, TweetStatus],
    rows: SeriesRows,
    run: TaskRun,
) -> pyarrow.Table:
    """Return rows of ``coverage``: the hours of each Tweet of a request, and the outcome.

    :param request: the request.
    :param available: the hours that the request covers.
    :param response: its response, if it has one.
    :param statuses: the status of each of its Tweets, except of those that another owner's token read.
    :param rows: which rows the pull makes.
    :param run: the run of the task.
    """
    hours_of = {tweet_id: rows.hours_of(tweet_id, available) for tweet_id in request.tweet_ids if tweet_id in statuses}
    covered = {tweet_id: hours for tweet_id, hours in hours_of.items() if hours is not None}
    number = len(covered)
    return columns_to_table(
        COVERAGE,
        {
            "tweet_id": list(covered),
            "window_start": [hours.start for hours in covered.values()],
            "window_end": [hours.end for hours in covered.values()],
            "granularity": [str(rows.granularity)] * number,
            "time_zone": [rows.zone_name] * number,
            "run_id": [run.run_id] * number,
            "task": [run.task] * number,
            "metrics": [",".join(rows.query.metrics)] * number,
            "outcome": [str(statuses[tweet_id].outcome) for tweet_id in covered],
            "fetched_at": [response.fetched_at if response else None] * number,
        },
    )
