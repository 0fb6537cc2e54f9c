"""Responses that are too large, too deep, compressed in other ways or not quite JSON."""

from __future__ import annotations

import gzip
import json
import socketserver
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.error_responses import error_messages
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PermanentError,
    RateLimitedError,
    ResponseTooLargeError,
    ServerError,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.http.redaction import describe_value
from airflow_provider_engagement.http.response_body import MEGABYTE, decode_json

NEW = "2000000000000000001"
COUNTS = json.dumps({"total": {NEW: {"favorites": "5"}}}).encode()
TOKEN = "/oauth2/token"
APP: dict[str, Any] = {"api_key": "key", "api_key_secret": "secret"}
Make = Callable[..., Request]


@contextmanager
def client_of(
    url: str, *, attempts: int = 1, max_wait: float = 3600, address: Mapping[str, Any] | None = None, **secrets: Any
) -> Iterator[EngagementClient]:
    """Connect a client whose waits take no time."""
    slept: list[float] = []
    with EngagementClient(
        Credentials(**(secrets or {"bearer_token": "token"})),
        address=Address(base_url=url, token_url=f"{url}{TOKEN}", **(address or {})),
        limiter=Limiter(RateLimit(), clock=lambda: sum(slept), sleep=slept.append),
        attempts=attempts,
        max_wait=max_wait,
    ) as client:
        yield client


def count_of(client: EngagementClient, request: Request) -> int | None:
    (count,) = client.fetch(request).response.counts.by_metric["favorites"]
    return count


def padded(size: int) -> bytes:
    """Return a valid body of a number of bytes."""
    return COUNTS + b" " * (size - len(COUNTS))


def bomb(megabytes: int) -> bytes:
    """Return gzip that is a thousandth of its content."""
    return gzip.compress(b"[" * MEGABYTE) * megabytes


GZIP = {"Content-Encoding": "gzip"}
IDENTITY = {"Content-Encoding": "identity"}
ONE_MEGABYTE: dict[str, Any] = {"max_response_megabytes": 1}


# Size


@pytest.mark.parametrize("headers", [{}, IDENTITY], ids=["gzip", "no compression"])
def test_a_response_as_large_as_the_bound_is_read_and_one_byte_more_is_rejected(
    headers: Mapping[str, str], wire: Any, totals: Make
) -> None:
    with client_of(wire.url, address=ONE_MEGABYTE) as client:
        wire.reply = lambda path, _: (200, headers, padded(MEGABYTE))
        assert count_of(client, totals(NEW)) == 5
        wire.reply = lambda path, _: (200, headers, padded(MEGABYTE + 1))
        with pytest.raises(ResponseTooLargeError, match=r"totals: HTTP 200 .* more than 1 MB.*max_response_megabytes"):
            client.fetch(totals(NEW))


def test_a_response_that_is_too_large_is_not_requested_again(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, GZIP, bomb(2))
    with (
        client_of(wire.url, attempts=5, address=ONE_MEGABYTE) as client,
        pytest.raises(ResponseTooLargeError) as caught,
    ):
        client.fetch(totals(NEW))
    assert isinstance(caught.value, PermanentError)
    assert len(wire.received) == 1


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 429, 500, 503])
def test_the_bound_applies_to_every_status(status: int, wire: Any, totals: Make) -> None:
    headers = GZIP | {"Location": "/elsewhere"} if status == 307 else GZIP
    wire.reply = lambda path, _: (status, headers, bomb(2))
    with (
        client_of(wire.url, address=ONE_MEGABYTE) as client,
        pytest.raises(ResponseTooLargeError, match=f"HTTP {status}"),
    ):
        client.fetch(totals(NEW))


def test_the_bound_applies_to_the_token_url(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, GZIP, bomb(2))
    with (
        client_of(wire.url, address=ONE_MEGABYTE, **APP) as client,
        pytest.raises(ResponseTooLargeError, match="oauth2/token"),
    ):
        client.fetch(totals(NEW))


