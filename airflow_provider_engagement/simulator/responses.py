"""The bodies of successful responses: permissions, unavailable and unsupported Tweets, and the counts."""

from __future__ import annotations

import random
from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import (
    ENGAGEMENT_AGE_LIMIT,
    ERRORS_KEY,
    UNAVAILABLE_KEY,
    UNSUPPORTED_ENGAGEMENTS_KEY,
    UNSUPPORTED_VIDEO_KEY,
    VIDEO_AGE_LIMIT,
    ZERO_BEFORE,
    ZERO_METRICS,
    Auth,
    Endpoint,
    metrics_of,
)
from airflow_provider_engagement.simulator.counts import hours_since_1970
from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.errors import (
    NO_USER,
    UNAVAILABLE,
    UNKNOWN_AUTHORIZATION,
    RejectedRequest,
    age_limit_message,
    forbidden_metrics_message,
    forbidden_tweets_messages,
    unauthenticated_message,
    unavailable_message,
)
from airflow_provider_engagement.simulator.grouped_counts import GroupedCounts, in_key_order
from airflow_provider_engagement.simulator.signature import Identity
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.validation import ParsedRequest, format_time, present_name
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.simulator.world import World

_WITH_AGE_LIMIT = frozenset({"impressions", "engagements"})


def response_body(
    request: ParsedRequest, identity: Identity, world: World, *, now: datetime, switches: Switches
) -> dict[str, Any]:
    """Return the body of a response with status 200.

    :param request: a valid request.
    :param identity: the app and user that sent it.
    :param world: the Tweets and their counts.
    :param now: the time of the data clock.
    :param switches: the behavior of the API.
    :raises RejectedRequest: a metric or a Tweet is forbidden, or no Tweet is available.
    """
    _check_metric_access(request, identity, switches)
    if identity.handle is not None:
        _check_ownership(request, identity.handle.user_id, world, now, switches)
    available = [tweet for tweet_id in request.tweet_ids if (tweet := _available(world, tweet_id, now)) is not None]
    if switches.protected_tweets != "listed" and any(_is_protected(world, listed) for listed in request.tweet_ids):
        number = len(request.tweet_ids) - len(available)
        raise RejectedRequest(
            400, UNAVAILABLE if switches.protected_tweets == "unnamed" else unavailable_message(number)
        )
    body: dict[str, Any] = {}
    errors: list[str] = []
    if len(available) < len(request.tweet_ids):
        ids = {tweet.id for tweet in available}
        unavailable = [tweet_id for tweet_id in request.tweet_ids if tweet_id not in ids]
        if not available and switches.all_unavailable_status == 400:
            raise RejectedRequest(400, unavailable_message(len(unavailable)), extra={UNAVAILABLE_KEY: unavailable})
        body[UNAVAILABLE_KEY] = unavailable
        errors.append(unavailable_message(len(unavailable)))
    too_old: list[str] = []
    if request.endpoint is Endpoint.TOTALS or switches.old_impressions_scope == "all":
        too_old = _older_than(ENGAGEMENT_AGE_LIMIT, available, now, switches)
    if too_old and _WITH_AGE_LIMIT & set(request.metrics):
        body[UNSUPPORTED_ENGAGEMENTS_KEY] = too_old
        errors.append(age_limit_message(format_time(now - ENGAGEMENT_AGE_LIMIT)))
    old_videos = _older_than(VIDEO_AGE_LIMIT, available, now, switches)
    if old_videos and "video_views" in request.metrics:
        body[UNSUPPORTED_VIDEO_KEY] = old_videos
    if errors and switches.errors_in_partial:
        body[ERRORS_KEY] = errors

    metrics = [*request.metrics, *_extra_metric(request, identity)] if switches.extra_metrics else request.metrics
    visible = VisibleCounts.under(switches, source=world.counts, now=now)
    series = {tweet.id: _series(request, tweet, metrics, world, visible) for tweet in available}
    _remove_unsupported(series, set(too_old), set(old_videos), zero=switches.old_impressions == "zero")
    shuffler = random.Random("".join(request.tweet_ids)) if switches.key_order == "shuffled" else None
    grouped = GroupedCounts(series, metrics, request.window, shuffler, switches)
    body |= {name: grouped.by(group_by) for name, group_by in request.groupings.items()}
    if request.window is not None:
        body["start"] = format_time(request.window.reported_start)
        body["end"] = format_time(request.window.reported_end)
    return dict(in_key_order(body.items(), shuffler))


