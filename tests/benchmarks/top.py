"""Top 10 of 1,000,000 Tweets by each metric: from one snapshot of totals, and from a week of days.

The tables are written without a server. The operator then runs in a process of its own.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.parquet
from figures import MEGABYTE, figure, in_own_process, peak_memory, timed

from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_TOTALS, Table

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
FIRST_ID = 2_000_000_000_000_000_000
STEP = 7_919
TIMESTAMP = pyarrow.timestamp("ms", "UTC")


def main(tweets: int = 1_000_000, days: int = 7, number: int = 10) -> None:
    """Rank the Tweets.

    :param tweets: the number of Tweets.
    :param days: the number of days whose counts are summed.
    :param number: how many Tweets to return for each metric.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        in_own_process(write, path, tweets, days)
        for case, options in (
            ("one snapshot of totals", {}),
            (
                f"{days} days of 17 metrics",
                {"table": "tweet_metrics", "granularity": "day", "start": START, "end": START + days * DAY},
            ),
        ):
            seconds, base, peak, wrong = in_own_process(run, str(path), number, tweets, options)
            figure(f"top {number} of {tweets:,} Tweets, {case}: time", seconds, "s")
            figure(f"top {number} of {tweets:,} Tweets, {case}: peak memory", peak / MEGABYTE, "MB")
            figure(f"top {number} of {tweets:,} Tweets, {case}: memory before", base / MEGABYTE, "MB")
            figure(f"top {number} of {tweets:,} Tweets, {case}: wrong places", wrong, "places", "== 0")


def write(folder: Path, tweets: int, days: int) -> None:
    """Write one snapshot, and the days of each Tweet, as pulls do."""
    write_rows(folder / "tweet_totals/snapshot_date=2026-01-12/pull.parquet", TWEET_TOTALS, tweets, [START])
    times = [START + day * DAY for day in range(days)]
    write_rows(folder / "tweet_metrics/day/partition_date=2026-01-01/rows.parquet", TWEET_METRICS, tweets, times)


def write_rows(path: Path, table: Table, tweets: int, times: list[datetime], batch: int = 50_000) -> None:
    """Write a row of each Tweet and time. The count of the Tweet number n is n * STEP modulo the number of Tweets."""
    path.parent.mkdir(parents=True)
    writer = None
    for first in range(0, tweets, batch):
        numbers = range(first, min(first + batch, tweets))
        for time in times:
            rows = columns_to_table(table, _columns(table, numbers, tweets, time))
            writer = writer or pyarrow.parquet.ParquetWriter(path, rows.schema, compression="zstd")
            writer.write_table(rows)
    if writer is not None:
        writer.close()


def _columns(table: Table, numbers: range, tweets: int, time: datetime) -> dict[str, Any]:
    length = len(numbers)
    counts = pyarrow.array([number * STEP % tweets for number in numbers], pyarrow.int64())
    columns: dict[str, Any] = {
        "tweet_id": pyarrow.array([str(FIRST_ID + number) for number in numbers]),
        "fetched_at": pyarrow.repeat(pyarrow.scalar(time, TIMESTAMP), length),
        **dict.fromkeys(table.metrics, counts),
    }
    if table is TWEET_TOTALS:
        snapshot_at = pyarrow.scalar(datetime(2026, 1, 12, tzinfo=UTC), TIMESTAMP)
        return {
            **columns,
            "snapshot_at": pyarrow.repeat(snapshot_at, length),
            "auth": pyarrow.repeat("user", length),
        }
    return {
        **columns,
        "period_start": pyarrow.repeat(pyarrow.scalar(time, TIMESTAMP), length),
        "period_end": pyarrow.repeat(pyarrow.scalar(time + DAY, TIMESTAMP), length),
        "granularity": pyarrow.repeat("day", length),
        "time_zone": pyarrow.repeat("UTC", length),
    }


def run(folder: str, number: int, tweets: int, options: dict[str, Any]) -> tuple[float, int, int, int]:
    """Run the operator. Return the seconds, the memory before and the peak, and how many places are wrong."""
    operator = EngagementTopTweetsOperator(task_id="top", dataset_path=folder, limit=number, **options)
    context: Any = {
        "ti": SimpleNamespace(
            dag_id="top",
            task_id="top",
            map_index=-1,
            start_date=datetime.now(UTC),
            get_first_reschedule_date=lambda context: None,
        ),
        "run_id": "manual",
        "dag_run": SimpleNamespace(run_type="manual", run_after=datetime.now(UTC)),
    }
    base = peak_memory()
    with timed() as spent:
        found = operator.execute(context)
    # Numbers are coprime to STEP, so each count occurs once.
    inverse = pow(STEP, -1, tweets)
    expected = [str(FIRST_ID + (tweets - 1 - place) * inverse % tweets) for place in range(number)]
    wrong = sum(
        tweet["tweet_id"] != tweet_id
        for ranked in found["top"].values()
        for tweet, tweet_id in zip(ranked, expected, strict=True)
    )
    return spent.seconds, base, peak_memory(), wrong + (not found["top"])
