"""Sessions that end at random statements while several loads run: no row is lost, doubled or too old afterwards.

Each seed plays one history: up to three loads of two datasets at once, of which some lose their session, or every
session of the database, at a statement or in the middle of a ``COPY``. ``ENGAGEMENT_FAULTS`` sets the number of seeds.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import local
from typing import Any

import psycopg2
import pytest

from airflow_provider_engagement.exceptions import WarehouseError
from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.warehouse import load as load_module
from airflow_provider_engagement.warehouse import target_database
from airflow_provider_engagement.warehouse.load import load_dataset
from airflow_provider_engagement.warehouse.postgres_database import PostgresDatabase

DAY = datetime(2026, 1, 5, tzinfo=UTC)
SEEDS = int(os.environ.get("ENGAGEMENT_FAULTS", "12"))
STATEMENTS = 45
"""More than a load of a table has."""

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "


class Faults:
    """Ends sessions at chosen statements of chosen loads.

    :param database: the database.
    """

    def __init__(self, database: Any) -> None:
        self._database = database
        self._plan = local()
        self.ended: Counter[str] = Counter()

    def plan(self, statement: int | None, victims: str) -> None:
        """End sessions at a statement of the load that this thread runs."""
        self._plan.statement, self._plan.victims, self._plan.number = statement, victims, 0

    def reached(self, connection: Any, step: str) -> None:
        """Count a statement of this thread's load, and end the sessions if it is the one."""
        self._plan.number += 1
        if self._plan.number != self._plan.statement:
            return
        own = "" if self._plan.victims == "all" else f"AND pid = {connection.info.backend_pid}"
        self._database.query(f"{TERMINATE} AND pid <> pg_backend_pid() {own}")
        self.ended[step] += 1


@pytest.fixture
def faults(make_postgres, monkeypatch) -> Faults:
    """Sessions of a database that can be ended at each statement and at each batch of rows."""
    database = make_postgres()
    found = Faults(database)
    current = local()

    def counted(name: str) -> Callable[..., Any]:
        run = getattr(PostgresDatabase, name)

        def counting(self: PostgresDatabase, first: str, *arguments: Any, **options: Any) -> Any:
            current.connection = self._connection
            found.reached(self._connection, f"before {name}")
            result = run(self, first, *arguments, **options)
            found.reached(self._connection, f"after {name}")
            return result

        return counting

    for name in ("execute", "modify", "append"):
        monkeypatch.setattr(PostgresDatabase, name, counted(name))
    rows = load_module.changed_rows

    def batches(*arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in rows(*arguments, **options):
            yield batch
            found.reached(current.connection, "in the copy")

    monkeypatch.setattr(load_module, "changed_rows", batches)
    monkeypatch.setattr(target_database, "_SECONDS_BETWEEN_ATTEMPTS", 0.01)
    found.database = database
    return found


@pytest.fixture
def datasets(hours, write_to, tmp_path) -> Callable[[int], dict[str, list[dict[str, Any]]]]:
    """Write two datasets that have some Tweets in common, the second with newer reads of fewer metrics."""

    def written(version: int) -> dict[str, list[dict[str, Any]]]:
        first = [
            row for number in range(3) for row in hours(DAY + timedelta(days=number), tweets=("1", "2"), added=version)
        ]
        second = [
            {
                **row,
                "favorites": None,
                "impressions": 1_000 + version,
                "fetched_at": row["fetched_at"] + timedelta(days=9),
            }
            for number in range(1, 4)
            for row in hours(DAY + timedelta(days=number), tweets=("2", "3"))
        ]
        for name, rows in (("first", first), ("second", second)):
            write_to(tmp_path / name, rows)
        return {"first": first, "second": second}

    return written


def merged(datasets: dict[str, list[dict[str, Any]]], expected: Any) -> dict[Any, dict[str, Any]]:
    """Return the rows of both datasets by key: of each metric, the newest known count."""
    rows = expected(datasets["first"])
    for key, newer in expected(datasets["second"]).items():
        older = rows.get(key)
        favorites = older and older["favorites"]
        time = older and f"{older['fetched_at']:%Y-%m-%dT%H:%M:%S}.125Z"
        rows[key] = {
            **newer,
            "favorites": favorites,
            "older_counts": None if favorites is None else f'{{"favorites":"{time}"}}',
        }
    return rows


@pytest.mark.parametrize("seed", range(SEEDS))
def test_sessions_that_end_at_random_statements_lose_and_double_nothing(
    seed, faults, datasets, expected, tmp_path
) -> None:
    choose = random.Random(seed)
    database = faults.database

    def load(name: str, statement: int | None = None, victims: str = "own") -> dict[str, Any] | None:
        faults.plan(statement, victims)
        try:
            report = load_dataset(
                Path(tmp_path / name),
                tables=["tweet_metrics"],
                target=database.target,
                address_of=local_address,
                lock_timeout=60.0,
            )
        except WarehouseError:
            return None
        return dict(report["tables"]["tweet_metrics"])

    for version in range(2):
        truth = datasets(version)
        plans = [
            (choose.choice(("first", "second")), choose.randrange(1, STATEMENTS), choose.choice(("own", "own", "all")))
            for _ in range(choose.randrange(1, 4))
        ]
        with ThreadPoolExecutor(len(plans)) as pool:
            list(pool.map(lambda plan: load(*plan), plans))

        for name in choose.sample(("first", "second"), 2):
            assert load(name) is not None
        assert database.rows() == merged(truth, expected)
        for name in ("first", "second"):
            report = load(name)
            assert report is not None
            assert report["partitions"] == {"loaded": 0, "skipped": 3}


def test_a_session_that_ends_at_any_statement_changes_nothing_and_the_next_load_completes(
    faults, datasets, expected, tmp_path
) -> None:
    database = faults.database

    def load(statement: int | None) -> bool:
        faults.plan(statement, "own")
        try:
            load_dataset(
                tmp_path / "first",
                tables=["tweet_metrics"],
                target=database.target,
                address_of=local_address,
                lock_timeout=0.0,
            )
        except WarehouseError:
            return False
        return True

    datasets(0)
    load(None)
    before = database.rows()
    datasets(1)
    statement = 1
    while not load(statement):
        assert database.rows() == before
        statement += 1

    assert database.rows() == expected(datasets(1)["first"])
    assert statement > 30
    assert faults.ended.keys() >= {"in the copy", "before modify", "after modify", "after append", "before execute"}


@pytest.mark.parametrize(
    "setting", ["idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout"]
)
def test_a_timeout_of_sessions_that_is_shorter_than_the_load_is_survived(
    make_postgres, write_day, load, expected, monkeypatch, setting
) -> None:
    database = make_postgres()
    name = database.target.settings["credentials"]["database"]
    rows = write_day()
    database.query(f"ALTER DATABASE \"{name}\" SET {setting} = '300ms'")
    found = load_module.changed_rows

    def slow(*arguments: Any, **options: Any) -> Iterator[Any]:
        # Another session takes the time, since the files of a test are read at once.
        server = psycopg2.connect(host="127.0.0.1", user="postgres", dbname=name, options="-c statement_timeout=0")
        with server.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.4)")
        server.close()
        yield from found(*arguments, **options)

    monkeypatch.setattr(load_module, "changed_rows", slow)

    load(database)

    assert database.rows() == expected(rows)
