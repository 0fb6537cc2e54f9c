"""Loads into a DuckDB file. DuckDB allows one writing process, so the file stays open while the load runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow

from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.guarded_batches import GuardedBatches
from airflow_provider_engagement.warehouse.merge_statements import LOAD_COLUMN, literal, quoted
from airflow_provider_engagement.warehouse.sql_database import TIMESTAMP, SqlDatabase, column_names
from airflow_provider_engagement.warehouse.target_database import (
    FOREIGN_VIEW,
    VIEW_COMMENT,
    Busy,
    FoundColumn,
    Relation,
    TargetDatabase,
    until_free,
)

_STORAGE_VERSION = "v1.1.0"
"""The oldest version of DuckDB that can open a new file. A file that exists keeps its version."""

_MEMORY_LIMIT = "1GB"
"""How much memory DuckDB uses before it writes to the folder for temporary files."""

_BATCHES = "engagement_batches"
_ROWS_PER_BATCH = 65_536

_HOLDS: Mapping[str, pyarrow.DataType] = MappingProxyType(
    {
        "VARCHAR": pyarrow.string(),
        "BIGINT": pyarrow.int64(),
        "BOOLEAN": pyarrow.bool_(),
        "DATE": pyarrow.date32(),
        "TIMESTAMP WITH TIME ZONE": TIMESTAMP,
    }
)

_ONE_AT_A_TIME = threading.Lock()
"""DuckDB lets the threads of one process write to a file at the same time."""


class DuckDbDatabase(SqlDatabase):
    """A DuckDB file in a transaction.

    :param connection: the open file.
    :param target: the database.
    :param dataset: the dataset's name in the record.
    :param load_id: the id of the load; by default the time.
    """

    dialect = "duckdb"
    time_text = "strftime({} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')"

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, target: Target, dataset: str, *, load_id: str | None = None
    ) -> None:
        super().__init__(target, dataset, load_id=load_id)
        self._connection = connection

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement, and return its rows."""
        return self._connection.execute(statement).fetchall()

    def relations(self) -> Mapping[str, Relation]:
        """Return what the schema has. DuckDB forgets the comment of a view that is replaced."""
        of_schema = (
            f"WHERE database_name = current_database() AND lower(schema_name) = lower({literal(self._target.schema)})"
        )
        rows = self.execute(
            f"SELECT lower(view_name), {literal(FOREIGN_VIEW)}, comment FROM duckdb_views() {of_schema} "  # noqa: S608
            f"UNION ALL SELECT lower(table_name), 'table', NULL FROM duckdb_tables() {of_schema}"
        )
        return {str(name): Relation(kind=str(kind), is_ours=comment == VIEW_COMMENT) for name, kind, comment in rows}

    def has_view(self, name: str, query: str) -> bool:
        """Return that nothing is known of a view. To replace one holds nobody up."""
        return False

    def make_view(self, name: str, query: str) -> str | None:
        """Create a view or replace it, mark it, and return what DuckDB says if it rejects it."""
        try:
            self.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
        except (duckdb.CatalogException, duckdb.BinderException, duckdb.DependencyException) as error:
            return str(error)
        self.execute(f"COMMENT ON VIEW {name} IS {literal(VIEW_COMMENT)}")
        return None

    def modify(self, statement: str) -> int:
        """Execute a statement that writes rows, and return how many."""
        return int(str(self.execute(statement)[0][0]))

    def append(
        self, place: str, schema: pyarrow.Schema, batches: Iterator[pyarrow.Table], *, load_id: str | None = None
    ) -> int:
        """Write rows to a table in bulk, and return how many."""
        guarded = GuardedBatches(batches)
        nullable = pyarrow.schema([field.with_nullable(True) for field in schema])
        reader = pyarrow.RecordBatchReader.from_batches(
            nullable, (batch for table in guarded for batch in table.cast(nullable).to_batches())
        )
        names = values = column_names(schema)
        if load_id is not None:
            names, values = f"{names}, {quoted(LOAD_COLUMN)}", f"{values}, {literal(load_id)}"
        with guarded.raised():
            self._connection.register(_BATCHES, reader)
            try:
                return self.modify(f"INSERT INTO {place} ({names}) SELECT {values} FROM {_BATCHES}")  # noqa: S608
            finally:
                self._connection.unregister(_BATCHES)

    def ensure_key(self, table: Table) -> None:
        """Do nothing: DuckDB finds rows by the smallest and the greatest value of each block."""

    def analyze(self, name: str) -> None:
        """Do nothing: DuckDB counts while it writes."""

    def rows_of_load(self, table: Table) -> Iterator[pyarrow.Table]:
        """Yield the rows of a table that this load has written."""
        names = column_names(arrow_schema(table))
        reader: Any = self._connection.sql(
            f"SELECT {names} FROM {self.qualified(table.name)} "  # noqa: S608
            f"WHERE {quoted(LOAD_COLUMN)} = {literal(self.load_id)}"
        ).to_arrow_reader(_ROWS_PER_BATCH)
        for batch in reader:
            yield pyarrow.Table.from_batches([batch])

    def columns(self, name: str) -> dict[str, FoundColumn]:
        """Return the columns of a table by name in lower case, since DuckDB does not tell cases apart."""
        rows: Any = self.execute(
            "SELECT lower(c.column_name), c.data_type, c.is_nullable, t.table_type "  # noqa: S608
            "FROM information_schema.columns c JOIN information_schema.tables t "
            "ON t.table_catalog = c.table_catalog AND t.table_schema = c.table_schema AND t.table_name = c.table_name "
            "WHERE c.table_catalog = current_database() "
            f"AND lower(c.table_schema) = lower({literal(self._target.schema)}) "
            f"AND lower(c.table_name) = lower({literal(name)})"
        )
        return {
            column: FoundColumn(
                kind="a column of a view" if table_type == "VIEW" else kind.lower(),
                holds=None if table_type == "VIEW" else _HOLDS.get(kind),
                is_nullable=is_nullable == "YES",
            )
            for column, kind, is_nullable, table_type in rows
        }


