"""The simulator as an HTTP server on loopback."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from airflow_provider_engagement.simulator.budget import Budgets
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.control import CONTROL_PATH, control
from airflow_provider_engagement.simulator.counts import hours_since_1970
from airflow_provider_engagement.simulator.faults import Faults
from airflow_provider_engagement.simulator.journal import Journal
from airflow_provider_engagement.simulator.service import TOKEN_PATH, Received, Reply, Service
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.world import World

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


class Simulator:
    """The Engagement API on a port of this machine; a context manager.

    ::

        with Simulator(World.generate(seed=1)) as simulator:
            requests.post(simulator.base_url + "/insights/engagement/totals", ...)

    :param world: who and what exists; by default a generated one.
    :param switches: how it behaves where the documentation is silent.
    :param clock: the data clock; by default the real time.
    :param rate_clock: the clock of budgets, ``Date`` headers and the journal; by default the real time.
    :param signature_clock: what OAuth timestamps are compared with; by default the real time, which clients sign with.
    :param signature_window: how far such a timestamp may be off (not documented).
    :param date_skew: how far the ``Date`` header is ahead of the rate clock.
    :param latency: seconds each answer takes at least.
    :param public_url: the URL clients call, if it is not the one of their ``Host`` header, as behind a proxy.
    :param host: where to listen; nothing but ``127.0.0.1`` is accepted.
    :param port: the port; 0 takes a free one.
    :raises ValueError: ``host`` is not loopback.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        switches: Switches | None = None,
        clock: Clock | None = None,
        rate_clock: Clock | None = None,
        signature_clock: Clock | None = None,
        signature_window: timedelta = timedelta(seconds=300),
        date_skew: timedelta = timedelta(),
        latency: float = 0.0,
        public_url: str | None = None,
        host: str = LOOPBACK,
        port: int = 0,
    ) -> None:
        if host != LOOPBACK:
            raise ValueError(f"the simulator listens on {LOOPBACK} only, not on {host}: its tokens are no secrets")
        self.service = Service(
            World.generate() if world is None else world,
            switches=switches or Switches(),
            clock=clock or Clock(),
            rate_clock=rate_clock or Clock(),
            signature_clock=signature_clock or Clock(),
            signature_window=signature_window,
            date_skew=date_skew,
            latency=latency,
        )
        self._server = _Server((LOOPBACK, port), self.service, public_url)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    @property
    def token_url(self) -> str:
        """Where application-only tokens are issued."""
        return self.base_url + TOKEN_PATH

    @property
    def world(self) -> World:
        """Who and what exists."""
        return self.service.world

    @property
    def clock(self) -> Clock:
        """The data clock."""
        return self.service.clock

    @property
    def rate_clock(self) -> Clock:
        """The clock of budgets, of ``Date`` headers and of the journal."""
        return self.service.rate_clock

    @property
    def budgets(self) -> Budgets:
        """The budgets, which can be changed and closed."""
        return self.service.budgets

    @property
    def faults(self) -> Faults:
        """The faults waiting to happen."""
        return self.service.faults

    @property
    def journal(self) -> Journal:
        """All requests so far; those to the control plane are not among them."""
        return self.service.journal

    @property
    def switches(self) -> Switches:
        """The behaviour; assign another :class:`Switches` to change it."""
        return self.service.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self.service.switches = switches

    @property
    def latency(self) -> float:
        """Seconds each answer takes at least; can be assigned."""
        return self.service.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.service.latency = seconds

    @property
    def date_skew(self) -> timedelta:
        """How far the ``Date`` header is ahead of the rate clock; can be assigned."""
        return self.service.date_skew

    @date_skew.setter
    def date_skew(self, skew: timedelta) -> None:
        self.service.date_skew = skew

    def count(self, tweet_id: str, metric: str, start: datetime, end: datetime) -> int:
        """Return the engagement of a Tweet in a window as it is seen now, under the present switches."""
        edges = [hours_since_1970(start), hours_since_1970(end)]
        before, after = self.service.sight().cumulative(self.world.tweets[tweet_id], [metric], edges)[metric]
        return after - before

    def total(self, tweet_id: str, metric: str) -> int:
        """Return the running total of a Tweet as it is seen now, under the present switches."""
        return self.world.seen_total(tweet_id, metric, self.service.sight())

    def set_limit(self, per_minute: int | None = None, per_second: int | None = None) -> None:
        """Change the budget of the world's first app; see :meth:`Budgets.set_limit`."""
        self.budgets.set_limit(self.world.app, per_minute=per_minute, per_second=per_second)

    def reset(self) -> None:
        """Return to the beginning: clocks, budgets, switches, faults, tokens, nonces and journal, not the world."""
        self.service.reset()

    def start(self) -> Simulator:
        """Begin to answer, in a thread of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="engagement-simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, and end all connections. A simulator that was stopped cannot be started again."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.end_connections()

    def __enter__(self) -> Simulator:
        """Begin to answer."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering."""
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service, public_url: str | None) -> None:
        self.service = service
        self.public_url = public_url
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks its own name up in DNS here, which may take seconds where there is none.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        # The types allow for sockets of other kinds, whose addresses have no port; this one's is bound to the loopback.
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError as problem:
                    log.debug("a connection was gone already: %s", problem)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection of %s ended", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path.startswith(CONTROL_PATH):
            self._send(control(self.server.service, self.command, self.path, body, self._base_url()))
            return
        self._send(
            self.server.service.handle(
                Received(
                    method=self.command,
                    url=(self.server.public_url or self._base_url()) + self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                )
            )
        )

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve

    def _base_url(self) -> str:
        return f"http://{self.headers.get('Host', f'{LOOPBACK}:{self.server.server_port}')}"

    def _body(self) -> bytes | None:
        """Return the body; answer and return ``None`` if it cannot be read."""
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            self.close_connection = True
            self._send(Reply(status=411, headers={"Date": self._date()}, body=b""))
            return None
        return self.rfile.read(int(length))

    def _date(self) -> str:
        return f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S GMT}"

    def _send(self, reply: Reply) -> None:
        """Send headers and body in one piece, so that neither waits for the acknowledgement of the other."""
        if reply.delay > 0:
            time.sleep(reply.delay)
        if reply.drop == "before_headers":
            self.close_connection = True
            return
        headers = {**reply.headers, "Content-Length": str(len(reply.body))}
        if self.close_connection:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", *(f"{name}: {headers[name]}" for name in headers)]
        body = b"" if self.command == "HEAD" else reply.body
        if reply.drop == "after_headers":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
