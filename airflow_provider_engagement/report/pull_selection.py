"""What of a dataset belongs to one pull: its Tweets, its interval, its metrics and its snapshot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.time_range import ceil_to_hour, floor_to_hour
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_STATUS, TWEET_TOTALS

DAYS_BEFORE_SNAPSHOT = timedelta(days=7)
"""How long before a snapshot the earlier snapshots are shown with it."""

LAST_HOURS = timedelta(hours=28)

STATUS_COLUMNS = ("tweet_id", "run_id", "task", "outcome", "metrics_affected", "message", "checked_at")

_RUN_DATE = re.compile(r"/run_date=(\d{4}-\d{2}-\d{2})/")


def statuses_of_pull(reader: DatasetReader, manifest: Mapping[str, Any]) -> pyarrow.Table:
    """Return the rows of ``tweet_status`` that a pull wrote: one for each requested Tweet.

    :param reader: reads the dataset of the pull.
    :param manifest: the manifest of the pull.
    """
    return _statuses(reader, manifest, STATUS_COLUMNS)


def tweets_of_pull(reader: DatasetReader, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the Tweets that a pull requested.

    :param reader: reads the dataset of the pull.
    :param manifest: the manifest of the pull.
    """
    return tuple(_statuses(reader, manifest, ("tweet_id", "run_id", "task"))["tweet_id"].to_pylist())


def options_of_pull(reader: DatasetReader, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report about one pull shows.

    :param reader: reads the dataset of the pull.
    :param manifest: the manifest of the pull.
    :return: parameters of :func:`~airflow_provider_engagement.report.choice.choose`.
    """
    start, end = _interval_of(manifest)
    is_totals = manifest["endpoint"] == Endpoint.TOTALS
    table = TWEET_TOTALS if is_totals else TWEET_METRICS
    snapshot_at = manifest.get("snapshot_at")
    return {
        "start": start,
        "end": end,
        "metrics": tuple(metric for metric in manifest["metrics"] if metric in table.metrics),
        "step": _step_of(manifest),
        "tweet_ids": tweets_of_pull(reader, manifest),
        "auth": manifest.get("auth") if is_totals and manifest.get("auth") in ("user", "app") else None,
        "snapshot_at": datetime.fromisoformat(snapshot_at) if snapshot_at else None,
    }


def _statuses(reader: DatasetReader, manifest: Mapping[str, Any], columns: Sequence[str]) -> pyarrow.Table:
    # The path of a Delta table does not name the partition.
    found = _RUN_DATE.search(str(manifest["outputs"].get(TWEET_STATUS.name)))
    partitions = (found[1], found[1]) if found else None
    is_of_run = compute.field("run_id") == str(manifest.get("run_id"))
    is_of_task = compute.field("task") == str(manifest.get("task"))
    return reader.read(TWEET_STATUS, TWEET_STATUS.name, columns, partitions=partitions, where=is_of_run & is_of_task)


def _interval_of(manifest: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the interval of a pull. A snapshot has the week before, so that earlier snapshots are shown too."""
    if manifest.get("interval"):
        start, end = map(datetime.fromisoformat, manifest["interval"])
        return start, end
    if manifest.get("snapshot_at"):
        snapshot = datetime.fromisoformat(manifest["snapshot_at"])
        return floor_to_hour(snapshot - DAYS_BEFORE_SNAPSHOT), ceil_to_hour(snapshot)
    # A pull of the last 28 hours knows the rate limit last when it ends.
    ended_at = datetime.fromtimestamp(float(manifest["rate_limit"].get("observed_at") or 0.0), UTC)
    return floor_to_hour(ended_at) - LAST_HOURS, ceil_to_hour(ended_at)


def _step_of(manifest: Mapping[str, Any]) -> Granularity | None:
    """Return days if a pull wrote days. The length of the interval decides how hours are shown."""
    return Granularity.DAY if f"{TWEET_METRICS.name}/{Granularity.DAY}" in manifest["outputs"] else None
