"""Parse the body of a response into counts in columns, and one status per Tweet.

Every count is a number that the API returned, or null. The Tweet's status has the reason of each null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.error_responses import error_messages
from airflow_provider_engagement.engagement_api.groupings import (
    Count,
    CountParser,
    Grouping,
    NestedCounts,
    as_object,
    from_hourly_rows,
)
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.time_range import (
    EARLIEST,
    HOUR,
    LATEST,
    TimeRange,
    ceil_to_hour,
    floor_to_hour,
    time_range_or_none,
)
from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.http.redaction import describe_value

UNAVAILABLE_MESSAGE: Final = "deleted or no longer public"


class Outcome(StrEnum):
    """What a pull found out about a Tweet, from the most to the least severe."""

    FAILED = "failed"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    FORBIDDEN = "forbidden"
    NO_DATA = "no_data"
    UNSUPPORTED_90D = "unsupported_90d"
    UNSUPPORTED_VIDEO = "unsupported_video"
    OK = "ok"


_OLDER = "The Tweet is more than {0.days:,} days old".format
OUTCOME_MEANINGS: Final[Mapping[Outcome, tuple[str, str]]] = MappingProxyType(
    {
        Outcome.FAILED: ("The request that names the Tweet has no response", "all counts"),
        Outcome.UNAUTHORIZED: (
            "The owner's access token is missing, or the API rejects it. Other owners are not affected",
            "all counts",
        ),
        Outcome.UNAVAILABLE: ("The Tweet is deleted or no longer public", "all counts"),
        Outcome.FORBIDDEN: ("Another user posted the Tweet, and it was left out", "all counts"),
        Outcome.NO_DATA: ("The API returned no value and no reason", "the metrics in ``metrics_affected``"),
        Outcome.UNSUPPORTED_90D: (_OLDER(catalogue.ENGAGEMENT_AGE_LIMIT), "impressions and engagements"),
        Outcome.UNSUPPORTED_VIDEO: (_OLDER(catalogue.VIDEO_AGE_LIMIT), "video views"),
        Outcome.OK: ("All counts are there, or the Tweet was created after the interval", "nothing"),
    }
)
"""For each outcome, what it means, and what is null or missing."""

_BY_SEVERITY = tuple(Outcome)
_OUTCOMES_OF_AGE_LIMITS: Final = MappingProxyType(
    {
        catalogue.UNSUPPORTED_ENGAGEMENTS_KEY: Outcome.UNSUPPORTED_90D,
        catalogue.UNSUPPORTED_VIDEO_KEY: Outcome.UNSUPPORTED_VIDEO,
    }
)


@dataclass(frozen=True, slots=True)
class TweetStatus:
    """The outcome of one Tweet, and why some of its counts are null.

    :param outcome: the most severe outcome.
    :param metrics_affected: the metrics that are null.
    :param message: the reason.
    """

    outcome: Outcome
    metrics_affected: tuple[str, ...] = ()
    message: str = ""

    def joined(self, other: TweetStatus) -> TweetStatus:
        """Return the status with the more severe outcome, and the metrics and reasons of both."""
        first, second = sorted((self, other), key=lambda status: _BY_SEVERITY.index(status.outcome))
        messages = dict.fromkeys(message for message in (first.message, second.message) if message)
        return TweetStatus(
            first.outcome,
            tuple(dict.fromkeys(first.metrics_affected + second.metrics_affected)),
            "; ".join(messages),
        )


_OK = TweetStatus(Outcome.OK)


@dataclass(frozen=True, slots=True)
class CountColumns:
    """The counts of a response, as columns.

    :param tweet_ids: the Tweets that the API returned data for.
    :param periods: the start of each period, the same for every Tweet: the hours of the response's window, or one
        ``None`` on ``totals``.
    :param by_metric: for each metric, one count for each Tweet and period: all periods of the first Tweet, then all
        periods of the second.
    """

    tweet_ids: tuple[str, ...]
    periods: tuple[datetime | None, ...]
    by_metric: Mapping[str, list[Count]]


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """The response to one request.

    :param counts: the counts of the rows.
    :param groupings: the counts of the query's groupings, in the API's nesting.
    :param statuses: one status for each requested Tweet.
    :param start: the start that the API returned, if any.
    :param end: the end that the API returned, if any; it may not be a whole hour.
    :param messages: the error messages of the response.
    """

    counts: CountColumns
    groupings: Mapping[str, NestedCounts]
    statuses: Mapping[str, TweetStatus]
    start: datetime | None = None
    end: datetime | None = None
    messages: tuple[str, ...] = ()


def parse_response(request: Request, body: Mapping[str, Any]) -> ParsedResponse:
    """Parse the body of a successful response.

    :param request: the request.
    :param body: the decoded JSON object.
    :raises InvalidResponseError: if the body has an unknown shape.
    """
    query = request.query
    start, end = (_returned_time(body, key) for key in catalogue.WINDOW_KEYS)
    nulls = _reported_nulls(request, body)
    rows = body.get(query.rows_grouping)
    covered = None if query.endpoint is Endpoint.TOTALS else _covered_hours(request, rows, start, end)
    counts = _count_columns(request, rows, nulls, covered)
    null_metrics = {tweet_id: status.metrics_affected for tweet_id, status in nulls.items()}
    unavailable = {tweet_id for tweet_id, status in nulls.items() if status.outcome is Outcome.UNAVAILABLE}
    groupings = {}
    for name, group_by in query.groupings.items():
        node = from_hourly_rows(rows, group_by) if name in query.groupings_of_hours else body.get(name)
        parsed = Grouping.parse(node, group_by, name=name, metrics=query.metrics)
        groupings[name] = parsed.with_nulls(null_metrics, unavailable)
    return ParsedResponse(
        counts=counts,
        groupings={name: grouping.counts for name, grouping in groupings.items()},
        statuses=_statuses(request, nulls, _incomplete_metrics(request, counts, groupings.values())),
        start=start,
        end=end,
        messages=error_messages(body),
    )


def all_unavailable(request: Request, messages: Sequence[str]) -> ParsedResponse:
    """Return the response to a request whose Tweets are all unavailable.

    :param request: the request.
    :param messages: the error messages of the response.
    """
    return parse_response(
        request, {catalogue.UNAVAILABLE_KEY: list(request.tweet_ids), catalogue.ERRORS_KEY: list(messages)}
    )


def listed_ids(body: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the Tweet ids under a key of a body: a list, or a string separated by commas (changelog).

    :raises InvalidResponseError: if the value is something else.
    """
    value = body.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        raise InvalidResponseError(f"{key} in the response is {describe_value(value)}, which is not a list of ids.")
    return tuple(str(item).strip() for item in value)


