"""Decide when the next request may be sent. Pure: no clock, no sleep, no I/O.

Times are epoch seconds of the caller's clock, durations are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from airflow_provider_engagement.http.limits.contention import Contention
from airflow_provider_engagement.http.limits.headers import (
    MARGIN,
    ExceededLimit,
    RateHeaders,
    exceeded_limit,
    wait_after_429,
)
from airflow_provider_engagement.http.limits.request_log import RequestLog
from airflow_provider_engagement.http.limits.server_window import ServerWindow

#: The period of the caller's own limit, and of the server's unless it is told.
MINUTE: Final = 60.0

#: The shortest time until the next check while a response is awaited. It grows with the wait, up to a second.
PAUSE: Final = 0.05
#: Clocks that differ by more deserve a warning.
LARGE_SKEW: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimitSnapshot:
    """The state of a rate limit at one time: to report, to decide on, and to resume from.

    :param observed_at: the time.
    :param limit: requests in a window of the server, if known.
    :param remaining: requests that remain, without those in flight, if known.
    :param resets_at: when ``remaining`` resets, at the latest, if known.
    :param held_until: until when nothing is sent because of HTTP 429, if so.
    :param second_limit: requests per second, if known.
    :param sent: requests of this client in the last window.
    :param skew_seconds: how far the server's clock is ahead of the caller's.
    :param contention: requests of other clients for each request of this client, if known.
    """

    observed_at: float
    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    held_until: float | None = None
    second_limit: int | None = None
    sent: int = 0
    skew_seconds: float = 0.0
    contention: float | None = None

    def remaining_at(self, time: float) -> int | None:
        """Return how many requests remain at a later time if nobody sends any; ``None`` if unknown."""
        if self.held_until is not None and time < self.held_until:
            return 0
        return self.remaining if self.resets_at is None or time < self.resets_at else self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as JSON-compatible values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the snapshot that :meth:`to_dict` was called on. Unknown keys are ignored."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


class RateLimit:
    """Decides when the next request may be sent. Not thread-safe: the caller holds a lock.

    Report the result of every request that :meth:`acquire` allows, by :meth:`responded`, :meth:`rate_limited` or
    :meth:`failed`. The rules:

    * If the headers state limit, remaining, reset and Date, they describe a window of the server. All that remains of
      it is used, except for the requests in flight, which the headers may not include.
    * If some of these are missing or absurd, at most ``limit`` requests are sent in any period as long as a window,
      including those of other clients that ``remaining`` shows.
    * If the limit is unknown too, requests are not held back.
    * The first request of all, and the first after HTTP 429, is sent alone; the others wait for its response. A new
      window starts with as many requests as remained in the last one, and at least one. More are sent only after a
      response has described the new window.
    * Other clients may use the same quota: see
      :class:`~airflow_provider_engagement.http.limits.contention.Contention`. Until two responses have been
      compared, one request is in flight at a time. Without other clients, there is no effect.

    :param requests_per_minute: the caller's own limit: at most this many of its requests are sent in any 60 seconds.
    :param quota_share: the share of the quota to use, above 0 and up to 1. The rest of each window is left.
    :param window_seconds: how long the windows are in which the server counts requests.
    :raises ValueError: if a parameter is out of range.
    """

    def __init__(
        self, *, requests_per_minute: int | None = None, quota_share: float = 1.0, window_seconds: float = MINUTE
    ) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ValueError(f"requests_per_minute: {requests_per_minute} is less than 1. Pass 1 or more.")
        if not 0 < quota_share <= 1:
            raise ValueError(f"quota_share: {quota_share} is out of range. Pass a number above 0 and up to 1.")
        self._own_limit, self._quota_share, self._window_seconds = requests_per_minute, quota_share, window_seconds
        self._limit: int | None = None
        self._second_limit: int | None = None
        self._window: ServerWindow | None = None
        self._last_reset_at = 0.0  # identifies the last window that ended
        self._opening: int | None = 1  # how many may be in flight until a response describes the window
        self._in_flight = 0
        self._own = RequestLog()  # this client's requests
        self._others = RequestLog()  # requests of other clients, when they became known; only without a window
        self._uncounted = RequestLog()  # requests that responses in flight may not include
        self._contention = Contention()
        self._held_until = 0.0
        self._rate_limited_in_a_row = 0
        self._sent_at = 0.0
        self._now = 0.0
        self._skew = 0.0

    @classmethod
    def resume(
        cls,
        snapshot: RateLimitSnapshot,
        *,
        now: float,
        requests_per_minute: int | None = None,
        quota_share: float = 1.0,
        window_seconds: float = MINUTE,
    ) -> Self:
        """Return a rate limit that starts with what an earlier one of the same quota knew.

        :param snapshot: the snapshot of the earlier rate limit.
        :param now: the current time.
        :param requests_per_minute: as for a new rate limit.
        :param quota_share: as for a new rate limit.
        :param window_seconds: as for a new rate limit.
        """
        self = cls(requests_per_minute=requests_per_minute, quota_share=quota_share, window_seconds=window_seconds)
        self._now = snapshot.observed_at
        self._limit, self._second_limit = snapshot.limit, snapshot.second_limit
        self._skew, self._contention = snapshot.skew_seconds, Contention(snapshot.contention)
        self._own.add(snapshot.observed_at, snapshot.sent)
        if snapshot.held_until is not None:
            self._held_until, self._rate_limited_in_a_row = snapshot.held_until, 1
        elif snapshot.limit is not None and snapshot.remaining is not None and snapshot.resets_at is not None:
            self._window = ServerWindow(
                reset_at=0.0, limit=snapshot.limit, remaining=snapshot.remaining, ends_at=snapshot.resets_at
            )
            self._opening = None
        self._advance(now)
        return self

    @property
    def skew_seconds(self) -> float:
        """How far the server's clock is ahead of the caller's; 0.0 below 1.5 s, which ``Date`` cannot resolve."""
        return self._skew

    @property
    def has_large_skew(self) -> bool:
        """Whether the clocks differ by more than a minute. No decision depends on it, but it deserves a warning."""
        return abs(self._skew) > LARGE_SKEW

    def acquire(self, now: float) -> float:
        """Request permission to send.

        :param now: the current time.
        :return: 0.0 if the request may be sent, and is counted as in flight; otherwise the time of the next check.
        """
        self._advance(now)
        times = [self._held_until] if now < self._held_until else []
        # A request in flight takes a place only until its response arrives: check soon, later the longer it takes.
        soon = now + min(max(PAUSE, (now - self._sent_at) / 4), 1.0)
        times += [
            renews_at if at_most <= 0 else soon for at_most, renews_at in self._rules(now) if at_most <= self._in_flight
        ]
        if times:
            return max(*times, now + PAUSE)
        if not self._in_flight:
            self._uncounted.clear()  # the server counts them before the request that is sent now
        self._in_flight += 1
        self._sent_at = now
        return 0.0

    def responded(self, headers: RateHeaders, *, now: float) -> None:
        """Record a response with any status but 429.

        :param headers: the headers of the response.
        :param now: when it arrived.
        """
        self._finish(headers, now)
        if now < self._held_until:
            return  # A 429 overtook this response. Only a request that is sent after the hold describes the new state.
        self._rate_limited_in_a_row = 0
        window = ServerWindow.from_headers(headers, window_seconds=self._window_seconds, now=now)
        if window is None:
            self._opening = None
            self._spend(headers.remaining)
            if self._window is None and headers.remaining is not None and self._limit is not None:
                known = len(self._own) + len(self._others) + self._in_flight
                self._others.add(self._now, self._limit - headers.remaining - known)
        elif window.reset_at > self._last_reset_at:
            self._opening = None
            self._observe(window)
            window = replace(window, remaining=window.remaining - len(self._uncounted))
            self._window = window if self._window is None else self._window.merge(window)
            self._others.clear()

    def rate_limited(self, headers: RateHeaders, *, now: float) -> ExceededLimit:
        """Record HTTP 429: nothing is sent until the limit resets, and then one request alone.

        :param headers: the headers of the response.
        :param now: when it arrived.
        :return: which limit was exceeded. Waiting does not help for a period; :meth:`snapshot` has its end.
        """
        self._finish(headers, now)
        if now >= self._held_until:  # otherwise it was in flight together with the previous one
            self._rate_limited_in_a_row += 1
        if (window := ServerWindow.from_headers(headers, window_seconds=self._window_seconds, now=now)) is not None:
            self._observe(window)
        wait = wait_after_429(
            headers, window_seconds=self._window_seconds, now=now, in_a_row=self._rate_limited_in_a_row
        )
        self._held_until = max(self._held_until, now + wait)
        self._window, self._last_reset_at, self._opening = None, 0.0, 1
        return exceeded_limit(headers, now=now)

    def failed(self, now: float) -> None:
        """Record that there is no response. The server may have counted the request, so it counts as sent.

        :param now: when the request failed.
        """
        self._finish(RateHeaders(), now)
        self._spend(None)
        if self._limit is not None and not self._rate_limited_in_a_row:
            # It may have been the only request that a small limit allows: go on by the requests of the last window.
            self._opening = None

    def snapshot(self, now: float) -> RateLimitSnapshot:
        """Return the current state.

        :param now: the current time.
        """
        self._advance(now)
        remaining, resets_at = None, None
        if self._window is not None:
            remaining, resets_at = self._window.remaining - self._in_flight, self._window.ends_at
        elif self._limit is not None and self._opening is None:
            used = self._own + self._others
            remaining = self._limit - len(used) - self._in_flight
            resets_at = (now if self._in_flight or used.last is None else used.last) + self._window_seconds + MARGIN
        return RateLimitSnapshot(
            observed_at=now,
            limit=self._limit,
            remaining=None if remaining is None else max(0, remaining),
            resets_at=resets_at,
            held_until=self._held_until if now < self._held_until else None,
            second_limit=self._second_limit,
            sent=len(self._own) + self._in_flight,
            skew_seconds=self._skew,
            contention=self._contention.mean,
        )

    def _rules(self, now: float) -> Iterator[tuple[int, float]]:
        """Yield, for each rule in force, how many requests may be in flight, and when that renews if none may."""
        if self._opening is not None:
            yield self._opening, now
        elif self._window is not None:
            yield self._max_in_flight(self._window), self._window.ends_at
        elif self._limit is not None:
            allowed = max(1, self._limit - self._reserve(self._limit))
            yield (self._own + self._others).room(allowed, self._window_seconds, now)
        if self._own_limit is not None:
            yield self._own.room(self._own_limit, MINUTE, now)
        if self._second_limit:
            yield self._own.room(self._second_limit, 1.0, now)

    def _max_in_flight(self, window: ServerWindow) -> int:
        return self._contention.max_in_flight(window.remaining - self._reserve(window.limit))

    def _reserve(self, limit: int) -> int:
        """Return how many requests of a window to leave. At least one is always allowed."""
        return limit - max(1, math.floor(limit * self._quota_share + 1e-9)) if limit else 0

    def _observe(self, window: ServerWindow) -> None:
        used = window.limit - window.remaining
        self._contention.update(window=window.reset_at, used=used, in_flight=self._in_flight)

    def _finish(self, headers: RateHeaders, now: float) -> None:
        """Record that a request is no longer in flight, and what its headers state whatever the status."""
        self._advance(now)
        self._in_flight = max(0, self._in_flight - 1)
        self._own.add(self._now)
        self._contention.count_finished()
        self._limit = self._limit if headers.limit is None else headers.limit
        self._second_limit = self._second_limit if headers.second_limit is None else headers.second_limit
        if headers.server_time is not None:
            skew = headers.server_time - now
            self._skew = skew if abs(skew) >= 1.5 else 0.0

    def _spend(self, remaining: int | None) -> None:
        """Lower what remains of the window, if one is known: to what incomplete headers state, otherwise by one."""
        if self._window is not None:
            left = self._window.remaining
            left = left - 1 if remaining is None else min(left, remaining - len(self._uncounted))
            self._window = replace(self._window, remaining=left)
        self._uncounted.add(self._now)

    def _advance(self, now: float) -> None:
        """Go on to a time: end the window, and forget old requests. If the clock was set back, shift every time."""
        if (step := now - self._now) < -1.0:
            for log in (self._own, self._others, self._uncounted):
                log.shift(step)
            self._held_until += step
            self._sent_at += step
            if self._window is not None:
                self._window = self._window.shift(step)
        self._now = now if step < -1.0 else max(now, self._now)  # threads may call in the wrong order
        for log in (self._own, self._others, self._uncounted):
            log.forget(max(self._window_seconds, MINUTE), now)
        if self._window is not None and now >= self._window.ends_at:
            self._last_reset_at, self._opening = self._window.reset_at, max(1, self._max_in_flight(self._window))
            self._window = None
