"""A pull says how far it is, in the state of its task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_engagement.dataset import progress
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.progress_report import STATE_KEY
from airflow_provider_engagement.simulator import Handle, Simulator


class TaskState(dict[str, Any]):
    """The state of a task, which Airflow keeps since 3.3."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def test_the_state_of_the_task_has_the_progress(
    present: Any,
    connect: Callable[..., str],
    author: Handle,
    simulator: Simulator,
    ids: list[str],
    execute: Callable[..., Any],
    dataset: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(progress, "STEP", 0.0)
    simulator.set_limit(per_minute=6000)
    connect(author)
    state = TaskState()

    execute(
        EngagementTotalsOperator(task_id="pull", tweet_ids=ids, output_path=str(dataset.folder), auth="user"),
        task_state_store=state,
    )

    requests = -(-len(ids) // 250)
    at = state[STATE_KEY].pop("at")
    assert at.startswith("2026-01-12T09:30:")
    assert state[STATE_KEY] == {
        "planned": requests,
        "succeeded": requests,
        "reused": 0,
        "failed": 0,
        "done": requests,
        "share": 1.0,
        "requests_per_minute": 6000,
        "minutes_left": 0,
    }