def _returned_time(body: Mapping[str, Any], key: str) -> datetime | None:
    value = body.get(key)
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        time = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        time = None
    if time is None or not EARLIEST <= time <= LATEST:
        raise InvalidResponseError(f"{key} in the response is {describe_value(value)}, which is not a time.")
    return time


def _reported_nulls(request: Request, body: Mapping[str, Any]) -> dict[str, TweetStatus]:
    """Return the Tweets with counts that the API reports as missing, with the metrics and the reason."""
    metrics = request.query.metrics
    nulls: dict[str, TweetStatus] = {}

    def report(key: str, status: TweetStatus) -> None:
        for tweet_id in set(listed_ids(body, key)).intersection(request.tweet_ids):
            nulls[tweet_id] = nulls[tweet_id].joined(status) if tweet_id in nulls else status

    report(catalogue.UNAVAILABLE_KEY, TweetStatus(Outcome.UNAVAILABLE, metrics, UNAVAILABLE_MESSAGE))
    for limit in catalogue.AGE_LIMITS:
        affected = tuple(metric for metric in metrics if metric in limit.metrics)
        if affected:
            report(limit.key, TweetStatus(_OUTCOMES_OF_AGE_LIMITS[limit.key], affected, limit.message))
    for key in body:
        if key.startswith(catalogue.UNSUPPORTED_PREFIX) and key not in _OUTCOMES_OF_AGE_LIMITS:
            # In an undocumented list too, a metric has no value, even if the API returns 0.
            affected = tuple(metric for metric in metrics if metric in key) or metrics
            report(key, TweetStatus(Outcome.NO_DATA, affected, f"listed by the API under {key}"))
    return nulls


def _covered_hours(request: Request, rows: Any, start: datetime | None, end: datetime | None) -> TimeRange | None:
    """Return the whole hours of a response: those of its request, otherwise those that it states.

    An hour that is only partly within the stated times, such as the running hour of ``28hr``, belongs to the response
    if it has a count in it. The reference shows such an end (02:27:50), and does not say whether its hour has counts.
    """
    window = request.window
    if window is not None:
        start, end = start or window.start, end or window.end
    if start is None or end is None:
        return None
    if window is None:
        first, last = floor_to_hour(start), ceil_to_hour(end)
        if first < start and not _has_hour(request, rows, first):
            first += HOUR
        if last > end and not _has_hour(request, rows, last - HOUR):
            last -= HOUR
        if last - first > catalogue.MAX_WINDOW:
            raise InvalidResponseError(
                f"The response covers {start.isoformat()} to {end.isoformat()}, which is more than "
                f"{catalogue.MAX_WINDOW.days} days."
            )
        return time_range_or_none(first, last)
    covered = time_range_or_none(floor_to_hour(start), ceil_to_hour(end))
    if covered != window:
        raise InvalidResponseError(
            f"The response covers {start.isoformat()} to {end.isoformat()}, but {window.start.isoformat()} to "
            f"{window.end.isoformat()} was requested."
        )
    return covered


