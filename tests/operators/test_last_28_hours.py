"""Pulls of the last 28 hours. The API decides on the hours and returns them; the last of them is incomplete."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator
from airflow_provider_engagement.simulator import Fault, Simulator, Switches, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = datetime(2026, 1, 11, 5, tzinfo=UTC)
"""The hour in which the last 28 hours start."""
END = datetime(2026, 1, 12, 10, tzinfo=UTC)
METRICS = ("impressions", "favorites")

Cells = dict[tuple[str, datetime], tuple[int | None, ...]]


@pytest.fixture
def world(series_world: World) -> World:
    return series_world


@pytest.fixture
def simulator(series_simulator: Simulator) -> Simulator:
    return series_simulator


@pytest.fixture
def pull(pull_series: Callable[..., Any]) -> Callable[..., Any]:
    """Pull the author's Tweets in a run at a given time."""

    def pulled(at: datetime = NOW, **parameters: Any) -> Any:
        context = {"data_interval_start": at, "data_interval_end": at}
        defaults = {"task_id": "monitor", "metrics": list(METRICS)}
        return pull_series(Engagement28HourOperator, context, **{**defaults, **parameters})

    return pulled


def truth(simulator: Simulator, ids: list[str], first: datetime = FIRST, end: datetime = END) -> Cells:
    """Return the current counts of the hours of all Tweets that exist, from their creation on."""
    expected: Cells = {}
    for tweet_id in ids:
        tweet = simulator.world.tweets[tweet_id]
        created = tweet.created_at
        hour = first if created is None else max(first, created.replace(minute=0, second=0, microsecond=0))
        while hour < end and not tweet.deleted:
            expected[tweet_id, hour] = tuple(simulator.count(tweet_id, metric, hour, hour + HOUR) for metric in METRICS)
            hour += HOUR
    return expected


