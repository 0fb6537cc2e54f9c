"""Backfills with a real scheduler, triggerer, API server and LocalExecutor, against a simulator that counts requests.

Every run requests one day in 16 requests, so four runs exceed the quota of a minute.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.system

QUOTA = 60
REQUESTS_PER_RUN = 16
MAX_INLINE_WAIT = 5.0
OVERHEAD = 10.0
"""Seconds without a request that a task may need on a slow machine, to start and to write."""
FINAL_STATES = {"success", "failed", "upstream_failed", "skipped"}


def at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def is_over(airflow: Any, dag_id: str, runs: int) -> bool:
    states = [task["state"] for task in airflow.task_instances(dag_id)]
    return len(states) == runs and set(states) <= FINAL_STATES


def per_minute(journal: list[dict[str, Any]], status: int) -> Counter[int]:
    return Counter(int(at(entry) // 60) for entry in journal if entry["status"] == status)


def assert_quota_kept(journal: list[dict[str, Any]]) -> None:
    assert {entry["status"] for entry in journal} == {200}
    assert max(per_minute(journal, 200).values()) <= QUOTA


def idle(occupation: dict[str, Any], request_times: list[float]) -> float:
    """Return the longest time without a request while a task occupied a worker."""
    within = [time for time in request_times if occupation["start"] <= time <= occupation["end"]]
    return max(later - earlier for earlier, later in pairwise([occupation["start"], *within, occupation["end"]]))


def run_backfill(airflow: Any, dag_id: str, runs: int) -> list[dict[str, Any]]:
    """Run a backfill, check that no task occupies a worker while it waits, and return the journal."""
    before = len(airflow.journal())
    airflow.backfill(dag_id, runs)
    airflow.programs.wait_for(f"{dag_id} is over", lambda: is_over(airflow, dag_id, runs), seconds=300)
    tasks = airflow.task_instances(dag_id)
    assert {(task["state"], task["try_number"]) for task in tasks} == {("success", 1)}
    journal: list[dict[str, Any]] = airflow.journal()[before:]
    occupations = airflow.occupations(dag_id)
    assert len(occupations) > runs, "no task waited"
    request_times = [at(entry) + airflow.behind for entry in journal]
    assert max(idle(occupation, request_times) for occupation in occupations) <= MAX_INLINE_WAIT + OVERHEAD
    manifests = [airflow.manifest(dag_id, task["dag_run_id"]) for task in tasks]
    assert {manifest["requests"]["planned"] for manifest in manifests} == {REQUESTS_PER_RUN}
    assert sum(entry["status"] == 200 for entry in journal) == REQUESTS_PER_RUN * runs
    return journal


def test_a_backfill_that_defers_is_never_rate_limited(airflow: Any) -> None:
    assert_quota_kept(run_backfill(airflow, "deferring", runs=6))


def test_a_backfill_that_reschedules_is_rate_limited_at_most_once_a_minute_for_each_task(airflow: Any) -> None:
    """A rescheduled task releases its pool slot to the next task, which has to send a request to learn the limit."""
    runs = 5
    journal = run_backfill(airflow, "rescheduling", runs)
    assert max(per_minute(journal, 200).values()) <= QUOTA
    assert max(per_minute(journal, 429).values(), default=0) <= runs


def test_a_killed_worker_and_a_killed_triggerer_lose_no_response(airflow: Any) -> None:
    dag_id, runs = "interrupted", 6
    before = len(airflow.journal())
    airflow.simulate("limits", latency=2.0)
    airflow.backfill(dag_id, runs)

    def is_working() -> bool:
        return (
            any("end" not in occupation for occupation in airflow.occupations(dag_id))
            and len(airflow.journal()) > before
        )

    airflow.programs.wait_for("a task sends requests", is_working, seconds=120)
    killed = next(occupation for occupation in airflow.occupations(dag_id) if "end" not in occupation)
    os.kill(killed["process"], signal.SIGKILL)
    airflow.simulate("limits", latency=0.0)

    def is_deferred() -> bool:
        return any(task["state"] == "deferred" for task in airflow.task_instances(dag_id))

    airflow.programs.wait_for("a task waits in the triggerer", is_deferred, seconds=120)
    airflow.programs.kill("triggerer")
    airflow.start("triggerer")
    airflow.programs.wait_for(f"{dag_id} is over", lambda: is_over(airflow, dag_id, runs), seconds=300)
    attempts = {task["dag_run_id"]: (task["state"], task["try_number"]) for task in airflow.task_instances(dag_id)}
    assert attempts.pop(killed["run_id"]) == ("success", 2)
    assert set(attempts.values()) == {("success", 1)}
    journal = airflow.journal()[before:]
    assert_quota_kept(journal)
    bodies = Counter(str(entry["body"]) for entry in journal)
    assert len(bodies) == REQUESTS_PER_RUN * runs
    assert sum(bodies.values()) - len(bodies) <= 8, (
        "more requests were repeated than were in flight when the worker died"
    )
