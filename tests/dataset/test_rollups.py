"""Hours become days, sums over a window and hours of day: checked against plain Python that knows nothing of tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.rollups import (
    by_day,
    by_hour_of_day,
    check_days_of_hours,
    check_whole_days,
    local_day,
    over_window,
    parse_time_zone,
    summed_again,
    whole_days_of,
)
from airflow_provider_engagement.exceptions import InvalidQueryError

HOUR = timedelta(hours=1)
WHOLE_HOUR_ZONES = ("UTC", "Europe/Prague", "America/New_York", "Pacific/Apia", "Africa/Cairo", "America/Havana")
METRICS = ("impressions", "favorites")

Row = dict[str, Any]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The date that a wall calendar shows."""
    return moment.astimezone(zone).date()


def first_hour_of(day: date, zone: ZoneInfo) -> datetime:
    """The first hour of UTC on which the calendar shows a date, found by looking at each."""
    moment = datetime.combine(day - timedelta(days=2), time(), UTC)
    while day_of(moment, zone) < day:
        moment += HOUR
    return moment


def hours_table(rows: Sequence[Row]) -> pyarrow.Table:
    instant = pyarrow.timestamp("ms", "UTC")
    return pyarrow.table(
        {
            "tweet_id": pyarrow.array([row["tweet_id"] for row in rows], pyarrow.string()),
            "period_start": pyarrow.array([row["period_start"] for row in rows], instant),
            "period_end": pyarrow.array([row["period_start"] + HOUR for row in rows], instant),
            "fetched_at": pyarrow.array([row["fetched_at"] for row in rows], instant),
            "is_final": pyarrow.array([row["is_final"] for row in rows], pyarrow.bool_()),
            **{metric: pyarrow.array([row[metric] for row in rows], pyarrow.int64()) for metric in METRICS},
        }
    )


def plain_sum(rows: Sequence[Row], metric: str) -> int | None:
    values = [row[metric] for row in rows]
    return None if None in values else sum(values)


def grouped(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


counts = st.one_of(st.none(), st.integers(-50, 10**12))


@st.composite
def hourly_rows(draw: st.DrawFn) -> list[Row]:
    """Runs of hours of some Tweets, around days on which clocks are changed in one zone or another."""
    change = draw(
        st.sampled_from([utc(2026, 3, 29), utc(2025, 10, 26), utc(2026, 3, 8), utc(2025, 11, 2), utc(2026, 4, 24)])
    )
    rows = []
    for number in range(draw(st.integers(1, 3))):
        start = change + draw(st.integers(-40, 10)) * HOUR
        for hour in range(draw(st.integers(1, 80))):
            rows.append(
                {
                    "tweet_id": f"200000000000000000{number}",
                    "period_start": start + hour * HOUR,
                    "fetched_at": utc(2026, 7, 1) + timedelta(milliseconds=draw(st.integers(0, 3))),
                    "is_final": draw(st.booleans()),
                    **{metric: draw(counts) for metric in METRICS},
                }
            )
    return draw(st.permutations(rows))


@settings(max_examples=25)
@given(hourly_rows(), st.sampled_from(WHOLE_HOUR_ZONES))
def test_days_are_the_sums_of_the_hours_that_the_calendar_of_the_zone_puts_on_them(rows: list[Row], name: str) -> None:
    zone = ZoneInfo(name)
    expected = {}
    for (tweet_id, day), hours in grouped(
        rows, lambda row: (row["tweet_id"], day_of(row["period_start"], zone))
    ).items():
        expected[tweet_id, first_hour_of(day, zone)] = {
            "period_end": first_hour_of(day + timedelta(days=1), zone),
            "fetched_at": max(hour["fetched_at"] for hour in hours),
            "is_final": all(hour["is_final"] for hour in hours),
            **{metric: plain_sum(hours, metric) for metric in METRICS},
        }
    days = by_day(hours_table(rows), METRICS, zone).to_pylist()
    assert {(day.pop("tweet_id"), day.pop("period_start")): day for day in days} == expected


@settings(max_examples=25)
@given(hourly_rows(), st.sampled_from([*WHOLE_HOUR_ZONES, "Asia/Kolkata"]))
def test_hours_of_day_are_the_sums_of_the_hours_that_clocks_of_the_zone_number_alike(
    rows: list[Row], name: str
) -> None:
    zone = ZoneInfo(name)
    groups = grouped(rows, lambda row: (row["tweet_id"], row["period_start"].astimezone(zone).hour))
    found = by_hour_of_day(hours_table(rows), METRICS, zone).to_pylist()
    assert {(row["tweet_id"], row["hour_of_day"]): [row[metric] for metric in METRICS] for row in found} == {
        key: [plain_sum(hours, metric) for metric in METRICS] for key, hours in groups.items()
    }
    assert len(found) == len(groups)


@settings(max_examples=25)
@given(hourly_rows())
def test_a_window_is_the_sum_of_all_of_a_tweets_hours_and_bears_the_span_it_is_said_to_be_of(rows: list[Row]) -> None:
    span = TimeRange(utc(2025, 1, 1), utc(2026, 7, 1))
    found = over_window(hours_table(rows), METRICS, lambda tweet_id: span).to_pylist()
    expected = grouped(rows, lambda row: row["tweet_id"])
    assert {row["tweet_id"]: [row[metric] for metric in METRICS] for row in found} == {
        tweet_id: [plain_sum(hours, metric) for metric in METRICS] for tweet_id, hours in expected.items()
    }
    assert {(row["period_start"], row["period_end"]) for row in found} == {(span.start, span.end)}


@settings(max_examples=25)
@given(hourly_rows(), st.data())
def test_sums_made_in_pieces_are_the_sums_made_at_once(rows: list[Row], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    zone = ZoneInfo("Europe/Prague")
    pieces = [by_day(hours_table(piece), METRICS, zone) for piece in (rows[:cut], rows[cut:]) if piece]
    key = ("tweet_id", "period_start")
    again = summed_again(pyarrow.concat_tables(pieces), METRICS, key)
    order = [(name, "ascending") for name in key]
    at_once = by_day(hours_table(rows), METRICS, zone)
    assert again.sort_by(order).select(at_once.column_names).to_pylist() == at_once.sort_by(order).to_pylist()


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Prague", utc(2026, 3, 29, 12), 23),
        ("Europe/Prague", utc(2025, 10, 26, 12), 25),
        ("America/New_York", utc(2026, 3, 8, 17), 23),
        ("America/New_York", utc(2025, 11, 2, 17), 25),
        ("Africa/Cairo", utc(2026, 4, 24, 10), 23),  # the clocks go from midnight to one: the day has no midnight
        ("America/Havana", utc(2025, 11, 2, 17), 25),  # midnight comes twice
        ("Australia/Lord_Howe", utc(2026, 1, 5, 12), 24),
        ("UTC", utc(2026, 3, 29, 12), 24),
    ],
)
def test_days_on_which_clocks_are_changed_have_23_or_25_hours(zone: str, noon: datetime, hours: int) -> None:
    first, following = local_day(noon, ZoneInfo(zone))
    assert following - first == hours * HOUR
    assert first <= noon < following
    calendar = {day_of(first + number * HOUR, ZoneInfo(zone)) for number in range(hours)}
    assert calendar == {day_of(noon, ZoneInfo(zone))}
    assert day_of(first - timedelta(microseconds=1), ZoneInfo(zone)) not in calendar
    assert day_of(following, ZoneInfo(zone)) not in calendar


