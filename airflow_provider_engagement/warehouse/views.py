"""Makes the views in a database, and never replaces a table or a view that this package has not made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseException, DatabaseTerminalException

from airflow_provider_engagement.exceptions import WarehouseViewError
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load_errors import without_secrets
from airflow_provider_engagement.warehouse.view_names import View
from airflow_provider_engagement.warehouse.view_queries import MARK, view_query

_OTHER_COLUMNS = re.compile(r"cannot (change (name|data type) of|drop columns from) view")
"""What PostgreSQL says if a view would be replaced by one with other columns."""


def check_views(pipeline: dlt.Pipeline, views: Sequence[View], target: Target) -> None:
    """Refuse views whose names are taken. Call it before rows are loaded.

    :param pipeline: dlt's pipeline.
    :param views: the views to create or replace.
    :param target: the database.
    :raises WarehouseViewError: if a table, or a view that this package has not made, has the name of one of them.
    """
    if not views:
        return
    with pipeline.sql_client() as client:
        if not client.has_dataset():
            return
        found = _definitions(client, target)
    for view in views:
        definition = found.get(view.value, MARK)
        if definition is None or MARK not in definition:
            kind = "table" if definition is None else "view"
            raise WarehouseViewError(
                _place(view, target),
                f"there is a {kind} of this name that this package has not made",
                rows_are_loaded=False,
            )


def create_views(
    pipeline: dlt.Pipeline, views: Sequence[View], target: Target, *, time_zone: str | None = None
) -> None:
    """Create or replace views beside the tables, after :func:`check_views`.

    :param pipeline: dlt's pipeline.
    :param views: the views.
    :param target: the database.
    :param time_zone: the time zone of their days, dates and hours of day; see :func:`view_query`.
    :raises WarehouseViewError: if the database rejects a view.
    """
    dialect = str(pipeline.destination.capabilities().sqlglot_dialect)
    with pipeline.sql_client() as client:
        for view in views:
            name = client.make_qualified_table_name(view.value)
            query = view_query(
                view,
                dialect=dialect,
                qualified=lambda table: client.make_qualified_table_name(table.name),
                time_zone=time_zone,
            )
            try:
                _replace(client, name, query, target)
            except DatabaseException as error:
                text = " ".join(str(error).split())
                if not isinstance(error, DatabaseTerminalException) and "depend" not in text:
                    raise
                problem = without_secrets(text, target.secrets)
                raise WarehouseViewError(_place(view, target), problem, rows_are_loaded=True) from None


def _place(view: View, target: Target) -> str:
    return f"{target.name}, view {target.schema}.{view.value}"


def _definitions(client: Any, target: Target) -> dict[str, str | None]:
    """Return the definition of each view in the schema by name; ``None`` for what is not a view of this user."""
    if target.warehouse is Warehouse.POSTGRES:
        rows = client.execute_sql(
            "SELECT relname, CASE WHEN relkind = 'v' AND pg_has_role(relowner, 'USAGE') THEN pg_get_viewdef(oid) END "
            "FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)",
            target.schema,
        )
        return dict(rows)
    if target.warehouse is Warehouse.BIGQUERY:
        catalogue = f"{client.fully_qualified_dataset_name()}.INFORMATION_SCHEMA"
    else:
        catalogue = "information_schema"
    schema = client.make_qualified_table_name_path(None, quote=False)[-1]
    rows = client.execute_sql(
        "SELECT tables.table_name, views.view_definition "  # noqa: S608
        f"FROM {catalogue}.tables AS tables LEFT JOIN {catalogue}.views AS views "
        "ON views.table_schema = tables.table_schema AND views.table_name = tables.table_name "
        "WHERE tables.table_schema = %s",
        schema,
    )
    return {str(name).lower(): definition for name, definition in rows}


def _replace(client: Any, name: str, query: str, target: Target) -> None:
    try:
        client.execute_sql(f"CREATE OR REPLACE VIEW {name} AS {query}")
    except DatabaseTerminalException as error:
        if target.warehouse is not Warehouse.POSTGRES or not _OTHER_COLUMNS.search(str(error)):
            raise
        with client.begin_transaction():
            grants = client.execute_sql(
                "SELECT DISTINCT privilege_type, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END "
                "FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner",
                name,
            )
            client.execute_sql(f"DROP VIEW {name}")
            client.execute_sql(f"CREATE VIEW {name} AS {query}")
            for privilege, grantee in grants:
                client.execute_sql(f"GRANT {privilege} ON {name} TO {grantee}")
