"""A pull says how far it is: in the state of its task, and on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, TaskDeferred
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.pull.progress import PROGRESS_KEY, Progress, ProgressRecord
from airflow_provider_engagement.simulator import Handle, Simulator


class TaskState(dict[str, Any]):
    """The state of a task, which Airflow keeps since 3.3."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[ProgressRecord] = []

    def set(self, key: str, value: Any) -> None:
        self[key] = value
        if key == PROGRESS_KEY:
            self.records.append(ProgressRecord.from_dict(value))


class StateWithoutProgress(TaskState):
    """A state in which the API server does not keep the progress."""

    def set(self, key: str, value: Any) -> None:
        if key == PROGRESS_KEY:
            raise AirflowRuntimeError(ErrorResponse())
        super().set(key, value)


@pytest.fixture
def pull(
    present: Any,
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    execute: Callable[..., Any],
    dataset: Any,
) -> Callable[..., Any]:
    """Pull totals with a state of the task."""
    connect(author)

    def pulled(state: TaskState, **options: Any) -> Any:
        operator = EngagementTotalsOperator(
            task_id="pull", tweets=ids, dataset_path=str(dataset.folder), auth="user", **options
        )
        return execute(operator, task_state_store=state)

    return pulled


def test_the_state_of_the_task_has_the_progress_from_the_start_to_the_end(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str]
) -> None:
    simulator.set_limit(per_minute=6000)
    requests = -(-len(ids) // 250)
    state = TaskState()

    pull(state)

    first, last = state.records[0], state.records[-1]
    assert first.progress == Progress(planned=requests, succeeded=0, reused=0, failed=0)
    assert last.progress == Progress(planned=requests, succeeded=requests, reused=0, failed=0, requests_per_minute=6000)
    assert f"{last.recorded_at:%Y-%m-%d %H:%M}" == "2026-01-12 09:30"
    assert last.waits_until is None


def test_the_state_of_a_task_that_waits_says_until_when(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str]
) -> None:
    simulator.set_limit(per_minute=1)
    state = TaskState()

    with pytest.raises(TaskDeferred):
        pull(state, limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=True)

    last = state.records[-1]
    assert (last.progress.done, last.progress.planned) == (1, -(-len(ids) // 250))
    assert last.waits_until is not None
    assert last.waits_until > last.recorded_at


def test_a_pull_does_not_fail_because_its_progress_cannot_be_kept(
    pull: Callable[..., Any], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(StateWithoutProgress())["complete"]
    assert "The state of the task does not have the progress" in capsys.readouterr().out + caplog.text
