"""Rollups: hourly counts summed to days, to one row for each Tweet, or to hours of day. Pure functions of Arrow tables.

A sum with an unknown count is unknown: nulls are never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.tables.days import local_day

HOURLY_COLUMNS = ("tweet_id", "period_start", "period_end", "fetched_at", "is_final")
"""The columns of a table of hourly counts beside its metrics. A rollup to days or to one row has the same columns."""

_OTHER_COLUMNS = {"period_end": "min", "fetched_at": "max", "is_final": "all"}
"""How a rollup combines the other columns. A sum is as new as its newest hour, so that a sum of which a part was read
again replaces the older one. A sum is final if all of its hours are."""


def sum_by_day(hours: pyarrow.Table, metrics: Sequence[str], zone: ZoneInfo) -> pyarrow.Table:
    """Sum hours to the days of a time zone.

    :param hours: with :data:`HOURLY_COLUMNS` and the metrics.
    :param metrics: the metric columns.
    :param zone: the time zone of the days.
    :return: the same columns, one row for each Tweet and day.
    """
    kind = hours.schema.field("period_start").type
    starts = _map_distinct(hours["period_start"], lambda hour: local_day(hour, zone)[0], kind)
    ends = _map_distinct(hours["period_start"], lambda hour: local_day(hour, zone)[1], kind)
    return sum_rows(_with_periods(hours, starts, ends), metrics, ("tweet_id", "period_start"))


def sum_by_tweet(hours: pyarrow.Table, metrics: Sequence[str], period_of: Callable[[str], TimeRange]) -> pyarrow.Table:
    """Sum hours to one row for each Tweet.

    :param hours: with :data:`HOURLY_COLUMNS` and the metrics.
    :param metrics: the metric columns.
    :param period_of: returns the period of a Tweet's row.
    :return: the same columns.
    """
    starts, ends = period_columns(hours, period_of)
    return sum_rows(_with_periods(hours, starts, ends), metrics, ("tweet_id", "period_start"))


def sum_by_hour_of_day(hours: pyarrow.Table, metrics: Sequence[str], zone: ZoneInfo) -> pyarrow.Table:
    """Sum the hours that have the same number on the clock of a time zone.

    :param hours: with :data:`HOURLY_COLUMNS` and the metrics.
    :param metrics: the metric columns.
    :param zone: the time zone of the clock.
    :return: ``tweet_id``, ``hour_of_day`` (0 to 23), ``fetched_at``, ``is_final`` and the metrics.
    """
    numbers = _map_distinct(hours["period_start"], lambda hour: hour.astimezone(zone).hour, pyarrow.int64())
    rows = hours.select(["tweet_id", "fetched_at", "is_final", *metrics]).append_column("hour_of_day", numbers)
    return sum_rows(rows, metrics, ("tweet_id", "hour_of_day"))


def sum_rows(rows: pyarrow.Table, metrics: Sequence[str], key: Sequence[str]) -> pyarrow.Table:
    """Sum the rows that have the same key.

    :param rows: the rows.
    :param metrics: the columns to sum.
    :param key: the columns of the key.
    """
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    others = {name: how for name, how in _OTHER_COLUMNS.items() if name in rows.column_names and name not in key}
    sums = rows.group_by(list(key), use_threads=False).aggregate(
        [*((metric, "sum", keep_nulls) for metric in metrics), *others.items()]
    )
    columns = [*key, *(f"{metric}_sum" for metric in metrics), *(f"{name}_{how}" for name, how in others.items())]
    return sums.select(columns).rename_columns([*key, *metrics, *others])


def period_columns(rows: pyarrow.Table, period_of: Callable[[str], TimeRange]) -> tuple[pyarrow.Array, pyarrow.Array]:
    """Return the columns ``period_start`` and ``period_end`` for rows whose period depends on the Tweet alone."""
    kind = pyarrow.timestamp("ms", "UTC")
    starts = _map_distinct(rows["tweet_id"], lambda tweet_id: period_of(tweet_id).start, kind)
    return starts, _map_distinct(rows["tweet_id"], lambda tweet_id: period_of(tweet_id).end, kind)


def _with_periods(rows: pyarrow.Table, starts: pyarrow.Array, ends: pyarrow.Array) -> pyarrow.Table:
    names = rows.column_names
    rows = rows.set_column(names.index("period_start"), "period_start", starts)
    return rows.set_column(names.index("period_end"), "period_end", ends)


def _map_distinct(
    column: pyarrow.ChunkedArray, function: Callable[..., datetime | int], kind: pyarrow.DataType
) -> pyarrow.Array:
    """Apply a function to each value of a column, but only once to equal values."""
    encoded = column.combine_chunks().dictionary_encode()
    values = pyarrow.array([function(value) for value in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)
