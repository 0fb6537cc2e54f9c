"""The columns of a table are the same in every run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow
import pytest

from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.tables import (
    COLUMN_MEANINGS,
    COVERAGE,
    RESTATEMENTS,
    TABLES,
    TWEET_METRICS,
    TWEET_STATUS,
    TWEET_TOTALS,
    Table,
)

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
KEYS: dict[str, list[Any]] = {"tweet_id": ["101", "102"], "snapshot_at": [NOON, NOON], "auth": ["user", "app"]}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)

TOTALS_METRICS = {"impressions", "engagements", "favorites", "retweets", "replies", "quote_tweets", "video_views"}


def test_each_table_has_the_key_by_which_a_rerun_replaces_rows() -> None:
    assert {name: table.key for name, table in TABLES.items()} == {
        "tweet_totals": ("tweet_id", "snapshot_at", "auth"),
        "tweet_metrics": ("tweet_id", "period_start", "period_end", "granularity", "time_zone"),
        "tweet_hours_of_day": ("tweet_id", "period_start", "period_end", "hour_of_day", "time_zone"),
        "restatements": (
            *("tweet_id", "period_start", "period_end", "granularity", "time_zone"),
            *("metric", "new_fetched_at"),
        ),
        "tweet_status": ("tweet_id", "run_id", "task"),
        "coverage": ("tweet_id", "window_start", "window_end", "granularity", "time_zone", "run_id", "task"),
        "owner_ledger": ("owner", "run_id", "task", "requested_at"),
    }


def test_tweet_totals_has_a_column_for_each_metric_of_its_endpoint() -> None:
    assert set(TWEET_TOTALS.metrics) == TOTALS_METRICS


def test_tweet_metrics_has_a_column_for_each_metric_of_its_endpoints() -> None:
    assert set(TWEET_METRICS.metrics) > TOTALS_METRICS - {"quote_tweets"}
    assert "quote_tweets" not in TWEET_METRICS.metrics
    assert {"url_clicks", "user_follows", "media_views"} <= set(TWEET_METRICS.metrics)


def test_tables_without_counts_have_no_metric_columns() -> None:
    assert TWEET_STATUS.metrics == COVERAGE.metrics == RESTATEMENTS.metrics == ()


@every_table
def test_column_names_are_unique_and_explained(table: Table) -> None:
    names = arrow_schema(table).names
    assert len(set(names)) == len(names)
    assert tuple(names) == (*table.key, *table.columns, *table.metrics)
    assert {*table.key, *table.columns} <= COLUMN_MEANINGS.keys()


@every_table
def test_only_keys_are_never_null(table: Table) -> None:
    assert {field.name for field in arrow_schema(table) if not field.nullable} == set(table.key)


@every_table
def test_ids_are_strings_counts_64_bit_integers_and_times_utc(table: Table) -> None:
    schema = arrow_schema(table)
    for name in schema.names:
        expected = (
            pyarrow.int64()
            if name in (*table.metrics, "hour_of_day", "old_value", "new_value", "tweets")
            else pyarrow.timestamp("ms", "UTC")
            if name.endswith(("_at", "_start", "_end"))
            else pyarrow.bool_()
            if name.startswith("is_")
            else pyarrow.date32()
            if name.endswith("_date")
            else pyarrow.string()
        )
        assert schema.field(name).type == expected, name


@pytest.mark.parametrize("requested", [(), ("favorites",), ("impressions", "video_views"), TWEET_TOTALS.metrics])
def test_a_metric_that_was_not_requested_is_a_column_of_nulls(requested: tuple[str, ...]) -> None:
    rows = columns_to_table(TWEET_TOTALS, {**KEYS, **{metric: [1, None] for metric in requested}})
    assert rows.schema.equals(arrow_schema(TWEET_TOTALS))
    rows.validate(full=True)
    for metric in TWEET_TOTALS.metrics:
        assert rows[metric].to_pylist() == ([1, None] if metric in requested else [None, None])


def test_columns_are_in_the_order_of_the_table() -> None:
    rows = columns_to_table(TWEET_TOTALS, dict(reversed(KEYS.items())))
    assert rows.column_names == arrow_schema(TWEET_TOTALS).names
    assert rows["tweet_id"].to_pylist() == KEYS["tweet_id"]


@pytest.mark.parametrize(
    "counts",
    [
        [1, None],
        pyarrow.array([1, None], pyarrow.int64()),
        pyarrow.chunked_array([pyarrow.array([1]), pyarrow.array([None], pyarrow.int64())]),
    ],
    ids=["list", "array", "chunks"],
)
def test_values_are_lists_or_arrow_arrays(counts: Any) -> None:
    rows = columns_to_table(TWEET_TOTALS, {**KEYS, "favorites": counts})
    assert rows["favorites"].to_pylist() == [1, None]


def test_a_table_can_have_no_rows() -> None:
    rows = columns_to_table(TWEET_TOTALS, {"tweet_id": [], "favorites": pyarrow.chunked_array([], pyarrow.int64())})
    assert rows.num_rows == 0
    assert rows.schema.equals(arrow_schema(TWEET_TOTALS))


@pytest.mark.parametrize("counts", [["1", "2"], [2**63, 0], [1]], ids=str)
def test_counts_must_be_64_bit_integers_one_for_each_row(counts: list[Any]) -> None:
    with pytest.raises((pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError)):
        columns_to_table(TWEET_TOTALS, {**KEYS, "favorites": counts})


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"tweet_totals has no column likes\."):
        columns_to_table(TWEET_TOTALS, {**KEYS, "likes": [1, 2]})
