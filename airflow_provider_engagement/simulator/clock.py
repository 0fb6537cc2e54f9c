"""A clock that tests can stop, set and move on."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time in UTC: the real time, a fixed instant, or a time shifted against the real one.

    :param at: the instant to stand still at; left out, the clock shows the real time.
    :raises ValueError: ``at`` has no time zone.
    """

    def __init__(self, at: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._initial = None if at is None else _utc(at)
        self._fixed = self._initial
        self._shift = timedelta()

    def now(self) -> datetime:
        """Return the time the clock shows, aware and in UTC."""
        with self._lock:
            return self._now()

    def set(self, at: datetime, *, running: bool = False) -> None:
        """Put the clock to an instant.

        :param at: an aware instant.
        :param running: let the clock run on from there; by default it stands still.
        """
        moment = _utc(at)
        with self._lock:
            self._fixed = None if running else moment
            self._shift = moment - datetime.now(UTC) if running else timedelta()

    def advance(self, by: timedelta) -> None:
        """Move the clock on, whether it stands still or runs; a negative duration moves it back."""
        with self._lock:
            if self._fixed is None:
                self._shift += by
            else:
                self._fixed += by

    def freeze(self) -> datetime:
        """Stop the clock where it is, and return that instant."""
        with self._lock:
            self._fixed = self._now()
            return self._fixed

    def reset(self) -> None:
        """Return to what the clock showed when it was made: the given instant, or the real time."""
        with self._lock:
            self._fixed = self._initial
            self._shift = timedelta()

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._shift if self._fixed is None else self._fixed


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give an aware datetime, as with tzinfo=UTC")
    return moment.astimezone(UTC)
