"""The Tweets with the highest counts of a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

LINK = "https://twitter.com/i/web/status/{tweet_id}"


@dataclass(frozen=True, slots=True)
class TopTweet:
    """One Tweet of a ranking.

    :param tweet_id: its id.
    :param count: its count of the metric.
    :param link: its address, which needs no screen name.
    """

    tweet_id: str
    count: int
    link: str


def top_tweets(table: pyarrow.Table, metrics: Sequence[str], *, number: int = 10) -> dict[str, list[TopTweet]]:
    """Rank Tweets by each of some metrics, the highest first; Tweets of equal counts by id.

    Rows of the same Tweet are added up. Tweets with a null among their counts are not ranked: their sum is not known.

    :param table: rows with ``tweet_id`` and the metrics as columns, of one granularity or one snapshot.
    :param metrics: by what to rank.
    :param number: how many Tweets to name.
    """
    import pyarrow
    import pyarrow.compute as compute

    whole = compute.ScalarAggregateOptions(skip_nulls=False)
    ranking = {}
    for metric in metrics:
        # Summed as decimals, which do not wrap around.
        wide = table.select(["tweet_id"]).append_column("count", table[metric].cast(pyarrow.decimal128(38)))
        sums = wide.group_by("tweet_id").aggregate([("count", "sum", whole)]).drop_null()
        sums = sums.append_column("id", sums["tweet_id"].cast(pyarrow.int64()))
        best = sums.sort_by([("count_sum", "descending"), ("id", "ascending")]).slice(0, number)
        ranking[metric] = [
            TopTweet(row["tweet_id"], int(row["count_sum"]), LINK.format(tweet_id=row["tweet_id"]))
            for row in best.to_pylist()
        ]
    return ranking
