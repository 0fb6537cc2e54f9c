"""What of a dataset a report shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.catalogue import METRICS
from airflow_provider_engagement.engagement_api.time_range import TimeRange, floor_to_hour
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.tables.days import local_day
from airflow_provider_engagement.tables.granularity import Granularity

DEFAULT_METRICS = ("impressions", "engagements", "favorites", "retweets", "replies")
STEPS = (Granularity.HOUR, Granularity.DAY)

MAX_PERIODS = 10_000
"""How many hours or days a figure shows at most: a year of hours, or 27 years of days."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What of a dataset is shown.

    :param interval: the hours.
    :param metrics: the metrics, in order.
    :param step: the length of a period of the series: an hour or a day.
    :param source: the granularity of the rows that are read: hours, or days of the zone.
    :param zone: the time zone of days, hours of day and times.
    :param tweet_ids: the Tweets; all if empty.
    :param auth: the kind of credentials of the snapshots of totals; all kinds if not set.
    :param snapshot_at: the only snapshot whose totals are ranked; the newest total of each Tweet if not set.
    :raises InvalidQueryError: if a value is not possible.
    """

    interval: TimeRange
    metrics: tuple[str, ...] = DEFAULT_METRICS
    step: Granularity = Granularity.DAY
    source: Granularity = Granularity.HOUR
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    tweet_ids: Sequence[str] = ()
    auth: str | None = None
    snapshot_at: datetime | None = None

    def __post_init__(self) -> None:
        check_metrics(self.metrics)
        if self.step not in STEPS:
            raise InvalidQueryError("granularity", f"'{self.step}' is not a step of a series", "Use hour or day.")
        periods = self.interval.hours // (1 if self.step is Granularity.HOUR else 24)
        if periods > MAX_PERIODS:
            raise InvalidQueryError(
                "start",
                f"the interval has {periods:,} {self.step}s, and a figure shows at most {MAX_PERIODS:,}",
                "Choose a shorter interval, or days instead of hours.",
            )
        if self.step is Granularity.HOUR and self.source is Granularity.DAY:
            raise InvalidQueryError(
                "granularity", "the dataset has no hours in this interval", "Use day, or pull with granularity hour."
            )

    @property
    def previous(self) -> TimeRange:
        """The interval before, which is as long."""
        return TimeRange(self.interval.start - (self.interval.end - self.interval.start), self.interval.start)


def check_metrics(metrics: Iterable[str]) -> None:
    """Reject names that are no metrics, since they become names of columns, and names that are listed twice.

    :raises InvalidQueryError: with the first such name, or if there is none.
    """
    names = list(metrics)
    for name in names:
        if name not in METRICS:
            raise InvalidQueryError("metrics", f"{name!r:.60} is not a metric", f"Choose from {', '.join(METRICS)}.")
    for name, number in Counter(names).items():
        if number > 1:
            raise InvalidQueryError("metrics", f"{name} is listed {number} times", "List each metric once.")
    if not names:
        raise InvalidQueryError("metrics", "no metric is chosen", "Choose one or more.")


def periods_of(interval: TimeRange, step: Granularity, zone: ZoneInfo) -> list[datetime]:
    """Return the start of each period of an interval, in UTC.

    :param interval: the interval. The first period can start before it.
    :param step: hours, or days of the zone.
    :param zone: the time zone of the days.
    """
    starts = []
    time = interval.start if step is Granularity.HOUR else local_day(interval.start, zone)[0]
    while time < interval.end:
        starts.append(time)
        time = time + timedelta(hours=1) if step is Granularity.HOUR else local_day(time, zone)[1]
    return starts


def period_of(time: datetime, step: Granularity, zone: ZoneInfo) -> datetime:
    """Return the start of the period that a time belongs to, in UTC."""
    return floor_to_hour(time) if step is Granularity.HOUR else local_day(time, zone)[0]
