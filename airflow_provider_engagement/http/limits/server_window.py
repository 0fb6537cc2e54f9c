"""The window in which a server counts requests, as the headers of a response state it. Pure: no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from airflow_provider_engagement.http.limits.headers import MARGIN, RateHeaders


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerWindow:
    """A window of the server.

    :param reset_at: when it ends by the server's clock, which identifies it.
    :param limit: requests in a window.
    :param remaining: requests that remain.
    :param ends_at: when it ends by the caller's clock.
    """

    reset_at: float
    limit: int
    remaining: int
    ends_at: float

    @classmethod
    def from_headers(cls, headers: RateHeaders, *, window_seconds: float, now: float) -> Self | None:
        """Return the window that headers describe; ``None`` if they lack something."""
        left = headers.seconds_left(window_seconds)
        if headers.limit is None or headers.remaining is None or headers.reset_at is None or left is None:
            return None
        return cls(
            reset_at=headers.reset_at, limit=headers.limit, remaining=headers.remaining, ends_at=now + left + MARGIN
        )

    def merge(self, other: Self) -> Self:
        """Return the later window; of the same window the smallest values, since responses may arrive out of order."""
        if other.reset_at != self.reset_at:
            return max(self, other, key=lambda window: window.reset_at)
        smallest = {name: min(getattr(self, name), getattr(other, name)) for name in ("limit", "remaining", "ends_at")}
        return replace(self, **smallest)

    def shift(self, seconds: float) -> Self:
        """Return the window after the caller's clock was set."""
        return replace(self, ends_at=self.ends_at + seconds)