def test_the_bound_applies_to_compressed_data_too(wire: Any, totals: Make) -> None:
    nothing = gzip.compress(b"")
    wire.reply = lambda path, _: (200, GZIP, nothing * (MEGABYTE // len(nothing) + 1))
    with client_of(wire.url, address=ONE_MEGABYTE) as client, pytest.raises(ResponseTooLargeError):
        client.fetch(totals(NEW))


def peak_while_fetching(client: EngagementClient, request: Request) -> int:
    """Return the peak of the memory that is allocated while a request fails, in bytes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        with pytest.raises(EngagementError):
            client.fetch(request)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_no_more_of_a_response_is_in_memory_than_the_bound(wire: Any, totals: Make) -> None:
    body = bomb(200)
    wire.reply = lambda path, _: (200, GZIP, body)
    with client_of(wire.url, address={"max_response_megabytes": 8}) as client:
        assert peak_while_fetching(client, totals(NEW)) < 11 * MEGABYTE


def test_a_response_is_in_memory_twice_while_it_is_decoded(wire: Any, totals: Make) -> None:
    body = gzip.compress(json.dumps("x" * 8 * MEGABYTE).encode())
    wire.reply = lambda path, _: (200, GZIP, body)
    with client_of(wire.url) as client:
        assert peak_while_fetching(client, totals(NEW)) < 19 * MEGABYTE


def test_the_bound_must_be_at_least_one_megabyte() -> None:
    for megabytes in (0, -1):
        with pytest.raises(InvalidConnectionError, match=f"max_response_megabytes: {megabytes} is below 1"):
            Address(base_url="https://a.example", token_url="https://a.example", max_response_megabytes=megabytes)


# Connections


def test_one_connection_is_used_for_all_responses_that_are_read(wire: Any, totals: Make) -> None:
    replies: list[tuple[int, Mapping[str, str], Any]] = [
        (429, {"Retry-After": "1"}, {"errors": ["Rate limit exceeded"]}),
        (429, {"Retry-After": "1"} | IDENTITY, b""),
        (503, {}, b"<html>Service Unavailable</html>"),
        (500, IDENTITY, b""),
        (200, {}, b'{"total": {'),
        (200, {}, b'{"total": 1, "total": 2}'),
        (200, {"Content-Encoding": "identity"}, padded(3 * MEGABYTE)),
    ]
    left = iter(replies)
    wire.reply = lambda path, _: next(left)
    with client_of(wire.url, attempts=9) as client:
        assert count_of(client, totals(NEW)) == 5
        wire.reply = lambda path, _: (307, {"Location": "/elsewhere"}, b"<html>")
        with pytest.raises(EndpointNotFoundError):
            client.fetch(totals(NEW))
    assert len(wire.ports) == len(replies) + 1
    assert len(set(wire.ports)) == 1


def test_the_connection_of_a_response_that_is_too_large_is_closed(wire: Any, totals: Make) -> None:
    with client_of(wire.url, address=ONE_MEGABYTE) as client:
        # The rest of the body does not fit into the buffers of the connection, so the server notices that it is closed.
        wire.reply = lambda path, _: (200, IDENTITY, padded(100 * MEGABYTE))
        with pytest.raises(ResponseTooLargeError):
            client.fetch(totals(NEW))
        wire.reply = lambda path, _: (200, {}, COUNTS)
        assert count_of(client, totals(NEW)) == 5
    assert len(set(wire.ports)) == 2


@contextmanager
def sending(*pieces: bytes, hold: bool = False) -> Iterator[str]:
    """Serve the same bytes to every request.

    :param hold: whether to keep the connection open until the client closes it.
    :return: the address.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # The client closes the connection of a response that is too large.
                self.respond()

        def respond(self) -> None:
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            for piece in pieces:
                self.wfile.write(piece)
            if hold:
                self.rfile.read()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def chunked(content: bytes, size: int) -> list[bytes]:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 65_536, 65_537, 10_000_000])
