"""Load a dataset into a database, as a task of Airflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.connections.warehouse_credentials import warehouse_address, warehouse_settings
from airflow_provider_engagement.exceptions import InvalidQueryError, MissingExtraError
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.numbers import parse_number
from airflow_provider_engagement.inputs.warehouse_options import (
    parse_database,
    parse_full_refresh,
    parse_names,
    parse_schema,
    parse_view_zone,
)
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.lineage import load_lineage, to_openlineage
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.source_partitions import table_names
from airflow_provider_engagement.warehouse.view_names import TABLES_OF, View

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class LoadTask(Protocol):
    """The parameters of the operator, and what it says afterwards."""

    outlets: list[Any]
    dataset_path: str
    tables: Iterable[str] | str | None
    destination: str
    database: str | None
    warehouse_conn_id: str | None
    schema: str
    views: Iterable[str] | str
    time_zone: str | None
    lock_timeout: float
    full_refresh: bool | str
    loaded_rows: dict[str, int] | None


def execute_load(task: LoadTask, context: Context) -> dict[str, Any]:
    """Load the dataset, and return what the load did to each table."""
    with task_failures():
        unset_blank_parameters(task)
        dataset = storage_path(task.dataset_path, field="dataset_path")
        found = table_names(dataset)
        if not found:
            raise InvalidQueryError(
                "dataset_path", f"{task.dataset_path} has no tables", "Set it to the dataset_path of a pull."
            )
        tables = found if task.tables is None else parse_names(task.tables, found, field="tables")
        views = [View(name) for name in parse_names(task.views, list(View), field="views")]
        for view in views:
            missing = [table.name for table in TABLES_OF[view] if table.name not in tables]
            if missing:
                raise InvalidQueryError("views", f"{view} reads the table {missing[0]}", f"Add {missing[0]} to tables.")
        time_zone = parse_view_zone(task.time_zone)
        lock_timeout = parse_number(task.lock_timeout, field="lock_timeout", minimum=0)
        full_refresh = parse_full_refresh(task.full_refresh)
        target = _target(task)
        load_dataset = _import_load()
        report = load_dataset(
            dataset,
            tables=tables,
            target=target,
            views=views,
            time_zone=time_zone,
            address_of=table_address,
            lock_timeout=lock_timeout,
            full_refresh=full_refresh,
        )
        for name, table in report["tables"].items():
            new, changed, unchanged = table["rows"].values()
            loaded, skipped = table["partitions"].values()
            log.info(
                "%s, schema %s, %s: %s new, %d changed, %d unchanged; %s loaded, %d skipped.",
                target.name,
                target.schema,
                name,
                counted(new, "row"),
                changed,
                unchanged,
                counted(loaded, "partition"),
                skipped,
            )
        task.loaded_rows = {
            name: table["rows"]["new"] + table["rows"]["changed"] for name, table in report["tables"].items()
        }
        rows = {name: table["rows"] for name, table in report["tables"].items()}
        extra = {"dataset": task.dataset_path, "database": target.name, "schema": target.schema, "rows": rows}
        describe_outlets(task.outlets, extra, context)
        return report


def lineage_of(task: LoadTask) -> Any:
    """Return what the task has read and written, for the provider of OpenLineage."""
    if task.loaded_rows is None:
        return to_openlineage(None)
    namespace, database = warehouse_address(task.warehouse_conn_id, task.destination, task.database)
    return to_openlineage(
        load_lineage(task.dataset_path, task.loaded_rows, namespace=namespace, database=database, schema=task.schema)
    )


def _target(task: LoadTask) -> Target:
    """Return the database, from a path or from the connection."""
    warehouse = parse_choice(task.destination, Warehouse, field="destination")
    schema = parse_schema(task.schema)
    if warehouse is Warehouse.DUCKDB:
        if task.warehouse_conn_id or not task.database:
            raise InvalidQueryError(
                "database", "duckdb needs the path of a file, and no connection", "Set database alone."
            )
        path = parse_database(task.database, schema=schema)
        return Target(warehouse=warehouse, schema=schema, name=f"duckdb, {path}", settings={"credentials": path})
    if not task.warehouse_conn_id:
        also = ", and leave database out" if task.database else ""
        raise InvalidQueryError(
            "warehouse_conn_id",
            f"is not set, but the destination {warehouse} needs a connection",
            f"Set it to the id of an Airflow connection{also}.",
        )
    if task.database:
        raise InvalidQueryError(
            "database",
            f"is the path of a DuckDB file, but the destination is {warehouse}",
            "Leave database out.",
        )
    settings, name, secrets = warehouse_settings(task.warehouse_conn_id, warehouse.value)
    return Target(warehouse=warehouse, schema=schema, name=name, settings=settings, secrets=secrets)


def _import_load() -> Callable[..., dict[str, Any]]:
    """Return the function that loads, or say which extra it needs."""
    try:
        from airflow_provider_engagement.warehouse.load import load_dataset
    except ModuleNotFoundError as error:
        if str(error.name).startswith("airflow"):
            raise
        raise MissingExtraError(
            "EngagementToWarehouseOperator", "airflow-provider-engagement[warehouse]", str(error)
        ) from None
    return load_dataset
