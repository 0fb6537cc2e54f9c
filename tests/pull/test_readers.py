"""What other readers find in the files of a dataset: the rows of its tables, each once, and nothing of a pull's own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pytest
from pyarrow import parquet

from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.storage.temporary_files import FileOrigin
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.dataset_format import DatasetFormat, FileFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.formats import open_writer
from airflow_provider_engagement.tables.granularity import Granularity, partition_of
from airflow_provider_engagement.tables.staging import StagingFolder
from airflow_provider_engagement.tables.tables import TWEET_METRICS

DAY = timedelta(days=1)
START = datetime(2026, 1, 30, tzinfo=UTC)
PERIODS = {Granularity.HOUR: timedelta(hours=1), Granularity.DAY: DAY, Granularity.TOTAL: 4 * DAY}
NUMBERS = {"hour": 96, "day": 4, "total": 1}
"""How many rows of each granularity four days have, in two months."""

IMPRESSIONS = {granularity: sum(range(number)) for granularity, number in NUMBERS.items()}
DATES = {date(2026, 1, 1), date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Write hours, days and a total, with all the files that a pull keeps for itself."""
    for granularity, period in PERIODS.items():
        folder = DatasetFolder(tmp_path, DatasetFormat.PARQUET)
        table = folder.open_merged(
            TWEET_METRICS,
            f"tweet_metrics/{granularity}",
            lambda time, granularity=granularity: partition_of(granularity, time),
        )
        numbers = range(NUMBERS[granularity])
        rows = {
            "tweet_id": ["1070059276213702656"] * len(numbers),
            "period_start": [START + number * period for number in numbers],
            "period_end": [START + (number + 1) * period for number in numbers],
            "granularity": [str(granularity)] * len(numbers),
            "time_zone": ["UTC"] * len(numbers),
            "impressions": list(numbers),
        }
        table.stage(columns_to_table(TWEET_METRICS, rows))
        table.publish()
    return tmp_path


def by_granularity(rows: list[dict[str, Any]]) -> tuple[dict[str, int], dict[str, int]]:
    numbers: dict[str, int] = {}
    sums: dict[str, int] = {}
    for row in rows:
        numbers[row["granularity"]] = numbers.get(row["granularity"], 0) + 1
        sums[row["granularity"]] = sums.get(row["granularity"], 0) + row["impressions"]
    return numbers, sums


def dates(rows: list[dict[str, Any]]) -> set[date]:
    return {value if isinstance(value := row["partition_date"], date) else date.fromisoformat(value) for row in rows}


def with_duckdb(folder: Path) -> list[dict[str, Any]]:
    found = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)")
    assert dict(zip(found.columns, map(str, found.types), strict=True))["partition_date"] == "DATE"
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def with_polars(folder: Path) -> list[dict[str, Any]]:
    found = polars.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).collect()
    assert found.schema["partition_date"] == polars.Date
    return found.to_dicts()


def with_pyarrow(folder: Path) -> list[dict[str, Any]]:
    return pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table().to_pylist()


def with_pandas(folder: Path) -> list[dict[str, Any]]:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    found = pandas.read_parquet(folder, dtype_backend="numpy_nullable")
    return found.astype({"partition_date": "str"}).to_dict("records")


def with_spark(folder: Path) -> list[dict[str, Any]]:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark")
    if shutil.which("java") is None:
        pytest.skip("needs java on PATH")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    try:
        # Spark finds no columns in the names of folders below folders without a value, so it must not look for them.
        found = session.read.option("recursiveFileLookup", "true").parquet(str(folder))
        return [row.asDict() for row in found.collect()]
    finally:
        session.stop()


@pytest.mark.parametrize("read", [with_duckdb, with_polars, with_pyarrow, with_pandas])
def test_a_reader_finds_each_row_of_all_granularities_once_with_its_partition(
    dataset: Path, read: Callable[[Path], list[dict[str, Any]]]
) -> None:
    rows = read(dataset / "tweet_metrics")

    assert by_granularity(rows) == (NUMBERS, IMPRESSIONS)
    assert dates(rows) == DATES


def test_spark_finds_each_row_of_all_granularities_once(dataset: Path) -> None:
    assert by_granularity(with_spark(dataset / "tweet_metrics")) == (NUMBERS, IMPRESSIONS)


def test_duckdb_reads_the_rows_without_the_names_of_folders_too(dataset: Path) -> None:
    query = "SELECT granularity, count(*) FROM read_parquet('{}', hive_partitioning = false) GROUP BY granularity"

    assert dict(duckdb.sql(query.format(dataset / "tweet_metrics/**/*.parquet")).fetchall()) == NUMBERS


PAGE = Path(__file__).parents[2] / "docs" / "dataset.md"


@pytest.mark.parametrize(
    ("file_format", "reader"), [(FileFormat.CSV, "read_csv"), (FileFormat.JSON_LINES, "read_json")]
)
def test_the_documented_types_keep_ids_and_nulls_in_files_without_types(
    tmp_path: Path, file_format: FileFormat, reader: str
) -> None:
    rows = columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": ["0070059276213702656", "1070059276213702657"],
            "period_start": [START, START + timedelta(milliseconds=250)],
            "period_end": [START + DAY] * 2,
            "granularity": ["day"] * 2,
            "time_zone": ["UTC"] * 2,
            "impressions": pyarrow.array([None, None], pyarrow.int64()),
        },
    )
    folder = tmp_path / "engagement/tweet_metrics/hour/partition_date=2026-01-30"
    folder.mkdir(parents=True)
    with (folder / f"rows.{file_format}").open("wb") as file:
        writer = open_writer(file, rows.schema, file_format)
        writer.write_table(rows)
        writer.close()
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (sql,) = (query for block in blocks for query in block.split(";") if f"FROM {reader}(" in query)

    found = duckdb.sql(sql.replace("'engagement/", f"'{tmp_path}/engagement/"))

    assert [str(kind) for kind in found.types] == ["VARCHAR", "TIMESTAMP WITH TIME ZONE", "BIGINT"]
    assert [(row[0], row[1].astimezone(UTC), row[2]) for row in found.fetchall()] == [
        ("0070059276213702656", START, None),
        ("1070059276213702657", START + timedelta(milliseconds=250), None),
    ]


def test_what_a_pull_keeps_for_itself_is_not_taken_for_rows(
    dataset: Path, request_for: Callable[..., Any], response_to: Callable[..., Any]
) -> None:
    request = request_for("1070059276213702656")
    store = ResponseStore(dataset, identities={None: "7@key", "7": "7@key"}, as_of=START)
    store.write(request, StoredResponse.from_fetched(response_to(request)))
    hours = next((dataset / "tweet_metrics/hour").rglob("*.parquet"))
    temporary = dataset / FileOrigin(1.0, "a").new_name(".tmp")
    shutil.copy(hours, temporary)
    staged = StagingFolder(dataset / "_staged/tweet_metrics/hour/partition_date=2026-01-30").add(temporary)

    found = duckdb.sql(f"SELECT count(*) FROM read_parquet('{dataset}/**/*.parquet', union_by_name = true)")

    # DuckDB and ClickHouse do not skip names that start with an underscore.
    assert found.fetchall() == [(sum(NUMBERS.values()),)]
    assert store.read(request) is not None
    assert parquet.read_metadata(staged).num_rows > 0