def test_a_response_in_chunks_is_read_whatever_their_size(size: int, totals: Make) -> None:
    with sending(CHUNKED, *chunked(gzip.compress(COUNTS), size)) as url, client_of(url) as client:
        assert count_of(client, totals(NEW)) == 5


def test_the_bound_applies_to_a_response_in_chunks(totals: Make) -> None:
    with (
        sending(CHUNKED, *chunked(bomb(2), 1000)[:-1], hold=True) as url,
        client_of(url, address=ONE_MEGABYTE) as client,
        pytest.raises(ResponseTooLargeError),
    ):
        client.fetch(totals(NEW))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["length", "chunks"],
)
@pytest.mark.parametrize("hold", [False, True], ids=["ends", "stalls"])
def test_a_response_that_ends_or_stalls_in_its_middle_is_no_response(head: bytes, hold: bool, totals: Make) -> None:
    with (
        sending(head, hold=hold) as url,
        client_of(url, address={"read_timeout": 0.2}) as client,
        pytest.raises(NoResponseError, match=f"totals: no response from {url}"),
    ):
        client.fetch(totals(NEW))


def test_headers_that_are_none_are_not_quoted_in_the_log(totals: Make, caplog: pytest.LogCaptureFixture) -> None:
    head = b"HTTP/1.1 200 OK\r\nBearer canary\\ \x1b[31m\r\nContent-Length: 0\r\n\r\n"
    with caplog.at_level("DEBUG"), sending(head) as url, client_of(url) as client, pytest.raises(EngagementError):
        client.fetch(totals(NEW))
    assert "Failed to parse the headers of a response" in caplog.text
    assert "canary" not in caplog.text


def test_a_chunk_without_a_valid_length_is_no_response(totals: Make) -> None:
    with sending(CHUNKED, b"many\r\n") as url, client_of(url) as client, pytest.raises(NoResponseError):
        client.fetch(totals(NEW))


# Compression


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(COUNTS)),
        ("GZIP", gzip.compress(COUNTS)),
        ("x-gzip", gzip.compress(COUNTS)),
        ("gzip", gzip.compress(COUNTS[:9]) + gzip.compress(COUNTS[9:])),
        ("gzip", gzip.compress(padded(300_000), compresslevel=0)),
    ],
    ids=["gzip", "upper case", "old name", "two members", "stored"],
)
def test_gzip_is_decompressed(encoding: str, body: bytes, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {"Content-Encoding": encoding}, body)
    with client_of(wire.url) as client:
        assert count_of(client, totals(NEW)) == 5


@pytest.mark.parametrize("cut", [1, 8, 9])
def test_gzip_that_ends_too_early_is_an_invalid_response(cut: int, wire: Any, totals: Make) -> None:
    # The checksum and the length at its end have eight bytes, so the whole text may be there.
    wire.reply = lambda path, _: (200, GZIP, gzip.compress(COUNTS)[:-cut])
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError, match=r"totals: .* cannot be decompressed"):
        client.fetch(totals(NEW))


@pytest.mark.parametrize(
    "body",
    [COUNTS, gzip.compress(COUNTS) + b"more", gzip.compress(COUNTS)[:-8] + b"checksum"],
    ids=["JSON", "more bytes after gzip", "wrong checksum"],
)
def test_what_is_not_gzip_is_an_invalid_response(body: bytes, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, GZIP, body)
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError, match=r"totals: .* cannot be decompressed"):
        client.fetch(totals(NEW))


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_an_encoding_that_was_not_requested_is_named(encoding: str, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {"Content-Encoding": encoding}, COUNTS)
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError, match=f"totals: .*'{encoding}'.*gzip"):
        client.fetch(totals(NEW))


