"""Which hours a pull of history covers: of its run, of its parameters, and as many as the API has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.parameters import Interval
from airflow_provider_engagement.simulator import Simulator, Switches, World

from .conftest import DAY, METRICS, NOW, WEEK, hourly_truth, interval_of, utc


def test_the_default_interval_is_the_data_interval(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    report = pull(
        (pendulum.datetime(2026, 1, 5, tz="Europe/Prague"), pendulum.datetime(2026, 1, 6, tz="Europe/Prague"))
    )
    assert interval_of(report) == ("2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z")
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 4, 23), utc(2026, 1, 5, 23))


def test_an_empty_data_interval_is_an_error_that_names_the_timetable_to_use(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(AirflowFailException, match=r"empty.*CronDataIntervalTimetable"):
        pull((WEEK[0], WEEK[0]))
    assert len(simulator.journal) == 0


def test_a_run_without_data_interval_is_an_error_that_names_the_alternatives(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(
        AirflowFailException, match="Set start and end, or schedule the DAG by data interval or by partition"
    ):
        pull(None)
    assert len(simulator.journal) == 0


@pytest.mark.parametrize(
    ("source", "key", "interval"),
    [
        ("context", "2026-01-05", ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z")),
        ("run", "2026-01-05T06", ("2026-01-05T06:00:00Z", "2026-01-05T07:00:00Z")),
        ("context", "2025-12", ("2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z")),
    ],
)
def test_the_interval_of_a_partitioned_run_is_its_partition(
    pull: Callable[..., Any], ids: list[str], source: str, key: str, interval: tuple[str, str]
) -> None:
    run = SimpleNamespace(run_after=NOW, run_type="scheduled", partition_key=key if source == "run" else None)
    context = {"dag_run": run, "logical_date": None} | ({"partition_key": key} if source == "context" else {})
    assert interval_of(pull(None, tweets=ids[-1:], context=context)) == interval


def test_a_partition_key_that_is_not_an_interval_is_an_error(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"partition_key.*key_format"):
        pull(None, context={"partition_key": "2026-01-05T00:00:00"})


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        ("2026-01-04", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
        (date(2026, 1, 4), utc(2026, 1, 4, 5), ("2026-01-04T00:00:00Z", "2026-01-04T05:00:00Z")),
        ("2026-01-04T01:00:00+01:00", "2026-01-04T02:00:00Z", ("2026-01-04T00:00:00Z", "2026-01-04T02:00:00Z")),
        ("{{ macros.ds_add('2026-01-05', -1) }}", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
        # Relative to the time of the run, which is the end of its data interval, 2026-01-11 00:30:
        ("36h", "now", ("2026-01-09T12:00:00Z", "2026-01-11T00:00:00Z")),
        ("2d", "24h", ("2026-01-09T00:00:00Z", "2026-01-10T00:00:00Z")),
        ("1w", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
    ],
)
def test_start_and_end_accept_times_dates_templates_and_durations_before_the_run(
    pull: Callable[..., Any], ids: list[str], start: Any, end: Any, interval: tuple[str, str]
) -> None:
    from airflow.sdk import timezone  # noqa: F401
    from airflow.sdk.execution_time import macros

    run = utc(2026, 1, 10), utc(2026, 1, 11, 0, 30)
    report = pull(run, tweets=ids[-1:], start=start, end=end, context={"macros": macros})
    assert interval_of(report) == interval


def test_start_and_end_must_be_set_together(pull: Callable[..., Any]) -> None:
    for edge in ("start", "end"):
        with pytest.raises(AirflowFailException, match="Set start and end, or neither"):
            pull(WEEK, **{edge: "2026-01-05"})


def test_a_reversed_interval_and_a_time_without_zone_are_errors(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match="is after end"):
        pull(start="2026-01-06", end="2026-01-05")
    with pytest.raises(AirflowFailException, match="no time zone"):
        pull(start="2026-01-06T00:00:00", end="2026-01-07")


def test_on_unaligned_selects_an_error_or_rounding_which_is_reported(pull: Callable[..., Any]) -> None:
    unaligned = {"start": "2026-01-05T10:20:00Z", "end": "2026-01-05T15:40:00Z"}
    with pytest.raises(AirflowFailException, match="on_unaligned"):
        pull(**unaligned)
    report = pull(interval=Interval(on_unaligned="expand"), **unaligned)
    assert interval_of(report) == ("2026-01-05T10:00:00Z", "2026-01-05T16:00:00Z")
    assert [(one["edge"], one["requested"], one["used"]) for one in report["adjustments"]] == [
        ("start", "2026-01-05T10:20:00Z", "2026-01-05T10:00:00Z"),
        ("end", "2026-01-05T15:40:00Z", "2026-01-05T16:00:00Z"),
    ]
    assert interval_of(pull(interval=Interval(on_unaligned="shrink"), **unaligned)) == (
        "2026-01-05T11:00:00Z",
        "2026-01-05T15:00:00Z",
    )


def test_on_out_of_range_selects_an_error_or_clipping_which_is_reported(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    future = {"start": "2026-01-12T00:00:00Z", "end": "2026-01-13T00:00:00Z"}
    with pytest.raises(AirflowFailException, match=r"end: 2026-01-13.*end of the last complete hour.*clip"):
        pull(**future)
    old = {"start": "2025-01-01", "end": "2025-01-20"}
    with pytest.raises(AirflowFailException, match=r"start: 2025-01-01.*the oldest hour that the API has.*clip"):
        pull(**old)
    assert len(simulator.journal) == 0
    report = pull(interval=Interval(on_out_of_range="clip"), **future)
    assert interval_of(report) == ("2026-01-12T00:00:00Z", "2026-01-12T09:00:00Z")
    assert report["adjustments"] == [
        {
            "edge": "end",
            "requested": "2026-01-13T00:00:00Z",
            "used": "2026-01-12T09:00:00Z",
            "reason": "after the last complete hour",
        }
    ]
    report = pull(interval=Interval(on_out_of_range="clip"), to="old", **old)
    assert interval_of(report) == ("2025-01-12T10:00:00Z", "2025-01-20T00:00:00Z")
    assert report["adjustments"][0]["edge"] == "start"
    assert dataset.sibling("old").counts(METRICS) == hourly_truth(world, ids, utc(2025, 1, 12, 10), utc(2025, 1, 20))


def test_history_days_none_allows_older_intervals(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    simulator.switches = Switches(history_floor="2014")
    pull(start="2023-03-01", end="2023-03-03", interval=Interval(max_age="unlimited"))
    expected = hourly_truth(world, ids, utc(2023, 3, 1), utc(2023, 3, 3))
    assert expected
    assert dataset.counts(METRICS) == expected


def test_lookback_hours_extend_the_interval_before_its_start(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    report = pull((utc(2026, 1, 9), utc(2026, 1, 10)), interval=Interval(lookback=timedelta(hours=72)))
    assert interval_of(report) == ("2026-01-06T00:00:00Z", "2026-01-10T00:00:00Z")
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 6), utc(2026, 1, 10))


def test_a_lookback_across_a_clock_change_covers_whole_days(pull: Callable[..., Any], present: Any) -> None:
    prague = ZoneInfo("Europe/Prague")
    interval = datetime(2025, 10, 27, tzinfo=prague), datetime(2025, 10, 28, tzinfo=prague)
    report = pull(
        interval, interval=Interval(lookback=timedelta(hours=72)), granularity="day", time_zone="Europe/Prague"
    )
    assert interval_of(report) == ("2025-10-23T22:00:00Z", "2025-10-27T23:00:00Z")


@pytest.mark.parametrize("days", [28, 29])
def test_an_interval_of_any_length_is_split_into_windows_and_merged(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, days: int, simulator: Simulator
) -> None:
    end = utc(2026, 1, 10, 7)
    report = pull((end - days * DAY, end))
    assert dataset.counts(METRICS) == hourly_truth(world, ids, end - days * DAY, end)
    for entry in simulator.journal:
        start, stop = (datetime.fromisoformat(entry.body[edge]) for edge in ("start", "end"))
        assert stop - start <= 28 * DAY
        assert len(entry.body["tweet_ids"]) <= 25
    windows = -(-days // 28)
    assert report["requests"]["sent"] <= -(-len(ids) // 25) * windows
