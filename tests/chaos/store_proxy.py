"""A proxy in front of an object store, which can fail, be slow, lose responses, or never respond.

It passes bytes through without reading them, so that signatures stay valid. A change of its mode breaks all
connections, so that each new mode applies to all requests.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65_536
SECONDS_OF_DELAY = 2.0
SECONDS_UNTIL_CLOSED = 1.0


class Mode(Enum):
    """What the proxy does with a connection."""

    PASS = "passes"
    FAIL_500 = "HTTP 500"
    FAIL_503 = "HTTP 503"
    SLOW = "slow"
    SILENT = "no response"
    LOSE_RESPONSES = "loses responses"


_STATUS_LINES = {
    Mode.FAIL_500: (b"500 Internal Server Error", b"InternalError"),
    Mode.FAIL_503: (b"503 Service Unavailable", b"SlowDown"),
}


class StoreProxy:
    """A proxy on loopback. As a context manager, it runs in threads of this process.

    :param upstream: the URL of the object store.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._mode = Mode.PASS
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.disturbed = 0
        """How many connections have met another mode than :attr:`Mode.PASS`."""

    @property
    def address(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Accept connections."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        # Closing a listening socket does not wake the thread that accepts connections.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._switch(Mode.PASS)

    @contextmanager
    def mode(self, mode: Mode) -> Iterator[None]:
        """Have another mode for a while. All connections break at its start and at its end."""
        self._switch(mode)
        try:
            yield
        finally:
            self._switch(Mode.PASS)

    def _switch(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            mode = self._mode
            self._open.add(client)
            self.disturbed += mode is not Mode.PASS
        try:
            with client, suppress(OSError):
                if mode in _STATUS_LINES:
                    _fail(client, *_STATUS_LINES[mode])
                elif mode is Mode.SILENT:
                    while client.recv(CHUNK):
                        pass
                else:
                    self._connect(client, mode)
        finally:
            with self._lock:
                self._open.discard(client)

    def _connect(self, client: socket.socket, mode: Mode) -> None:
        with socket.create_connection(self._upstream, timeout=10) as server:
            server.settimeout(None)
            requests = threading.Thread(target=_pass, args=(client, server), daemon=True)
            requests.start()
            try:
                _pass(server, client, mode)
            finally:
                for connection in (client, server):
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                requests.join()


def _pass(source: socket.socket, target: socket.socket, mode: Mode = Mode.PASS) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            # The permission to send the body is no response to the request.
            if mode is Mode.LOSE_RESPONSES and not chunk.startswith(b"HTTP/1.1 100"):
                break
            if mode is Mode.SLOW:
                time.sleep(SECONDS_OF_DELAY)
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _fail(client: socket.socket, status: bytes, code: bytes) -> None:
    request = client.recv(CHUNK)
    if not request:
        return
    body = b"<Error><Code>" + code + b"</Code><Message>The object store is disturbed.</Message></Error>"
    if request.startswith(b"HEAD "):
        body = b""
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: "
    client.sendall(head + str(len(body)).encode() + b"\r\n\r\n" + body)
    client.shutdown(socket.SHUT_WR)
    # A connection that is closed with unread bytes is reset, and the client loses the response.
    client.settimeout(SECONDS_UNTIL_CLOSED)
    while client.recv(CHUNK):
        pass
