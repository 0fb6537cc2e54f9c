"""The figures of a dataset: reads what a selection needs, once, and makes the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, reduce
from operator import and_
from types import MappingProxyType
from typing import Any

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.report.completeness_figures import (
    coverage_figure,
    gaps_figure,
    gaps_of,
    outcomes_figure,
    restatements_figure,
    snapshots_figure,
    tasks_figure,
)
from airflow_provider_engagement.report.coverage_map import spans_by_task, spans_by_tweet
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.figure import Figure
from airflow_provider_engagement.report.newest_rows import STATUS_COLUMNS, newest_statuses
from airflow_provider_engagement.report.period_sums import SummedRows, sum_batches
from airflow_provider_engagement.report.pull_figures import is_manifest
from airflow_provider_engagement.report.ranking import top_tweets
from airflow_provider_engagement.report.selection import Selection
from airflow_provider_engagement.report.series_figures import (
    TOP_TWEETS,
    rhythm_figure,
    series_figure,
    summary_figure,
    top_figure,
    top_totals_figure,
)
from airflow_provider_engagement.report.snapshots import Change, Snapshot, differences, newest_totals, sum_snapshots
from airflow_provider_engagement.report.value_checks import check_ids
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import (
    COVERAGE,
    RESTATEMENTS,
    TWEET_METRICS,
    TWEET_STATUS,
    TWEET_TOTALS,
)

TWEETS_OF_COVERAGE = 30
"""How many Tweets the map of the coverage shows."""

SNAPSHOTS_TO_COMPARE = 10
"""How many earlier snapshots are searched for Tweets of the last one."""

LONGEST_PULL = timedelta(days=366)
"""How long before the interval a pull can start whose outcomes are shown."""

_RESTATEMENT_COLUMNS = (
    "tweet_id",
    "period_start",
    "granularity",
    "time_zone",
    "metric",
    "old_value",
    "new_value",
    "new_fetched_at",
)


class DatasetFigures:
    """Makes the figures of a selection. What several figures need is read once, when the first figure needs it.

    :param reader: reads the dataset.
    :param selection: what to show.
    """

    def __init__(self, reader: DatasetReader, selection: Selection) -> None:
        self._reader = reader
        self.selection = selection

    def figure(self, name: str) -> Figure:
        """Return one figure.

        :param name: a key of :data:`FIGURES`.
        """
        return FIGURES[name](self)

    def summary(self) -> Figure:
        """Return the sums of the interval and of the interval before."""
        return summary_figure(self.selection, self._now, self._sum(self.selection.previous))

    def series(self) -> Figure:
        """Return the counts over time."""
        return series_figure(self.selection, self._now)

    def rhythm(self) -> Figure:
        """Return the best hours and weekdays."""
        return rhythm_figure(self.selection, self._now)

    def top(self) -> Figure:
        """Return the top Tweets."""
        return top_figure(self.selection, self._now)

    def top_totals(self) -> Figure:
        """Return the Tweets with the highest totals."""
        metrics = self._metrics_of_totals
        totals = newest_totals(self._totals(metrics, snapshot_at=self.selection.snapshot_at), metrics)
        return top_totals_figure(self.selection, top_tweets(totals, metrics, number=TOP_TWEETS))

    def coverage(self) -> Figure:
        """Return which days of which Tweets were read: first of those with missing counts, then of the top Tweets."""
        tweet_ids = self._tweets_of_coverage()
        rows: list[dict[str, Any]] = []
        if tweet_ids:
            columns = ("tweet_id", "window_start", "window_end", "metrics", "outcome", "fetched_at")
            # A pull of the last 28 hours has the date of its run, and a longer pull the date of its start.
            rows = self._reader.read(COVERAGE, COVERAGE.name, columns, tweet_ids=tweet_ids).to_pylist()
        selection = self.selection
        spans = spans_by_tweet(rows, tweet_ids, selection.interval, selection.zone, selection.metrics[0])
        return coverage_figure(selection, spans, tweets=self._number_of_tweets)

    def tasks(self) -> Figure:
        """Return which days each task has pulled."""
        manifests = [
            {**manifest, "task": _task_of(manifest)}
            for manifest in self._reader.manifests()
            if is_manifest(manifest) and not set(self.selection.metrics).isdisjoint(manifest["metrics"])
        ]
        return tasks_figure(self.selection, spans_by_task(manifests, self.selection.interval, self.selection.zone))

    def outcomes(self) -> Figure:
        """Return how many Tweets have each outcome."""
        return outcomes_figure(self._statuses)

    def gaps(self) -> Figure:
        """Return the Tweets with missing counts, and why."""
        return gaps_figure(self._statuses)

    def restatements(self) -> Figure:
        """Return the restated counts."""
        selection = self.selection
        kind = pyarrow.timestamp("ms", "UTC")
        time = compute.field("period_start")
        start, end = (pyarrow.scalar(edge, kind) for edge in (selection.interval.start, selection.interval.end))
        rows = self._reader.read(
            RESTATEMENTS,
            RESTATEMENTS.name,
            _RESTATEMENT_COLUMNS,
            tweet_ids=selection.tweet_ids,
            where=(time >= start) & (time < end) & (compute.field("granularity") == str(selection.source)),
        )
        return restatements_figure(selection, rows)

    def snapshots(self) -> Figure:
        """Return the snapshots of totals of the interval, and the change since an earlier snapshot."""
        metrics = self._metrics_of_totals
        found = sum_snapshots(self._totals(metrics), metrics) if metrics else []
        changes = [
            change
            for auth in sorted({snapshot.auth for snapshot in found})
            for change in [self._change([snapshot for snapshot in found if snapshot.auth == auth], metrics)]
            if change is not None
        ]
        return snapshots_figure(self.selection, found, metrics, changes)

    @cached_property
    def _now(self) -> SummedRows:
        return self._sum(self.selection.interval)

    def _sum(self, interval: TimeRange) -> SummedRows:
        selection = self.selection
        batches = self._reader.batches(
            TWEET_METRICS,
            f"{TWEET_METRICS.name}/{selection.source}",
            ("tweet_id", "period_start", "time_zone", *self._metrics),
            interval=interval,
            tweet_ids=selection.tweet_ids,
        )
        zone = "UTC" if selection.source is Granularity.HOUR else selection.zone.key
        sums = sum_batches(batches, self._metrics, zone=zone)
        if sums.by_tweet is not None:
            check_ids(sums.by_tweet["tweet_id"], f"{self._reader.folder}/{TWEET_METRICS.name}")
        return sums

    @property
    def _metrics(self) -> list[str]:
        unknown = [metric for metric in self.selection.metrics if metric not in TWEET_METRICS.metrics]
        if unknown:
            raise InvalidQueryError(
                "metrics", f"{unknown[0]} has no hourly counts", "Leave it out. Only totals have this metric."
            )
        return list(self.selection.metrics)

    @property
    def _metrics_of_totals(self) -> list[str]:
        return [metric for metric in self.selection.metrics if metric in TWEET_TOTALS.metrics]

    def _change(self, snapshots: Sequence[Snapshot], metrics: Sequence[str]) -> Change | None:
        """Return what changed since the newest earlier snapshot with some of the Tweets of the last one."""
        *earlier, last = snapshots
        after = self._snapshot(last, metrics)
        for snapshot in list(reversed(earlier))[:SNAPSHOTS_TO_COMPARE]:
            sums = differences(self._snapshot(snapshot, metrics), after, metrics)
            if any(change.known for change in sums.values()):
                return Change(last.auth, snapshot.time, sums)
        return None

    @cached_property
    def _statuses(self) -> pyarrow.Table:
        interval = self.selection.interval
        # The date of a file can be the start of the pull, which can be long before the interval.
        first, last = (f"{edge:%Y-%m-%d}" for edge in (interval.start - LONGEST_PULL, interval.end))
        return newest_statuses(
            self._reader.batches(
                TWEET_STATUS,
                TWEET_STATUS.name,
                STATUS_COLUMNS,
                partitions=(first, last),
                tweet_ids=self.selection.tweet_ids,
            )
        )

    @property
    def _number_of_tweets(self) -> int:
        by_tweet = self._now.by_tweet
        ids = set(self._statuses["tweet_id"].to_pylist())
        return len(ids if by_tweet is None else ids.union(by_tweet["tweet_id"].to_pylist()))

    def _tweets_of_coverage(self) -> list[str]:
        selection = self.selection
        if selection.tweet_ids:
            return list(selection.tweet_ids)[:TWEETS_OF_COVERAGE]
        gaps = list(dict.fromkeys(row["tweet_id"] for row in gaps_of(self._statuses)))
        ranking = self._now.top(selection.metrics[:1], TWEETS_OF_COVERAGE)
        top = [tweet.tweet_id for tweets in ranking.values() for tweet in tweets]
        others = self._statuses["tweet_id"].slice(0, 2 * TWEETS_OF_COVERAGE).to_pylist()
        return list(dict.fromkeys([*gaps[: TWEETS_OF_COVERAGE // 2], *top, *others]))[:TWEETS_OF_COVERAGE]

    def _totals(self, metrics: Sequence[str], *, snapshot_at: datetime | None = None) -> Iterator[pyarrow.Table]:
        """Yield totals of the selected credentials: of the interval, or only those of one snapshot."""
        start, end = self.selection.interval.start, self.selection.interval.end
        if snapshot_at is not None:
            start = end = snapshot_at.replace(minute=0, second=0, microsecond=0)
        batches = self._reader.batches(
            TWEET_TOTALS,
            TWEET_TOTALS.name,
            ("tweet_id", "snapshot_at", "auth", *metrics),
            # A snapshot at the end of the interval belongs to it.
            interval=TimeRange(start, end + timedelta(hours=1)),
            tweet_ids=self.selection.tweet_ids,
        )
        for batch in batches:
            conditions = []
            if self.selection.auth is not None:
                conditions.append(compute.field("auth") == self.selection.auth)
            if snapshot_at is not None:
                conditions.append(_is_at("snapshot_at", snapshot_at))
            yield batch.filter(reduce(and_, conditions)) if conditions else batch

    def _snapshot(self, snapshot: Snapshot, metrics: Sequence[str]) -> pyarrow.Table:
        batches = list(self._totals(metrics, snapshot_at=snapshot.time))
        return pyarrow.concat_tables(batches).filter(compute.field("auth") == snapshot.auth)


def _is_at(column: str, time: datetime) -> compute.Expression:
    return compute.field(column) == pyarrow.scalar(time, pyarrow.timestamp("ms", "UTC"))


FIGURES: Mapping[str, Callable[[DatasetFigures], Figure]] = MappingProxyType(
    {
        "summary": DatasetFigures.summary,
        "series": DatasetFigures.series,
        "rhythm": DatasetFigures.rhythm,
        "top": DatasetFigures.top,
        "top_totals": DatasetFigures.top_totals,
        "outcomes": DatasetFigures.outcomes,
        "gaps": DatasetFigures.gaps,
        "coverage": DatasetFigures.coverage,
        "tasks": DatasetFigures.tasks,
        "restatements": DatasetFigures.restatements,
        "snapshots": DatasetFigures.snapshots,
    }
)
"""The figures by name, in the order in which a report shows them."""


def _task_of(manifest: Mapping[str, Any]) -> str:
    """Return the name of the task of a manifest."""
    return str(manifest.get("task") or manifest["name"])
