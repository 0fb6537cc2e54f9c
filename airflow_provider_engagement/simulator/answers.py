"""Makes the body of an answer: who may see what, which Tweets are left out and why, and the nested counts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from airflow_provider_engagement.api.catalogue import (
    ENGAGEMENT_AGE_LIMIT,
    ERRORS_KEY,
    METRICS,
    RENAMED_METRICS,
    UNAVAILABLE_KEY,
    UNSUPPORTED_ENGAGEMENTS_KEY,
    UNSUPPORTED_VIDEO_KEY,
    VIDEO_AGE_LIMIT,
    ZERO_BEFORE,
    Auth,
    Dimension,
    Endpoint,
    metrics_of,
)
from airflow_provider_engagement.simulator.counts import Sight, Tweet, hours_since_1970
from airflow_provider_engagement.simulator.refusal import (
    UNKNOWN_AUTHORIZATION,
    Refusal,
    forbidden_metrics,
    forbidden_tweets,
    too_old,
    unauthenticated,
    unavailable,
)
from airflow_provider_engagement.simulator.signature import Identity
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.validation import Asked, Window, written
from airflow_provider_engagement.simulator.world import World

_AGED = frozenset({"impressions", "engagements"})
_ABSENT_BEFORE = frozenset({"favorites", "replies", "retweets"})
_TIME = (Dimension.DAY, Dimension.HOUR)

Series = Mapping[str, Mapping[str, Sequence[int]]]
"""Counts by Tweet and metric: one for each hour of the window, or a single total."""


def answer(asked: Asked, identity: Identity, world: World, *, now: datetime, switches: Switches) -> dict[str, Any]:
    """Return the body of a 200.

    :param asked: a valid request.
    :param identity: who asks.
    :param now: the data clock.
    :raises Refusal: the metrics or the Tweets are out of bounds, or no Tweet is available.
    """
    _check_metrics(asked, identity, switches)
    if identity.handle is not None:
        _check_ownership(asked, identity.handle.user_id, world, now, switches)
    readable = [tweet for tweet_id in asked.tweet_ids if (tweet := _readable(world, tweet_id, now)) is not None]
    body: dict[str, Any] = {}
    errors: list[str] = []
    if len(readable) < len(asked.tweet_ids):
        found = {tweet.id for tweet in readable}
        missing = [tweet_id for tweet_id in asked.tweet_ids if tweet_id not in found]
        if not readable and switches.all_unavailable_status == 400:
            raise Refusal(400, unavailable(len(missing)), extra={UNAVAILABLE_KEY: missing})
        body[UNAVAILABLE_KEY] = missing
        errors.append(unavailable(len(missing)))
    ages = _Ages(now, switches)
    aged = ages.past(ENGAGEMENT_AGE_LIMIT, readable) if _has_age_rule(asked.endpoint, switches) else frozenset()
    if aged and _AGED & set(asked.metrics):
        body[UNSUPPORTED_ENGAGEMENTS_KEY] = [tweet.id for tweet in readable if tweet.id in aged]
        errors.append(too_old(written(now - ENGAGEMENT_AGE_LIMIT)))
    old_videos = ages.past(VIDEO_AGE_LIMIT, readable)
    if old_videos and "video_views" in asked.metrics:
        body[UNSUPPORTED_VIDEO_KEY] = [tweet.id for tweet in readable if tweet.id in old_videos]
    if errors and switches.errors_in_partial:
        body[ERRORS_KEY] = errors

    sight = Sight(counts=world.counts, now=now, withdrawals=switches.negative_counts, restatement=switches.restatement)
    metrics = [*asked.metrics, *_unasked(asked, identity)] if switches.extra_metrics else [*asked.metrics]
    series: dict[str, dict[str, Sequence[int]]] = {}
    for tweet in readable:
        counted = _counted(asked, tweet, metrics, world, sight)
        nothing = [0] * len(next(iter(counted.values())))
        if tweet.id in old_videos and "video_views" in counted:
            counted["video_views"] = nothing
        if tweet.id in aged:
            for metric in _AGED & counted.keys():
                if switches.old_impressions == "zero":
                    counted[metric] = nothing
                else:
                    del counted[metric]
        series[tweet.id] = counted

    chance = random.Random("".join(asked.tweet_ids)) if switches.key_order == "shuffled" else None
    nest = _Nest(series, metrics, asked.window, chance, switches)
    body |= {name: nest.grouped(group_by) for name, group_by in asked.groupings.items()}
    if asked.window is not None:
        body["start"] = written(asked.window.shown_start)
        body["end"] = written(asked.window.shown_end)
    return dict(_ordered(body.items(), chance))


def _check_metrics(asked: Asked, identity: Identity, switches: Switches) -> None:
    if asked.endpoint is not Endpoint.TOTALS and identity.auth is Auth.APP and switches.app_on_series == "type":
        raise Refusal(401, unauthenticated(UNKNOWN_AUTHORIZATION))
    allowed = metrics_of(asked.endpoint, identity.auth)
    forbidden = [metric for metric in asked.metrics if _present_name(metric) not in allowed]
    if forbidden:
        raise Refusal(403, forbidden_metrics(forbidden))


def _present_name(metric: str) -> str:
    renamed = RENAMED_METRICS.get(metric)
    return metric if renamed is None else renamed.new


def _check_ownership(asked: Asked, user_id: str, world: World, now: datetime, switches: Switches) -> None:
    foreign: dict[str, list[str]] = {}
    for tweet_id in asked.tweet_ids:
        tweet = _written(world, tweet_id, now)
        if tweet is not None and tweet.author_id != user_id:
            foreign.setdefault(tweet.author_id, []).append(tweet_id)
    if foreign:
        raise Refusal(403, *forbidden_tweets(foreign, plain=switches.forbidden_format == "plain"))


def _written(world: World, tweet_id: str, now: datetime) -> Tweet | None:
    """Return a Tweet if there is, or was, one of this id at an instant."""
    tweet = world.tweets.get(tweet_id)
    if tweet is None or (tweet.created_at is not None and tweet.created_at > now):
        return None
    return tweet


def _readable(world: World, tweet_id: str, now: datetime) -> Tweet | None:
    tweet = _written(world, tweet_id, now)
    if tweet is None or tweet.deleted:
        return None
    author = world.handles.get(tweet.author_id)
    return None if author is not None and author.protected else tweet


@dataclass(frozen=True, slots=True)
class _Ages:
    now: datetime
    switches: Switches

    def past(self, limit: timedelta, tweets: Iterable[Tweet]) -> frozenset[str]:
        """Return the ids of the Tweets older than a limit. Ids that carry no time are older than everything."""
        cut = self.now - limit
        if self.switches.age_boundary == "day":
            cut = cut.replace(hour=0, minute=0, second=0, microsecond=0)
        return frozenset(tweet.id for tweet in tweets if tweet.created_at is None or tweet.created_at < cut)


def _has_age_rule(endpoint: Endpoint, switches: Switches) -> bool:
    return endpoint is Endpoint.TOTALS or switches.old_impressions_scope == "all"


def _unasked(asked: Asked, identity: Identity) -> list[str]:
    """Return one metric that could have been asked for but was not, as the documentation's own example does."""
    asked_for = {_present_name(metric) for metric in asked.metrics}
    plain = [
        metric
        for metric in metrics_of(asked.endpoint, identity.auth)
        if metric not in asked_for and metric not in _AGED and metric != "video_views"
    ]
    return plain[-1:]


