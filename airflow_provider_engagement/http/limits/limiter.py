"""Hold requests back until the rate limit allows them, for all threads of a client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from airflow_provider_engagement.exceptions import StoppedError, WaitRequired
from airflow_provider_engagement.http.limits.headers import ExceededLimit, RateHeaders
from airflow_provider_engagement.http.limits.rate_limit import RateLimit, RateLimitSnapshot

log = logging.getLogger(__name__)

LONGEST_PAUSE = 2.0
"""Shorter waits, in seconds, never raise ``WaitRequired``: most of them are for a response that is about to arrive."""


class Limiter:
    """A rate limit with a clock, a way to sleep, and a lock.

    :param rate_limit: decides when the next request may be sent.
    :param max_inline_wait: the longest wait in seconds that is slept through, at least 2; ``None`` for any. A longer
        wait raises :class:`~airflow_provider_engagement.exceptions.WaitRequired`.
    :param clock: returns the time in epoch seconds.
    :param sleep: sleeps for a number of seconds; by default until :meth:`stop` is called, at most.
    """

    def __init__(
        self,
        rate_limit: RateLimit,
        *,
        max_inline_wait: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._rate_limit = rate_limit
        self._max_inline_wait = max_inline_wait
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._lock = threading.Lock()
        self._warned_of_skew = False
        self.waited_seconds = 0.0
        self.rate_limited_requests = 0

    def now(self) -> float:
        """Return the time of the limiter's clock, in epoch seconds."""
        return self._clock()

    def acquire(self) -> None:
        """Return as soon as the next request may be sent.

        :raises WaitRequired: if that takes longer than ``max_inline_wait``.
        :raises StoppedError: after :meth:`stop`.
        """
        now = self._clock()
        while True:
            self._check_stopped()
            with self._lock:
                next_check = self._rate_limit.acquire(now)
            if next_check <= now:
                return
            wait = next_check - now
            if self._max_inline_wait is not None and wait > max(self._max_inline_wait, LONGEST_PAUSE):
                raise WaitRequired(datetime.fromtimestamp(next_check, UTC))
            self.wait(wait)
            now = self._clock()

    def wait(self, seconds: float) -> None:
        """Sleep, and add the time to ``waited_seconds``.

        :raises StoppedError: after :meth:`stop`.
        """
        with self._lock:
            self.waited_seconds += seconds
        self._sleep(seconds)
        self._check_stopped()

    def stop(self) -> None:
        """End all waits, and allow no further request."""
        self._stopped.set()

    def responded(self, headers: RateHeaders) -> None:
        """Record a response with any status but 429."""
        with self._lock:
            self._rate_limit.responded(headers, now=self._clock())
            skew = self._rate_limit.skew_seconds
            warn = self._rate_limit.has_large_skew and not self._warned_of_skew
            self._warned_of_skew |= warn
        if warn:
            log.warning(
                "This machine's clock differs from the API's by %.0f s. Waits for the rate limit are not affected.",
                skew,
            )

    def rate_limited(self, headers: RateHeaders) -> ExceededLimit:
        """Record a response with status 429, and return which limit was exceeded."""
        with self._lock:
            self.rate_limited_requests += 1
            return self._rate_limit.rate_limited(headers, now=self._clock())

    def failed(self) -> None:
        """Record that a request got no response."""
        with self._lock:
            self._rate_limit.failed(self._clock())

    def snapshot(self) -> RateLimitSnapshot:
        """Return the current state of the rate limit."""
        with self._lock:
            return self._rate_limit.snapshot(self._clock())

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise StoppedError("The client was stopped and sends no further requests.")
