"""Give a request a total time, from connecting until the last byte of its response.

The timeouts of ``requests`` are those of one read. Without a total time, a server that sends one byte after the other,
in headers, trailers or ``100 Continue``, holds a worker forever.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Self

from requests.adapters import HTTPAdapter

from airflow_provider_engagement.exceptions import NoResponseError

if TYPE_CHECKING:
    from types import TracebackType

_CURRENT: Final[ContextVar[Deadline | None]] = ContextVar("deadline", default=None)


class Deadline:
    """Ends the connection of a request that takes too long. A context manager around one request and its response.

    :param seconds: how long the request can take.
    :param subject: the name of the request, for the error.
    :raises NoResponseError: on leaving, if the time is over, whatever the request has returned or raised by then.
    """

    def __init__(self, seconds: float, *, subject: str) -> None:
        self._seconds = seconds
        self._subject = subject
        self._lock = threading.Lock()
        self._passed = False
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._pass)
        # A worker that stops does not wait for it.
        self._timer.daemon = True
        self._outer: Token[Deadline | None] | None = None

    def __enter__(self) -> Self:
        self._outer = _CURRENT.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._outer is not None:
            _CURRENT.reset(self._outer)
        with self._lock:
            self._forget()
        # The end of a connection looks like the end of a response, or like any other error.
        if self._passed and (error is None or isinstance(error, Exception)):
            raise NoResponseError(
                f"{self._subject}: the response takes longer than {self._seconds:g} s in total. Check the host and the "
                "proxy, or raise read_timeout of the connection."
            ) from None

    def watch(self, descriptor: int) -> None:
        """End the connection of a socket when the time is over.

        :param descriptor: the file descriptor of the socket, before or after it is encrypted.
        """
        with self._lock:
            self._forget()
            # The descriptor of its own stays valid while the socket is encrypted, closed, or replaced.
            self._connection = socket.socket(fileno=os.dup(descriptor))
            if self._passed:
                self._end_connection()

    def _pass(self) -> None:
        with self._lock:
            self._passed = True
            self._end_connection()

    def _end_connection(self) -> None:
        if self._connection is not None:
            # This wakes a thread that waits for the socket, which closing does not.
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Watched:
    """A connection of ``urllib3`` that shows its socket to the deadline of the request."""

    sock: Any

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        _watch(connection)
        return connection

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _watch(self.sock)
        super().request(*arguments, **options)  # type: ignore[misc]


class DeadlineAdapter(HTTPAdapter):
    """Sends the requests of a session over connections that a ``Deadline`` can end, also through any proxy."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """Return the pool of connections for a request."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not issubclass(pool.ConnectionCls, _Watched):
            pool.ConnectionCls = type(pool.ConnectionCls.__name__, (_Watched, pool.ConnectionCls), {})
        return pool


def _watch(connection: Any) -> None:
    deadline = _CURRENT.get()
    if deadline is not None:
        deadline.watch(connection.fileno())
