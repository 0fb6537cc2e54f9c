"""The folder of a dataset holds complete tables and documents, and states where they are."""

from __future__ import annotations

import gc
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.dataset_format import DatasetFormat, FileFormat
from airflow_provider_engagement.tables.folder import ROWS_PER_BATCH, DatasetFolder
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_STATUS, TWEET_TOTALS

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)

every_format = pytest.mark.parametrize("dataset_format", [*map(DatasetFormat, FileFormat)])


def totals(*favorites: int) -> pyarrow.Table:
    return columns_to_table(
        TWEET_TOTALS,
        {
            "tweet_id": [str(number) for number in range(len(favorites))],
            "snapshot_at": [NOON] * len(favorites),
            "auth": ["user"] * len(favorites),
            "favorites": favorites,
        },
    )


def write_totals(folder: DatasetFolder, *batches: pyarrow.Table) -> None:
    with folder.open({TWEET_TOTALS: "tweet_totals/file"}) as files:
        for batch in batches:
            files["tweet_totals"].append(batch)


def fail_to_write(folder: DatasetFolder) -> None:
    with folder.open({TWEET_TOTALS: "tweet_totals/file", TWEET_STATUS: "tweet_status/file"}) as files:
        files["tweet_totals"].append(totals(1))
        raise ValueError("incomplete")


def test_small_batches_become_few_row_groups(tmp_path: Path) -> None:
    size = ROWS_PER_BATCH // 100
    write_totals(DatasetFolder(tmp_path, DatasetFormat.PARQUET), *[totals(*range(size))] * 201)
    metadata = parquet.read_metadata(tmp_path / "tweet_totals" / "file.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [
        ROWS_PER_BATCH,
        ROWS_PER_BATCH,
        size,
    ]


def test_rows_are_counted_by_table(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path, DatasetFormat.CSV)
    with folder.open({TWEET_TOTALS: "a", TWEET_STATUS: "b"}) as files:
        files["tweet_totals"].append(totals(1, 2))
        files["tweet_totals"].append(totals(3))
        assert {name: file.rows for name, file in files.items()} == {"tweet_totals": 3, "tweet_status": 0}


@every_format
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_block_that_fails_writes_no_table(tmp_path: Path, dataset_format: DatasetFormat) -> None:
    folder = DatasetFolder(tmp_path, dataset_format)
    with pytest.raises(ValueError, match="incomplete"):
        fail_to_write(folder)
    gc.collect()  # A writer that is still open raises an error here, because its file is closed.
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert folder.locations == {}
    assert folder.read_rows() == {}


def test_a_rerun_replaces_a_file(tmp_path: Path) -> None:
    for favorites in ((1, 2, 3), (4,)):
        folder = DatasetFolder(tmp_path, DatasetFormat.PARQUET)
        write_totals(folder, totals(*favorites))
    assert [row["favorites"] for row in folder.read_rows()["tweet_totals"]] == [4]


@every_format
def test_locations_are_the_paths_of_files(tmp_path: Path, dataset_format: DatasetFormat) -> None:
    folder = DatasetFolder(tmp_path, dataset_format)
    write_totals(folder, totals(1))
    folder.write_json("manifest", "_manifests/run.json", {"a": "ž", "b": None})
    assert folder.locations == {
        "tweet_totals": str(tmp_path / "tweet_totals" / f"file.{dataset_format}"),
        "manifest": str(tmp_path / "_manifests" / "run.json"),
    }
    assert all(Path(location).is_file() for location in folder.locations.values())
    assert json.loads(Path(folder.locations["manifest"]).read_bytes()) == {"a": "ž", "b": None}


@every_format
def test_rows_of_all_partitions_are_read_in_order_as_json_values(tmp_path: Path, dataset_format: DatasetFormat) -> None:
    folder = DatasetFolder(tmp_path, dataset_format)
    merged = folder.open_merged(TWEET_METRICS, "tweet_metrics/hour", lambda time: f"partition_date={time:%Y-%m-%d}")
    assert folder.read_rows() == {"tweet_metrics": []}
    starts = [NOON.replace(day=day) for day in (12, 10, 11)]
    merged.stage(
        columns_to_table(
            TWEET_METRICS,
            {
                "tweet_id": ["1", "2", "3"],
                "period_start": starts,
                "period_end": starts,
                "granularity": ["hour"] * 3,
                "time_zone": ["UTC"] * 3,
                "fetched_at": [NOON] * 3,
                "impressions": [1, 2, None],
            },
        )
    )
    merged.publish()
    assert folder.locations == {"tweet_metrics/hour": str(tmp_path / "tweet_metrics" / "hour")}
    rows = folder.read_rows()["tweet_metrics"]
    assert [(row["tweet_id"], row["period_start"], row["impressions"]) for row in rows] == [
        ("2", "2026-01-10T12:00:00.000Z", 2),
        ("3", "2026-01-11T12:00:00.000Z", None),
        ("1", "2026-01-12T12:00:00.000Z", 1),
    ]
