"""Connections to servers, for all threads of a client."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from airflow_provider_engagement.http.address import is_loopback
from airflow_provider_engagement.http.deadline import DeadlineAdapter

if TYPE_CHECKING:
    from requests import Session


class Sessions:
    """One session for this machine, and one for all other hosts.

    :param max_connections: how many connections to a host are kept open.
    :param user_agent: the value of the ``User-Agent`` header.
    """

    def __init__(self, *, max_connections: int, user_agent: str) -> None:
        self._max_connections = max_connections
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._opened: dict[bool, Session] = {}

    def open(self, url: str) -> Session:
        """Return the session for a URL. A proxy in the environment does not apply to this machine."""
        uses_environment = not is_loopback(url)
        with self._lock:
            if uses_environment not in self._opened:
                self._opened[uses_environment] = self._create(uses_environment)
            return self._opened[uses_environment]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for session in self._opened.values():
                session.close()
            self._opened.clear()

    def _create(self, uses_environment: bool) -> Session:
        import http.cookiejar

        import requests

        # If a server sends headers that are none, this library logs them as a warning. They can echo the request.
        logging.getLogger("urllib3.connection").addFilter(_without_headers)
        session = requests.Session()
        adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=self._max_connections, max_retries=0)
        session.trust_env = uses_environment
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.update({"User-Agent": self._user_agent, "Accept-Encoding": "gzip"})
        # Threads share the session. Its cookie jar is the only state that responses would change.
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        # Even if redirects are not followed, the library reads the body of a redirect, and without a bound.
        session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
        return session


def _without_headers(record: logging.LogRecord) -> bool:
    """Leave out the headers that a record quotes, and keep the URL."""
    if (
        isinstance(record.msg, str)
        and record.msg.startswith("Failed to parse headers")
        and isinstance(record.args, tuple)
    ):
        record.msg, record.args = "Failed to parse the headers of a response (url=%s)", record.args[:1]
        record.exc_info = record.exc_text = None
    return True
