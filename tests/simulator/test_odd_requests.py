"""Every request gets an answer and an entry in the journal, however odd it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.simulator import Clock, Simulator, World
from airflow_provider_engagement.simulator.json_values import decode

from .conftest import NOW, Client

NEW, AUTHOR = "2000000000000000001", "7588892"
PATH = "/insights/engagement/totals"
BODY = {
    "tweet_ids": [NEW],
    "engagement_types": ["favorites"],
    "groupings": {"by_tweet": {"group_by": ["tweet.id", "engagement.type"]}},
}
COUNTS = {"by_tweet": {NEW: {"favorites": "3"}}}
JSON = {"Content-Type": "application/json"}


@contextmanager
def sent(simulator: Simulator, request: bytes) -> Iterator[HTTPResponse]:
    """Send bytes to a simulator, and yield the first response."""
    with socket.create_connection(("127.0.0.1", int(simulator.base_url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection)
        response.begin()
        yield response


def raw(simulator: Simulator, *headers: str, body: bytes = b"", target: str = PATH, method: str = "POST") -> int:
    """Return the status of the response to a request with these headers, after credentials and gzip."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Authorization: Bearer {simulator.world.app.bearer_token}",
        "Accept-Encoding: gzip",
        *headers,
    ]
    with sent(simulator, "\r\n".join([*lines, "", ""]).encode("latin-1") + body) as response:
        return response.status


def lengths(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


# The type of the body


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_body_of_json_is_read(client: Any, content_type: str) -> None:
    response = client.post("totals", None, data=json.dumps(BODY), headers={"Content-Type": content_type})
    assert (response.status_code, response.json()) == (200, COUNTS)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/problem+json",
        "text/plain; application/json",
        "",
    ],
)
def test_a_body_of_another_type_is_as_if_it_were_empty(client: Any, content_type: str | None) -> None:
    # Without a type, requests does not guess one for bytes.
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = client.post("totals", None, data=json.dumps(BODY).encode(), headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"] == [
        f"{field}: field is required" for field in ("tweet_ids", "engagement_types", "groupings")
    ]


