"""Airflow's API server as a process of its own, with the plugin and with users who log in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

PASSWORD = "only-for-tests"
START_TIMEOUT = 120.0
PLUGIN = "from airflow_provider_engagement.plugin.airflow_plugin import EngagementPlugin\n"
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def chromium() -> str | None:
    """Return the path of the system's browser, if there is one."""
    return next((path for path in CHROMIUM if Path(path).exists()), None)


@contextmanager
def api_server(home: Path, users: Mapping[str, str]) -> Iterator[str]:
    """Run Airflow's API server on the database of a home, and yield its address.

    :param home: the home of Airflow, whose database exists.
    :param users: the names and roles of the users. All of them have the same password.
    """
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port = connection.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    if not entry_points(group="airflow.plugins", name="engagement"):
        plugins = home / "plugins"
        plugins.mkdir(exist_ok=True)
        (plugins / "engagement_plugin.py").write_text(PLUGIN, encoding="utf-8")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(users, PASSWORD)), encoding="utf-8")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, long enough for its algorithm, and only for them",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Another test of this process may have set its own.
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    with (home / "api-server.log").open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", "airflow", "api-server"), env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, address, home / "api-server.log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with build_opener(ProxyHandler({})).open(f"{address}/api/v2/version", timeout=5):
                return
        except (URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"The API server did not start:\n{log.read_text(encoding='utf-8')[-2000:]}"
                ) from None
            time.sleep(0.5)
