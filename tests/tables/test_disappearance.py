"""A Tweet that is gone loses its text and keeps the time of that, in whatever order reads are merged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pyarrow
import pytest

from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.tables import TWEETS

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return T0 + timedelta(days=day)


def seen(day: int, text: str = "a text", author: str | None = "7") -> pyarrow.Table:
    return rows(fetched_at=at(day), seen_at=at(day), text=text, media_keys="3_1", author_id=author, kind="original")


def gone(day: int) -> pyarrow.Table:
    return rows(fetched_at=at(day), gone_at=at(day), gone_because="deleted")


def rows(**values: Any) -> pyarrow.Table:
    given = {"tweet_id": "30000000000", "id_time": T0, **values}
    return columns_to_table(TWEETS, {name: [value] for name, value in given.items()})


def merged(*tables: pyarrow.Table) -> dict[str, Any]:
    """Merge as publishing does: one read after the other into what is already there."""
    published = tables[0]
    for table in tables[1:]:
        published = merge_rows(pyarrow.concat_tables([published, table]), TWEETS)
    (row,) = published.to_pylist()
    return row  # type: ignore[no-any-return]


@pytest.mark.parametrize("order", list(permutations([seen(1), seen(2, "newer"), gone(4)])))
def test_a_gone_tweet_keeps_its_author_and_loses_its_content(order: tuple[pyarrow.Table, ...]) -> None:
    row = merged(*order)

    assert (row["text"], row["media_keys"]) == (None, None)
    assert (row["author_id"], row["kind"], row["gone_because"]) == ("7", "original", "deleted")
    assert (row["seen_at"], row["gone_at"], row["fetched_at"]) == (at(2), at(4), at(4))


@pytest.mark.parametrize("order", list(permutations([seen(1), gone(3), gone(5)])))
def test_the_time_of_disappearance_is_that_of_the_first_report(order: tuple[pyarrow.Table, ...]) -> None:
    row = merged(*order)

    assert (row["gone_at"], row["fetched_at"]) == (at(3), at(5))


@pytest.mark.parametrize("order", list(permutations([seen(1), gone(3), seen(5, "back")])))
def test_a_tweet_that_is_visible_again_is_not_gone(order: tuple[pyarrow.Table, ...]) -> None:
    row = merged(*order)

    assert (row["text"], row["gone_at"], row["gone_because"]) == ("back", None, None)


@pytest.mark.parametrize("order", list(permutations([gone(2), seen(3), gone(5)])))
def test_a_report_from_before_a_tweet_was_seen_does_not_count(order: tuple[pyarrow.Table, ...]) -> None:
    assert merged(*order)["gone_at"] == at(5)


def test_a_tweet_that_was_never_seen_is_gone_since_the_first_report() -> None:
    row = merged(gone(2), gone(4))

    assert (row["seen_at"], row["gone_at"], row["text"]) == (None, at(2), None)


def test_other_tweets_are_not_affected() -> None:
    other = columns_to_table(
        TWEETS, {"tweet_id": ["31000000000"], "id_time": [T0], "fetched_at": [at(1)], "seen_at": [at(1)], "text": ["x"]}
    )

    both = merge_rows(pyarrow.concat_tables([seen(1), other, gone(2)]), TWEETS).to_pylist()

    assert [(row["tweet_id"], row["text"], row["gone_at"]) for row in both] == [
        ("30000000000", None, at(2)),
        ("31000000000", "x", None),
    ]
