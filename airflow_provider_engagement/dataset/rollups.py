"""Counts by the hour -> counts by day, over a window, and by hour of day. Pure functions of Arrow tables.

A sum of which one hour is not known is not known: nulls are never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_engagement.api.time_range import TimeRange, floor_to_hour
from airflow_provider_engagement.exceptions import InvalidQueryError

if TYPE_CHECKING:
    import pyarrow

HOURLY_COLUMNS = ("tweet_id", "period_start", "period_end", "fetched_at", "is_final")
"""What a table of counts by the hour has beside its metrics; every table made of it has the same."""

_OTHERS = {"period_end": "min", "fetched_at": "max", "is_final": "all"}
"""How the columns of hours become those of their sum. It is as new as the newest hour, so that a sum of which a part
was read again replaces the one before; and final when all of its hours are."""


def parse_time_zone(value: object) -> ZoneInfo:
    """Read the name of an IANA time zone.

    :raises InvalidQueryError: if there is none of that name.
    """
    try:
        return ZoneInfo(str(value))
    except (KeyError, ValueError, OSError):
        raise InvalidQueryError(
            "time_zone", f"{value!r} is unknown", "Give an IANA name such as Europe/Prague."
        ) from None


def local_day(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first instant of the day that an instant falls on in a zone, and that of the next, both in UTC.

    Between them lie 23 or 25 hours where clocks are changed.
    """
    local = moment.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = (midnight.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    return midnight.astimezone(UTC), following.astimezone(UTC)


def check_days_of_hours(window: TimeRange, zone: ZoneInfo) -> None:
    """Refuse a zone whose days begin off the hours of UTC somewhere in a window, as half past in Asia/Kolkata.

    Counts come by the hour of UTC, which cannot be added up to such days.

    :raises InvalidQueryError: naming the day.
    """
    moment = local_day(window.start, zone)[0]
    while moment < window.end:
        if moment != floor_to_hour(moment):
            raise InvalidQueryError(
                "time_zone",
                f"in {zone.key} a day begins at {moment.isoformat()}, in the middle of an hour of UTC",
                "Hours cannot be added up to its days: ask for granularity hour, or for days of another zone.",
            )
        moment = local_day(moment, zone)[1]


def whole_days_of(hours: TimeRange, zone: ZoneInfo, *, first_is_whole: bool) -> TimeRange | None:
    """Return the days of a zone that some hours hold as a whole, if any.

    :param hours: the hours.
    :param zone: whose days.
    :param first_is_whole: whether of the first day nothing is missing, wherever the hours begin.
    """
    start = local_day(hours.start, zone)
    first = hours.start if first_is_whole or start[0] == hours.start else start[1]
    end = local_day(hours.end, zone)[0]
    return TimeRange(first, end) if first < end else None


def check_whole_days(window: TimeRange, zone: ZoneInfo) -> None:
    """Refuse a window that cuts a day in two, since the row of that day would be less than the day's.

    :raises InvalidQueryError: naming the edge.
    """
    for edge in ("start", "end"):
        moment: datetime = getattr(window, edge)
        if local_day(moment, zone)[0] != moment:
            raise InvalidQueryError(
                edge,
                f"{moment.isoformat()} is not the beginning of a day in {zone.key}",
                "Ask for whole days, or for granularity hour.",
            )


def by_day(hours: pyarrow.Table, metrics: Sequence[str], zone: ZoneInfo) -> pyarrow.Table:
    """Add hours up to the days of a time zone.

    :param hours: with :data:`HOURLY_COLUMNS` and the metrics.
    :param metrics: the metric columns.
    :param zone: whose days.
    :return: the same columns; of a day, the rows that the given hours make up.
    """
    return _summed(_with_periods(hours, lambda hour: local_day(hour, zone)), metrics, ["tweet_id", "period_start"])


def over_window(hours: pyarrow.Table, metrics: Sequence[str], window: Callable[[str], TimeRange]) -> pyarrow.Table:
    """Add hours up to one row for each Tweet.

    :param hours: with :data:`HOURLY_COLUMNS` and the metrics.
    :param metrics: the metric columns.
    :param window: the span that a Tweet's row is said to be of.
    :return: the same columns.
    """
    import pyarrow

    rows = hours
    kind = hours.schema.field("period_start").type
    spans = {tweet_id: window(tweet_id) for tweet_id in hours["tweet_id"].unique().to_pylist()}
    for name in ("start", "end"):
        values = [getattr(spans[tweet_id], name) for tweet_id in hours["tweet_id"].to_pylist()]
        column = f"period_{name}"
        rows = rows.set_column(rows.column_names.index(column), column, pyarrow.array(values, kind))
    return _summed(rows, metrics, ["tweet_id", "period_start"])


def by_hour_of_day(hours: pyarrow.Table, metrics: Sequence[str], zone: ZoneInfo) -> pyarrow.Table:
    """Add up the hours that bear the same number on the clocks of a time zone.

    :return: ``tweet_id``, ``hour_of_day`` (0 to 23), ``fetched_at``, ``is_final`` and the metrics.
    """
    import pyarrow

    numbers = _mapped(hours["period_start"], lambda hour: hour.astimezone(zone).hour, pyarrow.int64())
    rows = hours.select(["tweet_id", "fetched_at", "is_final", *metrics]).append_column("hour_of_day", numbers)
    return _summed(rows, metrics, ["tweet_id", "hour_of_day"])


def summed_again(rows: pyarrow.Table, metrics: Sequence[str], key: Sequence[str]) -> pyarrow.Table:
    """Add up rows of the same key that come from several parts."""
    return _summed(rows, metrics, list(key))


def _with_periods(hours: pyarrow.Table, period: Callable[[datetime], tuple[datetime, datetime]]) -> pyarrow.Table:
    kind = hours.schema.field("period_start").type
    starts = _mapped(hours["period_start"], lambda hour: period(hour)[0], kind)
    ends = _mapped(hours["period_start"], lambda hour: period(hour)[1], kind)
    names = hours.column_names
    rows = hours.set_column(names.index("period_start"), "period_start", starts)
    return rows.set_column(names.index("period_end"), "period_end", ends)


def _mapped(
    column: pyarrow.ChunkedArray, function: Callable[[datetime], object], kind: pyarrow.DataType
) -> pyarrow.Array:
    """Apply a function to each value, but only once to each of the few that differ."""
    import pyarrow

    encoded = column.combine_chunks().dictionary_encode()
    values = pyarrow.array([function(value) for value in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)


def _summed(rows: pyarrow.Table, metrics: Sequence[str], key: list[str]) -> pyarrow.Table:
    import pyarrow.compute

    whole = pyarrow.compute.ScalarAggregateOptions(skip_nulls=False)
    others = {name: how for name, how in _OTHERS.items() if name in rows.column_names and name not in key}
    sums = rows.group_by(key, use_threads=False).aggregate(
        [*((metric, "sum", whole) for metric in metrics), *others.items()]
    )
    names = [*key, *metrics, *others]
    return sums.select(
        [*key, *(f"{metric}_sum" for metric in metrics), *(f"{name}_{how}" for name, how in others.items())]
    ).rename_columns(names)
