"""Time ranges that the API accepts: half-open, in whole hours, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_engagement.engagement_api.catalogue import HISTORY_MAX_AGE, HISTORY_START
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.http.redaction import describe_value
from airflow_provider_engagement.tweet_id import created_at

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""The times between which all times of Tweets and pulls are. Arithmetic with them does not leave the calendar."""


@dataclass(frozen=True, order=True, slots=True)
class TimeRange:
    """A half-open range of whole hours: it includes ``start`` and excludes ``end``.

    The API rounds an unaligned start down and an unaligned end up, so two neighboring ranges would both count the hour
    between them (reference, "Start and End Date"). For this reason an unaligned range is an error.

    :param start: first hour, aware.
    :param end: end of the last hour, aware.
    :raises InvalidQueryError: if an edge is not a time with a time zone or not a whole hour, or if the range is empty.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for edge in ("start", "end"):
            time = getattr(self, edge)
            if not isinstance(time, datetime):
                raise InvalidQueryError(edge, f"{describe_value(time)} is not a datetime", "Pass an aware datetime.")
            if time.tzinfo is None:
                raise InvalidQueryError(edge, f"{time.isoformat()} has no time zone", "Pass an aware time.")
            time = time.astimezone(UTC)
            if time != floor_to_hour(time):
                raise InvalidQueryError(edge, f"{time.isoformat()} is not a whole hour", "Round it to an hour.")
            # pendulum's subclass loses its time zone in arithmetic.
            object.__setattr__(self, edge, datetime.combine(time.date(), time.time(), UTC))
        if self.start >= self.end:
            raise InvalidQueryError(
                "start", f"{self.start.isoformat()} is not before end, {self.end.isoformat()}", "Pass an earlier start."
            )

    @property
    def hours(self) -> int:
        """Length in hours."""
        return (self.end - self.start) // HOUR

    def intersection(self, other: TimeRange) -> TimeRange | None:
        """Return the hours in both ranges, if any."""
        return time_range_or_none(max(self.start, other.start), min(self.end, other.end))

    def difference(self, other: TimeRange) -> list[TimeRange]:
        """Return the hours that are not in another range: no, one or two ranges in order of time."""
        before = time_range_or_none(self.start, min(self.end, other.start))
        after = time_range_or_none(max(self.start, other.end), self.end)
        return [rest for rest in (before, after) if rest is not None]


def time_range_or_none(start: datetime, end: datetime) -> TimeRange | None:
    """Return the range between two whole hours, or ``None`` if it is empty."""
    return TimeRange(start, end) if start < end else None


def oldest_available_hour(now: datetime, max_age: timedelta | None = HISTORY_MAX_AGE) -> datetime:
    """Return the oldest hour that ``historical`` can return.

    The result is later than ``now - max_age``, never equal, because a request leaves shortly after it is planned.

    :param now: the current time, aware.
    :param max_age: how old an hour can be; ``None`` for the older documented limit, 2014-09-01.
    """
    if max_age is None:
        return HISTORY_START
    return max(HISTORY_START, floor_to_hour(now.astimezone(UTC) - max_age) + HOUR)


def range_after_post(tweet_id: str, *, days: int, period: int = 1) -> TimeRange:
    """Return the first days after a Tweet was posted, counted from the hour of its creation.

    :param tweet_id: the Tweet.
    :param days: the number of days, each of 24 hours.
    :param period: 1 for the first ``days`` days, 2 for the ``days`` days that follow, and so on.
    :raises InvalidQueryError: if a number is less than 1, or if the id is older than 2010-11-04 and has no time.
    """
    for field, number in (("days", days), ("period", period)):
        if number < 1:
            raise InvalidQueryError(field, f"{number} is less than 1", "Pass 1 or more.")
    created = created_at(tweet_id)
    if created is None:
        raise InvalidQueryError(
            "tweets",
            f"{tweet_id} was posted before 2010-11-04, so its id does not contain the time of its creation",
            "Leave it out, or request it with start and end.",
        )
    length = days * DAY
    start = floor_to_hour(created) + (period - 1) * length
    return TimeRange(start, start + length)


def whole_days_within(start: datetime, end: datetime) -> TimeRange | None:
    """Return the whole UTC days between two aware times, if any."""
    first = floor_to_day(start)
    return time_range_or_none(first if first == start else first + DAY, floor_to_day(end))


def check_plausible(time: datetime, *, field: str) -> datetime:
    """Return a time, unless it is so far away that arithmetic with it could leave the calendar.

    :param time: an aware time.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the time is not between ``EARLIEST`` and ``LATEST``.
    """
    if not EARLIEST <= time <= LATEST:
        raise InvalidQueryError(
            field,
            f"{time.isoformat()} is not between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}",
            "Pass a time of the Tweets.",
        )
    return time


def floor_to_hour(time: datetime) -> datetime:
    """Return the last whole hour at or before a time."""
    return time.replace(minute=0, second=0, microsecond=0)


def ceil_to_hour(time: datetime) -> datetime:
    """Return the first whole hour at or after a time."""
    floor = floor_to_hour(time)
    return floor if floor == time else floor + HOUR


def floor_to_day(time: datetime) -> datetime:
    """Return the last UTC midnight at or before a time."""
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def to_api(time: datetime) -> str:
    """Format a time for the API, such as ``2026-01-10T22:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
