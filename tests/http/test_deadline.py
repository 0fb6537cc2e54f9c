"""A request has a total time, whatever part of its response a server sends slowly."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.exceptions import NoResponseError
from airflow_provider_engagement.http import client as client_module
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.client import READ_TIMEOUTS
from airflow_provider_engagement.http.credentials import Credentials

LIMIT = 0.5
READ_TIMEOUT = 100.0
"""So long that no single read takes too long."""

PAUSE = 0.01

TWEET = "2000000000000000001"
COUNTS = json.dumps({"total": {TWEET: {"favorites": "5"}}}).encode()
COMPLETE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(COUNTS), COUNTS)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
QUERY = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=(TWEET,), metrics=("favorites",))
REQUEST = Request(QUERY, (TWEET,), None)

Converse = Callable[[socket.socket], None]


@pytest.fixture(autouse=True)
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUTS", LIMIT / READ_TIMEOUT)


def test_the_time_is_ten_times_that_of_a_read() -> None:
    assert READ_TIMEOUTS == 10


def read_request(connection: socket.socket) -> bytes:
    """Read the head of a request and the body that its length announces."""
    received = b""
    while b"\r\n\r\n" not in received and (more := connection.recv(65536)):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.splitlines() if line.lower().startswith(b"content-length:")]
    left = (int(lengths[0]) if lengths else 0) - len(body)
    while left > 0 and (more := connection.recv(left)):
        left -= len(more)
    return received


@contextmanager
def serving(converse: Converse) -> Iterator[tuple[str, list[threading.Thread]]]:
    """Serve each connection as a function says, until the client closes it.

    :return: the address, and the threads that serve, which end when their connection does.
    """
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            converse(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=talk, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", threads
        server.shutdown(socket.SHUT_RDWR)
    acceptor.join(timeout=10)


def trickling(start: bytes, piece: bytes) -> Converse:
    """Answer with a start at once, and then with the same piece forever."""

    def converse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            threading.Event().wait(PAUSE)

    return converse


def client_of(url: str, **secrets: str) -> EngagementClient:
    return EngagementClient(
        Credentials(**(secrets or {"bearer_token": "token"})),
        address=Address(base_url=url, token_url=f"{url}/oauth2/token", read_timeout=READ_TIMEOUT),
        attempts=1,
    )


SLOW = {
    "the status line": (b"HTTP/1.1 200 ", b"O"),
    "the name of a header": (HEAD, b"x"),
    "the value of a header": (HEAD + b"X: ", b"x"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers of 100 Continue": (b"HTTP/1.1 100 Continue\r\n", b"x"),
    "the body": (HEAD + b"\r\n", b" "),
    "the body in chunks": (CHUNKED, b"1\r\n \r\n"),
    "the length of a chunk": (CHUNKED + b"1;", b"x"),
    "a trailer": (CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(COUNTS), COUNTS), b"X: x\r\n"),
    "the value of a trailer": (CHUNKED + b"%x\r\n%s\r\n0\r\nX: " % (len(COUNTS), COUNTS), b"x"),
    "the body of an error": (b"HTTP/1.1 500 Oh\r\nContent-Length: 999999\r\n\r\n", b" "),
    "the body of a redirect": (b"HTTP/1.1 307 There\r\nLocation: /x\r\nContent-Length: 999999\r\n\r\n", b" "),
}


@pytest.mark.parametrize(("start", "piece"), SLOW.values(), ids=SLOW.keys())
def test_a_response_of_which_a_part_arrives_slowly_is_given_up(start: bytes, piece: bytes) -> None:
    began = time.monotonic()
    with serving(trickling(start, piece)) as (url, threads), client_of(url) as client:
        with pytest.raises(NoResponseError, match=r"totals: the response takes longer than 0\.5 s in total"):
            client.fetch(REQUEST)
        threads[0].join(timeout=10)
    assert LIMIT <= time.monotonic() - began < 5
    # The server notices that nobody listens any more.
    assert not threads[0].is_alive()


@pytest.mark.parametrize(("start", "piece"), [SLOW["the value of a header"], SLOW["the body"]], ids=["headers", "body"])
def test_a_bearer_token_that_arrives_slowly_is_given_up(start: bytes, piece: bytes) -> None:
    with (
        serving(trickling(start, piece)) as (url, _),
        client_of(url, api_key="k", api_key_secret="s") as client,
        pytest.raises(NoResponseError, match=r"oauth2/token: the response takes longer than 0\.5 s in total"),
    ):
        client.obtain_bearer_token()


def test_a_response_on_a_connection_that_was_used_before_is_given_up_too() -> None:
    def converse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(COMPLETE)
        trickling(*SLOW["the value of a header"])(connection)

    with serving(converse) as (url, threads), client_of(url) as client:
        assert client.fetch(REQUEST).response.counts.by_metric["favorites"] == [5]
        with pytest.raises(NoResponseError, match="takes longer than"):
            client.fetch(REQUEST)
        assert len(threads) == 1


def test_a_request_after_one_that_was_given_up_has_its_own_time_and_connection() -> None:
    answers = iter([trickling(*SLOW["the value of a header"]), lambda connection: connection.sendall(COMPLETE)])

    with serving(lambda connection: next(answers)(connection)) as (url, threads), client_of(url) as client:
        with pytest.raises(NoResponseError, match="takes longer than"):
            client.fetch(REQUEST)
        assert client.fetch(REQUEST).response.counts.by_metric["favorites"] == [5]
        assert len(threads) == 2


def test_the_time_of_a_request_does_not_end_the_connection_of_a_later_one() -> None:
    def converse(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(COMPLETE)

    with serving(converse) as (url, threads), client_of(url) as client:
        began = time.monotonic()
        while time.monotonic() - began < 1.5 * LIMIT:
            assert client.fetch(REQUEST).response.counts.by_metric["favorites"] == [5]
        assert len(threads) == 1


@pytest.mark.parametrize("scheme", ["http", "https"], ids=["proxy", "encryption"])
def test_a_connection_that_is_made_slowly_is_given_up(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy trickles its answer to ``CONNECT``; a server trickles the certificate of its encryption."""

    def shake_hands(connection: socket.socket) -> None:
        connection.recv(65536)
        # The head of an encrypted record of the longest size, and then a byte at a time.
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            connection.sendall(b"\x02")
            threading.Event().wait(PAUSE)

    with serving(shake_hands if scheme == "https" else trickling(b"HTTP/1.1 200 ", b"O")) as (url, _):
        if scheme == "http":
            monkeypatch.setenv("HTTPS_PROXY", url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
        base = "https://data-api.example.invalid" if scheme == "http" else url.replace("http:", "https:")
        with client_of(base) as client, pytest.raises(NoResponseError, match="takes longer than"):
            client.fetch(REQUEST)
