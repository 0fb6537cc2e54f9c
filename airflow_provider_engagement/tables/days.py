"""Calendar days of a time zone, and how they relate to the UTC hours that the API counts in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.time_range import TimeRange, floor_to_hour, time_range_or_none
from airflow_provider_engagement.exceptions import InvalidQueryError


def local_day(time: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the start, in UTC, of the day that a time falls on in a zone, and the start of the next day.

    Such a day has 23 or 25 hours where daylight saving time begins or ends.
    """
    local = time.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = (midnight.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    return midnight.astimezone(UTC), following.astimezone(UTC)


def check_days_of_hours(interval: TimeRange, zone: ZoneInfo) -> None:
    """Reject a zone whose days do not start on a whole UTC hour, such as Asia/Kolkata.

    The API counts in UTC hours, which cannot be summed to such days.

    :raises InvalidQueryError: with the first such day of the interval.
    """
    if (start := first_start_within_an_hour(interval, zone)) is not None:
        raise InvalidQueryError(
            "time_zone",
            f"a day in {zone.key} starts at {start.isoformat()}, which is not a whole UTC hour",
            "The API has only whole UTC hours, so no setting gives the days of this zone. Use granularity hour, or "
            "another time zone.",
        )


def first_start_within_an_hour(interval: TimeRange, zone: ZoneInfo) -> datetime | None:
    """Return the start of the first day of an interval that does not start on a whole UTC hour, if any."""
    time = local_day(interval.start, zone)[0]
    while time < interval.end:
        if time != floor_to_hour(time):
            return time
        time = local_day(time, zone)[1]
    return None


def check_whole_days(interval: TimeRange, zone: ZoneInfo) -> None:
    """Reject an interval that contains only a part of a day, since the row of that day would be too small.

    :raises InvalidQueryError: with the edge that is not midnight in the zone.
    """
    for edge in ("start", "end"):
        time: datetime = getattr(interval, edge)
        if local_day(time, zone)[0] != time:
            raise InvalidQueryError(
                edge,
                f"{time.isoformat()} is not midnight in {zone.key}",
                "Pass whole days, or use granularity hour.",
            )


def whole_days_of(hours: TimeRange, zone: ZoneInfo, *, first_is_whole: bool) -> TimeRange | None:
    """Return the days of a zone that a time range contains completely, if any.

    :param hours: the time range.
    :param zone: the time zone of the days.
    :param first_is_whole: whether to count the first day as complete wherever the time range starts.
    """
    day_start, next_day = local_day(hours.start, zone)
    first = hours.start if first_is_whole or day_start == hours.start else next_day
    return time_range_or_none(first, local_day(hours.end, zone)[0])