def test_an_encoding_with_a_secret_is_redacted(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, headers: (200, {"Content-Encoding": headers["Authorization"]}, COUNTS)
    with client_of(wire.url, bearer_token="canaryBearer") as client, pytest.raises(InvalidResponseError) as caught:
        client.fetch(totals(NEW))
    assert "canary" not in str(caught.value)


# Repeated keys


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": 1, "a": 1}',
        '{"a" : 1, "a" : 2}',
        '{"a"\n:1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"b":":","a":1,"a":2}',
        '{"b":":","a":1,"a" :2}',
        '{"a":{"b":[1]},"a":{"c":2}}',
        '{"c":[{"b":{"a":1,"b":2,"a":3}}]}',
        '[[{"a":1,"a":2}]]',
        '{"b":{"a":{"a":1,"a":2}},"b":{}}',
    ],
)
def test_a_repeated_key_is_named_wherever_it_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"a key occurs more than once in an object: '[ab]'"):
        decode_json(text)


def test_a_repeated_empty_key_is_named() -> None:
    with pytest.raises(ValueError, match=r"occurs more than once in an object: ''$"):
        decode_json('{"":1,"":2}')


def test_a_long_repeated_key_is_described() -> None:
    key = "a" * 1000
    with pytest.raises(ValueError, match="occurs more than once in an object: a value of 1002 characters"):
        decode_json(f'{{"{key}":1,"{key}":2}}')


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"a": 1}, "b": {"a": 1}}',
        '[{"a": 1}, {"a": 1}]',
        '{"a": ":", "b": "a\\":", "c": " :"}',
        '{"a" : "a", "b"\t:\n"b"}',
        '{":": 1, "": 2, "::": {"\\"": 3}}',
        '{"start": "2026-01-12T00:00:00Z"}',
    ],
)
def test_keys_that_differ_or_are_in_different_objects_are_accepted(text: str) -> None:
    assert decode_json(text) == json.loads(text)


Pairs = list[tuple[str, Any]]
KEYS = st.sampled_from(["a", "b", "", ":", " :", '":', "\\", '"', "é", "a:"])
SPACE = st.sampled_from(["", " ", "\n", "\t\r"])
TREES: st.SearchStrategy[Any] = st.recursive(
    KEYS | st.integers() | st.none(),
    lambda trees: (
        st.lists(trees, max_size=3).map(lambda found: ("list", found))
        | st.lists(st.tuples(KEYS, SPACE, SPACE, st.booleans(), trees), max_size=4).map(lambda found: ("object", found))
    ),
    max_leaves=12,
)


def written(tree: Any) -> str:
    """Return a tree as JSON, which can have repeated keys, any whitespace and needless escapes."""
    if not isinstance(tree, tuple):
        return json.dumps(tree)
    kind, found = tree
    if kind == "list":
        return f"[{','.join(map(written, found))}]"
    return f"{{{','.join(f'{key_written(key, e)}{b}:{a}{written(child)}' for key, b, a, e, child in found)}}}"


def key_written(key: str, escaped: bool) -> str:
    if not escaped:
        return json.dumps(key, ensure_ascii=False)
    return '"' + "".join(map("\\u{:04x}".format, map(ord, key))) + '"'


def repeats_a_key(tree: Any) -> bool:
    if not isinstance(tree, tuple):
        return False
    kind, found = tree
    if kind == "list":
        return any(map(repeats_a_key, found))
    keys = [key for key, *_ in found]
    return len(set(keys)) < len(keys) or any(repeats_a_key(child) for *_, child in found)


@given(TREES)
def test_json_is_rejected_if_and_only_if_it_repeats_a_key(tree: Any) -> None:
    text = written(tree)
    if repeats_a_key(tree):
        with pytest.raises(ValueError, match="occurs more than once"):
            decode_json(text)
    else:
        assert decode_json(text) == json.loads(text)


TWICE = b'{"total": {"%s": {"favorites": "5", "favorites": "6"}}}' % NEW.encode()


def test_a_response_with_a_repeated_key_is_invalid_and_requested_again(wire: Any, totals: Make) -> None:
    replies = iter([TWICE, COUNTS])
    wire.reply = lambda path, _: (200, {}, next(replies))
    with client_of(wire.url, attempts=2) as client:
        assert count_of(client, totals(NEW)) == 5


