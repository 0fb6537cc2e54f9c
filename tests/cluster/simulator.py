"""The simulator of the API: the owners, their Tweets, and the requests that it has received."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from airflow_provider_engagement.simulator import World
from cluster.programs import Program, free_ports


@dataclass(frozen=True, kw_only=True)
class SimulatedApi:
    """A simulator whose data clock stands still.

    :param folder: the folder of its files.
    :param now: the time of the data clock, a whole hour.
    :param owners: the number of users.
    :param tweets: the number of Tweets, of all users together.
    :param requests_per_minute: the quota that all users share.
    :param latency: the seconds that each response takes.
    """

    folder: Path
    now: datetime
    owners: int
    tweets: int
    requests_per_minute: int
    latency: float
    seed: int = 28
    _port: int = field(default_factory=lambda: free_ports(1)[0])

    @property
    def world(self) -> World:
        """The world of the simulator, generated again."""
        return World.generate(seed=self.seed, handles=self.owners, tweets=self.tweets, end=self.now)

    @property
    def description(self) -> Mapping[str, Any]:
        """What a client needs to connect to the running simulator."""
        content: dict[str, Any] = json.loads(self._world_file.read_text(encoding="utf-8"))
        return content

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return the simulator as a program."""
        options = {
            "port": self._port,
            "handles": self.owners,
            "tweets": self.tweets,
            "seed": self.seed,
            "now": self.now.isoformat(),
            "requests-per-minute": self.requests_per_minute,
            "latency": self.latency,
            "world": self._world_file,
        }
        return Program(
            command=(
                sys.executable,
                *("-m", "airflow_provider_engagement.simulator"),
                *(f"--{name}={value}" for name, value in options.items()),
            ),
            folder=self.folder,
            environment=environment,
        )

    def is_ready(self) -> bool:
        """Return whether the simulator accepts requests."""
        try:
            return self._world_file.exists() and self._get("clock").ok
        except requests.RequestException:
            return False

    def journal(self) -> Sequence[Mapping[str, Any]]:
        """Return the requests for counts that the simulator has received."""
        response = self._get("journal")
        response.raise_for_status()
        return [entry for entry in response.json()["entries"] if "/insights/" in entry["path"]]

    def control(self, resource: str, content: Any, method: str = "POST") -> None:
        """Change how the simulator behaves."""
        requests.request(method, self._url(resource), json=content, timeout=30).raise_for_status()

    def _get(self, resource: str) -> requests.Response:
        return requests.get(self._url(resource), timeout=30)

    def _url(self, resource: str) -> str:
        return f"http://127.0.0.1:{self._port}/__simulator__/{resource}"

    @property
    def _world_file(self) -> Path:
        return self.folder / "world.json"
