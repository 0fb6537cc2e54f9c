"""Which hours of a Tweet rows are made of, and which period a row has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.pull.series_rows import SeriesRows
from airflow_provider_engagement.tables.granularity import Granularity, partition_of
from airflow_provider_engagement.tables.tables import TWEET_HOURS_OF_DAY, TWEET_METRICS
from airflow_provider_engagement.tweet_id import first_id_at

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
OLD = "21"
"""An id from before 2010-11-04, which contains no time."""
YOUNG = first_id_at(START + timedelta(hours=30, minutes=59))


def hours(first: int, last: int) -> TimeRange:
    """Return a time range in hours from the start."""
    return TimeRange(START + first * HOUR, START + last * HOUR)


def series_rows(interval: TimeRange | None, granularity: str = "hour", **changes: Any) -> SeriesRows:
    return SeriesRows(
        query=Query(
            endpoint=Endpoint.HISTORICAL if interval else Endpoint.LAST_28_HOURS,
            auth=Auth.USER,
            tweet_ids=(OLD, YOUNG),
            metrics=("impressions",),
            interval=interval,
        ),
        granularity=Granularity(granularity),
        **{"zone": ZoneInfo("UTC"), "settling_time": timedelta(hours=72), **changes},
    )


def test_the_hours_of_a_tweet_start_at_its_creation_and_lie_in_the_interval_and_the_response() -> None:
    rows = series_rows(hours(0, 72))
    assert rows.hours_of(OLD, hours(-5, 48)) == hours(0, 48)
    assert rows.hours_of(YOUNG, hours(-5, 48)) == hours(30, 48)
    assert rows.hours_of(OLD, hours(60, 90)) == hours(60, 72)
    assert rows.hours_of(YOUNG, hours(0, 30)) is None
    assert rows.hours_of(OLD, hours(72, 90)) is None


def test_without_an_interval_the_hours_are_those_of_the_response() -> None:
    rows = series_rows(None, "total")
    assert rows.hours_of(OLD, hours(50, 78)) == rows.period_of(OLD, hours(50, 78)) == hours(50, 78)
    assert rows.hours_of(YOUNG, hours(20, 48)) == hours(30, 48)


def test_after_post_days_limit_the_hours_and_the_period_of_a_tweet() -> None:
    rows = series_rows(hours(0, 240), "total", after_post_days=2)
    assert rows.hours_of(YOUNG, hours(0, 240)) == rows.period_of(YOUNG, hours(0, 240)) == hours(30, 78)
    following = series_rows(hours(0, 240), "total", after_post_days=2, after_post_period=2)
    assert following.hours_of(YOUNG, hours(0, 240)) == following.period_of(YOUNG, hours(0, 240)) == hours(78, 126)
    assert following.hours_of(YOUNG, hours(0, 78)) is None
    cut = series_rows(hours(40, 60), "total", after_post_days=2)
    assert cut.hours_of(YOUNG, hours(0, 240)) == cut.period_of(YOUNG, hours(0, 240)) == hours(40, 60)


@pytest.mark.parametrize(
    ("interval", "period", "expected"),
    [
        (hours(0, 240), 1, hours(30, 72)),  # The day of the creation is complete from the creation on.
        (hours(0, 240), 2, hours(96, 120)),  # The days 78 to 126 contain one whole calendar day.
        (hours(48, 240), 1, hours(48, 72)),
    ],
)
def test_after_post_days_make_rows_of_whole_calendar_days(
    interval: TimeRange, period: int, expected: TimeRange
) -> None:
    rows = series_rows(interval, "day", after_post_days=2, after_post_period=period)
    assert rows.hours_of(YOUNG, hours(0, 240)) == expected


def test_only_days_and_hours_of_day_have_a_time_zone() -> None:
    zone = ZoneInfo("Europe/Prague")
    names = {str(name): series_rows(hours(0, 24), name, zone=zone).zone_name for name in Granularity}
    assert names == {"hour": "UTC", "day": "Europe/Prague", "total": "UTC", "hour_of_day": "Europe/Prague"}


def test_hours_of_day_have_their_own_table() -> None:
    tables = {str(name): series_rows(hours(0, 24), name).table for name in Granularity}
    assert tables.pop("hour_of_day") is TWEET_HOURS_OF_DAY
    assert set(tables.values()) == {TWEET_METRICS}


def test_hours_are_partitioned_by_day_and_other_rows_by_month() -> None:
    partitions = {str(name): partition_of(name, START) for name in Granularity}
    assert partitions.pop("hour") == "partition_date=2026-01-05"
    assert set(partitions.values()) == {"partition_date=2026-01-01"}
