"""Groupings are merged over windows and batches."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Simulator, Switches, World

from .conftest import hourly_truth, utc


def leaves(counts: Any, *path: str) -> dict[tuple[str, ...], int]:
    if not isinstance(counts, dict):
        return {path: counts}
    return {key: value for name, child in counts.items() for key, value in leaves(child, *path, name).items()}


DIMENSIONS: dict[str, Callable[[str, str, datetime], str]] = {
    "tweet.id": lambda tweet_id, metric, hour: tweet_id,
    "engagement.type": lambda tweet_id, metric, hour: metric,
    "engagement.day": lambda tweet_id, metric, hour: f"{hour:%Y-%m-%d}",
    "engagement.hour": lambda tweet_id, metric, hour: f"{hour:%H}",
}


@pytest.mark.parametrize(
    "group_by",
    [
        ["engagement.type"],
        ["tweet.id", "engagement.type"],
        ["engagement.type", "engagement.hour"],
        ["engagement.day", "engagement.type", "tweet.id"],
        ["engagement.type", "engagement.day", "engagement.hour"],
    ],
    ids=len,
)
def test_groupings_are_merged_over_windows_and_batches(
    pull: Callable[..., Any], world: World, ids: list[str], tmp_path: Path, group_by: list[str]
) -> None:
    interval = utc(2025, 12, 8), utc(2026, 1, 10)
    metrics = ("impressions", "favorites")
    report = pull(interval, groupings={"custom": group_by}, metrics=list(metrics), granularity="total")
    assert report["requests"]["sent"] >= 4
    expected: dict[tuple[str, ...], int] = defaultdict(int)
    for (tweet_id, hour), counts in hourly_truth(world, ids, *interval, metrics=metrics).items():
        for metric, count in zip(metrics, counts, strict=True):
            assert count is not None
            expected[tuple(DIMENSIONS[name](tweet_id, metric, hour) for name in group_by)] += count
    found = leaves(json.loads(Path(report["outputs"]["groupings"]).read_text())["custom"])
    # The API returns zeros for the hours before a Tweet of a request existed.
    assert {key: count for key, count in found.items() if count} == {k: count for k, count in expected.items() if count}


@pytest.mark.parametrize("shape", ["hour_of_day", "dated"])
def test_both_shapes_of_a_grouping_by_hour_without_day_are_parsed(
    pull: Callable[..., Any], world: World, ids: list[str], simulator: Simulator, shape: str
) -> None:
    simulator.switches = Switches(hour_without_day=shape)  # type: ignore[arg-type]
    interval = utc(2025, 12, 8), utc(2026, 1, 10)
    report = pull(
        interval,
        groupings={"custom": ["engagement.type", "engagement.hour"]},
        metrics=["impressions"],
        granularity="total",
    )
    expected: dict[str, int] = defaultdict(int)
    for (_, hour), counts in hourly_truth(world, ids, *interval, metrics=["impressions"]).items():
        expected[f"{hour:%H}"] += counts[0] or 0
    found: dict[str, int] = defaultdict(int)
    for path, count in leaves(json.loads(Path(report["outputs"]["groupings"]).read_text())["custom"]).items():
        found[path[-1]] += count
        assert len(path) == (2 if shape == "hour_of_day" else 3)
    assert found == expected
