"""Rankings of Tweets."""

from __future__ import annotations

from collections import defaultdict

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.report import ranking
from airflow_provider_engagement.report.ranking import TopTweet, choose_counts, rank, sum_counts, top_tweets


def table(*rows: tuple[str, int | None]) -> pyarrow.Table:
    return pyarrow.table(
        {
            "tweet_id": pyarrow.array([tweet_id for tweet_id, _ in rows], pyarrow.string()),
            "favorites": pyarrow.array([count for _, count in rows], pyarrow.int64()),
        }
    )


def ranked(rows: pyarrow.Table, number: int = 10) -> list[tuple[str, int]]:
    return [(tweet.tweet_id, tweet.count) for tweet in top_tweets(rows, ["favorites"], number=number)["favorites"]]


def test_the_highest_counts_come_first() -> None:
    assert ranked(table(("101", 1), ("102", 30), ("103", -4), ("104", 5))) == [
        ("102", 30),
        ("104", 5),
        ("101", 1),
        ("103", -4),
    ]


def test_a_ranking_has_at_most_the_requested_number_of_tweets() -> None:
    assert ranked(table(("101", 1), ("102", 3), ("103", 2)), number=2) == [("102", 3), ("103", 2)]


def test_the_rows_of_a_tweet_are_summed() -> None:
    assert ranked(table(("101", 2), ("102", 3), ("101", 2), ("102", -1))) == [("101", 4), ("102", 2)]


def test_a_sum_above_64_bits_does_not_overflow() -> None:
    assert ranked(table(("101", 2**63 - 1), ("101", 1), ("102", 5))) == [("101", 2**63), ("102", 5)]


def test_tweets_with_equal_counts_are_ordered_by_id() -> None:
    assert ranked(table(("103", 7), ("101", 7), ("102", 7)), number=2) == [("101", 7), ("102", 7)]


def test_a_tweet_with_an_unknown_count_is_not_ranked() -> None:
    assert ranked(table(("101", None), ("102", 0), ("103", -1), ("104", 5), ("104", None))) == [("102", 0), ("103", -1)]
    assert ranked(table(("101", None))) == []
    assert ranked(table()) == []


def test_each_metric_has_its_own_ranking() -> None:
    rows = pyarrow.table({"tweet_id": ["101", "102"], "replies": [1, 2], "favorites": [2, 1]})
    found = top_tweets(rows, ["replies", "favorites"], number=1)
    assert {metric: [tweet.tweet_id for tweet in best] for metric, best in found.items()} == {
        "replies": ["102"],
        "favorites": ["101"],
    }


def test_the_link_to_a_tweet_needs_no_handle() -> None:
    assert top_tweets(table(("101", 1)), ["favorites"]) == {
        "favorites": [TopTweet("101", 1, "https://twitter.com/i/web/status/101")]
    }


@settings(max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(100, 110).map(str), st.integers(-100, 100)), max_size=40),
    number=st.integers(1, 12),
)
def test_a_ranking_agrees_with_plain_python(rows: list[tuple[str, int]], number: int) -> None:
    sums: dict[str, int] = defaultdict(int)
    for tweet_id, count in rows:
        sums[tweet_id] += count
    expected = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:number]
    assert ranked(table(*rows), number=number) == expected


def test_equal_counts_are_ordered_by_the_id_as_a_number() -> None:
    assert ranked(table(("1000", 7), ("999", 7)), number=1) == [("999", 7)]


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(st.integers(100, 130).map(str), st.integers(-100, 100) | st.none()), max_size=60),
    size=st.integers(1, 7),
)
def test_sums_do_not_depend_on_the_batches_that_rows_come_in(rows: list[tuple[str, int | None]], size: int) -> None:
    batches = [table(*rows[start : start + size]) for start in range(0, len(rows), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_ROWS_PER_SUM", 5)
        sums = sum_counts(batches, ["favorites"])
    expected: dict[int, int | None] = {}
    for tweet_id, count in rows:
        so_far = expected.get(int(tweet_id), 0)
        expected[int(tweet_id)] = None if so_far is None or count is None else so_far + count
    assert {row["tweet_id"]: row["favorites"] for row in sums.to_pylist()} == expected


def test_a_sum_that_exceeds_64_bits_in_a_later_batch_does_not_overflow() -> None:
    batches = [table(("101", 5), ("102", 1)), table(("101", 2**63 - 1)), table(("101", -7))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_ROWS_PER_SUM", 1)
        sums = sum_counts(batches, ["favorites"])
    assert rank(sums, ["favorites"], number=2)["favorites"][0].count == 2**63 - 3


def test_the_first_known_count_in_the_order_is_chosen() -> None:
    rows = pyarrow.table(
        {
            "tweet_id": ["101", "101", "102", "102"],
            "auth": ["app", "user", "app", "user"],
            "favorites": pyarrow.array([4, 5, 6, None], pyarrow.int64()),
        }
    )
    chosen = choose_counts(rows, ["favorites"], [("auth", "descending")])
    assert sorted(chosen.to_pylist(), key=lambda row: row["tweet_id"]) == [
        {"tweet_id": 101, "favorites": 5},
        {"tweet_id": 102, "favorites": 6},
    ]
