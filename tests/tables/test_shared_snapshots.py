"""Runs that share the time of a snapshot share its rows: each key once, and no run takes a row of another away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables import parquet_table
from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.table_batches import read_batches
from airflow_provider_engagement.tables.tables import RUNS, TWEET_TOTALS

SNAPSHOT_AT = datetime(2026, 1, 12, 6, tzinfo=UTC)
RUNS_OF_TASKS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc")

every_format = pytest.mark.parametrize("dataset_format", DatasetFormat)


def publish(
    folder: Any,
    run: str,
    counts: Mapping[str, int],
    *,
    dataset_format: DatasetFormat = DatasetFormat.PARQUET,
    keeps: tuple[str, ...] = (),
    read: int = 0,
) -> None:
    """Publish the counts of a run, which it has fetched some minutes after the time of the snapshot."""
    table = DatasetFolder(folder, dataset_format, writer=run).open_merged(
        TWEET_TOTALS,
        TWEET_TOTALS.name,
        lambda time: f"snapshot_date={time:%Y-%m-%d}",
        file_of=lambda time: f"{time:%H%M%S}",
    )
    table.stage(
        columns_to_table(
            TWEET_TOTALS,
            {
                "tweet_id": list(counts),
                "snapshot_at": [SNAPSHOT_AT] * len(counts),
                "auth": ["user"] * len(counts),
                "fetched_at": [SNAPSHOT_AT + timedelta(minutes=read)] * len(counts),
                RUNS: [run] * len(counts),
                "favorites": list(counts.values()),
            },
        )
    )
    table.replace_rows_of(run, SNAPSHOT_AT, keeps=pyarrow.array(keeps, pyarrow.string()))
    table.publish()


def rows(folder: Any) -> dict[str, tuple[int, str]]:
    """Return the count and the runs of each Tweet. A key that occurs twice is an error."""
    batches = read_batches(folder / TWEET_TOTALS.name, arrow_schema(TWEET_TOTALS))
    found = [row for batch in batches for row in batch.to_pylist()]
    by_tweet = {row["tweet_id"]: (row["favorites"], row[RUNS]) for row in found}
    assert len(by_tweet) == len(found)
    return by_tweet


@every_format
def test_a_row_that_two_runs_have_occurs_once_with_the_newest_count(
    tmp_path: Path, dataset_format: DatasetFormat
) -> None:
    first, second, _ = RUNS_OF_TASKS
    publish(tmp_path, second, {"1": 5, "2": 6}, read=2, dataset_format=dataset_format)
    publish(tmp_path, first, {"2": 4, "3": 7}, read=1, dataset_format=dataset_format)
    assert rows(tmp_path) == {"1": (5, second), "2": (6, f"{first},{second}"), "3": (7, first)}


@every_format
def test_a_repeated_run_releases_only_its_own_rows_that_it_no_longer_has(
    tmp_path: Path, dataset_format: DatasetFormat
) -> None:
    first, second, _ = RUNS_OF_TASKS
    publish(tmp_path, first, {"1": 1, "2": 2, "3": 3}, dataset_format=dataset_format)
    publish(tmp_path, second, {"2": 5, "4": 4}, read=1, dataset_format=dataset_format)
    publish(tmp_path, first, {"3": 8}, read=2, dataset_format=dataset_format)
    assert rows(tmp_path) == {"2": (5, second), "3": (8, first), "4": (4, second)}


@every_format
def test_a_tweet_that_can_no_longer_be_read_keeps_its_counts(tmp_path: Path, dataset_format: DatasetFormat) -> None:
    run = RUNS_OF_TASKS[0]
    publish(tmp_path, run, {"1": 1, "2": 2}, dataset_format=dataset_format)
    publish(tmp_path, run, {}, keeps=("1",), read=1, dataset_format=dataset_format)
    assert rows(tmp_path) == {"1": (1, run)}


def test_staged_rows_of_an_earlier_execution_do_not_come_back_on_an_object_store(tmp_path: Path) -> None:
    """An object store keeps staged files for a day, so that other runs can merge them again."""
    attach("memory", fs=fsspec.filesystem("memory"))
    folder = ObjectStoragePath(f"memory://shared{tmp_path}")
    first, second, _ = RUNS_OF_TASKS
    publish(folder, first, {"1": 1, "2": 2})
    publish(folder, first, {"2": 3}, read=1)
    publish(folder, second, {"4": 4}, read=2)
    assert rows(folder) == {"2": (3, first), "4": (4, second)}


def test_rows_that_a_killed_execution_has_staged_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _ = RUNS_OF_TASKS
    with monkeypatch.context() as patched:

        def kill(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(parquet_table, "write_atomically", kill)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path, first, {"1": 1, "2": 2})
    publish(tmp_path, first, {"2": 3}, read=1)
    publish(tmp_path, second, {"4": 4}, read=2)
    assert rows(tmp_path) == {"2": (3, first), "4": (4, second)}


def test_many_rows_are_published_as_they_are_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_table, "MAX_ROWS_TO_SORT", 2)
    run = RUNS_OF_TASKS[0]
    with monkeypatch.context() as patched:
        patched.delattr(parquet_table, "merge_rows")
        publish(tmp_path, run, {"3": 3, "1": 1, "2": 2})
    assert rows(tmp_path) == {"1": (1, run), "2": (2, run), "3": (3, run)}
    publish(tmp_path, run, {"2": 4}, keeps=("1", "3"), read=1)
    assert rows(tmp_path) == {"1": (1, run), "2": (4, run), "3": (3, run)}


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    publish(tmp_path, RUNS_OF_TASKS[0], {"1": 1})
    assert not [*(tmp_path / TemporaryFiles(tmp_path).new().parent.name).iterdir()]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(RUNS_OF_TASKS),
            st.dictionaries(st.sampled_from("123456"), st.integers(0, 9)),
            st.sets(st.sampled_from("123456")),
        ),
        max_size=8,
    )
)
def test_any_order_of_executions_leaves_the_rows_that_runs_have(
    tmp_path_factory: pytest.TempPathFactory, executions: list[tuple[str, dict[str, int], set[str]]]
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    counts: dict[str, int] = {}
    runs: dict[str, set[str]] = {}
    for read, (run, own, keeps) in enumerate(executions):
        publish(folder, run, own, keeps=tuple(keeps), read=read)
        for tweet_id in list(runs):
            if tweet_id not in keeps:
                runs[tweet_id].discard(run)
        for tweet_id, count in own.items():
            runs.setdefault(tweet_id, set()).add(run)
            counts[tweet_id] = count
        runs = {tweet_id: of_tweet for tweet_id, of_tweet in runs.items() if of_tweet}
    expected = {tweet_id: (counts[tweet_id], ",".join(sorted(of_tweet))) for tweet_id, of_tweet in runs.items()}
    assert rows(folder) == expected