def _check_metric_access(request: ParsedRequest, identity: Identity, switches: Switches) -> None:
    if request.endpoint is not Endpoint.TOTALS and identity.auth is Auth.APP:
        if switches.app_on_series == "type":
            raise RejectedRequest(401, unauthenticated_message(UNKNOWN_AUTHORIZATION))
        if switches.app_on_series == "code":
            raise RejectedRequest(403, NO_USER)
    allowed = metrics_of(request.endpoint, identity.auth)
    forbidden = [metric for metric in request.metrics if present_name(metric) not in allowed]
    if forbidden:
        raise RejectedRequest(switches.forbidden_metrics_status, forbidden_metrics_message(forbidden))


def _check_ownership(request: ParsedRequest, user_id: str, world: World, now: datetime, switches: Switches) -> None:
    by_author: dict[str, list[str]] = {}
    for tweet_id in request.tweet_ids:
        tweet = _created(world, tweet_id, now)
        if tweet is not None and tweet.author_id != user_id:
            by_author.setdefault(tweet.author_id, []).append(tweet_id)
    if by_author:
        raise RejectedRequest(403, *forbidden_tweets_messages(by_author, plain=switches.forbidden_format == "plain"))


def _created(world: World, tweet_id: str, now: datetime) -> Tweet | None:
    """Return the Tweet with an id if it has been created, even if it is deleted."""
    tweet = world.tweets.get(tweet_id)
    if tweet is None or (tweet.created_at is not None and tweet.created_at > now):
        return None
    return tweet


def _available(world: World, tweet_id: str, now: datetime) -> Tweet | None:
    tweet = _created(world, tweet_id, now)
    return None if tweet is None or tweet.deleted or _is_protected(world, tweet_id) else tweet


def _is_protected(world: World, tweet_id: str) -> bool:
    tweet = world.tweets.get(tweet_id)
    author = None if tweet is None else world.handles.get(tweet.author_id)
    return author is not None and author.protected


def _older_than(limit: timedelta, tweets: Sequence[Tweet], now: datetime, switches: Switches) -> list[str]:
    """Return the ids of the Tweets past an age limit. Tweets of unknown age are past every limit."""
    oldest = now - limit
    if switches.age_boundary == "day":
        oldest = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
    return [tweet.id for tweet in tweets if tweet.created_at is None or tweet.created_at < oldest]


def _extra_metric(request: ParsedRequest, identity: Identity) -> list[str]:
    """Return an allowed metric that the request does not name, as an example of the documentation shows one."""
    requested = {present_name(metric) for metric in request.metrics}
    others = [
        metric
        for metric in metrics_of(request.endpoint, identity.auth)
        if metric not in requested and metric not in _WITH_AGE_LIMIT and metric != "video_views"
    ]
    return others[-1:]


def _series(
    request: ParsedRequest, tweet: Tweet, metrics: Sequence[str], world: World, visible: VisibleCounts
) -> dict[str, Sequence[int]]:
    """Return the counts of a Tweet by metric: one per hour of the window, or a single total."""
    if request.window is None:
        return {metric: [world.visible_total(tweet.id, metric, visible)] for metric in metrics}
    first = round(hours_since_1970(request.window.start))
    edges = range(first, round(hours_since_1970(request.window.end)) + 1)
    cumulative = visible.cumulative(tweet, {present_name(metric) for metric in metrics}, edges)
    series: dict[str, Sequence[int]] = {}
    for metric in metrics:
        counts = [after - before for before, after in pairwise(cumulative[present_name(metric)])]
        if request.endpoint is Endpoint.HISTORICAL and metric in ZERO_METRICS:
            missing = max(0, round(hours_since_1970(ZERO_BEFORE)) - first)
            counts[:missing] = [0] * len(counts[:missing])
        series[metric] = counts
    return series


def _remove_unsupported(
    series: dict[str, dict[str, Sequence[int]]], too_old: Set[str], old_videos: Set[str], *, zero: bool
) -> None:
    """Remove the counts that Tweets past an age limit do not have.

    :param series: the counts, by Tweet id and metric.
    :param too_old: the Tweets without impressions and engagements.
    :param old_videos: the Tweets whose video views are zero.
    :param zero: whether impressions and engagements become zero; otherwise they are left out.
    """
    for tweet_id, by_metric in series.items():
        for metric, counts in list(by_metric.items()):
            if metric == "video_views" and tweet_id in old_videos:
                by_metric[metric] = [0] * len(counts)
            elif metric in _WITH_AGE_LIMIT and tweet_id in too_old:
                if zero:
                    by_metric[metric] = [0] * len(counts)
                else:
                    del by_metric[metric]
