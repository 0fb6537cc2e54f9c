"""A limit of the requests in any period of a length. Pure: no clock, no I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from airflow_provider_engagement.http.limits.headers import MARGIN


class RequestLog:
    """When requests finished.

    A request counts from its response, so no period of the server has more, however it places its periods.
    """

    def __init__(self, times: Iterable[float] = ()) -> None:
        self._times = sorted(times)

    def __len__(self) -> int:
        return len(self._times)

    def __add__(self, other: RequestLog) -> RequestLog:
        return RequestLog([*self._times, *other._times])

    @property
    def last(self) -> float | None:
        """The time of the last request, if there is one."""
        return self._times[-1] if self._times else None

    def add(self, time: float, number: int = 1) -> None:
        """Add requests at a time, which is not before that of the last one."""
        self._times += [time] * number

    def clear(self) -> None:
        """Forget all requests."""
        self._times.clear()

    def forget(self, period: float, now: float) -> None:
        """Forget the requests that are older than a period."""
        del self._times[: bisect_right(self._times, now - period - MARGIN)]

    def shift(self, seconds: float) -> None:
        """Move all requests by a time, because the clock was set."""
        self._times = [time + seconds for time in self._times]

    def room(self, at_most: int, period: float, now: float) -> tuple[int, float]:
        """Return how many more requests may be sent, and when the next one may be if none.

        :param at_most: how many requests are allowed in any period.
        :param period: the length of the period.
        :param now: the current time.
        """
        recent = self._times[bisect_right(self._times, now - period - MARGIN) :]
        left = at_most - len(recent)
        return left, now if left > 0 else recent[-at_most] + period + MARGIN
