"""The Tweets with the highest counts of a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow
import pyarrow.compute as compute

LINK = "https://twitter.com/i/web/status/{tweet_id}"

_ROWS_PER_SUM = 1_000_000
"""How many rows are collected at least before they are summed."""

_LARGEST_SUM = 2**63
_WIDE = pyarrow.decimal128(38)
_KEEP_NULLS = compute.ScalarAggregateOptions(skip_nulls=False)


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
    return rank(sum_counts([table], metrics), metrics, number=number)


def sum_counts(batches: Iterable[pyarrow.Table], metrics: Sequence[str]) -> pyarrow.Table:
    """Sum the counts of each Tweet. The memory depends on the number of Tweets, not on the number of rows.

    :param batches: rows with ``tweet_id`` and the metrics as columns.
    :param metrics: the metrics to sum.
    :return: one row for each Tweet: ``tweet_id`` as a number, and the sums. A sum is null if one of its counts is null.
    :raises pyarrow.ArrowInvalid: if a Tweet id is not a number.
    """
    kind, bound = pyarrow.int64(), 0
    sums = _columns(metrics, kind).empty_table()
    pending: list[pyarrow.Table] = []
    rows = 0
    for batch in batches:
        pending.append(_numbered(batch.select(["tweet_id", *metrics])))
        rows += batch.num_rows
        bound += batch.num_rows * max((_largest(batch[metric]) for metric in metrics), default=0)
        if bound >= _LARGEST_SUM:
            # A decimal sum cannot overflow as a 64-bit sum can.
            kind = _WIDE
        if rows >= max(_ROWS_PER_SUM, sums.num_rows):
            sums, pending, rows = _sum([sums, *pending], metrics, kind), [], 0
    return _sum([sums, *pending], metrics, kind)


def choose_counts(rows: pyarrow.Table, metrics: Sequence[str], order: Sequence[tuple[str, str]]) -> pyarrow.Table:
    """Choose one known count of each Tweet and metric.

    :param rows: rows with ``tweet_id`` and the metrics as columns, and with the columns of the order.
    :param order: columns and directions, such as ``("fetched_at", "descending")``. The first known count is chosen.
    :return: one row for each Tweet: ``tweet_id`` as a number, and the counts.
    :raises pyarrow.ArrowInvalid: if a Tweet id is not a number.
    """
    rows = _numbered(rows)
    if compute.count_distinct(rows["tweet_id"]).as_py() == rows.num_rows:
        return rows.select(["tweet_id", *metrics])
    ordered = rows.sort_by([("tweet_id", "ascending"), *order])
    # Only one thread keeps the order of the rows.
    chosen = ordered.group_by("tweet_id", use_threads=False).aggregate([(metric, "first") for metric in metrics])
    return chosen.select(["tweet_id", *(f"{metric}_first" for metric in metrics)]).rename_columns(
        ["tweet_id", *metrics]
    )


def rank(counts: pyarrow.Table, metrics: Sequence[str], *, number: int) -> dict[str, list[TopTweet]]:
    """Rank Tweets by each of several metrics: the larger count first, and of equal counts the smaller id.

    :param counts: one row for each Tweet: ``tweet_id`` as a number, and the metrics. A null is not ranked.
    :param metrics: the metrics to rank by.
    :param number: how many Tweets to return for each metric.
    """
    ranking: Mapping[str, pyarrow.Table] = {
        metric: _highest(counts.select(["tweet_id", metric]).rename_columns(["tweet_id", "count"]), number)
        for metric in metrics
    }
    return {
        metric: [
            TopTweet(str(row["tweet_id"]), int(row["count"]), LINK.format(tweet_id=row["tweet_id"]))
            for row in best.to_pylist()
        ]
        for metric, best in ranking.items()
    }


def _highest(counts: pyarrow.Table, number: int) -> pyarrow.Table:
    known = counts.filter(counts["count"].is_valid())
    order = [("count", "descending"), ("tweet_id", "ascending")]
    if number >= known.num_rows or known["count"].type == _WIDE:
        return known.sort_by(order).slice(0, number)
    # The ids are unique, so an unstable selection has only one result.
    return known.take(compute.select_k_unstable(known, k=number, sort_keys=order))


def _columns(metrics: Sequence[str], kind: pyarrow.DataType) -> pyarrow.Schema:
    return pyarrow.schema([("tweet_id", pyarrow.int64()), *((metric, kind) for metric in metrics)])


def _numbered(rows: pyarrow.Table) -> pyarrow.Table:
    place = rows.column_names.index("tweet_id")
    return rows.set_column(place, "tweet_id", rows["tweet_id"].cast(pyarrow.int64()))


def _largest(counts: pyarrow.ChunkedArray) -> int:
    extremes: dict[str, int | None] = compute.min_max(counts).as_py()
    return max(abs(extremes["min"] or 0), abs(extremes["max"] or 0))


def _sum(tables: Iterable[pyarrow.Table], metrics: Sequence[str], kind: pyarrow.DataType) -> pyarrow.Table:
    rows = pyarrow.concat_tables([table.cast(_columns(metrics, kind)) for table in tables])
    sums = rows.group_by("tweet_id").aggregate([(metric, "sum", _KEEP_NULLS) for metric in metrics])
    renamed = sums.select(["tweet_id", *(f"{metric}_sum" for metric in metrics)]).rename_columns(["tweet_id", *metrics])
    return renamed.cast(_columns(metrics, kind))
