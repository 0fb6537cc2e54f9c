"""A small world of Tweets, and pulls of its history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.simulator import Simulator, World

from ... import oracle

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = ("impressions", "favorites", "video_views")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.fixture
def world(series_world: World) -> World:
    return series_world


@pytest.fixture
def simulator(series_simulator: Simulator) -> Simulator:
    return series_simulator


@pytest.fixture
def pull(pull_series: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Pull the author's Tweets over the data interval of a run."""

    def pulled(
        data_interval: tuple[datetime, datetime] | None = None,
        *,
        to: str = "dataset",
        run_type: str = "scheduled",
        context: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> Any:
        start, end = data_interval or (None, None)
        run = {
            "data_interval_start": start,
            "data_interval_end": end,
            "dag_run": SimpleNamespace(run_after=end or NOW, run_type=run_type, partition_key=None),
        }
        defaults = {"task_id": "history", "metrics": list(METRICS), "dataset_path": str(tmp_path / to)}
        return pull_series(EngagementHistoricalOperator, {**run, **(context or {})}, **{**defaults, **parameters})

    return pulled


hourly_truth = partial(oracle.hourly_truth, metrics=METRICS, now=NOW)
WEEK = (utc(2026, 1, 4), utc(2026, 1, 11))


def interval_of(report: dict[str, Any]) -> tuple[str, str]:
    start, end = report["interval"]
    return start, end


def without_times(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(table, key=lambda row: (row["tweet_id"], row["period_start"]))
    return [{name: value for name, value in row.items() if name != "fetched_at"} for row in ordered]
