"""Load the changed partitions of a dataset into the tables of a database.

1. The task locks the database, as far as the database can do that.
2. dlt restores its state from the database: for each partition, the identity of the files that were loaded last.
3. The rows of all partitions that differ go to staging tables, and from there into the tables, in one transaction for
   each table: a row of a known key replaces the old one, other rows are added, and none is deleted.
4. dlt stores the new state, and then marks the load as complete. The state of an incomplete load does not count.

So a load that is killed leaves each table as it was before or after step 3, and the next one reads the same partitions
again. Rows that are the same already do not change.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dlt
import pyarrow

from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, TableAddress
from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.guest import guest
from airflow_provider_engagement.warehouse.keys import create_keys
from airflow_provider_engagement.warehouse.load_errors import named_errors
from airflow_provider_engagement.warehouse.source_partitions import (
    SourceTable,
    changes,
    list_sources,
    record_of,
)
from airflow_provider_engagement.warehouse.source_rows import changed_rows
from airflow_provider_engagement.warehouse.target_database import TargetTables, locked, opened
from airflow_provider_engagement.warehouse.view_names import View
from airflow_provider_engagement.warehouse.views import check_views, create_views

SCHEMA_NAME = "engagement"
"""The name of dlt's schema, by which its own tables tell this package from other users of dlt."""

LOAD_COLUMN = "_dlt_load_id"
"""The column that names the load that wrote a row last."""

_PARTITIONS = "partitions"
_TIMESTAMP = pyarrow.timestamp("us", "UTC")
_TYPES: Mapping[pyarrow.DataType, str] = {
    pyarrow.string(): "text",
    pyarrow.int64(): "bigint",
    pyarrow.bool_(): "bool",
    pyarrow.date32(): "date",
    pyarrow.timestamp("ms", "UTC"): "timestamp",
}
"""dlt's name of each type that the tables have."""


@dataclass(kw_only=True, slots=True)
class _Table:
    """A table during its load.

    :param source: its partitions.
    :param record: the partitions that an earlier load recorded.
    :param changed: the partitions to load.
    :param rows_before: how many rows the database had.
    """

    source: SourceTable
    record: Mapping[str, Mapping[str, str]]
    changed: Mapping[str, frozenset[str]]
    rows_before: int
    rows_read: int = 0
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.source.table.name

    @property
    def has_changes(self) -> bool:
        return any(self.changed.values())


def load_dataset(
    dataset: StoragePath,
    *,
    tables: Sequence[str],
    target: Target,
    views: Sequence[View] = (),
    time_zone: str | None = None,
    address_of: TableAddress,
    lock_timeout: float,
) -> dict[str, Any]:
    """Load what has changed in a dataset since the last load, and create views.

    :param dataset: the folder of the dataset.
    :param tables: the names of the tables to load. The dataset has them.
    :param target: the database.
    :param views: the views to create or replace.
    :param time_zone: the time zone of the days and hours of day in views.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :param lock_timeout: how long to wait for another task that loads into the same database, in seconds.
    :return: for each table, the numbers of its rows and partitions; and the names of the views.
    :raises IncompatibleTableError: if a table of the dataset has another type or layout.
    :raises MissingExtraError: if dlt lacks a package for the database.
    :raises StorageError: if the storage of a Delta table fails.
    :raises WarehouseAccessError: if the database rejects the credentials or does not allow to write.
    :raises WarehouseError: if the load fails or the database stays locked.
    :raises WarehouseTableError: if a table in the database has another shape.
    :raises WarehouseViewError: if a table or a view of someone else has the name of a view.
    """
    started = time.monotonic()
    with (
        named_errors(target),
        guest() as folder,
        opened(target, folder=folder, lock_timeout=lock_timeout) as destination,
    ):
        pipeline = dlt.pipeline(
            _pipeline_name(dataset), pipelines_dir=str(folder), destination=destination, dataset_name=target.schema
        )
        with locked(pipeline, target, lock_timeout=lock_timeout):
            pipeline.sync_destination()
            check_views(pipeline, views, target)
            database = TargetTables(pipeline, target)
            sources = list_sources(dataset, tables, address_of=address_of)
            loads = _compare(sources, database, pipeline, target)
            keyed = [source.table for source in sources]
            create_keys(pipeline, keyed, target)
            load_id = _run(pipeline, database, loads, target, folder=folder, address_of=address_of)
            create_keys(pipeline, keyed, target)
            report = {table.name: _report(table, database, load_id, target) for table in loads}
            create_views(pipeline, views, target, time_zone=time_zone)
    return {
        "warehouse": target.warehouse.value,
        "schema": target.schema,
        "tables": report,
        "views": [view.value for view in views],
        "seconds": round(time.monotonic() - started, 3),
    }


def _pipeline_name(dataset: StoragePath) -> str:
    """Return the name under which the database keeps the state for a dataset. It does not contain the path."""
    return f"{SCHEMA_NAME}_{hashlib.sha256(str(dataset).encode()).hexdigest()[:16]}"


