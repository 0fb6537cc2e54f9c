"""Several limiters, for an API whose endpoints and users have rate limits of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot

Quota = TypeVar("Quota", bound=Hashable)


class Limiters(Generic[Quota]):
    """One limiter for each quota. Several threads can use it at once.

    :param create: returns a limiter for a quota that has none yet.
    """

    def __init__(self, create: Callable[[Quota], Limiter]) -> None:
        self._create = create
        self._lock = threading.Lock()
        self._by_quota: dict[Quota, Limiter] = {}
        self._is_stopped = False

    def of(self, quota: Quota) -> Limiter:
        """Return the limiter of a quota."""
        with self._lock:
            if quota not in self._by_quota:
                self._by_quota[quota] = self._create(quota)
                if self._is_stopped:
                    self._by_quota[quota].stop()
            return self._by_quota[quota]

    def stop(self) -> None:
        """End all waits, and allow no further request of any quota."""
        with self._lock:
            self._is_stopped = True
            for limiter in self._by_quota.values():
                limiter.stop()

    @property
    def waited_seconds(self) -> float:
        """How long threads have slept, in total."""
        return sum(limiter.waited_seconds for limiter in self._used())

    @property
    def rate_limited_requests(self) -> int:
        """How many requests got HTTP 429."""
        return sum(limiter.rate_limited_requests for limiter in self._used())

    def snapshots(self) -> Mapping[Quota, RateLimitSnapshot]:
        """Return the current state of each rate limit that was used."""
        with self._lock:
            used = dict(self._by_quota)
        return {quota: limiter.snapshot() for quota, limiter in used.items()}

    def _used(self) -> tuple[Limiter, ...]:
        with self._lock:
            return tuple(self._by_quota.values())
