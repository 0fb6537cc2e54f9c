"""A server on loopback that sends scripted answers, and a client that never really sleeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.x_api.client import XClient, XQuota

Script = Callable[["Received"], tuple[int, Mapping[str, str], Any]]
"""Returns the status, headers and body of an answer."""

NOW = 1_790_000_000.0
"""The time of the server and of the client, until somebody sleeps."""


@dataclass(frozen=True)
class Received:
    """A request as the server received it."""

    path: str
    parameters: dict[str, str]
    authorization: str
    target: str


@dataclass
class ScriptedApi:
    """The server, the client that sends to it, and what both have done."""

    url: str
    script: Script
    received: list[Received] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = NOW
    client: XClient | None = None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


CREDENTIALS = Credentials(
    api_key="app-key", api_key_secret="app-secret", access_token="42-token", access_token_secret="token-secret"
)
OF_OWNER = Credentials(
    api_key="app-key", api_key_secret="app-secret", access_token="43-token", access_token_secret="other-secret"
)


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedApi]]:
    """Start a server with a script, and connect a client to it."""
    running: list[tuple[ScriptedApi, ThreadingHTTPServer]] = []

    def served(script: Script, *, max_inline_wait: float | None = None, **settings: Any) -> ScriptedApi:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                received = Received(
                    path=parts.path,
                    parameters=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    authorization=self.headers["Authorization"],
                    target=self.path,
                )
                api.received.append(received)
                status, headers, body = api.script(received)
                content = b"" if body is None else json.dumps(body).encode()
                self.send_response_only(status)
                self.send_header("Date", self.date_time_string(api.now))
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        api = ScriptedApi(url=url, script=script)

        def create_limiter(quota: XQuota) -> Limiter:
            return Limiter(
                RateLimit(window_seconds=900), max_inline_wait=max_inline_wait, clock=lambda: api.now, sleep=api.sleep
            )

        api.client = XClient(
            CREDENTIALS,
            address=Address(base_url=url, token_url=f"{url}/oauth2/token"),
            create_limiter=create_limiter,
            of_owner={"42": CREDENTIALS, "43": OF_OWNER}.__getitem__,
            **settings,
        )
        running.append((api, server))
        return api

    yield served
    for api, server in running:
        if api.client is not None:
            api.client.close()
        server.shutdown()
        server.server_close()
