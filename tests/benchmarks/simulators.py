"""The simulator in another process, so that a benchmark does not measure it, and the requests that it counted."""

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

from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A running simulator.

    :param description: what a client needs to connect to it.
    """

    description: dict[str, Any]

    @property
    def base_url(self) -> str:
        """Its address."""
        return str(self.description["base_url"])

    @property
    def tweet_ids(self) -> list[str]:
        """The ids of all Tweets that are not deleted from the start."""
        return [tweet_id for tweet_ids in self.description["tweets"].values() for tweet_id in tweet_ids]

    def control(self, subject: str, changes: dict[str, Any] | list[dict[str, Any]] | None = None) -> Any:
        """Read the state of the simulator, or change it."""
        request = urllib.request.Request(
            f"{self.base_url}/__simulator__/{subject}",
            data=None if changes is None else json.dumps(changes).encode(),
            headers={"Content-Type": "application/json"},
            method="GET" if changes is None else "POST",
        )
        with _DIRECT.open(request) as response:
            return json.load(response)

    def begin_minute(self) -> float:
        """Set the rate limit clock to the start of its minute, so that runs are comparable, and return the time."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        self.control("clock", {"rate": {"now": minute.isoformat(), "running": True}})
        return time.time()

    def client(self, **options: Any) -> EngagementClient:
        """Return a client with app credentials."""
        app = self.description["app"]
        credentials = Credentials(
            consumer_key=app["consumer_key"], consumer_secret=app["consumer_secret"], bearer_token=app["bearer_token"]
        )
        max_inline_wait = options.pop("max_inline_wait", None)
        return EngagementClient(
            credentials,
            address=Address(base_url=self.base_url, token_url=self.description["token_url"]),
            limiter=Limiter(RateLimit(), max_inline_wait=max_inline_wait),
            **options,
        )

    def connection(self) -> str:
        """Return an Airflow connection with app credentials, without its own limit of requests per minute."""
        connection = self.description["connections"]["public"]
        del connection["extra"]["requests_per_minute"]
        return json.dumps(connection)

    def requests(self) -> Requests:
        """Return the requests that the simulator has received."""
        return Requests(self.control("journal")["entries"])


class Requests:
    """Counts the requests that a simulator received in the minutes since the first of them.

    :param entries: the journal of the simulator.
    """

    def __init__(self, entries: Any) -> None:
        minutes = [int(datetime.fromisoformat(entry["at"]).timestamp() // 60) for entry in entries]
        first = min(minutes, default=0)
        self._minutes = [
            (minute - first, entry["status"] == 429) for minute, entry in zip(minutes, entries, strict=True)
        ]

    def accepted(self, minutes: float = math.inf) -> int:
        """Return how many requests of the first minutes were within the limit."""
        return sum(not is_limited for minute, is_limited in self._minutes if minute < minutes)

    def rate_limited(self, minutes: float = math.inf) -> int:
        """Return how many requests of the first minutes got HTTP 429."""
        return sum(is_limited for minute, is_limited in self._minutes if minute < minutes)

    def share_used(self, limit: int, minutes: int) -> float:
        """Return which share of the quota was used in the first minutes.

        There must have been more requests to send in each of these minutes. So the minute in which a run ends is not
        one of them.
        """
        return self.accepted(minutes) / (limit * minutes)


@contextmanager
def simulation(*, tweets: int, limit: int, latency: float = 0.2) -> Iterator[Simulation]:
    """Start a simulator, and stop it at the end of the block.

    :param tweets: the number of Tweets.
    :param limit: requests per minute.
    :param latency: seconds that each response takes.
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
