"""Calendar days of a time zone, checked against the dates that a clock in the zone shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.tables.days import (
    check_days_of_hours,
    check_whole_days,
    first_start_within_an_hour,
    local_day,
    whole_days_of,
)

HOUR = timedelta(hours=1)
WHOLE_HOUR_ZONES = ("UTC", "Europe/Prague", "America/New_York", "Pacific/Apia", "Africa/Cairo", "America/Havana")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def local_date(time: datetime, zone: ZoneInfo) -> date:
    return time.astimezone(zone).date()


@pytest.mark.parametrize(
    ("name", "noon", "hours"),
    [
        ("UTC", utc(2026, 3, 29, 12), 24),
        ("Europe/Prague", utc(2026, 3, 29, 12), 23),
        ("Europe/Prague", utc(2025, 10, 26, 12), 25),
        ("America/New_York", utc(2026, 3, 8, 17), 23),
        ("America/New_York", utc(2025, 11, 2, 17), 25),
        ("Africa/Cairo", utc(2026, 4, 24, 10), 23),  # The clock goes from midnight to one: the day has no midnight.
        ("America/Havana", utc(2025, 11, 2, 17), 25),  # The day has two midnights.
    ],
)
def test_a_day_has_23_or_25_hours_when_clocks_change(name: str, noon: datetime, hours: int) -> None:
    zone = ZoneInfo(name)
    start, next_day = local_day(noon, zone)
    assert next_day - start == hours * HOUR
    assert start <= noon < next_day
    assert {local_date(start + number * HOUR, zone) for number in range(hours)} == {local_date(noon, zone)}
    assert local_date(start - timedelta(microseconds=1), zone) < local_date(noon, zone) < local_date(next_day, zone)


def test_a_day_can_be_half_an_hour_longer_or_shorter() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    lengths = {}
    for noon in (utc(2026, 1, 5, 1), utc(2026, 4, 5, 1), utc(2025, 10, 5, 1)):
        start, next_day = local_day(noon, zone)
        lengths[noon.month] = next_day - start
    assert lengths == {1: 24 * HOUR, 4: 24.5 * HOUR, 10: 23.5 * HOUR}


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_a_zone_whose_days_start_within_a_utc_hour_is_rejected(name: str) -> None:
    # Lord Howe is at UTC+11 at both edges of the interval, and at UTC+10:30 between them.
    interval = TimeRange(utc(2026, 1, 5, 13), utc(2026, 11, 5, 13))
    with pytest.raises(InvalidQueryError, match=rf"^time_zone: a day in {name} starts at .* not a whole UTC hour"):
        check_days_of_hours(interval, ZoneInfo(name))


def test_a_zone_whose_days_start_on_whole_utc_hours_is_accepted() -> None:
    quarter = TimeRange(utc(2026, 1, 1, 5), utc(2026, 3, 31, 7))
    starts = {
        name: first_start_within_an_hour(quarter, ZoneInfo(name))
        for name in (*WHOLE_HOUR_ZONES, "Australia/Lord_Howe", "Asia/Kolkata")
    }
    assert starts == {
        **dict.fromkeys((*WHOLE_HOUR_ZONES, "Australia/Lord_Howe")),
        "Asia/Kolkata": utc(2025, 12, 31, 18, 30),
    }


def test_an_interval_that_contains_a_part_of_a_day_is_rejected() -> None:
    prague = ZoneInfo("Europe/Prague")
    check_whole_days(TimeRange(utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)), prague)
    with pytest.raises(InvalidQueryError, match=r"^start: 2026-03-28T22:00.* is not midnight in Europe/Prague"):
        check_whole_days(TimeRange(utc(2026, 3, 28, 22), utc(2026, 3, 29, 22)), prague)
    with pytest.raises(InvalidQueryError, match=r"^end: 2026-03-29T23:00.* is not midnight in Europe/Prague"):
        check_whole_days(TimeRange(utc(2026, 3, 28, 23), utc(2026, 3, 29, 23)), prague)


@settings(max_examples=60)
@given(st.integers(0, 9000), st.integers(1, 120), st.sampled_from(WHOLE_HOUR_ZONES), st.booleans())
def test_the_whole_days_of_a_time_range_are_those_without_a_missing_hour(
    offset: int, length: int, name: str, first_is_whole: bool
) -> None:
    zone = ZoneInfo(name)
    start = utc(2025, 6, 1) + offset * HOUR
    hours = [start + number * HOUR for number in range(length)]
    first, last = local_date(hours[0], zone), local_date(hours[-1], zone)
    incomplete = set()
    if local_date(start - HOUR, zone) == first and not first_is_whole:
        incomplete.add(first)
    if local_date(start + length * HOUR, zone) == last:
        incomplete.add(last)
    expected = [hour for hour in hours if local_date(hour, zone) not in incomplete]
    found = whole_days_of(TimeRange(start, start + length * HOUR), zone, first_is_whole=first_is_whole)
    assert ([found.start + number * HOUR for number in range(found.hours)] if found else []) == expected
