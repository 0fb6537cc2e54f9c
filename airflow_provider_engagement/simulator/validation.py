"""Parses the body of a request, and rejects requests that are invalid whatever Tweets exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import (
    ENDPOINTS,
    FOUR_ITEM_ORDERS,
    HISTORY_MAX_AGE,
    HISTORY_START,
    MAX_GROUPINGS,
    MAX_WINDOW,
    METRICS,
    RENAMED_METRICS,
    RESERVED_GROUPING_NAMES,
    UNSUPPORTED_PREFIX,
    Dimension,
    Endpoint,
)
from airflow_provider_engagement.simulator.errors import RejectedRequest, unsupported_dimensions_message
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.tweet_id import is_tweet_id

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestedWindow:
    """The window of a request, widened to whole hours.

    :param start: the first hour, inclusive.
    :param end: the end, exclusive. It is in the future if the window includes the current hour.
    :param reported_start: ``start`` in the response.
    :param reported_end: ``end`` in the response. It need not be a whole hour.
    """

    start: datetime
    end: datetime
    reported_start: datetime
    reported_end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedRequest:
    """A valid request.

    :param endpoint: the endpoint.
    :param tweet_ids: distinct ids.
    :param metrics: distinct metric names, as the client wrote them.
    :param groupings: the dimensions of each grouping, by its name.
    :param window: the window; ``None`` on ``totals``.
    """

    endpoint: Endpoint
    tweet_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    groupings: Mapping[str, tuple[Dimension, ...]]
    window: RequestedWindow | None


def parse_body(body: bytes) -> Mapping[str, Any]:
    """Return the decoded body.

    :raises RejectedRequest: the body is not a JSON object.
    """
    try:
        decoded = decode(body)
    except ValueError:
        raise RejectedRequest(400, "Unable to parse request body as JSON") from None
    if not isinstance(decoded, dict):
        raise RejectedRequest(400, "Request body must be a JSON object")
    return decoded


def parse_request(endpoint: Endpoint, body: Mapping[str, Any], *, now: datetime, switches: Switches) -> ParsedRequest:
    """Return the request that a body describes.

    :param endpoint: the endpoint that received it.
    :param body: the decoded body.
    :param now: the time of the data clock.
    :param switches: the behavior of the API.
    :raises RejectedRequest: the API rejects such a request. There is an error for each invalid field.
    """
    fields: dict[str, Any] = _all_or_errors(
        {
            "tweet_ids": lambda: _tweet_ids(body, ENDPOINTS[endpoint].tweets_per_request),
            "metrics": lambda: _metrics(body, switches),
            "groupings": lambda: _groupings(body, endpoint, switches),
            "window": lambda: _window(endpoint, body, now, switches),
        }
    )
    return ParsedRequest(endpoint=endpoint, **fields)


def _all_or_errors(parts: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each part of a request parses to.

    :raises RejectedRequest: with the errors of all parts, as Finatra lists them. One error alone keeps its status.
    """
    parsed: dict[str, Any] = {}
    rejected: list[RejectedRequest] = []
    for name, parse in parts.items():
        try:
            parsed[name] = parse()
        except RejectedRequest as problem:
            rejected.append(problem)
    if rejected:
        status = rejected[0].status if len(rejected) == 1 else 400
        raise RejectedRequest(status, *(error for problem in rejected for error in problem.errors))
    return parsed


def _list(body: Mapping[str, Any], name: str, maximum: int) -> list[Any]:
    if name not in body:
        raise RejectedRequest(400, f"{name}: field is required")
    value = body[name]
    if not isinstance(value, list):
        raise RejectedRequest(400, f"{name}: must be an array")
    if not 1 <= len(value) <= maximum:
        raise RejectedRequest(400, f"{name}: size [{len(value)}] is not between 1 and {maximum}")
    return value


def _tweet_ids(body: Mapping[str, Any], maximum: int) -> tuple[str, ...]:
    ids = []
    for value in _list(body, "tweet_ids", maximum):
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not is_tweet_id(text):
            raise RejectedRequest(400, f"tweet_ids: ({value}) is not a valid id")
        ids.append(text)
    if len(set(ids)) < len(ids):
        raise RejectedRequest(400, "tweet_ids: ids must be unique")
    return tuple(ids)


def _metrics(body: Mapping[str, Any], switches: Switches) -> tuple[str, ...]:
    names = _list(body, "engagement_types", 1000)
    known = METRICS.keys() | (RENAMED_METRICS.keys() if switches.media_clicks_alias else set())
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in known]
    if unknown:
        raise RejectedRequest(400, f"engagement_types: ({', '.join(unknown)}) not supported")
    if len(set(names)) < len(names):
        raise RejectedRequest(400, "engagement_types: types must be unique")
    return tuple(names)


