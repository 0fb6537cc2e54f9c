"""Loads into PostgreSQL, in one session and one transaction, with a lock that belongs to the transaction.

So there is no lock without the load and no load without the lock: if PostgreSQL, a pooler or an administrator ends the
session, the transaction is rolled back, and only then can another load get the lock.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

import psycopg2
import pyarrow
import pyarrow.csv
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED

from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.environment import without_client_settings
from airflow_provider_engagement.warehouse.guarded_batches import GuardedBatches
from airflow_provider_engagement.warehouse.keys import ensure_key
from airflow_provider_engagement.warehouse.merge_statements import literal
from airflow_provider_engagement.warehouse.sql_database import LOAD_FIELD, TIMESTAMP, SqlDatabase, column_names
from airflow_provider_engagement.warehouse.target_database import (
    FOREIGN_VIEW,
    OTHER_VIEW_COLUMNS,
    VIEW_COMMENT,
    Busy,
    FoundColumn,
    Relation,
    TargetDatabase,
    until_free,
)

_LOCK_NAME = "airflow-provider-engagement"

_SAVEPOINT = "engagement_attempt"

_COMPARED = "engagement_compared"
"""The temporary view whose query is compared with that of a view."""

_BYTES_PER_MESSAGE = 262_144

_TIMEOUTS = ("idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout")
"""The settings that end a session while it reads files, which takes as long as it takes."""

_SHORTEST_WAIT = 10.0
"""How long to wait for a table or view at least, in seconds. The server's own upkeep gives way after one second."""

_HOLDS: Mapping[str, pyarrow.DataType] = MappingProxyType(
    {
        "text": pyarrow.string(),
        "character varying": pyarrow.string(),
        "bigint": pyarrow.int64(),
        "boolean": pyarrow.bool_(),
        "date": pyarrow.date32(),
        "timestamp with time zone": TIMESTAMP,
        "timestamp(3) with time zone": TIMESTAMP,
        "timestamp(4) with time zone": TIMESTAMP,
        "timestamp(5) with time zone": TIMESTAMP,
        "timestamp(6) with time zone": TIMESTAMP,
    }
)


