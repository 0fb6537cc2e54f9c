"""Time ranges in whole UTC hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.time_range import (
    TimeRange,
    ceil_to_hour,
    floor_to_hour,
    range_after_post,
    to_api,
    whole_days_within,
)
from airflow_provider_engagement.exceptions import InvalidQueryError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)

whole_hours = st.integers(-5000, 5000).map(lambda count: NOON + count * HOUR)
time_ranges = (
    st.tuples(whole_hours, whole_hours)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: TimeRange(*sorted(pair)))
)


def hours_of(time_range: TimeRange | None) -> set[datetime]:
    return set() if time_range is None else {time_range.start + index * HOUR for index in range(time_range.hours)}


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (NOON, NOON, "not before"),
        (NOON, NOON - HOUR, "not before"),
        (NOON.replace(tzinfo=None), NOON, "time zone"),
        (NOON, NOON + HOUR / 2, "whole hour"),
        ("2026-01-05", NOON, "start: '2026-01-05' is not a datetime"),
        (NOON, None, "end: None is not a datetime"),
        (NOON, NOON.date(), r"end: datetime\.date\(.* is not a datetime"),
    ],
)
def test_a_time_range_that_the_api_would_change_or_reject_is_an_error(
    start: datetime, end: datetime, problem: str
) -> None:
    with pytest.raises(InvalidQueryError, match=problem):
        TimeRange(start, end)


def test_a_time_range_is_in_utc_whatever_zone_its_edges_have() -> None:
    prague = ZoneInfo("Europe/Prague")

    day = TimeRange(datetime(2026, 3, 29, tzinfo=prague), datetime(2026, 3, 30, tzinfo=prague))

    assert to_api(day.start) == "2026-03-28T23:00:00Z"
    assert day.hours == 23


def test_midnight_in_a_zone_with_half_hours_is_not_a_whole_hour() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))

    with pytest.raises(InvalidQueryError, match="whole hour"):
        TimeRange(datetime(2026, 1, 5, tzinfo=kolkata), datetime(2026, 1, 6, tzinfo=kolkata))


@given(time_ranges, time_ranges)
def test_intersection_and_difference_contain_every_hour_once(one: TimeRange, other: TimeRange) -> None:
    inside = one.intersection(other)
    outside = one.difference(other)

    assert hours_of(inside) == hours_of(one) & hours_of(other)
    assert set().union(*map(hours_of, outside)) == hours_of(one) - hours_of(other)
    assert sum(rest.hours for rest in outside) + (inside.hours if inside else 0) == one.hours


@given(time_ranges)
def test_whole_days_are_the_utc_days_inside(time_range: TimeRange) -> None:
    midnights = [hour for hour in sorted(hours_of(time_range)) if hour.hour == 0]
    days = [midnight for midnight in midnights if midnight + DAY <= time_range.end]

    expected = TimeRange(days[0], days[-1] + DAY) if days else None
    assert whole_days_within(time_range.start, time_range.end) == expected


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2010, 1, 1), max_value=datetime(2100, 1, 1)))
def test_rounding_down_and_up_encloses_a_time(time: datetime) -> None:
    below, above = floor_to_hour(time), ceil_to_hour(time)

    assert below <= time <= above
    assert above - below == (timedelta(0) if (time.minute, time.second, time.microsecond) == (0, 0, 0) else HOUR)


def test_the_first_week_starts_with_the_hour_of_creation() -> None:
    week = range_after_post("2000000000000000001", days=7)

    assert (to_api(week.start), to_api(week.end)) == ("2025-12-14T00:00:00Z", "2025-12-21T00:00:00Z")


def test_each_period_starts_where_the_previous_one_ends() -> None:
    weeks = [range_after_post("850006245121695744", days=7, period=number) for number in (1, 2, 3)]

    assert [week.end for week in weeks[:2]] == [week.start for week in weeks[1:]]
    assert to_api(weeks[2].start) == "2017-04-20T15:00:00Z"


def test_an_id_without_a_creation_time_has_no_first_week() -> None:
    with pytest.raises(InvalidQueryError, match=r"^tweets: 20 "):
        range_after_post("20", days=7)


@pytest.mark.parametrize(("days", "period", "field"), [(0, 1, "days"), (7, 0, "period")])
def test_days_and_periods_start_at_one(days: int, period: int, field: str) -> None:
    with pytest.raises(InvalidQueryError, match=f"^{field}: "):
        range_after_post("2000000000000000001", days=days, period=period)
