"""What changed between two readings of the same counts, count by count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow

from airflow_provider_engagement.dataset.restatements import Restatements
from airflow_provider_engagement.dataset.schema import RESTATEMENTS, TWEET_METRICS, arrow_schema, columns_to_table

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = datetime(2026, 1, 6, 3, tzinfo=UTC)
NOW = datetime(2026, 1, 7, 3, tzinfo=UTC)
METRICS = ("impressions", "favorites")

Counts = dict[tuple[str, int], tuple[int | None, int | None]]


def rows(counts: Counts, read: datetime) -> pyarrow.Table:
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id for tweet_id, _ in counts],
            "period_start": [START + hour * HOUR for _, hour in counts],
            "period_end": [START + (hour + 1) * HOUR for _, hour in counts],
            "granularity": ["hour"] * len(counts),
            "time_zone": ["UTC"] * len(counts),
            "fetched_at": [read] * len(counts),
            "impressions": [impressions for impressions, _ in counts.values()],
            "favorites": [favorites for _, favorites in counts.values()],
        },
    )


def changes(before: Counts, now: Counts, *, read: datetime = NOW, metrics: tuple[str, ...] = METRICS) -> pyarrow.Table:
    restatements = Restatements("hour")
    restatements.compare(rows(before, BEFORE), rows(now, read), metrics)
    return restatements.table()


def told(table: pyarrow.Table) -> list[tuple[str, int, str, int | None, int | None]]:
    return [
        (
            row["tweet_id"],
            (row["period_start"] - START) // HOUR,
            row["metric"],
            row["old_value"],
            row["new_value"],
        )
        for row in table.to_pylist()
    ]


def test_a_count_that_differs_is_told_with_its_old_and_its_new_value() -> None:
    table = changes({("1", 0): (5, 1), ("1", 1): (6, 2)}, {("1", 0): (5, 1), ("1", 1): (8, 2)})
    assert table.to_pylist() == [
        {
            "tweet_id": "1",
            "period_start": START + HOUR,
            "period_end": START + 2 * HOUR,
            "granularity": "hour",
            "time_zone": "UTC",
            "metric": "impressions",
            "old_value": 6,
            "new_value": 8,
            "old_fetched_at": BEFORE,
            "new_fetched_at": NOW,
        }
    ]
    assert table.schema.equals(arrow_schema(RESTATEMENTS))


def test_counts_that_fell_or_became_zero_or_negative_differ_too() -> None:
    found = told(changes({("1", 0): (5, 3)}, {("1", 0): (0, -1)}))
    assert found == [("1", 0, "favorites", 3, -1), ("1", 0, "impressions", 5, 0)]


def test_a_null_that_became_a_number_differs_and_a_number_stays_where_a_null_is_read() -> None:
    assert told(changes({("1", 0): (None, 3)}, {("1", 0): (0, None)})) == [("1", 0, "impressions", None, 0)]


def test_a_null_that_stayed_null_is_the_same() -> None:
    assert told(changes({("1", 0): (None, None)}, {("1", 0): (None, None)})) == []


def test_rows_that_only_one_reading_has_are_not_compared() -> None:
    assert told(changes({("1", 0): (1, 1), ("2", 0): (1, 1)}, {("1", 1): (2, 2), ("3", 0): (2, 2)})) == []


def test_a_metric_that_was_not_asked_for_again_is_not_compared() -> None:
    assert told(changes({("1", 0): (5, 3)}, {("1", 0): (6, None)}, metrics=("impressions",))) == [
        ("1", 0, "impressions", 5, 6)
    ]


def test_an_older_or_the_same_reading_restates_nothing() -> None:
    for read in (BEFORE, BEFORE - HOUR):
        assert told(changes({("1", 0): (5, 1)}, {("1", 0): (6, 2)}, read=read)) == []


def test_what_was_found_is_in_the_order_of_tweets_periods_and_metrics_however_it_was_found() -> None:
    restatements = Restatements("hour")
    for tweet_id, hour in (("2", 1), ("1", 3), ("2", 0), ("1", 2)):
        restatements.compare(rows({(tweet_id, hour): (1, 1)}, BEFORE), rows({(tweet_id, hour): (2, 2)}, NOW), METRICS)
    assert [entry[:3] for entry in told(restatements.table())] == [
        (tweet_id, hour, metric)
        for tweet_id, hour in (("1", 2), ("1", 3), ("2", 0), ("2", 1))
        for metric in ("favorites", "impressions")
    ]


def test_nothing_found_is_a_table_without_rows() -> None:
    table = Restatements("hour").table()
    assert table.num_rows == 0
    assert table.schema.equals(arrow_schema(RESTATEMENTS))
