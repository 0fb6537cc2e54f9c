"""A client that never really sleeps, and a server on loopback that sends scripted responses."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import Clock, Simulator, Switches, World

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def golden() -> Callable[[str], dict[str, Any]]:
    """Read one of the documented examples."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def request_of() -> Callable[..., Request]:
    """Return the request of a documented example. Its groupings are requested beside the rows."""

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
            groupings={
                name: tuple(map(Dimension, grouping["group_by"])) for name, grouping in body["groupings"].items()
            },
            interval=window,
        )
        return Request(query, query.tweet_ids, window)

    return made


@pytest.fixture
def totals() -> Callable[..., Request]:
    """Return a request on ``totals``, by default with app credentials."""

    def made(*tweet_ids: str, metrics: tuple[str, ...] = ("favorites",), auth: Auth = Auth.APP) -> Request:
        query = Query(endpoint=Endpoint.TOTALS, auth=auth, tweet_ids=tweet_ids, metrics=metrics)
        return Request(query, tweet_ids, None)

    return made


@pytest.fixture
def historical() -> Callable[..., Request]:
    """Return a request on ``historical``."""

    def made(*tweet_ids: str, window: TimeRange, metrics: tuple[str, ...] = ("impressions",)) -> Request:
        query = Query(
            endpoint=Endpoint.HISTORICAL, auth=Auth.USER, tweet_ids=tweet_ids, metrics=metrics, interval=window
        )
        return Request(query, tweet_ids, window)

    return made


@dataclass
class Connected:
    """A simulator and its client. The client's sleeps only advance the simulator's rate limit clock."""

    simulator: Simulator
    client: EngagementClient
    slept: list[float] = field(default_factory=list)


@pytest.fixture
def connect() -> Iterator[Callable[..., Connected]]:
    """Start a simulator of a world, and connect a client to it."""
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
        max_inline_wait: float | None = None,
        **settings: Any,
    ) -> Connected:
        rate_clock = rate_clock or Clock()
        simulator = Simulator(world, clock=Clock(now), switches=switches, rate_clock=rate_clock).start()
        app, handle = world.app, world.handles[user] if user else None
        credentials = Credentials(
            api_key=app.consumer_key,
            api_key_secret=app.consumer_secret,
            access_token=handle.access_token if handle else None,
            access_token_secret=handle.access_token_secret if handle else None,
            bearer_token=app.bearer_token if bearer else None,
        )
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            rate_clock.advance(timedelta(seconds=seconds))

        limiter = Limiter(
            RateLimit(),
            max_inline_wait=max_inline_wait,
            clock=lambda: rate_clock.now().timestamp(),
            sleep=sleep,
        )
        where = Address(base_url=simulator.base_url, token_url=simulator.token_url, **(address or {}))
        client = EngagementClient(credentials, address=where, limiter=limiter, **settings)
        running.append(Connected(simulator, client, slept))
        return running[-1]

    yield connected
    for one in running:
        one.client.close()
        one.simulator.stop()


@dataclass
class Wire:
    """A server on loopback that sends scripted responses, and keeps what it received.

    :param url: its address.
    :param reply: returns status, headers and body of a response, given the path and headers of the request.
    :param received: the path, headers and body of each request.
    :param ports: the port of the client for each request, which is another for each connection.
    """

    url: str
    reply: Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str], Any]]
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that a test scripts. By default it reports an internal error that contains the credentials."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # The client closes the connection of a response that is too large.
                super().handle()

        def do_POST(self) -> None:
            request_body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted.received.append((self.path, dict(self.headers), request_body))
            scripted.ports.append(self.client_address[1])
            status, headers, body = scripted.reply(self.path, self.headers)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
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