# What used to end the connection without an answer


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1000 + b"]" * 1000,
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b'{"tweet_ids": [' + b"[" * 150 + b"]" * 150 + b"]}",
        b'{"tweet_ids": [' + b"9" * 5000 + b"]}",
        b'{"tweet_ids": [NaN]}',
        b'{"tweet_ids": ["\\ud800"]}',
        b"\xff\xfe\x00",
        b"null",
    ],
)
def test_json_that_cannot_be_read_is_invalid(client: Any, body: bytes) -> None:
    response = client.post("totals", None, data=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["errors"]
    (entry,) = client.simulator.journal
    assert (entry.status, entry.signature) == (400, "valid")
    assert json.dumps(entry.to_json())


def test_json_can_be_nested_in_100_levels() -> None:
    levels = "[" * 100 + "]" * 100
    assert decode(levels)
    assert decode(f'{{"a": {levels[1:-1]}}}')
    for text in (f"[{levels}]", f'{{"a": {levels}}}', "[" * 1_000_000):
        with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
            decode(text)


@pytest.mark.parametrize("timestamp", [str(10**400), "9" * 5000, "-1", "1e9", "0", "²"])
def test_an_impossible_timestamp_is_an_authentication_error(client: Any, timestamp: str) -> None:
    values = {
        "oauth_consumer_key": "key",
        "oauth_nonce": "1",
        "oauth_signature": "x",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": timestamp,
        "oauth_token": f"{AUTHOR}-accessToken",
    }
    authorization = "OAuth " + ", ".join(f'{name}="{value}"' for name, value in values.items())
    response = client.post("totals", BODY, headers={"Authorization": authorization.encode()})
    assert response.status_code == 401
    assert [entry.user_id for entry in client.simulator.journal] in ([AUTHOR], [None])


@pytest.mark.parametrize("host", ["[", "]", "[::1", "a b", "a@b", "127.0.0.1:port", "127.0.0.1/x", "a,b", "é", "", "?"])
def test_a_broken_host_is_an_invalid_request(client: Any, host: str) -> None:
    body = json.dumps(BODY).encode()
    assert raw(client.simulator, f"Host: {host}", "Content-Type: application/json", lengths(body), body=body) == 400
    assert [entry.status for entry in client.simulator.journal] == [400]


@pytest.mark.parametrize("host", ["data-api.twitter.com", "127.0.0.1:1", "LOCALHOST", "[::1]:80"])
def test_the_api_answers_on_any_host(client: Any, host: str) -> None:
    body = json.dumps(BODY).encode()
    assert raw(client.simulator, f"Host: {host}", "Content-Type: application/json", lengths(body), body=body) == 200


@pytest.mark.parametrize("target", ["/[", "//[", "/insights/engagement/totals/../28hr", "http://[", "*", "/%", "/#"])
def test_a_path_that_does_not_exist_is_not_found(client: Any, target: str) -> None:
    assert raw(client.simulator, "Host: a", "Content-Length: 0", target=target) == 404
    assert [entry.status for entry in client.simulator.journal] == [404]


@pytest.mark.parametrize("length", ["x", "-1", "9" * 400, "1, 2", "0x10", "²"])
def test_a_length_that_is_no_number_is_invalid(client: Any, length: str) -> None:
    assert raw(client.simulator, "Host: a", f"Content-Length: {length}") == 400
    assert [entry.status for entry in client.simulator.journal] == [400]


def test_a_body_that_is_too_long_is_rejected_unread(client: Any) -> None:
    assert raw(client.simulator, "Host: a", "Content-Length: 99999999999") == 413
    chunk = b"ffffffffff\r\n"
    assert raw(client.simulator, "Host: a", "Transfer-Encoding: chunked", body=chunk) == 413


# Bodies in chunks


def chunked(body: bytes, size: int, *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = [f"{len(part):x}".encode() + extension + b"\r\n" + part + b"\r\n" for part in parts]
    return b"".join([*chunks, b"0\r\n", trailers, b"\r\n"])


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("extra", [{}, {"extension": b";a=b"}, {"trailers": b"X-Checksum: 1\r\n"}])
def test_a_body_in_chunks_is_read_as_one(client: Any, size: int, extra: dict[str, bytes]) -> None:
    body = chunked(json.dumps(BODY).encode(), size, **extra)
    headers = ("Host: a", "Transfer-Encoding: Chunked", "Content-Type: application/json")
    assert raw(client.simulator, *headers, body=body) == 200


def test_the_connection_of_a_body_in_chunks_is_kept(client: Any) -> None:
    for _ in range(3):
        response = client.post("totals", None, data=iter([json.dumps(BODY).encode()]), headers=JSON)
        assert (response.status_code, response.json()) == (200, COUNTS)
    pools = client.session.get_adapter("http://").poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118


@pytest.mark.parametrize("body", [b"", b"x\r\n", b"-1\r\n", b"5\r\nab", b"2\r\nabcd\r\n0\r\n\r\n", b"2\r\nab"])
def test_broken_chunks_are_invalid(client: Any, body: bytes) -> None:
    headers = ("Host: a", "Transfer-Encoding: chunked", "Content-Type: application/json")
    assert raw(client.simulator, *headers, body=body) == 400
    assert [entry.status for entry in client.simulator.journal] == [400]


def test_another_transfer_encoding_is_not_supported(client: Any) -> None:
    assert raw(client.simulator, "Host: a", "Transfer-Encoding: gzip", "Content-Length: 2", body=b"{}") == 400


# Compression


@pytest.mark.parametrize(
    ("offers", "accepted"),
    [
        (("gzip",), True),
        (("GZIP",), True),
        (("x-gzip",), True),
        (("*",), True),
        (("gzip;q=0.001",), True),
        (("deflate", "gzip"), True),
        (("gzip", "deflate"), True),
        (("gzip;q=0",), False),
        (("gzip;q=0.0",), False),
        (("gzip; q=0.000",), False),
        (("gzip ; Q = 0",), False),
        (("gzip;q=0, *",), False),
        (("*;q=0, gzip",), True),
        (("*;q=0",), False),
        (("identity",), False),
        (("gzipped",), False),
        ((), False),
    ],
)
def test_gzip_is_offered_in_any_of_the_headers_and_with_a_weight_above_zero(
    client: Any, offers: tuple[str, ...], accepted: bool
) -> None:
    body = json.dumps(BODY).encode()
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: a",
        f"Authorization: Bearer {client.simulator.world.app.bearer_token}",
        *(f"Accept-Encoding: {offer}" for offer in offers),
        "Content-Type: application/json",
        lengths(body),
    ]
    with sent(client.simulator, "\r\n".join([*lines, "", ""]).encode() + body) as response:
        assert response.status == (200 if accepted else 406)


# Anything


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Client]:
    """One simulator for all examples."""
    with Simulator(World.generate(seed=1, handles=1, tweets=5, end=NOW), clock=Clock(NOW)) as simulator:
        simulator.set_limit(per_minute=10_000_000)
        yield Client(simulator)


def answered(client: Client, send: Callable[[], int]) -> int:
    number = len(client.simulator.journal)
    status = send()
    assert len(client.simulator.journal) == number + 1
    return status


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([NEW, "favorites", "2026-01-11"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["group_by", "a"]), inner, max_size=2),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("tweet_ids", "engagement_types", "groupings", "start", "end"), values),
).map(lambda changes: json.dumps({**BODY, **changes}).encode())
bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@bounded
@given(endpoint=st.sampled_from(["totals", "28hr", "historical"]), body=bodies | st.binary(max_size=60))
def test_a_fuzzed_body_is_answered_with_counts_or_an_error_of_the_client(
    fuzzed: Client, endpoint: str, body: bytes
) -> None:
    (user,) = fuzzed.simulator.world.handles
    status = answered(fuzzed, lambda: fuzzed.post(endpoint, None, data=body, user=user, headers=JSON).status_code)
    assert status in (200, 400, 403)


@bounded
@given(
    name=st.sampled_from(["Authorization", "Host", "Content-Type", "Accept-Encoding", "Transfer-Encoding", "Date"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f\x85"), max_size=40)
    | st.sampled_from(["OAuth oauth_token=%", 'OAuth oauth_timestamp="1"', "Basic =", "Bearer", "OAuth ,,", "[::1]:x"]),
    target=st.sampled_from([PATH, "/oauth2/token", "/oauth2/invalidate_token", "/insights/engagement/28hr?a=%zz&b"]),
)
def test_a_fuzzed_header_is_answered_with_an_error_of_the_client(
    fuzzed: Client, name: str, value: str, target: str
) -> None:
    status = answered(
        fuzzed,
        lambda: raw(fuzzed.simulator, "Host: a", "Content-Length: 2", f"{name}: {value}", target=target, body=b"{}"),
    )
    assert status in (400, 401, 403, 406)
