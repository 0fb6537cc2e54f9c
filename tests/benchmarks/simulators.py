"""The simulator as a process of its own, so that what it needs is not counted, and what it counted."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_engagement.api.address import Address
from airflow_provider_engagement.api.auth import Credentials
from airflow_provider_engagement.api.client import EngagementClient
from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.api.rate_limit import RateLimit

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A running simulator.

    :param description: all that a client needs to know of it.
    """

    description: dict[str, Any]

    @property
    def base_url(self) -> str:
        """Its address."""
        return str(self.description["base_url"])

    @property
    def tweet_ids(self) -> list[str]:
        """The ids of all Tweets that are not deleted at once."""
        return [tweet_id for tweet_ids in self.description["tweets"].values() for tweet_id in tweet_ids]

    def ask(self, subject: str, given: dict[str, Any] | None = None) -> Any:
        """Ask the control plane, or change something there."""
        request = urllib.request.Request(
            f"{self.base_url}/__simulator__/{subject}",
            data=None if given is None else json.dumps(given).encode(),
            method="GET" if given is None else "POST",
        )
        with _DIRECT.open(request) as response:
            return json.load(response)

    def begin_window(self) -> float:
        """Set the rate clock back to the beginning of its minute, so that runs compare, and return now by our own."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        self.ask("clock", {"rate": {"now": minute.isoformat(), "running": True}})
        return time.time()

    def client(self, *, ceiling: int | None = None, **options: Any) -> EngagementClient:
        """Return a client that asks as the app.

        :param ceiling: the client's own, in requests per minute.
        """
        app = self.description["app"]
        credentials = Credentials(
            consumer_key=app["consumer_key"], consumer_secret=app["consumer_secret"], bearer_token=app["bearer_token"]
        )
        max_inline_wait = options.pop("max_inline_wait", None)
        return EngagementClient(
            credentials,
            address=Address(base_url=self.base_url, token_url=self.description["token_url"]),
            limiter=Limiter(RateLimit(requests_per_minute=ceiling), max_inline_wait=max_inline_wait),
            **options,
        )

    def connection(self) -> str:
        """Return an Airflow connection that asks as the app, without a ceiling of its own."""
        connection = self.description["connections"]["public"]
        del connection["extra"]["requests_per_minute"]
        return json.dumps(connection)

    def requests(self) -> Requests:
        """Return what it was asked so far."""
        return Requests(self.ask("journal")["entries"])


class Requests:
    """Counts of the requests that a simulator was sent in the minutes since the first of them.

    :param entries: its journal.
    """

    def __init__(self, entries: Any) -> None:
        minutes = [int(datetime.fromisoformat(entry["at"]).timestamp() // 60) for entry in entries]
        first = min(minutes, default=0)
        self._minutes = [
            (minute - first, entry["status"] == 429) for minute, entry in zip(minutes, entries, strict=True)
        ]

    def accepted(self, minutes: float = math.inf) -> int:
        """Return how many were within the limit, of the first so many minutes."""
        return sum(not refused for minute, refused in self._minutes if minute < minutes)

    def refused(self, minutes: float = math.inf) -> int:
        """Return how many were refused for the rate, of the first so many minutes."""
        return sum(refused for minute, refused in self._minutes if minute < minutes)

    def share_used(self, limit: int, minutes: int) -> float:
        """Return which share of the contract was used in the first so many minutes.

        These must be minutes in which there was always more to ask. The minute in which a run ends is none of them: it
        is not used up because nothing is left to ask.
        """
        return self.accepted(minutes) / (limit * minutes)


@contextmanager
def simulation(*, tweets: int, limit: int, latency: float = 0.2) -> Iterator[Simulation]:
    """Start a simulator, and stop it at the end of the block.

    :param tweets: how many Tweets its world has.
    :param limit: requests a minute.
    :param latency: seconds that each answer takes.
    """
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder, "world.json")
        arguments = {"--tweets": tweets, "--requests-per-minute": limit, "--latency": latency, "--world": world}
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "airflow_provider_engagement.simulator"),
                *(str(item) for pair in arguments.items() for item in pair),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not world.exists():
                if process.poll() is not None:
                    raise RuntimeError(f"The simulator ended with status {process.returncode}.")
                time.sleep(0.05)
            yield Simulation(description=json.loads(world.read_text()))
        finally:
            process.terminate()
            process.wait()
