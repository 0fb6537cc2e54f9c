"""The tables of the dataset as Arrow has them: types of columns, and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import pyarrow

from airflow_provider_engagement.tables.tables import Table

_INTEGERS = frozenset({"hour_of_day", "old_value", "new_value", "tweets", "listed"})
_BOOLEANS = frozenset({"is_final", "is_protected"})
_TIMESTAMPS = frozenset(
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
        "requested_at",
        "id_time",
        "seen_at",
        "gone_at",
        "user_created_at",
        "complete_from",
    }
)


@cache
def arrow_schema(table: Table) -> pyarrow.Schema:
    """Return a table's schema: strings, UTC timestamps in milliseconds, 64-bit counts. Only keys are not nullable."""

    def kind(column: str) -> pyarrow.DataType:
        if column in table.metrics or column in _INTEGERS:
            return pyarrow.int64()
        if column in _TIMESTAMPS:
            return pyarrow.timestamp("ms", "UTC")
        if column == "period_date":
            return pyarrow.date32()
        return pyarrow.bool_() if column in _BOOLEANS else pyarrow.string()

    names = (*table.key, *table.columns, *table.metrics)
    return pyarrow.schema([pyarrow.field(name, kind(name), nullable=name not in table.key) for name in names])


def partition_field(column: str) -> pyarrow.Field:
    """Return the column that partitions a table: a date such as ``2026-01-05``, or a month such as ``2026-01``."""
    return pyarrow.field(column, pyarrow.date32() if column.endswith("_date") else pyarrow.string())


def columns_to_table(
    table: Table, columns: Mapping[str, Sequence[object] | pyarrow.Array | pyarrow.ChunkedArray]
) -> pyarrow.Table:
    """Return rows of a table, with null in every column that is not given.

    :param table: the table.
    :param columns: the values of each given column, all of the same length.
    """
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
    if isinstance(values, pyarrow.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pyarrow.Array) else pyarrow.array(values, kind)


def aligned(rows: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    """Return rows with the columns of a schema: null where they have none."""
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.name, pyarrow.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)
