"""Waiting by retrying: when, how long, and for which failures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import airflow
import pytest
import time_machine
from packaging.version import Version

if Version(airflow.__version__) < Version("3.3"):
    pytest.skip("Airflow has retry policies since 3.3", allow_module_level=True)

from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryAction, RetryPolicy
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_engagement.exceptions import InvalidQueryError, RateLimitedError, ServerError, WaitRequired
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.retry_policies import RateLimitRetryPolicy

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
SPREAD = timedelta(seconds=10)
API = {"endpoint": "totals", "status": 429}


def context(task_id: str = "pull", try_number: int = 1) -> Any:
    return {
        "ti": SimpleNamespace(
            dag_id="engagement",
            task_id=task_id,
            map_index=-1,
            run_id="r",
            try_number=try_number,
            start_date=NOW,
            get_first_reschedule_date=lambda context: None,
        ),
        "run_id": "r",
        "dag_run": SimpleNamespace(run_type="scheduled", run_after=NOW),
    }


@pytest.fixture
def evaluate() -> Callable[..., Any]:
    def evaluated(exception: BaseException, **given: Any) -> Any:
        with time_machine.travel(NOW, tick=False):
            return RateLimitRetryPolicy().evaluate(exception, 1, 5, given.get("context", context()))

    return evaluated


def test_the_retry_comes_when_the_limit_resets(evaluate: Callable[..., Any]) -> None:
    decision = evaluate(WaitRequired(NOW + timedelta(seconds=40)))
    assert decision.action is RetryAction.RETRY
    assert timedelta(seconds=40) <= decision.retry_delay <= timedelta(seconds=40) + SPREAD
    assert decision.reason == "The rate limit allows the next request at 2026-01-12T09:30:40+00:00."


def test_a_reset_that_has_passed_is_no_wait(evaluate: Callable[..., Any]) -> None:
    assert evaluate(WaitRequired(NOW - timedelta(seconds=40))).retry_delay == timedelta()


def test_a_pull_that_stays_rate_limited_is_retried_a_minute_later(evaluate: Callable[..., Any]) -> None:
    decision = evaluate(RateLimitedError("Rate-limited.", **API))
    assert timedelta(seconds=60) <= decision.retry_delay <= timedelta(seconds=60) + SPREAD


def test_the_settings_of_the_task_apply_to_other_failures(evaluate: Callable[..., Any]) -> None:
    for error in (
        ServerError("Down.", endpoint="totals", status=500),
        InvalidQueryError("x", "is wrong", "Correct it."),
        OSError(),
    ):
        assert evaluate(error).action is RetryAction.DEFAULT


def test_tasks_that_wait_for_the_same_reset_are_retried_at_different_times(evaluate: Callable[..., Any]) -> None:
    delays = {evaluate(WaitRequired(NOW), context=context(f"pull_{number}")).retry_delay.seconds for number in range(8)}
    assert len(delays) >= 4


def test_the_policy_decides_without_a_context_too(evaluate: Callable[..., Any]) -> None:
    assert evaluate(WaitRequired(NOW), context=None).action is RetryAction.RETRY


def test_a_pull_with_the_policy_fails_instead_of_deferring(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(source: Any) -> Any:
        raise WaitRequired(NOW)

    monkeypatch.setattr("airflow_provider_engagement.operators.execution.read_tweets", wait)
    policy = RateLimitRetryPolicy()
    operator = EngagementTotalsOperator(task_id="pull", tweets=["20"], deferrable=True, retry_policy=policy)
    with pytest.raises(WaitRequired):
        operator.execute(context())


def test_a_dag_with_the_policy_can_be_serialized() -> None:
    assert isinstance(RateLimitRetryPolicy(), RetryPolicy)
    with DAG("engagement", schedule=None) as dag:
        EngagementTotalsOperator(task_id="pull", tweets=["20"], retry_policy=RateLimitRetryPolicy())
    stored = DagSerialization.to_dict(dag)
    assert stored["dag"]["tasks"][0]["__var"]["has_retry_policy"] is True
