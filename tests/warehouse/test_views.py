"""The rows that the views show, computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.warehouse.view_names import View
from airflow_provider_engagement.warehouse.views import view_query

DAY = datetime(2026, 1, 5, tzinfo=UTC)
SNAPSHOTS = [datetime(2026, 1, day, 9, tzinfo=UTC) for day in (10, 11, 12)]

FIVETRAN_METRICS = [
    "app_clicks",
    "card_engagements",
    "carousel_swipes",
    "clicks",
    "engagements",
    "follows",
    "impressions",
    "likes",
    "poll_card_vote",
    "qualified_impressions",
    "replies",
    "retweets",
    "tweets_send",
    "unfollows",
    "url_clicks",
    "video_15_s_views",
    "video_3_s_100_pct_views",
    "video_6_s_views",
    "video_content_starts",
    "video_cta_clicks",
    "video_total_views",
    "video_views_25",
    "video_views_50",
    "video_views_75",
    "video_views_100",
]
"""The metric columns that dbt_twitter_organic reads."""


@pytest.fixture
def views(database, write_rows, load):
    """Load two days of a Tweet, an hour, and three snapshots, with all views."""
    common = {"tweet_id": "1", "time_zone": "UTC", "owner": "42", "fetched_at": SNAPSHOTS[0]}
    first = {"period_start": DAY, "period_end": DAY + timedelta(days=1), "granularity": "day"}
    second = {"period_start": first["period_end"], "period_end": DAY + timedelta(days=2), "granularity": "day"}
    hour = {"period_start": DAY, "period_end": DAY + timedelta(hours=1), "granularity": "hour"}
    counts = {"impressions": 200, "engagements": 30, "favorites": 5, "video_views": 0, "user_follows": 2}
    days = [{**common, **first, **counts}, {**common, **second, **dict.fromkeys(counts), "impressions": 0}]
    hours = [{**common, **hour, **dict.fromkeys(counts), "favorites": 1}]
    write_rows("tweet_metrics/day/period_month=2026-01/rows.parquet", "tweet_metrics", days)
    write_rows("tweet_metrics/hour/period_date=2026-01-05/rows.parquet", "tweet_metrics", hours)
    totals = [
        {"tweet_id": "1", "snapshot_at": at, "auth": "user", "favorites": favorites, "impressions": impressions}
        | {"engagements": 10, "fetched_at": at}
        for at, favorites, impressions in zip(SNAPSHOTS, (10, 12, 9), (100, None, 150), strict=True)
    ]
    write_rows("tweet_totals/snapshot_date=2026-01-10/a.parquet", "tweet_totals", totals)
    load(database, views=list(View))
    return database


def test_the_long_form_has_a_row_for_each_count_and_none_for_null(views) -> None:
    rows = views.query(
        "SELECT tweet_id, metric, period_start, value FROM mart.tweet_metrics_long WHERE granularity = 'day'"
    )
    columns = views.query(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'mart' AND table_name = 'tweet_metrics_long' ORDER BY ordinal_position"
    )

    assert {(tweet, metric, at.astimezone(UTC), value) for tweet, metric, at, value in rows} == {
        ("1", "impressions", DAY, 200),
        ("1", "engagements", DAY, 30),
        ("1", "favorites", DAY, 5),
        ("1", "video_views", DAY, 0),
        ("1", "user_follows", DAY, 2),
        ("1", "impressions", DAY + timedelta(days=1), 0),
    }
    assert len(rows) == 6
    assert [name for (name,) in columns][:4] == ["tweet_id", "metric", "period_start", "value"]


def test_the_organic_report_has_the_columns_of_the_dbt_package_and_null_for_missing_metrics(views) -> None:
    columns = views.query(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'mart' AND table_name = 'organic_tweet_report' ORDER BY ordinal_position"
    )
    names = [name for name, _ in columns]
    rows = views.query("SELECT * FROM mart.organic_tweet_report ORDER BY date")
    first, second = (dict(zip(names, row, strict=True)) for row in rows)

    assert names == ["date", "account_id", "organic_tweet_id", "placement", "_fivetran_synced", *FIVETRAN_METRICS]
    assert {kind.lower() for name, kind in columns if name in FIVETRAN_METRICS} == {"bigint"}
    assert (first["date"].astimezone(UTC), first["account_id"], first["organic_tweet_id"]) == (DAY, "42", "1")
    assert first["placement"] == "ALL_ON_TWITTER"
    known = {"impressions": 200, "engagements": 30, "likes": 5, "video_total_views": 0, "follows": 2}
    assert {name: first[name] for name in FIVETRAN_METRICS} == {**dict.fromkeys(FIVETRAN_METRICS), **known}
    assert {name for name in FIVETRAN_METRICS if second[name] is not None} == {"impressions"}


def test_a_rate_is_null_without_impressions_or_with_a_null(views) -> None:
    days = views.query(
        "SELECT all_engagements_per_organic_impression FROM mart.tweet_metrics_rates "
        "WHERE granularity = 'day' ORDER BY period_start"
    )
    totals = views.query(
        "SELECT all_engagements_per_organic_impression FROM mart.tweet_totals_rates ORDER BY snapshot_at"
    )

    assert days == [(0.15,), (None,)]
    assert totals == [(0.1,), (None,), (10 / 150,)]


def test_changes_are_differences_from_the_snapshot_before(views) -> None:
    rows = views.query(
        "SELECT snapshot_at, previous_snapshot_at, favorites_change, impressions_change "
        "FROM mart.tweet_totals_changes ORDER BY snapshot_at"
    )

    assert [(at.astimezone(UTC), before and before.astimezone(UTC), *changes) for at, before, *changes in rows] == [
        (SNAPSHOTS[0], None, None, None),
        (SNAPSHOTS[1], SNAPSHOTS[0], 2, None),
        (SNAPSHOTS[2], SNAPSHOTS[1], -3, None),
    ]


def test_views_can_be_created_again_by_the_next_load(views, load) -> None:
    load(views, views=list(View))

    assert views.query("SELECT count(*) FROM mart.organic_tweet_report") == [(2,)]


def test_a_table_with_the_name_of_a_view_is_named(database, write_day, load) -> None:
    write_day()
    load(database)
    database.query("CREATE TABLE mart.tweet_metrics_long (a integer)")

    with pytest.raises(WarehouseTableError, match=r"mart\.tweet_metrics_long"):
        load(database, views=[View.METRICS_LONG])


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "snowflake", "bigquery", "redshift", "databricks"])
@pytest.mark.parametrize("view", View)
def test_every_view_has_a_query_in_every_dialect(view, dialect) -> None:
    quote = "`" if dialect in ("bigquery", "databricks") else '"'

    query = view_query(view, dialect=dialect, qualified=lambda table: f"{quote}mart{quote}.{quote}{table.name}{quote}")

    assert f"FROM {quote}mart{quote}.{quote}tweet_" in query
    assert " FROM tweet_" not in query
