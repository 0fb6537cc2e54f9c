"""Chooses what to show of a dataset: the interval, the granularity of the rows to read, and the time zone of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.time_range import DAY, TimeRange, check_plausible, time_range_or_none
from airflow_provider_engagement.exceptions import IncompatibleTableError, InvalidQueryError
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.selection import DEFAULT_METRICS, STEPS, Selection
from airflow_provider_engagement.tables.days import check_days_of_hours
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_TOTALS

DEFAULT_DAYS = 28
"""How many days are shown by default: the last ones of the dataset."""


def choose(
    reader: DatasetReader,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    metrics: Sequence[str] = (),
    step: Granularity | None = None,
    zone: ZoneInfo | None = None,
    tweet_ids: Sequence[str] = (),
    auth: str | None = None,
    snapshot_at: datetime | None = None,
) -> Selection:
    """Return what to show of a dataset.

    :param reader: reads the dataset.
    :param start: the start of the interval; by default 28 days before its end.
    :param end: the end of the interval; by default the end of the last day of the dataset.
    :param metrics: the metrics; by default the most common ones.
    :param step: hours or days; by default hours if the interval has at most two days and the dataset has hours.
    :param zone: the time zone of days and times; by default UTC, or that of the dataset's days.
    :param tweet_ids: the Tweets; all by default.
    :param auth: the kind of credentials of the snapshots of totals; all kinds by default.
    :param snapshot_at: the only snapshot whose totals are ranked; by default, the newest total of each Tweet is.
    :raises InvalidQueryError: if the dataset does not exist or has no rows, or a value is not possible.
    """
    days_of = {granularity: reader.partitions(f"{TWEET_METRICS.name}/{granularity}") for granularity in STEPS}
    if not any(days_of.values()) and not reader.exists():
        raise InvalidQueryError(
            "dataset_path", f"the folder '{reader.folder}' does not exist", "Pass the folder of a dataset."
        )
    end = check_plausible(_end_of(reader, days_of) if end is None else end, field="end")
    start = check_plausible(end - DEFAULT_DAYS * DAY if start is None else start, field="start")
    interval = time_range_or_none(start, end)
    if interval is None:
        raise InvalidQueryError(
            "start", f"{start.isoformat()} is not before {end.isoformat()}", "Pass an earlier start."
        )
    source = _source_of(days_of, interval, step)
    if step is None:
        is_short = interval.end - interval.start <= 2 * DAY
        step = Granularity.HOUR if is_short and source is Granularity.HOUR else Granularity.DAY
    if source is Granularity.DAY:
        zone = _zone_of_days(reader, interval, zone)
    selection = Selection(
        interval=interval,
        metrics=tuple(metrics) or DEFAULT_METRICS,
        step=step,
        source=source,
        zone=zone or ZoneInfo("UTC"),
        tweet_ids=tuple(tweet_ids),
        auth=auth,
        snapshot_at=None if snapshot_at is None else check_plausible(snapshot_at, field="snapshot_at"),
    )
    if step is Granularity.DAY and source is Granularity.HOUR:
        check_days_of_hours(interval, selection.zone)
    return selection


def _end_of(reader: DatasetReader, days_of: Mapping[Granularity, Sequence[str]]) -> datetime:
    """Return the end of the last period of a dataset."""
    ends: list[datetime] = []
    for granularity, partitions in days_of.items():
        if partitions:
            last = (partitions[-1], partitions[-1])
            path = f"{TWEET_METRICS.name}/{granularity}"
            batches = reader.batches(TWEET_METRICS, path, ("period_end",), partitions=last)
            ends += [time for batch in batches if (time := compute.max(batch["period_end"]).as_py()) is not None]
    snapshots = reader.partitions(TWEET_TOTALS.name)
    if not ends and snapshots:
        ends.append(datetime.fromisoformat(snapshots[-1]).replace(tzinfo=UTC) + DAY)
    if not ends:
        raise InvalidQueryError(
            "dataset_path",
            f"'{reader.folder}' has no hours, days or snapshots",
            "Pass the folder of a dataset, or run a pull with granularity hour or day first.",
        )
    return max(ends)


def _source_of(
    days_of: Mapping[Granularity, Sequence[str]], interval: TimeRange, step: Granularity | None
) -> Granularity:
    """Return the granularity of the rows to read: hours if the dataset has them in the interval, else days.

    Days of a dataset that has both are enough for a long interval, and faster to read.
    """
    first, last = (f"{edge:%Y-%m-%d}" for edge in (interval.start, interval.end))
    has_hours = any(first <= day <= last for day in days_of[Granularity.HOUR])
    has_days = any(first[:7] <= month[:7] <= last[:7] for month in days_of[Granularity.DAY])
    if has_hours and has_days and step is not Granularity.HOUR and interval.end - interval.start > 92 * DAY:
        return Granularity.DAY
    return Granularity.HOUR if has_hours or not has_days else Granularity.DAY


def _zone_of_days(reader: DatasetReader, interval: TimeRange, zone: ZoneInfo | None) -> ZoneInfo | None:
    """Return the time zone of the days of an interval, which must be the given one if there is one."""
    path = f"{TWEET_METRICS.name}/{Granularity.DAY}"
    months = (f"{interval.start:%Y-%m}-01", f"{interval.end:%Y-%m}-01")
    batches = reader.batches(TWEET_METRICS, path, ("time_zone",), partitions=months)
    zones = sorted({name for batch in batches for name in batch["time_zone"].unique().to_pylist()})
    if not zones or (zone is not None and zone.key in zones):
        return zone
    if zone is None:
        try:
            return ZoneInfo("UTC" if "UTC" in zones else zones[0])
        except (KeyError, ValueError, OSError):
            raise IncompatibleTableError(
                str(reader.folder / path), f"{zones[0]!r:.80} is not a time zone", "Remove the rows of this zone"
            ) from None
    raise InvalidQueryError(
        "time_zone", f"the dataset has no days of {zone.key} in this interval", f"Choose one of {', '.join(zones)}."
    )
