"""Loads in processes of their own: killed at each step, and several at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

PROGRAM = Path(__file__).with_name("load_program.py")
DAY = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)

WITH_OLD_ROWS = (
    "before the load",
    "before the rows are staged",
    "after the rows are staged",
    "in the merge",
)
WITH_NEW_ROWS = ("after the merge", "before the load is complete", "after the load is complete")


@pytest.fixture
def start(dataset) -> Callable[..., subprocess.Popen[str]]:
    """Start a load in a process of its own."""

    def started(database, step: str = "none") -> subprocess.Popen[str]:
        credentials = database.target.settings["credentials"]
        place = credentials if isinstance(credentials, str) else credentials["database"]
        command = [sys.executable, str(PROGRAM), str(dataset), database.target.warehouse.value, place, step]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return started


@pytest.mark.parametrize("step", [*WITH_OLD_ROWS, *WITH_NEW_ROWS])
def test_a_killed_load_leaves_the_old_rows_or_the_new_ones_and_the_next_try_completes(
    database, write_day, load, start, expected, numbers, step
) -> None:
    old = write_day() + write_day(NEXT_DAY)
    load(database)
    new = write_day(added=1) + write_day(NEXT_DAY, tweets=("1",), added=1)

    killed = start(database, step)
    killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    everything = {**expected(old), **expected(new)}
    assert database.rows() == (expected(old) if step in WITH_OLD_ROWS else everything)
    report = load(database, lock_timeout=10.0)
    assert database.rows() == everything
    has_record = step == "after the load is complete"
    assert numbers(report)[3:] == ((0, 2) if has_record else (2, 0))
    assert numbers(load(database)) == (0, 0, 0, 0, 2)


def test_a_first_load_that_is_killed_in_the_merge_is_completed_by_the_next(
    database, write_day, load, start, expected
) -> None:
    rows = write_day()

    killed = start(database, "in the merge")
    killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert database.rows() == {}
    load(database, lock_timeout=10.0)
    assert database.rows() == expected(rows)


def test_two_loads_at_once_wait_for_each_other(database, write_day, start, expected) -> None:
    rows = write_day() + write_day(NEXT_DAY)

    loads = [start(database), start(database)]
    results = [process.communicate() for process in loads]

    assert [process.returncode for process in loads] == [0, 0], results
    assert database.rows() == expected(rows)
    reports = [json.loads(output.splitlines()[-1])["tables"]["tweet_metrics"]["rows"] for output, _ in results]
    assert sorted(report["new"] for report in reports) == [0, 144]
    assert sum(report["changed"] for report in reports) == 0
