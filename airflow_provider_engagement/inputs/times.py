"""Times and time zones, as people write them in a DAG."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.time_range import floor_to_hour
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted

UNLIMITED = "unlimited"
"""The text of a duration without an end."""

_RELATIVE = re.compile(r"([0-9]{1,6}) ?([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(s|min|h|d|w)", re.ASCII)
_CLOCK = re.compile(r"(?:([0-9]{1,9}) days?, )?([0-9]{1,2}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_UNIT_NAMES = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATIONS = "Pass a timedelta, or a text such as 90s, 36h, 7d or 2w"
_FORMS = "Pass a time with its zone (2026-01-05T06:00:00Z), a date, a time before now (7d, 36h, 2w), or now."


def parse_time(value: object, *, field: str, now: datetime, zone: tzinfo = UTC) -> datetime:
    """Parse a time.

    * A date-time, as an object or in ISO 8601, must have a time zone.
    * A date means the midnight at its start in the time zone of the task.
    * ``now`` means the start of the current hour. ``36h``, ``7d`` and ``2w`` count back from there.

    :param value: a ``datetime`` (``pendulum``'s too), a ``date`` or a string.
    :param field: the parameter that an error names.
    :param now: the current time, aware.
    :param zone: the time zone of dates; UTC by default.
    :return: the time in UTC.
    :raises InvalidQueryError: if the value is none of these.
    """
    parsed = _parse_text(value.strip(), now) if isinstance(value, str) else value
    if isinstance(parsed, date) and not isinstance(parsed, datetime):
        parsed = datetime.combine(parsed, time(), zone)
    if isinstance(parsed, datetime):
        if parsed.tzinfo is None:
            raise InvalidQueryError(
                field, f"{parsed.isoformat()} has no time zone", "Append Z for UTC, or an offset such as +02:00."
            )
        try:
            utc = parsed.astimezone(UTC)
        except OverflowError:
            raise InvalidQueryError(field, f"{parsed.isoformat()} is not in the calendar", _FORMS) from None
        # pendulum's subclass loses its time zone in arithmetic.
        return datetime.combine(utc.date(), utc.time(), UTC)
    raise InvalidQueryError(field, f"{quoted(value)} is not a time", _FORMS)


def is_relative(value: object) -> bool:
    """Return whether a time is relative to the time of the run: ``now``, or a duration before it."""
    return isinstance(value, str) and (value.strip() == "now" or _RELATIVE.fullmatch(value.strip()) is not None)


def parse_duration(
    value: object, *, field: str, can_be_unlimited: bool = False, above_zero: bool = False
) -> timedelta | None:
    """Parse a duration.

    :param value: a ``timedelta``, or a text such as ``90s``, ``15min``, ``36h``, ``7d`` or ``2w``. The text of a
        ``timedelta``, such as ``3 days, 0:00:00``, is a duration too.
    :param field: the parameter that an error names.
    :param can_be_unlimited: whether the text ``unlimited`` means that there is no end.
    :param above_zero: whether the duration must be longer than zero.
    :return: the duration, or ``None`` if it is unlimited.
    :raises InvalidQueryError: if the value is not a duration, or is negative.
    """
    forms = f"{_DURATIONS}, or unlimited." if can_be_unlimited else f"{_DURATIONS}."
    if can_be_unlimited and isinstance(value, str) and value.strip().lower() == UNLIMITED:
        return None
    try:
        duration = _duration_in(value.strip()) if isinstance(value, str) else value
    except OverflowError:
        raise InvalidQueryError(field, f"{quoted(value)} is too long", forms) from None
    if not isinstance(duration, timedelta):
        is_number = isinstance(value, (int, float)) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip()))
        raise InvalidQueryError(field, f"{quoted(value)} {'has no unit' if is_number else 'is not a duration'}", forms)
    if duration < timedelta(0) or (above_zero and not duration):
        raise InvalidQueryError(field, f"{duration} is not {'above zero' if above_zero else 'zero or more'}", forms)
    return duration


def parse_time_zone(value: object) -> ZoneInfo:
    """Parse the name of an IANA time zone.

    :param value: the name.
    :raises InvalidQueryError: if there is no zone of that name.
    """
    try:
        return ZoneInfo(str(value).strip())
    except (KeyError, ValueError, OSError):
        raise InvalidQueryError(
            "time_zone", f"{quoted(value)} is not a known time zone", "Pass an IANA name such as Europe/Prague."
        ) from None


def _parse_text(text: str, now: datetime) -> datetime | date | None:
    this_hour = floor_to_hour(now.astimezone(UTC))
    if text == "now":
        return this_hour
    relative = _RELATIVE.fullmatch(text)
    if relative:
        try:
            return this_hour - int(relative[1]) * _UNITS[relative[2]]
        except OverflowError:
            return None
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return None


def _duration_in(text: str) -> timedelta | None:
    if duration := _DURATION.fullmatch(text):
        return timedelta(**{_UNIT_NAMES[duration[2]]: float(duration[1])})
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = clock.groups()
        return timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return None
