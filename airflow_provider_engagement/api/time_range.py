"""Spans of time that the API can be asked about: half-open, in whole hours, in UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from airflow_provider_engagement.api.catalogue import HISTORY_MAX_AGE, HISTORY_START
from airflow_provider_engagement.api.tweet_id import created_at
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.times import parse_time

HOUR = timedelta(hours=1)

OnUnaligned = Literal["reject", "outward", "inward"]
OnOutOfRange = Literal["reject", "clip"]


@dataclass(frozen=True, order=True, slots=True)
class TimeRange:
    """A half-open span of whole hours: ``start`` belongs to it, ``end`` does not.

    The API widens edges off the hour on both sides, so that two such neighbours would count an hour twice
    (reference, "Start and End Date"); an unaligned window therefore cannot be made.

    :param start: first instant, aware, on the hour.
    :param end: first instant after it, aware, on the hour.
    :raises InvalidQueryError: if an edge is naive or off the hour, or if the window is empty or reversed.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            moment = getattr(self, name)
            if moment.tzinfo is None:
                raise InvalidQueryError(name, f"{moment.isoformat()} has no time zone", "Give an aware time.")
            moment = moment.astimezone(UTC)
            if moment != floor_to_hour(moment):
                raise InvalidQueryError(
                    name, f"{moment.isoformat()} is not a whole hour", "Round it, or let the operator round it."
                )
            # A plain datetime, whatever subclass came in: some of these lose their zone when reckoned with.
            object.__setattr__(self, name, datetime.combine(moment.date(), moment.time(), UTC))
        if self.start >= self.end:
            raise InvalidQueryError("start", f"{self.start.isoformat()} is not before end {self.end.isoformat()}")

    @property
    def hours(self) -> int:
        """Length in hours."""
        return (self.end - self.start) // HOUR

    def intersection(self, other: TimeRange) -> TimeRange | None:
        """Return the span that belongs to both windows, if any."""
        return _between(max(self.start, other.start), min(self.end, other.end))

    def difference(self, other: TimeRange) -> list[TimeRange]:
        """Return what is left without another window: nothing, one span or two, in the order of time."""
        before = _between(self.start, min(self.end, other.start))
        after = _between(max(self.start, other.end), self.end)
        return [window for window in (before, after) if window is not None]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An edge of a window that is not where it was asked for.

    :param edge: ``start`` or ``end``.
    :param asked: where it was asked for.
    :param used: where it is.
    :param reason: why.
    """

    edge: str
    asked: datetime
    used: datetime
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the adjustment as plain data."""
        return {"edge": self.edge, "asked": to_api(self.asked), "used": to_api(self.used), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ResolvedInterval:
    """A window that the API can be asked about, and how it differs from what was asked for.

    :param window: the window.
    :param adjustments: what was rounded or clipped, in the order in which it was done.
    """

    window: TimeRange
    adjustments: tuple[Adjustment, ...] = ()


def resolve_interval(
    start: object,
    end: object,
    *,
    now: datetime,
    on_unaligned: OnUnaligned = "reject",
    on_out_of_range: OnOutOfRange = "reject",
    reach: timedelta | None = HISTORY_MAX_AGE,
) -> ResolvedInterval:
    """Turn a start and an end as a DAG gives them into a window that the API can be asked about.

    :param start: first instant, as :func:`~airflow_provider_engagement.inputs.times.parse_time` reads it.
    :param end: first instant after it, likewise.
    :param now: the present, aware.
    :param on_unaligned: what to do with an edge off the hour: ``reject`` it, or round it ``outward``, as the API would, or
        ``inward``, so that no hour is included which was not asked for as a whole.
    :param on_out_of_range: what to do with hours that the API cannot give, because they are not over or too long ago:
        ``reject`` the window, or ``clip`` it.
    :param reach: how far back the API reaches; ``None`` for the older promise, 2014-09-01.
    :raises InvalidQueryError: if an edge cannot be read, if the range is empty or reversed, if nothing is left of it,
        or if an option demands it.
    """
    if on_unaligned not in ("reject", *_ROUNDING):
        raise InvalidQueryError("on_unaligned", f"{on_unaligned!r} is unknown", "Choose reject, outward or inward.")
    if on_out_of_range not in ("reject", "clip"):
        raise InvalidQueryError("on_out_of_range", f"{on_out_of_range!r} is unknown", "Choose reject or clip.")
    edges = {"start": parse_time(start, field="start", now=now), "end": parse_time(end, field="end", now=now)}
    _check_order(edges["start"], edges["end"])
    adjustments: list[Adjustment] = []

    def move(edge: str, used: datetime, reason: str) -> None:
        adjustments.append(Adjustment(edge, edges[edge], used, reason))
        edges[edge] = used

    for edge, moment in tuple(edges.items()):
        if moment != floor_to_hour(moment):
            if on_unaligned == "reject":
                raise InvalidQueryError(
                    edge,
                    f"{moment.isoformat()} is not a whole hour",
                    "Round it, or set on_unaligned to outward or inward.",
                )
            move(edge, _ROUNDING[on_unaligned][edge](moment), f"off the hour, rounded {on_unaligned}")

    oldest, newest = _within_reach(now.astimezone(UTC), reach)
    if edges["start"] < oldest:
        if on_out_of_range == "reject":
            raise InvalidQueryError(
                "start",
                f"{edges['start'].isoformat()} is longer ago than the API reaches, which is {oldest.isoformat()}",
                "Ask for less, or set on_out_of_range to clip.",
            )
        move("start", oldest, "longer ago than the API reaches")
    if edges["end"] > newest:
        if on_out_of_range == "reject":
            raise InvalidQueryError(
                "end",
                f"{edges['end'].isoformat()} is not over yet; the last whole hour ended at {newest.isoformat()}",
                "Run later, or set on_out_of_range to clip.",
            )
        move("end", newest, "not over yet")
    if edges["start"] >= edges["end"]:
        raise InvalidQueryError(
            "start", f"nothing that the API can give is left of {start!s} to {end!s}", "Ask for another window."
        )
    return ResolvedInterval(TimeRange(edges["start"], edges["end"]), tuple(adjustments))


def oldest_available_hour(now: datetime, reach: timedelta | None = HISTORY_MAX_AGE) -> datetime:
    """Return the oldest whole hour that the API can be asked about.

    It is always later than ``now - reach``, never at it: a request is sent a moment after it is planned.

    :param now: the present, aware.
    :param reach: how far back the API reaches; ``None`` for the older promise, 2014-09-01.
    """
    return HISTORY_START if reach is None else max(HISTORY_START, floor_to_hour(now.astimezone(UTC) - reach) + HOUR)


def range_after_post(tweet_id: str, *, days: int, repetition: int = 1) -> TimeRange:
    """Return the first days of a Tweet's life, counted from the hour of its creation.

    :param tweet_id: the Tweet.
    :param days: how many times 24 hours.
    :param repetition: 1 for the first so many days, 2 for as many after them, and so on.
    :raises InvalidQueryError: if the id is from before 2010-11-04 and carries no time.
    """
    for field, number in (("days", days), ("repetition", repetition)):
        if number < 1:
            raise InvalidQueryError(field, f"{number} is less than 1")
    created = created_at(tweet_id)
    if created is None:
        raise InvalidQueryError(
            "tweet_ids",
            f"{tweet_id} is from before 2010-11-04, so its id does not tell when it was posted",
            "Leave it out, or ask for it with start and end.",
        )
    length = timedelta(days=days)
    start = floor_to_hour(created) + (repetition - 1) * length
    return TimeRange(start, start + length)


def interval_of_partition(key: str) -> TimeRange:
    """Return the hour, day or month, in UTC, that a partition key names.

    :param key: such as ``2026-01-05T06``, ``2026-01-05`` or ``2026-01``, the forms that Airflow's hour, day and month
        mappers write.
    :raises InvalidQueryError: if it has another form. The ``2026-01-05T00:00:00`` that ``CronPartitionTimetable``
        writes by default is one instant: it does not tell how long the partition is.
    """
    for form, following in _PARTITIONS.items():
        try:
            start = datetime.strptime(key, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if start.strftime(form) == key:
            return TimeRange(start, following(start))
    raise InvalidQueryError(
        "partition_key",
        f"{key!r} names no hour, day or month",
        'Set the timetable\'s key_format to "%Y-%m-%dT%H", "%Y-%m-%d" or "%Y-%m", or give start and end.',
    )


def whole_days_within(start: datetime, end: datetime) -> TimeRange | None:
    """Return the UTC days that lie between two aware instants as a whole, if any."""
    first = floor_to_day(start)
    return _between(first if first == start else first + timedelta(days=1), floor_to_day(end))


def floor_to_hour(moment: datetime) -> datetime:
    """Return the last whole hour that is not after an instant."""
    return moment.replace(minute=0, second=0, microsecond=0)


def ceil_to_hour(moment: datetime) -> datetime:
    """Return the first whole hour that is not before an instant."""
    floor = floor_to_hour(moment)
    return floor if floor == moment else floor + HOUR


def floor_to_day(moment: datetime) -> datetime:
    """Return the last UTC midnight that is not after an instant."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def to_api(moment: datetime) -> str:
    """Write an instant as the API reads it, such as ``2026-01-10T22:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _between(start: datetime, end: datetime) -> TimeRange | None:
    return TimeRange(start, end) if start < end else None


def _following_month(start: datetime) -> datetime:
    return (start + timedelta(days=31)).replace(day=1)


_ROUNDING: dict[str, dict[str, Callable[[datetime], datetime]]] = {
    "outward": {"start": floor_to_hour, "end": ceil_to_hour},
    "inward": {"start": ceil_to_hour, "end": floor_to_hour},
}

_PARTITIONS: dict[str, Callable[[datetime], datetime]] = {
    "%Y-%m-%dT%H": lambda start: start + HOUR,
    "%Y-%m-%d": lambda start: start + timedelta(days=1),
    "%Y-%m": _following_month,
}


def _check_order(start: datetime, end: datetime) -> None:
    if start == end:
        raise InvalidQueryError(
            "start",
            f"the range is empty: start and end are both {start.isoformat()}",
            "With Airflow 3's defaults a cron schedule gives an empty data interval: schedule the DAG with "
            "CronDataIntervalTimetable, or set start and end.",
        )
    if start > end:
        raise InvalidQueryError(
            "start", f"{start.isoformat()} is after end {end.isoformat()}", "Exchange start and end."
        )


def _within_reach(now: datetime, reach: timedelta | None) -> tuple[datetime, datetime]:
    """Return the oldest and the newest edge that the API takes."""
    return oldest_available_hour(now, reach), floor_to_hour(now)
