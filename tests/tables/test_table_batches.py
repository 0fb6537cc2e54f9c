"""Reading the rows of a table in batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow
import pytest

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.tables import formats
from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.granularity import Granularity, partition_of
from airflow_provider_engagement.tables.table_batches import read_batches
from airflow_provider_engagement.tables.tables import TWEET_METRICS

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLACE = "tweet_metrics/hour"
SCHEMA = pyarrow.schema([arrow_schema(TWEET_METRICS).field(name) for name in ("tweet_id", "period_start", "favorites")])

every_format = pytest.mark.parametrize("dataset_format", list(DatasetFormat))


def write(folder: Path, dataset_format: DatasetFormat) -> set[tuple[str, datetime, int | None]]:
    """Write the hours of two days of three Tweets, one count of which is null, and return the rows."""
    rows: set[tuple[str, datetime, int | None]] = {
        (str(1000 + tweet), START + hour * HOUR, None if (tweet, hour) == (1, 30) else tweet - hour)
        for tweet in range(3)
        for hour in range(48)
    }
    ids, starts, counts = zip(*sorted(rows, key=lambda row: (row[1], row[0])), strict=True)
    number = len(ids)
    dataset = DatasetFolder(folder, dataset_format)
    table = dataset.open_merged(TWEET_METRICS, PLACE, partial(partition_of, Granularity.HOUR))
    table.stage(
        columns_to_table(
            TWEET_METRICS,
            {
                "tweet_id": ids,
                "period_start": starts,
                "period_end": [start + HOUR for start in starts],
                "granularity": ["hour"] * number,
                "time_zone": ["UTC"] * number,
                "endpoint": ["historical"] * number,
                "fetched_at": [START + 72 * HOUR] * number,
                "is_final": [True] * number,
                "favorites": counts,
            },
        )
    )
    table.publish()
    return rows


def read(folder: Path, **options: object) -> list[tuple[str, datetime, int | None]]:
    batches = read_batches(folder / PLACE, SCHEMA, **options)  # type: ignore[arg-type]
    return [(row["tweet_id"], row["period_start"], row["favorites"]) for batch in batches for row in batch.to_pylist()]


@every_format
def test_every_format_is_read_in_batches(
    dataset_format: DatasetFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write(tmp_path, dataset_format)
    monkeypatch.setattr(formats, "ROWS_PER_BATCH", 10)
    monkeypatch.setattr(formats, "BYTES_PER_BATCH", 2_000)
    batches = list(read_batches(tmp_path / PLACE, SCHEMA))
    assert len(batches) > 10
    assert all(batch.schema.names == SCHEMA.names for batch in batches)
    found = read(tmp_path)
    assert (set(found), len(found)) == (written, len(written))


@every_format
def test_only_the_included_partitions_are_read(dataset_format: DatasetFormat, tmp_path: Path) -> None:
    written = write(tmp_path, dataset_format)
    found = read(tmp_path, includes=lambda partition: partition == "partition_date=2026-01-06")
    assert set(found) == {row for row in written if row[1] >= START + 24 * HOUR}


def test_a_table_that_does_not_exist_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_a_column_that_a_file_does_not_have_is_null(tmp_path: Path) -> None:
    partition = tmp_path / PLACE / "partition_date=2026-01-05"
    partition.mkdir(parents=True)
    (partition / "rows.csv").write_text('"tweet_id","period_start"\n"1000","2026-01-05 00:00:00.000Z"\n')
    (partition / "_ignored.csv").write_text("nothing\n")
    assert read(tmp_path) == [("1000", START, None)]


def test_a_value_of_another_type_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    partition = tmp_path / PLACE / "partition_date=2026-01-05"
    partition.mkdir(parents=True)
    (partition / "rows.csv").write_text("tweet_id,favorites\n1000,many\n")
    with pytest.raises(IncompatibleTableError, match=r"rows\.csv.*many"):
        read(tmp_path)


def test_a_file_that_the_log_of_a_delta_table_does_not_name_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, DatasetFormat.DELTA)
    written = write(tmp_path, DatasetFormat.DELTA)
    stray = tmp_path / PLACE / "partition_date=2026-01-05" / "stray.parquet"
    stray.write_bytes(b"not Parquet")
    assert len(read(tmp_path)) == len(written)
