"""The progress of a pull, and when it is reported."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from airflow_provider_engagement.quantities import counted

PROGRESS_KEY = "engagement_progress"
"""The key of a pull's progress in the state that Airflow keeps of the task since 3.3."""

MIN_SECONDS = 10.0
"""Progress is reported at most this often."""

MAX_SECONDS = 60.0
"""Progress is reported at least this often, if a request has ended since."""

STEP = 0.05
"""Between these times, progress is reported after each step of this share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """The progress of a pull.

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
        if not self.requests_per_minute:
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
            f"{self.share:.0%} done: {self.done:,} of {counted(self.planned, 'request')} "
            f"({self.succeeded:,} succeeded, {self.reused:,} reused, {self.failed:,} failed). {left:,} left{time}."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressRecord:
    """What the state of a task says of its pull.

    :param progress: the progress of the pull.
    :param recorded_at: when that was recorded, aware.
    :param waits_until: until when the pull waits for the rate limit, aware, if it does.
    """

    progress: Progress
    recorded_at: datetime
    waits_until: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-compatible values."""
        return {
            **asdict(self.progress),
            "recorded_at": self.recorded_at.isoformat(timespec="seconds"),
            "waits_until": None if self.waits_until is None else self.waits_until.isoformat(timespec="seconds"),
        }

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Return the record that :meth:`to_dict` was called on.

        :param values: the values, which can come from another program.
        :raises ValueError: if they are no record.
        """
        if not isinstance(values, Mapping):
            raise ValueError("The progress is no mapping.")
        waits_until = values.get("waits_until")
        quota = values.get("requests_per_minute")
        return cls(
            progress=Progress(
                **{name: _count(values.get(name)) for name in ("planned", "succeeded", "reused", "failed")},
                requests_per_minute=None if quota is None else _count(quota),
            ),
            recorded_at=_aware(values.get("recorded_at")),
            waits_until=None if waits_until is None else _aware(waits_until),
        )


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("A number of the progress is no number of requests.")


def _aware(text: object) -> datetime:
    time = datetime.fromisoformat(text) if isinstance(text, str) else None
    if time is None or time.tzinfo is None:
        raise ValueError("A time of the progress is no time with a time zone.")
    return time


ReportProgress = Callable[[Progress], None]


class ProgressSteps:
    """Decides when to report progress.

    :param report: is called with the progress.
    :param clock: a monotonic clock in seconds.
    """

    def __init__(self, report: ReportProgress, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._reported_at = clock()
        self._reported_share = 0.0

    def update(self, progress: Progress) -> None:
        """Report the progress if it is due: after enough time or enough requests since the last report."""
        now = self._clock()
        seconds = now - self._reported_at
        if seconds >= MAX_SECONDS or (seconds >= MIN_SECONDS and progress.share - self._reported_share >= STEP):
            self._reported_at = now
            self._reported_share = progress.share
            self._report(progress)
