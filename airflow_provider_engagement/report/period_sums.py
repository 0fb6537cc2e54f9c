"""Sums of counts over Tweets, by period and by Tweet.

A count that is not known is left out of these sums, and counted: a figure says how many counts its sums lack. The sums
of the dataset's own tables are null instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.report.ranking import TopTweet, top_tweets
from airflow_provider_engagement.report.selection import period_of
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tweet_id import created_at

ROWS_PER_SUM = 250_000
"""How many rows are collected at least before they are summed. Fewer rows would be the work of one thread."""

PARTIAL_SUMS = 16
"""After how many sums of rows these sums are added up."""

KEY = ("period_start", "time_zone")


@dataclass(slots=True)
class KnownSum:
    """The sum of the counts that are known.

    :param value: the sum.
    :param known: how many counts are known.
    :param rows: how many counts there could be.
    """

    value: int = 0
    known: int = 0
    rows: int = 0

    def __add__(self, other: KnownSum) -> KnownSum:
        return KnownSum(self.value + other.value, self.known + other.known, self.rows + other.rows)

    @property
    def missing(self) -> int:
        """How many counts are not known."""
        return self.rows - self.known

    @property
    def total(self) -> int | None:
        """The sum, or ``None`` if no count is known."""
        return self.value if self.known else None


Sums = dict[datetime, dict[str, KnownSum]]
"""Sums by the start of the period and by metric."""


@dataclass(slots=True)
class SummedRows:
    """Rows of counts, summed.

    :param by_period: the sums of all Tweets, by the start of the period and metric.
    :param by_tweet: the counts of each Tweet, null if one of them is not known.
    """

    by_period: Sums = field(default_factory=dict)
    by_tweet: pyarrow.Table | None = None

    @property
    def oldest(self) -> datetime | None:
        """When the oldest Tweet of the rows was created; ``None`` if there is none, or if its id does not say so."""
        if self.by_tweet is None or not self.by_tweet.num_rows:
            return None
        return created_at(str(compute.min(self.by_tweet["tweet_id"].cast(pyarrow.int64())).as_py()))

    @property
    def tweet_ids(self) -> set[str]:
        """The Tweets of the rows."""
        return set() if self.by_tweet is None else set(self.by_tweet["tweet_id"].to_pylist())

    def change(self, before: SummedRows, metric: str, *, without: Set[str]) -> float | None:
        """Return the change in percent since earlier rows; ``None`` if the earlier sum is zero or not known.

        A Tweet with an unknown count is left out of both sums.

        :param before: the earlier rows.
        :param metric: the metric.
        :param without: the Tweets to leave out.
        """
        counts, counts_before = self._known(metric, without), before._known(metric, without)
        unknown = (self.tweet_ids - counts.keys()) | (before.tweet_ids - counts_before.keys())
        total, total_before = (
            sum(count for tweet_id, count in known.items() if tweet_id not in unknown)
            for known in (counts, counts_before)
        )
        return 100 * (total - total_before) / total_before if total_before else None

    def _known(self, metric: str, without: Set[str]) -> dict[str, int]:
        if self.by_tweet is None:
            return {}
        pairs = zip(self.by_tweet["tweet_id"].to_pylist(), self.by_tweet[metric].to_pylist(), strict=True)
        return {tweet_id: count for tweet_id, count in pairs if count is not None and tweet_id not in without}

    def top(self, metrics: Sequence[str], number: int) -> dict[str, list[TopTweet]]:
        """Rank the Tweets by each metric."""
        return {} if self.by_tweet is None else top_tweets(self.by_tweet, metrics, number=number)


def sum_batches(batches: Iterable[pyarrow.Table], metrics: Sequence[str], *, zone: str) -> SummedRows:
    """Sum rows by period and by Tweet. Memory does not depend on the number of rows.

    :param batches: rows with ``tweet_id``, ``period_start``, ``time_zone`` and the metrics.
    :param metrics: the metrics.
    :param zone: the time zone of the rows to sum. Rows of other zones are left out.
    """
    skip_nulls = compute.ScalarAggregateOptions(skip_nulls=True)
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    periods = _PartialSums(
        KEY,
        [
            *((metric, "sum", skip_nulls) for metric in metrics),
            *((metric, "count", compute.CountOptions(mode="only_valid")) for metric in metrics),
            ("tweet_id", "count", compute.CountOptions(mode="all")),
        ],
        keep_nulls,
        {f"{metric}_sum": skip_nulls for metric in metrics},
    )
    tweets = _PartialSums(
        ("tweet_id", "time_zone"), [(metric, "sum", keep_nulls) for metric in metrics], keep_nulls, {}
    )
    for rows in _collected(batches):
        periods.add(rows)
        tweets.add(rows)
    return _summed(periods.result(), tweets.result(), metrics, zone)


def by_step(sums: Sums, step: Granularity, zone: ZoneInfo) -> Sums:
    """Sum hours to the periods of a step.

    :param sums: sums by hour.
    :param step: hours, or days of the zone.
    :param zone: the time zone of the days.
    """
    found: Sums = {}
    for start, counts in sums.items():
        period = found.setdefault(period_of(start, step, zone), {})
        for metric, count in counts.items():
            period[metric] = period.get(metric, KnownSum()) + count
    return found


def sum_all(sums: Sums, metrics: Iterable[str]) -> dict[str, KnownSum]:
    """Return the sums over all periods, by metric."""
    return {
        metric: sum((counts[metric] for counts in sums.values() if metric in counts), KnownSum()) for metric in metrics
    }


def _collected(batches: Iterable[pyarrow.Table]) -> Iterator[pyarrow.Table]:
    pending: list[pyarrow.Table] = []
    rows = 0
    for batch in batches:
        pending.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_PER_SUM:
            yield pyarrow.concat_tables(pending)
            pending, rows = [], 0
    if pending:
        yield pyarrow.concat_tables(pending)


class _PartialSums:
    """Sums rows by a key, and adds up these sums from time to time."""

    def __init__(
        self,
        key: Sequence[str],
        aggregates: Sequence[tuple[str, str, object]],
        default: object,
        options: Mapping[str, object],
    ) -> None:
        self._key = list(key)
        self._aggregates = list(aggregates)
        self._names = [f"{column}_{function}" for column, function, _ in aggregates]
        self._again = [(name, "sum", options.get(name, default)) for name in self._names]
        self._partial: list[pyarrow.Table] = []

    def add(self, rows: pyarrow.Table) -> None:
        self._partial.append(rows.group_by(self._key).aggregate(self._aggregates))
        if len(self._partial) >= PARTIAL_SUMS:
            self._partial = [self.result()]

    def result(self) -> pyarrow.Table | None:
        if not self._partial:
            return None
        sums = pyarrow.concat_tables([table.select([*self._key, *self._names]) for table in self._partial])
        sums = sums.group_by(self._key).aggregate(self._again)
        return sums.select([*self._key, *(f"{name}_sum" for name in self._names)]).rename_columns(
            [*self._key, *self._names]
        )


def _summed(
    periods: pyarrow.Table | None, tweets: pyarrow.Table | None, metrics: Sequence[str], zone: str
) -> SummedRows:
    if periods is None or tweets is None or not periods.num_rows:
        return SummedRows()
    by_period = {
        row["period_start"]: {
            metric: KnownSum(row[f"{metric}_sum"] or 0, row[f"{metric}_count"], row["tweet_id_count"])
            for metric in metrics
        }
        for row in periods.filter(compute.field("time_zone") == zone).sort_by("period_start").to_pylist()
    }
    of_zone = tweets.filter(compute.field("time_zone") == zone)
    by_tweet = of_zone.select(["tweet_id", *(f"{metric}_sum" for metric in metrics)]).rename_columns(
        ["tweet_id", *metrics]
    )
    return SummedRows(by_period=by_period, by_tweet=by_tweet)
