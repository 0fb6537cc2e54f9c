"""Loads into the databases that dlt knows, with what they have in common: rows are replaced by key.

dlt cannot merge metric by metric. So the rows of the database that can have the keys of the new ones are read into a
DuckDB file on the worker, which merges them by the rule of this package, and dlt gets the rows that differ.

Staged rows belong to one load: their schema has a name of its own, and is dropped after the load. What a killed load
leaves, a later one drops.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dlt
import duckdb
import pyarrow
import pyarrow.parquet
from dlt.destinations.exceptions import DatabaseException, DatabaseTerminalException, DatabaseUndefinedRelation

from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import TABLES, Table
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.duckdb_database import DuckDbDatabase, transaction
from airflow_provider_engagement.warehouse.isolated_dlt import isolated_dlt
from airflow_provider_engagement.warehouse.merge_statements import LOAD_COLUMN, Precedence, literal
from airflow_provider_engagement.warehouse.sql_database import TIMESTAMP
from airflow_provider_engagement.warehouse.target_database import (
    FOREIGN_VIEW,
    OTHER_VIEW_COLUMNS,
    FoundColumn,
    Record,
    Relation,
    TableLoad,
    TargetDatabase,
    Written,
    check_counts,
)
from airflow_provider_engagement.warehouse.view_queries import MARK

log = logging.getLogger(__name__)

SCHEMA_NAME = "engagement"
"""The name of dlt's schema, by which its own tables tell this package from other users of dlt."""

STAGING_INFIX = "_engagement_staging_"
"""What the name of a schema for staged rows has between the name of the schema and the time of the load."""

_SECONDS_UNTIL_ABANDONED = 86_400.0
_SHORTEST_TEXT = 4_000
_ROWS_PER_BATCH = 65_536
_KEYS_PER_QUERY = 500
_PARTITIONS = "partitions"
_ROWS = "rows"

_TYPES: Mapping[pyarrow.DataType, str] = {
    pyarrow.string(): "text",
    pyarrow.int64(): "bigint",
    pyarrow.bool_(): "bool",
    pyarrow.date32(): "date",
    TIMESTAMP: "timestamp",
}
"""dlt's name of each type that the tables have."""


