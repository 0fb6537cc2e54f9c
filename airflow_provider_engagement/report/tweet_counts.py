"""Read one count of each Tweet and metric from a dataset: those of a snapshot, or the sums over an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.report.ranking import choose_counts, sum_counts
from airflow_provider_engagement.storage.layout import DELTA_LOG_FOLDER
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_address
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.granularity import Granularity, partition_of
from airflow_provider_engagement.tables.table_batches import partitions, read_batches
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_TOTALS, Table

_TIMESTAMP = pyarrow.timestamp("ms", "UTC")
_TWEET_ID = "^[0-9]{1,18}$|^[1-8][0-9]{18}$"
"""Ids that surely fit into 64 bits. A larger one would be of the year 2079."""


def newest_snapshot(folder: StoragePath, *, address_of: Locate = local_address) -> datetime | None:
    """Return the time of the newest snapshot of the table ``tweet_totals``, or ``None`` if it has no rows.

    :param folder: the dataset's folder.
    :param address_of: returns the address of a Delta table and the storage options for it.
    """
    place = folder / TWEET_TOTALS.name
    schema = _schema_of(TWEET_TOTALS, ("snapshot_at",))
    for partition in reversed(_partition_names(place, address_of)):
        times = [
            compute.max(rows["snapshot_at"]).as_py()
            for rows in read_batches(place, schema, includes=_is(partition), address_of=address_of)
        ]
        if found := [time for time in times if time is not None]:
            newest: datetime = max(found)
            return newest.astimezone(UTC)
    return None


def snapshot_counts(
    folder: StoragePath, snapshot_at: datetime, metrics: Sequence[str], *, address_of: Locate = local_address
) -> pyarrow.Table:
    """Return the counts of the Tweets of one snapshot.

    If several tasks have read a Tweet, a count with user credentials comes before one with app credentials, and then a
    newer count before an older one.

    :param folder: the dataset's folder.
    :param snapshot_at: the time of the snapshot.
    :param metrics: the metrics.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :return: one row for each Tweet: ``tweet_id`` as a number, and the counts.
    :raises IncompatibleTableError: if the table has other values than a pull writes.
    """
    place = folder / TWEET_TOTALS.name
    schema = _schema_of(TWEET_TOTALS, ("tweet_id", "snapshot_at", "auth", "fetched_at", *metrics))
    at = compute.field("snapshot_at") == pyarrow.scalar(snapshot_at, _TIMESTAMP)
    batches = read_batches(place, schema, includes=_is(f"snapshot_date={snapshot_at:%Y-%m-%d}"), address_of=address_of)
    found = [
        rows.set_column(1, "is_user", compute.equal(rows["auth"], "user"))
        for rows in _numbered(batches, place, at, ("tweet_id", "auth", "fetched_at", *metrics))
    ]
    if not found:
        return _schema_of(TWEET_TOTALS, ("tweet_id", *metrics)).empty_table()
    order = [("is_user", "descending"), ("fetched_at", "descending")]
    return choose_counts(pyarrow.concat_tables(found), metrics, order)


def interval_counts(
    folder: StoragePath,
    interval: TimeRange,
    metrics: Sequence[str],
    *,
    granularity: Granularity,
    zone: ZoneInfo,
    address_of: Locate = local_address,
) -> pyarrow.Table:
    """Return the sums of the counts of each Tweet over an interval.

    :param folder: the dataset's folder.
    :param interval: the interval. Only periods that it contains completely are summed.
    :param metrics: the metrics.
    :param granularity: the granularity of the rows to sum: hours or days, which do not overlap.
    :param zone: the time zone of the days.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :return: one row for each Tweet: ``tweet_id`` as a number, and the sums. A sum is null if one of its counts is null.
    :raises IncompatibleTableError: if the table has other values than a pull writes.
    """
    place = folder / TWEET_METRICS.name / granularity
    schema = _schema_of(TWEET_METRICS, ("tweet_id", "period_start", "period_end", "time_zone", *metrics))
    first = partition_of(granularity, interval.start)
    last = partition_of(granularity, interval.end - timedelta(microseconds=1))
    within = (
        (compute.field("period_start") >= pyarrow.scalar(interval.start, _TIMESTAMP))
        & (compute.field("period_end") <= pyarrow.scalar(interval.end, _TIMESTAMP))
        & (compute.field("time_zone") == zone.key)
    )
    batches = read_batches(place, schema, includes=lambda partition: first <= partition <= last, address_of=address_of)
    return sum_counts(_numbered(batches, place, within, ("tweet_id", *metrics)), metrics)


def _numbered(
    batches: Iterator[pyarrow.Table], place: StoragePath, condition: compute.Expression, columns: Sequence[str]
) -> Iterator[pyarrow.Table]:
    """Yield columns of the rows that fulfil a condition, with the ids of the Tweets as numbers."""
    for rows in batches:
        chosen = rows.filter(condition)
        try:
            numbers = chosen["tweet_id"].cast(pyarrow.int64())
        except pyarrow.ArrowInvalid:
            numbers = None
        if numbers is None or numbers.null_count or not compute.all(compute.greater(numbers, 0), min_count=0).as_py():
            is_right = compute.match_substring_regex(chosen["tweet_id"], _TWEET_ID)
            wrong = chosen["tweet_id"].filter(compute.invert(compute.fill_null(is_right, False)))
            example = wrong[0].as_py() if len(wrong) else "0"
            raise IncompatibleTableError(
                str(place), f"its column tweet_id contains {example!r}, which is not a Tweet id", "Remove the row"
            )
        yield chosen.set_column(0, "tweet_id", numbers).select(list(columns))


def _schema_of(table: Table, columns: Sequence[str]) -> pyarrow.Schema:
    return pyarrow.schema([arrow_schema(table).field(name).with_nullable(True) for name in columns])


def _partition_names(place: StoragePath, address_of: Locate) -> list[str]:
    if (place / DELTA_LOG_FOLDER).exists():
        # The package deltalake is an optional dependency.
        from airflow_provider_engagement.tables.delta_log import data_files

        return sorted({partition for partition, _ in data_files(*address_of(place))})
    return [partition.name for partition in partitions(place)]


def _is(partition: str) -> Callable[[str], bool]:
    return lambda name: name == partition
