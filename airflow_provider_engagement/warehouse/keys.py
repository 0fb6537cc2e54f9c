"""Gives the tables in PostgreSQL a unique index on their key, which begins with the Tweet and the time.

The other databases find a Tweet without one: they sort or partition their columns themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseException

from airflow_provider_engagement.dataset.schema import Table
from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse

_INDEX = "_engagement_key_"


def create_keys(pipeline: dlt.Pipeline, tables: Sequence[Table], target: Target) -> None:
    """Create the index of each table that exists, if this user owns the table. Drop one of another key.

    Call it before rows are loaded, so that rows which are there twice are found, and after that, for new tables.

    :param pipeline: dlt's pipeline.
    :param tables: the tables.
    :param target: the database. Only PostgreSQL gets indexes.
    :raises WarehouseTableError: if two rows of a table have the same key.
    """
    if target.warehouse is not Warehouse.POSTGRES:
        return
    with pipeline.sql_client() as client:
        indexes = _indexes_of_own_tables(client, target)
        for table in tables:
            if table.name not in indexes:
                continue
            name = _index_name(table)
            for other in indexes[table.name] - {name}:
                client.execute_sql(f"DROP INDEX {client.make_qualified_table_name(other)}")
            if name not in indexes[table.name]:
                _create(client, table, name, target)


def _index_name(table: Table) -> str:
    """Return the name of the index of a table. Another key gives another name."""
    return f"{table.name}{_INDEX}{hashlib.sha256(','.join(table.key).encode()).hexdigest()[:8]}"


def _indexes_of_own_tables(client: Any, target: Target) -> dict[str, set[str]]:
    rows = client.execute_sql(
        "SELECT tables.relname, indexes.relname FROM pg_class AS tables "
        "LEFT JOIN pg_index ON pg_index.indrelid = tables.oid "
        "LEFT JOIN pg_class AS indexes ON indexes.oid = pg_index.indexrelid "
        "WHERE tables.relkind IN ('r', 'p') AND pg_has_role(tables.relowner, 'USAGE') "
        "AND tables.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)",
        target.schema,
    )
    found: dict[str, set[str]] = {}
    for table, index in rows:
        ours = found.setdefault(table, set())
        if index is not None and index.startswith(f"{table}{_INDEX}"):
            ours.add(index)
    return found


def _create(client: Any, table: Table, name: str, target: Target) -> None:
    columns = ", ".join(client.escape_column_name(column) for column in table.key)
    place = client.make_qualified_table_name(table.name)
    try:
        client.execute_sql(f"CREATE UNIQUE INDEX {client.escape_column_name(name)} ON {place} ({columns})")
    except DatabaseException as error:
        if "could not create unique index" not in str(error):
            raise
        problem = f"rows of it have the same {', '.join(table.key)}. Delete all but one of each"
        raise WarehouseTableError(f"{target.name}, table {target.schema}.{table.name}", problem) from None
