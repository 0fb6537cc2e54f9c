"""Plan the fewest requests that fetch what a query asks for. Pure: no clock, no network, no storage.

The API limits the number of requests, not their size. So each request names as many Tweets as the API accepts, for as
long a window as it accepts. A *batch* is the Tweets of one request. Batches are filled in the order of creation:

* The Tweets of a batch are of about the same age, so few requests include hours before the creation of a Tweet.
* The Tweets that exist in a window are the first batches of the list. So a batch is the same in every window, except
  for the youngest batch.
* A new Tweet goes into the last batch. The other batches, and so their requests, stay the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import HISTORY_START, MAX_WINDOW, Auth
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import (
    TimeRange,
    floor_to_day,
    floor_to_hour,
    range_after_post,
    to_api,
)
from airflow_provider_engagement.tweet_id import FIRST_SNOWFLAKE_ID, created_at, first_id_at


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a plan.

    :param query: the query that the request is a part of.
    :param tweet_ids: the Tweets, oldest first, at most as many as the endpoint accepts.
    :param window: the time range; ``None`` if the endpoint accepts none.
    """

    query: Query = field(hash=False)  # it names all Tweets of a pull, so its hash would take long
    tweet_ids: tuple[str, ...]
    window: TimeRange | None

    def body(self) -> dict[str, Any]:
        """Return the JSON body to send (reference, "Request body")."""
        edges = {} if self.window is None else {"start": to_api(self.window.start), "end": to_api(self.window.end)}
        groupings = self.query.requested_groupings()
        return {
            **edges,
            "tweet_ids": list(self.tweet_ids),
            "engagement_types": list(self.query.metrics),
            "groupings": {name: {"group_by": [str(item) for item in group_by]} for name, group_by in groupings.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What it costs to send a plan.

    :param endpoint: the endpoint.
    :param auth: the kind of credentials: ``user``, ``app``, or ``user and app``.
    :param tweets: how many Tweets the queries name.
    :param owners: how many owners' access tokens are used; 0 with app credentials alone.
    :param planned_requests: how many requests the plan has.
    :param requests: how many of them are sent; the others have stored responses.
    :param lower_bound: the fewest requests in which any plan fetches all of the queries.
    :param requests_per_minute: the quota, if known.
    :param minutes: how long the requests take at the quota, if known.
    """

    endpoint: str
    auth: str
    tweets: int
    owners: int
    planned_requests: int
    requests: int
    lower_bound: int
    requests_per_minute: float | None
    minutes: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON-compatible values."""
        return asdict(self)


def estimate(
    queries: Sequence[Query],
    requests: Sequence[Request],
    *,
    to_send: int | None = None,
    requests_per_minute: float | None = None,
) -> Estimate:
    """Return what it costs to send a plan.

    :param queries: the queries, one for each account.
    :param requests: their plan.
    :param to_send: how many requests of the plan are sent; by default all.
    :param requests_per_minute: the quota, if known.
    """
    sent = len(requests) if to_send is None else to_send
    return Estimate(
        endpoint=str(queries[0].endpoint),
        auth=auth_names(queries),
        tweets=sum(len(query.tweet_ids) for query in queries),
        owners=sum(query.auth is Auth.USER for query in queries),
        planned_requests=len(requests),
        requests=sent,
        lower_bound=sum(map(lower_bound, queries)),
        requests_per_minute=requests_per_minute,
        minutes=sent / requests_per_minute if requests_per_minute else None,
    )


def auth_names(queries: Iterable[Query]) -> str:
    """Return the kinds of credentials of queries: ``user``, ``app``, or ``user and app``."""
    return " and ".join(sorted({str(query.auth) for query in queries}, reverse=True))


def lower_bound(query: Query) -> int:
    """Return the fewest requests in which any plan can fetch a query.

    A request names up to 25 Tweets for up to 672 hours, so a Tweet is named once for every 672 hours that it has.
    """
    tweet_ids = _by_creation(query)
    if query.interval is None:
        named = len(tweet_ids)
    else:
        named = sum(_count_created(tweet_ids, window.end) for window in split(query.interval))
    return -(-named // _batch_size(query))


def plan(query: Query) -> list[Request]:
    """Return the requests that fetch a query.

    The order of the Tweet ids does not matter. The requests are in the order of time, because the oldest hours are the
    first that the API no longer returns. A plan exceeds :func:`lower_bound` by at most one request per window. It names
    no Tweet that was created after the interval. A Tweet can share a request with an older one, whose window starts
    earlier: :func:`wanted_hours` returns the hours to keep.

    :param query: the query.
    """
    batches = _batches(query)
    if query.interval is None:
        return [Request(query, batch, None) for batch in batches]
    first_hours = [_creation_hour(batch[0]) for batch in batches]
    requests = []
    for window in split(query.interval):
        for batch, first_hour in zip(batches, first_hours, strict=True):
            used = _from_hour(window, first_hour)
            if used is None:
                break
            requests.append(Request(query, _created_before(batch, window.end), used))
    return requests


def plan_shared(query: Query, *, available: TimeRange) -> list[Request]:
    """Return requests that queries for other intervals over the same Tweets share.

    Queries for one day each would send a request for each batch and day. Here, each batch has *blocks* of 28 days,
    counted from the day on which its oldest Tweet was created (from 2014-09-01 if the id contains no time). A query
    requests every block that its interval overlaps, cut to ``available``. All blocks of a batch are hardly more
    requests than one query over ``available`` sends. The part of the interval outside ``available`` is requested as it
    is.

    A block within ``available`` never changes, and a block at its edge changes with it. If ``available`` is whole UTC
    days, it stays the same for a day (see
    :func:`~airflow_provider_engagement.engagement_api.time_range.whole_days_within`).

    Requests with groupings are not shared, because a grouping can add hours of the interval to other hours of a block.

    :param query: a query on ``historical``. The responses contain hours outside its interval, which are not wanted.
    :param available: the hours that the API can return, the same for all queries that share requests.
    """
    inside = None if query.interval is None or query.groupings else query.interval.intersection(available)
    if query.interval is None or inside is None:
        return plan(query)
    outside = query.interval.difference(available)
    requests = [request for rest in outside for request in plan(replace(query, interval=rest))]
    for batch in _batches(query):
        first_hour = _creation_hour(batch[0])
        wanted = _from_hour(inside, first_hour)
        if wanted is None:
            break
        for block in _blocks(wanted, anchor=HISTORY_START if first_hour is None else floor_to_day(first_hour)):
            window = block.intersection(available)
            if window is not None:
                requests.append(Request(query, _created_before(batch, window.end), window))
    return sorted(requests, key=lambda request: (request.window, int(request.tweet_ids[0])))


def plan_after_post(query: Query, *, days: int, period: int = 1) -> list[Request]:
    """Return the requests that fetch the first days of each Tweet, counted from the hour of its creation.

    Tweets that were posted close together share requests, whose windows cover the days of all of them. Of all ways to
    divide the Tweets, in the order of creation, into batches of up to 25, the plan is the one with the fewest requests.
    A response can contain other hours of a Tweet, which are not wanted: see
    :func:`~airflow_provider_engagement.engagement_api.time_range.range_after_post`.

    :param query: a query on ``historical``. Only days within its interval are requested.
    :param days: the number of days, each of 24 hours.
    :param period: 1 for the first ``days`` days, 2 for the ``days`` days that follow, and so on.
    :raises InvalidQueryError: if an id is older than 2010-11-04 and contains no time.
    """
    if query.interval is None:
        return plan(query)
    wanted = []
    for tweet_id in _by_creation(query):
        hours = range_after_post(tweet_id, days=days, period=period).intersection(query.interval)
        if hours is not None:
            wanted.append((tweet_id, hours))
    requests = []
    for batch in _batches_of_neighbors(wanted, _batch_size(query)):
        for window in split(TimeRange(batch[0][1].start, batch[-1][1].end)):
            tweet_ids = tuple(tweet_id for tweet_id, hours in batch if hours.intersection(window) is not None)
            if tweet_ids:
                requests.append(Request(query, tweet_ids, window))
    return requests


def split(interval: TimeRange) -> list[TimeRange]:
    """Return the windows of an interval, in the order of time.

    They start at the end of the interval and go backwards. So the oldest window is the short one, and the fewest Tweets
    exist in it.
    """
    windows = []
    end = interval.end
    while end > interval.start:
        start = max(interval.start, end - MAX_WINDOW)
        windows.append(TimeRange(start, end))
        end = start
    return windows[::-1]


def wanted_hours(tweet_id: str, time_range: TimeRange) -> TimeRange | None:
    """Return the part of a time range from a Tweet's creation hour on; ``None`` if the Tweet was created later.

    :param tweet_id: the Tweet. If its id contains no time, the whole time range is wanted.
    :param time_range: the time range.
    """
    return _from_hour(time_range, _creation_hour(tweet_id))


def _batches_of_neighbors(wanted: list[tuple[str, TimeRange]], batch_size: int) -> list[list[tuple[str, TimeRange]]]:
    """Divide Tweets, with their hours, into batches that need the fewest windows in total.

    Starts and ends of the hours both ascend. The fewest windows for the first Tweets follow from the fewest for even
    fewer Tweets and one last batch.
    """
    fewest = [0]
    last_batch_start = [0]
    for stop in range(1, len(wanted) + 1):
        end = wanted[stop - 1][1].end
        windows, start = min(
            (fewest[start] - (wanted[start][1].start - end) // MAX_WINDOW, start)
            for start in range(max(0, stop - batch_size), stop)
        )
        fewest.append(windows)
        last_batch_start.append(start)
    batches = []
    stop = len(wanted)
    while stop:
        start = last_batch_start[stop]
        batches.append(wanted[start:stop])
        stop = start
    return batches[::-1]


def _batch_size(query: Query) -> int:
    return catalogue.ENDPOINTS[query.endpoint].tweets_per_request


def _by_creation(query: Query) -> list[str]:
    """Return the Tweet ids in the order of creation. Ids increase with time, also those that contain none."""
    return sorted(query.tweet_ids, key=int)


def _batches(query: Query) -> list[tuple[str, ...]]:
    tweet_ids, size = _by_creation(query), _batch_size(query)
    return [tuple(tweet_ids[index : index + size]) for index in range(0, len(tweet_ids), size)]


def _creation_hour(tweet_id: str) -> datetime | None:
    created = created_at(tweet_id)
    return None if created is None else floor_to_hour(created)


def _from_hour(time_range: TimeRange, hour: datetime | None) -> TimeRange | None:
    """Return the part of a time range from an hour on; all of it if the hour is unknown."""
    if hour is None or hour <= time_range.start:
        return time_range
    return replace(time_range, start=hour) if hour < time_range.end else None


def _first_id_from(end: datetime) -> int:
    """Return the first id of Tweets that are created at or after a time."""
    return max(int(first_id_at(end)), FIRST_SNOWFLAKE_ID)


def _count_created(tweet_ids: Sequence[str], end: datetime) -> int:
    """Return how many Tweets were created before a time."""
    return bisect_left(tweet_ids, _first_id_from(end), key=int)


def _created_before(batch: tuple[str, ...], end: datetime) -> tuple[str, ...]:
    return batch if int(batch[-1]) < _first_id_from(end) else batch[: _count_created(batch, end)]


def _blocks(interval: TimeRange, *, anchor: datetime) -> Iterator[TimeRange]:
    """Yield the blocks that an interval overlaps. They are counted from an anchor in both directions."""
    start = anchor + (interval.start - anchor) // MAX_WINDOW * MAX_WINDOW
    while start < interval.end:
        yield TimeRange(start, start + MAX_WINDOW)
        start += MAX_WINDOW
