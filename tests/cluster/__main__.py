"""Pull the counts of several owners on a cluster, and compare every cell of the dataset with the simulator's world.

``scripts/cluster`` creates the environment and runs this program. Three DAGs write to one dataset at the same time: the
totals and the last 28 hours of each owner, and a backfill of the history. The exit status is 0 only if every task
succeeds and the dataset is correct.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import requests

from cluster.comparison import Comparison, Dataset
from cluster.installation import Cluster
from cluster.programs import ProgramError
from cluster.simulator import SimulatedApi
from cluster.terminal import exit_at_signals, say
from cluster.workload import DAGS, DATASET, Workload

FORMAT = "delta"
TIME_BEFORE_MIDNIGHT = timedelta(minutes=20)
FAILED_TASKS_SHOWN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cluster, and return the exit status."""
    options = parser().parse_args(arguments)
    exit_at_signals()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    folder = Path(tempfile.mkdtemp(prefix="engagement-cluster-"))
    try:
        return run(folder, options)
    except ProgramError as problem:
        say(str(problem))
        return 1
    finally:
        if options.keep:
            say(f"Logs and files are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, options: argparse.Namespace) -> int:
    """Run the workload on a cluster in a folder, print the result, and return the exit status."""
    begin = time.monotonic()
    wait_past_midnight()
    api = SimulatedApi(
        folder=folder / "simulator",
        now=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        owners=options.owners,
        tweets=options.tweets,
        requests_per_minute=options.requests_per_minute,
        latency=options.latency,
    )
    workload = Workload(api=api, dataset_format=options.format, days=options.days, active_runs=options.active_runs)
    cluster = Cluster(folder, DAGS, api, variables=workload.variables, pool_slots=options.pool_slots)
    say("Starting the object store, the simulator, and Airflow with two Celery workers.")
    with cluster:
        started = time.monotonic()
        say(f"Everything runs after {started - begin:.0f} s. Pulling.")
        workload.start(cluster)
        try:
            runs = workload.wait(cluster, seconds=options.timeout)
            elapsed = time.monotonic() - started
        finally:
            show_errors(cluster)
        tasks = cluster.airflow.task_instances()
        dataset = Dataset.read(cluster.object_store, DATASET)
        journal = api.journal()
    say("Everything has stopped. Comparing the dataset with the simulator's world.")
    truth = workload.truth()
    succeeded = sum(task["state"] == "success" for task in tasks)
    comparison = Comparison.from_dataset(dataset, truth)
    for problem in comparison.examples:
        say(f"WRONG: {problem}")
    show(
        {
            "format": options.format,
            "runs that succeeded": f"{sum(run['state'] == 'success' for run in runs)} of {workload.runs}",
            "tasks that succeeded": f"{succeeded} of {len(tasks)}",
            "attempts after the first": sum(max(0, task["try_number"] - 1) for task in tasks),
            "requests sent / least possible": f"{len(journal)} / {truth.least_requests()}",
            "HTTP 429": sum(entry["status"] == 429 for entry in journal),
            "cells compared": f"{comparison.cells:,}",
            "cells that differ": f"{comparison.differences:,}",
            "duplicates of keys": comparison.duplicates,
            "wall time of the runs": f"{elapsed:.0f} s",
            "wall time": f"{time.monotonic() - begin:.0f} s",
        }
    )
    return 0 if comparison.is_equal and succeeded == len(tasks) else 1


def show_errors(cluster: Cluster) -> None:
    """Print the errors of some of the tasks that have not succeeded."""
    try:
        tasks = [task for task in cluster.airflow.task_instances() if task["state"] != "success"]
    except requests.RequestException as problem:
        say(f"The errors of tasks are unknown: {problem}")
        return
    with_errors = ((task, errors) for task in tasks if (errors := cluster.task_errors(task)))
    for task, errors in islice(with_errors, FAILED_TASKS_SHOWN):
        say(f"{task['state']}: {task['dag_id']} {task['dag_run_id']} {task['task_id']} {task['map_index']}")
        for error in errors:
            say(f"  {error}")


def wait_past_midnight() -> None:
    """Wait if midnight UTC is near. The runs of a backfill after midnight would request a day that the simulator's
    clock, which stands still, has not completed.
    """
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if midnight - now < TIME_BEFORE_MIDNIGHT:
        say("Waiting until midnight UTC is over.")
        time.sleep((midnight - now).total_seconds() + 1)


def show(figures: Mapping[str, object]) -> None:
    """Print figures as a table."""
    width = max(map(len, figures))
    say("")
    for name, value in figures.items():
        say(f"{name:{width}}  {value}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="scripts/cluster",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    result.add_argument("--format", default=FORMAT, help="format of the dataset")
    result.add_argument("--owners", type=int, default=5, help="number of users")
    result.add_argument("--tweets", type=int, default=200, help="number of Tweets, of all users together")
    result.add_argument("--days", type=int, default=30, help="days of history")
    result.add_argument("--active-runs", type=int, default=4, help="runs of the backfill that are active at once")
    result.add_argument("--pool-slots", type=int, default=4, help="pulls that run at the same time")
    result.add_argument("--requests-per-minute", type=int, default=20, help="quota of the contract")
    result.add_argument("--latency", type=float, default=0.2, help="seconds that each response takes")
    result.add_argument("--timeout", type=float, default=1200, help="seconds after which the runs must be over")
    result.add_argument("--keep", action="store_true", help="keep the folder with the logs and files")
    return result


if __name__ == "__main__":
    sys.exit(main())