class DltDatabase:
    """A database that dlt loads into.

    :param pipeline: dlt's pipeline, whose state is that of the database.
    :param target: the database.
    :param folder: a folder for temporary files.
    """

    def __init__(self, pipeline: dlt.Pipeline, target: Target, folder: Path) -> None:
        self._pipeline = pipeline
        self._target = target
        self._folder = folder
        self.dialect = str(pipeline.destination.capabilities().sqlglot_dialect)

    def qualified(self, name: str) -> str:
        """Return the quoted name of a table or view, with its schema."""
        with self._pipeline.sql_client() as client:
            return str(client.make_qualified_table_name(name))

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement, and return its rows."""
        with self._pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(statement) or ()]

    def relations(self) -> Mapping[str, Relation]:
        """Return what the schema has. Not all of these databases have comments, so a view is known by its query."""
        catalogue = "information_schema"
        if self._target.warehouse is Warehouse.BIGQUERY:
            if not any(self.columns(table.name) for table in TABLES.values()):
                return {}
            catalogue = f"{self.qualified('x').rpartition('.')[0]}.INFORMATION_SCHEMA"
        rows = self.execute(
            "SELECT tables.table_name, CASE WHEN views.table_name IS NULL THEN 'table' "  # noqa: S608
            f"ELSE {literal(FOREIGN_VIEW)} END, views.view_definition "
            f"FROM {catalogue}.tables AS tables LEFT JOIN {catalogue}.views AS views "
            "ON views.table_schema = tables.table_schema AND views.table_name = tables.table_name "
            f"WHERE lower(tables.table_schema) = lower({literal(self._target.schema)})"
        )
        mark = re.compile(rf"\b{MARK}\b", re.IGNORECASE)
        return {
            str(name).lower(): Relation(kind=str(kind), is_ours=mark.search(str(definition)) is not None)
            for name, kind, definition in rows
        }

    def has_view(self, name: str, query: str) -> bool:
        """Return that nothing is known of a view: it is replaced."""
        return False

    def make_view(self, name: str, query: str) -> str | None:
        """Create a view or replace it, and return what the database says if it rejects it."""
        problem = self._attempt(f"CREATE OR REPLACE VIEW {name} AS {query}")
        if problem is not None and OTHER_VIEW_COLUMNS.search(problem):
            problem = self._attempt(f"DROP VIEW {name}") or self._attempt(f"CREATE VIEW {name} AS {query}")
        return problem

    def _attempt(self, statement: str) -> str | None:
        """Execute a statement, and return what the database says if it rejects it."""
        try:
            self.execute(statement)
        except DatabaseTerminalException as error:
            return str(error)
        return None

    def columns(self, name: str) -> dict[str, FoundColumn]:
        """Return the columns of a table by name in lower case, or none if there is no such table."""
        with self._pipeline.destination_client() as client:
            if not client.is_storage_initialized():
                return {}
            # The client is that of a SQL database, but dlt declares a client of any destination.
            ((_, existing),) = client.get_storage_tables([name])  # type: ignore[attr-defined]
            return {column.lower(): _column(properties) for column, properties in existing.items()}

    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        return int(str(self.execute(f"SELECT count(*) FROM {self.qualified(name)}")[0][0]))  # noqa: S608

    def ensure_key(self, table: Table) -> None:
        """Do nothing: these databases sort or partition their columns themselves."""

    def record(self, name: str) -> Record:
        """Return what is recorded of a table. dlt keeps a record for each dataset, which does not know the others."""
        resources: Mapping[str, Any] = self._pipeline.state.get("sources", {}).get(SCHEMA_NAME, {}).get("resources", {})
        state = resources.get(name, {})
        return Record(partitions=state.get(_PARTITIONS), rows=state.get(_ROWS, 0), has_other_datasets=True)

    def load(self, load: TableLoad) -> Written:
        """Merge rows into a table, which is created or gets its missing columns first, and record the partitions.

        :raises WarehouseError: if the table does not have each row afterwards.
        """
        table = load.table
        spooled = _Spool(self._folder / f"{table.name}.parquet", table)
        spooled.write(load.batches)
        columns = self.columns(table.name)
        if columns and self.count(table.name):
            with self._merged(load, spooled, columns) as (written, rows):
                self._write(table, rows, written)
        else:
            written = Written(read=spooled.rows, new=spooled.rows, changed=0)
            self._write(table, spooled.batches(), written)
        rows_after = self.count(table.name)
        if load.precedence is Precedence.FILE_IF_AS_NEW and written.changed:
            self._forget_other_datasets()

        def record() -> Iterator[pyarrow.Table]:
            yield _loaded_schema(table).empty_table()
            dlt.current.resource_state().update({_PARTITIONS: dict(load.partitions), _ROWS: rows_after})

        self._run(table, record)
        return written

    @contextmanager
    def _merged(
        self, load: TableLoad, spooled: _Spool, columns: Mapping[str, FoundColumn]
    ) -> Iterator[tuple[Written, Iterator[pyarrow.Table]]]:
        """Merge rows with those of the database on the worker, and return the rows that differ from these."""
        table = load.table
        path = self._folder / f"{table.name}.merge.duckdb"
        scratch = Target(
            warehouse=Warehouse.DUCKDB, schema="merge", name=self._target.name, settings={"credentials": str(path)}
        )
        with duckdb.connect(str(path)) as connection, transaction(connection, scratch, "merge") as database:
            before = TableLoad(
                table=table,
                batches=self._rows_with_keys_like(
                    spooled, [name for name in arrow_schema(table).names if name in columns]
                ),
                partitions={},
                precedence=Precedence.NEWEST,
                forgets_others=False,
            )
            DuckDbDatabase(connection, scratch, "before", load_id="before").load(before)
            written = database.load(
                TableLoad(
                    table=table,
                    batches=spooled.batches(),
                    partitions={},
                    precedence=load.precedence,
                    forgets_others=False,
                )
            )
            yield written, database.rows_of_load(table)
        path.unlink()

    def _rows_with_keys_like(self, spooled: _Spool, names: Sequence[str]) -> Iterator[pyarrow.Table]:
        """Yield the rows of the database whose keys can be those of the new rows."""
        schema = arrow_schema(spooled.table)
        with self._pipeline.sql_client() as client:
            place = client.make_qualified_table_name(spooled.table.name)
            selected = ", ".join(map(client.escape_column_name, names))
            chosen = client.escape_column_name(spooled.column)
            for condition, values in spooled.conditions(chosen):
                query = f"SELECT {selected} FROM {place} WHERE {condition}"  # noqa: S608
                with client.execute_query(query, *values) as cursor:
                    for rows in cursor.iter_fetch(_ROWS_PER_BATCH):
                        found = dict(zip(names, zip(*rows, strict=True), strict=True))
                        yield pyarrow.Table.from_arrays(
                            [_array(found.get(field.name), field.type, len(rows)) for field in schema],
                            schema=pyarrow.schema([field.with_nullable(True) for field in schema]),
                        )

    def _write(self, table: Table, rows: Iterator[pyarrow.Table], written: Written) -> None:
        """Let dlt replace rows by key, and check that they have arrived."""
        loaded = _loaded_schema(table)

        def batches() -> Iterator[pyarrow.Table]:
            # Without a batch, dlt would not create the table.
            yield loaded.empty_table()
            for batch in rows:
                yield batch.cast(loaded)

        load_id = self._run(table, batches)
        with self._pipeline.sql_client() as client:
            column = client.escape_column_name(LOAD_COLUMN)
            place = client.make_qualified_table_name(table.name)
            found = client.execute_sql(f"SELECT count(*) FROM {place} WHERE {column} = %s", load_id)  # noqa: S608
        expected = written.new + written.changed
        arrived = int(found[0][0]) if found else 0
        check_counts(self._target, table, read=written.read, merged=written.read - expected + arrived)

    def _run(self, table: Table, rows: Any) -> str:
        """Run dlt with the rows of one table, and return the id of its load."""
        self._forget_schema_versions()
        make_resource: Any = dlt.resource
        resource = make_resource(
            rows,
            name=table.name,
            primary_key=list(table.key),
            columns=[
                {"name": field.name, "data_type": _TYPES[field.type], "nullable": field.nullable}
                for field in arrow_schema(table)
            ],
            write_disposition={"disposition": "merge", "strategy": self._target.traits.strategy},
            schema_contract={"data_type": "freeze"},
        )

        def resources() -> list[Any]:
            return [resource]

        source = dlt.source(resources, schema=dlt.Schema(SCHEMA_NAME))()
        info = self._pipeline.run(source, loader_file_format=cast(Any, self._target.traits.file_format))
        info.raise_on_failed_jobs()
        return str(info.loads_ids[0])

    def _forget_schema_versions(self) -> None:
        """Let dlt compare its tables with those in the database, where a table or a column may be missing now."""
        with self._pipeline.sql_client() as client:
            for staging in (False, True):
                with client.with_staging_dataset() if staging else nullcontext(), suppress(DatabaseUndefinedRelation):
                    table = client.make_qualified_table_name("_dlt_version")
                    # BigQuery requires a condition.
                    client.execute_sql(f"DELETE FROM {table} WHERE 1 = 1")  # noqa: S608

    def _forget_other_datasets(self) -> None:
        """Let the next load of each other dataset read all of its files again."""
        with self._pipeline.sql_client() as client:
            table = client.make_qualified_table_name("_dlt_pipeline_state")
            column = client.escape_column_name("pipeline_name")
            client.execute_sql(
                f"DELETE FROM {table} WHERE {column} LIKE %s AND {column} <> %s",  # noqa: S608
                f"{SCHEMA_NAME}_%",
                self._pipeline.pipeline_name,
            )

    def drop_staged_rows(self) -> None:
        """Drop the schema of this load's staged rows, and those that killed loads have left for a day."""
        with self._pipeline.sql_client() as client:
            names = [client.staging_dataset_name]
            with suppress(DatabaseException):
                prefix = f"{self._target.schema}{STAGING_INFIX}".lower()
                found = client.execute_sql("SELECT schema_name FROM information_schema.schemata") or ()
                latest = time.time() - _SECONDS_UNTIL_ABANDONED
                for (name,) in found:
                    started = str(name).lower().removeprefix(prefix).partition("_")[0]
                    if str(name).lower().startswith(prefix) and started.isdigit() and int(started) < latest:
                        names.append(str(name))
            for name in names:
                with client.with_alternative_dataset_name(name), suppress(DatabaseException):
                    client.drop_dataset()


