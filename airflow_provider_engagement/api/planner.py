"""From what is wanted to the fewest requests that fetch it. Pure: no clock, no network, no storage.

The API meters requests, not their size, so a plan packs Tweets full and asks for windows as long as the API grants.
Tweets are packed in the order of their creation, oldest first. That has three effects:

* a pack's members are of about the same age, so that few requests reach back before a member's creation;
* the Tweets alive in a window are the first packs of the list, so that each pack is the same in every window but for
  the youngest;
* Tweets added later fill up the last pack and leave the others as they are, and so the parts named after them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.catalogue import HISTORY_START, MAX_WINDOW, Dimension
from airflow_provider_engagement.api.query import Query
from airflow_provider_engagement.api.time_range import TimeRange, floor_to_day, floor_to_hour, range_after_post, to_api
from airflow_provider_engagement.api.tweet_id import FIRST_SNOWFLAKE_ID, created_at, first_id_at
from airflow_provider_engagement.exceptions import InvalidQueryError


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a plan.

    :param query: the query it is a part of, shared by all requests of the plan.
    :param tweet_ids: the Tweets it names, oldest first, as many as the endpoint takes at most.
    :param window: the span it asks for; ``None`` where the endpoint takes none.
    """

    query: Query
    tweet_ids: tuple[str, ...]
    window: TimeRange | None

    def body(self) -> dict[str, Any]:
        """Return the JSON body to send (reference, "Request body")."""
        span = {} if self.window is None else {"start": to_api(self.window.start), "end": to_api(self.window.end)}
        groupings = self.query.all_groupings()
        return {
            **span,
            "tweet_ids": list(self.tweet_ids),
            "engagement_types": list(self.query.metrics),
            "groupings": {name: {"group_by": [str(item) for item in group_by]} for name, group_by in groupings.items()},
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a pull would cost.

    :param tweets: how many Tweets are asked about.
    :param owners: how many distinct owners they have; each is asked with a token of its own.
    :param windows: how many windows the span falls into; 0 where the endpoint takes none.
    :param requests: how many requests are sent when none was answered before.
    :param lower_bound: how many requests no plan can do without.
    :param minutes: how long they take at the contract's rate; ``None`` if the rate is not known.
    """

    tweets: int
    owners: int
    windows: int
    requests: int
    lower_bound: int
    minutes: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data."""
        return asdict(self)


def plan(query: Query) -> list[Request]:
    """Return the requests that fetch what a query wants.

    The same set of Tweets gives the same requests, whatever its order. On ``historical`` the windows are laid from the
    end backwards and asked for in the order of time, so that hours about to fall out of the API's reach come first;
    there are at most :func:`lower_bound` and one request for each window. Tweets from after the window's end are in no
    request: see :func:`never_live`. Hours from before a Tweet's creation, which an older Tweet of the same pack brings
    along, are to be dropped: see :func:`wanted_hours`.
    """
    packs = _packs(_by_age(query), query)
    if query.window is None:
        return [Request(query, pack, None) for pack in packs]
    births = [_birth(pack) for pack in packs]
    requests = []
    for window in split(query.window):
        for pack, birth in zip(packs, births, strict=True):
            if birth is not None and birth >= window.end:
                break
            asked = window if birth is None or birth <= window.start else replace(window, start=birth)
            requests.append(Request(query, _alive(pack, window.end), asked))
    return requests


def plan_shared(query: Query, *, span: TimeRange) -> list[Request]:
    """Return requests that other queries over the same Tweets, for other windows, need too.

    A backfill of daily runs would send a request for each pack and day. Here the part of the query's window inside
    ``span`` is widened: for each pack, to the *blocks* of 28 days that it meets, counted from the creation day of the
    pack's oldest Tweet (from 2014-09-01T00:00Z where that is not known) and cut to ``span``. All blocks of a pack are
    hardly more requests than one pull over the whole ``span`` sends. What of the window lies outside ``span`` is asked
    for as it is.

    A block inside ``span`` never changes; those at its edges change with it. A span of whole UTC days (see
    :func:`~airflow_provider_engagement.api.time_range.whole_days_within`) is the same for all runs of a day.

    :param query: a query on ``historical``. Hours outside its window are in the answers and to be dropped.
    :param span: the span in which requests are shared, the same for all queries that shall share.
    :raises InvalidQueryError: if a grouping does not tell hours of the window from others.
    """
    inside = None if query.window is None else query.window.intersection(span)
    if query.window is None or inside is None:
        return plan(query)
    _check_separable(query)
    requests = [request for rest in query.window.difference(span) for request in plan(replace(query, window=rest))]
    for pack in _packs(_by_age(query), query):
        birth = _birth(pack)
        if birth is not None and birth >= inside.end:
            break
        anchor = HISTORY_START if birth is None else floor_to_day(birth)
        wanted = inside if birth is None or birth <= inside.start else replace(inside, start=birth)
        for block in _blocks(wanted, anchor):
            asked = block.intersection(span)
            if asked is not None:
                requests.append(Request(query, _alive(pack, asked.end), asked))
    return sorted(requests, key=lambda request: (request.window, int(request.tweet_ids[0])))


def plan_after_post(query: Query, *, days: int, repetition: int = 1) -> list[Request]:
    """Return the requests that fetch so many days of each Tweet's life, counted from its creation hour.

    Tweets posted close together share requests whose windows span the days of all of them; of all ways to part the
    Tweets, in the order of their creation, into groups of up to 25, the one with the fewest requests is taken. Hours
    that are in an answer and not in the days of a Tweet are to be dropped: see
    :func:`~airflow_provider_engagement.api.time_range.range_after_post`.

    :param query: a query on ``historical``; of the days, those in its window are asked for.
    :param days: how many times 24 hours.
    :param repetition: 1 for the first so many days, 2 for as many after them, and so on.
    :raises InvalidQueryError: if an id is from before 2010-11-04 and carries no time.
    """
    if query.window is None:
        return plan(query)
    lives = []
    for tweet_id in _by_age(query):
        life = range_after_post(tweet_id, days=days, repetition=repetition).intersection(query.window)
        if life is not None:
            lives.append((tweet_id, life))
    requests = []
    for group in _groups_of_neighbours(lives, _pack_size(query)):
        for window in split(TimeRange(group[0][1].start, group[-1][1].end)):
            members = tuple(tweet_id for tweet_id, life in group if life.intersection(window) is not None)
            if members:
                requests.append(Request(query, members, window))
    return requests


def split(window: TimeRange) -> list[TimeRange]:
    """Return the windows that a span falls into, in the order of time.

    They are laid from the end backwards, so that the short one is the oldest, where the fewest Tweets are alive.
    """
    windows = []
    end = window.end
    while end > window.start:
        start = max(window.start, end - MAX_WINDOW)
        windows.append(TimeRange(start, end))
        end = start
    return windows[::-1]


def wanted_hours(tweet_id: str, window: TimeRange) -> TimeRange | None:
    """Return the part of a window from a Tweet's creation hour on; ``None`` if it was created after the window.

    :param tweet_id: an id from before snowflake carries no time, and the whole window is wanted.
    """
    birth = _birth((tweet_id,))
    if birth is None or birth <= window.start:
        return window
    return replace(window, start=birth) if birth < window.end else None


def never_live(query: Query) -> tuple[str, ...]:
    """Return the Tweets that were created at or after the end of a query's window, oldest first."""
    if query.window is None:
        return ()
    tweet_ids = _by_age(query)
    return tuple(tweet_ids[_count_alive(tweet_ids, query.window.end) :])


def lower_bound(query: Query) -> int:
    """Return the number of requests that no plan for a query can do without.

    A Tweet needs to be named in one request for every 672 hours or part of them, and a request names 25 Tweets.
    """
    return -(-sum(_alive_counts(query)) // _pack_size(query))


def estimate(query: Query, requests_per_minute: float | None = None, *, owners: int = 1) -> Estimate:
    """Return what a pull would cost, without sending anything.

    :param query: what would be pulled.
    :param requests_per_minute: the contract's rate, if known.
    :param owners: how many distinct owners the Tweets have.
    """
    size = _pack_size(query)
    requests = sum(-(-count // size) for count in _alive_counts(query))
    return Estimate(
        tweets=len(query.tweet_ids),
        owners=owners,
        windows=0 if query.window is None else len(split(query.window)),
        requests=requests,
        lower_bound=lower_bound(query),
        minutes=requests / requests_per_minute if requests_per_minute else None,
    )


def _groups_of_neighbours(lives: list[tuple[str, TimeRange]], most: int) -> list[list[tuple[str, TimeRange]]]:
    """StoredResponse lives, whose starts and ends both ascend, into groups that take the fewest windows in sum.

    The fewest for the first lives follow from the fewest for less of them and one last group.
    """
    fewest = [0]
    last_group_start = [0]
    for stop in range(1, len(lives) + 1):
        end = lives[stop - 1][1].end
        windows, start = min(
            (fewest[start] - (lives[start][1].start - end) // MAX_WINDOW, start)
            for start in range(max(0, stop - most), stop)
        )
        fewest.append(windows)
        last_group_start.append(start)
    groups = []
    stop = len(lives)
    while stop:
        start = last_group_start[stop]
        groups.append(lives[start:stop])
        stop = start
    return groups[::-1]


def _check_separable(query: Query) -> None:
    """Refuse groupings that would add up hours of the window and hours of the blocks around it."""
    edges = () if query.window is None else (query.window.start, query.window.end)
    days = all(edge == floor_to_day(edge) for edge in edges)
    needed = {Dimension.DAY} if days else {Dimension.DAY, Dimension.HOUR}
    for name, group_by in query.all_groupings().items():
        missing = sorted(needed.difference(group_by))
        if missing:
            raise InvalidQueryError(
                "groupings",
                f"{name!r} lacks {missing[0]}, which shared requests need",
                "Ask by the hour and add up, or do not share.",
            )


def _pack_size(query: Query) -> int:
    return catalogue.ENDPOINTS[query.endpoint].tweets_per_request


def _by_age(query: Query) -> list[str]:
    """Ids grow with time, those from before snowflake too."""
    return sorted(query.tweet_ids, key=int)


def _packs(tweet_ids: list[str], query: Query) -> list[tuple[str, ...]]:
    size = _pack_size(query)
    return [tuple(tweet_ids[index : index + size]) for index in range(0, len(tweet_ids), size)]


def _birth(pack: tuple[str, ...]) -> datetime | None:
    """Return the hour of a pack's oldest Tweet; ``None`` if that is from before snowflake."""
    created = created_at(pack[0])
    return None if created is None else floor_to_hour(created)


def _first_unborn(end: datetime) -> int:
    return max(int(first_id_at(end)), FIRST_SNOWFLAKE_ID)


def _count_alive(tweet_ids: list[str] | tuple[str, ...], end: datetime) -> int:
    return bisect_left(tweet_ids, _first_unborn(end), key=int)


def _alive(pack: tuple[str, ...], end: datetime) -> tuple[str, ...]:
    return pack if int(pack[-1]) < _first_unborn(end) else pack[: _count_alive(pack, end)]


def _alive_counts(query: Query) -> list[int]:
    """Return how many Tweets each window has to name."""
    if query.window is None:
        return [len(query.tweet_ids)]
    tweet_ids = _by_age(query)
    return [_count_alive(tweet_ids, window.end) for window in split(query.window)]


def _blocks(window: TimeRange, anchor: datetime) -> Iterator[TimeRange]:
    """Yield the blocks that a window meets, of those counted from an anchor in both directions."""
    start = anchor + (window.start - anchor) // MAX_WINDOW * MAX_WINDOW
    while start < window.end:
        yield TimeRange(start, start + MAX_WINDOW)
        start += MAX_WINDOW
