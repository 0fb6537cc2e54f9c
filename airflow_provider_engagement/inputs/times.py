"""Instants as people write them in a DAG."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from airflow_provider_engagement.exceptions import InvalidQueryError

_RELATIVE = re.compile(r"([0-9]{1,6}) ?([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_FORMS = "Give a time with its zone (2026-01-05T06:00:00Z), a date, a span before now (7d, 36h, 2w), or now."


def parse_time(value: object, *, field: str, now: datetime) -> datetime:
    """Read an instant.

    * A date-time, as an object or in ISO 8601, must have a zone; what a naive one means is anybody's guess.
    * A date means its first instant in UTC, as it does to the API.
    * ``now`` means the beginning of the running hour, the newest instant that the API can be asked about; ``36h``,
      ``7d`` and ``2w`` mean that long before it.

    :param value: a ``datetime`` (``pendulum``'s too), a ``date`` or a string.
    :param field: the parameter that an error is to name.
    :param now: the present, aware.
    :return: the instant in UTC.
    :raises InvalidQueryError: if the value is none of these.
    """
    moment = _read(value.strip(), now) if isinstance(value, str) else value
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidQueryError(
                field, f"{moment.isoformat()} has no time zone", "Append Z for UTC, or an offset such as +02:00."
            )
        try:
            utc = moment.astimezone(UTC)
        except OverflowError:
            raise InvalidQueryError(field, f"{moment.isoformat()} is out of the calendar", _FORMS) from None
        return datetime.combine(utc.date(), utc.time(), UTC)  # a plain datetime, whatever subclass came in
    if isinstance(moment, date):
        return datetime.combine(moment, time(), UTC)
    raise InvalidQueryError(field, f"{value!r} is no time", _FORMS)


def _read(text: str, now: datetime) -> datetime | date | None:
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
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
