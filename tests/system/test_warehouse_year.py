"""A year of 300 owners, loaded twice into DuckDB and PostgreSQL with two kills in between, equals the truth.

The comparison reads the databases with their own clients, and computes the counts from the simulator's world.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import psycopg2
import pytest
import time_machine

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Clock, Simulator, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at

pytestmark = pytest.mark.system

LOAD = Path(__file__).parents[1] / "warehouse" / "load_program.py"
NOW = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 364
FIRST_DAY = NOW - DAYS * DAY
OWNERS = int(os.environ.get("ENGAGEMENT_YEAR_OWNERS", "300"))
METRICS = ("impressions", "engagements", "favorites", "url_clicks")
TOTALS = ("favorites", "retweets", "replies")

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def world() -> World:
    """One Tweet of each owner. They were created over the year, some of them before it."""
    handles = list(World.generate(handles=OWNERS, tweets=0).handles.values())
    tweets = [
        Tweet(
            id=str(int(first_id_at(FIRST_DAY + (number - 30) * timedelta(days=1.3))) + number), author_id=handle.user_id
        )
        for number, handle in enumerate(handles)
    ]
    return World(handles=handles, tweets=tweets)


def pulled(world: World, folder: Path, connect: Callable[[Simulator], None]) -> Iterator[int]:
    """Pull all but the last ten days, and then the last twenty days with the totals. Yield after each of them."""
    owned = [(tweet.id, tweet.author_id) for tweet in world.tweets.values()]
    output = {"dataset_path": f"file://{folder}", "limits": Limits(wait_on_worker=timedelta(seconds=300))}
    with Simulator(world, clock=Clock(NOW)) as simulator, time_machine.travel(NOW, tick=True):
        simulator.set_limit(per_minute=1_000_000)
        connect(simulator)
        for number, (start, end) in enumerate([(FIRST_DAY, NOW - 10 * DAY), (NOW - 20 * DAY, NOW)]):
            execute(
                EngagementHistoricalOperator(
                    task_id=f"history_{number}",
                    tweets=owned,
                    metrics=list(METRICS),
                    granularity="day",
                    start=start.isoformat(),
                    end=end.isoformat(),
                    **output,
                )
            )
            if number:
                execute(
                    EngagementTotalsOperator(task_id="totals", tweets=owned, metrics=list(TOTALS), auth="app", **output)
                )
            yield number


def execute(operator: Any) -> None:
    ti = SimpleNamespace(
        task_id=operator.task_id,
        dag_id="year",
        run_id="manual__2026",
        map_index=-1,
        try_number=1,
        start_date=NOW,
        get_first_reschedule_date=lambda context: None,
    )
    run = SimpleNamespace(run_id=ti.run_id, run_after=NOW, run_type="manual", partition_key=None)
    context = {
        "ti": ti,
        "task_instance": ti,
        "task": operator,
        "run_id": ti.run_id,
        "dag_run": run,
        "logical_date": NOW,
        "data_interval_start": NOW,
        "data_interval_end": NOW,
        "params": {},
    }
    operator.render_template_fields(context)
    operator.execute(context)


def loaded(dataset: Path, kind: str, place: str, step: str) -> int:
    command = [sys.executable, str(LOAD), str(dataset), kind, place, step]
    return subprocess.run(command, check=False, capture_output=True).returncode


def days_in_truth(world: World) -> dict[tuple[str, datetime], tuple[int, ...]]:
    """Return the counts of each Tweet and day, from the day of its creation on."""
    truth = {}
    for tweet in world.tweets.values():
        created = tweet.created_at or FIRST_DAY
        first = max(FIRST_DAY, created.replace(hour=0, minute=0, second=0, microsecond=0))
        days = [first + number * DAY for number in range((NOW - first) // DAY + 1)]
        cumulative = world.counts.cumulative(tweet, METRICS, [day.timestamp() / 3600 for day in days])
        for index, day in enumerate(days[:-1]):
            truth[tweet.id, day] = tuple(cumulative[name][index + 1] - cumulative[name][index] for name in METRICS)
    return truth


def compare(query: Query, world: World) -> None:
    """Compare each cell of the counts with the world's."""
    columns = ", ".join(METRICS)
    rows = query(f"SELECT tweet_id, period_start, owner, {columns} FROM mart.tweet_metrics WHERE granularity = 'day'")
    owners = {tweet.id: tweet.author_id for tweet in world.tweets.values()}
    assert len(rows) > OWNERS * DAYS / 3
    assert {(row[0], row[1].astimezone(UTC)): row[3:] for row in rows} == days_in_truth(world)
    assert len({row[:2] for row in rows}) == len(rows)
    assert all(owners[row[0]] == row[2] for row in rows)
    totals = query(f"SELECT tweet_id, {', '.join(TOTALS)} FROM mart.tweet_totals")
    assert {row[0]: row[1:] for row in totals} == {
        tweet_id: tuple(world.total(tweet_id, name, NOW) for name in TOTALS) for tweet_id in owners
    }
    assert len(totals) == OWNERS


@pytest.fixture
def postgres() -> Iterator[str]:
    try:
        server = psycopg2.connect(host="127.0.0.1", user="postgres", connect_timeout=2)
    except psycopg2.OperationalError as error:
        pytest.skip(f"needs PostgreSQL on 127.0.0.1:5432 that trusts the user postgres: {error}")
    server.autocommit = True
    name = f"engagement_{uuid.uuid4().hex[:12]}"
    with server.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
        yield name
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_year_of_many_owners_is_equal_to_the_truth_after_two_kills(
    world: World, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(simulator: Simulator) -> None:
        app = simulator.world.app
        accounts = {
            handle.user_id: {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
            for handle in world.handles.values()
        }
        extra = {
            "api_key": app.consumer_key,
            "api_key_secret": app.consumer_secret,
            "bearer_token": app.bearer_token,
            "account_tokens": accounts,
        }
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))

    dataset, file = tmp_path / "dataset", tmp_path / "warehouse.duckdb"
    places = {"duckdb": str(file), "postgres": postgres}
    kills = ("before the record", "in the merge")

    for number in pulled(world, dataset, connect):
        for kind, place in places.items():
            assert loaded(dataset, kind, place, kills[number]) == -signal.SIGKILL
            assert loaded(dataset, kind, place, "none") == 0

    with duckdb.connect(str(file), read_only=True) as connection:
        compare(lambda sql: connection.execute(sql).fetchall(), world)
    server = psycopg2.connect(host="127.0.0.1", user="postgres", dbname=postgres)
    with server, server.cursor() as rows:

        def query(sql: str) -> list[tuple[Any, ...]]:
            rows.execute(sql)
            return rows.fetchall()

        compare(query, world)