def test_every_hour_that_the_api_covers_has_one_true_row(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    report = pull()
    assert dataset.counts(METRICS) == truth(simulator, ids)
    assert report["requests"]["sent"] == -(-len(ids) // 25)
    assert report["interval"] is None


def test_the_hours_are_those_that_the_api_returns_whatever_the_local_clock_shows(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    simulator.clock.advance(timedelta(hours=3, minutes=30))  # to a whole hour: the window then has 28 hours
    pull()
    assert dataset.counts(METRICS) == truth(simulator, ids, FIRST + 4 * HOUR, END + 3 * HOUR)


@pytest.mark.parametrize("settling_hours", [72, 10, 0])
def test_the_current_hour_is_never_final(pull: Callable[..., Any], dataset: Any, settling_hours: float) -> None:
    pull(settles_after=timedelta(hours=settling_hours))
    final = {(row["period_start"], row["is_final"]) for row in dataset.rows("tweet_metrics/hour")}
    hours = [FIRST + number * HOUR for number in range(29)]
    assert final == {(hour, hour + HOUR <= NOW - settling_hours * HOUR) for hour in hours}
    assert (END - HOUR, False) in final


def test_a_later_run_replaces_the_hours_it_shares_and_lists_restated_counts(
    pull: Callable[..., Any], present: Any, simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    pull(extra_tables=["restatements"])
    before = dataset.counts(METRICS)
    for clock in (present.shift, simulator.clock.advance):
        clock(6 * HOUR)
    pull(NOW + 6 * HOUR, extra_tables=["restatements"])
    after = dataset.counts(METRICS)
    earlier = {key: row for key, row in before.items() if key[1] < FIRST + 6 * HOUR}
    assert after == earlier | truth(simulator, ids, FIRST + 6 * HOUR, END + 6 * HOUR)
    changed = {
        (row["tweet_id"], row["period_start"], row["metric"]): (row["old_value"], row["new_value"])
        for row in dataset.rows("restatements")
    }
    # Only the hour that was incomplete.
    assert {hour for _, hour, _ in changed} == {END - HOUR}
    assert changed == {
        (*key, metric): (old, new)
        for key in before.keys() & after.keys()
        for metric, old, new in zip(METRICS, before[key], after[key], strict=True)
        if old != new
    }


def test_a_retry_reuses_all_responses_and_another_run_reuses_none(pull: Callable[..., Any], ids: list[str]) -> None:
    batches = -(-len(ids) // 25)
    assert pull()["requests"]["sent"] == batches
    assert pull()["requests"]["sent"] == 0
    assert pull(NOW - HOUR)["requests"]["sent"] == batches


def test_totals_and_hours_of_day_are_sums_of_the_same_hours(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    pull(granularity="total")
    pull(granularity="hour_of_day", time_zone=zone.key)
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(METRICS))
    of_day: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * len(METRICS))
    for (tweet_id, hour), counts in truth(simulator, ids).items():
        for number, count in enumerate(counts):
            totals[tweet_id][number] += count or 0
            of_day[tweet_id, hour.astimezone(zone).hour][number] += count or 0
    found = dataset.rows("tweet_metrics/total")
    assert {row["tweet_id"]: [row[metric] for metric in METRICS] for row in found} == totals
    assert {(row["period_start"], row["period_end"], row["is_final"]) for row in found} == {(FIRST, END, False)}
    found = dataset.rows("tweet_hours_of_day")
    assert {(row["tweet_id"], row["hour_of_day"]): [row[metric] for metric in METRICS] for row in found} == of_day


def test_granularity_day_is_an_error(pull: Callable[..., Any], simulator: Simulator) -> None:
    with pytest.raises(AirflowFailException, match=r"granularity.*day.*hour, total, hour_of_day"):
        pull(granularity="day")
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("shape", ["hour_of_day", "dated"])
def test_groupings_keep_the_nesting_of_the_response(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], shape: str
) -> None:
    simulator.switches = Switches(hour_without_day=shape)  # type: ignore[arg-type]
    report = pull(groupings={"by_hour": ["engagement.type", "engagement.hour"], "grand": ["engagement.type"]})
    found = json.loads(Path(report["outputs"]["groupings"]).read_text())
    hourly: Any = {metric: defaultdict(int) for metric in METRICS}
    dated: Any = {metric: defaultdict(lambda: defaultdict(int)) for metric in METRICS}
    for (_, hour), counts in truth(simulator, ids).items():
        for metric, count in zip(METRICS, counts, strict=True):
            hourly[metric][f"{hour:%H}"] += count
            dated[metric][f"{hour:%Y-%m-%d}"][f"{hour:%H}"] += count
    assert found["by_hour"] == (hourly if shape == "hour_of_day" else dated)
    assert found["grand"] == {metric: sum(hours.values()) for metric, hours in hourly.items()}


def test_every_tweet_has_a_status_and_coverage_deleted_tweets_too(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    pull(tweets=[*ids, *ids[:5]])
    statuses = {tweet_id: row["outcome"] for tweet_id, row in dataset.statuses().items()}
    assert statuses == {tweet_id: "unavailable" if world.tweets[tweet_id].deleted else "ok" for tweet_id in ids}
    coverage = {row["tweet_id"]: row for row in dataset.rows("coverage")}
    assert {tweet_id: row["outcome"] for tweet_id, row in coverage.items()} == statuses
    assert {row["window_end"] for row in coverage.values()} == {END}


def test_rows_are_true_despite_faults(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    simulator.faults.add(
        Fault.text(503, nth=1), Fault(drop="before_headers", nth=2), Fault(drop="after_headers", nth=3)
    )
    simulator.faults.add(Fault(truncate_gzip=True, nth=4))
    report = pull()
    assert report["requests"]["sent"] == -(-len(ids) // 25) + 4
    assert dataset.counts(METRICS) == truth(simulator, ids)


def test_a_small_pull_returns_its_rows_without_dataset_path(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str]
) -> None:
    report = pull(tweets=ids[-5:], dataset_path=None)
    found = {
        (row["tweet_id"], datetime.fromisoformat(row["period_start"])): tuple(row[metric] for metric in METRICS)
        for row in report["tweet_metrics"]
    }
    assert found == truth(simulator, ids[-5:])


def test_a_pull_of_deleted_tweets_alone_has_coverage(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], dataset: Any
) -> None:
    deleted = [tweet_id for tweet_id in ids if simulator.world.tweets[tweet_id].deleted]
    assert deleted
    pull(tweets=deleted)
    coverage = dataset.rows("coverage")
    assert {row["tweet_id"]: row["outcome"] for row in coverage} == dict.fromkeys(deleted, "unavailable")
    assert dataset.rows("tweet_metrics/hour") == []
