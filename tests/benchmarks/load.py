"""Rows per second of loads into DuckDB and PostgreSQL, compared with the bulk path of the database itself.

A dataset of daily counts is loaded for the first time, again after each file was written anew with the same rows, and
after one day has changed. The bulk path is the insertion of Arrow tables into DuckDB, and ``COPY`` into PostgreSQL: it
writes the rows of the same files into a table without a key, and neither merges nor records anything.
"""

from __future__ import annotations

import io
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from figures import MEGABYTE, figure, in_own_process, peak_memory, timed

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import TWEET_METRICS
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load import load_dataset

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = "loaded"
TABLE = TWEET_METRICS.name


def main(tweets: int = 50, days: int = 365, metrics: int = 17) -> None:
    """Load a year of hourly counts, the same rows again, and one changed day.

    :param tweets: the number of Tweets, each with 24 rows a day.
    :param days: the number of days, each a file.
    :param metrics: the number of metrics that are not null.
    """
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        for case in ("duckdb", "postgres"):
            for day in range(days):
                write(dataset, day, tweets, metrics)
            with database(case, Path(folder)) as (target, bulk):
                measure(case, dataset, target, bulk, tweets, days, metrics)


def measure(
    case: str, dataset: Path, target: Target, bulk: Callable[[Path], None], tweets: int, days: int, metrics: int
) -> None:
    """Measure the three loads into one database."""
    rows = tweets * 24 * days
    # In a process of its own, whose memory is that of the load alone.
    seconds, peak = in_own_process(load, dataset, target, rows)
    with timed() as spent:
        bulk(dataset)
    figure(f"{case}: bulk path", rows / spent.seconds, "rows/s")
    figure(f"{case}: first load", rows / seconds, "rows/s")
    figure(f"{case}: first load compared with the bulk path", spent.seconds / seconds, "ratio", ">= 0.5")
    figure(f"{case}: peak memory of the first load", peak / MEGABYTE, "MB")
    for day in range(days):
        write(dataset, day, tweets, metrics)
    seconds, _ = in_own_process(load, dataset, target, 0)
    figure(f"{case}: reload of the same rows", rows / seconds, "rows/s")
    seconds, _ = in_own_process(load, dataset, target, 0)
    figure(f"{case}: nothing has changed", seconds, "s")
    write(dataset, days // 2, tweets, metrics, added=1)
    seconds, _ = in_own_process(load, dataset, target, 0)
    figure(f"{case}: one changed day of {days}", seconds, "s")
    figure(f"{case}: one changed day of {days}", tweets * 24 / seconds, "rows/s")


def load(dataset: Path, target: Target, new: int) -> tuple[float, int]:
    """Load the dataset, check the number of new rows, and return the seconds and the peak memory in bytes."""
    with timed() as spent:
        report = load_dataset(dataset, tables=[TABLE], target=target, address_of=local_address, lock_timeout=0.0)
    if report["tables"][TABLE]["rows"]["new"] != new:
        raise RuntimeError(f"The load has another number of new rows: {report}")
    return spent.seconds, peak_memory()


def write(dataset: Path, number: int, tweets: int, metrics: int, *, added: int = 0) -> None:
    """Write the partition of a day."""
    day = START + number * DAY
    starts = [day + timedelta(hours=hour) for hour in range(24)] * tweets
    rows = len(starts)
    counts = {name: [added + row % 97 for row in range(rows)] for name in TWEET_METRICS.metrics[:metrics]}
    table = columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [str(1_800_000_000_000_000_000 + tweet) for tweet in range(tweets) for _ in range(24)],
            "period_start": starts,
            "period_end": [start + timedelta(hours=1) for start in starts],
            "granularity": ["hour"] * rows,
            "time_zone": ["UTC"] * rows,
            "owner": ["42"] * rows,
            "endpoint": ["historical"] * rows,
            "fetched_at": [day + 2 * DAY] * rows,
            "is_final": [True] * rows,
            **counts,
        },
    )
    path = dataset / f"{TABLE}/hour/partition_date={day:%Y-%m-%d}/rows.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path.with_suffix(".new"), compression="zstd")
    path.with_suffix(".new").replace(path)


@contextmanager
def database(case: str, folder: Path) -> Iterator[tuple[Target, Callable[[Path], None]]]:
    """Return an empty database and its bulk path."""
    if case == "duckdb":
        path = folder / "warehouse.duckdb"
        settings: dict[str, Any] = {"credentials": str(path)}
        yield (
            Target(warehouse=Warehouse.DUCKDB, schema=SCHEMA, name=case, settings=settings),
            lambda dataset: bulk_duckdb(dataset, folder / "bulk.duckdb"),
        )
        return
    name = f"engagement_{uuid.uuid4().hex[:12]}"
    connection = {
        "host": os.environ.get("PGHOST", "127.0.0.1"),
        "port": int(os.environ.get("PGPORT", "5432")),
        "user": os.environ.get("PGUSER", "postgres"),
        "password": os.environ.get("PGPASSWORD", ""),
    }
    server = psycopg2.connect(**connection)
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
        credentials = {
            "host": connection["host"],
            "port": connection["port"],
            "username": connection["user"],
            "password": connection["password"],
            "database": name,
        }
        target = Target(warehouse=Warehouse.POSTGRES, schema=SCHEMA, name=case, settings={"credentials": credentials})
        try:
            yield target, lambda dataset: bulk_postgres(dataset, {**connection, "dbname": name})
        finally:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def batches(dataset: Path) -> Iterator[pyarrow.Table]:
    """Yield the rows of each file."""
    for path in sorted(dataset.rglob("*.parquet")):
        yield pyarrow.parquet.ParquetFile(path).read()


def bulk_duckdb(dataset: Path, path: Path) -> None:
    """Insert Arrow tables into DuckDB in one statement."""
    files = batches(dataset)
    first = next(files)
    rows = (batch for table in chain([first], files) for batch in table.to_batches())
    with duckdb.connect(str(path)) as connection:
        connection.register("rows_of_files", pyarrow.RecordBatchReader.from_batches(first.schema, rows))
        connection.execute("CREATE TABLE bulk AS SELECT * FROM rows_of_files")


def bulk_postgres(dataset: Path, connection: dict[str, Any]) -> None:
    """Copy the rows into PostgreSQL as CSV."""
    kinds = {pyarrow.int64(): "bigint", pyarrow.bool_(): "boolean", pyarrow.string(): "varchar"}
    server = psycopg2.connect(**connection)
    with server, server.cursor() as cursor:
        for number, rows in enumerate(batches(dataset)):
            if number == 0:
                columns = ", ".join(f'"{field.name}" {kinds.get(field.type, "timestamptz")}' for field in rows.schema)
                cursor.execute(f"CREATE TABLE bulk ({columns})")
            content = io.BytesIO()
            pyarrow.csv.write_csv(rows, content, pyarrow.csv.WriteOptions(include_header=False))
            content.seek(0)
            cursor.copy_expert("COPY bulk FROM STDIN WITH (FORMAT csv)", content)
    server.close()
