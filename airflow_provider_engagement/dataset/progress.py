"""How far a pull is, and when to say so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MIN_SECONDS = 10.0
"""Progress is reported at most this often."""

MAX_SECONDS = 60.0
"""Progress is reported at least this often, if a request has ended since."""

STEP = 0.05
"""Between these times, progress is reported after each step of this share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a pull is.

    :param planned: how many requests the pull needs.
    :param succeeded: how many of them got a response in this attempt.
    :param reused: how many were not sent, because their responses were stored.
    :param failed: how many failed.
    :param requests_per_minute: the quota, if known.
    """

    planned: int
    succeeded: int
    reused: int
    failed: int
    requests_per_minute: int | None = None

    @property
    def done(self) -> int:
        """How many requests are done."""
        return self.succeeded + self.reused + self.failed

    @property
    def share(self) -> float:
        """The share of the requests that are done, from 0 to 1."""
        return self.done / self.planned if self.planned else 1.0

    @property
    def minutes_left(self) -> int | None:
        """How many minutes the other requests take at the quota, rounded up; ``None`` if the quota is unknown."""
        if self.requests_per_minute is None:
            return None
        return math.ceil((self.planned - self.done) / self.requests_per_minute)

    def __str__(self) -> str:
        left = self.planned - self.done
        time = (
            ""
            if self.minutes_left is None
            else f", about {self.minutes_left} min at {self.requests_per_minute} a minute"
        )
        return (
            f"{self.share:.0%} done: {self.done} of {self.planned} requests ({self.succeeded} succeeded, {self.reused} "
            f"reused, {self.failed} failed). {left} left{time}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the progress as JSON-compatible values."""
        return {
            "planned": self.planned,
            "succeeded": self.succeeded,
            "reused": self.reused,
            "failed": self.failed,
            "done": self.done,
            "share": round(self.share, 4),
            "requests_per_minute": self.requests_per_minute,
            "minutes_left": self.minutes_left,
        }


ReportProgress = Callable[[Progress], None]


class ProgressSteps:
    """Decides when to report progress.

    :param report: is called with the progress.
    :param clock: a monotonic clock in seconds.
    """

    def __init__(self, report: ReportProgress, clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._reported_at = clock()
        self._reported_share = 0.0

    def update(self, progress: Progress) -> None:
        """Report the progress if a sensible step has been made since the last report."""
        now = self._clock()
        seconds = now - self._reported_at
        if seconds >= MAX_SECONDS or (seconds >= MIN_SECONDS and progress.share - self._reported_share >= STEP):
            self._reported_at = now
            self._reported_share = progress.share
            self._report(progress)
