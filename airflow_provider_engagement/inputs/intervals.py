"""The interval of a run: from the start and end that a DAG author writes to whole hours that the API has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from airflow_provider_engagement.engagement_api.catalogue import HISTORY_MAX_AGE
from airflow_provider_engagement.engagement_api.time_range import (
    DAY,
    HOUR,
    TimeRange,
    ceil_to_hour,
    floor_to_hour,
    oldest_available_hour,
    to_api,
)
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.inputs.times import parse_time

_TOO_OLD = "older than the oldest hour that the API has"
_NOT_OVER = "after the last complete hour"


class OnUnaligned(StrEnum):
    """What to do with a start or end that is not a whole hour."""

    FAIL = "fail"
    EXPAND = "expand"
    SHRINK = "shrink"


class OnOutOfRange(StrEnum):
    """What to do with hours that the API does not have: too old, or not over yet."""

    FAIL = "fail"
    CLIP = "clip"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A start or end that differs from what was requested.

    :param edge: ``start`` or ``end``.
    :param requested: the requested time.
    :param used: the time in its place.
    :param reason: why they differ.
    """

    edge: str
    requested: datetime
    used: datetime
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the adjustment as JSON-compatible values."""
        return {
            "edge": self.edge,
            "requested": to_api(self.requested),
            "used": to_api(self.used),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ResolvedInterval:
    """An interval that the API has, and how it differs from what was requested.

    :param time_range: the hours.
    :param adjustments: what was rounded or clipped, in the order in which it was done.
    """

    time_range: TimeRange
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def clipped(self) -> tuple[str, ...]:
        """The edges that were clipped to the hours that the API has: ``start`` or ``end``, or both."""
        return tuple(change.edge for change in self.adjustments if change.reason in (_TOO_OLD, _NOT_OVER))


def resolve_interval(
    start: object,
    end: object,
    *,
    now: datetime,
    on_unaligned: OnUnaligned = OnUnaligned.FAIL,
    on_out_of_range: OnOutOfRange = OnOutOfRange.FAIL,
    max_age: timedelta | None = HISTORY_MAX_AGE,
) -> ResolvedInterval:
    """Return the whole hours of an interval that the API has.

    :param start: first time, as :func:`~airflow_provider_engagement.inputs.times.parse_time` reads it.
    :param end: first time after the interval, in the same forms.
    :param now: the current time, aware.
    :param on_unaligned: whether an edge that is not a whole hour fails, expands the interval to the whole hour (as the
        API would), or shrinks it.
    :param on_out_of_range: whether hours that the API does not have fail or are clipped.
    :param max_age: how old an hour can be; ``None`` for the older documented limit, 2014-09-01.
    :raises InvalidQueryError: if an edge is not a time, if the interval is empty or reversed, if nothing is left of it,
        or if ``on_unaligned`` or ``on_out_of_range`` requires it.
    """
    edges = {"start": parse_time(start, field="start", now=now), "end": parse_time(end, field="end", now=now)}
    _check_order(edges["start"], edges["end"])
    adjustments: list[Adjustment] = []

    def adjust(edge: str, used: datetime, reason: str) -> None:
        adjustments.append(Adjustment(edge, edges[edge], used, reason))
        edges[edge] = used

    for edge, time in tuple(edges.items()):
        if time != floor_to_hour(time):
            if on_unaligned is OnUnaligned.FAIL:
                raise InvalidQueryError(
                    edge,
                    f"{time.isoformat()} is not a whole hour",
                    "Round it, or set on_unaligned to expand or shrink.",
                )
            rounded = _ROUNDING[on_unaligned][edge](time)
            adjust(edge, rounded, f"not a whole hour; on_unaligned is {on_unaligned}")

    oldest, newest = oldest_available_hour(now, max_age), floor_to_hour(now.astimezone(UTC))
    if edges["start"] < oldest:
        if on_out_of_range is OnOutOfRange.FAIL:
            raise InvalidQueryError(
                "start",
                f"{edges['start'].isoformat()} is before {oldest.isoformat()}, the oldest hour that the API has",
                "Pass a later start, or set on_out_of_range to clip.",
            )
        adjust("start", oldest, _TOO_OLD)
    if edges["end"] > newest:
        if on_out_of_range is OnOutOfRange.FAIL:
            check_is_over(edges["end"], now=now, remedy="run the task later, or set on_out_of_range to clip")
        adjust("end", newest, _NOT_OVER)
    if edges["start"] >= edges["end"]:
        raise InvalidQueryError(
            "start", f"no hour between {start!s} and {end!s} is available", "Pass another interval."
        )
    return ResolvedInterval(TimeRange(edges["start"], edges["end"]), tuple(adjustments))


def check_is_over(end: datetime, *, now: datetime, remedy: str = "or send the request later") -> None:
    """Raise an error if an interval ends in the running hour or in the future, where the API has no complete counts.

    :param end: the end of the interval, aware.
    :param now: the current time, aware.
    :param remedy: what to do other than to pass an earlier end.
    :raises InvalidQueryError: if the interval is not over.
    """
    newest = floor_to_hour(now.astimezone(UTC))
    if end > newest:
        raise InvalidQueryError(
            "end",
            f"{end.isoformat()} is after {newest.isoformat()}, the end of the last complete hour",
            f"Pass an earlier end, {remedy}.",
        )


def interval_of_partition(key: str) -> TimeRange:
    """Return the hour, day or month, in UTC, that an Airflow partition key names.

    :param key: such as ``2026-01-05T06``, ``2026-01-05`` or ``2026-01``, the forms that Airflow's hour, day and month
        mappers write.
    :raises InvalidQueryError: if the key has another form. ``2026-01-05T00:00:00``, which ``CronPartitionTimetable``
        writes by default, is a point in time and does not say how long the partition is.
    """
    for form, end_of in _PARTITIONS.items():
        try:
            start = datetime.strptime(key, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if start.strftime(form) == key:
            return TimeRange(start, end_of(start))
    raise InvalidQueryError(
        "partition_key",
        f"{quoted(key)} does not name an hour, a day or a month",
        'Set the timetable\'s key_format to "%Y-%m-%dT%H", "%Y-%m-%d" or "%Y-%m", or set start and end.',
    )


def _next_month(start: datetime) -> datetime:
    return (start + timedelta(days=31)).replace(day=1)


_ROUNDING: dict[str, dict[str, Callable[[datetime], datetime]]] = {
    OnUnaligned.EXPAND: {"start": floor_to_hour, "end": ceil_to_hour},
    OnUnaligned.SHRINK: {"start": ceil_to_hour, "end": floor_to_hour},
}

_PARTITIONS: dict[str, Callable[[datetime], datetime]] = {
    "%Y-%m-%dT%H": lambda start: start + HOUR,
    "%Y-%m-%d": lambda start: start + DAY,
    "%Y-%m": _next_month,
}


def _check_order(start: datetime, end: datetime) -> None:
    if start == end:
        raise InvalidQueryError(
            "start",
            f"the interval is empty: start and end are both {start.isoformat()}",
            "Set start to a time before end. In Airflow 3, a cron schedule has an empty data interval by default. "
            "Schedule the DAG with CronDataIntervalTimetable, or set start and end.",
        )
    if start > end:
        raise InvalidQueryError("start", f"{start.isoformat()} is after end, {end.isoformat()}", "Swap start and end.")
