"""The sums of snapshots, whose rows are in any number of batches, and of which some counts are not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow
import pytest

from airflow_provider_engagement.report.period_sums import KnownSum
from airflow_provider_engagement.report.snapshots import differences, sum_snapshots

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SCHEMA = pyarrow.schema(
    {
        "tweet_id": pyarrow.string(),
        "snapshot_at": pyarrow.timestamp("ms", "UTC"),
        "auth": pyarrow.string(),
        "favorites": pyarrow.int64(),
    }
)


def batch(counts: Sequence[int | None], *, first: int = 0, auth: str = "app") -> pyarrow.Table:
    rows = [
        {"tweet_id": str(first + number), "snapshot_at": NOON, "auth": auth, "favorites": count}
        for number, count in enumerate(counts)
    ]
    return pyarrow.Table.from_pylist(rows, schema=SCHEMA)


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[1, 2, 3]], KnownSum(6, 3, 3)),
        ([[None, None], [5]], KnownSum(5, 1, 3)),
        ([[5], [None], [None, 7]], KnownSum(12, 2, 4)),
        ([[None], [None]], KnownSum(0, 0, 2)),
        ([[0], [None]], KnownSum(0, 1, 2)),
        ([[-3], [2]], KnownSum(-1, 2, 2)),
    ],
)
def test_a_batch_without_known_counts_adds_nothing_to_the_sum(
    batches: list[list[int | None]], expected: KnownSum
) -> None:
    (snapshot,) = sum_snapshots(
        [batch(counts, first=10 * number) for number, counts in enumerate(batches)], ["favorites"]
    )
    assert snapshot.sums == {"favorites": expected}
    assert snapshot.tweets == sum(map(len, batches))


def test_snapshots_of_other_credentials_are_summed_apart() -> None:
    found = sum_snapshots([batch([1, 2]), batch([4], auth="user")], ["favorites"])
    assert [(snapshot.auth, snapshot.sums["favorites"].total) for snapshot in found] == [("app", 3), ("user", 4)]


def test_a_change_without_a_tweet_in_both_snapshots_is_not_known() -> None:
    assert differences(batch([1]), batch([5], first=9), ["favorites"]) == {"favorites": KnownSum(0, 0, 0)}
    assert differences(batch([1, None]), batch([5, 6]), ["favorites"]) == {"favorites": KnownSum(4, 1, 2)}
