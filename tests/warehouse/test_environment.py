"""A load into PostgreSQL goes where the connection says, with the password of the connection and no other."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.warehouse.environment import without_client_settings

PROGRAM = """
import sys
from pathlib import Path

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.exceptions import EngagementError
from airflow_provider_engagement.connections.warehouse_credentials import warehouse_settings
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load import load_dataset

settings, name, secrets = warehouse_settings("mart", "postgres")
target = Target(warehouse=Warehouse.POSTGRES, schema="mart", name=name, settings=settings, secrets=secrets)
try:
    load_dataset(Path(sys.argv[1]), tables=["tweet_metrics"], target=target, address_of=local_address, lock_timeout=1)
except EngagementError as error:
    print(type(error).__name__, error)
"""


class Listener:
    """A server that speaks enough of PostgreSQL's protocol to ask whoever connects for a password in clear."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.connections = 0
        self.messages: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._ask(connection)

    def _ask(self, connection: socket.socket) -> None:
        while start := connection.recv(4096):
            (code,) = struct.unpack("!I", start[4:8])
            if code in (80877103, 80877104):  # a request for encryption, which this server does not have
                connection.sendall(b"N")
                continue
            self.messages.append(start)
            connection.sendall(b"R" + struct.pack("!II", 8, 3))
            self.messages.append(connection.recv(4096))
            return


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.close()


def run(dataset: Path, connection: dict[str, Any], home: Path, **variables: str) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        **variables,
        "HOME": str(home),
        "AIRFLOW_CONN_MART": json.dumps(
            {"conn_type": "postgres", "login": "loader", "schema": "mart", "host": "127.0.0.1", **connection}
        ),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(dataset)], env=environment, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


def test_the_environment_does_not_send_the_password_to_another_server(
    listener: Listener, dataset: Path, write_day: Any, tmp_path: Path
) -> None:
    write_day()
    (tmp_path / "services").write_text(f"[other]\nhost=127.0.0.1\nhostaddr=127.0.0.1\nport={listener.port}\n")

    shown = run(
        dataset,
        {"host": "db.example.invalid", "port": listener.port, "password": "canaryPassword"},
        tmp_path,
        PGHOSTADDR="127.0.0.1",
        PGSERVICE="other",
        PGSERVICEFILE=str(tmp_path / "services"),
        PGSYSCONFDIR=str(tmp_path),
        PGOPTIONS="-c nonsense=1",
        PGSSLMODE="disable",
    )

    assert (listener.connections, listener.messages) == (0, [])
    assert "WarehouseError" in shown
    assert "canary" not in shown


@pytest.mark.parametrize("place", ["PGPASSWORD", "PGPASSFILE", "home", "PGSERVICE"])
def test_a_password_of_the_environment_or_the_home_folder_is_not_used(
    place: str, listener: Listener, dataset: Path, write_day: Any, tmp_path: Path
) -> None:
    write_day()
    file = tmp_path / (".pgpass" if place == "home" else "passwords")
    file.write_text("*:*:*:*:canaryPassword\n")
    file.chmod(0o600)
    services = tmp_path / ("services" if place == "PGSERVICE" else ".pg_service.conf")
    services.write_text("[other]\npassword=canaryPassword\n")
    variables = {
        "PGPASSWORD": {"PGPASSWORD": "canaryPassword"},
        "PGPASSFILE": {"PGPASSFILE": str(file)},
        "home": {},
        "PGSERVICE": {"PGSERVICE": "other", "PGSERVICEFILE": str(services)},
    }[place]

    shown = run(dataset, {"port": listener.port}, tmp_path, **variables)

    assert listener.connections > 0
    assert not any(b"canary" in message for message in listener.messages)
    assert "no password supplied" in shown


def test_the_password_of_the_connection_is_used(
    listener: Listener, dataset: Path, write_day: Any, tmp_path: Path
) -> None:
    write_day()

    shown = run(dataset, {"port": listener.port, "password": "canaryPassword"}, tmp_path, PGPASSWORD="another")

    assert any(b"canaryPassword" in message for message in listener.messages)
    assert "canary" not in shown


def test_the_environment_is_as_before_after_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.2")
    monkeypatch.delenv("PGPASSFILE", raising=False)
    before = dict(os.environ)

    with without_client_settings():
        assert "PGHOSTADDR" not in os.environ

    assert dict(os.environ) == before
