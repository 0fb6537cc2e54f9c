"""Killed and concurrent pulls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.simulator import Handle, Simulator, World

from ...oracle import floor_to_hour
from .conftest import DAY, METRICS, hourly_truth, utc


def test_concurrent_attempts_do_not_corrupt_each_other(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    simulator.latency = 0.01
    errors: list[BaseException] = []

    def attempt(interval: tuple[datetime, datetime]) -> None:
        try:
            pull(interval)
        except BaseException as error:
            errors.append(error)

    intervals = [
        (utc(2026, 1, 1), utc(2026, 1, 6)),
        (utc(2026, 1, 1), utc(2026, 1, 6)),
        (utc(2026, 1, 3), utc(2026, 1, 8)),
    ]
    threads = [threading.Thread(target=attempt, args=(interval,)) for interval in intervals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 1), utc(2026, 1, 8))


SCRIPT = """
import sys
from datetime import datetime
from types import SimpleNamespace
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

folder, start, end, ids = sys.argv[1:]
start, end = datetime.fromisoformat(start), datetime.fromisoformat(end)
operator = EngagementHistoricalOperator(
    task_id="history", tweets=ids, metrics=["impressions"], dataset_path=folder, limits={"concurrent_requests": 2}
)
ti = SimpleNamespace(
    dag_id="engagement", task_id="history", map_index=-1, run_id="run", try_number=1, start_date=end,
    get_first_reschedule_date=lambda context: None,
)
operator.execute({
    "ti": ti, "run_id": "run", "data_interval_start": start, "data_interval_end": end, "logical_date": end,
    "dag_run": SimpleNamespace(run_after=end, run_type="scheduled", partition_key=None),
})
"""


@pytest.mark.usefixtures("real_time")
def test_a_rerun_of_a_killed_pull_writes_the_rows_of_an_undisturbed_pull(
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    execute: Callable[..., Any],
    task_instance: Any,
    dataset: Any,
    simulator: Simulator,
) -> None:
    """The killed process has the real time, and so has the simulator here."""
    present = datetime.now(UTC)
    simulator.clock.set(present, running=True)
    connect(author)
    end = floor_to_hour(present) - 10 * DAY
    start = end - 60 * DAY

    def arguments(folder: str) -> list[str]:
        return [str(dataset.sibling(folder).folder), start.isoformat(), end.isoformat(), ",".join(ids[:30])]

    def pull(folder: str) -> None:
        dataset_path, *_, tweet_ids = arguments(folder)
        execute(
            EngagementHistoricalOperator(
                task_id="history", tweets=tweet_ids, metrics=["impressions"], dataset_path=dataset_path
            ),
            ti=task_instance(task_id="history", run_id="run"),
            data_interval_start=start,
            data_interval_end=end,
            logical_date=end,
        )

    def requests() -> list[str]:
        return [json.dumps(entry.body, sort_keys=True) for entry in simulator.journal]

    pull("undisturbed")
    undisturbed = requests()
    assert len(undisturbed) >= 6
    simulator.journal.clear()
    simulator.latency = 0.2
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments("killed")])
    while len(simulator.journal) < 4 and killed.poll() is None:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL
    simulator.latency = 0.0
    assert 0 < len(requests()) < len(undisturbed)
    pull("killed")
    assert set(requests()) == set(undisturbed)
    assert len(requests()) - len(undisturbed) <= 2  # as many as were in flight
    for table in ("tweet_metrics/hour", "tweet_status", "coverage"):
        first, second = (dataset.sibling(folder).folder / table for folder in ("undisturbed", "killed"))
        names = [sorted(path.relative_to(folder) for path in folder.rglob("*.parquet")) for folder in (first, second)]
        assert names[0] == names[1] != []
        for name in names[0]:
            tables = [parquet.ParquetFile(folder / name).read() for folder in (first, second)]
            times = {"fetched_at", "checked_at"}.intersection(tables[0].column_names)
            assert tables[0].drop_columns(times).equals(tables[1].drop_columns(times))
