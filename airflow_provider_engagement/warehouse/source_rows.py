"""The rows of changed partitions in batches, one row for each key: what a load merges into the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow

from airflow_provider_engagement.dataset.merging import merge_rows
from airflow_provider_engagement.dataset.schema import (
    RESTATEMENTS,
    TWEET_HOURS_OF_DAY,
    TWEET_METRICS,
    Table,
    arrow_schema,
)
from airflow_provider_engagement.dataset.storage import TableAddress
from airflow_provider_engagement.dataset.table_batches import read_batches
from airflow_provider_engagement.warehouse.source_partitions import SourceFolder, SourceTable, changed_folders

ROWS_PER_BATCH = 65_536

_MERGED_TABLES = (TWEET_METRICS, TWEET_HOURS_OF_DAY)
"""The tables whose rows of one key are merged metric by metric, in one partition."""

_ACROSS_PARTITIONS = (RESTATEMENTS,)
"""The tables that can have rows of the same key in several partitions."""

_NEWEST_FIRST: Mapping[str, str] = {
    "restatements": "old_fetched_at",
    "tweet_status": "checked_at",
    "owner_ledger": "requested_at",
}
"""The column that decides which of several rows with the same key counts, if it is not ``fetched_at``."""

_MEMORY_LIMIT = "512MB"


def changed_rows(
    source: SourceTable, changed: Mapping[str, frozenset[str]], *, folder: Path, address_of: TableAddress
) -> Iterator[pyarrow.Table]:
    """Yield the rows of changed partitions, each key once.

    :param source: the table.
    :param changed: the changed partitions of each of its folders.
    :param folder: a folder for temporary files.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a file has values of another type.
    :raises StorageError: if the storage of a Delta table fails.
    """
    if source.table in _MERGED_TABLES:
        for place, names in changed_folders(source, changed):
            yield from _merged_rows(source.table, place, names, address_of)
    elif source.table in _ACROSS_PARTITIONS or any(
        place.files[name] > 1 for place, names in changed_folders(source, changed) for name in names
    ):
        yield from _newest_rows(source, changed, folder=folder, address_of=address_of)
    else:
        for place, names in changed_folders(source, changed):
            yield from read_batches(
                place.place, arrow_schema(source.table), includes=names.__contains__, address_of=address_of
            )


def _merged_rows(
    table: Table, place: SourceFolder, names: frozenset[str], address_of: TableAddress
) -> Iterator[pyarrow.Table]:
    """Yield the rows of a table that many runs merge. While its format changes, a partition has a file of each."""
    schema = arrow_schema(table)
    mixed = frozenset(name for name in names if place.files[name] > 1 and place.version is None)
    if single := names - mixed:
        yield from read_batches(place.place, schema, includes=single.__contains__, address_of=address_of)
    for name in sorted(mixed):
        batches = read_batches(place.place, schema, includes=name.__eq__, address_of=address_of)
        yield merge_rows(pyarrow.concat_tables(batches), table)


def _newest_rows(
    source: SourceTable,
    changed: Mapping[str, frozenset[str]],
    *,
    folder: Path,
    address_of: TableAddress,
) -> Iterator[pyarrow.Table]:
    """Yield the newest row of each key of the changed partitions, sorted out on disk."""
    # The package duckdb is an optional dependency.
    import duckdb

    table = source.table
    schema = arrow_schema(table)
    newest_first = _NEWEST_FIRST.get(table.name, "fetched_at")
    key = ", ".join(f'"{column}"' for column in table.key)
    columns = ", ".join(f'"{column}"' for column in schema.names)

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for place in source.folders:
            names = changed[place.path]
            for rows in read_batches(place.place, schema, includes=names.__contains__, address_of=address_of):
                yield from rows.to_batches()

    nullable = pyarrow.schema([field.with_nullable(True) for field in schema])
    reader = pyarrow.RecordBatchReader.from_batches(nullable, batches())
    with duckdb.connect(str(folder / f"{table.name}.sorting.duckdb")) as connection:
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("source", reader)
        connection.execute("CREATE TABLE read AS SELECT * FROM source")
        # The names of columns are those of the schema of this package.
        newest: Any = connection.sql(
            f"SELECT {columns} FROM read "  # noqa: S608
            f'QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY "{newest_first}" DESC NULLS LAST) = 1'
        ).to_arrow_reader(ROWS_PER_BATCH)
        for batch in newest:
            yield pyarrow.Table.from_batches([batch]).cast(nullable)
