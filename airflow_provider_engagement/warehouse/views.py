"""Makes the views in a database, and never replaces a table or a view that this package has not made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_engagement.exceptions import WarehouseViewError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.tables.tables import TABLES
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.merge_statements import literal
from airflow_provider_engagement.warehouse.target_database import TargetDatabase
from airflow_provider_engagement.warehouse.view_names import View
from airflow_provider_engagement.warehouse.view_queries import MARK, view_query

_OTHER_COLUMNS = re.compile(r"cannot (change (name|data type) of|drop columns from) view")
"""What PostgreSQL says if a view would be replaced by one with other columns."""

_FOREIGN = "view that this package has not made"


def check_views(database: TargetDatabase, views: Sequence[View], target: Target) -> None:
    """Refuse views whose names are taken. Call it before rows are loaded.

    :param database: the database.
    :param views: the views to create or replace.
    :param target: the database's name and schema.
    :raises WarehouseViewError: if a table, or a view that this package has not made, has the name of one of them.
    """
    found = _definitions(database, target) if views else {}
    for view in views:
        kind, definition = found.get(view.value, (_FOREIGN, MARK))
        if MARK not in definition:
            raise WarehouseViewError(
                _place(view, target),
                f"its name is that of a {kind}",
                rows_are_loaded=False,
            )


def create_views(
    database: TargetDatabase, views: Sequence[View], target: Target, *, time_zone: str | None = None
) -> None:
    """Create or replace views beside the tables, after :func:`check_views`.

    :param database: the database.
    :param views: the views.
    :param target: the database's name and schema.
    :param time_zone: the time zone of their days, dates and hours of day; see
        :func:`~airflow_provider_engagement.warehouse.view_queries.view_query`.
    :raises WarehouseViewError: if the database rejects a view.
    """
    for view in views:
        query = view_query(
            view,
            dialect=database.dialect,
            qualified=lambda table: database.qualified(table.name),
            time_zone=time_zone,
        )
        problem = _replace(database, database.qualified(view.value), query, target)
        if problem is not None:
            # In these databases, the views are part of the transaction of the rows.
            rows_are_loaded = target.warehouse not in (Warehouse.DUCKDB, Warehouse.POSTGRES)
            raise WarehouseViewError(
                _place(view, target), presentable(problem, target.secrets), rows_are_loaded=rows_are_loaded
            )


def _place(view: View, target: Target) -> str:
    return f"{target.name}, view {target.schema}.{view.value}"


def _definitions(database: TargetDatabase, target: Target) -> dict[str, tuple[str, str]]:
    """Return what is in the schema by name: its kind, and its definition if it is a view of this user."""
    schema = literal(target.schema)
    if target.warehouse is Warehouse.POSTGRES:
        rows = database.execute(
            "SELECT relname, CASE WHEN relkind = 'm' THEN 'materialized view' "  # noqa: S608
            "WHEN relkind = 'v' AND NOT pg_has_role(relowner, 'USAGE') THEN 'view of another user' "
            f"WHEN relkind = 'v' THEN {literal(_FOREIGN)} "
            "WHEN relkind = 'S' THEN 'sequence' WHEN relkind = 'i' THEN 'index' ELSE 'table' END, "
            "CASE WHEN relkind = 'v' AND pg_has_role(relowner, 'USAGE') THEN pg_get_viewdef(oid) END "
            f"FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})"
        )
    else:
        catalogue = "information_schema"
        if target.warehouse is Warehouse.BIGQUERY:
            if not any(database.columns(table.name) for table in TABLES.values()):
                return {}
            catalogue = f"{database.qualified('x').rpartition('.')[0]}.INFORMATION_SCHEMA"
        rows = database.execute(
            f"SELECT tables.table_name, CASE WHEN views.table_name IS NULL THEN 'table' ELSE {literal(_FOREIGN)} END, "  # noqa: S608
            "views.view_definition "
            f"FROM {catalogue}.tables AS tables LEFT JOIN {catalogue}.views AS views "
            "ON views.table_schema = tables.table_schema AND views.table_name = tables.table_name "
            f"WHERE lower(tables.table_schema) = lower({schema})"
        )
    return {str(name).lower(): (str(kind), "" if text is None else str(text)) for name, kind, text in rows}


def _replace(database: TargetDatabase, name: str, query: str, target: Target) -> str | None:
    """Create or replace a view, and return what the database says if it rejects that."""
    if database.has_view(name, query):
        return None
    problem = database.attempt(f"CREATE OR REPLACE VIEW {name} AS {query}")
    if problem is None or target.warehouse is not Warehouse.POSTGRES or not _OTHER_COLUMNS.search(problem):
        return problem
    grants = database.execute(
        "SELECT DISTINCT privilege_type, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END "  # noqa: S608
        f"FROM pg_class, aclexplode(relacl) WHERE oid = {literal(name)}::regclass AND grantee <> relowner"
    )
    problem = database.attempt(f"DROP VIEW {name}")
    if problem is None:
        database.execute(f"CREATE VIEW {name} AS {query}")
        for privilege, grantee in grants:
            database.execute(f"GRANT {privilege} ON {name} TO {grantee}")
    return problem
