"""An operator that loads a dataset into a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


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
        from airflow_provider_engagement.transfers.load_execution import execute_load

        return execute_load(self, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the task has read and written, for the provider of OpenLineage."""
        from airflow_provider_engagement.transfers.load_execution import lineage_of

        return lineage_of(self)