def _groupings(body: Mapping[str, Any], endpoint: Endpoint, switches: Switches) -> dict[str, tuple[Dimension, ...]]:
    if "groupings" not in body:
        raise RejectedRequest(400, "groupings: field is required")
    groupings = body["groupings"]
    if not isinstance(groupings, dict):
        raise RejectedRequest(400, "groupings: must be an object")
    if not 1 <= len(groupings) <= MAX_GROUPINGS:
        raise RejectedRequest(400, f"groupings: size [{len(groupings)}] is not between 1 and {MAX_GROUPINGS}")
    parsed: dict[str, tuple[Dimension, ...]] = _all_or_errors(
        {name: partial(_group_by, name, value, endpoint, switches) for name, value in groupings.items()}
    )
    if sum(len(group_by) == len(Dimension) for group_by in parsed.values()) > 1:
        raise RejectedRequest(400, "groupings: only one grouping with 4 group_by items is allowed")
    return parsed


def _group_by(name: str, grouping: Any, endpoint: Endpoint, switches: Switches) -> tuple[Dimension, ...]:
    if name in RESERVED_GROUPING_NAMES or name.startswith(UNSUPPORTED_PREFIX):
        raise RejectedRequest(400, f"groupings: ({name}) is a reserved name")
    items = grouping.get("group_by") if isinstance(grouping, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RejectedRequest(400, "groupings: group_by must be an array of strings")
    unsupported = [item for item in items if item not in ENDPOINTS[endpoint].dimensions]
    if unsupported:
        message = unsupported_dimensions_message(dict.fromkeys(unsupported))
        raise RejectedRequest(switches.unsupported_grouping_status, message)
    if not 1 <= len(items) <= len(Dimension) or len(set(items)) < len(items):
        raise RejectedRequest(400, "groupings: group_by must hold 1 to 4 different items")
    group_by = tuple(Dimension(item) for item in items)
    if Dimension.METRIC not in group_by:
        raise RejectedRequest(400, f"groupings: group_by must hold {Dimension.METRIC}")
    if len(group_by) == len(Dimension) and group_by not in FOUR_ITEM_ORDERS:
        raise RejectedRequest(400, "groupings: unsupported group_by order")
    return group_by


def _window(endpoint: Endpoint, body: Mapping[str, Any], now: datetime, switches: Switches) -> RequestedWindow | None:
    if endpoint is Endpoint.TOTALS:
        return None
    if endpoint is Endpoint.LAST_28_HOURS:
        return _last_28_hours(now, switches)
    given = [name for name in ("start", "end") if body.get(name) is not None]
    if not given:
        start = _ceil_hour(now - MAX_WINDOW)
        end = now.replace(second=0, microsecond=0)
        return RequestedWindow(start=start, end=_ceil_hour(end), reported_start=start, reported_end=end)
    times = _all_or_errors({name: partial(_parse_time, body, name) for name in given})
    if given == ["start"] and switches.start_alone == "now":
        # The vendor's Ruby client leaves out an end that would be in the future.
        times["end"] = now.replace(second=0, microsecond=0)
        window = _explicit_window(**times, now=now, switches=switches)
        return replace(window, reported_end=times["end"])
    if len(given) == 1:
        missing = "end" if given == ["start"] else "start"
        raise RejectedRequest(400, f"{missing}: field is required when {given[0]} is given")
    return _explicit_window(**times, now=now, switches=switches)


def _last_28_hours(now: datetime, switches: Switches) -> RequestedWindow:
    window = _whole_hours(now - timedelta(hours=28), now)
    if switches.running_hour == "rounded" or now == window.end:
        return window
    end = _floor_hour(now) if switches.running_hour == "without_counts" else window.end
    return replace(window, end=end, reported_end=now.replace(microsecond=0))


def _explicit_window(start: datetime, end: datetime, now: datetime, switches: Switches) -> RequestedWindow:
    if start >= end:
        raise RejectedRequest(400, "start: must be before end")
    if end > now:
        raise RejectedRequest(400, "end: must not be in the future")
    earliest = max(HISTORY_START, now - HISTORY_MAX_AGE) if switches.history_floor == "365d" else HISTORY_START
    if start < earliest:
        raise RejectedRequest(400, f"start: must not be before {format_time(earliest)}")
    window = _whole_hours(start, end)
    length = window.end - window.start if switches.length_limit == "rounded" else end - start
    if length > MAX_WINDOW:
        raise RejectedRequest(400, "start/end: period exceeds 28 days")
    return window


def _whole_hours(start: datetime, end: datetime) -> RequestedWindow:
    first, last = _floor_hour(start), _ceil_hour(end)
    return RequestedWindow(start=first, end=last, reported_start=first, reported_end=last)


def _floor_hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _ceil_hour(time: datetime) -> datetime:
    hour = _floor_hour(time)
    return hour if hour == time else hour + timedelta(hours=1)


def _parse_time(body: Mapping[str, Any], name: str) -> datetime:
    text = body[name]
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise RejectedRequest(400, f"{name}: ({text}) is not a valid date")
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise RejectedRequest(400, f"{name}: ({text}) is not a valid date") from None


def present_name(metric: str) -> str:
    """Return the present name of a metric that may have its former name."""
    renamed = RENAMED_METRICS.get(metric)
    return metric if renamed is None else renamed.new


def format_time(time: datetime) -> str:
    """Return a time in the format of the API."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
