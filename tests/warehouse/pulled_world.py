"""Pulls of a simulated world, loads of what they have written, and queries in a session of another time zone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import psycopg2

from airflow_provider_engagement.simulator import Simulator
from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.tweet_id import created_at
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load import load_dataset
from airflow_provider_engagement.warehouse.source_partitions import table_names
from airflow_provider_engagement.warehouse.view_names import View

HOUR = timedelta(hours=1)

Ask = Callable[[str], list[tuple[Any, ...]]]


def connection_of_all_owners(simulator: Simulator) -> str:
    """Return an Airflow connection with the access tokens of all users of the world."""
    world = simulator.world
    extra = {
        "api_key": world.app.consumer_key,
        "api_key_secret": world.app.consumer_secret,
        "bearer_token": world.app.bearer_token,
        "token_url": simulator.token_url,
        "account_tokens": {
            handle.user_id: {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
            for handle in world.handles.values()
        },
    }
    return json.dumps({"conn_type": "engagement", "host": simulator.base_url, "extra": extra})


def execute(operator: Any, at: datetime) -> None:
    """Execute an operator in a run of a time."""
    ti = SimpleNamespace(
        task_id=operator.task_id,
        dag_id="brand",
        run_id=f"manual__{at.isoformat()}",
        map_index=-1,
        try_number=1,
        start_date=at,
        get_first_reschedule_date=lambda context: None,
    )
    run = SimpleNamespace(run_id=ti.run_id, run_after=at, run_type="manual", partition_key=None)
    context = {
        "ti": ti,
        "task_instance": ti,
        "task": operator,
        "run_id": ti.run_id,
        "dag_run": run,
        "logical_date": at,
        "data_interval_start": at,
        "data_interval_end": at,
        "params": {},
    }
    operator.render_template_fields(context)
    operator.execute(context)


def load(dataset: Path, target: Target, *, time_zone: str | None) -> None:
    """Load all tables of a dataset, with all views."""
    load_dataset(
        dataset,
        tables=table_names(dataset),
        target=target,
        views=list(View),
        time_zone=time_zone,
        address_of=local_address,
        lock_timeout=0.0,
    )


def query(target: Target, sql: str, session: str = "America/Los_Angeles") -> list[tuple[Any, ...]]:
    """Return the rows of a query in a session of a time zone."""
    credentials = target.settings["credentials"]
    if target.warehouse is Warehouse.DUCKDB:
        with duckdb.connect(credentials, read_only=True) as connection:
            connection.execute(f"SET TimeZone = '{session}'")
            return connection.execute(sql).fetchall()
    connection = psycopg2.connect(
        host="127.0.0.1", user="postgres", dbname=credentials["database"], options=f"-c timezone={session}"
    )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def hours(start: datetime, end: datetime) -> Iterable[datetime]:
    """Return the starts of the hours of an interval."""
    return (start + number * HOUR for number in range((end - start) // HOUR))


def hours_of(tweet_id: str, start: datetime, end: datetime) -> Iterable[datetime]:
    """Return the starts of those hours of an interval that a Tweet has."""
    created = created_at(tweet_id)
    assert created is not None
    first = created.replace(minute=0, second=0, microsecond=0)
    return (hour for hour in hours(start, end) if hour >= first)
