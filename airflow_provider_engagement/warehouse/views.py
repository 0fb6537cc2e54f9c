"""Makes the views in a database, and never replaces a table or a view that this package has not made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from airflow_provider_engagement.exceptions import WarehouseViewError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.tables.tables import TWEET_METRICS
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.target_database import TargetDatabase
from airflow_provider_engagement.warehouse.view_names import TABLES_OF, View
from airflow_provider_engagement.warehouse.view_queries import days_by_zone_query, view_query

log = logging.getLogger(__name__)


def check_views(database: TargetDatabase, views: Sequence[View], target: Target, *, time_zone: str | None) -> None:
    """Refuse views whose names are taken. Call it before rows are loaded.

    :param database: the database.
    :param views: the views to create or replace.
    :param target: the database's name and schema.
    :param time_zone: the time zone of the views, as for :func:`create_views`.
    :raises WarehouseViewError: if a table, or a view that this package has not made, has the name of one of them.
    """
    found = database.relations() if views else {}
    for view in views:
        relation = found.get(view.value)
        if relation is None or relation.is_ours:
            continue
        # A new version of the database can store the same query in another form.
        zone = time_zone or zone_of_days(database)
        if not database.has_view(database.qualified(view.value), _query(database, view, zone)):
            raise WarehouseViewError(
                _place(view, target), f"its name is that of a {relation.kind}", rows_are_loaded=False
            )


def create_views(
    database: TargetDatabase, views: Sequence[View], target: Target, *, time_zone: str | None = None
) -> str | None:
    """Create or replace views beside the tables, after :func:`check_views`.

    :param database: the database.
    :param views: the views.
    :param target: the database's name and schema.
    :param time_zone: the time zone of their days, dates and hours of day; by default, that of :func:`zone_of_days`.
    :return: the time zone; ``None`` if no view depends on it.
    :raises WarehouseViewError: if the database rejects a view.
    """
    if not any(TWEET_METRICS in TABLES_OF[view] for view in views):
        time_zone = None
    elif time_zone is None:
        time_zone = zone_of_days(database)
    for view in views:
        query = _query(database, view, time_zone or "UTC")
        problem = database.make_view(database.qualified(view.value), query)
        if problem is not None:
            # In these databases, the views are part of the transaction of the rows.
            rows_are_loaded = target.warehouse not in (Warehouse.DUCKDB, Warehouse.POSTGRES)
            raise WarehouseViewError(
                _place(view, target), presentable(problem, target.secrets), rows_are_loaded=rows_are_loaded
            )
    return time_zone


def zone_of_days(database: TargetDatabase) -> str:
    """Return the time zone in which views show days if nobody has chosen one.

    It is that of the oldest day, among the zones that at least half as many Tweets have in the newest week of days as
    the most common one. So it does not change with each new day or Tweet, and follows pulls that change theirs.
    """
    if not database.columns(TWEET_METRICS.name):
        return "UTC"
    query = days_by_zone_query(dialect=database.dialect, qualified=lambda table: database.qualified(table.name))
    found = [
        (int(str(tweets)), cast(datetime, first_start), str(zone))
        for zone, tweets, first_start in database.execute(query)
    ]
    if not found:
        return "UTC"
    most = max(tweets for tweets, _, _ in found)
    _, chosen = min((first_start, zone) for tweets, first_start, zone in found if 2 * tweets >= most)
    if len(found) > 1:
        log.warning(
            "The table %s has days of %d time zones. The views show those of %s. Set time_zone to choose another.",
            TWEET_METRICS.name,
            len(found),
            chosen,
        )
    return chosen


def _query(database: TargetDatabase, view: View, time_zone: str) -> str:
    return view_query(
        view,
        dialect=database.dialect,
        qualified=lambda table: database.qualified(table.name),
        time_zone=time_zone,
    )


def _place(view: View, target: Target) -> str:
    return f"{target.name}, view {target.schema}.{view.value}"
