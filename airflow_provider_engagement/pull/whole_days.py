"""Which days an interval means whose start or end moves with the time of the run."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.catalogue import HISTORY_START
from airflow_provider_engagement.engagement_api.time_range import DAY, ceil_to_hour, floor_to_hour, time_range_or_none
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.intervals import Adjustment
from airflow_provider_engagement.tables.days import check_days_of_hours, local_day


def check_days(start: datetime, end: datetime, zone: ZoneInfo, *, now: datetime) -> None:
    """Reject a zone whose days do not start on a whole UTC hour, whatever else is wrong with an interval.

    :param start: the start of the interval, in UTC.
    :param end: the end of the interval, in UTC.
    :param zone: the time zone of the days.
    :param now: the current time, aware.
    :raises InvalidQueryError: because no rounding of the interval helps.
    """
    hours = time_range_or_none(floor_to_hour(max(start, HISTORY_START)), ceil_to_hour(min(end, now + DAY)))
    if hours is not None:
        check_days_of_hours(hours, zone)


def shrink_to_days(
    start: datetime, end: datetime, zone: ZoneInfo, *, relative: Collection[str]
) -> tuple[datetime, datetime, tuple[Adjustment, ...]]:
    """Return the whole days within an interval, as far as its start or end is relative to the time of the run.

    :param start: the start of the interval, in UTC.
    :param end: the end of the interval, in UTC.
    :param zone: the time zone of the days.
    :param relative: ``start`` or ``end``, or both.
    :return: the start, the end, and how they differ from the given ones.
    :raises InvalidQueryError: if there is no whole day.
    """
    requested = {"start": start, "end": end}
    used = dict(requested)
    if "start" in relative and local_day(start, zone)[0] != start:
        used["start"] = local_day(start, zone)[1]
    if "end" in relative:
        used["end"] = local_day(end, zone)[0]
    changes = tuple(
        Adjustment(edge, requested[edge], time, f"granularity is day, so the whole days in {zone.key} are pulled")
        for edge, time in used.items()
        if time != requested[edge]
    )
    if changes and used["start"] >= used["end"]:
        raise InvalidQueryError(
            "start",
            f"there is no whole day in {zone.key} from {start.isoformat()} to {end.isoformat()}",
            "Pass an earlier start, or use granularity hour.",
        )
    return used["start"], used["end"], changes