@contextmanager
def open_duckdb(target: Target, dataset: str, *, folder: Path, lock_timeout: float) -> Iterator[TargetDatabase]:
    """Open a DuckDB file in a transaction, which is committed at the end of the block.

    :param target: the database.
    :param dataset: the dataset's name in the record.
    :param folder: a folder for temporary files.
    :param lock_timeout: how long to wait for a file that another process has open, in seconds.
    :raises WarehouseError: if another process has it open for longer.
    """
    path, temporary = str(target.settings["credentials"]), str(folder / "duckdb")

    def attempt() -> duckdb.DuckDBPyConnection:
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise Busy("another thread of this process loads into a DuckDB file")
        try:
            return _connect(path, temporary)
        except BaseException:
            _ONE_AT_A_TIME.release()
            raise

    connection = until_free(attempt, target, lock_timeout)
    try:
        with transaction(connection, target, dataset) as database:
            yield database
    finally:
        try:
            connection.close()
        finally:
            _ONE_AT_A_TIME.release()


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection, target: Target, dataset: str) -> Iterator[DuckDbDatabase]:
    """Run a block in a transaction of an open file."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.begin()
    try:
        yield DuckDbDatabase(connection, target, dataset)
        connection.commit()
    except BaseException:
        # An error can have ended the transaction.
        with suppress(duckdb.Error):
            connection.rollback()
        raise


def _connect(path: str, temporary: str) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(
            path,
            config={
                "temp_directory": temporary,
                "memory_limit": _MEMORY_LIMIT,
                "storage_compatibility_version": _STORAGE_VERSION,
            },
        )
    except duckdb.IOException as error:
        if "lock" in str(error).lower() and Path(path).exists():
            raise Busy("another process has the file open") from None
        raise
