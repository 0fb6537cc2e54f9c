"""An Airflow installation of separate processes, and a simulator. All of them stop when the tests are over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WRITERS = ("scheduler", "dag-processor", "triggerer")
HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")
REQUESTS_PER_MINUTE = 60
TWEETS = 400
"""Tweets of one user, older than the days that are pulled: 16 requests a day, at 25 Tweets each."""


def days_ago(number: int) -> str:
    """Return a date that the API still has."""
    return (datetime.now(UTC) - timedelta(days=number)).date().isoformat()


def free_port() -> int:
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port: int = connection.getsockname()[1]
        return port


@dataclass
class Programs:
    """Running programs. Each has its own process group, and writes its output to a file."""

    folder: Path
    environment: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as output:
            self.running[name] = subprocess.Popen(
                (sys.executable, "-m", *arguments),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a program and its children, as a failing machine does."""
        program = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()

    def stop(self, *names: str) -> None:
        """Terminate programs and their children, and kill those that do not stop."""
        stopping = {name: program for name, program in self.running.items() if name in names}
        for program in stopping.values():
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        for name, program in stopping.items():
            with suppress(subprocess.TimeoutExpired):
                program.wait(timeout=max(0.0, deadline - time.monotonic()))
            self.kill(name)

    def wait_for(self, expected: str, condition: Callable[[], bool], *, seconds: float) -> None:
        """Wait until a condition is true, for a limited time and only while every program runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            for name, program in self.running.items():
                if program.poll() is not None:
                    pytest.fail(f"{name} ended before {expected}:\n{self.end_of_log(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.end_of_log(name)}" for name in self.running)
                pytest.fail(f"not within {seconds:.0f} s: {expected}\n{logs}")
            time.sleep(1.0)

    def end_of_log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]


@dataclass
class Installation:
    """A running Airflow installation and a running simulator."""

    folder: Path
    address: str
    programs: Programs
    world: Mapping[str, Any]
    behind: float = 0.0
    """How many seconds the simulator's clock is behind Airflow's."""

    @property
    def environment(self) -> Mapping[str, str]:
        return self.programs.environment

    def airflow(self, *arguments: str) -> str:
        """Run a command of Airflow, and return its output."""
        completed = subprocess.run(
            (sys.executable, "-m", "airflow", *arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def backfill(self, dag_id: str, days: int) -> None:
        """Start a backfill of consecutive days, of which the last is a month ago.

        With SQLite, the command fails while another process writes to Airflow's database. So the others stop first.
        """
        dates = ("--from-date", days_ago(29 + days), "--to-date", days_ago(30))
        self.programs.stop(*WRITERS)
        self.airflow("backfill", "create", "--dag-id", dag_id, "--max-active-runs", str(days), *dates)
        # The simulator's minute starts now, so that there is time to use up its quota.
        now = datetime.now(UTC)
        minute = now.replace(second=0, microsecond=0)
        self.simulate("clock", rate={"now": minute.isoformat(), "running": True})
        self.behind = (now - minute).total_seconds()
        for name in WRITERS:
            self.start(name)
        self.programs.wait_for("Airflow is healthy", self.is_healthy, seconds=120)

    def start(self, name: str) -> None:
        """Start a component of Airflow."""
        self.programs.start(name, "airflow", name)

    def get(self, path: str) -> Any:
        """Return a resource of Airflow's public API."""
        return self.send("GET", path)

    def send(self, method: str, path: str, content: Any = None) -> Any:
        """Send a request to Airflow's public API, as the UI does, and return the content of the response."""
        with requests.Session() as session:
            session.trust_env = False
            token = session.get(f"{self.address}/auth/token", timeout=30).json()["access_token"]
            response = session.request(
                method,
                f"{self.address}/api/v2{path}",
                json=content,
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
            response.raise_for_status()
            return response.json()

    def task_instances(self, dag_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/dags/{dag_id}/dagRuns/~/taskInstances?limit=100")["task_instances"]
        return found

    def simulate(self, resource: str, **change: Any) -> None:
        """Change the simulator."""
        with requests.Session() as session:
            session.trust_env = False
            session.post(
                f"{self.world['base_url']}/__simulator__/{resource}", json=change, timeout=30
            ).raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """Return the requests for history that the simulator received."""
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(f"{self.world['base_url']}/__simulator__/journal", timeout=30)
            return [entry for entry in response.json()["entries"] if "historical" in entry["path"]]

    def occupations(self, dag_id: str) -> list[dict[str, Any]]:
        """Return when tasks occupied a worker. An occupation that has not ended, or was killed, has no ``end``."""
        occupations = []
        for started in (self.folder / "occupations").glob("*.started"):
            ended = started.with_suffix(".ended")
            occupations.append(
                json.loads(started.read_bytes()) | (json.loads(ended.read_bytes()) if ended.exists() else {})
            )
        return sorted(
            (occupation for occupation in occupations if occupation["dag_id"] == dag_id),
            key=lambda occupation: occupation["start"],
        )

    def manifest(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return the XCom of a task."""
        value = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/pull/xcomEntries/return_value")["value"]
        return value if isinstance(value, dict) else json.loads(value)

    def is_healthy(self) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False
                health = session.get(f"{self.address}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in HEALTH)


@pytest.fixture(scope="module")
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start scheduler, triggerer, API server, DAG processor and LocalExecutor on SQLite, and a simulator.

    The settings of Airflow are those of the test module too, if it has ``SETTINGS``.
    """
    folder = tmp_path_factory.mktemp("airflow")
    for name in ("occupations", "dataset"):
        (folder / name).mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment |= {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # Only backfills create runs.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "ENGAGEMENT_SYSTEM_TEST_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH")))),
        **getattr(request.module, "SETTINGS", {}),
    }
    programs = Programs(folder, environment)
    try:
        world_file = folder / "world.json"
        programs.start(
            "simulator",
            "airflow_provider_engagement.simulator",
            "--handles=1",
            f"--tweets={TWEETS}",
            f"--start={days_ago(100)}",
            f"--end={days_ago(90)}",
            f"--requests-per-minute={REQUESTS_PER_MINUTE}",
            f"--world={world_file}",
        )
        programs.wait_for("the simulator is ready", world_file.exists, seconds=60)
        world = json.loads(world_file.read_text(encoding="utf-8"))
        handle = world["handles"][0]
        environment["AIRFLOW_CONN_ENGAGEMENT_DEFAULT"] = json.dumps(world["connections"][handle["screen_name"]])
        (folder / "tweet_ids.txt").write_text("\n".join(world["tweets"][handle["user_id"]]), encoding="utf-8")
        installation = Installation(folder, address, programs, world)
        installation.airflow("db", "migrate")
        installation.airflow("pools", "set", "--include-deferred", "engagement", "1", "One quota.")
        installation.airflow("dags", "reserialize")
        installation.start("api-server")
        yield installation
    finally:
        programs.stop(*programs.running)
