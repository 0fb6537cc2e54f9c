"""The Tweets with the highest counts of a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow
import pyarrow.compute as compute

LINK = "https://twitter.com/i/web/status/{tweet_id}"


@dataclass(frozen=True, slots=True)
class TopTweet:
    """One Tweet of a ranking.

    :param tweet_id: the Tweet's id.
    :param count: its count of the metric.
    :param link: its URL, which does not need the owner's handle.
    """

    tweet_id: str
    count: int
    link: str


def top_tweets(table: pyarrow.Table, metrics: Sequence[str], *, number: int = 10) -> dict[str, list[TopTweet]]:
    """Rank Tweets by each of several metrics, highest first. Tweets with equal counts are ordered by id.

    Rows of the same Tweet are summed. A Tweet with a null among its counts is not ranked, because its sum is unknown.

    :param table: rows with ``tweet_id`` and the metrics as columns, of one granularity or one snapshot.
    :param metrics: the metrics to rank by.
    :param number: how many Tweets to return for each metric.
    """
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    ranking = {}
    for metric in metrics:
        # A decimal sum cannot overflow as a 64-bit sum can.
        wide = table.select(["tweet_id"]).append_column("count", table[metric].cast(pyarrow.decimal128(38)))
        sums = wide.group_by("tweet_id").aggregate([("count", "sum", keep_nulls)]).drop_null()
        sums = sums.append_column("id", sums["tweet_id"].cast(pyarrow.int64()))
        best = sums.sort_by([("count_sum", "descending"), ("id", "ascending")]).slice(0, number)
        ranking[metric] = [
            TopTweet(row["tweet_id"], int(row["count_sum"]), LINK.format(tweet_id=row["tweet_id"]))
            for row in best.to_pylist()
        ]
    return ranking
