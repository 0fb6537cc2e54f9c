"""The rows of changed partitions in batches, one row for each key: what a load merges into the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow

from airflow_provider_engagement.storage.paths import Locate
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.table_batches import read_batches
from airflow_provider_engagement.tables.tables import Merge, Table
from airflow_provider_engagement.warehouse.guarded_batches import GuardedBatches
from airflow_provider_engagement.warehouse.merge_statements import quoted, quoted_list, time_column
from airflow_provider_engagement.warehouse.source_partitions import SourceFolder, SourceTable, changed_folders

ROWS_PER_BATCH = 65_536

_ROWS_TO_MERGE = 200_000
"""How many rows of keys that occur several times are merged at once, about."""

_MEMORY_LIMIT = "512MB"


def changed_rows(
    source: SourceTable, changed: Mapping[str, frozenset[str]], *, folder: Path, address_of: Locate
) -> Iterator[pyarrow.Table]:
    """Yield the rows of changed partitions, each key once.

    :param source: the table.
    :param changed: the changed partitions of each of its folders.
    :param folder: a folder for temporary files.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a file has values of another type.
    :raises StorageError: if the storage of a Delta table fails.
    """
    if source.table.merge is Merge.BY_PARTITION:
        for place, names in changed_folders(source, changed):
            yield from _merged_rows(source.table, place, names, address_of)
    elif not source.table.key_is_in_one_partition or any(
        place.files[name] > 1 for place, names in changed_folders(source, changed) for name in names
    ):
        yield from _one_row_of_each_key(source, changed, folder=folder, address_of=address_of)
    else:
        for place, names in changed_folders(source, changed):
            yield from read_batches(
                place.place, arrow_schema(source.table), includes=names.__contains__, address_of=address_of
            )


def _merged_rows(
    table: Table, place: SourceFolder, names: frozenset[str], address_of: Locate
) -> Iterator[pyarrow.Table]:
    """Yield the rows of a table that many runs merge. While its format changes, a partition has a file of each."""
    schema = arrow_schema(table)
    mixed = frozenset(name for name in names if place.files[name] > 1 and place.version is None)
    if single := names - mixed:
        yield from read_batches(place.place, schema, includes=single.__contains__, address_of=address_of)
    for name in sorted(mixed):
        batches = read_batches(place.place, schema, includes=name.__eq__, address_of=address_of)
        yield merge_rows(pyarrow.concat_tables(batches), table)


def _one_row_of_each_key(
    source: SourceTable, changed: Mapping[str, frozenset[str]], *, folder: Path, address_of: Locate
) -> Iterator[pyarrow.Table]:
    """Yield the rows of the changed partitions. The rows of a key are sorted out on disk, and merged."""
    # The package duckdb is an optional dependency.
    import duckdb

    table = source.table
    schema = arrow_schema(table)
    nullable = pyarrow.schema([field.with_nullable(True) for field in schema])
    key = quoted_list(table.key)

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for place, names in changed_folders(source, changed):
            for rows in read_batches(place.place, schema, includes=names.__contains__, address_of=address_of):
                yield from rows.to_batches()

    read = GuardedBatches(batches())
    reader = pyarrow.RecordBatchReader.from_batches(nullable, iter(read))
    with duckdb.connect(str(folder / f"{table.name}.sorting.duckdb")) as connection:
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        connection.register("source", reader)
        with read.raised():
            connection.execute("CREATE TABLE read AS SELECT * FROM source")
        # The names of columns are those of the schema of this package.
        number = f"count(*) OVER (PARTITION BY {key})"
        if table.metrics:
            yield from _batches(connection, f"SELECT * FROM read QUALIFY {number} = 1", nullable)  # noqa: S608
            connection.execute(f"CREATE TABLE several AS SELECT * FROM read QUALIFY {number} > 1")  # noqa: S608
            ((rows,),) = connection.execute("SELECT count(*) FROM several").fetchall()
            parts = rows // _ROWS_TO_MERGE + 1
            for part in range(parts if rows else 0):
                query = f"SELECT * FROM several WHERE hash({quoted(table.key[0])}) % {parts} = {part}"  # noqa: S608
                if found := list(_batches(connection, query, nullable)):
                    yield merge_rows(pyarrow.concat_tables(found), table)
        else:
            newest_first = ", ".join(f"{quoted(name)} DESC NULLS LAST" for name in (time_column(table), *schema.names))
            yield from _batches(
                connection,
                "SELECT * FROM read "  # noqa: S608
                f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {newest_first}) = 1",
                nullable,
            )


def _batches(connection: Any, query: str, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    for batch in connection.sql(query).to_arrow_reader(ROWS_PER_BATCH):
        yield pyarrow.Table.from_batches([batch]).cast(schema)
