"""A clock that tests can stop, set and advance."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock in UTC that shows the real time, a fixed time, or the real time plus a shift.

    :param at: the time at which the clock stands still; by default it shows the real time.
    :raises ValueError: ``at`` has no time zone.
    """

    def __init__(self, at: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._initial = None if at is None else _utc(at)
        self._fixed = self._initial
        self._shift = timedelta()

    def now(self) -> datetime:
        """Return the time the clock shows, in UTC."""
        with self._lock:
            return self._now()

    def set(self, at: datetime, *, running: bool = False) -> None:
        """Set the clock.

        :param at: the time, with a time zone.
        :param running: let the clock run from there; by default it stands still.
        """
        time = _utc(at)
        with self._lock:
            self._fixed = None if running else time
            self._shift = time - datetime.now(UTC) if running else timedelta()

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, whether it runs or stands still.

        :param by: how far; a negative duration moves it back.
        """
        with self._lock:
            if self._fixed is None:
                self._shift += by
            else:
                self._fixed += by

    def freeze(self) -> datetime:
        """Stop the clock and return the time it shows."""
        with self._lock:
            self._fixed = self._now()
            return self._fixed

    def reset(self) -> None:
        """Return to the initial state: the time given to the constructor, or the real time."""
        with self._lock:
            self._fixed = self._initial
            self._shift = timedelta()

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._shift if self._fixed is None else self._fixed


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone. Give an aware datetime, for example with tzinfo=UTC.")
    return time.astimezone(UTC)
