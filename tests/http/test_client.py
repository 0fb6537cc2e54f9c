"""An API that the package does not know: other methods, errors, headers and windows, on the same wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from oauthlib.oauth1.rfc5849.signature import base_string_uri, normalize_parameters, sign_hmac_sha1_with_client

from airflow_provider_engagement.exceptions import AuthenticationError, ServerError
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.client import ApiClient, Call
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.headers import HeaderNames
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.http.response_body import ReceivedResponse

QUARTER = 900.0
START = 1768089600.0
IDS = "20,1070059276213702656"
CREDENTIALS = Credentials(api_key="key", api_key_secret="canary1", access_token="7-t", access_token_secret="canary2")


@dataclass
class Server:
    """A server on loopback.

    :param url: its address.
    :param answers: the status, headers and body of each response, in order.
    :param requests: the method, path and ``Authorization`` header of each request.
    """

    url: str = ""
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)


class PostLookup(ApiClient[str, list[str]]):
    """A client of an API of GET requests, whose errors have a title."""

    rate_limit_headers = HeaderNames(window="x-rate-limit")

    def call(self, request: str) -> Call:
        return Call(endpoint="posts", method="GET", path="/2/posts", parameters={"ids": request, "fields": "a b"})

    def parse(self, request: str, response: ReceivedResponse) -> list[str]:
        if response.status == 200:
            return [post["id"] for post in response.body["data"]]
        kind = ServerError if response.status >= 500 else AuthenticationError
        raise kind("No posts.", endpoint="posts", status=response.status, messages=self.error_messages(response.body))

    def error_messages(self, body: Any) -> list[str]:
        return [body["title"]] if isinstance(body, dict) and "title" in body else []


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scripted.requests.append((self.command, self.path, self.headers["Authorization"]))
            status, headers, body = scripted.answers.pop(0)
            content = json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    listening.shutdown()
    thread.join()
    listening.server_close()


@contextmanager
def lookup(server: Server, slept: list[float] | None = None) -> Iterator[PostLookup]:
    """Connect a client whose waits take no time."""
    waits: list[float] = [] if slept is None else slept
    rate_limit = RateLimit(window_seconds=QUARTER)
    limiter = Limiter(rate_limit, clock=lambda: START + sum(waits), sleep=waits.append)
    address = Address(base_url=server.url, token_url=f"{server.url}/token")
    with PostLookup(CREDENTIALS, address=address, limiter=limiter, attempts=3) as client:
        yield client


FOUND = {"data": [{"id": "20"}]}


def test_the_parameters_of_a_query_are_sent_and_signed(server: Server) -> None:
    server.answers = [(200, {}, FOUND)]
    with lookup(server) as client:
        assert client.send(IDS)[0] == ["20"]
    ((method, path, authorization),) = server.requests
    assert (method, path) == ("GET", "/2/posts?ids=20%2C1070059276213702656&fields=a+b")
    pairs = (part.strip().partition("=") for part in authorization.removeprefix("OAuth ").split(","))
    oauth = {name: unquote(value.strip('"')) for name, _, value in pairs}
    signature = oauth.pop("oauth_signature")
    signed = [*parse_qsl(urlsplit(path).query), *oauth.items()]
    base = "&".join(
        _escaped(part) for part in ("GET", base_string_uri(f"{server.url}/2/posts"), normalize_parameters(signed))
    )
    assert signature == sign_hmac_sha1_with_client(base, _Keys)


class _Keys:
    client_secret = CREDENTIALS.api_key_secret
    resource_owner_secret = CREDENTIALS.access_token_secret


def _escaped(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="~")


def test_errors_of_the_api_are_its_own_and_only_transient_ones_are_repeated(server: Server) -> None:
    server.answers = [(503, {}, {"title": "Over capacity"}), (401, {}, {"title": "Unauthorized"})]
    with lookup(server) as client, pytest.raises(AuthenticationError, match=r"posts: HTTP 401.*Unauthorized"):
        client.send(IDS)
    assert len(server.requests) == 2


def test_a_window_of_fifteen_minutes_is_waited_for(server: Server) -> None:
    spent = {
        "x-rate-limit-limit": "1",
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset": str(int(START) + 700),
        "Date": "Sun, 11 Jan 2026 00:00:00 GMT",
    }
    slept: list[float] = []
    server.answers = [(200, spent, FOUND), (200, {}, FOUND)]
    with lookup(server, slept) as client:
        client.send(IDS)
        client.send(IDS)
    assert sum(slept) == pytest.approx(700, abs=1)


def test_a_client_can_wait_for_each_endpoint_apart(server: Server) -> None:
    apart = Limiter(RateLimit(window_seconds=QUARTER))

    class Apart(PostLookup):
        def limiter_of(self, request: str) -> Limiter:
            return apart if request == IDS else self.limiter

    server.answers = [(200, {}, FOUND)]
    address = Address(base_url=server.url, token_url=f"{server.url}/token")
    with Apart(CREDENTIALS, address=address, limiter=Limiter(RateLimit(window_seconds=QUARTER))) as client:
        client.send(IDS)
        assert (apart.snapshot().sent, client.limiter.snapshot().sent) == (1, 0)
