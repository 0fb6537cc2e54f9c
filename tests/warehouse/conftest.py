"""Datasets written by hand, and databases of each test's own: a DuckDB file, and a PostgreSQL database."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.formats import open_writer
from airflow_provider_engagement.tables.tables import TABLES
from airflow_provider_engagement.warehouse import load as load_module
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.dlt_database import open_with_dlt
from airflow_provider_engagement.warehouse.load import load_dataset
from airflow_provider_engagement.warehouse.source_partitions import table_names

SERVER = {"host": "127.0.0.1", "port": 5432, "user": "postgres"}
SCHEMA = "mart"
DAY = datetime(2026, 1, 5, tzinfo=UTC)
TWEETS = ("1070059276213702656", "1021817816134156288", "1067094924124872705")


def _hours(day: datetime, *, added: int = 0, tweets: Sequence[str] = TWEETS, **columns: Any) -> list[dict[str, Any]]:
    """Return the rows of a day: one for each Tweet and hour. Each count follows from its Tweet and hour."""
    return [
        {
            "tweet_id": tweet_id,
            "period_start": day + timedelta(hours=hour),
            "period_end": day + timedelta(hours=hour + 1),
            "granularity": "hour",
            "time_zone": "UTC",
            "owner": "42",
            "endpoint": "historical",
            "fetched_at": day + timedelta(days=2, milliseconds=125),
            "is_final": hour < 12,
            "favorites": int(tweet_id) % 97 * hour + added,
            "impressions": None if hour == 3 else hour * 10,
            "engagements": -hour,
            **columns,
        }
        for tweet_id in tweets
        for hour in range(24)
    ]


def _write_rows(path: Path, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows to a file, replacing it as a pull does."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    file_format = FileFormat(path.suffix[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}"
    with temporary.open("wb") as file:
        writer = open_writer(file, arrow_schema(TABLES[table]), file_format)
        writer.write_table(columns_to_table(TABLES[table], columns))
        writer.close()
    temporary.replace(path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of a dataset, which is empty at first."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    return folder


@pytest.fixture
def hours() -> Callable[..., list[dict[str, Any]]]:
    """Return the rows of a day: one for each Tweet and hour."""
    return _hours


@pytest.fixture
def write_rows(dataset: Path) -> Callable[[str, str, Sequence[Mapping[str, Any]]], None]:
    """Write rows of a table to a file of the dataset: path below the folder, name of the table, rows."""

    def written(path: str, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        _write_rows(dataset / path, table, rows)

    return written


@pytest.fixture
def write_to() -> Callable[[Path, Sequence[Mapping[str, Any]]], None]:
    """Write rows of ``tweet_metrics`` to the folder of a dataset, each day to its partition."""

    def written(dataset: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        days: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            days.setdefault(f"{row['period_start']:%Y-%m-%d}", []).append(row)
        for day, found in days.items():
            _write_rows(dataset / f"tweet_metrics/hour/partition_date={day}/rows.parquet", "tweet_metrics", found)

    return written


@pytest.fixture
def write_day(dataset: Path) -> Callable[..., list[dict[str, Any]]]:
    """Write the rows of a day as the partition of a day, and return them."""

    def written(day: datetime = DAY, *, suffix: str = "parquet", **changes: Any) -> list[dict[str, Any]]:
        rows = _hours(day, **changes)
        _write_rows(dataset / f"tweet_metrics/hour/partition_date={day:%Y-%m-%d}/rows.{suffix}", "tweet_metrics", rows)
        return rows

    return written


class Database:
    """A database of the test's own, read with its own client.

    :param target: the database, as the loader knows it.
    """

    def __init__(self, target: Target) -> None:
        self.target = target

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Times are in UTC."""
        credentials = self.target.settings["credentials"]
        if self.target.warehouse is Warehouse.DUCKDB:
            with duckdb.connect(credentials) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                found = connection.execute(sql)
                return found.fetchall() if found.description else []
        connection = psycopg2.connect(**SERVER, dbname=credentials["database"], options="-c timezone=UTC")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def rows(self, table: str = "tweet_metrics") -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return the rows of a table by key, with all columns of this package."""
        columns = arrow_schema(TABLES[table]).names
        names = ", ".join(f'"{column}"' for column in columns)
        rows = self.query(f'SELECT {names} FROM "{self.target.schema}"."{table}"')
        found = [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]
        keyed = {tuple(row[column] for column in TABLES[table].key): row for row in found}
        assert len(keyed) == len(found)
        return keyed


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@pytest.fixture
def make_duckdb(tmp_path: Path) -> Callable[..., Database]:
    """Return a DuckDB database. Its file does not exist yet."""

    def made(name: str = "warehouse") -> Database:
        path = tmp_path / f"{name}.duckdb"
        return Database(
            Target(warehouse=Warehouse.DUCKDB, schema=SCHEMA, name="duckdb", settings={"credentials": str(path)})
        )

    return made


@pytest.fixture
def make_postgres() -> Iterator[Callable[..., Database]]:
    """Return a PostgreSQL database, which is dropped after the test. Keyword arguments are credentials."""
    try:
        server = psycopg2.connect(**SERVER, connect_timeout=2)
    except psycopg2.OperationalError as error:
        pytest.skip(f"needs PostgreSQL on 127.0.0.1:5432 that trusts the user postgres: {error}")
    server.autocommit = True
    names = []

    def made(**credentials: Any) -> Database:
        names.append(f"engagement_{uuid.uuid4().hex[:12]}")
        with server.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{names[-1]}"')
        credentials = {
            "host": "127.0.0.1",
            "port": 5432,
            "username": "postgres",
            "password": "",
            "database": names[-1],
            **credentials,
        }
        return Database(
            Target(
                warehouse=Warehouse.POSTGRES,
                schema=SCHEMA,
                name="postgres",
                settings={"credentials": credentials},
                secrets=(credentials["password"],),
            )
        )

    yield made
    with server.cursor() as cursor:
        for name in names:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.close()


@pytest.fixture(
    params=[
        "duckdb",
        "postgres",
        pytest.param("duckdb with dlt", marks=pytest.mark.system),
        pytest.param("postgres with dlt", marks=pytest.mark.system),
    ]
)
def database(request: pytest.FixtureRequest) -> Database:
    """A database: DuckDB and PostgreSQL, and both in place of the databases that dlt loads into."""
    kind, _, with_dlt = request.param.partition(" ")
    if with_dlt:
        request.getfixturevalue("with_dlt")
    made: Database = request.getfixturevalue(f"make_{kind}")()
    return made


@pytest.fixture
def with_dlt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load into DuckDB and PostgreSQL as into the databases that need dlt."""

    def opened(target: Target, dataset: str, *, folder: Path, lock_timeout: float) -> Any:
        return open_with_dlt(target, dataset, folder=folder)

    monkeypatch.setattr(load_module, "_opened", opened)


