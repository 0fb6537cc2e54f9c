"""Figures of what is happening now: the pulls that have not ended, and the rate limit that the last attempts saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.time_range import LATEST
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.plugin.manifests import FoundDataset, FoundManifest
from airflow_provider_engagement.plugin.progress_states import UnfinishedPull
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.storage.user_information import without_user

MAX_AGE = timedelta(days=1)
"""How old a saved rate limit is at most."""

MAX_FOLDERS = 50
"""How many datasets are read at most, from the one that was written last."""


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
        text="The progress of pulls that have not ended. The minutes left assume that no other task uses the quota.",
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
    manifests: Sequence[FoundManifest | FoundDataset],
    read: Callable[[str], Mapping[str, RateLimitSnapshot]],
    *,
    now: datetime,
    zone: ZoneInfo,
) -> Figure:
    """Return the newest saved rate limit of each quota, as the API's headers stated it in the last day.

    :param manifests: what names the datasets and their DAGs, from the newest.
    :param read: returns the saved snapshots of the folder of a dataset, by quota.
    :param now: the current time, aware.
    :param zone: the time zone of the times.
    """
    dags: dict[str, set[str]] = defaultdict(set)
    for found in manifests:
        if found.folder is not None:
            dags[found.folder].add(found.dag_id)
    newest: dict[str, tuple[str, RateLimitSnapshot]] = {}
    unreadable = 0
    for folder in list(dags)[:MAX_FOLDERS]:
        try:
            snapshots = read(folder)
        except KeyError:
            unreadable += 1
            continue
        for quota, snapshot in snapshots.items():
            if not _is_plausible(snapshot):
                continue
            if quota not in newest or newest[quota][1].observed_at < snapshot.observed_at:
                newest[quota] = (folder, snapshot)
    since = (now - MAX_AGE).timestamp()
    rows = [
        (without_user(folder), ", ".join(sorted(dags[folder])), *_values(snapshot, now))
        for folder, snapshot in sorted(newest.values(), key=lambda found: found[1].observed_at, reverse=True)
        if snapshot.observed_at >= since
    ]
    notes = []
    if unreadable:
        notes.append(f"Datasets that cannot be read: {unreadable}. The log of the API server has the reason.")
    if len(dags) > MAX_FOLDERS:
        notes.append(f"Only the {MAX_FOLDERS} datasets that were written last are shown.")
    return Figure(
        name="saved",
        title="Rate limit that the API stated",
        text="The rate limit in the last response of a pull, also of one that waits. All tokens of an app share one "
        "quota, which is one row.",
        columns=(
            Column("dataset", "Dataset"),
            Column("dag_ids", "DAGs"),
            Column("observed_at", "As of", Kind.TIME),
            Column("limit", "Quota per minute", Kind.COUNT),
            Column("remaining", "Remaining then", Kind.COUNT),
            Column("remaining_now", "Remaining now, if nobody sends", Kind.COUNT),
            Column("resets_at", "Reset", Kind.TIME),
            Column("held_until", "Held until (HTTP 429)", Kind.TIME),
            Column("others", "Requests of other clients per own request", Kind.NUMBER),
        ),
        rows=rows,
        notes=tuple(notes),
        zone=zone.key,
    )


def _is_plausible(snapshot: RateLimitSnapshot) -> bool:
    """Return whether the values of a snapshot are numbers and times. Other programs can write to a dataset, too."""
    times = (snapshot.observed_at, snapshot.resets_at or 0.0, snapshot.held_until or 0.0)
    numbers = (snapshot.limit or 0, snapshot.remaining or 0, snapshot.contention or 0.0)
    return all(isinstance(number, int | float) and 0 <= number <= LATEST.timestamp() for number in (*times, *numbers))


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