class PostgresDatabase(SqlDatabase):
    """A session of PostgreSQL in a transaction.

    :param connection: the session.
    :param target: the database.
    :param dataset: the dataset's name in the record.
    """

    dialect = "postgres"
    time_text = 'to_char({} AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\') COLLATE "C"'

    def __init__(self, connection: Any, target: Target, dataset: str) -> None:
        super().__init__(target, dataset)
        self._connection = connection

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement, and return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def relations(self) -> Mapping[str, Relation]:
        """Return what the schema has. A view that is replaced keeps its comment, so the comment seals the query."""
        rows = self._described(
            "SELECT relname, CASE relkind WHEN 'v' THEN NULL WHEN 'm' THEN 'materialized view' "  # noqa: S608
            "WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' ELSE 'table' END, pg_has_role(relowner, 'USAGE'), "
            f"CASE WHEN relkind = 'v' THEN {_comment_of('oid')} = {_sealed('oid')} END FROM pg_class "
            f"WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {literal(self._target.schema)})"
        )
        return {
            str(name): Relation(
                kind=str(kind or (FOREIGN_VIEW if is_of_user else "view of another user")),
                is_ours=kind is None and bool(is_of_user) and bool(is_sealed),
            )
            for name, kind, is_of_user, is_sealed in rows
        }

    def has_view(self, name: str, query: str) -> bool:
        """Return whether a view of this user has a query already."""
        # PostgreSQL stores a query in a form of its own, which a temporary view of this session has too.
        if self._attempt(f"CREATE TEMPORARY VIEW {_COMPARED} AS {query}") is not None:
            return False
        view = f"to_regclass({literal(name)})"
        rows = self._described(
            f"SELECT pg_get_viewdef(oid) = pg_get_viewdef('pg_temp.{_COMPARED}'::regclass) "  # noqa: S608
            f"FROM pg_class WHERE oid = {view} AND relkind = 'v' AND pg_has_role(relowner, 'USAGE')"
        )
        self.execute(f"DROP VIEW pg_temp.{_COMPARED}")
        return bool(rows and rows[0][0])

    def make_view(self, name: str, query: str) -> str | None:
        """Create a view or replace it, mark it, and return what PostgreSQL says if it rejects it.

        A view that has the query already is left alone: to replace it would wait for each session that has read it in
        a transaction, and let new readers wait too.
        """
        if not self.has_view(name, query):
            problem = self._attempt(f"CREATE OR REPLACE VIEW {name} AS {query}")
            if problem is not None and OTHER_VIEW_COLUMNS.search(problem):
                problem = self._make_again(name, query)
            if problem is not None:
                return problem
        oid = f"{literal(name)}::regclass"
        ((comment, seal),) = self._described(f"SELECT {_comment_of(oid)}, {_sealed(oid)}")
        if comment != seal:
            self.execute(f"COMMENT ON VIEW {name} IS {literal(str(seal))}")
        return None

    def _make_again(self, name: str, query: str) -> str | None:
        """Drop a view and create it, with the rights that others have on it."""
        grants = self.execute(
            "SELECT DISTINCT privilege_type, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END "  # noqa: S608
            f"FROM pg_class, aclexplode(relacl) WHERE oid = {literal(name)}::regclass AND grantee <> relowner"
        )
        problem = self._attempt(f"DROP VIEW {name}")
        if problem is None:
            self.execute(f"CREATE VIEW {name} AS {query}")
            for privilege, grantee in grants:
                self.execute(f"GRANT {privilege} ON {name} TO {grantee}")
        return problem

    def _attempt(self, statement: str) -> str | None:
        """Execute a statement, and return what PostgreSQL says if it rejects it. The transaction goes on."""
        self.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            self.execute(statement)
        except (psycopg2.ProgrammingError, psycopg2.NotSupportedError, psycopg2.InternalError) as error:
            self.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            return str(error)
        return None

    def _described(self, query: str) -> list[tuple[object, ...]]:
        """Execute a query that describes views. PostgreSQL leaves out the schemas that it would search anyway."""
        ((path,),) = self.execute("SELECT current_setting('search_path')")
        self.execute("SELECT set_config('search_path', 'pg_catalog', true)")
        rows = self.execute(query)
        self.execute(f"SELECT set_config('search_path', {literal(str(path))}, true)")
        return rows

    def modify(self, statement: str) -> int:
        """Execute a statement that writes rows, and return how many."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.rowcount)

    def append(
        self, place: str, schema: pyarrow.Schema, batches: Iterator[pyarrow.Table], *, load_id: str | None = None
    ) -> int:
        """Write rows to a table in bulk, and return how many."""
        guarded = GuardedBatches(batches)
        rows = iter(guarded)
        if load_id is not None:
            schema = schema.append(LOAD_FIELD)
            rows = (batch.append_column(LOAD_FIELD, pyarrow.repeat(load_id, batch.num_rows)) for batch in guarded)
        with self._connection.cursor() as cursor, guarded.raised():
            cursor.copy_expert(
                f"COPY {place} ({column_names(schema)}) FROM STDIN WITH (FORMAT csv)",
                _CsvStream(rows),
                size=_BYTES_PER_MESSAGE,
            )
            return int(cursor.rowcount)

    def columns(self, name: str) -> dict[str, FoundColumn]:
        """Return the columns of a table, or none if there is no such table."""
        rows: Any = self.execute(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, c.relkind "  # noqa: S608
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
            f"AND n.nspname = {literal(self._target.schema)} AND c.relname = {literal(name)}"
        )
        return {
            column: FoundColumn(
                kind="a column of a view" if relation in ("v", "m") else kind,
                holds=None if relation in ("v", "m") else _HOLDS.get(kind),
                is_nullable=is_nullable,
            )
            for column, kind, is_nullable, relation in rows
        }

    def ensure_key(self, table: Table) -> None:
        """Make sure that a table has the index of its key, which also finds the rows of a Tweet and time.

        :raises WarehouseTableError: if two rows of the table have the same key.
        """
        ensure_key(self, table, self._target)

    def analyze(self, name: str) -> None:
        """Let PostgreSQL count what a table has, for the plans of the queries."""
        self.execute(f"ANALYZE {name}")


def _comment_of(oid: str) -> str:
    return f"coalesce(obj_description({oid}, 'pg_class'), '')"


def _sealed(oid: str) -> str:
    """Return the expression of the comment that a view of this package has, as long as nobody changes it."""
    return f"{literal(VIEW_COMMENT)} || ': ' || md5(pg_get_viewdef({oid}))"


class _CsvStream(io.RawIOBase):
    """Batches of rows as a file of CSV, which is made as it is read.

    :param batches: the batches.
    """

    def __init__(self, batches: Iterator[pyarrow.Table]) -> None:
        self._batches = batches
        self._content = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, and none at the end."""
        while not self._content:
            batch = next(self._batches, None)
            if batch is None:
                return b""
            content = io.BytesIO()
            # A text is in quotes, even an empty one. A null is not.
            pyarrow.csv.write_csv(batch, content, pyarrow.csv.WriteOptions(include_header=False))
            self._content = content.getbuffer()
        end = size if size >= 0 else len(self._content)
        taken, self._content = bytes(self._content[:end]), self._content[end:]
        return taken


@contextmanager
def open_postgres(target: Target, dataset: str, *, lock_timeout: float) -> Iterator[TargetDatabase]:
    """Begin a transaction with the lock of the schema. It is committed at the end of the block.

    :param target: the database.
    :param dataset: the dataset's name in the record.
    :param lock_timeout: how long to wait for the lock, and for others who lock a table or a view, in seconds.
    :raises WarehouseError: if another task holds the lock for longer.
    """
    connection = until_free(lambda: _connect_and_lock(target, lock_timeout), target, lock_timeout)
    try:
        yield PostgresDatabase(connection, target, dataset)
        connection.commit()
    finally:
        # Without a commit, closing the session rolls the transaction back.
        with suppress(psycopg2.Error):
            connection.close()


def _connect_and_lock(target: Target, lock_timeout: float) -> Any:
    """Begin a transaction in a new session, and lock the schema in it. A session that waits is not kept."""
    connection = _connect(target)
    try:
        # With another level, the transaction would not see what was committed while it waited for the lock.
        connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED)
        with connection.cursor() as cursor:
            names = ", ".join(map(literal, _TIMEOUTS))
            cursor.execute(f"SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ({names})")  # noqa: S608
            milliseconds = int(max(lock_timeout, _SHORTEST_WAIT) * 1000)
            cursor.execute(f"SELECT set_config('lock_timeout', '{milliseconds}', true)")
            cursor.execute(
                f"SELECT pg_try_advisory_xact_lock(hashtextextended({literal(f'{_LOCK_NAME}:{target.schema}')}, 0))"
            )
            if not cursor.fetchone()[0]:
                raise Busy("another task loads into the same schema")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(target: Target) -> Any:
    credentials: Mapping[str, Any] = target.settings["credentials"]
    with without_client_settings():
        return psycopg2.connect(
            host=credentials["host"],
            port=credentials["port"],
            user=credentials["username"],
            password=credentials["password"],
            dbname=credentials["database"],
            **{"connect_timeout": 15, **credentials.get("query", {})},
        )
