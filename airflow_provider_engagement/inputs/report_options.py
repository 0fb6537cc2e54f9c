"""What a report shows, as a DAG author, a shell or a URL writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.time_range import ceil_to_hour, check_plausible, floor_to_hour
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.lists import parse_list
from airflow_provider_engagement.inputs.times import parse_time, parse_time_zone
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids
from airflow_provider_engagement.tables.granularity import Granularity


def parse_report_options(
    *,
    start: object = None,
    end: object = None,
    metrics: object = None,
    granularity: object = None,
    time_zone: object = None,
    tweet_ids: object = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Parse what a report shows. An empty value means the default.

    :param start: the start of the interval, as :func:`~airflow_provider_engagement.inputs.times.parse_time` reads it.
        It is rounded down to the hour. A date is midnight in ``time_zone``.
    :param end: the end of the interval, in the same forms. It is rounded up to the hour.
    :param metrics: the names of the metrics: a list, or a string of them.
    :param granularity: ``hour`` or ``day``.
    :param time_zone: the IANA name of a time zone.
    :param tweet_ids: Tweet ids: a list, or a string of them.
    :param now: the current time, aware, from which relative times count.
    :return: the parameters of :func:`~airflow_provider_engagement.report.choice.choose`.
    :raises InvalidQueryError: if a value is not valid.
    """
    now = now or datetime.now(UTC)
    zone = parse_time_zone(time_zone) if time_zone else None
    return {
        "start": floor_to_hour(_time(start, field="start", now=now, zone=zone)) if start else None,
        "end": ceil_to_hour(_time(end, field="end", now=now, zone=zone)) if end else None,
        "metrics": tuple(map(str, parse_list(metrics, field="metrics"))) if metrics else (),
        "step": parse_choice(granularity, (Granularity.HOUR, Granularity.DAY), field="granularity")
        if granularity
        else None,
        "zone": zone,
        "tweet_ids": _parse_tweet_ids(tweet_ids) if tweet_ids else (),
    }


def _time(value: object, *, field: str, now: datetime, zone: ZoneInfo | None) -> datetime:
    return check_plausible(parse_time(value, field=field, now=now, zone=zone or UTC), field=field)


def _parse_tweet_ids(value: object) -> tuple[str, ...]:
    try:
        return parse_tweet_ids(value)
    except InvalidQueryError as error:
        raise InvalidQueryError("tweet_ids", error.problem, error.remedy) from None
