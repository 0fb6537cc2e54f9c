"""Reads a request from its socket: the body, whole or in chunks, and the headers."""

from __future__ import annotations

import re
from email.message import Message
from io import BufferedIOBase
from typing import Final

from airflow_provider_engagement.simulator.errors import RejectedRequest
from airflow_provider_engagement.simulator.http_messages import HttpRequest

MAX_BODY: Final = 5 * 1024 * 1024
"""The largest body in bytes: the default of Finatra, the framework that the API is most likely built with."""

_MAX_LINE: Final = 1024
_MAX_TRAILERS: Final = 100
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def read_request(
    method: str, target: str, headers: Message, file: BufferedIOBase, *, address: str, public_url: str | None
) -> HttpRequest:
    """Return a request, whose body may be unreadable.

    :param method: the HTTP method.
    :param target: the path and the query.
    :param headers: the headers.
    :param file: the rest of the connection.
    :param address: host and port of the server, for a client that does not send ``Host``.
    :param public_url: the address that clients call, if it is not that of ``Host``.
    """
    combined = {name.lower(): ", ".join(headers.get_all(name, ())) for name in headers.keys()}  # noqa: SIM118
    body, problem = b"", None
    try:
        body = _read_body(combined, file)
    except RejectedRequest as rejected:
        problem = rejected
    host = combined.get("host", address)
    if not _HOST.fullmatch(host):
        host, problem = address, problem or RejectedRequest(400, "Host: not a valid host")
    return HttpRequest(
        method=method,
        target=target,
        base_url=public_url or f"http://{host}",
        headers=combined,
        body=body,
        problem=problem,
    )


def _read_body(headers: dict[str, str], file: BufferedIOBase) -> bytes:
    encoding = headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.strip().lower() != "chunked":
            raise RejectedRequest(400, "Transfer-Encoding: only chunked is supported")
        return _read_chunks(file)
    length = headers.get("content-length", "0").strip()
    if not _LENGTH.fullmatch(length):
        raise RejectedRequest(400, "Content-Length: not a number")
    return _read_exactly(file, int(length), read_before=0)


def _read_chunks(file: BufferedIOBase) -> bytes:
    """Return a body in chunks as one, which is how Finatra hands it on."""
    body = bytearray()
    while size := _chunk_size(file.readline(_MAX_LINE)):
        body += _read_exactly(file, size, read_before=len(body))
        if file.readline(_MAX_LINE).strip():
            raise RejectedRequest(400, "Transfer-Encoding: a chunk does not end after its size")
    # The next request of the connection follows the trailers.
    for _ in range(_MAX_TRAILERS):
        if not file.readline(_MAX_LINE).strip():
            return bytes(body)
    raise RejectedRequest(400, "Transfer-Encoding: too many trailers")


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not _CHUNK_SIZE.fullmatch(size):
        raise RejectedRequest(400, "Transfer-Encoding: a chunk has no size")
    return int(size, 16)


def _read_exactly(file: BufferedIOBase, size: int, *, read_before: int) -> bytes:
    if read_before + size > MAX_BODY:
        raise RejectedRequest(413, f"The body has more than {MAX_BODY} bytes")
    content = file.read(size)
    if len(content) < size:
        raise RejectedRequest(400, "The body ends early")
    return content
