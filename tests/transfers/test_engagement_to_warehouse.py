"""The operator as Airflow executes it: pulls of a simulator's world, a database, and what the task returns."""

from __future__ import annotations

import json
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import psycopg2
import pytest
import time_machine
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.simulator import Clock, Simulator, World
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

NOW = datetime(2026, 1, 12, tzinfo=UTC)
METRICS = ("impressions", "engagements", "favorites")
SECRET = "canary-91d2"


def execute(operator: BaseOperator, *, outlet_events: Any = None, **params: Any) -> Any:
    ti = SimpleNamespace(
        task_id=operator.task_id,
        dag_id="engagement",
        run_id="manual__1",
        map_index=-1,
        try_number=1,
        start_date=NOW,
        get_first_reschedule_date=lambda context: None,
    )
    run = SimpleNamespace(run_id=ti.run_id, run_after=NOW, run_type="manual", partition_key=None)
    context: Any = {
        "ti": ti,
        "task_instance": ti,
        "task": operator,
        "run_id": ti.run_id,
        "dag_run": run,
        "logical_date": NOW,
        "data_interval_start": NOW,
        "data_interval_end": NOW,
        "params": params,
        "outlet_events": outlet_events,
    }
    operator.render_template_fields(context)
    return operator.execute(context)


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(seed=11, handles=1, tweets=6, end=NOW - timedelta(days=3))


