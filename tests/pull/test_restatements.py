"""A restatement is a count that a newer response returns with another value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow

from airflow_provider_engagement.pull.restatements import RestatementLog
from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.tables import RESTATEMENTS, TWEET_METRICS

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEFORE = datetime(2026, 1, 6, 3, tzinfo=UTC)
AFTER = datetime(2026, 1, 7, 3, tzinfo=UTC)
METRICS = ("impressions", "favorites")

Counts = dict[tuple[str, int], tuple[int | None, int | None]]


def rows(counts: Counts, fetched_at: datetime) -> pyarrow.Table:
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id for tweet_id, _ in counts],
            "period_start": [START + hour * HOUR for _, hour in counts],
            "period_end": [START + (hour + 1) * HOUR for _, hour in counts],
            "granularity": ["hour"] * len(counts),
            "time_zone": ["UTC"] * len(counts),
            "fetched_at": [fetched_at] * len(counts),
            "impressions": [impressions for impressions, _ in counts.values()],
            "favorites": [favorites for _, favorites in counts.values()],
        },
    )


def restated(
    before: Counts, after: Counts, *, fetched_at: datetime = AFTER, metrics: tuple[str, ...] = METRICS
) -> pyarrow.Table:
    log = RestatementLog("hour")
    log.compare(rows(before, BEFORE), rows(after, fetched_at), metrics)
    return log.table()


def changes_in(table: pyarrow.Table) -> list[tuple[str, int, str, int | None, int | None]]:
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


def test_a_different_count_is_recorded_with_its_old_and_new_value() -> None:
    table = restated({("1", 0): (5, 1), ("1", 1): (6, 2)}, {("1", 0): (5, 1), ("1", 1): (8, 2)})
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
            "new_fetched_at": AFTER,
        }
    ]
    assert table.schema.equals(arrow_schema(RESTATEMENTS))


def test_a_lower_zero_or_negative_count_is_recorded() -> None:
    found = changes_in(restated({("1", 0): (5, 3)}, {("1", 0): (0, -1)}))
    assert found == [("1", 0, "favorites", 3, -1), ("1", 0, "impressions", 5, 0)]


def test_a_count_in_place_of_null_is_recorded_and_null_in_place_of_a_count_is_not() -> None:
    assert changes_in(restated({("1", 0): (None, 3)}, {("1", 0): (0, None)})) == [("1", 0, "impressions", None, 0)]


def test_null_in_place_of_null_is_not_recorded() -> None:
    assert changes_in(restated({("1", 0): (None, None)}, {("1", 0): (None, None)})) == []


def test_a_row_without_a_counterpart_is_not_recorded() -> None:
    assert changes_in(restated({("1", 0): (1, 1), ("2", 0): (1, 1)}, {("1", 1): (2, 2), ("3", 0): (2, 2)})) == []


def test_a_metric_that_was_not_requested_again_is_not_compared() -> None:
    assert changes_in(restated({("1", 0): (5, 3)}, {("1", 0): (6, None)}, metrics=("impressions",))) == [
        ("1", 0, "impressions", 5, 6)
    ]


def test_counts_that_are_not_newer_restate_nothing() -> None:
    for fetched_at in (BEFORE, BEFORE - HOUR):
        assert changes_in(restated({("1", 0): (5, 1)}, {("1", 0): (6, 2)}, fetched_at=fetched_at)) == []


def test_restatements_are_ordered_by_tweet_period_and_metric() -> None:
    log = RestatementLog("hour")
    for tweet_id, hour in (("2", 1), ("1", 3), ("2", 0), ("1", 2)):
        log.compare(rows({(tweet_id, hour): (1, 1)}, BEFORE), rows({(tweet_id, hour): (2, 2)}, AFTER), METRICS)
    assert [entry[:3] for entry in changes_in(log.table())] == [
        (tweet_id, hour, metric)
        for tweet_id, hour in (("1", 2), ("1", 3), ("2", 0), ("2", 1))
        for metric in ("favorites", "impressions")
    ]


def test_a_log_without_restatements_is_an_empty_table() -> None:
    table = RestatementLog("hour").table()
    assert table.num_rows == 0
    assert table.schema.equals(arrow_schema(RESTATEMENTS))


def test_a_count_is_compared_by_its_own_time_and_not_by_that_of_another_metric_of_its_row() -> None:
    between = BEFORE + HOUR
    other_metric = rows({("1", 0): (None, 4)}, between)
    published = merge_rows(pyarrow.concat_tables([rows({("1", 0): (5, 1)}, BEFORE), other_metric]), TWEET_METRICS)
    log = RestatementLog("hour")
    log.compare(published, rows({("1", 0): (7, 9)}, BEFORE + HOUR / 2), METRICS)
    (row,) = log.table().to_pylist()
    # The likes of the published row are newer.
    assert (row["metric"], row["old_value"], row["new_value"]) == ("impressions", 5, 7)
    assert (row["old_fetched_at"], row["new_fetched_at"]) == (BEFORE, BEFORE + HOUR / 2)
