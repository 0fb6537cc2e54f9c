"""One database during a load: its lock, its tables and their rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import dlt
import tenacity
from dlt.common.destination import AnyDestination
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from airflow_provider_engagement.exceptions import WarehouseError
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse

log = logging.getLogger(__name__)

STAGING_LAYOUT = "%s_engagement_staging"
"""The name of the schema for rows that are not merged yet."""

_LOCK_NAME = "airflow-provider-engagement"
_SECONDS_BETWEEN_ATTEMPTS = 1.0

_MEMORY_LIMIT = "1GB"
"""How much memory DuckDB uses for a merge before it writes to the folder for temporary files."""


_STORAGE_VERSION = "v1.1.0"
"""The oldest version of DuckDB that can open a new file. A file that exists keeps its version."""


class _Busy(Exception):
    """Another task holds the database."""


@contextmanager
def opened(target: Target, *, folder: Path, lock_timeout: float) -> Iterator[AnyDestination]:
    """Return dlt's destination for a database.

    DuckDB allows one writing process, so the database stays open, and closed to other processes, while the block runs.

    :param target: the database.
    :param folder: a folder for temporary files.
    :param lock_timeout: how long to wait for a database that another process has open, in seconds.
    :raises WarehouseError: if another process has it open for longer.
    """
    settings: dict[str, Any] = {
        **target.settings,
        "enable_dataset_name_normalization": False,
        "staging_dataset_name_layout": STAGING_LAYOUT,
    }
    with ExitStack() as stack:
        if target.warehouse is Warehouse.DUCKDB:
            path, temporary = str(target.settings["credentials"]), str(folder / "duckdb")
            connection = _until_free(lambda: _connect_duckdb(path, temporary), target, lock_timeout)
            settings["credentials"] = stack.enter_context(connection)
        yield getattr(dlt.destinations, target.warehouse.value)(**settings)


@contextmanager
def locked(pipeline: dlt.Pipeline, target: Target, *, lock_timeout: float) -> Iterator[None]:
    """Let one task at a time load into the schema of a database, if the database has locks that end with the task.

    :param pipeline: dlt's pipeline.
    :param target: the database.
    :param lock_timeout: how long to wait for the lock, in seconds.
    :raises WarehouseError: if another task holds the lock for longer.
    """
    if target.warehouse is not Warehouse.POSTGRES:
        yield
        return
    with pipeline.sql_client() as client:
        # A lock of the session: PostgreSQL releases it if the task is killed.
        name = f"{_LOCK_NAME}:{target.schema}"

        def acquire() -> None:
            rows = client.execute_sql("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name)
            if not rows or not rows[0][0]:
                raise _Busy("another task loads into the same schema")

        _until_free(acquire, target, lock_timeout)
        try:
            yield
        finally:
            client.execute_sql("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)


def _until_free(attempt: Callable[[], Any], target: Target, lock_timeout: float) -> Any:
    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Busy),
            stop=tenacity.stop_after_delay(lock_timeout),
            wait=tenacity.wait_fixed(_SECONDS_BETWEEN_ATTEMPTS),
            sleep=time.sleep,
            before_sleep=lambda state: (
                log.info("Waiting for %s: %s.", target.name, state.outcome and state.outcome.exception())
                if state.attempt_number == 1
                else None
            ),
            reraise=True,
        )(attempt)
    except _Busy as error:
        raise WarehouseError(target.name, f"{error}, for more than {lock_timeout:.0f} s") from None


def _connect_duckdb(path: str, temporary: str) -> Any:
    import duckdb

    settings: dict[str, Any] = {
        "temp_directory": temporary,
        "memory_limit": _MEMORY_LIMIT,
        "storage_compatibility_version": _STORAGE_VERSION,
    }
    try:
        return duckdb.connect(path, config=settings)
    except duckdb.IOException as error:
        if "lock" in str(error).lower() and Path(path).exists():
            raise _Busy("another process has the file open") from None
        raise


class TargetTables:
    """The tables of one schema in the database.

    :param pipeline: dlt's pipeline, whose schema is known.
    :param target: the database.
    """

    def __init__(self, pipeline: dlt.Pipeline, target: Target) -> None:
        self._pipeline = pipeline
        self._target = target

    def columns(self, names: list[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
        """Return the columns of tables by name in lower case. A table that does not exist has none."""
        with self._pipeline.destination_client() as client:
            if not client.is_storage_initialized():
                return {name: {} for name in names}
            # The client is that of a SQL database, but dlt declares a client of any destination.
            found: Any = client.get_storage_tables(names)  # type: ignore[attr-defined]
            return {name: {column.lower(): kind for column, kind in columns.items()} for name, columns in found}

    def forget_schema_versions(self) -> None:
        """Let dlt compare its tables with those in the database, where a table or a column may be missing now."""
        with self._pipeline.sql_client() as client:
            for staging in (False, True):
                with client.with_staging_dataset() if staging else nullcontext(), suppress(DatabaseUndefinedRelation):
                    table = client.make_qualified_table_name("_dlt_version")
                    # BigQuery requires a condition.
                    client.execute_sql(f"DELETE FROM {table} WHERE 1 = 1")  # noqa: S608

    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        with self._pipeline.sql_client() as client:
            rows = client.execute_sql(f"SELECT count(*) FROM {client.make_qualified_table_name(name)}")  # noqa: S608
            return int(rows[0][0]) if rows else 0

    def count_written(self, name: str, load_id: str) -> tuple[int, int]:
        """Return how many rows a table has, and how many of them a load wrote."""
        with self._pipeline.sql_client() as client:
            column = client.escape_column_name("_dlt_load_id")
            rows = client.execute_sql(
                f"SELECT count(*), sum(CASE WHEN {column} = %s THEN 1 ELSE 0 END) "  # noqa: S608
                f"FROM {client.make_qualified_table_name(name)}",
                load_id,
            )
            return (int(rows[0][0]), int(rows[0][1] or 0)) if rows else (0, 0)