def test_the_days_on_which_lord_howe_moves_its_clocks_by_half_an_hour_are_half_an_hour_longer_or_shorter() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    autumn, spring = (local_day(noon, zone) for noon in (utc(2026, 4, 5, 1), utc(2025, 10, 5, 1)))
    assert autumn[1] - autumn[0] == timedelta(hours=24, minutes=30)
    assert spring[1] - spring[0] == timedelta(hours=23, minutes=30)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_days_that_begin_within_an_hour_of_utc_are_refused_since_no_sum_of_hours_is_such_a_day(zone: str) -> None:
    # Lord Howe is at UTC+11 at both ends of the window, and at UTC+10:30 between them.
    window = TimeRange(utc(2026, 1, 5, 13), utc(2026, 11, 5, 13))
    with pytest.raises(InvalidQueryError, match=r"time_zone.*middle of an hour of UTC"):
        check_days_of_hours(window, ZoneInfo(zone))


@pytest.mark.parametrize("zone", [*WHOLE_HOUR_ZONES, "Australia/Lord_Howe"])
def test_days_that_begin_with_an_hour_of_utc_are_taken(zone: str) -> None:
    check_days_of_hours(TimeRange(utc(2026, 1, 1, 5), utc(2026, 3, 31, 7)), ZoneInfo(zone))


def test_a_window_that_cuts_a_day_in_two_is_refused_at_the_edge_that_does() -> None:
    prague = ZoneInfo("Europe/Prague")
    check_whole_days(TimeRange(utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)), prague)
    with pytest.raises(InvalidQueryError, match="start: 2026-03-28T22:00"):
        check_whole_days(TimeRange(utc(2026, 3, 28, 22), utc(2026, 3, 29, 22)), prague)
    with pytest.raises(InvalidQueryError, match="end: 2026-03-29T23:00"):
        check_whole_days(TimeRange(utc(2026, 3, 28, 23), utc(2026, 3, 29, 23)), prague)


@given(st.integers(0, 9000), st.integers(1, 200), st.sampled_from(WHOLE_HOUR_ZONES), st.booleans())
def test_of_some_hours_the_whole_days_are_those_of_which_no_hour_is_missing(
    offset: int, length: int, name: str, first_is_whole: bool
) -> None:
    zone = ZoneInfo(name)
    hours = TimeRange(utc(2025, 6, 1) + offset * HOUR, utc(2025, 6, 1) + (offset + length) * HOUR)
    inside = [hours.start + number * HOUR for number in range(length)]
    by_date = grouped([{"at": moment} for moment in inside], lambda row: day_of(row["at"], zone))
    whole = set()
    for day in by_date:
        begins = first_hour_of(day, zone) >= hours.start or (first_is_whole and day == day_of(hours.start, zone))
        ends = first_hour_of(day + timedelta(days=1), zone) <= hours.end
        if begins and ends:
            whole |= {row["at"] for row in by_date[day]}
    found = whole_days_of(hours, zone, first_is_whole=first_is_whole)
    assert ({found.start + number * HOUR for number in range(found.hours)} if found else set()) == whole


def test_a_null_hour_makes_its_sum_null_and_no_other() -> None:
    rows = [
        {
            "tweet_id": "1",
            "period_start": utc(2026, 1, 5) + hour * HOUR,
            "fetched_at": utc(2026, 2, 1),
            "is_final": True,
            "impressions": None if hour == 30 else 1,
            "favorites": 2,
        }
        for hour in range(72)
    ]
    days = by_day(hours_table(rows), METRICS, ZoneInfo("UTC")).to_pylist()
    assert [(day["impressions"], day["favorites"]) for day in days] == [(24, 48), (None, 48), (24, 48)]


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", None, "../etc/passwd", "CEST"])
def test_an_unknown_time_zone_is_refused_with_an_example(name: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"time_zone.*Europe/Prague"):
        parse_time_zone(name)
