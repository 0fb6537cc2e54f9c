"""The rows that the views show, computed by hand."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from airflow_provider_engagement.exceptions import WarehouseError, WarehouseViewError
from airflow_provider_engagement.tables.tables import TWEET_METRICS, Table
from airflow_provider_engagement.warehouse import postgres_database
from airflow_provider_engagement.warehouse import views as views_module
from airflow_provider_engagement.warehouse.view_names import TABLES_OF, View
from airflow_provider_engagement.warehouse.view_queries import MARK, view_query

DAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
VIEWS_OF_METRICS = [view for view in View if TABLES_OF[view] == (TWEET_METRICS,)]
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
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", days)
    write_rows("tweet_metrics/hour/partition_date=2026-01-05/rows.parquet", "tweet_metrics", hours)
    totals = [
        {"tweet_id": "1", "snapshot_at": at, "auth": "user", "favorites": favorites, "impressions": impressions}
        | {"engagements": 10, "fetched_at": at}
        for at, favorites, impressions in zip(SNAPSHOTS, (10, 12, 9), (100, None, 150), strict=True)
    ]
    write_rows("tweet_totals/snapshot_date=2026-01-10/a.parquet", "tweet_totals", totals)
    statuses = [status("historical", "ok", 1)]
    write_rows("tweet_status/run_date=2026-01-05/a.parquet", "tweet_status", statuses)
    write_rows("coverage/run_date=2026-01-05/a.parquet", "coverage", [window(0, 24)])
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
    assert (first["date"], first["account_id"], first["organic_tweet_id"]) == (DAY.date(), "42", "1")
    assert first["placement"] == "ALL_ON_TWITTER"
    known = {"impressions": 200, "engagements": 30, "likes": 5, "video_total_views": 0, "follows": 2}
    assert {name: first[name] for name in FIVETRAN_METRICS} == {**dict.fromkeys(FIVETRAN_METRICS), **known}
    assert {name for name in FIVETRAN_METRICS if second[name] is not None} == {"impressions"}


def test_rates_are_ratios_of_sums_over_the_days_that_have_both_counts(views) -> None:
    rows = views.query(
        "SELECT tweet_id, owner, days, engagements, impressions, all_engagements_per_organic_impression "
        "FROM mart.engagement_rates"
    )
    totals = views.query("SELECT all_engagements_per_organic_impression FROM mart.newest_totals")

    assert rows == [("1", "42", 1, 30, 200, 0.15)]
    assert totals == [(10 / 150,)]


def test_changes_are_differences_from_the_last_known_count(views) -> None:
    rows = views.query(
        "SELECT snapshot_at, previous_snapshot_at, favorites_change, impressions_change "
        "FROM mart.tweet_totals_changes ORDER BY snapshot_at"
    )

    # The impressions of the second snapshot are unknown, but not what they grew by until the third.
    assert [(at.astimezone(UTC), before and before.astimezone(UTC), *changes) for at, before, *changes in rows] == [
        (SNAPSHOTS[0], None, None, None),
        (SNAPSHOTS[1], SNAPSHOTS[0], 2, None),
        (SNAPSHOTS[2], SNAPSHOTS[1], -3, 50),
    ]


def total(auth: str, at: datetime, **counts: int | None) -> dict:
    names = ("favorites", "impressions", "engagements")
    known = {name: counts.get(name) for name in names}
    return {"tweet_id": "1", "snapshot_at": at, "auth": auth, "fetched_at": at, "owner": None, **known}


def test_two_kinds_of_credentials_give_one_row_for_each_snapshot(database, write_rows, load) -> None:
    rows = [
        total("app", SNAPSHOTS[0], favorites=11),
        total("user", SNAPSHOTS[0], favorites=10, impressions=100),
        total("app", SNAPSHOTS[1], favorites=14),
        total("user", SNAPSHOTS[1]),
    ]
    write_rows("tweet_totals/snapshot_date=2026-01-10/a.parquet", "tweet_totals", rows)
    load(database, views=[View.NEWEST_TOTALS, View.TOTALS_CHANGES])

    newest = database.query(
        "SELECT favorites, favorites_age_hours, impressions, impressions_age_hours FROM mart.newest_totals"
    )
    changes = database.query("SELECT favorites_change FROM mart.tweet_totals_changes ORDER BY snapshot_at")

    assert newest == [(14, 0, 100, 24)]
    assert changes == [(None,), (4,)]


def hours_from(start: datetime, number: int, **columns: object) -> list[dict]:
    common = {"tweet_id": "1", "granularity": "hour", "time_zone": "UTC", "owner": "42", "is_final": True}
    common |= {"tweet_created_at": start + timedelta(minutes=20), "fetched_at": SNAPSHOTS[0], "impressions": 1}
    return [
        {**common, "period_start": start + hour * HOUR, "period_end": start + (hour + 1) * HOUR, **columns}
        for hour in range(number)
    ]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        # The Tweet was posted at 22:20 UTC. The hours of its last day are not all there.
        (None, [("2026-03-28", 2), ("2026-03-29", 24)]),
        # In Berlin, it was posted at 23:20, and 2026-03-29 has 23 hours.
        ("Europe/Berlin", [("2026-03-28", 1), ("2026-03-29", 23)]),
        ("America/New_York", [("2026-03-28", 6)]),
    ],
)
def test_whole_days_are_summed_from_hours_if_there_are_no_days(database, write_rows, load, zone, expected) -> None:
    rows = hours_from(datetime(2026, 3, 28, 22, tzinfo=UTC), 29)
    write_rows("tweet_metrics/hour/partition_date=2026-03-28/rows.parquet", "tweet_metrics", rows)
    load(database, views=[View.ENGAGEMENT_BY_DAY], time_zone=zone)

    days = database.query("SELECT period_date, impressions FROM mart.engagement_by_day ORDER BY period_date")

    assert [(str(day), count) for day, count in days] == expected


def test_a_day_of_which_an_hour_is_not_there_is_no_day_and_one_with_an_unknown_hour_is_null(
    database, write_rows, load
) -> None:
    first, second = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
    rows = [*hours_from(first, 11), *hours_from(first + 12 * HOUR, 12), *hours_from(second, 24)]
    rows[30]["impressions"] = None
    write_rows("tweet_metrics/hour/partition_date=2026-01-05/rows.parquet", "tweet_metrics", rows)
    load(database, views=[View.ENGAGEMENT_BY_DAY])

    days = database.query("SELECT period_date, impressions, is_final FROM mart.engagement_by_day")

    assert [(str(day), *others) for day, *others in days] == [("2026-01-06", None, True)]


def days_of(zone: str, tweets: int, first: int, last: int) -> list[dict]:
    """Return days from a first to a last one, which is not included, in the zone of Berlin or Tokyo or in UTC."""
    begin = DAY - {"UTC": 0, "Europe/Berlin": 1, "Asia/Tokyo": 9}[zone] * HOUR
    common = {"granularity": "day", "time_zone": zone, "owner": "42", "is_final": True, "fetched_at": SNAPSHOTS[0]}
    return [
        {**common, "tweet_id": str(tweet), "impressions": 1, "engagements": 1}
        | {"period_start": begin + number * 24 * HOUR, "period_end": begin + (number + 1) * 24 * HOUR}
        for tweet in range(tweets)
        for number in range(first, last)
    ]


@pytest.mark.parametrize(
    ("days", "zone"),
    [
        ([*days_of("UTC", 4, 0, 20), *days_of("Europe/Berlin", 4, 0, 20)], "Europe/Berlin"),
        # A newest day or a new Tweet of one zone does not change the choice.
        ([*days_of("UTC", 4, 0, 21), *days_of("Europe/Berlin", 3, 0, 20)], "Europe/Berlin"),
        ([*days_of("UTC", 3, -1, 20), *days_of("Europe/Berlin", 4, 0, 21)], "UTC"),
        # Somebody has pulled a year of one Tweet in Tokyo.
        ([*days_of("UTC", 4, 0, 20), *days_of("Asia/Tokyo", 1, -365, 20)], "UTC"),
        # The pulls have changed to Berlin's days more than a week ago.
        ([*days_of("UTC", 4, 0, 10), *days_of("Europe/Berlin", 4, 10, 20)], "Europe/Berlin"),
    ],
)
def test_without_a_choice_all_views_have_one_time_zone_which_new_days_and_tweets_do_not_change(
    database, write_rows, load, days, zone, caplog
) -> None:
    hours = hours_from(DAY + 400 * 24 * HOUR, 48, tweet_id="9")
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", days)
    write_rows("tweet_metrics/hour/partition_date=2027-02-09/rows.parquet", "tweet_metrics", hours)

    report = load(database, views=list(VIEWS_OF_METRICS))

    of_zone = [day for day in days if day["time_zone"] == zone]
    by_date = database.query("SELECT period_date, sum(impressions) FROM mart.engagement_by_day GROUP BY period_date")
    zones = database.query(
        "SELECT DISTINCT time_zone FROM mart.engagement_by_day UNION ALL SELECT DISTINCT time_zone "
        "FROM mart.engagement_by_hour UNION ALL SELECT DISTINCT time_zone FROM mart.engagement_rates"
    )
    assert sum(count for day, count in by_date if day.year < 2027) == len(of_zone)
    assert {zone for (zone,) in zones} == {zone}
    assert len(zones) == 3
    assert report["time_zone"] == zone
    assert f"days of 2 time zones. The views show those of {zone}" in caplog.text


def test_the_days_that_the_views_do_not_show_are_listed_by_time_zone(database, write_rows, load) -> None:
    days = [*days_of("UTC", 4, 0, 20), *days_of("Asia/Tokyo", 6, 15, 20)]
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", days)
    load(database, views=[View.DAY_TIME_ZONES], time_zone="UTC")

    rows = database.query(
        "SELECT time_zone, is_shown, days, tweets, tweets_not_shown, first_date, last_date FROM mart.day_time_zones"
    )

    assert sorted((*row[:5], *map(str, row[5:])) for row in rows) == [
        ("Asia/Tokyo", False, 30, 6, 2, "2026-01-20", "2026-01-24"),
        ("UTC", True, 80, 4, 0, "2026-01-05", "2026-01-24"),
    ]


def status(endpoint: str, outcome: str, hour: int | None, *, task: str = "dag.task", tweet: str = "1") -> dict:
    at = None if hour is None else DAY + hour * HOUR
    return {
        "tweet_id": tweet,
        "run_id": f"manual__{hour}",
        "task": task,
        "owner": "42",
        "endpoint": endpoint,
        "outcome": outcome,
        "checked_at": at,
    }


@pytest.mark.parametrize("first", [0, 9], ids=["an older Tweet", "the day of its creation"])
def test_a_count_that_a_day_does_not_have_is_the_sum_of_its_hours(database, write_rows, hours, load, first) -> None:
    created = {"tweet_created_at": DAY + first * HOUR + timedelta(minutes=5)}
    all_hours = hours(DAY, tweets=["1070059276213702656"], impressions=3, engagements=None)
    day = [row | created for row in all_hours[first:]]
    write_rows("tweet_metrics/hour/partition_date=2026-01-05/rows.parquet", "tweet_metrics", day)
    stored = {**day[0], "period_start": DAY, "period_end": DAY + 24 * HOUR, "granularity": "day"}
    stored |= {"impressions": None, "engagements": 7, "favorites": None, "retweets": None}
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", [stored])

    load(database, views=[View.ENGAGEMENT_BY_DAY, View.ENGAGEMENT_RATES])

    days = "SELECT impressions, engagements, favorites, retweets FROM mart.engagement_by_day"
    assert database.query(days) == [(3 * len(day), 7, sum(row["favorites"] for row in day), None)]
    assert database.query("SELECT engagements, impressions FROM mart.engagement_rates") == [(7, 3 * len(day))]


def test_the_newest_status_is_that_of_each_endpoint(database, write_rows, load) -> None:
    statuses = [
        status("totals", "unsupported_90d", 1, task="dag.users"),
        # This task does not ask for impressions, so it does not find them missing.
        status("totals", "ok", 2, task="dag.app"),
        status("historical", "no_data", 3),
        status("historical", "ok", 4),
        status("historical", "failed", None),
        status("28hr", "ok", 5),
        status("28hr", "unavailable", 6),
        status("totals", "unsupported_90d", 1, tweet="2"),
        status("totals", "unavailable", 2, tweet="2"),
    ]
    write_rows("tweet_status/run_date=2026-01-05/a.parquet", "tweet_status", statuses)
    load(database, views=[View.NEWEST_STATUS])

    rows = database.query("SELECT tweet_id, endpoint, outcome FROM mart.newest_status")

    assert sorted(rows) == [
        ("1", "28hr", "unavailable"),
        ("1", "historical", "ok"),
        ("1", "totals", "unsupported_90d"),
        ("2", "totals", "unavailable"),
    ]


def window(start: int, end: int, outcome: str = "ok", metrics: str = "favorites,impressions", tweet: str = "1") -> dict:
    return {
        "tweet_id": tweet,
        "window_start": DAY + start * HOUR,
        "window_end": DAY + end * HOUR,
        "granularity": "hour",
        "time_zone": "UTC",
        "run_id": f"manual__{outcome}",
        "task": "dag.task",
        "metrics": metrics,
        "outcome": outcome,
        "fetched_at": DAY + 900 * HOUR,
    }


def test_missing_hours_are_those_without_a_count_that_were_requested_or_lie_between_others(
    database, write_rows, load
) -> None:
    windows = [
        window(0, 3),
        # Nobody has read the hours from 3 to 703.
        window(703, 704, "no_data"),
        # Only the impressions are missing.
        window(704, 706, "unsupported_90d"),
        # A later pull of fewer metrics has found them.
        window(703, 704, metrics="favorites"),
    ]
    counts = [*hours_from(DAY, 3), *hours_from(DAY + 703 * HOUR, 3, impressions=None)]
    rows = [{**row, "favorites": 1} for row in counts]
    write_rows("coverage/run_date=2026-01-05/a.parquet", "coverage", windows)
    write_rows("tweet_metrics/hour/partition_date=2026-01-05/rows.parquet", "tweet_metrics", rows)
    write_rows("tweet_status/run_date=2026-01-05/a.parquet", "tweet_status", [status("historical", "ok", 1)])
    load(database, views=[View.MISSING_HOURS])

    missing = database.query("SELECT period_start, outcome, metrics, owner FROM mart.missing_hours ORDER BY 1")

    not_read = [(DAY + hour * HOUR, "not_read", None, "42") for hour in range(3, 703)]
    assert [(at.astimezone(UTC), *others) for at, *others in missing] == [
        *not_read,
        (DAY + 703 * HOUR, "no_data", "impressions", "42"),
        (DAY + 704 * HOUR, "unsupported_90d", "impressions", "42"),
        (DAY + 705 * HOUR, "unsupported_90d", "impressions", "42"),
    ]


def test_a_difference_between_hours_and_days_is_found(database, write_rows, load) -> None:
    hours = hours_from(DAY, 24)
    day = {**hours[0], "granularity": "day", "period_end": DAY + timedelta(days=1), "impressions": 23}
    write_rows("tweet_metrics/hour/partition_date=2026-01-05/rows.parquet", "tweet_metrics", hours)
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", [day])
    at = DAY + timedelta(days=1)
    write_rows("tweet_totals/snapshot_date=2026-01-06/a.parquet", "tweet_totals", [total("user", at, impressions=24)])
    load(database, views=[View.RECONCILIATION])

    rows = database.query(
        "SELECT hours_count, days_count, total_count, result FROM mart.engagement_reconciliation "
        "WHERE metric = 'impressions'"
    )

    assert rows == [(24, 23, 24, "different")]


def test_views_can_be_created_again_by_the_next_load(views, load) -> None:
    load(views, views=list(View))

    assert views.query("SELECT count(*) FROM mart.organic_tweet_report") == [(2,)]


TAKEN = {
    "a table": "CREATE TABLE mart.engagement_by_day (a integer)",
    "a view": "CREATE VIEW mart.engagement_by_day AS SELECT tweet_id, impressions FROM mart.tweet_metrics",
    "a view of one of ours": "CREATE VIEW mart.engagement_by_day AS SELECT * FROM mart.engagement_by_hour",
    "a view that names the package": (
        "CREATE VIEW mart.engagement_by_day AS WITH airflow_provider_engagement AS (SELECT 1 AS one) "
        "SELECT * FROM airflow_provider_engagement WHERE 'airflow-provider-engagement' <> 'Made by'"
    ),
}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN.keys())
def test_what_this_package_has_not_made_is_not_replaced_and_no_row_is_loaded(
    database, write_day, load, expected, taken
) -> None:
    rows = write_day()
    load(database, views=[View.ENGAGEMENT_BY_HOUR])
    database.query(taken)
    write_day(DAY + timedelta(days=1))

    with pytest.raises(WarehouseViewError, match=r"mart\.engagement_by_day cannot be made: .* No row is loaded\."):
        load(database, views=list(VIEWS_OF_METRICS))

    assert database.rows() == expected(rows)


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
@pytest.mark.parametrize("change", ["replaced", "dropped and made from a copy", "moved behind another"])
def test_a_view_that_you_have_made_of_ours_is_not_replaced_and_no_row_is_loaded(
    kind, write_day, load, expected, request, change
) -> None:
    database = request.getfixturevalue(f"make_{kind}")()
    rows = write_day()
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    place = "mart.engagement_by_day"
    query = view_query(
        View.ENGAGEMENT_BY_DAY, dialect=kind, qualified=lambda table: f"mart.{table.name}", time_zone="UTC"
    )
    if change == "moved behind another":
        database.query(f"DROP VIEW {place}; CREATE VIEW mart.mine AS {query}; ALTER VIEW mart.mine RENAME TO renamed")
        database.query(f"CREATE VIEW {place} AS SELECT * FROM mart.renamed")
    else:
        if change != "replaced":
            database.query(f"DROP VIEW {place}")
        database.query(f"CREATE OR REPLACE VIEW {place} AS {query} WHERE owner = '42'")
    write_day(added=1)

    with pytest.raises(WarehouseViewError, match=r"not made, or that was changed\. No row is loaded"):
        load(database, views=[View.ENGAGEMENT_BY_DAY])

    assert database.rows() == expected(rows)


def test_a_view_is_known_whatever_schemas_the_user_searches_and_after_its_comment_is_gone(
    make_postgres, write_day, load
) -> None:
    database = make_postgres()
    name = database.target.settings["credentials"]["database"]
    write_day()
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    database.query(f'ALTER DATABASE "{name}" SET search_path = mart, public')
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    database.query("COMMENT ON VIEW mart.engagement_by_day IS NULL")

    load(database, views=[View.ENGAGEMENT_BY_DAY])

    sealed = "SELECT obj_description('mart.engagement_by_day'::regclass, 'pg_class') LIKE 'Made by airflow-provider%'"
    assert database.query(sealed) == [(True,)]


def test_a_materialized_view_is_not_replaced(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database)
    database.query("CREATE MATERIALIZED VIEW mart.engagement_by_day AS SELECT 1 AS one")

    with pytest.raises(WarehouseViewError, match="No row is loaded"):
        load(database, views=[View.ENGAGEMENT_BY_DAY])


@pytest.fixture
def old_view(load, monkeypatch) -> Callable[[Any], None]:
    """Make a view as an earlier version of this package has made it, with other columns."""

    def made(database: Any) -> None:
        def query(view: View, *, qualified: Callable[[Table], str], **others: Any) -> str:
            return f"WITH {MARK} AS (SELECT owner, tweet_id FROM {qualified(TWEET_METRICS)}) SELECT * FROM {MARK}"

        with monkeypatch.context() as patch:
            patch.setattr(views_module, "view_query", query)
            load(database, views=[View.ENGAGEMENT_BY_DAY])

    return made


def test_a_view_whose_columns_have_changed_is_made_again(database, write_day, load, old_view) -> None:
    write_day()
    load(database)
    old_view(database)

    load(database, views=[View.ENGAGEMENT_BY_DAY])

    assert database.query("SELECT count(*) FROM mart.engagement_by_day WHERE period_date = '2026-01-05'") == [(3,)]


def test_a_view_that_is_made_again_can_be_read_by_those_who_could_read_it_before(
    make_postgres, write_day, load, old_view
) -> None:
    database = make_postgres()
    write_day()
    load(database)
    old_view(database)
    database.query("GRANT SELECT ON mart.engagement_by_day TO pg_monitor, PUBLIC")
    granted = "SELECT DISTINCT grantee::text, privilege_type::text FROM information_schema.role_table_grants "
    granted += "WHERE table_name = 'engagement_by_day' AND grantee <> 'postgres' ORDER BY 1"

    load(database, views=[View.ENGAGEMENT_BY_DAY])

    assert database.query(granted) == [("PUBLIC", "SELECT"), ("pg_monitor", "SELECT")]


def test_a_view_on_which_another_one_depends_is_named_and_no_row_is_loaded(
    make_postgres, write_day, load, expected, old_view
) -> None:
    database = make_postgres()
    rows = write_day()
    load(database)
    old_view(database)
    database.query("CREATE VIEW mart.mine AS SELECT owner FROM mart.engagement_by_day")
    write_day(DAY + timedelta(days=1))

    with pytest.raises(WarehouseViewError, match=r"view mart\.mine depends on .* No row is loaded"):
        load(database, views=[View.ENGAGEMENT_BY_DAY])

    assert database.rows() == expected(rows)
    assert database.query("SELECT count(*) FROM mart.mine") == [(72,)]


def test_a_reader_who_leaves_a_transaction_open_does_not_hold_up_a_load_with_the_same_views(
    make_postgres, write_day, load, numbers
) -> None:
    database = make_postgres()
    write_day()
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    write_day(added=1)
    with closing(connected(database)) as reader:
        reader.cursor().execute("SELECT count(*) FROM mart.engagement_by_day")

        report = load(database, views=[View.ENGAGEMENT_BY_DAY])

    assert numbers(report) == (0, 72, 0, 1, 0)


def test_a_table_that_another_session_has_locked_is_waited_for_and_then_worth_a_retry(
    make_postgres, write_day, load, monkeypatch
) -> None:
    monkeypatch.setattr(postgres_database, "_SHORTEST_WAIT", 0.05)
    database = make_postgres()
    write_day()
    load(database)
    write_day(added=1)
    with closing(connected(database)) as other:
        other.cursor().execute("LOCK TABLE mart.tweet_metrics IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(WarehouseError, match="lock timeout"):
            load(database, lock_timeout=0.05)

    load(database)


def test_a_view_of_another_user_is_named_as_such(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    role = f"engagement_{uuid.uuid4().hex[:12]}"
    database.query(f"CREATE ROLE {role} LOGIN")
    try:
        database.query(f"GRANT ALL ON SCHEMA mart TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA mart TO {role}")
        credentials = {**database.target.settings["credentials"], "username": role}
        database.target = replace(database.target, settings={"credentials": credentials})

        with pytest.raises(WarehouseViewError, match=r"is that of a view of another user\. No row is loaded"):
            load(database, views=[View.ENGAGEMENT_BY_DAY])
        load(database)
    finally:
        database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def connected(database) -> Any:
    credentials = database.target.settings["credentials"]
    return psycopg2.connect(host="127.0.0.1", port=5432, user="postgres", dbname=credentials["database"])


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "snowflake", "bigquery", "redshift", "databricks"])
@pytest.mark.parametrize("view", View)
def test_every_view_has_a_query_in_every_dialect(view, dialect) -> None:
    quote = "`" if dialect in ("bigquery", "databricks") else '"'

    query = view_query(
        view,
        dialect=dialect,
        qualified=lambda table: f"{quote}mart{quote}.{quote}{table.name}{quote}",
        time_zone="Europe/Berlin",
    )

    assert {f"{quote}mart{quote}.{quote}{table.name}{quote}" for table in TABLES_OF[view]} == set(
        re.findall(rf"{quote}mart{quote}\.{quote}\w+{quote}", query)
    )
    assert not re.search(r"(FROM|JOIN) (tweet_metrics|tweet_totals|tweet_status|coverage)\b", query)
