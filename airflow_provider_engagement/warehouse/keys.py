"""Gives a table in PostgreSQL a unique index on its key, which begins with the Tweet and the time.

The other databases find a Tweet without one: they sort or partition their columns themselves.
"""

from __future__ import annotations

import hashlib

from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.merge_statements import literal, quoted_list
from airflow_provider_engagement.warehouse.target_database import TargetDatabase

_INFIX = "_engagement_key_"


def ensure_key(database: TargetDatabase, table: Table, target: Target) -> None:
    """Create the index of a table, if this user owns the table. Drop one of another key.

    :param database: the database.
    :param table: the table, which exists.
    :param target: the database's name and schema.
    :raises WarehouseTableError: if two rows of the table have the same key.
    """
    indexes = _indexes_of_own_table(database, table, target)
    if indexes is None:
        return
    name = f"{table.name}{_INFIX}{hashlib.sha256(','.join(table.key).encode()).hexdigest()[:8]}"
    for other in indexes - {name}:
        database.execute(f"DROP INDEX {database.qualified(other)}")
    if name in indexes:
        return
    place = database.qualified(table.name)
    try:
        database.execute(f"CREATE UNIQUE INDEX {quoted_list([name])} ON {place} ({quoted_list(table.key)})")
    except Exception as error:
        if "could not create unique index" not in str(error):
            raise
        raise same_key_error(table, target) from None


def same_key_error(table: Table, target: Target) -> WarehouseTableError:
    """Return the error for a table that has several rows with the same key."""
    problem = f"rows of it have the same {', '.join(table.key)}. Delete all but one of each"
    return WarehouseTableError(f"{target.name}, table {target.schema}.{table.name}", problem)


def _indexes_of_own_table(database: TargetDatabase, table: Table, target: Target) -> set[str] | None:
    """Return the names of the indexes that this package has made; ``None`` if the table is another user's."""
    rows = database.execute(
        "SELECT indexes.relname FROM pg_class AS tables "  # noqa: S608
        "LEFT JOIN pg_index ON pg_index.indrelid = tables.oid "
        "LEFT JOIN pg_class AS indexes ON indexes.oid = pg_index.indexrelid "
        "WHERE tables.relkind IN ('r', 'p') AND pg_has_role(tables.relowner, 'USAGE') "
        f"AND tables.relname = {literal(table.name)} "
        f"AND tables.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {literal(target.schema)})"
    )
    prefix = f"{table.name}{_INFIX}"
    return {str(name) for (name,) in rows if str(name).startswith(prefix)} if rows else None
