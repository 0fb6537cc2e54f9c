"""A load in one session and one transaction of a database: what DuckDB and PostgreSQL share.

Everything happens in one transaction: the lock, the staged rows, the merge, the record of what was loaded, and the
views. If the session ends, whatever the reason, nothing of the load remains, and the lock is gone with it. Staged rows
are in temporary tables, which no other session can see.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow

from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.guarded_batches import CountedBatches
from airflow_provider_engagement.warehouse.keys import same_key_error
from airflow_provider_engagement.warehouse.merge_statements import (
    CHANGES,
    LOAD_COLUMN,
    STAGED,
    MergeStatements,
    literal,
    quoted,
    quoted_list,
)
from airflow_provider_engagement.warehouse.target_database import (
    FoundColumn,
    Record,
    Relation,
    TableLoad,
    Written,
    check_counts,
)

TIMESTAMP = pyarrow.timestamp("ms", "UTC")

_TYPES: Mapping[pyarrow.DataType, str] = MappingProxyType(
    {
        pyarrow.string(): "VARCHAR",
        pyarrow.int64(): "BIGINT",
        pyarrow.bool_(): "BOOLEAN",
        pyarrow.date32(): "DATE",
        TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    }
)
"""The type of each column, in the words that both databases know."""

LOAD_FIELD = pyarrow.field(LOAD_COLUMN, pyarrow.string(), nullable=False)

_PARTITIONS = "_engagement_partitions"
_TABLES = "_engagement_tables"

_RECORD_SCHEMAS: Mapping[str, pyarrow.Schema] = MappingProxyType(
    {
        _PARTITIONS: pyarrow.schema(
            [
                pyarrow.field(name, pyarrow.string(), nullable=False)
                for name in ("dataset", "table_name", "folder", "partition_name", "files")
            ]
        ),
        _TABLES: pyarrow.schema(
            [
                pyarrow.field("dataset", pyarrow.string(), nullable=False),
                pyarrow.field("table_name", pyarrow.string(), nullable=False),
                pyarrow.field("table_rows", pyarrow.int64(), nullable=False),
            ]
        ),
    }
)
"""The tables of the record: which files of which dataset a table has, and how many rows it had after a load."""


class SqlDatabase(ABC):
    """One session of a database, in a transaction.

    :param target: the database.
    :param dataset: the dataset's name in the record.
    :param load_id: the id of the load; by default the time.
    """

    dialect: str
    time_text: str
    """The expression that turns ``{}``, a time, into a text in the form of ``older_counts``."""

    def __init__(self, target: Target, dataset: str, *, load_id: str | None = None) -> None:
        self._target = target
        self._dataset = dataset
        self.load_id = load_id or f"{time.time():.6f}"

    @abstractmethod
    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement, and return its rows."""

    @abstractmethod
    def relations(self) -> Mapping[str, Relation]:
        """Return what the schema has, by name in lower case: tables, views and others."""

    @abstractmethod
    def has_view(self, name: str, query: str) -> bool:
        """Return whether a view is known to have a query already."""

    @abstractmethod
    def make_view(self, name: str, query: str) -> str | None:
        """Create a view or replace it, mark it, and return what the database says if it rejects it."""

    @abstractmethod
    def modify(self, statement: str) -> int:
        """Execute a statement that writes rows, and return how many."""

    @abstractmethod
    def append(
        self, place: str, schema: pyarrow.Schema, batches: Iterator[pyarrow.Table], *, load_id: str | None = None
    ) -> int:
        """Write rows to a table in bulk, and return how many. An error of ``batches`` is raised as it is.

        :param place: the quoted name of the table.
        :param schema: the columns of the rows.
        :param batches: the rows.
        :param load_id: the id of the load, for a table that has the column.
        """

    @abstractmethod
    def columns(self, name: str) -> dict[str, FoundColumn]:
        """Return the columns of a table, or none if there is no such table."""

    @abstractmethod
    def ensure_key(self, table: Table) -> None:
        """Make sure that a table has the index of its key, if the database needs one.

        :raises WarehouseTableError: if two rows of the table have the same key.
        """

    @abstractmethod
    def analyze(self, name: str) -> None:
        """Let the database count what a table has, for the plans of the queries."""

    def qualified(self, name: str) -> str:
        """Return the quoted name of a table or view, with its schema."""
        return f"{quoted(self._target.schema)}.{quoted(name)}"

    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        return self._number(f"SELECT count(*) FROM {self.qualified(name)}")  # noqa: S608

    def record(self, name: str) -> Record:
        """Return what is recorded of a table."""
        found = [self._has_record(table) for table in _RECORD_SCHEMAS]
        if not all(found):
            return Record()
        rows = self.execute(
            f"SELECT folder, partition_name, files FROM {self.qualified(_PARTITIONS)} "  # noqa: S608
            f"WHERE dataset = {literal(self._dataset)} AND table_name = {literal(name)}"
        )
        partitions: dict[str, dict[str, str]] = {}
        for folder, partition, files in rows:
            partitions.setdefault(str(folder), {})[str(partition)] = str(files)
        numbers = self.execute(
            f"SELECT dataset, table_rows FROM {self.qualified(_TABLES)} WHERE table_name = {literal(name)}"  # noqa: S608
        )
        counts = {str(dataset): int(str(number)) for dataset, number in numbers}
        return Record(
            partitions=partitions if self._dataset in counts else None,
            # The last load, of whichever dataset, has set the number for all of them.
            rows=max(counts.values(), default=0),
            has_other_datasets=bool(counts.keys() - {self._dataset}),
        )

    def _has_record(self, name: str) -> bool:
        """Return whether a table of the record exists.

        :raises WarehouseTableError: if its columns are not those that this package gave it.
        """
        found = self.columns(name)
        for field in _RECORD_SCHEMAS[name] if found else ():
            if field.name not in found or found[field.name].holds != field.type:
                column = found[field.name].kind if field.name in found else "no column"
                raise WarehouseTableError(
                    f"{self._target.name}, table {self._target.schema}.{name}",
                    f"it needs a column {field.name} of the type {_TYPES[field.type]}, and has {column}. It is this "
                    "package's own record of what was loaded. If you drop it, the next load reads all files again, and "
                    "no row is lost",
                )
        return bool(found)

    def load(self, load: TableLoad) -> Written:
        """Merge rows into a table, and record the partitions.

        :raises WarehouseError: if the table does not have each row afterwards.
        """
        table = load.table
        is_new = self._create(table.name, arrow_schema(table).append(LOAD_FIELD))
        rows_before = self.count(table.name)
        written = self._merge(load) if rows_before else self._fill(load)
        if is_new:
            self.ensure_key(table)
            self.analyze(self.qualified(table.name))
        self._record(load, rows_before + written.new, forgets_others=load.must_forget_others(written))
        return written

    def _fill(self, load: TableLoad) -> Written:
        """Write rows to an empty table."""
        place = self.qualified(load.table.name)
        rows = CountedBatches(load.batches)
        arrived = self.append(place, arrow_schema(load.table), iter(rows), load_id=self.load_id)
        check_counts(self._target, load.table, read=rows.number, merged=arrived)
        return Written(read=rows.number, new=arrived, changed=0)

    def _merge(self, load: TableLoad) -> Written:
        """Merge rows into a table that has some already.

        :raises WarehouseTableError: if several rows of the table have the key of one that was read.
        """
        table = load.table
        place = self.qualified(table.name)
        statements = MergeStatements(table=table, place=place, time_text=self.time_text, load_id=self.load_id)
        self.execute(f"CREATE TEMPORARY TABLE {STAGED} ({_declared(arrow_schema(table))})")
        rows = CountedBatches(load.batches)
        self.append(STAGED, arrow_schema(table), iter(rows))
        self.analyze(STAGED)
        self.execute(statements.find_changes(load.precedence))
        self.analyze(CHANGES)
        to_change = self._number(f"SELECT count(*) FROM {CHANGES}")  # noqa: S608
        changed = self.modify(statements.apply_changes())
        new = self.modify(statements.insert_new())
        merged = self._number(statements.count_merged())
        if merged > rows.number:
            raise same_key_error(table, self._target)
        # A trigger, a rule or a policy of the table can keep rows as they are.
        check_counts(self._target, table, read=rows.number, merged=merged - (to_change - changed))
        for name in (STAGED, CHANGES):
            self.execute(f"DROP TABLE {name}")
        return Written(read=rows.number, new=new, changed=changed)

    def _create(self, name: str, schema: pyarrow.Schema) -> bool:
        """Create a table or add the columns that it lacks, and return whether it is new."""
        found = self.columns(name)
        if not found:
            self._create_schema()
            self.execute(f"CREATE TABLE {self.qualified(name)} ({_declared(schema)})")
            return True
        for field in schema:
            if field.name not in found:
                self.execute(f"ALTER TABLE {self.qualified(name)} ADD COLUMN {_declared([field])}")
        return False

    def _create_schema(self) -> None:
        schema = self._target.schema
        # PostgreSQL demands the right to create schemas even if the schema exists.
        found = self._number(
            f"SELECT count(*) FROM information_schema.schemata WHERE schema_name = {literal(schema)}"  # noqa: S608
        )
        if not found:
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")

    def _record(self, load: TableLoad, rows: int, *, forgets_others: bool) -> None:
        for name, schema in _RECORD_SCHEMAS.items():
            self._create(name, schema)
        of_table = f"table_name = {literal(load.table.name)}"
        of_dataset = f"dataset = {literal(self._dataset)}"
        forgotten = of_table if forgets_others else f"{of_table} AND {of_dataset}"
        self.modify(f"DELETE FROM {self.qualified(_PARTITIONS)} WHERE {forgotten}")  # noqa: S608
        self.modify(f"DELETE FROM {self.qualified(_TABLES)} WHERE {of_table} AND {of_dataset}")  # noqa: S608
        self.modify(f"UPDATE {self.qualified(_TABLES)} SET table_rows = {rows} WHERE {of_table}")  # noqa: S608
        partitions = [
            (self._dataset, load.table.name, folder, partition, files)
            for folder, found in load.partitions.items()
            for partition, files in found.items()
        ]
        self._append_record(_PARTITIONS, partitions)
        self._append_record(_TABLES, [(self._dataset, load.table.name, rows)])

    def _append_record(self, name: str, rows: Sequence[tuple[object, ...]]) -> None:
        schema = _RECORD_SCHEMAS[name]
        columns = zip(*rows, strict=True) if rows else [()] * len(schema)
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        batch = pyarrow.Table.from_arrays(arrays, schema=schema)
        self.append(self.qualified(name), schema, iter([batch]))

    def _number(self, query: str) -> int:
        return int(str(self.execute(query)[0][0]))


def _declared(schema: Iterable[pyarrow.Field]) -> str:
    return ", ".join(
        f"{quoted(field.name)} {_TYPES[field.type]}{'' if field.nullable else ' NOT NULL'}" for field in schema
    )


def column_names(schema: pyarrow.Schema) -> str:
    """Return the names of the columns as SQL."""
    return quoted_list(schema.names)
