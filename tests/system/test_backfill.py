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
INLINE_WAIT = 5.0
WORK = 10.0
"""Seconds without a request that a task may need for itself on a slow machine: to start, to write, to be told so."""
OVER = {"success", "failed", "upstream_failed", "skipped"}


def at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def is_over(airflow: Any, dag_id: str, runs: int) -> bool:
    states = [task["state"] for task in airflow.task_instances(dag_id)]
    return len(states) == runs and set(states) <= OVER


def assert_contract_kept(journal: list[dict[str, Any]]) -> None:
    assert {entry["status"] for entry in journal} == {200}
    assert max(Counter(int(at(entry) // 60) for entry in journal).values()) <= LIMIT


def idle(stay: dict[str, Any], journal: list[dict[str, Any]]) -> float:
    """The longest time within a stay on a worker in which no request was sent."""
    moments = [at(entry) for entry in journal if stay["start"] <= at(entry) <= stay["end"]]
    return max(later - earlier for earlier, later in pairwise([stay["start"], *moments, stay["end"]]))


@pytest.mark.parametrize(("dag_id", "runs"), [("deferring", 10), ("rescheduling", 5)])
def test_a_backfill_keeps_to_the_contract_and_waits_without_a_worker(airflow: Any, dag_id: str, runs: int) -> None:
    before = len(airflow.journal())
    airflow.backfill(dag_id, runs)
    airflow.programs.wait_for(f"{dag_id} is over", lambda: is_over(airflow, dag_id, runs), seconds=300)
    tasks = airflow.task_instances(dag_id)
    assert {(task["state"], task["try_number"]) for task in tasks} == {("success", 1)}
    journal = airflow.journal()[before:]
    assert_contract_kept(journal)
    stays = airflow.stays(dag_id)
    assert len(stays) > runs, "no task ever waited"
    assert max(idle(stay, journal) for stay in stays) <= INLINE_WAIT + WORK
    reports = [airflow.report(dag_id, task["dag_run_id"]) for task in tasks]
    assert sum(report["requests"]["answered"] for report in reports) == len(journal)
    assert {report["requests"]["reused"] for report in reports} == {0}


def test_a_triggerer_and_a_worker_that_die_cost_no_answer(airflow: Any) -> None:
    dag_id, runs = "interrupted", 6
    before = len(airflow.journal())
    airflow.backfill(dag_id, runs)

    def is_working() -> bool:
        return any("end" not in stay for stay in airflow.stays(dag_id)) and len(airflow.journal()) > before

    airflow.programs.wait_for("a task is at work", is_working, seconds=120)
    killed = next(stay for stay in airflow.stays(dag_id) if "end" not in stay)
    os.kill(killed["process"], signal.SIGKILL)

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
    assert len(bodies) == 16 * runs
    assert sum(bodies.values()) - len(bodies) <= 8, "more was asked for twice than was under way when the worker died"
