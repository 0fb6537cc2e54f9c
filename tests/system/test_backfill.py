"""Backfills by a real scheduler, triggerer, API server and LocalExecutor, against a simulator that counts.

Every run asks for a day of its own with sixteen requests, so that four of them go over the contract of a minute.
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

LIMIT = 60
REQUESTS_PER_RUN = 16
INLINE_WAIT = 5.0
WORK = 10.0
"""Seconds without a request that a task may need for itself on a slow machine: to start, to write, to be told so."""
OVER = {"success", "failed", "upstream_failed", "skipped"}


def at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def is_over(airflow: Any, dag_id: str, runs: int) -> bool:
    states = [task["state"] for task in airflow.task_instances(dag_id)]
    return len(states) == runs and set(states) <= OVER


def per_minute(journal: list[dict[str, Any]], status: int) -> Counter[int]:
    return Counter(int(at(entry) // 60) for entry in journal if entry["status"] == status)


def assert_contract_kept(journal: list[dict[str, Any]]) -> None:
    assert {entry["status"] for entry in journal} == {200}
    assert max(per_minute(journal, 200).values()) <= LIMIT


def idle(stay: dict[str, Any], moments: list[float]) -> float:
    """The longest time within a stay on a worker in which no request was sent."""
    within = [moment for moment in moments if stay["start"] <= moment <= stay["end"]]
    return max(later - earlier for earlier, later in pairwise([stay["start"], *within, stay["end"]]))


def run_backfill(airflow: Any, dag_id: str, runs: int) -> list[dict[str, Any]]:
    """Have a DAG run, see that all went well and no worker was held, and return what the simulator was asked."""
    before = len(airflow.journal())
    airflow.backfill(dag_id, runs)
    airflow.programs.wait_for(f"{dag_id} is over", lambda: is_over(airflow, dag_id, runs), seconds=300)
    tasks = airflow.task_instances(dag_id)
    assert {(task["state"], task["try_number"]) for task in tasks} == {("success", 1)}
    journal: list[dict[str, Any]] = airflow.journal()[before:]
    stays = airflow.stays(dag_id)
    assert len(stays) > runs, "no task ever waited"
    moments = [at(entry) + airflow.behind for entry in journal]
    assert max(idle(stay, moments) for stay in stays) <= INLINE_WAIT + WORK
    reports = [airflow.report(dag_id, task["dag_run_id"]) for task in tasks]
    assert {report["requests"]["planned"] for report in reports} == {REQUESTS_PER_RUN}
    assert sum(entry["status"] == 200 for entry in journal) == REQUESTS_PER_RUN * runs
    return journal


def test_a_backfill_that_defers_is_never_refused(airflow: Any) -> None:
    assert_contract_kept(run_backfill(airflow, "deferring", runs=10))


def test_a_backfill_that_reschedules_is_refused_once_a_window_at_most_for_each_task(airflow: Any) -> None:
    """A task that reschedules itself leaves its pool's slot to the next, which can but ask."""
    runs = 5
    journal = run_backfill(airflow, "rescheduling", runs)
    assert max(per_minute(journal, 200).values()) <= LIMIT
    assert max(per_minute(journal, 429).values(), default=0) <= runs


def test_a_triggerer_and_a_worker_that_die_cost_no_answer(airflow: Any) -> None:
    dag_id, runs = "interrupted", 6
    before = len(airflow.journal())
    airflow.simulate("limits", latency=2.0)
    airflow.backfill(dag_id, runs)

    def is_working() -> bool:
        return any("end" not in stay for stay in airflow.stays(dag_id)) and len(airflow.journal()) > before

    airflow.programs.wait_for("a task is at work", is_working, seconds=120)
    killed = next(stay for stay in airflow.stays(dag_id) if "end" not in stay)
    os.kill(killed["process"], signal.SIGKILL)
    airflow.simulate("limits", latency=0.0)

    def is_deferred() -> bool:
        return any(task["state"] == "deferred" for task in airflow.task_instances(dag_id))

    airflow.programs.wait_for("a task waits in the triggerer", is_deferred, seconds=120)
    airflow.programs.kill("triggerer")
    airflow.start("triggerer")
    airflow.programs.wait_for(f"{dag_id} is over", lambda: is_over(airflow, dag_id, runs), seconds=300)
    tries = {task["dag_run_id"]: (task["state"], task["try_number"]) for task in airflow.task_instances(dag_id)}
    assert tries.pop(killed["run_id"]) == ("success", 2)
    assert set(tries.values()) == {("success", 1)}
    journal = airflow.journal()[before:]
    assert_contract_kept(journal)
    bodies = Counter(str(entry["body"]) for entry in journal)
    assert len(bodies) == REQUESTS_PER_RUN * runs
    assert sum(bodies.values()) - len(bodies) <= 8, "more was asked for twice than was under way when the worker died"
