"""The runs of a backfill share their requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_engagement.simulator import Simulator, World

from .conftest import DAY, hourly_truth, utc, without_times


def test_a_backfill_costs_about_as_much_as_one_pull_and_writes_the_same_rows(
    pull: Callable[..., Any], simulator: Simulator, dataset: Any
) -> None:
    first, runs, length = utc(2025, 1, 13), 28, 13 * DAY
    sent = 0
    for number in range(runs):
        interval = first + number * length, first + (number + 1) * length
        sent += pull(interval, run_type="backfill", metrics=["impressions"], granularity="day", to="backfill")[
            "requests"
        ]["sent"]
    assert sent == len(simulator.journal)
    one = pull((first, first + runs * length), metrics=["impressions"], granularity="day", to="one")["requests"]["sent"]
    assert sent <= 1.1 * one
    assert without_times(dataset.sibling("backfill").rows("tweet_metrics/day")) == without_times(
        dataset.sibling("one").rows("tweet_metrics/day")
    )


def test_runs_of_a_backfill_share_the_responses_of_a_block(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    days = [utc(2025, 12, 1) + number * DAY for number in range(10)]
    sent = [pull((day, day + DAY), run_type="backfill", metrics=["favorites"])["requests"]["sent"] for day in days]
    unshared = pull((days[0], days[0] + DAY), metrics=["favorites"], to="alone")["requests"]["sent"]
    assert sum(sent) < len(days) * unshared
    assert sum(number > 0 for number in sent) < 5
    found = dataset.counts(["favorites"])
    assert found == hourly_truth(world, ids, days[0], days[-1] + DAY, metrics=["favorites"])
