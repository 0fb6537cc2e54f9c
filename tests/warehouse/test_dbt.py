"""A dbt project builds on the views alone, with dbt's own tests. dbt has an environment of its own; see ``.ci/run``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.warehouse.destinations import Warehouse
from airflow_provider_engagement.warehouse.view_names import View

PROJECT = Path(__file__).parent / "dbt_project"
DBT = os.environ.get("ENGAGEMENT_DBT") or shutil.which("dbt")
DAY = datetime(2026, 1, 5, tzinfo=UTC)
VIEWS = [
    View.ORGANIC_TWEET_REPORT,
    View.TWEET,
    View.ACCOUNT_HISTORY,
    View.TWITTER_USER_HISTORY,
    View.ENGAGEMENT_BY_DAY,
]

pytestmark = pytest.mark.skipif(DBT is None, reason="needs dbt on PATH or in ENGAGEMENT_DBT")


def days(zone: str, start: datetime, tweets: Sequence[str], impressions: int) -> list[dict[str, Any]]:
    return [
        {
            "tweet_id": tweet,
            "period_start": start + timedelta(days=day),
            "period_end": start + timedelta(days=day + 1),
            "granularity": "day",
            "time_zone": zone,
            "owner": "4200000000000000042",
            "tweet_created_at": start,
            "fetched_at": DAY + timedelta(days=9),
            "is_final": True,
            "impressions": impressions + day,
            "favorites": day,
        }
        for tweet in tweets
        for day in range(3)
    ]


def profile(database: Any) -> dict[str, Any]:
    credentials = database.target.settings["credentials"]
    if database.target.warehouse is Warehouse.DUCKDB:
        return {"type": "duckdb", "path": credentials, "schema": "built"}
    return {
        "type": "postgres",
        "host": credentials["host"],
        "port": credentials["port"],
        "user": credentials["username"],
        "password": "unused",
        "dbname": credentials["database"],
        "schema": "built",
    }


def test_a_dbt_project_builds_on_the_views_and_its_tests_pass(database, write_rows, load, tmp_path) -> None:
    # Ids of 19 digits, which a number with 53 bits does not hold.
    tweets = ("1070059276213702656", "1070059276213702657")
    rows = days("Europe/Berlin", DAY - timedelta(hours=1), tweets, 100) + days("UTC", DAY, tweets, 100)
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", rows)
    load(database, views=VIEWS, time_zone="Europe/Berlin")
    # JSON is YAML.
    profiles = {"engagement_trial": {"target": "trial", "outputs": {"trial": profile(database)}}}
    (tmp_path / "profiles.yml").write_text(json.dumps(profiles), encoding="utf-8")

    built = subprocess.run(
        [
            str(DBT),
            "build",
            *("--project-dir", str(PROJECT)),
            *("--profiles-dir", str(tmp_path)),
            *("--target-path", str(tmp_path / "target")),
            *("--log-path", str(tmp_path / "logs")),
            *("--vars", json.dumps({"engagement_schema": database.target.schema})),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stdout
    assert database.query(
        "SELECT tweet_id, date, account_id, author_id, impressions FROM built.tweets_by_day ORDER BY 1, 2"
    ) == [
        (tweet, (DAY + timedelta(days=day)).date(), "4200000000000000042", 4200000000000000042, 100 + day)
        for tweet in tweets
        for day in range(3)
    ]
