"""How many requests each app has left: fixed windows of a minute and, where the contract has one, of a second."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.world import App


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The budget of an app after a request.

    :param allowed: whether the request was within it.
    :param limit: requests per minute.
    :param remaining: what is left in this minute.
    :param reset: when the next window begins, in Unix seconds.
    :param second_limit: requests per second, if limited.
    :param second_remaining: what is left in this second.
    :param second_reset: when the next second begins, in Unix seconds.
    :param now: when the request came in.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    second_limit: int | None
    second_remaining: int
    second_reset: int
    now: datetime

    @property
    def reopens(self) -> int:
        """When a further request has a chance, in Unix seconds."""
        return self.reset if self.remaining == 0 else self.second_reset

    def headers(self, switches: Switches) -> dict[str, str]:
        """Return what the API tells about the budget in its headers."""
        told: dict[str, str] = {}
        if switches.rate_headers != "none":
            told["x-per-minute-limit"] = str(self.limit)
            told["x-per-minute-remaining"] = str(self.remaining)
            if switches.reset_header:
                told["x-per-minute-reset"] = str(self.reset)
        if switches.rate_headers == "minute+second" and self.second_limit is not None:
            told["x-per-second-limit"] = str(self.second_limit)
            told["x-per-second-remaining"] = str(self.second_remaining)
            if switches.reset_header:
                told["x-per-second-reset"] = str(self.second_reset)
        if not self.allowed and switches.retry_after == "seconds":
            told["Retry-After"] = str(max(1, math.ceil(self.reopens - self.now.timestamp())))
        if not self.allowed and switches.retry_after == "date":
            told["Retry-After"] = format_datetime(datetime.fromtimestamp(self.reopens, UTC), usegmt=True)
        return told


@dataclass(slots=True)
class _Window:
    number: int = -1
    used: int = 0

    def used_in(self, number: int) -> int:
        if number != self.number:
            self.number, self.used = number, 0
        return self.used


class Budgets:
    """The budgets of all apps. The windows begin with the minutes and seconds of a clock.

    :param clock: the rate clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, tuple[int, int | None]] = {}
        self._minutes: dict[str, _Window] = {}
        self._seconds: dict[str, _Window] = {}
        self._closed_until: datetime | None = None

    def set_limit(self, app: App, *, per_minute: int | None = None, per_second: int | None = None) -> None:
        """Change the budget of an app from its next request on.

        :param per_minute: requests per minute; left out, it stays as it is.
        :param per_second: requests per second; left out, it stays as it is, and 0 takes the limit away.
        :raises ValueError: a limit is negative, or there would be no request at all per minute.
        """
        if (per_minute is not None and per_minute < 1) or (per_second is not None and per_second < 0):
            raise ValueError("a budget is at least 1 request per minute, and 0 (no limit) or more per second")
        with self._lock:
            minute, second = self._limit(app)
            if per_second is not None:
                second = per_second or None
            self._limits[app.consumer_key] = (minute if per_minute is None else per_minute, second)

    def close(self, until: datetime | None) -> None:
        """Refuse every request until an instant, as at the cap of a whole period; ``None`` opens again.

        No source describes such a cap of the Engagement API. It is here so that very long waits can be rehearsed.
        """
        with self._lock:
            self._closed_until = until

    def reset(self) -> None:
        """Return to the limits of the apps, with nothing used."""
        with self._lock:
            self._limits.clear()
            self._minutes.clear()
            self._seconds.clear()
            self._closed_until = None

    def limit(self, app: App) -> tuple[int, int | None]:
        """Return an app's requests per minute and per second."""
        with self._lock:
            return self._limit(app)

    def spend(self, app: App) -> Standing:
        """Take one request off an app's budget, if there is one left. A refused request costs nothing."""
        with self._lock:
            now = self._clock.now()
            seconds = math.floor(now.timestamp())
            per_minute, per_second = self._limit(app)
            minute = self._minutes.setdefault(app.consumer_key, _Window())
            second = self._seconds.setdefault(app.consumer_key, _Window())
            left_minute = per_minute - minute.used_in(seconds // 60)
            left_second = 1 if per_second is None else per_second - second.used_in(seconds)
            closed = self._closed_until is not None and now < self._closed_until
            allowed = left_minute > 0 and left_second > 0 and not closed
            if allowed:
                minute.used += 1
                second.used += 1
            reset = (seconds // 60 + 1) * 60
            if closed and self._closed_until is not None:
                reset = math.ceil(self._closed_until.timestamp())
            return Standing(
                allowed=allowed,
                limit=per_minute,
                remaining=0 if closed else max(0, left_minute - allowed),
                reset=reset,
                second_limit=per_second,
                second_remaining=max(0, left_second - allowed),
                second_reset=seconds + 1,
                now=now,
            )

    def _limit(self, app: App) -> tuple[int, int | None]:
        return self._limits.get(app.consumer_key, (app.requests_per_minute, app.requests_per_second))
