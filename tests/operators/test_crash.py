"""Kill a pull and run it again: it writes the same rows, and repeats only the requests that were in flight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.simulator import Simulator, World
from airflow_provider_engagement.storage.layout import TEMPORARY_FOLDER as TEMPORARY_FOLDER
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles

WORKERS = 2
pytestmark = pytest.mark.usefixtures("real_time")

SECONDS = 60
"""How long a test waits for another process before it fails."""

PULL = """
import json, sys
from datetime import UTC, datetime
from types import SimpleNamespace

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

arguments, snapshot_at = json.load(sys.stdin), datetime(2026, 1, 12, tzinfo=UTC)
task_instance = SimpleNamespace(
    task_id="totals",
    dag_id="engagement",
    run_id="run",
    map_index=-1,
    start_date=datetime.now(UTC),
    get_first_reschedule_date=lambda context: None,
)
EngagementTotalsOperator(**arguments).execute(
    {
        "ti": task_instance,
        "run_id": "run",
        "dag_run": SimpleNamespace(run_type="scheduled"),
        "data_interval_end": snapshot_at,
    }
)
"""


@contextmanager
def pulling(arguments: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a pull in another process, which is killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", PULL],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(arguments).encode())
        process.stdin.close()
        yield process
    finally:
        process.kill()
        process.wait(timeout=SECONDS)
        assert process.stderr is not None
        process.stderr.close()


def wait_for_requests(simulator: Simulator, number: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while len(simulator.journal) < number:
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def rows(manifest: dict[str, Any], table: str) -> list[dict[str, Any]]:
    times = {"fetched_at", "checked_at"}
    content = parquet.ParquetFile(manifest["outputs"][table]).read().to_pylist()
    return [{name: value for name, value in row.items() if name not in times} for row in content]


@pytest.mark.parametrize("requests_before", [1, 4])
def test_a_rerun_of_a_killed_pull_sends_only_the_missing_requests(
    simulator: Simulator,
    world: World,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    task_instance: Any,
    tmp_path: Path,
    requests_before: int,
) -> None:
    connect(None)
    arguments = {
        "task_id": "totals",
        "tweets": " ".join([*world.tweets, *(str(2 * 10**18 + number) for number in range(600))]),
        "metrics": "favorites video_views",
        "limits": Limits(concurrent_requests=WORKERS),
        "max_delay": "unlimited",
    }

    def pull(folder: str) -> dict[str, Any]:
        operator = EngagementTotalsOperator(dataset_path=f"{tmp_path}/{folder}", **arguments)
        report: dict[str, Any] = execute(operator, ti=task_instance(task_id="totals", run_id="run"))
        return report

    undisturbed = pull("undisturbed")
    assert undisturbed["requests"]["sent"] == len(simulator.journal) == 7

    simulator.journal.clear()
    simulator.latency = 0.3
    with pulling({**arguments, "dataset_path": f"{tmp_path}/killed"}) as process:
        wait_for_requests(simulator, requests_before, process)
        process.kill()
        process.wait(timeout=SECONDS)
    before = [tuple(entry.body["tweet_ids"]) for entry in simulator.journal]
    assert requests_before <= len(before) < 7
    assert not (tmp_path / "killed" / "tweet_totals").exists()

    simulator.latency = 0.0
    simulator.journal.clear()
    report = pull("killed")
    after = [tuple(entry.body["tweet_ids"]) for entry in simulator.journal]
    repeated = set(before) & set(after)
    assert len(repeated) <= min(WORKERS, requests_before)
    assert len(set(before) | set(after)) == 7
    assert len(after) == len(set(after)) == report["requests"]["sent"]
    assert report["requests"]["reused"] == 7 - len(after) >= requests_before - WORKERS
    for table in ("tweet_totals", "tweet_status"):
        assert rows(report, table) == rows(undisturbed, table)
    assert list((tmp_path / "killed" / TEMPORARY_FOLDER).iterdir()) == []


def leave_temporary_file(dataset: Path, run: TaskRun) -> Path:
    """Leave a temporary file as a killed pull does."""
    path = dataset / TEMPORARY_FOLDER / TemporaryFiles(dataset, writer=run.digest).new().name
    path.write_bytes(b"half")
    return path


def test_a_rerun_deletes_only_what_the_killed_attempt_left(
    world: World, connect: Callable[..., str], execute: Callable[..., Any], task_instance: Any, tmp_path: Path
) -> None:
    connect(None)
    runs = [
        TaskRun(task=task, run_id=run_id, time=datetime(2026, 1, 12, tzinfo=UTC))
        for task, run_id in [("engagement.totals", "run"), ("engagement.totals", "other"), ("engagement.other", "run")]
    ]
    of_attempt, *of_others = [leave_temporary_file(tmp_path, run) for run in runs]

    def pull(**options: Any) -> None:
        operator = EngagementTotalsOperator(
            task_id="totals",
            tweets=list(world.tweets)[:3],
            metrics="favorites",
            dataset_path=str(tmp_path),
            max_delay="unlimited",
            **options,
        )
        execute(operator, ti=task_instance(task_id="totals", run_id="run"))

    pull(estimate_only=True)
    assert of_attempt.exists()
    pull()
    assert sorted((tmp_path / TEMPORARY_FOLDER).iterdir()) == sorted(of_others)
