"""The figures of the rate limit: requests, HTTP 429 and waits of the pulls of the last day, and open backfills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.time_range import TimeRange, ceil_to_hour, floor_to_hour
from airflow_provider_engagement.plugin.manifests import MAX_MANIFESTS, FoundManifest, OpenBackfill
from airflow_provider_engagement.report import charts
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.report.selection import periods_of
from airflow_provider_engagement.tables.granularity import Granularity

DAY = timedelta(days=1)


def use_figure(manifests: Sequence[FoundManifest], *, now: datetime, zone: ZoneInfo) -> Figure:
    """Return the requests of the last day by hour.

    :param manifests: the manifests of the last day.
    :param now: the current time, aware.
    :param zone: the time zone of the hours.
    """
    numbers: dict[datetime, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for manifest in manifests:
        hour = floor_to_hour(manifest.time.astimezone(UTC))
        requests = manifest.content["requests"]
        numbers[hour]["sent"] += requests.get("sent", 0)
        numbers[hour]["rate_limited"] += requests.get("rate_limited", 0)
        numbers[hour]["waited"] += manifest.content.get("seconds", {}).get("waited", 0.0)
    end = ceil_to_hour(now.astimezone(UTC))
    hours = periods_of(TimeRange(end - DAY, end), Granularity.HOUR, zone)
    rows: list[tuple[Any, ...]] = [
        (hour, int(numbers[hour]["sent"]), int(numbers[hour]["rate_limited"]), round(numbers[hour]["waited"], 1))
        for hour in hours
    ]
    return Figure(
        name="use",
        title="Requests of the last day",
        text="The requests of the pulls that ended in each hour. A pull that is still running is not included.",
        columns=(
            Column("hour", "Hour", Kind.TIME),
            Column("sent", "Sent", Kind.COUNT),
            Column("rate_limited", "HTTP 429", Kind.COUNT),
            Column("waited_seconds", "Seconds waited, all threads", Kind.NUMBER),
        ),
        rows=rows,
        plots=tuple(
            charts.line(
                [(row[0], int(row[column]), 0) for row in rows],
                title=title,
                zone=zone,
                description=f"{title} by hour in the last day",
            )
            for column, title in ((1, "requests sent"), (2, "HTTP 429"), (3, "seconds waited, all threads"))
        ),
        notes=_notes(manifests),
        zone=zone.key,
    )


def pulls_figure(manifests: Sequence[FoundManifest], *, zone: ZoneInfo) -> Figure:
    """Return the pulls of the last day, from the newest.

    :param manifests: the manifests of the last day.
    :param zone: the time zone of the times.
    """
    return Figure(
        name="pulls",
        title="Pulls of the last day",
        text="What each pull sent, and the rate limit that the API's headers stated at its end.",
        columns=(
            Column("ended_at", "Ended", Kind.TIME),
            Column("dag_id", "DAG"),
            Column("task_id", "Task"),
            Column("run_id", "Run"),
            Column("endpoint", "Endpoint"),
            Column("sent", "Sent", Kind.COUNT),
            Column("reused", "Reused", Kind.COUNT),
            Column("rate_limited", "HTTP 429", Kind.COUNT),
            Column("waited_seconds", "Seconds waited, all threads", Kind.NUMBER),
            Column("limit", "Quota per minute", Kind.COUNT),
            Column("remaining", "Remaining", Kind.COUNT),
        ),
        rows=[
            (
                manifest.time,
                manifest.dag_id,
                manifest.task_id,
                manifest.run_id,
                manifest.content["endpoint"],
                *(manifest.content["requests"].get(name) for name in ("sent", "reused", "rate_limited")),
                manifest.content.get("seconds", {}).get("waited"),
                *(manifest.content.get("rate_limit", {}).get(name) for name in ("limit", "remaining")),
            )
            for manifest in manifests
        ],
        notes=_notes(manifests),
        zone=zone.key,
    )


def _notes(manifests: Sequence[FoundManifest]) -> tuple[str, ...]:
    if len(manifests) < MAX_MANIFESTS:
        return ()
    return (f"There were more pulls. Only the {MAX_MANIFESTS:,} that ended last are included.",)


def backfills_figure(backfills: Sequence[OpenBackfill], *, now: datetime, zone: ZoneInfo) -> Figure:
    """Return when the open backfills are expected to end, if they go on as so far.

    :param now: the current time, aware.
    :param zone: the time zone of the times.
    """
    rows: list[tuple[Any, ...]] = []
    for backfill in backfills:
        elapsed = now - backfill.created_at
        end = now + backfill.left * elapsed / backfill.done if backfill.done else None
        rows.append((backfill.dag_id, backfill.number, backfill.created_at, backfill.done, backfill.left, end))
    return Figure(
        name="backfills",
        title="Open backfills",
        text="When a backfill is expected to end, if its runs continue at the present pace.",
        columns=(
            Column("dag_id", "DAG"),
            Column("backfill", "Backfill", Kind.COUNT),
            Column("started_at", "Started", Kind.TIME),
            Column("done", "Runs done", Kind.COUNT),
            Column("left", "Runs left", Kind.COUNT),
            Column("expected_end", "Expected end", Kind.TIME),
        ),
        rows=rows,
        zone=zone.key,
    )


def history_figure(manifests: Sequence[FoundManifest], *, zone: ZoneInfo) -> Figure:
    """Return the requests and waits of the runs of one task over time.

    :param manifests: the manifests of the task, from the newest.
    :param zone: the time zone of the times.
    """
    rows = [
        (
            manifest.time,
            manifest.run_id,
            *(manifest.content["requests"].get(name, 0) for name in ("sent", "reused", "rate_limited")),
            manifest.content.get("seconds", {}).get("waited", 0.0),
            manifest.content.get("complete"),
            manifest.content.get("requested"),
        )
        for manifest in manifests
    ]
    plots = tuple(
        charts.line(
            [(row[0], int(row[column]), 0) for row in reversed(rows)],
            title=title,
            zone=zone,
            description=f"{title} of each run of the task",
        )
        for column, title in ((2, "requests sent"), (5, "seconds waited, all threads"))
        if len(rows) > 1
    )
    return Figure(
        name="history",
        title="Runs of this task",
        text="The requests and waits of the task's runs, by the time at which they ended.",
        columns=(
            Column("ended_at", "Ended", Kind.TIME),
            Column("run_id", "Run"),
            Column("sent", "Sent", Kind.COUNT),
            Column("reused", "Reused", Kind.COUNT),
            Column("rate_limited", "HTTP 429", Kind.COUNT),
            Column("waited_seconds", "Seconds waited, all threads", Kind.NUMBER),
            Column("complete", "Tweets complete", Kind.COUNT),
            Column("requested", "Tweets requested", Kind.COUNT),
        ),
        rows=rows,
        plots=plots,
        zone=zone.key,
    )