@pytest.mark.parametrize("status", [200, 400, 403])
def test_the_repeated_key_of_a_response_is_named(status: int, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (status, {}, TWICE)
    with (
        client_of(wire.url) as client,
        pytest.raises(InvalidResponseError, match=f"totals: HTTP {status} with invalid JSON: a key .*: 'favorites'"),
    ):
        client.fetch(totals(NEW))


def test_a_repeated_key_with_a_secret_is_redacted(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {}, b'{"canaryBearer": 1, "canaryBearer": 2}')
    with client_of(wire.url, bearer_token="canaryBearer") as client, pytest.raises(InvalidResponseError) as caught:
        client.fetch(totals(NEW))
    assert "canary" not in str(caught.value)


def test_a_repeated_token_is_not_used(wire: Any, totals: Make) -> None:
    body = b'{"token_type": "bearer", "access_token": "one", "access_token": "two"}'
    wire.reply = lambda path, _: (200, {}, body)
    with (
        client_of(wire.url, **APP) as client,
        pytest.raises(InvalidResponseError, match=r"more than once .*: 'access_token'"),
    ):
        client.fetch(totals(NEW))
    assert [path for path, *_ in wire.received] == [TOKEN]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (404, EndpointNotFoundError), (429, RateLimitedError), (500, ServerError)],
)
@pytest.mark.parametrize("body", [TWICE, b"[" * 100_000], ids=["repeated key", "deep"])
def test_other_statuses_say_enough_without_a_valid_body(
    body: bytes, status: int, error: type[EngagementError], wire: Any, totals: Make
) -> None:
    wire.reply = lambda path, _: (status, {}, body)
    with client_of(wire.url, max_wait=-1) as client, pytest.raises(error):
        client.fetch(totals(NEW))


# Other JSON that Python reads


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number_is_named(name: str, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {}, b'{"total": {"%s": {"favorites": %s}}}' % (NEW.encode(), name.encode()))
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError, match=f"{name} is not a number"):
        client.fetch(totals(NEW))


def test_a_number_of_too_many_digits_is_invalid(wire: Any, totals: Make) -> None:
    digits = b"9" * (sys.get_int_max_str_digits() + 1)
    wire.reply = lambda path, _: (200, {}, b'{"total": {"%s": {"favorites": %s}}}' % (NEW.encode(), digits))
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError):
        client.fetch(totals(NEW))


@pytest.mark.parametrize("body", [b'{"total": \xff}', b'{"a": "\xed\xa0\x80"}'])
def test_text_in_an_invalid_encoding_is_invalid(body: bytes, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {}, body)
    with client_of(wire.url) as client, pytest.raises(InvalidResponseError, match="utf-8"):
        client.fetch(totals(NEW))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_unicode_encoding_is_read(encoding: str, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {}, COUNTS.decode().encode(encoding))
    with client_of(wire.url) as client:
        assert count_of(client, totals(NEW)) == 5


# Nesting


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("status", [200, 400, 403])
def test_json_that_is_nested_too_deeply_is_invalid(status: int, opening: bytes, wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (status, {}, opening * 100_000)
    with (
        client_of(wire.url) as client,
        pytest.raises(InvalidResponseError, match=f"totals: HTTP {status} with invalid JSON: it is nested too deeply"),
    ):
        client.fetch(totals(NEW))


def test_a_token_response_that_is_nested_too_deeply_is_invalid(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, _: (200, {}, b'{"a":' * 100_000)
    with client_of(wire.url, **APP) as client, pytest.raises(InvalidResponseError, match="nested too deeply"):
        client.fetch(totals(NEW))


def test_a_value_that_can_be_decoded_but_not_shown_is_described() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert describe_value(value) == "a value that is nested too deeply"
    for error in (value, {"message": value}, {"code": value}):
        assert error_messages({"errors": [error]}) == ("(an error that is nested too deeply)",)
