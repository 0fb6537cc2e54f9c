"""Loads in processes of their own: killed at each step, and several at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_engagement.storage.worker_folder import SECONDS_UNTIL_ABANDONED

pytestmark = pytest.mark.system

PROGRAM = Path(__file__).with_name("load_program.py")
DAY = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)

STEPS = (
    "before the load",
    "before the rows are staged",
    "while the rows are staged",
    "after the rows are staged",
    "after the rows are updated",
    "in the merge",
    "before the record",
    "before the load is complete",
    "after the load is complete",
)
STEPS_OF_DLT = (
    "before the load",
    "before the rows are staged",
    "after the rows are staged",
    "in the merge",
    "after the merge",
    "before the record",
    "after the load is complete",
)


@pytest.fixture(params=["duckdb", "postgres"])
def database(request):
    """A database that is loaded in one transaction."""
    return request.getfixturevalue(f"make_{request.param}")()


@pytest.fixture
def start(dataset) -> Callable[..., subprocess.Popen[str]]:
    """Start a load in a process of its own."""

    def started(database, step: str = "none", *, by: str = "") -> subprocess.Popen[str]:
        credentials = database.target.settings["credentials"]
        place = credentials if isinstance(credentials, str) else credentials["database"]
        command = [sys.executable, str(PROGRAM), str(dataset), database.target.warehouse.value + by, place, step]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return started


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_load_leaves_the_old_rows_or_the_new_ones_and_the_next_try_completes(
    database, write_day, load, start, expected, numbers, step
) -> None:
    old = write_day() + write_day(NEXT_DAY)
    load(database)
    new = write_day(added=1) + write_day(NEXT_DAY, tweets=("1",), added=1)

    killed = start(database, step)
    _, errors = killed.communicate()

    assert killed.returncode == -signal.SIGKILL, errors
    everything = {**expected(old), **expected(new)}
    is_complete = step == "after the load is complete"
    assert database.rows() == (everything if is_complete else expected(old))
    report = load(database, lock_timeout=10.0)
    assert database.rows() == everything
    assert numbers(report)[3:] == ((0, 2) if is_complete else (2, 0))
    assert numbers(load(database)) == (0, 0, 0, 0, 2)


@pytest.mark.parametrize("step", STEPS_OF_DLT)
def test_a_load_of_dlt_that_is_killed_leaves_the_old_rows_or_the_new_ones_and_the_next_try_completes(
    with_dlt, make_duckdb, write_day, load, start, expected, numbers, step
) -> None:
    database = make_duckdb()
    old = write_day() + write_day(NEXT_DAY)
    load(database)
    new = write_day(added=1) + write_day(NEXT_DAY, tweets=("1",), added=1)

    killed = start(database, step, by=" with dlt")
    _, errors = killed.communicate()

    assert killed.returncode == -signal.SIGKILL, errors
    everything = {**expected(old), **expected(new)}
    has_new_rows = step in ("after the merge", "before the record", "after the load is complete")
    assert database.rows() == (everything if has_new_rows else expected(old))
    report = load(database, lock_timeout=10.0)
    assert database.rows() == everything
    assert numbers(report)[3:] == ((0, 2) if step == "after the load is complete" else (2, 0))
    assert numbers(load(database)) == (0, 0, 0, 0, 2)


def test_a_first_load_that_is_killed_in_the_merge_is_completed_by_the_next(
    database, write_day, load, start, expected
) -> None:
    rows = write_day()

    killed = start(database, "before the load is complete")
    killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert database.query("SELECT * FROM information_schema.tables WHERE table_schema = 'mart'") == []
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


@pytest.mark.parametrize("seed", range(int(os.environ.get("ENGAGEMENT_KILLS", "6"))))
def test_loads_that_are_killed_at_any_moment_while_others_wait_lose_and_double_nothing(
    database, write_day, load, start, expected, numbers, seed
) -> None:
    choose = random.Random(seed)
    old = write_day()
    load(database)
    rows = {**expected(old)}

    for added in (1, 2):
        new = write_day(added=added) + write_day(NEXT_DAY, added=added)
        rows |= expected(new)
        loads = [start(database) for _ in range(choose.randrange(1, 4))]
        for process in loads:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=choose.uniform(0.3, 2.0))
            if choose.random() < 0.8:
                process.kill()
        for process in loads:
            process.communicate()
        load(database, lock_timeout=10.0)
        assert database.rows() == rows

    assert numbers(load(database)) == (0, 0, 0, 0, 2)


def test_the_temporary_folder_of_a_killed_load_is_deleted_by_the_next(
    make_duckdb, write_day, load, start, tmp_path, monkeypatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    database = make_duckdb()
    write_day()
    start(database, "before the load is complete").communicate()
    (left,) = temporary.iterdir()
    long_ago = time.time() - SECONDS_UNTIL_ABANDONED - 1
    os.utime(left, (long_ago, long_ago))

    load(database, lock_timeout=10.0)

    assert list(temporary.iterdir()) == []
