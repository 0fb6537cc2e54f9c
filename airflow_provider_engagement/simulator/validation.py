"""Reads the body of a request, and refuses what the API refuses before it looks at any Tweet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_engagement.api.catalogue import (
    ENDPOINTS,
    FOUR_ITEM_ORDERS,
    HISTORY_START,
    HISTORY_MAX_AGE,
    MAX_GROUPINGS,
    MAX_WINDOW,
    METRICS,
    RENAMED_METRICS,
    RESERVED_GROUPING_NAMES,
    UNSUPPORTED_PREFIX,
    Dimension,
    Endpoint,
)
from airflow_provider_engagement.api.tweet_id import is_tweet_id
from airflow_provider_engagement.simulator.counts import ceil_hour, floor_hour
from airflow_provider_engagement.simulator.refusal import Refusal, unsupported_dimensions
from airflow_provider_engagement.simulator.switches import Switches

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A period of whole hours, and how the answer describes it.

    :param start: the first hour, inclusive.
    :param end: the end, exclusive; may lie in the future when the running hour is part of the window.
    :param shown_start: the ``start`` of the answer.
    :param shown_end: the ``end`` of the answer, which need not be a whole hour.
    """

    start: datetime
    end: datetime
    shown_start: datetime
    shown_end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A valid request.

    :param endpoint: what was called.
    :param tweet_ids: distinct ids.
    :param metrics: distinct metric names, as they were written.
    :param groupings: the groupings, by name.
    :param window: the effective window; ``None`` on totals.
    """

    endpoint: Endpoint
    tweet_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    groupings: Mapping[str, tuple[Dimension, ...]]
    window: Window | None


def read_body(body: bytes) -> Mapping[str, Any]:
    """Return the decoded body.

    :raises Refusal: it is not a JSON object.
    """
    try:
        decoded = json.loads(body)
    except ValueError:
        raise Refusal(400, "Unable to parse request body as JSON") from None
    if not isinstance(decoded, dict):
        raise Refusal(400, "Request body must be a JSON object")
    return decoded


def validated(endpoint: Endpoint, body: Mapping[str, Any], *, now: datetime, switches: Switches) -> Asked:
    """Return what a body asks for.

    :param now: the data clock.
    :raises Refusal: the API would not accept it.
    """
    return Asked(
        endpoint=endpoint,
        tweet_ids=_tweet_ids(body, ENDPOINTS[endpoint].tweets_per_request),
        metrics=_metrics(body, switches),
        groupings=_groupings(body, endpoint),
        window=_window(endpoint, body, now, switches),
    )


def _list(body: Mapping[str, Any], name: str, most: int) -> list[Any]:
    if name not in body:
        raise Refusal(400, f"{name}: field is required")
    value = body[name]
    if not isinstance(value, list):
        raise Refusal(400, f"{name}: must be an array")
    if not 1 <= len(value) <= most:
        raise Refusal(400, f"{name}: size [{len(value)}] is not between 1 and {most}")
    return value


def _tweet_ids(body: Mapping[str, Any], most: int) -> tuple[str, ...]:
    ids = []
    for value in _list(body, "tweet_ids", most):
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not is_tweet_id(text):
            raise Refusal(400, f"tweet_ids: ({value}) is not a valid id")
        ids.append(text)
    if len(set(ids)) < len(ids):
        raise Refusal(400, "tweet_ids: ids must be unique")
    return tuple(ids)


def _metrics(body: Mapping[str, Any], switches: Switches) -> tuple[str, ...]:
    names = _list(body, "engagement_types", 1000)
    known = METRICS.keys() | (RENAMED_METRICS.keys() if switches.media_clicks_alias else set())
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in known]
    if unknown:
        raise Refusal(400, f"engagement_types: ({', '.join(unknown)}) not supported")
    if len(set(names)) < len(names):
        raise Refusal(400, "engagement_types: types must be unique")
    return tuple(names)


def _groupings(body: Mapping[str, Any], endpoint: Endpoint) -> dict[str, tuple[Dimension, ...]]:
    if "groupings" not in body:
        raise Refusal(400, "groupings: field is required")
    groupings = body["groupings"]
    if not isinstance(groupings, dict):
        raise Refusal(400, "groupings: must be an object")
    if not 1 <= len(groupings) <= MAX_GROUPINGS:
        raise Refusal(400, f"groupings: size [{len(groupings)}] is not between 1 and {MAX_GROUPINGS}")
    read = {name: _group_by(name, value, endpoint) for name, value in groupings.items()}
    if sum(len(group_by) == len(Dimension) for group_by in read.values()) > 1:
        raise Refusal(400, "groupings: only one grouping with 4 group_by items is allowed")
    return read


def _group_by(name: str, grouping: Any, endpoint: Endpoint) -> tuple[Dimension, ...]:
    if name in RESERVED_GROUPING_NAMES or name.startswith(UNSUPPORTED_PREFIX):
        raise Refusal(400, f"groupings: ({name}) is a reserved name")
    items = grouping.get("group_by") if isinstance(grouping, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise Refusal(400, "groupings: group_by must be an array of strings")
    unsupported = [item for item in items if item not in ENDPOINTS[endpoint].dimensions]
    if unsupported:
        raise Refusal(400, unsupported_dimensions(dict.fromkeys(unsupported)))
    if not 1 <= len(items) <= len(Dimension) or len(set(items)) < len(items):
        raise Refusal(400, "groupings: group_by must hold 1 to 4 different items")
    group_by = tuple(Dimension(item) for item in items)
    if Dimension.METRIC not in group_by:
        raise Refusal(400, f"groupings: group_by must hold {Dimension.METRIC}")
    if len(group_by) == len(Dimension) and group_by not in FOUR_ITEM_ORDERS:
        raise Refusal(400, "groupings: unsupported group_by order")
    return group_by


def _window(endpoint: Endpoint, body: Mapping[str, Any], now: datetime, switches: Switches) -> Window | None:
    if endpoint is Endpoint.TOTALS:
        return None
    if endpoint is Endpoint.LAST_28_HOURS:
        return _aligned(floor_hour(now - timedelta(hours=28)), ceil_hour(now))
    given = [name for name in ("start", "end") if body.get(name) is not None]
    if not given:
        start = ceil_hour(now - MAX_WINDOW)
        shown_end = now.replace(second=0, microsecond=0)
        return Window(start=start, end=ceil_hour(shown_end), shown_start=start, shown_end=shown_end)
    if len(given) == 1:
        missing = "end" if given == ["start"] else "start"
        raise Refusal(400, f"{missing}: field is required when {given[0]} is given")
    return _requested(_instant(body, "start"), _instant(body, "end"), now, switches)


def _requested(start: datetime, end: datetime, now: datetime, switches: Switches) -> Window:
    if start >= end:
        raise Refusal(400, "start: must be before end")
    if end > now:
        raise Refusal(400, "end: must not be in the future")
    floor = max(HISTORY_START, now - HISTORY_MAX_AGE) if switches.history_floor == "365d" else HISTORY_START
    if start < floor:
        raise Refusal(400, f"start: must not be before {written(floor)}")
    window = _aligned(floor_hour(start), ceil_hour(end))
    if window.end - window.start > MAX_WINDOW:
        raise Refusal(400, "start/end: period exceeds 28 days")
    return window


def _aligned(start: datetime, end: datetime) -> Window:
    return Window(start=start, end=end, shown_start=start, shown_end=end)


def _instant(body: Mapping[str, Any], name: str) -> datetime:
    text = body[name]
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise Refusal(400, f"{name}: ({text}) is not a valid date")
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise Refusal(400, f"{name}: ({text}) is not a valid date") from None


def written(moment: datetime) -> str:
    """Return an instant as the API writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
