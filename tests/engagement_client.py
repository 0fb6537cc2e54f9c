"""A world of Tweets, clients that never really sleep, and a server on loopback that sends scripted responses."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import responses

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.client import DEFAULT_ADDRESS, EngagementClient
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import ParsedResponse
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import (
    App,
    Clock,
    Handle,
    SeededCounts,
    Simulator,
    Switches,
    Tweet,
    World,
)

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
AUTHOR, OTHER, THIRD, PRIVATE = "7588892", "370773112", "18435372", "2265341844"
NEW, SECOND, OLD, VIDEO, ANCIENT, DELETED, FOREIGN, FOREIGN_TOO = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",  # more than 90 days
    "1070059276213702656",  # more than 1,800 days
    "20",  # older than snowflakes
    "2000000000000000003",
    "2000000000000000009",
    "2000000000000000010",
)
PROTECTED = "2000000000000000011"
OWN = (NEW, SECOND, OLD, VIDEO, ANCIENT, DELETED)
Connect = Callable[..., Any]
Make = Callable[..., Request]
MakeClient = Callable[..., EngagementClient]


def make_world() -> World:
    def handle(user_id: str) -> Handle:
        return Handle(
            user_id=user_id,
            screen_name=f"user_{user_id}",
            access_token=f"{user_id}-canaryAccessToken",
            access_token_secret=f"canaryAccessSecret of {user_id}",
        )

    return World(
        apps=[App(consumer_key="canaryKey", consumer_secret="canary & more", bearer_token="AAAA%2FcanaryBearer%3D")],
        handles=[handle(AUTHOR), handle(OTHER), replace(handle(PRIVATE), protected=True)],
        tweets=[
            *(Tweet(id=tweet_id, author_id=AUTHOR, video_id=f"9{tweet_id}") for tweet_id in OWN if tweet_id != DELETED),
            Tweet(id=DELETED, author_id=AUTHOR, deleted=True),
            Tweet(id=FOREIGN, author_id=OTHER),
            Tweet(id=FOREIGN_TOO, author_id=THIRD),
            Tweet(id=PROTECTED, author_id=PRIVATE),
        ],
        counts=SeededCounts(7),
    )


def counts_of(response: ParsedResponse) -> dict[tuple[str, str, Any], int | None]:
    """Return each count of a response, by Tweet, metric and hour."""
    counts = response.counts
    cells = [(tweet_id, period) for tweet_id in counts.tweet_ids for period in counts.periods]
    return {
        (tweet_id, metric, period): count
        for metric, column in counts.by_metric.items()
        for (tweet_id, period), count in zip(cells, column, strict=True)
    }


def outcomes(response: ParsedResponse) -> dict[str, str]:
    """Return the outcome of each Tweet of a response."""
    return {tweet_id: str(status.outcome) for tweet_id, status in response.statuses.items()}


@pytest.fixture
def world() -> World:
    """A user with Tweets of every age, one of them deleted, and Tweets of other users, one of them protected."""
    return make_world()


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


SECRETS = {
    "api_key": "canaryKey",
    "api_key_secret": "canarySecret",
    "access_token": "7-canaryToken",
    "access_token_secret": "canaryTokenSecret",
    "bearer_token": "AAAA%2FcanaryBearer%3D",
}
"""The secrets of a connection that has all kinds of them."""


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Make clients whose waits take no time, and close them at the end."""
    with ExitStack() as opened:

        def made(address: Address = DEFAULT_ADDRESS, **settings: Any) -> EngagementClient:
            secrets = {name: settings.pop(name) for name in SECRETS if name in settings}
            settings.setdefault("limiter", Limiter(RateLimit(), sleep=lambda seconds: None))
            credentials = Credentials(**(secrets or {"bearer_token": "canary"}))
            return opened.enter_context(EngagementClient(credentials, address=address, **settings))

        yield made


@pytest.fixture
def on_the_wire(wire: Wire, make_client: MakeClient) -> MakeClient:
    """Connect clients to the scripted server, by default with all kinds of secrets."""

    def made(**secrets: str) -> EngagementClient:
        address = Address(base_url=wire.url, token_url=f"{wire.url}/oauth2/token")
        return make_client(address, **(secrets or SECRETS), attempts=3, user_agent="tests")

    return made


@pytest.fixture
def internet() -> Iterator[responses.RequestsMock]:
    """Respond to requests to other hosts within this process."""
    with responses.RequestsMock() as mock:
        yield mock