def _has_hour(request: Request, rows: Any, hour: datetime) -> bool:
    """Return whether any requested count of the rows belongs to an hour."""
    day, key = f"{hour:%Y-%m-%d}", f"{hour:%H}"
    by_tweet = as_object(rows)
    nodes = [as_object(by_tweet.get(tweet_id)) for tweet_id in request.tweet_ids]
    series = [node.get(metric) for node in nodes for metric in request.query.metrics]
    return any(key in as_object(as_object(days).get(day)) for days in series)


def _count_columns(
    request: Request, rows: Any, nulls: Mapping[str, TweetStatus], covered: TimeRange | None
) -> CountColumns:
    """Return the counts of the rows, with null for every count that the API reports as missing.

    A response can have hundreds of thousands of counts, so all counts of a Tweet and metric are parsed at once.
    """
    parser = CountParser(request.query.rows_grouping)
    is_hourly = request.query.endpoint is not Endpoint.TOTALS
    # An hourly response without a window has no data.
    hours = [covered.start + number * HOUR for number in range(covered.hours)] if covered else []
    hours_by_day: dict[str, tuple[str, ...]] = {}
    for hour in hours:
        hours_by_day[f"{hour:%Y-%m-%d}"] = (*hours_by_day.get(f"{hour:%Y-%m-%d}", ()), f"{hour:%H}")
    periods = tuple(hours) if is_hourly else (None,)
    by_tweet = as_object(rows)
    returned = {tweet_id: nulls.get(tweet_id, _OK) for tweet_id in request.tweet_ids if tweet_id in by_tweet}
    tweet_ids = tuple(tweet_id for tweet_id, status in returned.items() if status.outcome is not Outcome.UNAVAILABLE)
    all_null: list[Count] = [None] * len(periods)
    by_metric: dict[str, list[Count]] = {metric: [] for metric in request.query.metrics}
    for tweet_id in tweet_ids:
        nodes = as_object(by_tweet[tweet_id])
        for metric, column in by_metric.items():
            node = nodes.get(metric)
            if node is None or metric in returned[tweet_id].metrics_affected:
                column += all_null
            else:
                column += parser.parse(_hourly_values(node, hours_by_day) if is_hourly else [node])
    return CountColumns(tweet_ids, periods, by_metric)


def _hourly_values(node: Any, hours_by_day: Mapping[str, tuple[str, ...]]) -> list[Any]:
    values: list[Any] = []
    for hours, keys in zip(_values_of(node, tuple(hours_by_day)), hours_by_day.values(), strict=True):
        values += _values_of(hours, keys)
    return values


def _values_of(node: Any, keys: tuple[str, ...]) -> Iterable[Any]:
    """Return the values of an object's keys, and null for a missing key.

    :raises InvalidResponseError: if the object has other keys.
    """
    found = as_object(node)
    if tuple(found) == keys:
        return found.values()
    if other_keys := found.keys() - set(keys):
        raise InvalidResponseError(
            f"The response contains {describe_value(min(other_keys))}, which is outside its own window."
        )
    return map(found.get, keys)


def _incomplete_metrics(request: Request, counts: CountColumns, groupings: Iterable[Grouping]) -> dict[str, set[str]]:
    """Return, for each Tweet, the metrics that lack at least one count, whatever the reason."""
    metrics = request.query.metrics
    has_rows = set(counts.tweet_ids)
    incomplete = {tweet_id: set() if tweet_id in has_rows else set(metrics) for tweet_id in request.tweet_ids}
    length = len(counts.periods)
    for metric, column in counts.by_metric.items():
        if None in column:
            for number, tweet_id in enumerate(counts.tweet_ids):
                if None in column[number * length : (number + 1) * length]:
                    incomplete[tweet_id].add(metric)
    for grouping in groupings:
        complete = grouping.complete_cells()
        for tweet_id in request.tweet_ids:
            cell_of = tweet_id if catalogue.Dimension.TWEET in grouping.levels else None
            incomplete[tweet_id].update(metric for metric in metrics if (cell_of, metric) not in complete)
    return incomplete


def _statuses(
    request: Request, nulls: Mapping[str, TweetStatus], incomplete: Mapping[str, set[str]]
) -> dict[str, TweetStatus]:
    statuses = {}
    for tweet_id in request.tweet_ids:
        status = nulls.get(tweet_id, _OK)
        without_reason = incomplete[tweet_id].difference(status.metrics_affected)
        if without_reason:
            metrics = tuple(metric for metric in request.query.metrics if metric in without_reason)
            status = status.joined(TweetStatus(Outcome.NO_DATA, metrics, "the API returned no value"))
        statuses[tweet_id] = status
    return statuses
