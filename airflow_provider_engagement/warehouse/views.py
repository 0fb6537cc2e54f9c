"""Views beside the tables: the forms in which people and other tools expect the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import sqlglot
from sqlglot import expressions

from airflow_provider_engagement.dataset.schema import TWEET_METRICS, TWEET_TOTALS, Table
from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.load_errors import without_secrets
from airflow_provider_engagement.warehouse.target_database import TargetDatabase
from airflow_provider_engagement.warehouse.view_names import TABLE_OF, View

_DIALECT = "postgres"
"""The dialect in which this module writes queries."""

_ORGANIC_METRICS: Mapping[str, str | None] = MappingProxyType(
    {
        "app_clicks": None,
        "card_engagements": None,
        "carousel_swipes": None,
        "clicks": None,
        "engagements": "engagements",
        "follows": "user_follows",
        "impressions": "impressions",
        "likes": "favorites",
        "poll_card_vote": None,
        "qualified_impressions": None,
        "replies": "replies",
        "retweets": "retweets",
        "tweets_send": None,
        "unfollows": None,
        "url_clicks": "url_clicks",
        "video_15_s_views": None,
        "video_3_s_100_pct_views": None,
        "video_6_s_views": None,
        "video_content_starts": None,
        "video_cta_clicks": None,
        "video_total_views": "video_views",
        "video_views_25": None,
        "video_views_50": None,
        "video_views_75": None,
        "video_views_100": None,
    }
)
"""The metric columns of ``organic_tweet_report``, with the metrics of the API. ``None``: the API has no such metric."""

_RATE = (
    "CASE WHEN impressions <> 0 THEN CAST(engagements AS DOUBLE PRECISION) / impressions END "
    "AS all_engagements_per_organic_impression"
)
"""The API counts impressions of organic Tweets alone, and engagements of organic and promoted ones. If a count is null
or there are no impressions, the rate is null."""


def _metrics_long() -> str:
    kept = "tweet_id, '{metric}' AS metric, period_start, {metric} AS value, period_end, granularity, time_zone"
    return " UNION ALL ".join(
        f"SELECT {kept.format(metric=metric)} FROM tweet_metrics WHERE {metric} IS NOT NULL"  # noqa: S608
        for metric in TWEET_METRICS.metrics
    )


def _organic_tweet_report() -> str:
    columns = ", ".join(
        f"{metric or 'CAST(NULL AS BIGINT)'} AS {column}" for column, metric in _ORGANIC_METRICS.items()
    )
    return (
        "SELECT period_start AS date, owner AS account_id, tweet_id AS organic_tweet_id, "  # noqa: S608
        f"'ALL_ON_TWITTER' AS placement, fetched_at AS _fivetran_synced, {columns} "
        "FROM tweet_metrics WHERE granularity = 'day'"
    )


def _metrics_rates() -> str:
    return (
        "SELECT tweet_id, period_start, period_end, granularity, time_zone, engagements, impressions, "  # noqa: S608
        f"{_RATE} FROM tweet_metrics"
    )


def _totals_rates() -> str:
    return f"SELECT tweet_id, snapshot_at, auth, engagements, impressions, {_RATE} FROM tweet_totals"  # noqa: S608


def _totals_changes() -> str:
    previous = "LAG({}) OVER (PARTITION BY tweet_id, auth ORDER BY snapshot_at)"
    changes = ", ".join(f"{metric} - {previous.format(metric)} AS {metric}_change" for metric in TWEET_TOTALS.metrics)
    return (
        "SELECT tweet_id, snapshot_at, auth, "  # noqa: S608
        f"{previous.format('snapshot_at')} AS previous_snapshot_at, {changes} FROM tweet_totals"
    )


_QUERIES: Mapping[View, Callable[[], str]] = MappingProxyType(
    {
        View.METRICS_LONG: _metrics_long,
        View.ORGANIC_TWEET_REPORT: _organic_tweet_report,
        View.METRICS_RATES: _metrics_rates,
        View.TOTALS_RATES: _totals_rates,
        View.TOTALS_CHANGES: _totals_changes,
    }
)


def view_query(view: View, *, dialect: str, qualified: Callable[[Table], str]) -> str:
    """Return the query of a view.

    :param view: the view.
    :param dialect: sqlglot's name of the database's dialect.
    :param qualified: returns the quoted name of a table, with its schema.
    """
    query = sqlglot.parse_one(_QUERIES[view](), dialect=_DIALECT)
    name = qualified(TABLE_OF[view])
    for table in list(query.find_all(expressions.Table)):
        table.replace(sqlglot.parse_one(name, into=expressions.Table, dialect=dialect))
    return query.sql(dialect=dialect)


def create_view(database: TargetDatabase, view: View, target: Target) -> None:
    """Create or replace a view beside the tables.

    :param database: the database.
    :param view: the view.
    :param target: the database's name and schema.
    :raises WarehouseTableError: if a table has the name of the view.
    """
    query = view_query(view, dialect=database.dialect, qualified=lambda table: database.qualified(table.name))
    problem = database.attempt(f"CREATE OR REPLACE VIEW {database.qualified(view.value)} AS {query}")
    if problem is not None:
        place = f"{target.name}, view {target.schema}.{view.value}"
        raise WarehouseTableError(place, without_secrets(problem.splitlines()[0], target.secrets))