class _Spool:
    """The rows to merge, in a file on the worker.

    :param path: the file.
    :param table: the table.
    """

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self.table = table
        schema = arrow_schema(table)
        times = [name for name in table.key if schema.field(name).type == TIMESTAMP]
        self.column = times[0] if times else "run_id"
        """The column of the key by which the rows of the database are chosen."""
        self._values: set[Any] = set()
        self.rows = 0

    def write(self, batches: Iterable[pyarrow.Table]) -> None:
        """Write rows to the file."""
        schema = pyarrow.schema([field.with_nullable(True) for field in arrow_schema(self.table)])
        with pyarrow.parquet.ParquetWriter(self._path, schema) as writer:
            for batch in batches:
                writer.write_table(batch.cast(schema))
                self._values.update(batch[self.column].unique().to_pylist())
                self.rows += batch.num_rows

    def batches(self) -> Iterator[pyarrow.Table]:
        """Yield the rows."""
        with pyarrow.parquet.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH):
                yield pyarrow.Table.from_batches([batch])

    def conditions(self, column: str) -> Iterator[tuple[str, list[Any]]]:
        """Yield conditions in SQL, with their values, that no row meets twice and that each key of the rows meets.

        :param column: the quoted name of the column.
        """
        values = sorted(self._values)
        if values and isinstance(values[0], datetime):
            start = end = values[0]
            for value in values[1:]:
                if value - end > timedelta(days=1):
                    yield f"{column} BETWEEN %s AND %s", [start, end]
                    start = value
                end = value
            yield f"{column} BETWEEN %s AND %s", [start, end]
            return
        for first in range(0, len(values), _KEYS_PER_QUERY):
            some = values[first : first + _KEYS_PER_QUERY]
            yield f"{column} IN ({', '.join(['%s'] * len(some))})", some


