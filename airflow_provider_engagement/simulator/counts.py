"""How often a Tweet was seen, liked, clicked…: a pure function of Tweet, metric and time.

The function is *cumulative*: the engagement of a Tweet from its creation until an instant. The count of an hour, of a
day or of a window is a difference of two of its values, so hours add up to days, days to windows and windows to
totals, and the total of a Tweet ten years old costs as little as that of a new one.

Instants are hours since 1970-01-01T00:00Z; a fraction means an hour that is still running.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import accumulate
from typing import Final, Protocol

from airflow_provider_engagement.api.catalogue import METRICS
from airflow_provider_engagement.api.tweet_id import created_at

RESTATED_FOR: Final = 48
"""How many hours a number keeps growing while restatement is switched on."""

WITHDRAWABLE: Final = frozenset({"favorites", "retweets", "replies", "quote_tweets", "user_follows"})

_PER_IMPRESSION: Final[Mapping[str, float]] = {
    "impressions": 1.0,
    "engagements": 0.042,
    "favorites": 0.013,
    "retweets": 0.0031,
    "replies": 0.0023,
    "quote_tweets": 0.0007,
    "video_views": 0.31,
    "media_views": 0.44,
    "media_engagements": 0.011,
    "url_clicks": 0.0083,
    "hashtag_clicks": 0.0016,
    "detail_expands": 0.0127,
    "permalink_clicks": 0.0009,
    "app_install_attempts": 0.0002,
    "app_opens": 0.0003,
    "email_tweet": 0.0001,
    "user_follows": 0.0005,
    "user_profile_clicks": 0.0061,
}
_LEAST_IMPRESSIONS: Final = 150.0
_BEFORE_SNOWFLAKE: Final = 340_000.0
_MASK: Final = (1 << 64) - 1
_RHYTHM: Final = 0.6
_TURN: Final = 2 * math.pi / 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Tweet:
    """A Tweet of the simulated world.

    :param id: its id, as a decimal string.
    :param author_id: the numeric id of its author, as a decimal string.
    :param created: when it was written; left out, its id tells. Ids from before snowflake tell nothing and count as
        older than everything.
    :param deleted: it cannot be read any more.
    :param video_id: the video it carries, if any. Several Tweets may carry the same one.
    """

    id: str
    author_id: str
    created: datetime | None = None
    deleted: bool = False
    video_id: str | None = None

    @property
    def has_video(self) -> bool:
        """Whether the Tweet carries a video."""
        return self.video_id is not None

    @property
    def created_at(self) -> datetime | None:
        """When the Tweet was written; ``None`` if nothing tells."""
        return self.created if self.created is not None else created_at(self.id)


class Counts(Protocol):
    """The engagement of every Tweet over time."""

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], moments: Sequence[float]) -> dict[str, list[int]]:
        """Return, for each metric, how much a Tweet had gathered by each of some instants."""

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return the running total of a Tweet where it was laid down by hand; ``None`` where it was not."""


