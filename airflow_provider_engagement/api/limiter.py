"""Holds requests back until the budget lets them go; shared by the threads of one client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from airflow_provider_engagement.api.rate_headers import ExceededLimit, RateHeaders
from airflow_provider_engagement.api.rate_limit import RateLimit, RateLimitSnapshot
from airflow_provider_engagement.exceptions import StoppedError, WaitRequired

log = logging.getLogger(__name__)

LONGEST_PAUSE = 2.0
"""Waits up to so many seconds are mere pauses, most of them for an answer that is under way: no reason to leave."""


class Limiter:
    """The budget, a clock and a way to sleep, behind one lock.

    :param budget: decides when the next request may go.
    :param max_inline_wait: the longest wait in seconds that is slept through in place, two at least; ``None`` for any. A
        longer one raises :class:`~airflow_provider_engagement.exceptions.WaitRequired` with the moment to come back.
    :param clock: the wall clock in epoch seconds.
    :param sleep: waits a number of seconds; by default until then or until :meth:`stop`.
    """

    def __init__(
        self,
        budget: RateLimit,
        *,
        max_inline_wait: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._budget = budget
        self._inline_wait = max_inline_wait
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._lock = threading.Lock()
        self._skew_told = False
        self.waited_seconds = 0.0
        self.refused_requests = 0

    def now(self) -> float:
        """Return the time by the pace's clock, in epoch seconds."""
        return self._clock()

    def enter(self) -> None:
        """Return as soon as the next request may go.

        :raises WaitRequired: if that is further away than what is slept through in place.
        """
        now = self._clock()
        while True:
            self._check()
            with self._lock:
                moment = self._budget.acquire(now)
            if moment <= now:
                return
            if self._inline_wait is not None and moment - now > max(self._inline_wait, LONGEST_PAUSE):
                raise WaitRequired(datetime.fromtimestamp(moment, UTC))
            self.wait(moment - now)
            now = self._clock()

    def wait(self, seconds: float) -> None:
        """Sleep, and account for it.

        :raises StoppedError: if there is no use in waiting any more.
        """
        with self._lock:
            self.waited_seconds += seconds
        self._sleep(seconds)
        self._check()

    def stop(self) -> None:
        """Wake all that wait, and let no further request go."""
        self._stopped.set()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError("The pull was stopped. What was fetched is kept.")

    def answered(self, headers: RateHeaders) -> None:
        """Take note of an answer that was no refusal for the rate."""
        with self._lock:
            self._budget.answered(headers, now=self._clock())
            skew = self._budget.skew_seconds
            tell = self._budget.has_large_skew and not self._skew_told
            self._skew_told |= tell
        if tell:
            log.warning("This machine's clock and the API's differ by %.0f s; waits are reckoned by the API's.", skew)

    def refused(self, headers: RateHeaders) -> ExceededLimit:
        """Take note of a refusal for the rate, and return of which kind it was."""
        with self._lock:
            self.refused_requests += 1
            return self._budget.refused(headers, now=self._clock())

    def failed(self) -> None:
        """Take note that no answer came."""
        with self._lock:
            self._budget.failed(self._clock())

    def snapshot(self) -> RateLimitSnapshot:
        """Return what is known of the budget now."""
        with self._lock:
            return self._budget.snapshot(self._clock())
