"""An operator that loads a dataset into a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.quantities import counted

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.warehouse.destinations import Target


class EngagementToWarehouseOperator(BaseOperator):
    """Loads the tables of a dataset into a database: only what has changed since the last load.

    A row is merged with the row of the same key in the database: of each metric, the newest known count stays,
    whichever dataset it comes from. No row is deleted. A second load of the same dataset changes nothing, and a load
    that was killed is completed by the next one. It requires the extra ``warehouse``.

    .. seealso:: ``docs/operators/to-warehouse.md``

    :param dataset_path: the path or URL of the dataset folder, which is the ``dataset_path`` of the pulls. (templated)
    :param tables: the names of the tables to load: a list, or a string of them; by default, all that the dataset has.
        (templated)
    :param destination: the kind of the database: ``duckdb`` (default), ``postgres``, ``snowflake``, ``bigquery``,
        ``redshift``, ``databricks``, ``clickhouse`` or ``motherduck``. (templated)
    :param database: the path of a DuckDB file. It is created if it does not exist. Only for ``duckdb``, which needs no
        connection. (templated)
    :param warehouse_conn_id: the id of the connection of the database. Required for every destination except
        ``duckdb``. (templated)
    :param schema: the schema that receives the tables; ``engagement`` by default. It is created if it does not exist.
        In BigQuery, it is a dataset. (templated)
    :param views: the names of the views to create or replace beside the tables, such as ``engagement_by_day``; none by
        default. (templated)
    :param time_zone: the IANA name of the time zone of the dates, days and hours of day in views. By default, all views
        have the time zone that the dataset's newest days have; set it if there are several. (templated)
    :param lock_timeout: how long to wait for another task that loads into the same database, in seconds; 600 by
        default.
    :param full_refresh: whether to load all partitions again, so that rows that were deleted or edited in the database
        come back; ``False`` by default. (templated)
    """

    template_fields: Sequence[str] = (
        "dataset_path",
        "tables",
        "destination",
        "database",
        "warehouse_conn_id",
        "schema",
        "views",
        "full_refresh",
        "time_zone",
    )
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        dataset_path: str,
        tables: Iterable[str] | str | None = None,
        destination: str = "duckdb",
        database: str | None = None,
        warehouse_conn_id: str | None = None,
        schema: str = "engagement",
        views: Iterable[str] | str = (),
        time_zone: str | None = None,
        lock_timeout: float = 600.0,
        full_refresh: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_path = dataset_path
        self.tables = tables
        self.destination = destination
        self.database = database
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.views = views
        self.time_zone = time_zone
        self.lock_timeout = lock_timeout
        self.full_refresh = full_refresh
        self.loaded_rows: dict[str, int] | None = None
        """How many rows of each table are new or changed, after the task has run."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the dataset, and return what the load did to each table."""

        from airflow_provider_engagement.connections.storage_options import storage_path, table_address
        from airflow_provider_engagement.exceptions import InvalidQueryError, MissingExtraError
        from airflow_provider_engagement.inputs.numbers import parse_number
        from airflow_provider_engagement.inputs.warehouse_options import (
            parse_full_refresh,
            parse_names,
            parse_view_zone,
        )
        from airflow_provider_engagement.warehouse.source_partitions import table_names
        from airflow_provider_engagement.warehouse.view_names import TABLES_OF, View

        with task_failures():
            unset_blank_parameters(self)
            dataset = storage_path(self.dataset_path, field="dataset_path")
            found = table_names(dataset)
            if not found:
                raise InvalidQueryError(
                    "dataset_path", f"{self.dataset_path} has no tables", "Set it to the dataset_path of a pull."
                )
            tables = found if self.tables is None else parse_names(self.tables, found, field="tables")
            views = [View(name) for name in parse_names(self.views, list(View), field="views")]
            for view in views:
                missing = [table.name for table in TABLES_OF[view] if table.name not in tables]
                if missing:
                    raise InvalidQueryError(
                        "views", f"{view} reads the table {missing[0]}", f"Add {missing[0]} to tables."
                    )
            time_zone = parse_view_zone(self.time_zone)
            lock_timeout = parse_number(self.lock_timeout, field="lock_timeout", minimum=0)
            full_refresh = parse_full_refresh(self.full_refresh)
            target = self._target()
            try:
                from airflow_provider_engagement.warehouse.load import load_dataset
            except ModuleNotFoundError as error:
                if str(error.name).startswith("airflow"):
                    raise
                raise MissingExtraError(
                    "EngagementToWarehouseOperator", "airflow-provider-engagement[warehouse]", str(error)
                ) from None

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
                self.log.info(
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
            self.loaded_rows = {
                name: table["rows"]["new"] + table["rows"]["changed"] for name, table in report["tables"].items()
            }
            rows = {name: table["rows"] for name, table in report["tables"].items()}
            extra = {"dataset": self.dataset_path, "database": target.name, "schema": target.schema, "rows": rows}
            describe_outlets(self, extra, context)
            return report

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the task has read and written, for the provider of OpenLineage."""
        from airflow_provider_engagement.connections.warehouse_credentials import warehouse_address
        from airflow_provider_engagement.operators.lineage import load_lineage, to_openlineage

        if self.loaded_rows is None:
            return to_openlineage(None)
        namespace, database = warehouse_address(self.warehouse_conn_id, self.destination, self.database)
        return to_openlineage(
            load_lineage(
                self.dataset_path, self.loaded_rows, namespace=namespace, database=database, schema=self.schema
            )
        )

    def _target(self) -> Target:
        """Return the database, from a path or from the connection."""
        from airflow_provider_engagement.connections.warehouse_credentials import warehouse_settings
        from airflow_provider_engagement.exceptions import InvalidQueryError
        from airflow_provider_engagement.inputs.choices import parse_choice
        from airflow_provider_engagement.inputs.warehouse_options import parse_database, parse_schema
        from airflow_provider_engagement.warehouse.destinations import Target, Warehouse

        warehouse = parse_choice(self.destination, Warehouse, field="destination")
        schema = parse_schema(self.schema)
        if warehouse is Warehouse.DUCKDB:
            if self.warehouse_conn_id or not self.database:
                raise InvalidQueryError(
                    "database", "duckdb needs the path of a file, and no connection", "Set database alone."
                )
            path = parse_database(self.database, schema=schema)
            return Target(warehouse=warehouse, schema=schema, name=f"duckdb, {path}", settings={"credentials": path})
        if not self.warehouse_conn_id:
            also = ", and leave database out" if self.database else ""
            raise InvalidQueryError(
                "warehouse_conn_id",
                f"is not set, but the destination {warehouse} needs a connection",
                f"Set it to the id of an Airflow connection{also}.",
            )
        if self.database:
            raise InvalidQueryError(
                "database",
                f"is the path of a DuckDB file, but the destination is {warehouse}",
                "Leave database out.",
            )
        settings, name, secrets = warehouse_settings(self.warehouse_conn_id, warehouse.value)
        return Target(warehouse=warehouse, schema=schema, name=name, settings=settings, secrets=secrets)