@dataclass(frozen=True, slots=True)
class SeededCounts:
    """Engagement that follows from a seed: a burst that decays, a daily rhythm, some jitter, a heavy tail of hits.

    :param seed: the same seed gives the same numbers.
    """

    seed: int = 0

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], moments: Sequence[float]) -> dict[str, list[int]]:
        """Return, for each metric, how much a Tweet had gathered by each of some instants."""
        shares = self._shares(tweet, moments)
        return {metric: self._metric(tweet, metric, shares) for metric in metrics}

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return ``None``: nothing is laid down by hand here."""
        return None

    def _metric(self, tweet: Tweet, metric: str, shares: Sequence[float]) -> list[int]:
        if metric == "video_views" and not tweet.has_video:
            return [0] * len(shares)
        own = _fractions(self.seed, tweet.id, metric)
        popularity = min(_LEAST_IMPRESSIONS * _fractions(self.seed, tweet.id)[0] ** -1.2, 2e8)
        in_the_end = popularity * _PER_IMPRESSION[metric] * 4 ** (own[0] - 0.5)
        lag = 1.0 + 0.5 * own[1]
        return [int(in_the_end * share**lag) for share in shares]

    def _shares(self, tweet: Tweet, moments: Sequence[float]) -> list[float]:
        """Return which share of all its engagement a Tweet had gathered by each of some instants, from 0 to 1."""
        _, slowness, steepness, key = _fractions(self.seed, tweet.id)
        birth = hours_since_1970(tweet.created_at) if tweet.created_at is not None else _BEFORE_SNOWFLAKE
        warped_birth = _warped(birth)
        time_constant = 2.0 + 10.0 * slowness
        decay = -(0.8 + steepness)
        jitter = int(key * _MASK)

        def share(hour: int) -> float:
            if hour <= birth:
                return 0.0
            age = _warped(hour + _jitter(jitter, hour)) - warped_birth
            return 1.0 - (1.0 + age / time_constant) ** decay if age > 0 else 0.0

        def between(moment: float) -> float:
            hour = math.floor(moment)
            before = share(hour)
            return before + (share(hour + 1) - before) * (moment - hour)

        return [share(int(moment)) if moment == int(moment) else between(moment) for moment in moments]


class ExplicitCounts:
    """Engagement laid down by hand, hour by hour. What is not laid down is zero.

    :param hourly: the count of a Tweet and a metric in the hour that begins at an instant. It counts in full as soon
        as the hour has begun.
    :param totals: running totals that are *not* the sum of the hours, as for Tweets whose past is not laid down.
    """

    def __init__(
        self,
        hourly: Mapping[tuple[str, str, datetime], int] | None = None,
        totals: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        by_series: dict[tuple[str, str], dict[float, int]] = {}
        for (tweet_id, metric, hour), count in (hourly or {}).items():
            by_series.setdefault((tweet_id, metric), {})[hours_since_1970(hour)] = count
        self._hours = {series: sorted(counts) for series, counts in by_series.items()}
        self._sums = {
            series: [0, *accumulate(counts[hour] for hour in self._hours[series])]
            for series, counts in by_series.items()
        }
        self._totals = dict(totals or {})

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], moments: Sequence[float]) -> dict[str, list[int]]:
        """Return, for each metric, how much a Tweet had gathered by each of some instants."""
        result = {}
        for metric in metrics:
            hours = self._hours.get((tweet.id, metric), [])
            sums = self._sums.get((tweet.id, metric), [0])
            result[metric] = [sums[bisect_left(hours, moment)] for moment in moments]
        return result

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return the running total of a Tweet where it was laid down by hand; ``None`` where it was not."""
        return self._totals.get((tweet.id, metric))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What can be seen of the counts at an instant.

    :param counts: the counts in the end.
    :param now: the instant; nothing later is seen.
    :param withdrawals: some of the likes, follows… are withdrawn later, so that hours can be negative.
    :param restatement: the most recent hours are incomplete, and grow as ``now`` moves on.
    """

    counts: Counts
    now: datetime
    withdrawals: bool = False
    restatement: bool = False

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], moments: Sequence[float]) -> dict[str, list[int]]:
        """Return, for each metric, how much a Tweet is seen to have gathered by each of some instants.

        :param moments: whole hours; those after ``now`` are taken as ``now``.
        """
        now = hours_since_1970(self.now)
        seen = [min(moment, now) for moment in moments]
        if not self.restatement:
            return self._withdrawn(tweet, metrics, seen)
        settled = math.ceil(now) - RESTATED_FOR
        recent = [*range(settled, math.floor(now) + 1)]
        if recent[-1] != now:
            recent.append(now)
        both = self._withdrawn(tweet, metrics, [*seen, *recent])
        result = {}
        for metric, values in both.items():
            final = values[len(seen) :]
            grown = [final[0]]
            for hour, before, after in zip(recent, final, final[1:], strict=False):
                grown.append(grown[-1] + int((after - before) * _known(now - hour)))
            shown = dict(zip(recent, grown, strict=True))
            result[metric] = [
                shown[moment] if moment > settled else value for moment, value in zip(seen, values, strict=False)
            ]
        return result

    def total(self, tweet: Tweet, metric: str) -> int:
        """Return the running total of one Tweet."""
        by_hand = self.counts.total(tweet, metric)
        if by_hand is not None:
            return by_hand
        return self.cumulative(tweet, [metric], [hours_since_1970(self.now)])[metric][0]

    def _withdrawn(self, tweet: Tweet, metrics: Iterable[str], moments: Sequence[float]) -> dict[str, list[int]]:
        given = self.counts.cumulative(tweet, metrics, moments)
        if not self.withdrawals:
            return given
        return {
            metric: [
                count - _withdrawal(tweet.id, metric, math.floor(moment), count)
                for moment, count in zip(moments, counts, strict=True)
            ]
            if metric in WITHDRAWABLE
            else counts
            for metric, counts in given.items()
        }


def hours_since_1970(moment: datetime) -> float:
    """Return an instant as hours since 1970-01-01T00:00Z; whole hours come out exactly."""
    return moment.timestamp() / 3600


def floor_hour(moment: datetime) -> datetime:
    """Return the beginning of the hour an instant lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def ceil_hour(moment: datetime) -> datetime:
    """Return the instant itself if it begins an hour, else the beginning of the next."""
    floor = floor_hour(moment)
    return floor if floor == moment else floor + timedelta(hours=1)


def _known(age: float) -> float:
    return min(1.0, 0.6 + 0.4 * age / RESTATED_FOR)


def _withdrawal(tweet_id: str, metric: str, hour: int, count: int) -> int:
    lot = _mixed(int(tweet_id) * 31 + hour * 17 + len(metric) * 7919 + ord(metric[2]))
    return min(count, 1 + count // 500) if lot % 8 == 0 else 0


def _fractions(seed: int, *names: str) -> tuple[float, float, float, float]:
    """Return four numbers in (0, 1) that depend on nothing but the arguments."""
    digest = blake2b("\0".join((str(seed), *names)).encode(), digest_size=32).digest()
    first, second, third, fourth = (
        (int.from_bytes(digest[start : start + 8], "big") + 1) / (_MASK + 3) for start in (0, 8, 16, 24)
    )
    return first, second, third, fourth


def _mixed(number: int) -> int:
    """Return 64 well mixed bits of a number (the finalizer of SplitMix64)."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


def _jitter(key: int, hour: int) -> float:
    """Return by how much the end of an hour is moved; under half an hour, so that time never runs backwards."""
    return _mixed(key + hour * 0x9E3779B97F4A7C15 & _MASK) / _MASK * 0.9 - 0.45


def _warped(hour: float) -> float:
    """Return time as the audience lives it: faster in the evening, slower at night."""
    return hour + _RHYTHM / _TURN * math.sin(_TURN * (hour - 18))


if missing := METRICS.keys() - _PER_IMPRESSION.keys():
    raise RuntimeError(f"the simulator has no rate for {', '.join(sorted(missing))}; add it to _PER_IMPRESSION")
