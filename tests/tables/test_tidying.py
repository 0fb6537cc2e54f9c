"""Tidying deletes what killed and replaced pulls left, and no row."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars
import pyarrow
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.table import TableOptimizer
from pyarrow import parquet

from airflow_provider_engagement.exceptions import ConflictError
from airflow_provider_engagement.storage.layout import TEMPORARY_FOLDER as TEMPORARY_FOLDER
from airflow_provider_engagement.storage.temporary_files import FileOrigin
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.delta_table import DeltaMergedTable
from airflow_provider_engagement.tables.tables import TWEET_METRICS
from airflow_provider_engagement.tables.tidying import tidy

DAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
TABLE = "tweet_metrics/hour"


def publish(dataset: Path, tweet_id: str, impressions: int) -> None:
    table = DeltaMergedTable(
        dataset / TABLE, table=TWEET_METRICS, partition_of=lambda time: f"partition_date={time:%Y-%m-%d}"
    )
    row = {"tweet_id": tweet_id, "period_start": DAY, "period_end": DAY + HOUR, "granularity": "hour"}
    row |= {"time_zone": "UTC", "fetched_at": DAY + impressions * HOUR, "impressions": impressions}
    table.stage(columns_to_table(TWEET_METRICS, {name: [value] for name, value in row.items()}))
    table.publish()


def impressions(dataset: Path) -> dict[str, int]:
    return dict(polars.read_delta(str(dataset / TABLE)).select("tweet_id", "impressions").rows())


def age(path: Path, length: timedelta) -> None:
    seconds = time.time() - length.total_seconds()
    os.utime(path, (seconds, seconds))


def files(dataset: Path) -> set[Path]:
    return set((dataset / TABLE).rglob("*.parquet"))


def test_files_of_versions_within_the_retention_are_kept(tmp_path: Path) -> None:
    publish(tmp_path, "1", 1)
    publish(tmp_path, "1", 2)
    before = files(tmp_path)
    assert tidy(tmp_path, retention=WEEK)["tables"][TABLE]["files_deleted"] == 0
    assert before <= files(tmp_path)
    assert polars.read_delta(str(tmp_path / TABLE), version=1)["impressions"].to_list() == [1]


def test_files_that_a_killed_pull_left_are_deleted_after_the_retention(tmp_path: Path) -> None:
    publish(tmp_path, "1", 1)
    partition = tmp_path / TABLE / "partition_date=2026-01-05"
    old, new = partition / f"{'a' * 32}.parquet", partition / f"{'b' * 32}.parquet"
    for path in (old, new):
        path.write_bytes(b"incomplete")
    age(old, WEEK + HOUR)
    assert tidy(tmp_path, retention=WEEK)["tables"][TABLE]["files_deleted"] == 1
    assert not old.exists()
    assert new.exists()
    assert impressions(tmp_path) == {"1": 1}


def test_small_files_that_another_tool_wrote_are_compacted(tmp_path: Path) -> None:
    publish(tmp_path, "1", 1)
    (data_file,) = files(tmp_path)
    row = parquet.read_table(data_file, partitioning=None).set_column(0, "tweet_id", pyarrow.array(["2"]))
    write_deltalake(tmp_path / TABLE, row.append_column("partition_date", pyarrow.array([DAY.date()])), mode="append")
    done = tidy(tmp_path, retention=WEEK)["tables"][TABLE]
    assert done["files_compacted"] == 2
    assert len(DeltaTable(tmp_path / TABLE).file_uris()) == 1
    assert impressions(tmp_path) == {"1": 1, "2": 1}
    assert done["version"] == DeltaTable(tmp_path / TABLE).version()


def test_a_pull_merges_into_a_tidied_table(tmp_path: Path) -> None:
    publish(tmp_path, "1", 1)
    tidy(tmp_path, retention=WEEK)
    publish(tmp_path, "1", 2)
    publish(tmp_path, "2", 3)
    assert impressions(tmp_path) == {"1": 2, "2": 3}


def test_a_conflict_with_a_pull_is_transient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*arguments: object, **options: object) -> None:
        raise CommitFailedError("another writer was first")

    publish(tmp_path, "1", 1)
    monkeypatch.setattr(TableOptimizer, "compact", lose)
    with pytest.raises(ConflictError, match="while its files were compacted"):
        tidy(tmp_path, retention=WEEK)


def test_temporary_files_are_deleted_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / TEMPORARY_FOLDER
    folder.mkdir()
    now = 1_770_000_000.0
    names = {hours: FileOrigin(now - 3600 * hours, "w").new_name(".tmp") for hours in (1, 25)}
    for name in names.values():
        (folder / name).write_bytes(b"")
    assert tidy(tmp_path, retention=WEEK, clock=lambda: now) == {"tables": {}}
    assert [path.name for path in folder.iterdir()] == [names[1]]


def test_an_empty_dataset_is_tidy(tmp_path: Path) -> None:
    assert tidy(tmp_path / "nothing", retention=WEEK) == {"tables": {}}
