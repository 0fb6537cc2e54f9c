"""Load the changed partitions of a dataset into the tables of a database.

1. The task locks the database, as far as the database can do that.
2. It compares the partitions with the record of the last load, which is in the database.
3. The rows of all partitions that differ are staged, and merged into the tables by key: of each metric, the newest
   known count. No row is deleted.
4. The merged rows are counted. If they are as many as were read, the partitions are recorded.

DuckDB and PostgreSQL do all of this in one transaction. In the other databases, dlt merges the rows before the
partitions are recorded. So a load that is killed leaves each table as it was before or after step 3, and the next one
finds nothing to do or reads the same partitions again.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow

from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.storage.paths import Locate, StoragePath
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load_errors import named_errors
from airflow_provider_engagement.warehouse.merge_statements import LOAD_COLUMN, Precedence
from airflow_provider_engagement.warehouse.source_partitions import (
    SourceTable,
    changes,
    list_sources,
    record_of,
)
from airflow_provider_engagement.warehouse.source_rows import changed_rows
from airflow_provider_engagement.warehouse.target_database import (
    FoundColumn,
    Record,
    TableLoad,
    TargetDatabase,
    Written,
)
from airflow_provider_engagement.warehouse.view_names import View
from airflow_provider_engagement.warehouse.views import check_views, create_views

log = logging.getLogger(__name__)

_TYPE_NAMES: Mapping[pyarrow.DataType, str] = {
    pyarrow.string(): "a text without a maximum length",
    pyarrow.int64(): "a bigint",
    pyarrow.bool_(): "a boolean",
    pyarrow.date32(): "a date",
    pyarrow.timestamp("ms", "UTC"): "a timestamp with time zone and milliseconds",
}
"""What each type is called in messages."""


_NOTHING = Written(read=0, new=0, changed=0)


@dataclass(kw_only=True, slots=True)
class _Table:
    """A table during its load.

    :param source: its partitions.
    :param changed: the partitions to load.
    :param record: what the database has recorded of it.
    :param is_complete: whether the database has the rows and the columns that it once had.
    """

    source: SourceTable
    changed: Mapping[str, frozenset[str]]
    record: Record
    is_complete: bool
    written: Written = _NOTHING
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.source.table.name

    @property
    def has_changes(self) -> bool:
        return any(self.changed.values()) or self.record.partitions is None or not self.is_complete


def load_dataset(
    dataset: StoragePath,
    *,
    tables: Sequence[str],
    target: Target,
    views: Sequence[View] = (),
    time_zone: str | None = None,
    address_of: Locate,
    lock_timeout: float,
    full_refresh: bool = False,
) -> dict[str, Any]:
    """Load what has changed in a dataset since the last load, and create views.

    :param dataset: the folder of the dataset.
    :param tables: the names of the tables to load. The dataset has them.
    :param target: the database.
    :param views: the views to create or replace.
    :param time_zone: the time zone of the days and hours of day in views.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :param lock_timeout: how long to wait for another task that loads into the same database, in seconds.
    :param full_refresh: whether to load all partitions, and to replace what was edited in the database.
    :return: for each table, the numbers of its rows and partitions; and the names of the views, and their time zone.
    :raises IncompatibleTableError: if a table of the dataset has another type or layout.
    :raises MissingExtraError: if a package for the database is not installed.
    :raises StorageError: if the storage of a Delta table fails.
    :raises WarehouseAccessError: if the database rejects the credentials or does not allow to write.
    :raises WarehouseError: if the load fails or the database stays locked.
    :raises WarehouseTableError: if a table in the database has another shape.
    :raises WarehouseViewError: if a table or a view of someone else has the name of a view.
    """
    started = time.monotonic()
    folder = WorkerFolder()
    try:
        with (
            named_errors(target),
            _opened(target, _identity(dataset), folder=folder.path, lock_timeout=lock_timeout) as database,
        ):
            check_views(database, views, target, time_zone=time_zone)
            sources = list_sources(dataset, tables, address_of=address_of)
            loads = [_compare(source, database, target, full_refresh=full_refresh) for source in sources]
            for table in loads:
                if database.columns(table.name):
                    database.ensure_key(table.source.table)
            for table in loads:
                if table.has_changes:
                    _load(table, database, folder=folder.path, address_of=address_of, full_refresh=full_refresh)
            zone = create_views(database, views, target, time_zone=time_zone)
    finally:
        folder.delete()
    return {
        "warehouse": target.warehouse.value,
        "schema": target.schema,
        "tables": {table.name: _report(table) for table in loads},
        "views": [view.value for view in views],
        "time_zone": zone,
        "seconds": round(time.monotonic() - started, 3),
    }


def _identity(dataset: StoragePath) -> str:
    """Return the name under which the database keeps the record of a dataset. It does not contain the path."""
    return hashlib.sha256(str(dataset).encode()).hexdigest()[:16]


def _opened(
    target: Target, dataset: str, *, folder: Path, lock_timeout: float
) -> AbstractContextManager[TargetDatabase]:
    """Open and lock a database. Each kind imports packages of its own."""
    if target.warehouse is Warehouse.DUCKDB:
        from airflow_provider_engagement.warehouse.duckdb_database import open_duckdb

        return open_duckdb(target, dataset, folder=folder, lock_timeout=lock_timeout)
    if target.warehouse is Warehouse.POSTGRES:
        from airflow_provider_engagement.warehouse.postgres_database import open_postgres

        return open_postgres(target, dataset, lock_timeout=lock_timeout)
    from airflow_provider_engagement.warehouse.dlt_database import open_with_dlt

    return open_with_dlt(target, dataset, folder=folder)


def _compare(source: SourceTable, database: TargetDatabase, target: Target, *, full_refresh: bool) -> _Table:
    """Return a table with the partitions to load: all of them if the database lacks rows or a column."""
    name = source.table.name
    columns = database.columns(name)
    _check_shape(source.table, columns, target)
    record = database.record(name)
    is_complete = columns.keys() >= set(arrow_schema(source.table).names)
    if is_complete and record.rows and (gone := record.rows - database.count(name)) > 0:
        log.warning("%s: %s has lost %s. All partitions are loaded again.", target.name, name, counted(gone, "row"))
        is_complete = False
    known = record.partitions if record.partitions and is_complete and not full_refresh else {}
    return _Table(source=source, changed=changes(source, known), record=record, is_complete=is_complete)


def _check_shape(table: Table, found: Mapping[str, FoundColumn], target: Target) -> None:
    """Refuse a table in the database that this package has not created, or whose columns were changed.

    :raises WarehouseTableError: if it has another shape.
    """
    if not found:
        return
    place = f"{target.name}, table {target.schema}.{table.name}"
    expected = {field.name: field.type for field in arrow_schema(table)} | {LOAD_COLUMN: pyarrow.string()}
    for name in (*table.key, LOAD_COLUMN):
        if name not in found:
            raise WarehouseTableError(place, f"it has no column {name}")
    for name, kind in expected.items():
        if name in found and found[name].holds != kind:
            raise WarehouseTableError(place, f"its column {name} is {found[name].kind}, not {_TYPE_NAMES[kind]}")
    for name, column in found.items():
        if name not in expected and not column.is_nullable:
            raise WarehouseTableError(place, f"its column {name} must not be null, and the rows do not have it")


def _load(table: _Table, database: TargetDatabase, *, folder: Path, address_of: Locate, full_refresh: bool) -> None:
    """Load the changed partitions of a table."""

    def batches() -> Iterator[pyarrow.Table]:
        started = time.monotonic()
        for batch in changed_rows(table.source, table.changed, folder=folder, address_of=address_of):
            table.seconds += time.monotonic() - started
            yield batch
            started = time.monotonic()

    precedence = Precedence.NEWEST
    if full_refresh:
        # Another dataset can have read the same Tweets later. If it has read them at the same time, it is merged again.
        precedence = Precedence.FILE_IF_AS_NEW if table.record.has_other_datasets else Precedence.FILE
    table.written = database.load(
        TableLoad(
            table=table.source.table,
            batches=batches(),
            partitions=record_of(table.source),
            precedence=precedence,
            forgets_others=table.record.has_other_datasets and not table.is_complete,
        )
    )


def _report(table: _Table) -> dict[str, Any]:
    """Return what the load did to a table."""
    folders = table.source.folders
    written = table.written
    return {
        "rows": {
            "new": written.new,
            "changed": written.changed,
            "unchanged": written.read - written.new - written.changed,
        },
        "partitions": {
            "loaded": sum(map(len, table.changed.values())),
            "skipped": sum(len(folder.partitions) for folder in folders) - sum(map(len, table.changed.values())),
        },
        "versions": {folder.path: folder.version for folder in folders if folder.version is not None},
        "seconds": round(table.seconds, 3),
    }
