"""Figures of what goes on now: the pulls that have not ended, and the rate limit that the last attempts saved."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.api.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.plugin.manifests import FoundManifest
from airflow_provider_engagement.plugin.progress_states import UnfinishedPull
from airflow_provider_engagement.report.figure import Column, Figure, Kind

MAX_FOLDERS = 50
"""How many datasets are read at most, from the one that was written last."""

log = logging.getLogger(__name__)


def unfinished_figure(pulls: Sequence[UnfinishedPull], *, zone: ZoneInfo) -> Figure:
    """Return how far the unfinished pulls are.

    :param pulls: the unfinished pulls.
    :param zone: the time zone of the times.
    """
    rows = []
    for pull in pulls:
        progress = pull.record.progress
        rows.append(
            (
                pull.dag_id,
                pull.task_id if pull.map_index < 0 else f"{pull.task_id} [{pull.map_index}]",
                pull.run_id,
                pull.state,
                round(100 * progress.share, 1),
                progress.planned - progress.done,
                progress.minutes_left,
                pull.record.waits_until,
                pull.record.recorded_at,
            )
        )
    return Figure(
        name="unfinished",
        title="Unfinished pulls",
        text="How far each pull is that has not ended. The minutes are those that its requests need at the contract's "
        "quota, if no other task sends requests.",
        columns=(
            Column("dag_id", "DAG"),
            Column("task_id", "Task"),
            Column("run_id", "Run"),
            Column("state", "State"),
            Column("percent_done", "Percent done", Kind.NUMBER),
            Column("requests_left", "Requests left", Kind.COUNT),
            Column("minutes_left", "Minutes left", Kind.COUNT),
            Column("waits_until", "Waits until", Kind.TIME),
            Column("recorded_at", "As of", Kind.TIME),
        ),
        rows=rows,
        zone=zone.key,
    )


def saved_figure(
    manifests: Sequence[FoundManifest],
    read: Callable[[str], Sequence[RateLimitSnapshot]],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> Figure:
    """Return the rate limit that the last attempt of each dataset saved from the API's headers.

    :param manifests: the manifests that name the datasets, from the newest.
    :param read: returns the saved snapshots of the folder of a dataset.
    :param now: the current time, aware.
    :param zone: the time zone of the times.
    """
    dags: dict[str, set[str]] = defaultdict(set)
    for found in manifests:
        if found.folder is not None:
            dags[found.folder].add(found.dag_id)
    rows: list[tuple[Any, ...]] = []
    unreadable = 0
    for folder in list(dags)[:MAX_FOLDERS]:
        try:
            snapshots = read(folder)
        except Exception:
            # The page shows the other datasets. The error of a storage can contain secrets, so it is only logged.
            log.warning("A saved rate limit cannot be read.", exc_info=True)
            unreadable += 1
            continue
        rows += [(folder, ", ".join(sorted(dags[folder])), *_values(snapshot, now)) for snapshot in snapshots]
    notes = []
    if unreadable:
        notes.append(f"Datasets that cannot be read: {unreadable}. The log of the API server has the reason.")
    if len(dags) > MAX_FOLDERS:
        notes.append(f"Only the {MAX_FOLDERS} datasets that were written last are shown.")
    return Figure(
        name="saved",
        title="Rate limit that the API stated",
        text="What the API's headers said at the end of the last attempt of a pull, also of one that waits. Each row "
        "is a quota, which an app has for all of its tokens.",
        columns=(
            Column("dataset", "Dataset"),
            Column("dag_ids", "DAGs"),
            Column("observed_at", "As of", Kind.TIME),
            Column("limit", "Quota per minute", Kind.COUNT),
            Column("remaining", "Remaining then", Kind.COUNT),
            Column("remaining_now", "Remaining now, if nobody sends", Kind.COUNT),
            Column("resets_at", "Reset", Kind.TIME),
            Column("held_until", "Held until (HTTP 429)", Kind.TIME),
            Column("others", "Requests of others for each of its own", Kind.NUMBER),
        ),
        rows=rows,
        notes=tuple(notes),
        zone=zone.key,
    )


def _values(snapshot: RateLimitSnapshot, now: datetime) -> tuple[Any, ...]:
    return (
        _time(snapshot.observed_at),
        snapshot.limit,
        snapshot.remaining,
        snapshot.remaining_at(now.timestamp()),
        _time(snapshot.resets_at),
        _time(snapshot.held_until),
        snapshot.contention,
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
