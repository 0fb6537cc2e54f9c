"""The quota of each app: fixed windows of a minute and, where the contract has one, of a second."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.entities import App
from airflow_provider_engagement.simulator.switches import Switches


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaState:
    """The quota of an app after a request.

    :param allowed: whether the request was within the quota.
    :param limit: requests per minute.
    :param remaining: requests left in this minute.
    :param reset: when the next minute begins, in Unix seconds.
    :param second_limit: requests per second; ``None`` for no limit.
    :param second_remaining: requests left in this second.
    :param second_reset: when the next second begins, in Unix seconds.
    :param now: when the request arrived.
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
    def available_at(self) -> int:
        """When the quota allows the next request, in Unix seconds."""
        return self.reset if self.remaining == 0 else self.second_reset

    def headers(self, switches: Switches) -> dict[str, str]:
        """Return the rate limit headers of the response.

        :param switches: which headers the API sends.
        """
        headers: dict[str, str] = {}
        if switches.rate_headers != "none":
            headers["x-per-minute-limit"] = str(self.limit)
            headers["x-per-minute-remaining"] = str(self.remaining)
            if switches.reset_header:
                headers["x-per-minute-reset"] = str(self.reset)
        if switches.rate_headers == "minute+second" and self.second_limit is not None:
            headers["x-per-second-limit"] = str(self.second_limit)
            headers["x-per-second-remaining"] = str(self.second_remaining)
            if switches.reset_header:
                headers["x-per-second-reset"] = str(self.second_reset)
        if not self.allowed and switches.retry_after == "seconds":
            headers["Retry-After"] = str(max(1, math.ceil(self.available_at - self.now.timestamp())))
        if not self.allowed and switches.retry_after == "date":
            headers["Retry-After"] = format_datetime(datetime.fromtimestamp(self.available_at, UTC), usegmt=True)
        return headers


@dataclass(slots=True)
class _FixedWindow:
    number: int = -1
    used: int = 0

    def used_in(self, number: int) -> int:
        if number != self.number:
            self.number, self.used = number, 0
        return self.used


class Quotas:
    """The quotas of all apps. Their windows begin with the minutes and seconds of a clock.

    :param clock: the rate clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, tuple[int, int | None]] = {}
        self._minutes: dict[tuple[str, ...], _FixedWindow] = {}
        self._seconds: dict[tuple[str, ...], _FixedWindow] = {}
        self._closed_until: datetime | None = None

    def set_limit(self, app: App, *, per_minute: int | None = None, per_second: int | None = None) -> None:
        """Change the quota of an app, from its next request on.

        :param app: the app.
        :param per_minute: requests per minute; ``None`` keeps the present limit.
        :param per_second: requests per second; ``None`` keeps the present limit, and 0 removes it.
        :raises ValueError: ``per_minute`` is below 1, or ``per_second`` is negative.
        """
        if per_minute is not None and per_minute < 1:
            raise ValueError(f"per_minute: {per_minute} is too low. Give at least 1 request per minute.")
        if per_second is not None and per_second < 0:
            raise ValueError(f"per_second: {per_second} is negative. Give 0 for no limit, or a positive number.")
        with self._lock:
            minute, second = self._limit(app)
            if per_second is not None:
                second = per_second or None
            self._limits[app.consumer_key] = (minute if per_minute is None else per_minute, second)

    def close(self, until: datetime | None) -> None:
        """Rate-limit every request until a given time, like a cap on requests per month.

        No source describes such a cap of the Engagement API. It lets tests rehearse very long waits.

        :param until: when requests are allowed again; ``None`` allows them at once.
        """
        with self._lock:
            self._closed_until = until

    def reset(self) -> None:
        """Return to the limits of the apps, with no request used."""
        with self._lock:
            self._limits.clear()
            self._minutes.clear()
            self._seconds.clear()
            self._closed_until = None

    def limit(self, app: App) -> tuple[int, int | None]:
        """Return an app's requests per minute and per second."""
        with self._lock:
            return self._limit(app)

    def spend(self, app: App, *part: str) -> QuotaState:
        """Count one request of an app, if its quota allows it. A rate-limited request is not counted.

        :param app: the app.
        :param part: what the request belongs to, if the app has several quotas of the same size.
        """
        return self._state(app, part, number=1)

    def state(self, app: App, *part: str) -> QuotaState:
        """Return the quota of an app without counting a request."""
        return self._state(app, part, number=0)

    def _state(self, app: App, part: tuple[str, ...], *, number: int) -> QuotaState:
        with self._lock:
            now = self._clock.now()
            seconds = math.floor(now.timestamp())
            per_minute, per_second = self._limit(app)
            minute = self._minutes.setdefault((app.consumer_key, *part), _FixedWindow())
            second = self._seconds.setdefault((app.consumer_key, *part), _FixedWindow())
            left_minute = per_minute - minute.used_in(seconds // 60)
            left_second = 1 if per_second is None else per_second - second.used_in(seconds)
            reset = (seconds // 60 + 1) * 60
            if self._closed_until is not None and now < self._closed_until:
                left_minute = 0
                reset = math.ceil(self._closed_until.timestamp())
            allowed = left_minute > 0 and left_second > 0
            if allowed:
                minute.used += number
                second.used += number
            return QuotaState(
                allowed=allowed,
                limit=per_minute,
                remaining=max(0, left_minute - number * allowed),
                reset=reset,
                second_limit=per_second,
                second_remaining=max(0, left_second - number * allowed),
                second_reset=seconds + 1,
                now=now,
            )

    def _limit(self, app: App) -> tuple[int, int | None]:
        return self._limits.get(app.consumer_key, (app.requests_per_minute, app.requests_per_second))
