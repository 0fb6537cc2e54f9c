"""The queries of the views, in the dialect of a database.

The folder ``sql`` has one template for each view, and templates of parts that several views share. Every query reads
tables alone, never another view, so that a view can be made again without the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

import sqlglot
from sqlglot import expressions

from airflow_provider_engagement.engagement_api.response import OUTCOME_MEANINGS
from airflow_provider_engagement.tables.tables import (
    TABLES,
    TWEET_METRICS,
    TWEET_TOTALS,
    Table,
)
from airflow_provider_engagement.warehouse.view_names import View

MARK = "airflow_provider_engagement_view_c41f7b0e5d92a683"
"""The name of an expression in each query, which is in no other by chance. By it, this package knows its own views in a
database that cannot mark them."""

_DIALECT = "postgres"
"""The dialect of the templates."""

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

_RECONCILED = ("impressions", "engagements", "favorites", "retweets", "replies")
"""The metrics that mean the same in series and in totals. In totals, the views of a video are those of all Tweets that
show it."""


_SERIES, _TOTALS = TWEET_METRICS.metrics, TWEET_TOTALS.metrics
_WHOLE_SUM = "CASE WHEN COUNT({metric}) = COUNT(*) THEN CAST(SUM({metric}) AS BIGINT) END AS {metric}"
"""A sum is null if one of its counts is: nothing is skipped."""

_HOURS_ARE_NEWER = (
    "of_hours.fetched_at > stored.fetched_at AND (of_hours.is_final OR NOT COALESCE(stored.is_final, FALSE))"
)
"""Whether the hours of a day know more than its row: some were read later, and they are as final."""

_COLUMNS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "metrics": (_SERIES, "{metric}"),
        "metrics_of_days": (
            _SERIES,
            f"CASE WHEN {_HOURS_ARE_NEWER} THEN COALESCE(of_hours.{{metric}}, stored.{{metric}}) "
            "ELSE COALESCE(stored.{metric}, of_hours.{metric}) END AS {metric}",
        ),
        "sums": (_SERIES, _WHOLE_SUM),
        "metrics_wanted": (
            _SERIES,
            "MAX(CASE WHEN metrics LIKE '%,{metric},%' THEN 1 ELSE 0 END) AS {metric}",
        ),
        "metrics_known": (_SERIES, "MAX(COALESCE(hours.{metric}, periods.{metric})) AS {metric}"),
        "totals": (_TOTALS, "{metric}"),
        "totals_user_first": (
            _TOTALS,
            "COALESCE(MAX(CASE WHEN auth = 'user' THEN {metric} END), MAX({metric})) AS {metric}",
        ),
        "totals_known_at": (
            _TOTALS,
            "MAX(CASE WHEN {metric} IS NOT NULL THEN snapshot_at END) OVER (PARTITION BY tweet_id) "
            "AS {metric}_snapshot_at",
        ),
        "newest_totals": (
            _TOTALS,
            "MAX(CASE WHEN snapshot_at = {metric}_snapshot_at THEN {metric} END) AS {metric}, "
            "MAX({metric}_snapshot_at) AS {metric}_snapshot_at",
        ),
        "totals_ages": (
            _TOTALS,
            "{metric}_snapshot_at, DATEDIFF(snapshot_at AT TIME ZONE 'UTC', {metric}_snapshot_at AT TIME ZONE 'UTC', "
            "'HOUR') AS {metric}_age_hours",
        ),
        "totals_numbered": (
            _TOTALS,
            "COUNT({metric}) OVER (PARTITION BY tweet_id ORDER BY snapshot_at) AS {metric}_number",
        ),
        "totals_known": (_TOTALS, "MAX({metric}) OVER (PARTITION BY tweet_id, {metric}_number) AS {metric}_known"),
        "totals_changes": (
            _TOTALS,
            "{metric} - LAG({metric}_known) OVER (PARTITION BY tweet_id ORDER BY snapshot_at) AS {metric}_change",
        ),
        "reconciled": (_RECONCILED, "{metric}"),
        "reconciled_sums": (_RECONCILED, _WHOLE_SUM),
        "reconciled_counts": (
            _RECONCILED,
            "hours.{metric} AS hours_{metric}, days.{metric} AS days_{metric}, totals.{metric} AS total_{metric}",
        ),
    }
)
"""The lists of columns in the templates: the metrics, and what stands for each of them."""


def view_query(view: View, *, dialect: str, qualified: Callable[[Table], str], time_zone: str) -> str:
    """Return the query of a view.

    :param view: the view.
    :param dialect: sqlglot's name of the database's dialect.
    :param qualified: returns the quoted name of a table, with its schema.
    :param time_zone: the time zone of days, dates and hours of day. The query shows no days of another one.
    """
    template = _parsed(_filled(_template(view.value), time_zone))
    query = expressions.select("*").from_(MARK)
    # One list of expressions: DuckDB 1.4 does not find an expression of a list within another.
    for part in template.ctes:
        query = query.with_(part.alias, as_=part.this)
    query = query.with_(MARK, as_=_without_parts(template))
    return _in_dialect(query, dialect, qualified)


def days_by_zone_query(*, dialect: str, qualified: Callable[[Table], str]) -> str:
    """Return the query of each time zone of days: how many Tweets have days of the newest week, and its oldest day.

    :param dialect: sqlglot's name of the database's dialect.
    :param qualified: returns the quoted name of a table, with its schema.
    """
    return _in_dialect(_parsed(_template("days_by_zone")), dialect, qualified)


def _parsed(template: str) -> expressions.Select:
    return sqlglot.parse_one(template, dialect=_DIALECT, into=expressions.Select)


def _in_dialect(query: expressions.Select, dialect: str, qualified: Callable[[Table], str]) -> str:
    """Return a query with the names of the tables in a database."""
    for table in list(query.find_all(expressions.Table)):
        if table.name in TABLES:
            named = sqlglot.parse_one(qualified(TABLES[table.name]), into=expressions.Table, dialect=dialect)
            named.set("alias", table.args.get("alias"))
            table.replace(named)
    return query.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.IGNORE)


@cache
def _template(name: str) -> str:
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8").strip()


def _without_parts(query: expressions.Query) -> expressions.Query:
    plain = query.copy()
    for part in plain.find_all(expressions.With):
        part.pop()
    return plain


def _filled(template: str, time_zone: str) -> str:
    """Return a template with its parts, and with its lists of columns, which depend on the metrics."""
    parts = {
        "days": _template("days"),
        "hours_and_days": _template("hours_and_days"),
        "hours_are_newer": _HOURS_ARE_NEWER,
        "long_rows": _for_each(TWEET_METRICS.metrics, _template("long_row"), separator=" UNION ALL "),
        "reconciled_rows": _for_each(_RECONCILED, _template("reconciled_row"), separator=" UNION ALL "),
        "metrics_missing": _for_each(
            _SERIES,
            "CASE WHEN wanted.{metric} = 1 AND known.{metric} IS NULL THEN ',{metric}' ELSE '' END",
            separator=" || ",
        ),
        "reasons": _reasons(),
        "snapshots": _template("snapshots"),
        "summed_days": _template("summed_days"),
        "zone": _text(time_zone),
        **{name: _for_each(metrics, expression) for name, (metrics, expression) in _COLUMNS.items()},
        "organic_metrics": ", ".join(
            f"{metric or 'CAST(NULL AS BIGINT)'} AS {column}" for column, metric in _ORGANIC_METRICS.items()
        ),
    }
    while "{" in template:
        template = template.format(**parts)
    return template


def _reasons() -> str:
    """Return why an hour is missing, for each outcome."""
    meanings = {str(outcome): meaning for outcome, (meaning, _) in OUTCOME_MEANINGS.items()}
    meanings["not_read"] = "No pull has read this hour"
    return " ".join(
        f"WHEN {_text(outcome)} THEN {_text(meaning)}" for outcome, meaning in meanings.items() if outcome != "ok"
    )


def _text(value: str) -> str:
    return expressions.Literal.string(value).sql(dialect=_DIALECT)


def _for_each(metrics: Iterable[str], expression: str, separator: str = ", ") -> str:
    return separator.join(expression.format(metric=metric) for metric in metrics)
