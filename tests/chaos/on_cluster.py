"""Disturb a cluster while it pulls, and compare every cell of the dataset with the simulator's world at the end.

``scripts/chaos --cluster`` creates the environment and runs this program. The faults come one after the other, in an
order that depends on the seed, while tasks run: until the last fault, runs for earlier days follow those that are over.
The exit status is 0 only if every task succeeded, and the dataset is correct.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests
from cluster.__main__ import show, show_errors, wait_past_midnight
from cluster.comparison import Comparison, Dataset
from cluster.installation import Cluster
from cluster.programs import ProgramError, Programs, free_ports
from cluster.shared_services import Broker
from cluster.simulator import SimulatedApi
from cluster.terminal import exit_at_signals, say, show_table
from cluster.workload import DAGS, DATASET, Workload

from chaos.cluster_faults import FAULTS, REDIS, WORKER, Site, redis_server
from chaos.store_proxy import StoreProxy

SETTINGS = {
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
}
"""Settings with which Airflow soon runs the tasks of a dead component again."""

RETRIES = 20
ACTIVE_RUNS = 4
"""How many runs are active until the last fault, at least."""
SECONDS_UNTIL_HEALTHY = 180.0
SECONDS_UNTIL_A_TASK_RUNS = 120.0
SECONDS_OF_CHANCE = 3.0
ERRORS_SHOWN = 15


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """A fault that was applied.

    :param fault: the name of the fault.
    :param at: the seconds since the start of the workload.
    :param lasted: the seconds until the cluster was healthy again.
    :param running: how many tasks were running.
    :param attempts: how many attempts after the first had begun before the fault.
    :param ended: programs that ended although nothing killed them.
    """

    fault: str
    at: float
    lasted: float
    running: int
    attempts: int
    ended: Sequence[str]


@dataclass
class Run:
    """A workload that is disturbed.

    :param site: what is disturbed.
    :param workload: the workload, which runs already.
    :param deadline: the time of the monotonic clock at which the runs must be over.
    """

    site: Site
    workload: Workload
    deadline: float
    disturbances: list[Disturbance] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def disturb(self, name: str, *, seconds: float) -> None:
        """Apply a fault for some seconds while a task runs, and wait until the cluster is healthy again.

        :raises ProgramError: if no task runs, or if the cluster does not become healthy.
        """
        site, ended = self.site, []
        is_working = False

        def look() -> bool:
            nonlocal is_working
            is_working = self._is_working()
            return is_working

        self._wait(look, seconds=SECONDS_UNTIL_A_TASK_RUNS)
        # A short task can end before a second look.
        if not is_working:
            raise ProgramError(f"No task runs within {SECONDS_UNTIL_A_TASK_RUNS:.0f} seconds.")
        time.sleep(site.chance.uniform(0, SECONDS_OF_CHANCE))
        running, attempts = len(site.running_tasks()), self.attempts()
        begin = time.monotonic()
        with FAULTS[name](site, seconds):
            ended += self._wait(lambda: False, seconds=seconds)
        ended += self._wait(site.is_healthy, seconds=SECONDS_UNTIL_HEALTHY)
        if not site.is_healthy():
            raise ProgramError(
                f"The cluster is not healthy {SECONDS_UNTIL_HEALTHY:.0f} seconds after the fault: {name}."
            )
        lasted = time.monotonic() - begin
        self.disturbances.append(
            Disturbance(
                fault=name, at=begin - self.started, lasted=lasted, running=running, attempts=attempts, ended=ended
            )
        )
        say(f"{begin - self.started:5.0f} s: {name}, {running} tasks were running, healthy after {lasted:.0f} s")

    def calm(self, seconds: float) -> None:
        """Let the cluster work undisturbed."""
        end = time.monotonic() + seconds
        self._wait(lambda: self._is_working() and time.monotonic() > end, seconds=seconds)

    def finish(self) -> None:
        """Wait until all runs are over.

        :raises ProgramError: if the time is up.
        """
        self._wait(lambda: self._active_runs() == 0, seconds=self.deadline - time.monotonic())
        if self._active_runs():
            raise ProgramError(
                f"The runs are not over {time.monotonic() - self.started:.0f} seconds after their start."
            )

    def attempts(self) -> int:
        """Return how many attempts after the first there have been."""
        return sum(max(0, task["try_number"] - 1) for task in self.site.cluster.airflow.task_instances())

    def _active_runs(self) -> int:
        return self.site.cluster.airflow.count_runs("queued", "running")

    def _is_working(self) -> bool:
        """Start a run if few are active. Return whether a task is running."""
        if self._active_runs() < ACTIVE_RUNS:
            self.workload.start_earlier_day(self.site.cluster)
        return bool(self.site.running_tasks())

    def _wait(self, condition: Callable[[], bool], *, seconds: float) -> list[str]:
        """Wait until a condition is true, or for some seconds. Restart what ends, as a service manager does.

        :return: the programs that ended.
        """
        programs, ended = self.site.cluster.programs, []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name in programs.ended():
                ended.append(name)
                programs.restart(name)
            try:
                if condition():
                    break
            except requests.RequestException:
                # The API server may have been killed, or may not reach its database.
                pass
            time.sleep(0.5)
        return ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Disturb a cluster, print a table, and return the exit status."""
    options = parser().parse_args(arguments)
    exit_at_signals()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    folder = Path(tempfile.mkdtemp(prefix="engagement-chaos-cluster-"))
    redis = Programs(folder / REDIS)
    try:
        return run(folder, redis, options)
    except ProgramError as problem:
        say(str(problem))
        return 1
    finally:
        redis.kill_all()
        if options.keep:
            say(f"Logs and files are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, redis: Programs, options: argparse.Namespace) -> int:
    """Run and disturb the workload, print the result, and return the exit status."""
    begin = time.monotonic()
    wait_past_midnight()
    chance = random.Random(options.seed)
    api = SimulatedApi(
        folder=folder / "simulator",
        now=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        owners=options.owners,
        tweets=options.tweets,
        requests_per_minute=options.requests_per_minute,
        latency=0.2,
    )
    workload = Workload(api=api, dataset_format="delta", days=options.days, active_runs=options.days)
    cluster = Cluster(
        folder,
        DAGS,
        api,
        variables={**workload.variables, "CLUSTER_RETRIES": str(RETRIES)},
        settings=SETTINGS,
        broker=own_broker(redis),
    )
    say("Starting the object store, the simulator, and Airflow with two Celery workers.")
    with ExitStack() as stack:
        stack.enter_context(cluster)
        proxy = stack.enter_context(StoreProxy(cluster.object_store.address))
        connection = cluster.object_store.connection()
        connection["extra"]["endpoint_url"] = proxy.address
        cluster.airflow.set_connection("object_store", connection)
        workload.start(cluster)
        site = Site(cluster=cluster, proxy=proxy, redis=redis if redis.is_running(REDIS) else None, chance=chance)
        disturbed = Run(site=site, workload=workload, deadline=time.monotonic() + options.timeout)
        stack.callback(show_errors, cluster)
        apply_all(disturbed, options)
        disturbed.finish()
        elapsed = time.monotonic() - disturbed.started
        attempts = disturbed.attempts()
        tasks, journal = cluster.airflow.task_instances(), api.journal()
        errors = Counter(error.partition(": ")[2] for task in tasks for error in cluster.task_errors(task))
        dataset = Dataset.read(cluster.object_store, DATASET)
    say("Everything has stopped. Comparing the dataset with the simulator's world.\n")
    show_disturbances(disturbed.disturbances, attempts)
    say("\nErrors of attempts:")
    for error, times in errors.most_common(ERRORS_SHOWN):
        say(f"{times:4} x {error[:200]}")
    truth = workload.truth()
    comparison = Comparison.from_dataset(dataset, truth)
    for problem in comparison.examples:
        say(f"WRONG: {problem}")
    succeeded = sum(task["state"] == "success" for task in tasks)
    fetched = [identity(entry) for entry in journal if entry["status"] == 200 and not entry["forced"]]
    show(
        {
            "tasks that succeeded": f"{succeeded} of {len(tasks)}",
            "attempts after the first": attempts,
            "requests sent / least possible": f"{len(journal)} / {truth.least_requests()}",
            "responses fetched / different ones": f"{len(fetched)} / {len(set(fetched))}",
            "connections to the store disturbed": proxy.disturbed,
            "cells compared": f"{comparison.cells:,}",
            "cells that differ": f"{comparison.differences:,}",
            "duplicates of keys": comparison.duplicates,
            "wall time of the runs": f"{elapsed:.0f} s",
            "wall time": f"{time.monotonic() - begin:.0f} s",
            "seed": options.seed,
        }
    )
    return 0 if comparison.is_equal and succeeded == len(tasks) else 1


def own_broker(redis: Programs) -> Broker:
    """Start a Redis server for this cluster alone if there is one to start, and return the broker."""
    command = shutil.which("redis-server")
    if command is None:
        say("Redis is not killed, because there is no program redis-server. The cluster uses a shared Redis.")
        return Broker()
    port = free_ports(1)[0]
    redis.logs.mkdir(parents=True)
    redis.start(REDIS, redis_server(command, port, redis))
    redis.wait_for("Redis listens", lambda: "Ready to accept" in redis.end_of_log(REDIS), seconds=20)
    return Broker(f"redis://127.0.0.1:{port}")


def apply_all(disturbed: Run, options: argparse.Namespace) -> None:
    """Apply the faults in a random order."""
    chance = disturbed.site.chance
    chosen = [name for name in options.faults if name != WORKER and disturbed.site.allows(name)]
    names = chosen + [WORKER] * options.worker_kills
    chance.shuffle(names)
    for name in names:
        disturbed.calm(options.calm * chance.uniform(0.5, 1.5))
        disturbed.disturb(name, seconds=options.seconds)


def identity(entry: Mapping[str, Any]) -> str:
    """Return what tells a request from others."""
    return json.dumps([entry[name] for name in ("path", "auth", "user_id", "body")], sort_keys=True)


def show_disturbances(disturbances: Sequence[Disturbance], attempts: int) -> None:
    """Print a table of faults.

    :param disturbances: the faults.
    :param attempts: how many attempts after the first there were at the end.
    """
    header = ("fault", "at (s)", "healthy after (s)", "tasks running", "tasks retried since", "ended by themselves")
    lines = [header]
    for disturbance, later in zip(disturbances, [*[one.attempts for one in disturbances[1:]], attempts], strict=True):
        lines.append(
            (
                disturbance.fault,
                f"{disturbance.at:.0f}",
                f"{disturbance.lasted:.0f}",
                str(disturbance.running),
                str(later - disturbance.attempts),
                ", ".join(disturbance.ended),
            )
        )
    show_table(lines)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="scripts/chaos --cluster",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    number = partial(result.add_argument, type=int)
    number("--owners", default=5, help="number of users")
    number("--tweets", default=200, help="number of Tweets, of all users together")
    number("--days", default=6, help="days of history")
    number("--requests-per-minute", default=20, help="quota of the contract, which decides how long the runs last")
    number("--worker-kills", default=5, help="how often a worker is killed")
    number("--seed", default=1, help="chooses the order of the faults, their times, and the workers")
    result.add_argument("--faults", nargs="+", default=list(FAULTS), choices=FAULTS, help="the other faults")
    result.add_argument("--seconds", type=float, default=8, help="how long each fault lasts")
    result.add_argument("--calm", type=float, default=15, help="seconds between two faults, half more or half less")
    result.add_argument("--timeout", type=float, default=2400, help="seconds after which the runs must be over")
    result.add_argument("--keep", action="store_true", help="keep the folder with the logs and files")
    return result


if __name__ == "__main__":
    sys.exit(main())
