"""A body of the API -> counts in columns and one outcome per Tweet.

Nothing is made up here: a count is a number that the API gave, or a null whose reason stands in the Tweet's status.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.catalogue import Dimension, Endpoint
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Granularity
from airflow_provider_engagement.api.time_range import HOUR, ceil_to_hour, floor_to_hour
from airflow_provider_engagement.exceptions import InvalidResponseError

Count = int | None
Nested = dict[str, Any]
"""Counts in the API's own nesting: objects by dimension, counts (or null) innermost."""

_COUNT = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SIGNED_64_BIT = range(-(2**63), 2**63)


class Outcome(StrEnum):
    """What became of a Tweet, from the gravest to the best."""

    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    FORBIDDEN = "forbidden"
    NO_DATA = "no_data"
    UNSUPPORTED_90D = "unsupported_90d"
    UNSUPPORTED_VIDEO = "unsupported_video"
    OK = "ok"


GRAVITY = {outcome: gravity for gravity, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class TweetStatus:
    """What became of one Tweet, and why some of its counts are null.

    :param outcome: the gravest thing that happened.
    :param metrics_affected: the metrics that are null for it.
    :param message: the reason in words.
    """

    outcome: Outcome
    metrics_affected: tuple[str, ...] = ()
    message: str = ""

    def joined(self, other: TweetStatus) -> TweetStatus:
        """Return the status that says what both say."""
        first, second = sorted((self, other), key=lambda status: GRAVITY[status.outcome])
        messages = dict.fromkeys(message for message in (first.message, second.message) if message)
        return TweetStatus(
            first.outcome,
            tuple(dict.fromkeys(first.metrics_affected + second.metrics_affected)),
            "; ".join(messages),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one granularity, column by column.

    :param tweet_ids: the Tweets that the API gave data for.
    :param periods: the periods' starts, the same for every Tweet: instants, or those hours of day (``00`` to ``23``)
        that the window holds, or one ``None`` for a count that no period bounds.
    :param counts: by metric, one count for each Tweet and period: all periods of the first Tweet, then of the second.
    """

    tweet_ids: tuple[str, ...]
    periods: tuple[datetime | str | None, ...]
    counts: Mapping[str, list[Count]]


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """What one request brought.

    :param series: counts by granularity.
    :param groupings: counts in the API's nesting, for the groupings of the caller's own.
    :param statuses: one status for every Tweet that was asked for.
    :param start: the effective start as the API echoed it, where it did.
    :param end: the effective end likewise; it may be off the hour.
    :param messages: the texts that came along.
    """

    series: Mapping[Granularity, Series]
    groupings: Mapping[str, Nested]
    statuses: Mapping[str, TweetStatus]
    start: datetime | None = None
    end: datetime | None = None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unsupported:
    """A list of ids under which the API reports metrics that it has no value for."""

    key: str
    outcome: Outcome
    metrics: tuple[str, ...]
    message: str


_UNSUPPORTED = (
    _Unsupported(
        catalogue.UNSUPPORTED_ENGAGEMENTS_KEY,
        Outcome.UNSUPPORTED_90D,
        ("impressions", "engagements"),
        "the Tweet is more than 90 days old",
    ),
    _Unsupported(
        catalogue.UNSUPPORTED_VIDEO_KEY,
        Outcome.UNSUPPORTED_VIDEO,
        ("video_views",),
        "the Tweet is more than 1800 days old",
    ),
)


_NO_NULLS = TweetStatus(Outcome.OK)


def parse_response(request: Request, body: Mapping[str, Any]) -> ParsedResponse:
    """Read the body of a successful answer.

    :param request: what was asked.
    :param body: the decoded JSON object.
    :raises InvalidResponseError: if a part of it has a shape that cannot be read without guessing.
    """
    start, end = (_echo(body, key) for key in catalogue.WINDOW_KEYS)
    messages = error_messages(body)
    span = _span(request, start, end)
    nulls = _reported_nulls(request, body, messages)
    series = {grain: _series(request, grain, body.get(grain), nulls, span) for grain in request.query.granularities}
    levels = {name: _levels(_node(request, body, name), group_by) for name, group_by in request.query.groupings.items()}
    metrics = request.query.metrics
    groupings = {
        name: _without_nulls(_read_tree(_node(request, body, name), group_by, _Counts(name), metrics), group_by, nulls)
        for name, group_by in levels.items()
    }
    return ParsedResponse(
        series=series,
        groupings=groupings,
        statuses=_statuses(request, nulls, _missing(request, series, groupings, levels)),
        start=start,
        end=end,
        messages=messages,
    )


def _node(request: Request, body: Mapping[str, Any], name: str) -> Any:
    """Return what the answer has for a grouping of the caller's own, making it of the counts by the hour if need be."""
    if name not in request.query.made_of_hours:
        return body.get(name)
    hours = body.get(Granularity.HOUR)
    if request.query.groupings[name][0] is Dimension.TWEET or not isinstance(hours, Mapping):
        return hours
    by_metric: dict[str, dict[str, Any]] = {}
    for tweet_id, metrics in hours.items():
        for metric, days in metrics.items() if isinstance(metrics, Mapping) else ():
            by_metric.setdefault(metric, {})[tweet_id] = days
    return by_metric


def all_unavailable(request: Request, messages: tuple[str, ...]) -> ParsedResponse:
    """Return the answer to a request none of whose Tweets is available."""
    return parse_response(
        request, {catalogue.UNAVAILABLE_KEY: list(request.tweet_ids), catalogue.ERRORS_KEY: list(messages)}
    )


def error_messages(body: Any) -> tuple[str, ...]:
    """Return the texts of an answer's ``errors``: strings, objects with a ``message``, or a bare list of these."""
    errors = body.get(catalogue.ERRORS_KEY) if isinstance(body, Mapping) else body
    if isinstance(errors, (str, Mapping)):
        errors = [errors]
    if not isinstance(errors, Sequence):
        return ()
    return tuple(
        str(error.get("message", error)) if isinstance(error, Mapping) else str(error) for error in errors if error
    )


def listed_ids(body: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the ids under a metadata key: a list, or (as the changelog words it) a comma-separated string."""
    value = body.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        raise InvalidResponseError(f"The answer's {key} is no list of ids.")
    return tuple(str(item).strip() for item in value)


def _echo(body: Mapping[str, Any], key: str) -> datetime | None:
    value = body.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidResponseError(f"The answer's {key} {value!r} is no time.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _reported_nulls(request: Request, body: Mapping[str, Any], messages: tuple[str, ...]) -> dict[str, TweetStatus]:
    """Return, for the Tweets whose counts the API reports not to have, which and why."""
    asked = set(request.tweet_ids)
    metrics = request.query.metrics
    nulls: dict[str, TweetStatus] = {}

    def report(tweet_id: str, status: TweetStatus) -> None:
        if tweet_id in asked:
            nulls[tweet_id] = nulls[tweet_id].joined(status) if tweet_id in nulls else status

    for tweet_id in listed_ids(body, catalogue.UNAVAILABLE_KEY):
        report(tweet_id, TweetStatus(Outcome.UNAVAILABLE, metrics, "deleted, or not public any more"))
    for rule in _UNSUPPORTED:
        affected = tuple(metric for metric in metrics if metric in rule.metrics)
        if affected:
            for tweet_id in listed_ids(body, rule.key):
                report(tweet_id, TweetStatus(rule.outcome, affected, rule.message))
    for key in body:
        if key.startswith(catalogue.UNSUPPORTED_PREFIX) and key not in {rule.key for rule in _UNSUPPORTED}:
            # A list that is not documented: what it names has no value, though the API may print a 0.
            affected = tuple(metric for metric in metrics if metric in key) or metrics
            for tweet_id in listed_ids(body, key):
                report(tweet_id, TweetStatus(Outcome.NO_DATA, affected, f"listed by the API under {key}"))
    return nulls


def _levels(node: Any, group_by: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """Return what the levels of one grouping stand for.

    Of the hour without the day, the documentation shows both shapes: with a level of dates above it and without.
    """
    if Dimension.HOUR not in group_by or Dimension.DAY in group_by:
        return group_by
    at = group_by.index(Dimension.HOUR)
    for _ in range(at):
        node = next((child for child in node.values() if child), None) if isinstance(node, Mapping) else None
    dated = isinstance(node, Mapping) and node and all(map(_DAY.fullmatch, node))
    return (*group_by[:at], Dimension.DAY, *group_by[at:]) if dated else group_by


class _Counts(dict[Any, Count]):
    """What the counts of a grouping are: each text that it holds is checked and read once, most are there many times.

    :param name: the grouping's name, for errors.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def of(self, values: Iterable[Any]) -> list[Count]:
        """Return values as integers, and null as null."""
        try:
            return list(map(self.__getitem__, values))
        except TypeError:
            raise InvalidResponseError(f"The answer's grouping {self._name!r} is nested too deep.") from None

    def __missing__(self, value: Any) -> Count:
        if value is None:
            return None
        if type(value) not in (str, int):
            raise InvalidResponseError(f"The answer's grouping {self._name!r} holds {value!r}, which is no count.")
        if type(value) is str and not _COUNT.fullmatch(value):
            raise InvalidResponseError(f"The answer's grouping {self._name!r} holds a count that is no whole number.")
        count = int(value)
        if count not in _SIGNED_64_BIT:
            raise InvalidResponseError(f"The answer's grouping {self._name!r} holds a count beyond 64 bits.")
        if type(value) is str:  # a number is not remembered: true and 1.0, which equal it, would pass for it
            self[value] = count
        return count


def _object(node: Any) -> Nested:
    """Return a node that must be an object; an empty one where the API left it out."""
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise InvalidResponseError(f"The answer holds {str(node)[:40]!r} where an object should be.")
    return node


def _read_tree(node: Any, group_by: Sequence[Dimension], counts: _Counts, metrics: Container[str]) -> Nested:
    """Return one grouping with its counts as integers, or nothing where the API left it out.

    Metrics that nobody asked for, which the documentation's own example holds, are left out.
    """
    node = _object(node)
    if group_by[0] is Dimension.METRIC:
        node = {key: child for key, child in node.items() if key in metrics}
    if len(group_by) > 1:
        return {key: _read_tree(child, group_by[1:], counts, metrics) for key, child in node.items()}
    return dict(zip(node, counts.of(node.values()), strict=True))


def _without_nulls(tree: Nested, group_by: Sequence[Dimension], nulls: Mapping[str, TweetStatus]) -> Nested:
    """Return a grouping with null in place of every count that the API reports not to have.

    Whole Tweets that are not available are left out; a grouping that is not by Tweet cannot tell and stays as it is.
    """
    if not nulls or Dimension.TWEET not in group_by:
        return tree

    def null(node: Any) -> Any:
        return {key: null(child) for key, child in node.items()} if isinstance(node, dict) else None

    def walk(node: Any, dimensions: Sequence[Dimension], tweet_id: str | None, metric: str | None) -> Any:
        if tweet_id is not None and metric is not None:
            return null(node) if metric in nulls[tweet_id].metrics_affected else node
        if not dimensions or not isinstance(node, dict):
            return node
        kept = {}
        for key, child in node.items():
            if dimensions[0] is Dimension.TWEET:
                status = nulls.get(key)
                if status is not None and status.outcome is Outcome.UNAVAILABLE:
                    continue
                kept[key] = child if status is None else walk(child, dimensions[1:], key, metric)
            elif dimensions[0] is Dimension.METRIC:
                kept[key] = walk(child, dimensions[1:], tweet_id, key)
            else:
                kept[key] = walk(child, dimensions[1:], tweet_id, metric)
        return kept

    return walk(tree, group_by, None, None)  # type: ignore[no-any-return]


def _span(request: Request, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime] | None:
    """Return the whole hours that an answer covers: those asked for, else those it names itself."""
    window = request.window
    if window is not None:
        start, end = start or window.start, end or window.end
        if (floor_to_hour(start), ceil_to_hour(end)) != (window.start, window.end):
            raise InvalidResponseError(
                f"The answer is for {start.isoformat()} to {end.isoformat()}, not for the window that was asked for."
            )
    if start is None or end is None:
        return None
    return floor_to_hour(start), ceil_to_hour(end)


def _hours_by_day(span: tuple[datetime, datetime]) -> dict[str, dict[str, datetime]]:
    """Return every hour of a span under the keys that the API gives it."""
    first, last = span
    hours: dict[str, dict[str, datetime]] = {}
    for number in range((last - first) // HOUR):
        moment = first + number * HOUR
        hours.setdefault(moment.strftime("%Y-%m-%d"), {})[moment.strftime("%H")] = moment
    return hours


def _series(
    request: Request,
    grain: Granularity,
    node: Any,
    nulls: Mapping[str, TweetStatus],
    span: tuple[datetime, datetime] | None,
) -> Series:
    """Return one granularity, with null in place of every count that the API reports not to have.

    An answer can hold hundreds of thousands of counts, which are taken from the API's nesting row by row.
    """
    numbers = _Counts(grain)
    row: Callable[[Any], Iterable[Any]]
    periods: tuple[datetime | str | None, ...]
    if grain is Granularity.TOTAL:
        periods = (span[0] if span and request.query.endpoint is not Endpoint.TOTALS else None,)
        row = _row_of_one
    else:
        # Only an answer without data comes without its window.
        moments = _hours_by_day(span) if span else {}
        hours = {day: tuple(keys) for day, keys in moments.items()}
        if grain is Granularity.HOUR_OF_DAY:
            hours_of_day = tuple(sorted({hour for keys in hours.values() for hour in keys}))
            periods = hours_of_day
            row = partial(_row_of_hours_of_day, hours=hours, hours_of_day=hours_of_day, numbers=numbers)
        elif grain is Granularity.DAY:
            periods = tuple(_midnight(day) for day in hours)
            row = partial(_picked, keys=tuple(hours))
        else:
            periods = tuple(moment for day in moments.values() for moment in day.values())
            row = partial(_row_of_hours, hours=hours)
    tree = _object(node)
    known = {tweet_id: nulls.get(tweet_id, _NO_NULLS) for tweet_id in request.tweet_ids if tweet_id in tree}
    tweet_ids = tuple(tweet_id for tweet_id, status in known.items() if status.outcome is not Outcome.UNAVAILABLE)
    no_row: list[Count] = [None] * len(periods)
    counts: dict[str, list[Count]] = {metric: [] for metric in request.query.metrics}
    for tweet_id in tweet_ids:
        by_metric = _object(tree[tweet_id])
        for metric, column in counts.items():
            found = None if metric in known[tweet_id].metrics_affected else by_metric.get(metric)
            column += no_row if found is None else numbers.of(row(found))
    return Series(tweet_ids, periods, counts)


def _row_of_one(node: Any) -> list[Any]:
    return [node]


def _picked(node: Any, *, keys: tuple[str, ...]) -> Iterable[Any]:
    """Return what stands under the given keys, null where there is none."""
    found = _object(node)
    if tuple(found) == keys:
        return found.values()
    if stray_keys := found.keys() - set(keys):
        stray = min(stray_keys)
        raise InvalidResponseError(f"The answer holds the period {stray!r}, which is outside its own window.")
    return map(found.get, keys)


def _row_of_hours(node: Any, *, hours: Mapping[str, tuple[str, ...]]) -> list[Any]:
    row: list[Any] = []
    for by_hour, keys in zip(_picked(node, keys=tuple(hours)), hours.values(), strict=True):
        row += _picked(by_hour, keys=keys)
    return row


def _row_of_hours_of_day(
    node: Any, *, hours: Mapping[str, tuple[str, ...]], hours_of_day: tuple[str, ...], numbers: _Counts
) -> Iterable[Any]:
    if not all(map(_DAY.fullmatch, _object(node))):
        return _picked(node, keys=hours_of_day)
    counts: dict[str, list[Count]] = {hour: [] for hour in hours_of_day}
    picked = iter(numbers.of(_row_of_hours(node, hours=hours)))
    for keys in hours.values():
        for hour in keys:
            counts[hour].append(next(picked))
    return [_sum(row) for row in counts.values()]


def _sum(counts: Iterable[Count]) -> Count:
    """Return the sum, which is null if one of the counts is."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _statuses(
    request: Request, nulls: Mapping[str, TweetStatus], missing: Mapping[str, Collection[str]]
) -> dict[str, TweetStatus]:
    statuses = {}
    for tweet_id in request.tweet_ids:
        status = nulls.get(tweet_id, TweetStatus(Outcome.OK))
        lacking = set(missing.get(tweet_id, ())).difference(status.metrics_affected)
        if lacking:
            unexplained = tuple(metric for metric in request.query.metrics if metric in lacking)
            status = status.joined(TweetStatus(Outcome.NO_DATA, unexplained, "the API returned no value"))
        statuses[tweet_id] = status
    return statuses


def _missing(
    request: Request,
    series: Mapping[Granularity, Series],
    trees: Mapping[str, Nested],
    levels: Mapping[str, Sequence[Dimension]],
) -> dict[str, set[str]]:
    """Return the metrics of which a Tweet lacks at least one count, whatever the reason."""
    missing: dict[str, set[str]] = {}
    for one in series.values():
        for tweet_id in set(request.tweet_ids).difference(one.tweet_ids):
            missing.setdefault(tweet_id, set()).update(request.query.metrics)
        width = len(one.periods)
        for metric, counts in one.counts.items():
            if None in counts:
                for number, tweet_id in enumerate(one.tweet_ids):
                    if None in counts[number * width : (number + 1) * width]:
                        missing.setdefault(tweet_id, set()).add(metric)
    for name in request.query.groupings:
        whole = _whole_cells(trees[name], levels[name])
        for tweet_id in request.tweet_ids:
            cell_of = tweet_id if Dimension.TWEET in levels[name] else None
            lacking = {metric for metric in request.query.metrics if (cell_of, metric) not in whole}
            missing.setdefault(tweet_id, set()).update(lacking)
    return missing


def _whole_cells(
    node: Any, levels: Sequence[Dimension], tweet_id: str | None = None, metric: str | None = None
) -> set[tuple[str | None, str]]:
    """Return the pairs of Tweet (``None`` for a sum over Tweets) and metric that have counts at all times."""
    if metric is not None and (tweet_id is not None or Dimension.TWEET not in levels):
        return {(tweet_id, metric)} if _is_whole(node) else set()
    here, below = levels[0], levels[1:]
    if here is Dimension.TWEET:
        found = [_whole_cells(child, below, key, metric) for key, child in node.items()]
    elif here is Dimension.METRIC:
        found = [_whole_cells(child, below, tweet_id, key) for key, child in node.items()]
    else:
        found = [_whole_cells(child, below, tweet_id, metric) for child in node.values()]
        return set.intersection(*found) if found else set()
    return set().union(*found)


def _is_whole(node: Any) -> bool:
    """Tell whether a node has counts below it, and no null."""
    if not isinstance(node, dict):
        return node is not None
    return bool(node) and None not in node.values() and all(map(_is_whole, node.values()))
