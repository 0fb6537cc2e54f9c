"""Snapshots of totals: their sums, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.report.newest_rows import newest_rows
from airflow_provider_engagement.report.period_sums import KnownSum


@dataclass(frozen=True, slots=True)
class Change:
    """What changed from one snapshot to a later one of the same credentials.

    :param auth: the kind of credentials.
    :param since: the time of the earlier snapshot.
    :param sums: the differences by metric, over the Tweets with a total in both.
    """

    auth: str
    since: datetime
    sums: Mapping[str, KnownSum]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The totals of all Tweets of one snapshot.

    :param time: the time of the snapshot.
    :param auth: the kind of credentials.
    :param tweets: how many Tweets it has.
    :param sums: the sums by metric.
    """

    time: datetime
    auth: str
    tweets: int
    sums: Mapping[str, KnownSum]


def sum_snapshots(batches: Iterable[pyarrow.Table], metrics: Sequence[str]) -> list[Snapshot]:
    """Return the sums of each snapshot, from the oldest to the newest.

    :param batches: rows of ``tweet_totals`` with ``tweet_id``, ``snapshot_at``, ``auth`` and the metrics.
    """
    sums_of_snapshots: dict[tuple[datetime, str], dict[str, KnownSum]] = {}
    tweets: dict[tuple[datetime, str], int] = {}
    for batch in batches:
        sums = batch.group_by(["snapshot_at", "auth"]).aggregate(
            [
                ("tweet_id", "count"),
                *((metric, "sum") for metric in metrics),
                *((metric, "count") for metric in metrics),
            ]
        )
        for row in sums.to_pylist():
            key, rows = (row["snapshot_at"], row["auth"]), row["tweet_id_count"]
            tweets[key] = tweets.get(key, 0) + rows
            counts = sums_of_snapshots.setdefault(key, {metric: KnownSum() for metric in metrics})
            for metric in metrics:
                counts[metric] += KnownSum(row[f"{metric}_sum"] or 0, row[f"{metric}_count"], rows)
    return [Snapshot(time, auth, tweets[time, auth], sums) for (time, auth), sums in sorted(sums_of_snapshots.items())]


def newest_totals(batches: Iterable[pyarrow.Table], metrics: Sequence[str]) -> pyarrow.Table:
    """Return the newest known total of each Tweet and metric, whatever its credentials.

    :param batches: rows of ``tweet_totals`` with ``tweet_id``, ``snapshot_at``, ``auth`` and the metrics.
    """
    newest = newest_rows(batches, key=("tweet_id", "auth"), time="snapshot_at")
    if newest is None:
        return pyarrow.table({name: [] for name in ("tweet_id", *metrics)})
    known = compute.ScalarAggregateOptions(skip_nulls=True)
    in_order = newest.sort_by("snapshot_at").group_by("tweet_id", use_threads=False)
    totals = in_order.aggregate([(metric, "last", known) for metric in metrics])
    return totals.select(["tweet_id", *(f"{metric}_last" for metric in metrics)]).rename_columns(["tweet_id", *metrics])


def differences(before: pyarrow.Table, after: pyarrow.Table, metrics: Sequence[str]) -> dict[str, KnownSum]:
    """Return by how much the totals of the Tweets of two snapshots changed, by metric.

    A Tweet counts only if both snapshots have its total.

    :param before: the rows of the older snapshot, with ``tweet_id`` and the metrics.
    :param after: the rows of the newer snapshot.
    """
    columns = ["tweet_id", *metrics]
    both = after.select(columns).join(before.select(columns), "tweet_id", join_type="inner", right_suffix="_before")
    changes = {}
    for metric in metrics:
        change = compute.subtract(both[metric], both[f"{metric}_before"])
        changes[metric] = KnownSum(compute.sum(change).as_py() or 0, compute.count(change).as_py(), both.num_rows)
    return changes
