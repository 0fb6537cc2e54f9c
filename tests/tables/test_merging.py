"""Rows of one key are merged to the newest known count of each metric, in whatever order the reads are merged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.formats import to_json_value
from airflow_provider_engagement.tables.merging import merge_rows, times_of_counts
from airflow_provider_engagement.tables.tables import TWEET_METRICS

DAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
METRICS = ("impressions", "favorites", "video_views")

Read = tuple[str, dict[str, int | None]]
"""The counts of a Tweet that one read returned."""


def at(number: int) -> datetime:
    """Return when the read of a number was made."""
    return DAY + timedelta(days=9, hours=number, milliseconds=250)


def rows_of(number: int, tweet_id: str, counts: dict[str, int | None]) -> pyarrow.Table:
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id],
            "period_start": [DAY],
            "period_end": [DAY + HOUR],
            "granularity": ["hour"],
            "time_zone": ["UTC"],
            "owner": [f"read {number}"],
            "fetched_at": [at(number)],
            **{metric: [count] for metric, count in counts.items()},
        },
    )


def merge(*tables: pyarrow.Table) -> pyarrow.Table:
    return merge_rows(pyarrow.concat_tables(tables), TWEET_METRICS)


def merge_in_random_order(tables: list[pyarrow.Table], random: Random) -> pyarrow.Table:
    """Merge some of the tables, then some of the results, and so on until one is left."""
    while len(tables) > 1:
        chosen = [tables.pop(random.randrange(len(tables))) for _ in range(min(random.randint(2, 3), len(tables)))]
        tables.append(merge(*chosen))
    return tables[0]


def newest_known(reads: list[Read]) -> dict[str, dict[str, Any]]:
    """Return what each row must hold, from the list of all reads in the order of time."""
    rows: dict[str, dict[str, Any]] = {}
    for number, (tweet_id, counts) in enumerate(reads):
        row = rows.setdefault(tweet_id, {"times": {}, **dict.fromkeys(METRICS)})
        row["fetched_at"] = at(number)
        for metric, count in counts.items():
            if count is not None:
                row[metric] = count
                row["times"][metric] = at(number)
    return rows


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("12"),
            st.fixed_dictionaries({metric: st.none() | st.integers(0, 2**63 - 1) for metric in METRICS}),
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_newest_known_count_of_each_metric_wins_in_any_order(reads: list[Read], random: Random) -> None:
    tables = [rows_of(number, *read) for number, read in enumerate(reads)]
    merged = merge_in_random_order(tables, random).to_pylist()
    expected = newest_known(reads)
    assert [row["tweet_id"] for row in merged] == sorted(expected)
    for row in merged:
        wanted = expected[row["tweet_id"]]
        assert {metric: row[metric] for metric in METRICS} == {metric: wanted[metric] for metric in METRICS}
        assert row["fetched_at"] == wanted["fetched_at"]
        older = {metric: to_json_value(time) for metric, time in wanted["times"].items() if time < wanted["fetched_at"]}
        assert json.loads(row["older_counts"] or "{}") == older
        assert row["older_counts"] is None or older


def test_a_read_that_is_merged_late_replaces_the_counts_that_it_is_newer_than() -> None:
    published = merge(
        rows_of(1, "1", {"impressions": 5, "favorites": 1}), rows_of(3, "1", {"impressions": 9, "favorites": None})
    )
    (row,) = merge(published, rows_of(2, "1", {"impressions": 7, "favorites": 2})).to_pylist()
    assert (row["impressions"], row["favorites"], row["owner"]) == (9, 2, "read 3")
    assert row["older_counts"] == '{"favorites":"2026-01-14T02:00:00.250Z"}'


def test_the_time_of_each_count_can_be_told() -> None:
    merged = merge(
        rows_of(1, "1", {"impressions": 5, "favorites": 1}), rows_of(3, "1", {"impressions": 9, "favorites": None})
    )
    times = times_of_counts(merged, METRICS)
    assert {metric: times[metric].to_pylist() for metric in ("impressions", "favorites")} == {
        "impressions": [at(3)],
        "favorites": [at(1)],
    }


def test_merged_rows_are_in_the_order_of_their_keys() -> None:
    tables = [rows_of(number, str(tweet), {"impressions": tweet}) for number in (1, 2) for tweet in range(1000, 1500)]
    merged = merge(*tables)
    assert merged["tweet_id"].to_pylist() == [str(tweet) for tweet in range(1000, 1500)]


def test_merging_again_changes_nothing() -> None:
    rows = [rows_of(number, "1", {"impressions": number, "favorites": None}) for number in range(3)]
    merged = merge(*rows)
    assert merge(merged, *rows).equals(merged)
    assert merge(merged, merged).equals(merged)
