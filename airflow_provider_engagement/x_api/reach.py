"""How far back a listing reaches: X lists only the newest Tweets of a user, and ends as if there were no others.

A listing is known to be complete in three cases: the user has no more Tweets than X lists, fewer Tweets were listed
since its start than X lists, or X lists Tweets from before its start. To find out about the last takes a *probe*: a
request for the smallest page of Tweets before the start.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from airflow_provider_engagement.x_api.catalogue import EARLIEST_TIME, SMALLEST_PAGE
from airflow_provider_engagement.x_api.planner import PageRequest
from airflow_provider_engagement.x_api.query import ListingQuery


def is_complete(query: ListingQuery, *, listed: int, tweet_count: int | None, now: datetime) -> bool:
    """Return whether a listing is complete without a probe.

    :param query: the query.
    :param listed: how many Tweets all its pages have.
    :param tweet_count: how many Tweets the user has in total, if the API says so.
    :param now: when its first page was requested.
    """
    if tweet_count is not None and tweet_count <= query.reach:
        return True
    # Tweets after the end and those that are left out count against the reach, but are not in the list.
    lists_all_since_start = not query.excluded and (query.end is None or query.end >= now)
    return query.start is not None and lists_all_since_start and listed < query.reach


def plan_probe(query: ListingQuery) -> PageRequest | None:
    """Return the request that shows whether X lists Tweets from before the start of a listing.

    :param query: the query. Without a start, or with the earliest start, there is nothing before it.
    """
    if query.start is None or query.start <= EARLIEST_TIME:
        return None
    return PageRequest(replace(query, start=None, end=query.start), size=SMALLEST_PAGE)


def complete_from(
    query: ListingQuery, *, is_complete: bool, oldest_listed: datetime | None, now: datetime
) -> datetime | None:
    """Return the time from which on a listing is certain to have all Tweets.

    :param query: the query.
    :param is_complete: whether it is complete, or a probe found Tweets from before its start.
    :param oldest_listed: when the oldest listed Tweet was created.
    :param now: when its first page was requested.
    :return: ``None`` if the listing has all Tweets of the user, however old.
    """
    if is_complete:
        return query.start
    if oldest_listed is not None:
        return oldest_listed
    return min(query.end, now) if query.end is not None else now
