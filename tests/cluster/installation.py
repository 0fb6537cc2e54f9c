"""A cluster: Airflow's components, workers that share no files, and the services that they use."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import requests

from cluster.airflow_api import AirflowApi
from cluster.object_store import ObjectStore
from cluster.programs import Program, Programs, free_ports, run
from cluster.shared_services import Broker, Database
from cluster.simulator import SimulatedApi

OBJECT_STORE, SIMULATOR = "object-store", "simulator"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
POOL = "engagement"

START_SECONDS = 240.0


@dataclass
class Cluster:
    """A cluster in a folder. As a context manager, it starts and stops.

    Its programs are ``object-store``, ``simulator``, ``api-server``, ``scheduler``, ``dag-processor``, ``triggerer``
    and ``worker-1``, ``worker-2`` and so on. Each component of Airflow has its own ``AIRFLOW_HOME``, home folder,
    temporary folder, working folder and copy of the DAG files. PostgreSQL and the broker run already.

    :param folder: an empty folder.
    :param dags: the folder with the DAG files.
    :param api: the simulator of the API.
    :param variables: environment variables for the DAG files.
    :param settings: settings of Airflow, as environment variables, in addition to those of this class.
    :param workers: the number of workers.
    :param slots: how many tasks each worker runs at the same time.
    :param pool_slots: the slots of the pool ``engagement``.
    :param broker: the broker of Celery.
    """

    folder: Path
    dags: Path
    api: SimulatedApi
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    slots: int = 2
    pool_slots: int = 4
    broker: Broker = field(default_factory=Broker)

    def __post_init__(self) -> None:
        """Choose the addresses of the services. Start nothing."""
        self.programs = Programs(self.folder / "logs")
        self.object_store = ObjectStore(folder=self.folder / OBJECT_STORE)
        self.database = Database()
        self.airflow = AirflowApi(f"http://127.0.0.1:{free_ports(1)[0]}")
        # A component that reads another secret rejects the tokens of the others, and cannot decrypt connections.
        self._secrets = {
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }

    def __enter__(self) -> Self:
        """Start everything."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Stop everything."""
        self.stop()

    @property
    def worker_names(self) -> Sequence[str]:
        """The names of the workers."""
        return [f"worker-{number}" for number in range(1, self.workers + 1)]

    def start(self) -> None:
        """Start everything, and wait until it is ready.

        :raises ProgramError: if a service is missing, or if a program does not start.
        """
        self.programs.logs.mkdir(parents=True)
        self.database.create()
        self.broker.claim()
        self.programs.start(OBJECT_STORE, self.object_store.program(self._environment(OBJECT_STORE)))
        self.programs.start(SIMULATOR, self.api.program(self._environment(SIMULATOR)))
        run(self._airflow("migration", "db", "migrate"))
        self._wait_for(OBJECT_STORE, self.object_store.is_ready)
        self._wait_for(SIMULATOR, self.api.is_ready)
        self.object_store.create_bucket()
        for name in COMPONENTS:
            # Logs are read from the folders of the components. The ports of log servers are fixed.
            options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
            self.programs.start(name, self._airflow(name, name, *options))
        for name in self.worker_names:
            self.programs.start(name, self._worker(name))
        self._wait_for("Airflow", self.airflow.is_healthy)
        self.airflow.set_connection("object_store", self.object_store.connection())
        for name, connection in self.api.description["connections"].items():
            # Without a limit of its own, a pull learns the quota only from the headers of responses.
            del connection["extra"]["requests_per_minute"]
            self.airflow.set_connection(f"engagement_{name}", connection)
        self.airflow.create_pool(POOL, self.pool_slots)
        for name in self.worker_names:
            self._wait_for(name, partial(self._has_started, name))

    def stop(self) -> None:
        """Kill all programs, drop the database, and empty the broker. Keep the folder."""
        # Nobody reads what they would still write, so they do not have to stop in order.
        self.programs.kill_all()
        self.broker.flush()
        self.database.drop()

    def kill(self, name: str) -> None:
        """Kill a program with all its processes, such as the tasks of a worker, as a failing machine does."""
        self.programs.kill(name)

    def restart(self, name: str) -> None:
        """Start a program again that was killed, or that still runs."""
        self.programs.restart(name)

    def wait_for_runs(self, runs: int, *, seconds: float) -> list[dict[str, Any]]:
        """Wait until a number of runs, and with them all of their tasks, are over. Return the runs.

        :raises ProgramError: if the time is up, or if a program ends.
        """

        def are_over() -> bool:
            try:
                return self.airflow.count_runs() >= runs and not self.airflow.count_runs("queued", "running")
            except requests.RequestException:
                # The API server may have been killed. If it does not come back, the time is up.
                return False

        self.programs.wait_for(f"{runs} runs are over", are_over, seconds=seconds, interval=3.0)
        return self.airflow.runs()

    def task_errors(self, task_instance: Mapping[str, Any]) -> list[str]:
        """Return the errors in the logs of a task's attempts. Each worker has the logs of the attempts that it ran."""
        folder = f"dag_id={task_instance['dag_id']}/run_id={task_instance['dag_run_id']}"
        folder += f"/task_id={task_instance['task_id']}/map_index={task_instance['map_index']}"
        logs = [log for name in self.worker_names for log in (self._home(name) / "logs" / folder).glob("*.log")]
        return [error for log in sorted(logs, key=lambda log: log.name) for error in _errors(log)]

    def _wait_for(self, name: str, condition: Callable[[], bool]) -> None:
        self.programs.wait_for(f"{name} is ready", condition, seconds=START_SECONDS)

    def _has_started(self, worker: str) -> bool:
        return f"{worker}@" in (log := self.programs.end_of_log(worker)) and " ready." in log

    def _worker(self, name: str) -> Program:
        return self._airflow(
            name,
            *("celery", "worker"),
            *("--celery-hostname", f"{name}@%h"),
            *("--concurrency", str(self.slots)),
            "--skip-serve-logs",
            "--without-gossip",
            "--without-mingle",
        )

    def _airflow(self, name: str, *arguments: str) -> Program:
        home = self._home(name)
        shutil.copytree(self.dags, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        return Program(
            command=(sys.executable, "-m", "airflow", *arguments),
            folder=home / "work",
            environment=self._environment(name)
            | {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
                **self._shared_settings,
                **self._secrets,
                **self.variables,
                **self.settings,
            },
        )

    @property
    def _shared_settings(self) -> Mapping[str, str]:
        address = self.airflow.address
        return {
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": address.rpartition(":")[2],
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CELERY__BROKER_URL": self.broker.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database.url}",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(2 * self.workers * self.slots),
            # Only users of this machine reach its loopback address.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.url,
            # The DAG files do not change.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            # Only triggers and backfills create runs.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        }

    def _environment(self, name: str) -> dict[str, str]:
        """Return the environment of a program, with a home folder and a temporary folder of its own."""
        home, temporary = self._home(name) / "home", self._home(name) / "tmp"
        for folder in (home, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        return _inherited(os.environ.items()) | {
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def _home(self, name: str) -> Path:
        return self.folder / name


def _inherited(variables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the environment variables that do not configure Airflow or name files and accounts of the user."""
    return {name: value for name, value in variables if not name.startswith(("AIRFLOW", "AWS_", "PYTHON"))}


def _errors(log: Path) -> Iterator[str]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if entry.get("level") in ("error", "critical"):
                causes = [f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("error_detail") or ()]
                yield f"{log.stem}: {entry['event']} {'; '.join(causes)}".strip()
