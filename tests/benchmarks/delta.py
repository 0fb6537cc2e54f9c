"""Merging one day of hourly counts into a year of them: Delta tables against Parquet files, and eight writers at once.

The rows are made in memory. Everything after them is as in a pull.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow
from figures import MEGABYTE, figure, in_own_process, peak_memory, timed

from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.delta_table import DeltaMergedTable
from airflow_provider_engagement.tables.granularity import Granularity, partition_of
from airflow_provider_engagement.tables.parquet_table import MergedTable
from airflow_provider_engagement.tables.staging import MergeTarget
from airflow_provider_engagement.tables.tables import TWEET_METRICS

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TABLE = "tweet_metrics/hour"
BY_DAY = partial(partition_of, Granularity.HOUR)

Open = Callable[[Path], MergeTarget]


def main(tweets: int = 10_000, days: int = 365, metrics: int = 17, writers: int = 8, merges: int = 5) -> None:
    """Fill a table with each format, merge a day into it, and let several writers merge days at once.

    :param tweets: the number of Tweets.
    :param days: the number of days in the table.
    :param metrics: the number of metrics.
    :param writers: the number of concurrent writers.
    :param merges: how many days each of them merges.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, opened in (("Parquet", open_parquet), ("Delta", open_delta)):
            path = Path(folder) / name
            filled = in_own_process(fill, opened, path, tweets, days, metrics)
            before = files_in(path)
            seconds, peak, base = in_own_process(merge_day, opened, path, tweets, days // 2, metrics)
            figure(f"{name}: fill the table", filled, "s")
            figure(f"{name}: merge a day", seconds, "s")
            figure(f"{name}: peak memory of the merge", peak / MEGABYTE, "MB")
            figure(f"{name}: memory of the rows before the merge", base / MEGABYTE, "MB")
            figure(f"{name}: files written by the merge", len(files_in(path) - before), "files")
        measure_writers(Path(folder) / "Delta", tweets, days, metrics, writers, merges)


def measure_writers(path: Path, tweets: int, days: int, metrics: int, writers: int, merges: int) -> None:
    """Let writers merge at the same time, first each its own days, then all the same days."""
    for name, shift in (("own days", merges), ("the same days", 0)):
        with timed() as spent, ProcessPoolExecutor(writers, mp_context=get_context("spawn")) as pool:
            numbers = [
                pool.submit(
                    merge_days, path, tweets, [(writer * shift + n) % days for n in range(merges)], metrics, writer
                )
                for writer in range(writers)
            ]
            conflicts = sum(number.result() for number in numbers)
        figure(f"{writers} writers, {name}: time", spent.seconds, "s")
        figure(f"{writers} writers, {name}: commits", writers * merges, "commits")
        figure(f"{writers} writers, {name}: conflicts, each with one retry", conflicts, "conflicts")


def open_parquet(path: Path) -> MergeTarget:
    """Return a table of Parquet files."""
    return MergedTable(path, table=TWEET_METRICS, path=TABLE, partition_of=BY_DAY, file_format=FileFormat.PARQUET)


def open_delta(path: Path) -> DeltaMergedTable:
    """Return a Delta table."""
    return DeltaMergedTable(path / TABLE, table=TWEET_METRICS, partition_of=BY_DAY)


def fill(opened: Open, path: Path, tweets: int, days: int, metrics: int) -> float:
    """Publish all days at once, and return the seconds."""
    with timed() as spent:
        table = opened(path)
        for number in range(days):
            table.stage(rows_of_day(tweets, START + number * DAY, metrics, read=0))
            table.close_before(START + (number + 1) * DAY)
        table.publish()
    return spent.seconds


def merge_day(opened: Open, path: Path, tweets: int, day: int, metrics: int) -> tuple[float, int, int]:
    """Publish a newer read of one day. Return the seconds, the peak memory, and the memory before."""
    rows = rows_of_day(tweets, START + day * DAY, metrics, read=1)
    base = peak_memory()
    with timed() as spent:
        table = opened(path)
        table.stage(rows)
        table.publish()
    return spent.seconds, peak_memory(), base


def merge_days(path: Path, tweets: int, days: list[int], metrics: int, writer: int) -> int:
    """Publish newer reads of some days, one after the other. Return the number of conflicts."""
    conflicts = 0

    def count(seconds: float) -> None:
        nonlocal conflicts
        conflicts += 1
        time.sleep(seconds)

    for number, day in enumerate(days):
        rows = rows_of_day(tweets, START + day * DAY, metrics, read=2 + writer + 10 * number)
        table = DeltaMergedTable(path / TABLE, table=TWEET_METRICS, partition_of=BY_DAY, sleep=count)
        table.stage(rows)
        table.publish()
    return conflicts


def rows_of_day(tweets: int, day: datetime, metrics: int, *, read: int) -> pyarrow.Table:
    """Return the hours of a day of all Tweets. The counts differ between reads."""
    number = 24 * tweets
    ids = pyarrow.array([str(10**18 + tweet) for tweet in range(tweets) for _ in range(24)])
    hours = pyarrow.array([day + hour * DAY / 24 for hour in range(24)] * tweets, pyarrow.timestamp("ms", "UTC"))
    ends = pyarrow.array([day + (hour + 1) * DAY / 24 for hour in range(24)] * tweets, pyarrow.timestamp("ms", "UTC"))
    counts = pyarrow.array([(7 * row + read) % 50 for row in range(number)], pyarrow.int64())
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": ids,
            "period_start": hours,
            "period_end": ends,
            "granularity": pyarrow.repeat("hour", number),
            "time_zone": pyarrow.repeat("UTC", number),
            "endpoint": pyarrow.repeat("historical", number),
            "fetched_at": pyarrow.repeat(
                pyarrow.scalar(day + (10 + read) * DAY, pyarrow.timestamp("ms", "UTC")), number
            ),
            "is_final": pyarrow.repeat(True, number),
            **dict.fromkeys(TWEET_METRICS.metrics[:metrics], counts),
        },
    )


def files_in(path: Path) -> set[tuple[Path, int]]:
    """Return the data files below a folder, each with its number on the disk: a file that replaces another differs."""
    files = (file for file in path.rglob("*.parquet") if "_delta_log" not in file.parts)
    return {(file, file.stat().st_ino) for file in files}
