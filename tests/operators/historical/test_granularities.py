"""Hours, days, totals and hours of day have the same counts, in every zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.parameters import AfterPost, Interval
from airflow_provider_engagement.simulator import Simulator, World

from ...oracle import HOUR, summed
from .conftest import METRICS, WEEK, hourly_truth, interval_of, utc


def test_hours_days_and_totals_agree(pull: Callable[..., Any], world: World, ids: list[str], dataset: Any) -> None:
    interval = utc(2025, 12, 11), utc(2026, 1, 10)
    for granularity in ("hour", "day", "total"):
        pull(interval, granularity=granularity)
    hourly = dataset.counts(METRICS, "hour")
    assert hourly == hourly_truth(world, ids, *interval)
    assert dataset.counts(METRICS, "day") == summed(hourly, lambda hour: hour.replace(hour=0))
    assert dataset.counts(METRICS, "total") == summed(hourly, lambda hour: interval[0])


@pytest.mark.parametrize(
    ("zone", "interval", "clock_change"),
    [
        ("Europe/Prague", (datetime(2025, 9, 20), datetime(2025, 11, 2)), date(2025, 10, 26)),
        ("America/New_York", (datetime(2025, 3, 1), datetime(2025, 4, 10)), date(2025, 3, 9)),
    ],
)
def test_days_of_a_zone_are_complete_across_clock_changes_and_windows(
    pull: Callable[..., Any],
    world: World,
    ids: list[str],
    dataset: Any,
    zone: str,
    interval: tuple[datetime, datetime],
    clock_change: date,
) -> None:
    place = ZoneInfo(zone)
    start, end = (edge.replace(tzinfo=place).astimezone(UTC) for edge in interval)
    pull((start, end), granularity="day", time_zone=zone)
    expected = summed(hourly_truth(world, ids, start, end), lambda hour: hour.astimezone(place).date())
    found = {
        (row["tweet_id"], row["period_start"].astimezone(place).date()): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_metrics/day")
    }
    assert found == expected
    lengths = {
        (row["period_end"] - row["period_start"]) // HOUR
        for row in dataset.rows("tweet_metrics/day")
        if row["period_start"].astimezone(place).date() == clock_change
    }
    assert lengths in ({23}, {25})


def test_a_date_is_midnight_in_the_time_zone_of_the_task(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    manifest = pull(
        granularity="day",
        time_zone="Europe/Berlin",
        start="{{ ds }}",
        end="{{ macros.ds_add(ds, 1) }}",
        context={"ds": "2026-01-05", "macros": SimpleNamespace(ds_add=lambda ds, days: "2026-01-06")},
    )
    assert interval_of(manifest) == ("2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z")
    assert manifest["adjustments"] == []
    berlin = ZoneInfo("Europe/Berlin")
    expected = summed(
        hourly_truth(world, ids, utc(2026, 1, 4, 23), utc(2026, 1, 5, 23)), lambda hour: hour.astimezone(berlin).date()
    )
    found = {
        (row["tweet_id"], row["period_start"].astimezone(berlin).date()): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_metrics/day")
    }
    assert found == expected


@pytest.mark.parametrize(
    ("start", "end", "zone", "whole"),
    [
        ("7d", "now", "UTC", ("2026-01-05T00:00:00Z", "2026-01-11T00:00:00Z")),
        ("7d", "now", "Europe/Berlin", ("2026-01-04T23:00:00Z", "2026-01-10T23:00:00Z")),
        ("2026-01-09", "now", "UTC", ("2026-01-09T00:00:00Z", "2026-01-11T00:00:00Z")),
        ("1w", "2026-01-08", "America/New_York", ("2026-01-05T05:00:00Z", "2026-01-08T05:00:00Z")),
    ],
)
def test_a_rolling_interval_of_days_means_the_whole_days_within(
    pull: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    start: str,
    end: str,
    zone: str,
    whole: tuple[str, str],
) -> None:
    interval = utc(2026, 1, 11, 6), utc(2026, 1, 11, 7)  # the time of the run is 07:00
    manifest = pull(interval, start=start, end=end, granularity="day", time_zone=zone)
    assert interval_of(manifest) == whole
    for adjustment in manifest["adjustments"]:
        assert adjustment["reason"] == f"granularity is day, so the whole days in {zone} are pulled"
    assert f"the whole days in {zone} are pulled" in caplog.text


@pytest.mark.parametrize(
    ("start", "end", "zone", "whole"),
    [
        ("2014-09-01", "2025-01-20", "UTC", ("2025-01-13T00:00:00Z", "2025-01-20T00:00:00Z")),
        ("400d", "2025-01-20", "Europe/Berlin", ("2025-01-12T23:00:00Z", "2025-01-19T23:00:00Z")),
        ("2026-01-10", "2026-01-20", "America/New_York", ("2026-01-10T05:00:00Z", "2026-01-12T05:00:00Z")),
    ],
)
def test_an_interval_of_days_is_clipped_to_whole_days(
    pull: Callable[..., Any], start: str, end: str, zone: str, whole: tuple[str, str]
) -> None:
    manifest = pull(start=start, end=end, granularity="day", time_zone=zone, interval=Interval(on_out_of_range="clip"))
    assert interval_of(manifest) == whole
    assert manifest["adjustments"][-1]["reason"] == f"granularity is day, so the whole days in {zone} are pulled"


def test_a_rolling_interval_without_a_whole_day_is_an_error(pull: Callable[..., Any]) -> None:
    interval = utc(2026, 1, 11, 6), utc(2026, 1, 11, 7)
    with pytest.raises(AirflowFailException, match="start: there is no whole day in UTC from"):
        pull(interval, start="12h", end="now", granularity="day")


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
@pytest.mark.parametrize("start", ["2026-01-05", "7d"])
def test_the_error_of_a_zone_between_hours_says_that_no_setting_helps(
    pull: Callable[..., Any], zone: str, start: str
) -> None:
    with pytest.raises(AirflowFailException, match=rf"^time_zone: a day in {zone} starts .* no setting gives the days"):
        pull(WEEK, start=start, end="now", granularity="day", time_zone=zone)


def test_incomplete_days_and_zones_without_whole_utc_hours_are_errors(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(AirflowFailException, match="is not midnight in Europe/Prague"):
        pull(WEEK, granularity="day", time_zone="Europe/Prague")
    with pytest.raises(AirflowFailException, match=r"time_zone.*Asia/Kolkata"):
        pull(WEEK, granularity="day", time_zone="Asia/Kolkata")
    with pytest.raises(AirflowFailException, match=r"time_zone.*Asia/Kolkata"):
        pull(WEEK, granularity="day", time_zone="Asia/Kolkata", interval=AfterPost(3))
    assert len(simulator.journal) == 0


def test_hours_of_day_are_sums_over_the_interval_in_a_zone(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    interval = utc(2025, 12, 11), utc(2026, 1, 10)
    zone = ZoneInfo("America/New_York")
    pull(interval, granularity="hour_of_day", time_zone=zone.key)
    found = {
        (row["tweet_id"], row["hour_of_day"]): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_hours_of_day")
    }
    assert found == summed(hourly_truth(world, ids, *interval), lambda hour: hour.astimezone(zone).hour)
