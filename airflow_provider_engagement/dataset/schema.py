"""The tables of the dataset: columns, types, keys.

Columns are the same in every run, whatever was asked for: a metric that was not is null, as is one that the API had no
value for, which ``tweet_status`` tells. Metric columns bear the API's names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_engagement.api.catalogue import METRICS, Endpoint

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of the dataset.

    :param name: its name, which is also that of its folder.
    :param key: the columns that identify a row: a rerun replaces rows of the same key.
    :param columns: the other columns that are no metrics, in order.
    :param metrics: the metric columns.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    metrics: tuple[str, ...] = ()


def _metrics_of(*endpoints: Endpoint) -> tuple[str, ...]:
    return tuple(metric.name for metric in METRICS.values() if not metric.endpoints.isdisjoint(endpoints))


TWEET_TOTALS = Table(
    name="tweet_totals",
    key=("tweet_id", "snapshot_at", "auth"),
    columns=("owner", "tweet_created_at", "fetched_at"),
    metrics=_metrics_of(Endpoint.TOTALS),
)
TWEET_METRICS = Table(
    name="tweet_metrics",
    key=("tweet_id", "period_start", "period_end", "granularity", "time_zone"),
    columns=("owner", "tweet_created_at", "endpoint", "fetched_at", "is_final"),
    metrics=_metrics_of(Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL),
)
TWEET_HOURS_OF_DAY = Table(
    name="tweet_hours_of_day",
    key=("tweet_id", "period_start", "period_end", "hour_of_day", "time_zone"),
    columns=("owner", "tweet_created_at", "endpoint", "fetched_at", "is_final"),
    metrics=TWEET_METRICS.metrics,
)
RESTATEMENTS = Table(
    name="restatements",
    key=("tweet_id", "period_start", "period_end", "granularity", "time_zone", "metric", "new_fetched_at"),
    columns=("old_value", "new_value", "old_fetched_at"),
)
TWEET_STATUS = Table(
    name="tweet_status",
    key=("tweet_id", "run", "task"),
    columns=("owner", "outcome", "metrics_affected", "message", "author", "checked_at"),
)
COVERAGE = Table(
    name="coverage",
    key=("tweet_id", "window_start", "window_end", "granularity"),
    columns=("metrics", "outcome", "fetched_at"),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (TWEET_TOTALS, TWEET_METRICS, TWEET_HOURS_OF_DAY, TWEET_STATUS, COVERAGE, RESTATEMENTS)
    }
)

_NUMBERS = frozenset({"hour_of_day", "old_value", "new_value"})
_INSTANTS = frozenset(
    {
        "snapshot_at",
        "tweet_created_at",
        "fetched_at",
        "period_start",
        "period_end",
        "window_start",
        "window_end",
        "checked_at",
        "old_fetched_at",
        "new_fetched_at",
    }
)


@cache
def arrow_schema(table: Table) -> pyarrow.Schema:
    """Return a table's schema: texts, UTC instants to the millisecond, signed 64-bit counts; nullable but for keys."""
    import pyarrow

    def kind(column: str) -> pyarrow.DataType:
        if column in table.metrics or column in _NUMBERS:
            return pyarrow.int64()
        if column in _INSTANTS:
            return pyarrow.timestamp("ms", "UTC")
        return pyarrow.bool_() if column == "is_final" else pyarrow.string()

    names = (*table.key, *table.columns, *table.metrics)
    return pyarrow.schema([pyarrow.field(name, kind(name), nullable=name not in table.key) for name in names])


def columns_to_table(
    table: Table, columns: Mapping[str, Sequence[object] | pyarrow.Array | pyarrow.ChunkedArray]
) -> pyarrow.Table:
    """Return columns as an Arrow table of a table's schema, with null for the columns that are not given.

    :param table: which table.
    :param columns: by name, values of equal number.
    """
    import pyarrow

    schema = arrow_schema(table)
    unknown = columns.keys() - set(schema.names)
    if unknown:
        raise ValueError(f"{table.name} has no column {min(unknown)}.")
    length = len(next(iter(columns.values())))
    arrays = [
        pyarrow.nulls(length, field.type) if field.name not in columns else _array(columns[field.name], field.type)
        for field in schema
    ]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _array(values: Sequence[object] | pyarrow.Array | pyarrow.ChunkedArray, kind: pyarrow.DataType) -> pyarrow.Array:
    import pyarrow

    if isinstance(values, pyarrow.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pyarrow.Array) else pyarrow.array(values, kind)
