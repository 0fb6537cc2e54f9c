"""Run the components of Airflow and the simulator on loopback, until interrupted.

``scripts/airflow`` creates the environment and runs this program. All files are below ``.airflow``. The tasks run in
this folder, so the relative paths of the example DAGs lead there.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow"
LOGS = HOME / "output"
WORLD = HOME / "world.json"

PORT = int(os.environ.get("PORT", "8080"))
ADDRESS = f"http://127.0.0.1:{PORT}"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")
START_TIMEOUT = 180.0
"""Seconds after which Airflow must be healthy."""

Programs = dict[str, subprocess.Popen[bytes]]

SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__API__BASE_URL": ADDRESS,
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__PORT": str(PORT),
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{ADDRESS}/execution/",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "4",
    # The example DAG that starts from an asset needs an absolute path.
    "ENGAGEMENT_DATASET_PATH": str(HOME / "engagement"),
    # Only users of this machine reach its loopback address.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def main() -> int:
    """Run everything until interrupted, and return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    if is_in_use(PORT):
        sys.exit(f"Port {PORT} is in use. Choose another one, as in PORT=9000 scripts/airflow.")
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ.update(SETTINGS)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_") and name not in SETTINGS]:
        del os.environ[name]
    programs: Programs = {}
    try:
        run(programs)
    finally:
        say("\nStopping.")
        stop(programs)
    return 0


def run(programs: Programs) -> None:
    """Start everything, and watch it.

    :param programs: the running programs by name; this function adds them.
    """
    WORLD.unlink(missing_ok=True)
    start(programs, "simulator", sys.executable, "-m", "airflow_provider_engagement.simulator", f"--world={WORLD}")
    say("Preparing the database of Airflow.")
    airflow("db", "migrate")
    wait_for(WORLD.exists, programs)
    world = json.loads(WORLD.read_text(encoding="utf-8"))
    prepare(world)
    say("Starting Airflow.")
    for component in COMPONENTS:
        start(programs, component, "airflow", component)
    wait_for(is_healthy, programs)
    say(
        f"\nAirflow      {ADDRESS} (no password: all users of this machine are administrators)\n"
        f"Engagement   {ADDRESS}/plugin/engagement (shows pulls and datasets after the first run)\n"
        f"Simulator    {world['base_url']}\n"
        f"Connections  {', '.join(connections(world))}\n"
        f"Logs         {shown(LOGS)}\n"
        f"Datasets     {shown(HOME)}/engagement, unless you set dataset_path in a run\n"
        "Fails        engagement_from_warehouse, until you add a connection 'warehouse' to a database\n\n"
        "Ctrl-C stops everything."
    )
    wait_for(lambda: False, programs, timeout=float("inf"))


def start(programs: Programs, name: str, *command: str) -> None:
    """Start a program in a new process group. Its working folder is ``.airflow``, and its output goes to a log file."""
    with (LOGS / f"{name}.log").open("wb") as output:
        programs[name] = subprocess.Popen(  # noqa: S603 - this script defines the commands
            command, cwd=HOME, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def stop(programs: Programs) -> None:
    """Stop all programs, and all processes that they started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for program in programs.values():
        signal_group(program, signal.SIGTERM)
    deadline = time.monotonic() + 20
    for program in programs.values():
        with suppress(subprocess.TimeoutExpired):
            program.wait(timeout=max(0.0, deadline - time.monotonic()))
        signal_group(program, signal.SIGKILL)
        program.wait()


def signal_group(program: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(program.pid, number)


def wait_for(condition: Callable[[], bool], programs: Programs, timeout: float = START_TIMEOUT) -> None:
    """Wait until a condition is true. Exit if a program ends before, or after a timeout in seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        for name, program in programs.items():
            if program.poll() is not None:
                sys.exit(f"{name} ended. See {shown(LOGS)}/{name}.log.")
        if time.monotonic() > deadline:
            sys.exit(f"Airflow is not healthy after {timeout:.0f} seconds. See {shown(LOGS)}.")
        time.sleep(0.5)


def is_in_use(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def is_healthy() -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{ADDRESS}/api/v2/monitor/health", timeout=5) as response:
            health = json.load(response)
    except (URLError, OSError, ValueError):
        return False
    return all((health.get(name) or {}).get("status") == "healthy" for name in HEALTH)


def connections(world: Mapping[str, Any]) -> dict[str, Any]:
    """Return Airflow connections to the simulator, by id. The default one has user and app credentials."""
    by_handle = {f"engagement_{name}": connection for name, connection in world["connections"].items()}
    user = world["connections"][world["handles"][0]["screen_name"]]
    both = {**world["connections"]["public"]["extra"], **user["extra"]}
    return {"engagement_default": {**user, "extra": both}, **by_handle}


def prepare(world: Mapping[str, Any]) -> None:
    """Add the connections and the pool to Airflow, and write the Tweet ids to the files that the example DAGs read."""
    file = HOME / "connections.json"
    file.write_text(json.dumps(connections(world)), encoding="utf-8")
    file.chmod(0o600)
    airflow("connections", "import", "--overwrite", str(file))
    airflow("pools", "set", "--include-deferred", "engagement", "1", "One pull at a time for each contract.")
    folder = HOME / "tweet_ids"
    folder.mkdir(exist_ok=True)
    files = {handle["screen_name"]: world["tweets"][handle["user_id"]] for handle in world["handles"]}
    files["public"] = [tweet_id for tweet_ids in world["tweets"].values() for tweet_id in tweet_ids]
    for name, tweet_ids in files.items():
        (folder / f"{name}.txt").write_text("\n".join(tweet_ids) + "\n", encoding="utf-8")
    # The example DAGs of one handle use engagement_default. A few Tweets are enough for them.
    newest = files[world["handles"][0]["screen_name"]][-200:]
    (HOME / "tweet_ids.txt").write_text("\n".join(newest) + "\n", encoding="utf-8")


def shown(path: Path) -> str:
    """Return a path relative to the root of the project."""
    return str(path.relative_to(ROOT))


def say(text: str) -> None:
    """Print a text without buffering."""
    print(text, flush=True)


def airflow(*arguments: str) -> None:
    """Run a command of Airflow until it ends."""
    completed = subprocess.run(["airflow", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if completed.returncode:
        sys.exit(f"airflow {' '.join(arguments[:2])} failed:\n{completed.stdout}{completed.stderr}"[-3000:])


if __name__ == "__main__":
    sys.exit(main())
