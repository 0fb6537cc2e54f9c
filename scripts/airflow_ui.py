"""Runs all of Airflow's parts and the simulator on loopback until it is interrupted.

Called by ``scripts/airflow``, which makes the environment. All that it writes is below ``.airflow``, from where the
tasks run too, so that the example DAGs' own defaults lead there.
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
PATIENCE = 180.0
"""Seconds until Airflow must be up."""

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
    # Whoever reaches this machine's loopback address is its user.
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def main() -> int:
    """Run everything until interrupted; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    if is_taken(PORT):
        sys.exit(f"Port {PORT} is taken; choose another with PORT=9000 scripts/airflow.")
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

    :param programs: is filled with what was started.
    """
    WORLD.unlink(missing_ok=True)
    start(programs, "simulator", sys.executable, "-m", "airflow_provider_engagement.simulator", f"--world={WORLD}")
    say("Preparing Airflow's database.")
    airflow("db", "migrate")
    wait_for(WORLD.exists, programs)
    world = json.loads(WORLD.read_text(encoding="utf-8"))
    prepare(world)
    say("Starting Airflow.")
    for component in COMPONENTS:
        start(programs, component, "airflow", component)
    wait_for(is_healthy, programs)
    say(
        f"\nAirflow      {ADDRESS} (no password: everyone on this machine is an administrator)\n"
        f"Simulator    {world['base_url']}\n"
        f"Connections  {', '.join(connections(world))}\n"
        f"Logs         {shown(LOGS)}\n"
        f"Datasets     {shown(HOME)}/engagement, unless a run's output_path says otherwise\n\n"
        "Ctrl-C stops everything."
    )
    wait_for(lambda: False, programs, patience=float("inf"))


def start(programs: Programs, name: str, *command: str) -> None:
    """Start a program in a process group of its own, from the state folder, its output in a log of its own."""
    with (LOGS / f"{name}.log").open("wb") as output:
        programs[name] = subprocess.Popen(  # noqa: S603 - the commands are this script's own
            command, cwd=HOME, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def stop(programs: Programs) -> None:
    """End all programs, and whatever they started."""
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


def wait_for(condition: Callable[[], bool], programs: Programs, patience: float = PATIENCE) -> None:
    """Wait until a condition holds; give up if one of the programs ends before, or after so many seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        for name, program in programs.items():
            if program.poll() is not None:
                sys.exit(f"{name} ended; see {shown(LOGS)}/{name}.log.")
        if time.monotonic() > deadline:
            sys.exit(f"Airflow is not up after {patience:.0f} seconds; see {shown(LOGS)}.")
        time.sleep(0.5)


def is_taken(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def is_healthy() -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{ADDRESS}/api/v2/monitor/health", timeout=5) as answer:
            health = json.load(answer)
    except (URLError, OSError, ValueError):
        return False
    return all((health.get(part) or {}).get("status") == "healthy" for part in HEALTH)


def connections(world: Mapping[str, Any]) -> dict[str, Any]:
    """Return Airflow connections to the simulator by their ids; the default one has a user's tokens and the app's."""
    made = {f"engagement_{name}": connection for name, connection in world["connections"].items()}
    user = world["connections"][world["handles"][0]["screen_name"]]
    both = {**world["connections"]["public"]["extra"], **user["extra"]}
    return {"engagement_default": {**user, "extra": both}, **made}


def prepare(world: Mapping[str, Any]) -> None:
    """Put the connections and the pool into Airflow's database, and the Tweets' ids where the example DAGs look."""
    file = HOME / "connections.json"
    file.write_text(json.dumps(connections(world)), encoding="utf-8")
    file.chmod(0o600)
    airflow("connections", "import", "--overwrite", str(file))
    airflow("pools", "set", "--include-deferred", "engagement", "1", "One request at a time for each contract.")
    folder = HOME / "tweet_ids"
    folder.mkdir(exist_ok=True)
    files = {handle["screen_name"]: world["tweets"][handle["user_id"]] for handle in world["handles"]}
    files["public"] = [tweet_id for tweet_ids in world["tweets"].values() for tweet_id in tweet_ids]
    for name, tweet_ids in files.items():
        (folder / f"{name}.txt").write_text("\n".join(tweet_ids) + "\n", encoding="utf-8")
    # For the example DAGs of one handle, which engagement_default is: enough Tweets to see, few enough to be quick.
    own = files[world["handles"][0]["screen_name"]][-200:]
    (HOME / "tweet_ids.txt").write_text("\n".join(own) + "\n", encoding="utf-8")


def shown(path: Path) -> str:
    """Return a path as a person at the project's root names it."""
    return str(path.relative_to(ROOT))


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def airflow(*arguments: str) -> None:
    """Run one command of Airflow's to its end."""
    done = subprocess.run(["airflow", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        sys.exit(f"airflow {' '.join(arguments[:2])} failed:\n{done.stdout}{done.stderr}"[-3000:])


if __name__ == "__main__":
    sys.exit(main())
