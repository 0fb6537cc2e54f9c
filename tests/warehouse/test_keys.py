"""PostgreSQL finds a Tweet by the key of a table, and a file of DuckDB can be opened by clients of the year before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.exceptions import WarehouseTableError
from airflow_provider_engagement.warehouse.view_names import View

DAY = datetime(2026, 1, 5, tzinfo=UTC)
OLD_CLIENTS = [path for path in os.environ.get("ENGAGEMENT_OLD_DUCKDB", "").split(":") if path]


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each table that a plan reads, with the way in which it is read."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


@pytest.fixture
def postgres(make_postgres, write_rows, load):
    """Load 300 days of a hundred Tweets."""
    database = make_postgres()
    rows = [
        {
            "tweet_id": str(1070059276213702656 + tweet),
            "period_start": DAY + timedelta(days=day),
            "period_end": DAY + timedelta(days=day + 1),
            "granularity": "day",
            "time_zone": "UTC",
            "owner": "42",
            "impressions": day,
        }
        for tweet in range(100)
        for day in range(300)
    ]
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", rows)
    load(database, views=[View.ENGAGEMENT_BY_DAY])
    database.query("ANALYZE")
    return database


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(impressions) FROM mart.tweet_metrics WHERE tweet_id = '1070059276213702660' "
        "AND period_start >= '2026-03-02' AND period_start < '2026-03-09'",
        "SELECT sum(impressions) FROM mart.engagement_by_day WHERE tweet_id = '1070059276213702660' "
        "AND period_date BETWEEN '2026-03-02' AND '2026-03-08'",
    ],
    ids=["table", "view"],
)
def test_a_tweet_and_a_week_are_found_by_an_index(postgres, query) -> None:
    ((plans,),) = postgres.query(f"EXPLAIN (FORMAT JSON) {query}")
    found = list(scans((json.loads(plans) if isinstance(plans, str) else plans)[0]["Plan"]))

    assert found
    assert {(table, "Index" in way or "Bitmap" in way) for table, way in found} == {("tweet_metrics", True)}
    assert postgres.query(query) == [(sum(range(56, 63)),)]


def test_a_second_load_keeps_the_index_and_one_of_another_key_is_dropped(postgres, load) -> None:
    names = "SELECT indexname FROM pg_indexes WHERE schemaname = 'mart' AND tablename = 'tweet_metrics' ORDER BY 1"
    before = postgres.query(names)
    postgres.query("CREATE UNIQUE INDEX tweet_metrics_engagement_key_0 ON mart.tweet_metrics (tweet_id, period_start)")
    postgres.query("CREATE INDEX mine ON mart.tweet_metrics (owner)")

    load(postgres)

    assert postgres.query(names) == sorted([*before, ("mine",)])


def test_rows_with_the_same_key_are_named_before_a_row_is_loaded(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database)
    ((index,),) = database.query("SELECT indexname FROM pg_indexes WHERE tablename = 'tweet_metrics' LIMIT 1")
    database.query(f"DROP INDEX mart.{index}")
    database.query("INSERT INTO mart.tweet_metrics SELECT * FROM mart.tweet_metrics LIMIT 1")
    write_day(DAY + timedelta(days=1))

    with pytest.raises(WarehouseTableError, match="rows of it have the same tweet_id, period_start"):
        load(database)

    assert database.query("SELECT count(*) FROM mart.tweet_metrics") == [(73,)]


def test_a_user_who_does_not_own_a_table_can_load_into_it(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database)
    ((index,),) = database.query("SELECT indexname FROM pg_indexes WHERE tablename = 'tweet_metrics' LIMIT 1")
    database.query(f"DROP INDEX mart.{index}")
    database.query("ALTER TABLE mart.tweet_metrics OWNER TO pg_database_owner")

    load(database)


def test_a_new_file_of_duckdb_has_the_format_of_version_1_1(make_duckdb, write_day, load) -> None:
    database = make_duckdb()
    write_day()
    load(database)

    header = Path(database.target.settings["credentials"]).read_bytes()[:20]
    # A checksum, four letters and the version of the format, which is 64 up to DuckDB 1.1.
    assert (header[8:12], int.from_bytes(header[12:20], "little")) == (b"DUCK", 64)


@pytest.mark.skipif(not OLD_CLIENTS, reason="needs folders with old versions of duckdb in ENGAGEMENT_OLD_DUCKDB")
@pytest.mark.parametrize("client", OLD_CLIENTS)
def test_older_clients_read_every_view(make_duckdb, write_rows, write_day, load, client) -> None:
    database = make_duckdb()
    write_day()
    status = {"tweet_id": "1", "run_id": "r", "task": "t", "endpoint": "historical", "outcome": "ok"}
    window = {"tweet_id": "1", "window_start": DAY, "window_end": DAY, "granularity": "hour", "outcome": "ok"}
    window |= {"run_id": "r", "task": "t", "time_zone": "UTC"}
    totals = {"tweet_id": "1", "snapshot_at": DAY, "auth": "app", "favorites": 1}
    write_rows("tweet_status/run_date=2026-01-05/a.parquet", "tweet_status", [status])
    write_rows("coverage/run_date=2026-01-05/a.parquet", "coverage", [window])
    write_rows("tweet_totals/snapshot_date=2026-01-05/a.parquet", "tweet_totals", [totals])
    load(database, views=list(View))
    program = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "for view in sys.argv[2:]:\n"
        "    connection.execute(f'CREATE TEMP TABLE read_{view} AS SELECT * FROM mart.{view}')\n"
        "print(duckdb.__version__, connection.execute('SELECT count(*) FROM mart.tweet_metrics').fetchone()[0])\n"
    )

    read = subprocess.run(
        [sys.executable, "-c", program, database.target.settings["credentials"], *View],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": client},
    )

    assert read.stdout.split() == [Path(client).name.rpartition("-")[2], "72"], read.stderr
