"""Divide a query by the credentials that read its Tweets: one query for each account. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_provider_engagement.engagement_api.catalogue import ENDPOINTS, METRICS, Auth, Endpoint
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.tweet_id import TweetIds, first_id_at

AGE_MARGIN = timedelta(days=1)
"""How much older than an age limit a Tweet must be before its metrics are left out without asking the API."""


def route(query: Query, owners: Mapping[str, str | None], *, has_app: bool, now: datetime) -> list[Query]:
    """Return one query for each owner and, if it takes fewer requests, one with app credentials.

    Only the owner's access token reads the metrics of a Tweet that are not public, and a request is signed with one
    token (guide, authentication). On ``totals``, old Tweets have public metrics alone. App credentials read these for
    Tweets of all owners in the same request. The old Tweets for which an owner's own requests have room stay there.

    :param query: the query for all Tweets.
    :param owners: the owner of each Tweet; ``None`` or nothing for the user of the connection.
    :param has_app: whether the connection has app credentials.
    :param now: the current time.
    :return: queries that name each Tweet once, in the order in which their owners appear.
    """
    if query.auth is Auth.APP:
        return [query]
    by_owner: dict[str | None, list[str]] = {}
    for tweet_id in query.tweet_ids:
        by_owner.setdefault(owners.get(tweet_id), []).append(tweet_id)
    alone = [replace(query, owner=owner, tweet_ids=TweetIds(ids)) for owner, ids in by_owner.items()]
    private = tuple(metric for metric in query.metrics if not METRICS[metric].public)
    public = tuple(metric for metric in query.metrics if METRICS[metric].public)
    limits = [METRICS[metric].totals_age_limit for metric in private]
    if query.endpoint is not Endpoint.TOTALS or query.groupings or not (has_app and public and private):
        return alone
    if None in limits:
        return alone
    created_before = now - max(limit for limit in limits if limit is not None) - AGE_MARGIN
    kept: list[Query] = []
    for_app: list[str] = []
    for one in alone:
        own, old = _divide_by_age(one.tweet_ids, created_before, ENDPOINTS[query.endpoint].tweets_per_request)
        for_app += old
        if own:
            kept.append(replace(one, tweet_ids=TweetIds(own)))
    if not for_app:
        return alone
    with_app = [
        *kept,
        replace(query, auth=Auth.APP, owner=None, tweet_ids=TweetIds(for_app), metrics=public, too_old_for=private),
    ]
    return with_app if _count_requests(with_app) < _count_requests(alone) else alone


def _divide_by_age(
    tweet_ids: Sequence[str], created_before: datetime, batch_size: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the Tweets to request with the owner's token, and the rest, of which all are old."""
    # An id that contains no time is from before 2010-11-04. A time is read from an id to the millisecond.
    first_young = int(first_id_at(created_before + timedelta(microseconds=999)))
    old = [tweet_id for tweet_id in tweet_ids if int(tweet_id) < first_young]
    room = -(len(tweet_ids) - len(old)) % batch_size
    moved = old[room:]
    without = set(moved)
    return tuple(tweet_id for tweet_id in tweet_ids if tweet_id not in without), tuple(moved)


def _count_requests(queries: Sequence[Query]) -> int:
    return sum(-(-len(query.tweet_ids) // ENDPOINTS[query.endpoint].tweets_per_request) for query in queries)
