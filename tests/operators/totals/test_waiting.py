"""A task that waits for the rate limit leaves its worker, and continues later."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException, TaskDeferred

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.waiting import SPREAD_SECONDS
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Simulator

from .conftest import OWNED, Execute, Pull, counted, requested_ids, table, truths


@pytest.fixture
def small_quota(simulator: Simulator) -> Simulator:
    """The API with a quota of two requests a minute, at the start of a minute that does not end."""
    simulator.rate_clock.freeze()
    simulator.rate_clock.set(simulator.rate_clock.now().replace(second=0, microsecond=0))
    simulator.set_limit(per_minute=2)
    return simulator


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_releases_the_worker_and_the_next_execution_continues(
    pull: Pull, execute: Execute, small_quota: Simulator, mine: list[str], deferrable: bool, tmp_path: Path
) -> None:
    def operator() -> EngagementTotalsOperator:
        return pull(limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=deferrable)

    planned = len(mine) // 250 + 1
    requests_per_execution: list[int] = []
    before = datetime.now(UTC)
    while len(requests_per_execution) < planned // 2 + planned % 2 - 1:
        with pytest.raises((TaskDeferred, AirflowRescheduleException)) as raised:
            execute(operator())
        error = raised.value
        assert isinstance(error, TaskDeferred if deferrable else AirflowRescheduleException)
        if isinstance(error, TaskDeferred):
            path, arguments = error.trigger.serialize()
            assert path == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
            assert error.method_name == "execute"
            assert timedelta(minutes=1) < error.timeout < timedelta(minutes=10)
            resume_at = arguments["moment"]
        else:
            resume_at = error.reschedule_date
        assert timedelta(seconds=59) < resume_at - before < timedelta(seconds=85)
        requests_per_execution.append(len(small_quota.journal))
        small_quota.journal.clear()
        small_quota.rate_clock.advance(timedelta(minutes=1))
        # The saved rate limit has expired on the server's clock, but not on this machine's.
        shutil.rmtree(tmp_path / "_rate_limit")
    assert requests_per_execution == [2] * len(requests_per_execution)

    report = execute(operator())
    assert report["requests"]["reused"] == 2 * len(requests_per_execution)
    assert counted(table(report["outputs"]["tweet_totals"]), OWNED) == truths(small_quota, mine, OWNED)


def test_a_pull_within_the_quota_never_releases_the_worker(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    simulator.latency = 0.05
    report = execute(pull(limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=True))
    assert report["requests"]["sent"] == len(mine) // 250 + 1


def test_without_dataset_path_the_task_waits_on_the_worker(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    minute = simulator.rate_clock.now().replace(second=59, microsecond=0)
    simulator.rate_clock.set(minute, running=True)
    simulator.set_limit(per_minute=2)
    report = execute(
        pull(tweets=mine[:510], dataset_path=None, limits=Limits(wait_on_worker=timedelta(seconds=0)), deferrable=True)
    )
    assert sorted(requested_ids(simulator)) == sorted(mine[:510])
    assert report["requests"]["sent"] == 3


def test_http_429_defers_the_task_until_the_reset(pull: Pull, execute: Execute, small_quota: Simulator) -> None:
    small_quota.quotas.close(small_quota.rate_clock.now() + timedelta(seconds=50))
    with pytest.raises(TaskDeferred) as raised:
        execute(pull(deferrable=True))
    assert [entry.status for entry in small_quota.journal] == [429]
    resume_at = raised.value.trigger.serialize()[1]["moment"]
    assert timedelta(seconds=45) < resume_at - datetime.now(UTC) < timedelta(seconds=75)


def test_a_reset_in_weeks_fails_the_task_with_its_date(pull: Pull, execute: Execute, small_quota: Simulator) -> None:
    renews_at = small_quota.rate_clock.now() + timedelta(days=20)
    small_quota.quotas.close(renews_at)
    with pytest.raises(AirflowFailException, match=re.escape(renews_at.date().isoformat())):
        execute(pull(deferrable=True))
    assert len(small_quota.journal) == 1


def test_a_wait_beyond_the_longest_fails_the_task(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    started = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match=r"limits\.wait \(1:00:00\)") as raised:
        execute(
            pull(limits=Limits(wait_on_worker=timedelta(seconds=0), wait=timedelta(seconds=3600))),
            ti=task_instance(task_id="totals", start_date=started),
        )
    assert "The responses are stored" in str(raised.value)
    assert len(small_quota.journal) == 2


def test_the_longest_wait_counts_from_the_start_before_any_reschedule(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    first = datetime.now(UTC) - timedelta(minutes=59, seconds=30)
    with pytest.raises(AirflowFailException, match=r"limits\.wait"):
        execute(
            pull(limits=Limits(wait_on_worker=timedelta(seconds=0), wait=timedelta(seconds=3600)), deferrable=False),
            ti=task_instance(task_id="totals", rescheduled_at=first),
        )


def test_tasks_that_wait_for_the_same_reset_resume_at_different_times(
    pull: Pull, execute: Execute, small_quota: Simulator, task_instance: Any
) -> None:
    small_quota.quotas.close(small_quota.rate_clock.now() + timedelta(seconds=50))
    resume_times = set()
    for map_index in range(4):
        with pytest.raises(TaskDeferred) as deferred:
            execute(pull(deferrable=True), ti=task_instance(task_id="totals", map_index=map_index))
        resume_times.add(deferred.value.trigger.serialize()[1]["moment"])
    gaps = [later - earlier for earlier, later in pairwise(sorted(resume_times))]
    assert len(gaps) == 3
    assert sum(gaps, timedelta()) <= timedelta(seconds=SPREAD_SECONDS + 1)
    assert min(gaps) > timedelta(milliseconds=1)
