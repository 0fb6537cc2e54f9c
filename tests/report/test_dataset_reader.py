"""A reader returns the rows of an interval, whether it filters the rows of a file or takes them whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import TWEET_METRICS

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = [START + hour * HOUR for hour in range(24)]
PATH = "tweet_metrics/hour"


def write_day(folder: Path, *, without: tuple[str, ...] = ()) -> DatasetReader:
    """Write the hours of a Tweet on one day, whose counts are the numbers of the hours."""
    columns = {
        "tweet_id": ["1"] * 24,
        "period_start": TIMES,
        "period_end": [time + HOUR for time in TIMES],
        "granularity": ["hour"] * 24,
        "time_zone": ["UTC"] * 24,
        "impressions": list(range(24)),
    }
    path = folder / PATH / "partition_date=2026-01-05" / "rows.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(columns_to_table(TWEET_METRICS, columns).drop_columns(list(without)), path)
    return DatasetReader(folder)


def counts(reader: DatasetReader, first: float, last: float, **filters: object) -> list[int]:
    interval = TimeRange(START + first * HOUR, START + last * HOUR)
    rows = reader.read(TWEET_METRICS, PATH, ("impressions",), interval=interval, **filters)
    assert rows.column_names == ["impressions"]
    return rows["impressions"].to_pylist()


@pytest.mark.parametrize(("first", "last"), [(0, 24), (-48, 48), (0, 23), (1, 24), (5, 6), (-24, 0), (24, 48)], ids=str)
def test_an_interval_contains_its_start_and_not_its_end(tmp_path: Path, first: int, last: int) -> None:
    reader = write_day(tmp_path)

    assert counts(reader, first, last) == [hour for hour in range(24) if first <= hour < last]


def test_a_whole_file_is_still_filtered_by_tweet(tmp_path: Path) -> None:
    reader = write_day(tmp_path)

    assert counts(reader, 0, 24, tweet_ids=["1"]) == list(range(24))
    assert counts(reader, 0, 24, tweet_ids=["2"]) == []


def test_rows_without_a_time_are_in_no_interval(tmp_path: Path) -> None:
    reader = write_day(tmp_path, without=("period_start",))

    assert counts(reader, 0, 24) == []
    assert reader.read(TWEET_METRICS, PATH, ("impressions",)).num_rows == 24
