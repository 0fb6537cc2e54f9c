"""A client that never really sleeps, and a server on loopback that says exactly what a test wants."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.api.auth import Credentials
from airflow_provider_engagement.api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.api.client import Address, EngagementClient
from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.rate_limit import RateLimit
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.simulator import Clock, Simulator, Switches, World

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def golden() -> Callable[[str], dict[str, Any]]:
    """Read one of the documented examples."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def request_of() -> Callable[..., Request]:
    """Turn a documented request body into the package's own request, in one piece."""

    def made(exchange: Mapping[str, Any], auth: str) -> Request:
        body = exchange["body"]
        window = None
        if "start" in body:
            edges = (datetime.fromisoformat(body[edge]) for edge in ("start", "end"))
            window = TimeRange(*(edge if edge.tzinfo else edge.replace(tzinfo=UTC) for edge in edges))
        query = Query(
            endpoint=Endpoint(exchange["path"].rpartition("/")[2]),
            auth=Auth(auth),
            tweet_ids=tuple(body["tweet_ids"]),
            metrics=tuple(body["engagement_types"]),
            granularities=(),
            groupings={
                name: tuple(map(Dimension, grouping["group_by"])) for name, grouping in body["groupings"].items()
            },
            window=window,
        )
        return Request(query, query.tweet_ids, query.window)

    return made


@pytest.fixture
def totals() -> Callable[..., Request]:
    """A request for totals, by default as the app."""

    def made(*tweet_ids: str, metrics: tuple[str, ...] = ("favorites",), auth: Auth = Auth.APP, **more: Any) -> Request:
        query = Query(endpoint=Endpoint.TOTALS, auth=auth, tweet_ids=tweet_ids, metrics=metrics, **more)
        return Request(query, tweet_ids, None)

    return made


@pytest.fixture
def historical() -> Callable[..., Request]:
    """A request for a window, as the author, by default hour by hour."""

    def made(
        *tweet_ids: str,
        window: TimeRange,
        metrics: tuple[str, ...] = ("impressions",),
        granularities: tuple[Granularity, ...] = (Granularity.HOUR,),
        **more: Any,
    ) -> Request:
        query = Query(
            endpoint=Endpoint.HISTORICAL,
            auth=Auth.USER,
            tweet_ids=tweet_ids,
            metrics=metrics,
            granularities=granularities,
            window=window,
            **more,
        )
        return Request(query, tweet_ids, window)

    return made


@dataclass
class Connected:
    """A simulator and a client of it, whose sleeps only move the simulator's rate clock on."""

    simulator: Simulator
    client: EngagementClient
    slept: list[float] = field(default_factory=list)


@pytest.fixture
def connect() -> Iterator[Callable[..., Connected]]:
    """Start a simulator around a world and connect a client to it."""
    running: list[Connected] = []

    def connected(
        world: World,
        *,
        now: datetime,
        user: str | None = None,
        bearer: bool = True,
        switches: Switches | None = None,
        rate_clock: Clock | None = None,
        address: Mapping[str, Any] | None = None,
        budget: RateLimit | None = None,
        max_inline_wait: float | None = None,
        **settings: Any,
    ) -> Connected:
        rate_clock = rate_clock or Clock()
        simulator = Simulator(world, clock=Clock(now), switches=switches, rate_clock=rate_clock).start()
        app, handle = world.app, world.handles[user] if user else None
        credentials = Credentials(
            consumer_key=app.consumer_key,
            consumer_secret=app.consumer_secret,
            access_token=handle.access_token if handle else None,
            access_token_secret=handle.access_token_secret if handle else None,
            bearer_token=app.bearer_token if bearer else None,
        )
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            rate_clock.advance(timedelta(seconds=seconds))

        pace = Limiter(
            budget or RateLimit(),
            max_inline_wait=max_inline_wait,
            clock=lambda: rate_clock.now().timestamp(),
            sleep=sleep,
        )
        where = Address(base_url=simulator.base_url, token_url=simulator.token_url, **(address or {}))
        client = EngagementClient(credentials, address=where, pace=pace, **settings)
        running.append(Connected(simulator, client, slept))
        return running[-1]

    yield connected
    for one in running:
        one.client.close()
        one.simulator.stop()


@dataclass
class Wire:
    """A server on loopback that answers as it is told and keeps the headers of what it was asked.

    :param reply: what it says to a request, whose path and headers it is given: status, headers and body.
    """

    url: str
    reply: Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], Any]]
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that a test scripts; by default it reports an internal error and echoes who asked."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted.heard.append((self.path, dict(self.headers), body))
            status, headers, answer = scripted.reply(self.path, self.headers)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            if "gzip" in self.headers.get("Accept-Encoding", "") and "Content-Encoding" not in headers:
                content, headers = gzip.compress(content), {**headers, "Content-Encoding": "gzip"}
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted = Wire(
        url=f"http://127.0.0.1:{server.server_port}",
        reply=lambda _, headers: (500, {}, {"errors": [f"internal server error for {headers['Authorization']}"]}),
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()
