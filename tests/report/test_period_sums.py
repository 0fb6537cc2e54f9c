"""Sums do not depend on how many rows are read or summed at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow
import pytest

from airflow_provider_engagement.report import period_sums
from airflow_provider_engagement.report.period_sums import KnownSum, sum_batches

START = datetime(2026, 1, 5, tzinfo=UTC)
METRICS = ("impressions", "retweets")


def rows() -> pyarrow.Table:
    """Hours of ten Tweets in two time zones. Some counts are not known."""
    numbers = random.Random(5)

    def count() -> int | None:
        return None if numbers.random() < 0.02 else numbers.randrange(1_000)

    return pyarrow.Table.from_pylist(
        [
            {
                "tweet_id": str(tweet_id),
                "period_start": START + hour * timedelta(hours=1),
                "time_zone": zone,
                "impressions": count(),
                "retweets": count(),
            }
            for zone in ("UTC", "Europe/Prague")
            for hour in range(24)
            for tweet_id in range(100, 110)
        ],
        schema=pyarrow.schema(
            [
                ("tweet_id", pyarrow.string()),
                ("period_start", pyarrow.timestamp("ms", "UTC")),
                ("time_zone", pyarrow.string()),
                ("impressions", pyarrow.int64()),
                ("retweets", pyarrow.int64()),
            ]
        ),
    )


def batches(table: pyarrow.Table, size: int) -> Iterator[pyarrow.Table]:
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("at_once", [1, 50, 1_000])
def test_sums_are_those_of_the_known_counts(monkeypatch: pytest.MonkeyPatch, size: int, at_once: int) -> None:
    monkeypatch.setattr(period_sums, "ROWS_PER_SUM", at_once)
    monkeypatch.setattr(period_sums, "PARTIAL_SUMS", 3)
    table = rows()

    summed = sum_batches(batches(table, size), METRICS, zone="UTC")

    periods: dict[datetime, dict[str, KnownSum]] = {}
    tweets: dict[str, dict[str, int | None]] = {}
    for row in table.to_pylist():
        if row["time_zone"] == "UTC":
            period = periods.setdefault(row["period_start"], {metric: KnownSum() for metric in METRICS})
            tweet = tweets.setdefault(row["tweet_id"], dict.fromkeys(METRICS, 0))
            for metric in METRICS:
                count, before = row[metric], tweet[metric]
                period[metric] += KnownSum(count or 0, int(count is not None), 1)
                tweet[metric] = None if count is None or before is None else before + count
    assert summed.by_period == periods
    assert summed.by_tweet is not None
    found = {row.pop("tweet_id"): row for row in summed.by_tweet.to_pylist()}
    assert found == tweets
    assert {type(count) for counts in found.values() for count in counts.values()} == {int, type(None)}


def test_without_rows_there_are_no_sums() -> None:
    assert sum_batches([], METRICS, zone="UTC") == period_sums.SummedRows()