@pytest.fixture(scope="module")
def pulled(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Return the path of a dataset in a format: three days by hour, and a snapshot, pulled from the simulator."""
    owner = next(iter(world.handles.values()))
    tweet_ids = list(world.tweets)
    made: dict[str, str] = {}
    with Simulator(world, clock=Clock(NOW)) as simulator, pytest.MonkeyPatch.context() as patch:
        extra = {
            "api_key": world.app.consumer_key,
            "api_key_secret": world.app.consumer_secret,
            "bearer_token": world.app.bearer_token,
            "token_url": simulator.token_url,
            "access_token": owner.access_token,
            "access_token_secret": owner.access_token_secret,
        }
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))

        def dataset(dataset_format: str) -> str:
            if dataset_format not in made:
                path = f"file://{tmp_path_factory.mktemp(dataset_format)}"
                common = {"tweets": tweet_ids, "dataset_path": path, "dataset_format": dataset_format}
                with time_machine.travel(NOW, tick=True):
                    execute(
                        EngagementHistoricalOperator(
                            task_id="history",
                            metrics=list(METRICS),
                            start=(NOW - timedelta(days=3)).isoformat(),
                            end=NOW.isoformat(),
                            **common,
                        )
                    )
                    execute(EngagementTotalsOperator(task_id="totals", metrics=["favorites"], **common))
                made[dataset_format] = path
            return made[dataset_format]

        yield dataset


def truth(world: World) -> dict[tuple[str, datetime], tuple[int, ...]]:
    """Return the counts of each Tweet and hour of the three days."""
    hours = [NOW - timedelta(hours=number) for number in range(72, 0, -1)]
    return {
        (tweet_id, hour): tuple(world.count(tweet_id, name, hour, hour + timedelta(hours=1)) for name in METRICS)
        for tweet_id in world.tweets
        for hour in hours
    }


@pytest.mark.parametrize("dataset_format", ["parquet", "csv", "jsonl", "delta"])
def test_pulled_counts_arrive_in_duckdb_as_they_are_in_the_world(world, pulled, tmp_path, dataset_format) -> None:
    path = tmp_path / "warehouse.duckdb"
    load = EngagementToWarehouseOperator(
        task_id="load", dataset_path=pulled(dataset_format), database=str(path), views="tweet_metrics_long"
    )

    report = execute(load)

    with duckdb.connect(str(path)) as connection:
        rows = connection.execute(
            f"SELECT tweet_id, period_start, {', '.join(METRICS)} FROM engagement.tweet_metrics"
        ).fetchall()
        totals = connection.execute("SELECT tweet_id, favorites FROM engagement.tweet_totals").fetchall()
        long = connection.execute("SELECT sum(value) FROM engagement.tweet_metrics_long").fetchall()
    expected = truth(world)
    assert {(row[0], row[1].astimezone(UTC)): row[2:] for row in rows} == expected
    assert len(rows) == len(expected)
    assert sorted(totals) == sorted((tweet_id, world.total(tweet_id, "favorites", NOW)) for tweet_id in world.tweets)
    assert long == [(sum(map(sum, expected.values())),)]
    assert report["tables"]["tweet_metrics"]["rows"] == {"new": len(expected), "changed": 0, "unchanged": 0}
    assert ("tweet_metrics/hour" in report["tables"]["tweet_metrics"]["versions"]) == (dataset_format == "delta")
    assert json.loads(json.dumps(report)) == report


def test_the_event_of_an_outlet_says_what_was_loaded(world, pulled, tmp_path) -> None:
    table = Asset("duckdb://warehouse/engagement.tweet_metrics")
    events: defaultdict[Asset, SimpleNamespace] = defaultdict(SimpleNamespace)
    load = EngagementToWarehouseOperator(
        task_id="load",
        dataset_path=pulled("parquet"),
        database=str(tmp_path / "warehouse.duckdb"),
        tables=["tweet_metrics"],
        outlets=[table],
    )

    execute(load, outlet_events=events)

    extra = events[table].extra
    assert (extra["dataset"], extra["schema"]) == (pulled("parquet"), "engagement")
    assert extra["rows"] == {"tweet_metrics": {"new": len(truth(world)), "changed": 0, "unchanged": 0}}
    assert json.loads(json.dumps(extra)) == extra


def test_pulled_counts_arrive_in_postgresql_through_an_airflow_connection(
    world, pulled, monkeypatch, caplog, capsys
) -> None:
    try:
        server = psycopg2.connect(host="127.0.0.1", user="postgres", connect_timeout=2)
    except psycopg2.OperationalError as error:
        pytest.skip(f"needs PostgreSQL on 127.0.0.1:5432 that trusts the user postgres: {error}")
    server.autocommit = True
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "login": "postgres", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_MART", json.dumps({**connection, "schema": "postgres"}))
    schema = "engagement_operator_test"
    load = EngagementToWarehouseOperator(
        task_id="load",
        dataset_path=pulled("parquet"),
        destination="{{ params.destination }}",
        warehouse_conn_id="mart",
        schema="{{ params.schema }}",
        tables="{{ params.tables }}",
        views=["{{ params.view }}"],
    )
    with server.cursor() as cursor:
        try:
            with caplog.at_level(logging.DEBUG):
                report = execute(
                    load,
                    destination="postgres",
                    schema=schema,
                    tables="tweet_metrics, tweet_status",
                    view="engagement_by_hour",
                )
            cursor.execute(f"SELECT tweet_id, period_start, {', '.join(METRICS)} FROM {schema}.tweet_metrics")
            rows = cursor.fetchall()
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema])
            names = {name for (name,) in cursor.fetchall() if not name.startswith("_engagement")}
        finally:
            cursor.execute(f"DROP SCHEMA IF EXISTS {schema}, {schema}_engagement_staging CASCADE")
    server.close()

    assert {(row[0], row[1].astimezone(UTC)): row[2:] for row in rows} == truth(world)
    assert names == {"tweet_metrics", "tweet_status", "engagement_by_hour"}
    assert list(report["tables"]) == ["tweet_metrics", "tweet_status"]
    logged = caplog.text + capsys.readouterr().out
    assert SECRET not in logged
    assert SECRET not in str(report)
    place = f"postgres, connection mart, schema {schema}"
    assert f"{place}, tweet_metrics: 432 rows new, 0 changed, 0 unchanged; 3 partitions loaded, 0 skipped." in logged


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"destination": "sqlite"}, "destination: 'sqlite' is not a valid choice"),
        ({"schema": "a; DROP SCHEMA public"}, "schema: 'a; DROP SCHEMA public' is not a plain name"),
        ({"tables": "tweets; --"}, "tables: 'tweets;?' is not a valid choice"),
        ({"views": ["everything"]}, "views: 'everything' is not a valid choice"),
        ({"tables": ["tweet_status"], "views": ["newest_totals"]}, "views: .* reads the table tweet_totals"),
        ({"time_zone": "Europe/Berlim"}, "time_zone: 'Europe/Berlim' is not a known time zone"),
        ({"time_zone": "Asia/Kolkata"}, "time_zone: the days in Asia/Kolkata do not begin on a whole UTC hour"),
        ({"database": None}, "database: duckdb needs the path of a file"),
        ({"warehouse_conn_id": "mart"}, "database: duckdb needs the path of a file"),
        (
            {"destination": "postgres", "database": None},
            "^warehouse_conn_id: is not set, but the destination postgres needs a connection. Set it to the id of an "
            "Airflow connection.$",
        ),
        ({"destination": "postgres"}, "^warehouse_conn_id: is not set, .* connection, and leave database out.$"),
        (
            {"destination": "postgres", "warehouse_conn_id": "mart"},
            "^database: is the path of a DuckDB file, but the destination is postgres. Leave database out.$",
        ),
        ({"lock_timeout": -1}, "lock_timeout"),
        ({"full_refresh": "sometimes"}, "full_refresh: 'sometimes' is not a truth value. Set it to True or False."),
        ({"dataset_path": "file:///nowhere"}, "dataset_path: file:///nowhere has no tables"),
    ],
)
def test_an_invalid_parameter_fails_the_task_without_a_retry(pulled, tmp_path, parameters, problem) -> None:
    given = {"dataset_path": pulled("parquet"), "database": str(tmp_path / "warehouse.duckdb"), **parameters}
    load = EngagementToWarehouseOperator(task_id="load", **given)

    with pytest.raises(AirflowFailException, match=problem):
        execute(load)

    assert not (tmp_path / "warehouse.duckdb").exists()


@pytest.mark.parametrize("package", ["duckdb", "sqlglot"])
def test_a_missing_extra_is_named(pulled, tmp_path, monkeypatch, package) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("airflow_provider_engagement.warehouse")]:
        monkeypatch.delitem(sys.modules, name)
    load = EngagementToWarehouseOperator(
        task_id="load", dataset_path=pulled("parquet"), database=str(Path(tmp_path, "warehouse.duckdb"))
    )

    with pytest.raises(AirflowFailException, match=r"pip install 'airflow-provider-engagement\[warehouse\]'"):
        execute(load)
