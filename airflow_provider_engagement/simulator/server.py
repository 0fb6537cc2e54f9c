"""The HTTP server on loopback."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.control import CONTROL_PATH, control
from airflow_provider_engagement.simulator.faults import Faults
from airflow_provider_engagement.simulator.http_messages import HttpResponse
from airflow_provider_engagement.simulator.journal import Journal
from airflow_provider_engagement.simulator.quota import Quotas
from airflow_provider_engagement.simulator.request_reading import read_request
from airflow_provider_engagement.simulator.simulated_api import SimulatedApi
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.tokens import TOKEN_PATH
from airflow_provider_engagement.simulator.tweet_figures import TweetFigures
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.billed_reads import Ledger
from airflow_provider_engagement.simulator.x_api.rate_windows import RateWindows
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


class Simulator:
    """The Engagement API and X API v2 on a port of this machine. Use it as a context manager.

    ::

        with Simulator(World.generate(seed=1)) as simulator:
            requests.post(simulator.base_url + "/insights/engagement/totals", ...)

    :param world: the data behind both APIs; by default a generated world.
    :param switches: the behavior of the Engagement API where the documentation leaves it open.
    :param x_switches: the behavior of X API v2 where the documentation leaves it open.
    :param clock: the data clock, which decides windows and ages; by default the real time.
    :param rate_clock: the clock of quotas, ``Date`` headers and the journal; by default the real time.
    :param signature_clock: the clock that OAuth timestamps are compared with; by default the real time, because
        clients sign with it.
    :param signature_window: how far an OAuth timestamp may differ from that clock (invented; no source documents it).
    :param date_skew: how far the ``Date`` header is ahead of the rate clock.
    :param latency: minimum seconds per response.
    :param public_url: the URL that clients call, if a proxy changes the ``Host`` header.
    :param host: the address to listen on; only ``127.0.0.1`` is allowed.
    :param port: the port; 0 picks a free one.
    :raises ValueError: ``host`` is not ``127.0.0.1``.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        switches: Switches | None = None,
        x_switches: XApiSwitches | None = None,
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
            raise ValueError(f"host: {host} is not allowed. Use {LOOPBACK} only, because the simulator has no secrets.")
        self.api = SimulatedApi(
            World.generate() if world is None else world,
            switches=switches or Switches(),
            x_switches=x_switches or XApiSwitches(),
            clock=clock or Clock(),
            rate_clock=rate_clock or Clock(),
            signature_clock=signature_clock or Clock(),
            signature_window=signature_window,
            date_skew=date_skew,
            latency=latency,
        )
        self._server = _Server((LOOPBACK, port), self.api, public_url)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    @property
    def token_url(self) -> str:
        """The address of the token endpoint."""
        return self.base_url + TOKEN_PATH

    @property
    def world(self) -> World:
        """The data behind the API."""
        return self.api.world

    @property
    def clock(self) -> Clock:
        """The data clock."""
        return self.api.clock

    @property
    def rate_clock(self) -> Clock:
        """The clock of quotas, ``Date`` headers and the journal."""
        return self.api.rate_clock

    @property
    def quotas(self) -> Quotas:
        """The quotas of the apps. You can change and close them."""
        return self.api.engagement.quotas

    @property
    def faults(self) -> Faults:
        """The queue of faults."""
        return self.api.faults

    @property
    def journal(self) -> Journal:
        """All requests so far, except those to the control plane."""
        return self.api.journal

    @property
    def switches(self) -> Switches:
        """The behavior of the Engagement API. You can assign other :class:`Switches`."""
        return self.api.engagement.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self.api.engagement.switches = switches

    @property
    def x_switches(self) -> XApiSwitches:
        """The behavior of X API v2. You can assign other :class:`XApiSwitches`."""
        return self.api.x_api.switches

    @x_switches.setter
    def x_switches(self, switches: XApiSwitches) -> None:
        self.api.x_api.switches = switches

    @property
    def windows(self) -> RateWindows:
        """The rate limits of X API v2. You can change them."""
        return self.api.x_api.windows

    @property
    def ledger(self) -> Ledger:
        """The Tweets and users that X API v2 has billed."""
        return self.api.x_api.ledger

    @property
    def figures(self) -> TweetFigures:
        """The metrics of the Tweets on X API v2, as it shows them now."""
        return self.api.x_api.figures()

    @property
    def latency(self) -> float:
        """Minimum seconds per response. You can assign it."""
        return self.api.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.api.latency = seconds

    @property
    def date_skew(self) -> timedelta:
        """How far the ``Date`` header is ahead of the rate clock. You can assign it."""
        return self.api.date_skew

    @date_skew.setter
    def date_skew(self, skew: timedelta) -> None:
        self.api.date_skew = skew

    def count(self, tweet_id: str, metric: str, start: datetime, end: datetime) -> int:
        """Return the count of a Tweet in a window, as the API shows it now."""
        return self.api.engagement.visible_counts().count(self.world.tweets[tweet_id], metric, start, end)

    def total(self, tweet_id: str, metric: str) -> int:
        """Return the total of a Tweet, as the API shows it now."""
        return self.world.visible_total(tweet_id, metric, self.api.engagement.visible_counts())

    def set_limit(self, per_minute: int | None = None, per_second: int | None = None) -> None:
        """Change the quota of the first app.

        .. seealso:: :meth:`airflow_provider_engagement.simulator.quota.Quotas.set_limit`
        """
        self.quotas.set_limit(self.world.app, per_minute=per_minute, per_second=per_second)

    def reset(self) -> None:
        """Reset clocks, limits, switches, faults, tokens, nonces, ledger and journal. The world stays as it is."""
        self.api.reset()

    def start(self) -> Simulator:
        """Start the server in a thread, and return the simulator."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="engagement-simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop the server and end all connections. A stopped simulator cannot start again."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.end_connections()

    def __enter__(self) -> Simulator:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: SimulatedApi, public_url: str | None) -> None:
        self.api = api
        self.public_url = public_url
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks up its host name in DNS here, which takes seconds on a machine without DNS.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        # The declared types include sockets whose addresses have no port. This socket has one.
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
                    log.debug("A connection was already closed: %s", problem)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("The connection of %s ended.", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        request = read_request(
            self.command,
            self.path,
            self.headers,
            self.rfile,
            address=f"{LOOPBACK}:{self.server.server_port}",
            public_url=self.server.public_url,
        )
        if request.problem is not None:
            # The next request cannot be told from the rest of this one.
            self.close_connection = True
        is_control = request.path.startswith(CONTROL_PATH)
        self._send(control(self.server.api, request) if is_control else self.server.api.handle(request))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve

    def _send(self, response: HttpResponse) -> None:
        """Send a response. Headers and body go out in one write, so that TCP does not delay the body."""
        if response.delay > 0:
            time.sleep(response.delay)
        if response.drop == "before_headers":
            self.close_connection = True
            return
        headers = {**response.headers, "Content-Length": str(len(response.body))}
        if self.close_connection:
            headers["Connection"] = "close"
        lines = [
            f"HTTP/1.1 {response.status} {_phrase(response.status)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        body = b"" if self.command == "HEAD" else response.body
        if response.drop == "after_headers":
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
