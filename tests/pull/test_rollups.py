"""Hourly counts are summed to days, to one row for each Tweet and to hours of day, as plain Python sums them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.pull.rollups import (
    HOURLY_COLUMNS,
    sum_by_day,
    sum_by_hour_of_day,
    sum_by_tweet,
    sum_rows,
)

HOUR = timedelta(hours=1)
ZONES = ("UTC", "Europe/Prague", "America/New_York", "Pacific/Apia", "Africa/Cairo", "America/Havana")
METRICS = ("impressions", "favorites")

Row = dict[str, Any]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


CLOCK_CHANGES = (utc(2026, 3, 29), utc(2025, 10, 26), utc(2026, 3, 8), utc(2025, 11, 2), utc(2026, 4, 24))
"""Days on which daylight saving time begins or ends in one of the zones."""


def local_date(time: datetime, zone: ZoneInfo) -> date:
    return time.astimezone(zone).date()


def first_hour_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first UTC hour of a day, found by trying each hour."""
    hour = datetime.combine(day - timedelta(days=2), time(), UTC)
    while local_date(hour, zone) < day:
        hour += HOUR
    return hour


def hours_table(rows: Sequence[Row]) -> pyarrow.Table:
    timestamp = pyarrow.timestamp("ms", "UTC")
    return pyarrow.table(
        {
            "tweet_id": pyarrow.array([row["tweet_id"] for row in rows], pyarrow.string()),
            "period_start": pyarrow.array([row["period_start"] for row in rows], timestamp),
            "period_end": pyarrow.array([row["period_start"] + HOUR for row in rows], timestamp),
            "fetched_at": pyarrow.array([row["fetched_at"] for row in rows], timestamp),
            "is_final": pyarrow.array([row["is_final"] for row in rows], pyarrow.bool_()),
            **{metric: pyarrow.array([row[metric] for row in rows], pyarrow.int64()) for metric in METRICS},
        }
    )


def plain_sum(rows: Sequence[Row], metric: str) -> int | None:
    values = [row[metric] for row in rows]
    return None if None in values else sum(values)


def summed(rows: Sequence[Row]) -> Row:
    """Return what a sum of rows holds beside its key and period."""
    return {
        "fetched_at": max(row["fetched_at"] for row in rows),
        "is_final": all(row["is_final"] for row in rows),
        **{metric: plain_sum(rows, metric) for metric in METRICS},
    }


def grouped(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


counts = st.none() | st.integers(-50, 10**12)


@st.composite
def hourly_rows(draw: st.DrawFn) -> list[Row]:
    """Draw consecutive hours of some Tweets, around a day on which clocks change, in any order."""
    change = draw(st.sampled_from(CLOCK_CHANGES))
    rows = []
    for number in range(draw(st.integers(1, 2))):
        start = change + draw(st.integers(-40, 10)) * HOUR
        for hour in range(draw(st.integers(1, 60))):
            rows.append(
                {
                    "tweet_id": f"200000000000000000{number}",
                    "period_start": start + hour * HOUR,
                    "fetched_at": utc(2026, 7, 1) + timedelta(milliseconds=draw(st.integers(0, 3))),
                    "is_final": draw(st.booleans()),
                    **{metric: draw(counts) for metric in METRICS},
                }
            )
    draw(st.randoms(use_true_random=False)).shuffle(rows)
    return rows


@settings(max_examples=20)
@given(hourly_rows(), st.sampled_from(ZONES))
def test_a_day_is_the_sum_of_its_hours_in_the_zone(rows: list[Row], name: str) -> None:
    zone = ZoneInfo(name)
    groups = grouped(rows, lambda row: (row["tweet_id"], local_date(row["period_start"], zone)))
    expected = {
        (tweet_id, first_hour_of(day, zone)): {"period_end": first_hour_of(day + timedelta(days=1), zone)}
        | summed(hours)
        for (tweet_id, day), hours in groups.items()
    }
    days = sum_by_day(hours_table(rows), METRICS, zone)
    assert set(days.column_names) == {*HOURLY_COLUMNS, *METRICS}
    assert {(day.pop("tweet_id"), day.pop("period_start")): day for day in days.to_pylist()} == expected


@settings(max_examples=20)
@given(hourly_rows(), st.sampled_from([*ZONES, "Asia/Kolkata"]))
def test_an_hour_of_day_is_the_sum_of_the_hours_with_its_number_in_the_zone(rows: list[Row], name: str) -> None:
    zone = ZoneInfo(name)
    groups = grouped(rows, lambda row: (row["tweet_id"], row["period_start"].astimezone(zone).hour))
    found = sum_by_hour_of_day(hours_table(rows), METRICS, zone).to_pylist()
    assert len(found) == len(groups)
    assert {(row.pop("tweet_id"), row.pop("hour_of_day")): row for row in found} == {
        key: summed(hours) for key, hours in groups.items()
    }


@settings(max_examples=20)
@given(hourly_rows())
def test_a_total_is_the_sum_of_all_hours_of_a_tweet_and_has_its_period(rows: list[Row]) -> None:
    periods = {f"200000000000000000{number}": TimeRange(utc(2025, 1, 1 + number), utc(2026, 7, 1)) for number in (0, 1)}
    found = sum_by_tweet(hours_table(rows), METRICS, periods.__getitem__).to_pylist()
    assert {row.pop("tweet_id"): row for row in found} == {
        tweet_id: {"period_start": periods[tweet_id].start, "period_end": periods[tweet_id].end} | summed(hours)
        for tweet_id, hours in grouped(rows, lambda row: row["tweet_id"]).items()
    }


@settings(max_examples=20)
@given(hourly_rows(), st.data())
def test_partial_sums_add_up_to_the_sum_of_all_hours(rows: list[Row], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    zone = ZoneInfo("Europe/Prague")
    partial = [sum_by_day(hours_table(some), METRICS, zone) for some in (rows[:cut], rows[cut:]) if some]
    key = ("tweet_id", "period_start")
    again = sum_rows(pyarrow.concat_tables(partial), METRICS, key)
    order = [(name, "ascending") for name in key]
    at_once = sum_by_day(hours_table(rows), METRICS, zone)
    assert again.sort_by(order).select(at_once.column_names).to_pylist() == at_once.sort_by(order).to_pylist()


def test_an_unknown_hour_makes_its_sum_unknown_and_no_other() -> None:
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
    days = sum_by_day(hours_table(rows), METRICS, ZoneInfo("UTC")).to_pylist()
    assert [(day["impressions"], day["favorites"]) for day in days] == [(24, 48), (None, 48), (24, 48)]
