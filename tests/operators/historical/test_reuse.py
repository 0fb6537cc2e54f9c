"""Which responses are final, restated or reused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import EngagementError
from airflow_provider_engagement.parameters import Freshness
from airflow_provider_engagement.simulator import Fault, Handle, Simulator, Switches, World

from ...oracle import HOUR, hours_between, summed
from .conftest import DAY, METRICS, NOW, WEEK, hourly_truth, utc


def test_an_hour_is_final_after_the_settling_time(pull: Callable[..., Any], dataset: Any) -> None:
    pull((utc(2026, 1, 8), utc(2026, 1, 11)), freshness=Freshness(settles_after=timedelta(hours=48)))
    final = {(row["period_start"], row["is_final"]) for row in dataset.rows("tweet_metrics/hour")}
    assert final == {
        (hour, hour + HOUR <= NOW - 48 * HOUR) for hour in hours_between(utc(2026, 1, 8), utc(2026, 1, 11))
    }


def test_restated_counts_replace_the_published_counts_and_are_listed(
    pull: Callable[..., Any], present: Any, dataset: Any, simulator: Simulator
) -> None:
    simulator.switches = Switches(restatement=True)
    interval = utc(2026, 1, 10), utc(2026, 1, 12)
    pull(interval, extra_tables=["restatements"], freshness=Freshness(reuse_for=timedelta(hours=0)))
    before = dataset.counts(METRICS)
    assert dataset.rows("restatements") == []
    present.shift(5 * DAY)
    simulator.clock.advance(5 * DAY)
    report = pull(interval, extra_tables=["restatements"], freshness=Freshness(reuse_for=timedelta(hours=0)))
    after = dataset.counts(METRICS)
    assert after.keys() == before.keys()
    for (tweet_id, hour), row in after.items():
        for metric, count in zip(METRICS, row, strict=True):
            assert count is None or count == simulator.count(tweet_id, metric, hour, hour + HOUR)
    changes = {
        (row["tweet_id"], row["period_start"], row["metric"]): (row["old_value"], row["new_value"])
        for row in dataset.rows("restatements")
    }
    assert changes == {
        (*key, metric): (old, new)
        for key in before
        for metric, old, new in zip(METRICS, before[key], after[key], strict=True)
        if old != new
    }
    assert len(changes) == report["rows"]["restatements"] > 0
    assert all(row["is_final"] for row in dataset.rows("tweet_metrics/hour"))


@pytest.mark.parametrize("granularity", ["day", "total"])
def test_a_rerun_updates_the_sums_of_restated_hours(
    pull: Callable[..., Any],
    present: Any,
    world: World,
    ids: list[str],
    dataset: Any,
    simulator: Simulator,
    granularity: str,
) -> None:
    simulator.switches = Switches(restatement=True)
    interval = utc(2025, 12, 1), utc(2026, 1, 12)
    pull(interval, granularity=granularity)
    present.shift(5 * DAY)
    simulator.clock.advance(5 * DAY)
    report = pull(interval, granularity=granularity)
    assert report["requests"]["reused"] > 0 < report["requests"]["sent"]
    hourly = hourly_truth(world, ids, *interval)
    expected = summed(hourly, lambda hour: hour.replace(hour=0) if granularity == "day" else interval[0])
    assert dataset.counts(METRICS, granularity) == expected


def test_final_responses_are_reused_forever_and_others_for_reuse_hours(
    pull: Callable[..., Any], present: Any, simulator: Simulator
) -> None:
    def sent(**parameters: Any) -> int:
        return pull(
            (utc(2026, 1, 8), utc(2026, 1, 11)), freshness=Freshness(reuse_for=timedelta(hours=6)), **parameters
        )["requests"]["sent"]

    batches = sent()
    assert batches > 0
    assert sent() == 0
    present.shift(5 * HOUR)
    assert sent() == 0
    present.shift(2 * HOUR)
    assert sent() == batches
    present.shift(3 * DAY)
    assert sent() == batches  # the last time, because all hours are final now
    present.shift(300 * DAY)
    simulator.clock.set(NOW + 304 * DAY)
    assert sent() == 0


def test_an_outdated_response_does_not_replace_a_failed_request(
    pull: Callable[..., Any], present: Any, simulator: Simulator
) -> None:
    pull((utc(2026, 1, 10), utc(2026, 1, 11)))
    present.shift(30 * HOUR)
    simulator.faults.add(Fault.text(503, times=None))
    with pytest.raises(EngagementError, match="503"):
        pull((utc(2026, 1, 10), utc(2026, 1, 11)))


def test_a_different_request_never_reuses_a_response(
    pull: Callable[..., Any],
    connect: Callable[..., str],
    world: World,
    author: Handle,
    ids: list[str],
    simulator: Simulator,
) -> None:
    readable = [tweet_id for tweet_id in ids if not world.tweets[tweet_id].deleted]
    base = {"data_interval": WEEK, "tweets": readable[:20], "metrics": ["impressions"]}
    assert pull(**base)["requests"]["sent"] == 1
    for change in (
        {"tweets": readable[:19]},
        {"metrics": ["favorites"]},
        {"data_interval": (WEEK[0], WEEK[1] - HOUR)},
        {"data_interval": (WEEK[0] + HOUR, WEEK[1])},
        {"groupings": {"grand": ["engagement.type"]}},
    ):
        assert pull(**{**base, **change})["requests"]["sent"] == 1, change
    other = next(handle for handle in world.handles.values() if handle != author)
    connect(other, "other")
    with pytest.raises(AirflowFailException, match="did not post 20 of the Tweets"):
        pull(**base, engagement_conn_id="other")
    assert pull(**base)["requests"]["sent"] == 0


def test_another_granularity_reuses_every_response(pull: Callable[..., Any]) -> None:
    assert pull(WEEK)["requests"]["sent"] > 0
    for granularity in ("day", "total", "hour_of_day"):
        assert pull(WEEK, granularity=granularity)["requests"]["sent"] == 0