@contextmanager
def open_with_dlt(target: Target, dataset: str, *, folder: Path) -> Iterator[TargetDatabase]:
    """Open a database with dlt. It is not locked.

    :param target: the database.
    :param dataset: the dataset's name in the record.
    :param folder: a folder for temporary files.
    """
    settings: dict[str, Any] = {
        **target.settings,
        "enable_dataset_name_normalization": False,
        "staging_dataset_name_layout": f"%s{STAGING_INFIX}{time.time():.0f}_{uuid.uuid4().hex[:8]}",
    }
    with isolated_dlt(folder):
        pipeline = dlt.pipeline(
            f"{SCHEMA_NAME}_{dataset}",
            pipelines_dir=str(folder),
            destination=getattr(dlt.destinations, target.warehouse.value)(**settings),
            dataset_name=target.schema,
        )
        pipeline.sync_destination()
        database = DltDatabase(pipeline, target, folder)
        try:
            yield database
        finally:
            with suppress(Exception):
                database.drop_staged_rows()


def _loaded_schema(table: Table) -> pyarrow.Schema:
    """Return the columns with the precision of times that dlt expects."""
    micros = pyarrow.timestamp("us", "UTC")
    return pyarrow.schema(
        [field.with_type(micros) if field.type == TIMESTAMP else field for field in arrow_schema(table)]
    )


def _column(properties: Mapping[str, Any]) -> FoundColumn:
    """Return a column as dlt describes it. The precision of an integer is in bits or in digits."""
    kind, precision = str(properties["data_type"]), properties.get("precision")
    is_too_small = precision is not None and (
        (kind == "text" and precision < _SHORTEST_TEXT)
        or (kind == "bigint" and (precision < 19 or precision == 32))
        or (kind == "timestamp" and precision < 3)
    )
    name = f"{kind}({precision})" if precision is not None else kind
    holds = None if is_too_small else next((arrow for arrow, found in _TYPES.items() if found == kind), None)
    return FoundColumn(kind=name, holds=holds, is_nullable=bool(properties.get("nullable", True)))


def _array(values: Sequence[Any] | None, kind: pyarrow.DataType, length: int) -> pyarrow.Array:
    """Return values that a client of a database has read as a column. Some clients return counts as decimals."""
    if values is None:
        return pyarrow.nulls(length, kind)
    if kind == pyarrow.int64():
        values = [None if value is None else int(value) for value in values]
    return pyarrow.array(values, kind)