@pytest.fixture
def expected() -> Callable[..., dict[tuple[Any, ...], dict[str, Any]]]:
    """Return rows by key, with null in the columns that they do not give."""

    def keyed(rows: Sequence[Mapping[str, Any]], table: str = "tweet_metrics") -> dict[tuple[Any, ...], dict[str, Any]]:
        columns = arrow_schema(TABLES[table]).names
        return {
            tuple(row[column] for column in TABLES[table].key): {name: row.get(name) for name in columns}
            for row in rows
        }

    return keyed


@pytest.fixture
def load(dataset: Path) -> Callable[..., dict[str, Any]]:
    """Load the dataset into a database, and return the report."""

    def loaded(database: Database, *, tables: Sequence[str] | None = None, **options: Any) -> dict[str, Any]:
        options = {"address_of": local_address, "lock_timeout": 0.0, **options}
        return load_dataset(dataset, tables=tables or table_names(dataset), target=database.target, **options)

    return loaded


@pytest.fixture
def numbers() -> Callable[..., tuple[int, ...]]:
    """Return the numbers of new, changed and unchanged rows, and of loaded and skipped partitions."""

    def counted(report: Mapping[str, Any], table: str = "tweet_metrics") -> tuple[int, ...]:
        found = report["tables"][table]
        return (*found["rows"].values(), *found["partitions"].values())

    return counted


@pytest.fixture
def open_in_another_process() -> Callable[[Database], Any]:
    """Let another process hold a DuckDB file open while a block runs."""

    @contextmanager
    def opened(database: Database) -> Iterator[None]:
        program = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        path = database.target.settings["credentials"]
        with subprocess.Popen(
            [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield
            assert process.stdin is not None
            process.stdin.close()

    return opened


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A DuckDB file and a PostgreSQL database for the tests of a module."""
    if request.param == "duckdb":
        path = tmp_path_factory.mktemp("database") / "warehouse.duckdb"
        yield Target(
            warehouse=Warehouse.DUCKDB, schema="engagement", name="duckdb", settings={"credentials": str(path)}
        )
        return
    try:
        server = psycopg2.connect(host="127.0.0.1", user="postgres", connect_timeout=2)
    except psycopg2.OperationalError as error:
        pytest.skip(f"needs PostgreSQL on 127.0.0.1:5432 that trusts the user postgres: {error}")
    server.autocommit = True
    name = f"engagement_{uuid.uuid4().hex[:12]}"
    credentials = {"host": "127.0.0.1", "port": 5432, "username": "postgres", "password": "", "database": name}
    with server.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
        yield Target(
            warehouse=Warehouse.POSTGRES, schema="engagement", name="postgres", settings={"credentials": credentials}
        )
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.close()