def _compare(
    sources: Sequence[SourceTable], database: TargetTables, pipeline: dlt.Pipeline, target: Target
) -> list[_Table]:
    """Return the tables with the partitions to load: all of them if the database lacks the rows or a column."""
    columns = database.columns([source.table.name for source in sources])
    states: Mapping[str, Any] = pipeline.state.get("sources", {}).get(SCHEMA_NAME, {}).get("resources", {})
    loads = []
    for source in sources:
        name = source.table.name
        _check_shape(source.table, columns[name], target)
        rows = database.count(name) if columns[name] else 0
        # Rows that were loaded without a column lack its values.
        is_whole = rows > 0 and columns[name].keys() >= set(arrow_schema(source.table).names)
        record = states.get(name, {}).get(_PARTITIONS, {}) if is_whole else {}
        loads.append(_Table(source=source, record=record, changed=changes(source, record), rows_before=rows))
    return loads


def _check_shape(table: Table, found: Mapping[str, Mapping[str, Any]], target: Target) -> None:
    """Refuse a table in the database that this package has not created, or whose columns were changed.

    :raises WarehouseTableError: if it has another shape.
    """
    if not found:
        return
    place = f"{target.name}, table {target.schema}.{table.name}"
    expected = {field.name: _TYPES[field.type] for field in arrow_schema(table)} | {LOAD_COLUMN: "text"}
    for column in (*table.key, LOAD_COLUMN):
        if column not in found:
            raise WarehouseTableError(place, f"it has no column {column}")
    for column, kind in expected.items():
        if column in found and found[column]["data_type"] != kind:
            raise WarehouseTableError(place, f"its column {column} is {found[column]['data_type']}, not {kind}")
    for column, properties in found.items():
        if column not in expected and not properties.get("nullable", True):
            raise WarehouseTableError(place, f"its column {column} must not be null, and the rows do not have it")


def _run(
    pipeline: dlt.Pipeline,
    database: TargetTables,
    tables: Sequence[_Table],
    target: Target,
    *,
    folder: Path,
    address_of: TableAddress,
) -> str | None:
    """Load the tables that have changes, and return the id of the load. Without changes, there is no load."""
    changed = [table for table in tables if table.has_changes]
    if not changed:
        return None
    database.forget_schema_versions()

    def resources() -> list[Any]:
        return [_resource(table, target, folder=folder, address_of=address_of) for table in changed]

    source = dlt.source(resources, schema=dlt.Schema(SCHEMA_NAME))()
    info = pipeline.run(source, loader_file_format=cast(Any, target.traits.file_format))
    info.raise_on_failed_jobs()
    return str(info.loads_ids[0])


def _resource(table: _Table, target: Target, *, folder: Path, address_of: TableAddress) -> Any:
    """Return the rows of a table for dlt. The record of its partitions follows them."""
    source = table.source
    schema = arrow_schema(source.table)
    loaded = pyarrow.schema([field.with_type(_TIMESTAMP) if _is_time(field) else field for field in schema])

    def rows() -> Iterator[pyarrow.Table]:
        started = time.monotonic()
        # Without a batch, dlt would not create the table.
        yield loaded.empty_table()
        for batch in changed_rows(source, table.changed, folder=folder, address_of=address_of):
            table.rows_read += batch.num_rows
            yield batch.cast(loaded)
        dlt.current.resource_state()[_PARTITIONS] = record_of(source)
        table.seconds = time.monotonic() - started

    disposition: dict[str, Any] = {"disposition": "merge", "strategy": target.traits.strategy}
    if target.traits.skips_unchanged:
        disposition["skip_unchanged_rows"] = True
    make_resource: Any = dlt.resource
    return make_resource(
        rows,
        name=source.table.name,
        primary_key=list(source.table.key),
        columns=[{"name": field.name, "data_type": _TYPES[field.type], "nullable": field.nullable} for field in schema],
        write_disposition=disposition,
        schema_contract={"data_type": "freeze"},
    )


def _is_time(field: pyarrow.Field) -> bool:
    return bool(pyarrow.types.is_timestamp(field.type))


def _report(table: _Table, database: TargetTables, load_id: str | None, target: Target) -> dict[str, Any]:
    """Return what the load did to a table.

    The database names the load in each row that it wrote, so the numbers are those of the database.
    """
    new = changed = 0
    if table.has_changes and load_id is not None:
        rows, written = database.count_written(table.name, load_id)
        new = rows - table.rows_before
        changed = written - new
    folders = table.source.folders
    return {
        "rows": {"new": new, "changed": changed, "unchanged": table.rows_read - new - changed},
        "partitions": {
            "loaded": sum(map(len, table.changed.values())),
            "skipped": sum(len(folder.partitions) for folder in folders) - sum(map(len, table.changed.values())),
        },
        "versions": {folder.path: folder.version for folder in folders if folder.version is not None},
        "seconds": round(table.seconds, 3),
    }