def _counted(
    asked: Asked, tweet: Tweet, metrics: Sequence[str], world: World, sight: Sight
) -> dict[str, Sequence[int]]:
    if asked.window is None:
        return {metric: [world.seen_total(tweet.id, metric, sight)] for metric in metrics}
    first = round(hours_since_1970(asked.window.start))
    edges = range(first, round(hours_since_1970(asked.window.end)) + 1)
    known = sight.cumulative(tweet, {_present_name(metric) for metric in metrics}, edges)
    counted: dict[str, Sequence[int]] = {}
    for metric in metrics:
        sums = known[_present_name(metric)]
        counts = [after - before for before, after in pairwise(sums)]
        if asked.endpoint is Endpoint.HISTORICAL and metric in _ABSENT_BEFORE:
            absent = max(0, round(hours_since_1970(ZERO_BEFORE)) - first)
            counts[:absent] = [0] * len(counts[:absent])
        counted[metric] = counts
    return counted


class _Nest:
    """Turns series into nested objects, one level for each item of a grouping.

    :param series: the counts.
    :param metrics: the order of the metrics, which decides their type when types are mixed.
    :param window: the hours of the series; ``None`` if each is a single total.
    :param chance: shuffles the keys; ``None`` leaves them sorted.
    """

    def __init__(
        self,
        series: Series,
        metrics: Sequence[str],
        window: Window | None,
        chance: random.Random | None,
        switches: Switches,
    ) -> None:
        self._series = series
        self._metrics = metrics
        self._chance = chance
        self._switches = switches
        days: dict[str, list[tuple[str, int]]] = {}
        if window is not None:
            first = round(hours_since_1970(window.start))
            for index in range(round(hours_since_1970(window.end)) - first):
                moment = datetime.fromtimestamp((first + index) * 3600, UTC)
                days.setdefault(f"{moment:%Y-%m-%d}", []).append((f"{moment:%H}", index))
        self._days = {day: _ordered(hours, chance) for day, hours in _ordered(days.items(), chance)}

    def grouped(self, group_by: tuple[Dimension, ...]) -> Any:
        """Return the counts in the shape of a grouping."""
        if Dimension.HOUR in group_by and Dimension.DAY not in group_by and self._switches.hour_without_day == "dated":
            at = group_by.index(Dimension.HOUR)
            group_by = (*group_by[:at], Dimension.DAY, *group_by[at:])
        entities = tuple(item for item in group_by if item not in _TIME)
        times = tuple(item for item in group_by if item in _TIME)
        over_time = self._over_time(times)
        root: dict[str, Any] = {}
        for keys, metric, counts in self._rows(entities):
            leaf = self._leaf(metric)
            if group_by == entities + times:
                _place(root, keys, over_time(counts, leaf))
                continue
            flat = _flat(over_time(counts, leaf), len(times))
            for moments, value in flat:
                named = dict(zip(entities + times, keys + moments, strict=True))
                _place(root, tuple(named[item] for item in group_by), value)
        return root

    def _rows(self, entities: tuple[Dimension, ...]) -> Iterable[tuple[tuple[str, ...], str, Sequence[int]]]:
        """Yield the keys, the metric and the counts of each combination of Tweet and metric, or of each metric."""
        if Dimension.TWEET in entities:
            for tweet_id in _ordered(self._series, self._chance):
                for metric in _ordered(self._series[tweet_id], self._chance):
                    named = {Dimension.TWEET: tweet_id, Dimension.METRIC: metric}
                    yield tuple(named[item] for item in entities), metric, self._series[tweet_id][metric]
            return
        for metric in _ordered(self._metrics, self._chance):
            parts = [counted[metric] for counted in self._series.values() if metric in counted]
            if parts:
                yield (metric,), metric, [sum(column) for column in zip(*parts, strict=True)]

    def _over_time(self, times: tuple[Dimension, ...]) -> Callable[[Sequence[int], Callable[[int], Any]], Any]:
        """Return what arranges a series by some dimensions of time."""
        days = self._days
        if times == (Dimension.DAY,):
            return lambda counts, leaf: {
                day: leaf(sum(counts[index] for _, index in hours)) for day, hours in days.items()
            }
        if times == (Dimension.DAY, Dimension.HOUR):
            return lambda counts, leaf: {
                day: {hour: leaf(counts[index]) for hour, index in hours} for day, hours in days.items()
            }
        by_hour: dict[str, list[tuple[str, int]]] = {}
        for day, hours in days.items():
            for hour, index in hours:
                by_hour.setdefault(hour, []).append((day, index))
        if times == (Dimension.HOUR,):
            return lambda counts, leaf: {
                hour: leaf(sum(counts[index] for _, index in entries)) for hour, entries in by_hour.items()
            }
        if times == (Dimension.HOUR, Dimension.DAY):
            return lambda counts, leaf: {
                hour: {day: leaf(counts[index]) for day, index in entries} for hour, entries in by_hour.items()
            }
        return lambda counts, leaf: leaf(sum(counts))

    def _leaf(self, metric: str) -> Callable[[int], Any]:
        if self._switches.values == "string":
            return str
        if self._switches.values == "int":
            return int
        return int if list(METRICS).index(_present_name(metric)) % 2 else str


def _place(root: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        root = root.setdefault(key, {})
    root[keys[-1]] = value


def _flat(tree: Any, depth: int) -> list[tuple[tuple[str, ...], Any]]:
    if depth == 0:
        return [((), tree)]
    return [((key, *keys), value) for key, branch in tree.items() for keys, value in _flat(branch, depth - 1)]


def _ordered(items: Iterable[Any], chance: random.Random | None) -> list[Any]:
    ordered = sorted(items, key=lambda item: item if isinstance(item, str) else item[0])
    if chance is not None:
        chance.shuffle(ordered)
    return ordered
