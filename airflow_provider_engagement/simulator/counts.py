"""The engagement of a Tweet as a pure function of Tweet, metric and time.

The function is *cumulative*: it gives the engagement from the creation of the Tweet until a given time. The count of an
hour, a day or a window is the difference of two of its values. Hours therefore add up to days, days to windows and
windows to totals, and the total of a ten-year-old Tweet costs as little as that of a new one.

Times are hours since 1970-01-01T00:00Z. A fraction is a time within an hour.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from struct import unpack
from typing import Final, Protocol

from airflow_provider_engagement.engagement_api.catalogue import METRICS
from airflow_provider_engagement.simulator.entities import Tweet

_ENGAGEMENTS: Final = "engagements"
_PER_IMPRESSION: Final[Mapping[str, float]] = {
    "impressions": 1.0,
    "favorites": 0.013,
    "retweets": 0.0031,
    "replies": 0.0023,
    "quote_tweets": 0.0007,
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
_NOT_ENGAGEMENTS: Final = frozenset({"impressions", "media_views"})
_VIDEO_VIEWS: Final = "video_views"
_OF_MEDIA: Final = frozenset({"media_views", "media_engagements"})
_ENGAGEMENT_KINDS: Final = tuple(metric for metric in _PER_IMPRESSION if metric not in _NOT_ENGAGEMENTS)
"""The metrics that ``engagements`` adds up. Media views are not among them since 2017-10-09 (changes)."""

_KINDS_PER_OTHER: Final = 40
"""One of so many engagements has no metric of its own, such as a click on a mention (guide)."""

_QUIET: Final = 0.25
"""The share of Tweets that hardly anybody sees."""

_QUIET_IMPRESSIONS: Final = 0.06
_SECOND_BURST: Final = 0.12
"""The share of Tweets that spread again, hours or weeks after their creation."""

_MIN_IMPRESSIONS: Final = 150.0
_MAX_IMPRESSIONS: Final = 2e8
_CREATED_BEFORE_SNOWFLAKE: Final = 340_000.0
_MASK: Final = (1 << 64) - 1
_FRACTION_DIVISOR: Final = _MASK + 3
_DAILY_AMPLITUDE: Final = 0.6
_DAYS_FROM_THURSDAY: Final = (1.1, 1.05, 0.75, 0.75, 1.1, 1.15, 1.1)
"""How much engagement each day of the week has. 1970-01-01 was a Thursday."""

_WEEK: Final = 168


class CountSource(Protocol):
    """The engagement of every Tweet over time."""

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        """Return the cumulative counts of a Tweet at several times, by metric."""

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return the explicit total of a Tweet; ``None`` if the total is the sum of the hours."""


@dataclass(frozen=True, slots=True)
class SeededCounts:
    """Random but repeatable counts.

    Engagement decays over hours and days, and some Tweets spread a second time. It follows a daily and a weekly rhythm.
    A few Tweets have very high counts, and a quarter of them hardly any. All metrics of a Tweet rise and fall with its
    impressions, and ``engagements`` is the sum of its kinds. Video views are those media views that meet the stricter
    definition of a view.

    :param seed: the same seed gives the same counts.
    """

    seed: int = 0

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        """Return the cumulative counts of a Tweet at several times, by metric."""
        shares = self._shares(tweet, times)
        impressions = self._impressions(tweet)
        names = tuple(metrics)
        needed = {*names, *_ENGAGEMENT_KINDS} if _ENGAGEMENTS in names else names
        counts = {
            metric: self._counts(tweet, metric, impressions, shares) for metric in needed if metric != _ENGAGEMENTS
        }
        if _ENGAGEMENTS in names:
            sums = map(sum, zip(*[counts[kind] for kind in _ENGAGEMENT_KINDS], strict=True))
            counts[_ENGAGEMENTS] = [number + number // _KINDS_PER_OTHER for number in sums]
        return {metric: counts[metric] for metric in names}

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return ``None``: every total is the sum of the hours."""
        return None

    def _impressions(self, tweet: Tweet) -> float:
        rank, _, _, _ = fractions(self.seed, tweet.id)
        quiet, loudness, _, _ = fractions(self.seed, tweet.id, "life")
        if quiet < _QUIET:
            return _MIN_IMPRESSIONS * _QUIET_IMPRESSIONS * math.pow(10, loudness)
        return min(_MIN_IMPRESSIONS * math.pow(rank, -1.2), _MAX_IMPRESSIONS)

    def _counts(self, tweet: Tweet, metric: str, impressions: float, shares: Sequence[float]) -> list[int]:
        if (metric == _VIDEO_VIEWS and not tweet.has_video) or (metric in _OF_MEDIA and not tweet.has_media):
            return [0] * len(shares)
        rate, lag, _, _ = fractions(self.seed, tweet.id, metric)
        if metric == _VIDEO_VIEWS:
            # A share below 1 of whole numbers: no hour has more of them than media views.
            media_views = self._counts(tweet, "media_views", impressions, shares)
            return [math.floor(views * (0.4 + 0.55 * rate)) for views in media_views]
        final = impressions * _PER_IMPRESSION[metric] * 4 ** (rate - 0.5)
        exponent = 1.0 + 0.5 * lag
        return [math.floor(final * share**exponent) for share in shares]

    def _shares(self, tweet: Tweet, times: Sequence[float]) -> list[float]:
        """Return the share of its final engagement that a Tweet has at several times, from 0 to 1."""
        _, slowness, steepness, jitter = fractions(self.seed, tweet.id)
        created = hours_since_1970(tweet.created_at) if tweet.created_at is not None else _CREATED_BEFORE_SNOWFLAKE
        hour_of_creation = math.floor(created)
        warped_creation = _warped(created)
        time_constant = 2.0 + 10.0 * slowness
        decay = -(0.8 + steepness)
        jitter_key = int(jitter * _MASK)
        burst, burst_age = self._second_burst(tweet)

        def share_at_age(age: float) -> float:
            return 1.0 - (1.0 + age / time_constant) ** decay if age > 0.0 else 0.0

        def share_at(hour: int) -> float:
            if hour <= hour_of_creation:
                return 0.0
            age = _warped(hour + _jitter(jitter_key, hour)) - warped_creation
            if not burst:
                return share_at_age(age)
            return (1.0 - burst) * share_at_age(age) + burst * share_at_age(age - burst_age)

        def interpolated(hour: int, part: float) -> float:
            before = share_at(hour)
            return before + (share_at(hour + 1) - before) * part

        return [
            share_at(hour) if time == (hour := math.floor(time)) else interpolated(hour, time - hour) for time in times
        ]

    def _second_burst(self, tweet: Tweet) -> tuple[float, float]:
        """Return the share of its engagement that a Tweet has in a second burst, and after how many hours."""
        _, _, chance, delay = fractions(self.seed, tweet.id, "life")
        if chance >= _SECOND_BURST:
            return 0.0, 0.0
        return 0.15 + 4 * chance, 12.0 * 40**delay


class ExplicitCounts:
    """Counts that you give hour by hour. All others are zero.

    :param hourly: the counts, by Tweet id, metric and beginning of the hour. Each is complete as soon as its hour has
        begun.
    :param totals: totals, by Tweet id and metric, that are *not* the sum of the hours.
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

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        """Return the cumulative counts of a Tweet at several times, by metric."""
        result = {}
        for metric in metrics:
            hours = self._hours.get((tweet.id, metric), [])
            sums = self._sums.get((tweet.id, metric), [0])
            result[metric] = [sums[bisect_left(hours, time)] for time in times]
        return result

    def total(self, tweet: Tweet, metric: str) -> int | None:
        """Return the explicit total of a Tweet; ``None`` if the total is the sum of the hours."""
        return self._totals.get((tweet.id, metric))


def hours_since_1970(time: datetime) -> float:
    """Return a time as hours since 1970-01-01T00:00Z. Whole hours are exact."""
    return time.timestamp() / 3600


def mixed_bits(number: int) -> int:
    """Return 64 pseudo-random bits that depend on a number only (the finalizer of SplitMix64)."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


# Totals are asked for one metric at a time, and each asks for the numbers of the Tweet again. A Tweet has about 20
# entries; the rest is for requests that run at the same time.
@lru_cache(maxsize=1024)
def fractions(seed: int, *names: str) -> tuple[float, float, float, float]:
    """Return four pseudo-random numbers in (0, 1) that depend on the arguments only."""
    digest = blake2b("\0".join((str(seed), *names)).encode(), digest_size=32).digest()
    first, second, third, fourth = unpack(">4Q", digest)
    return (
        (first + 1) / _FRACTION_DIVISOR,
        (second + 1) / _FRACTION_DIVISOR,
        (third + 1) / _FRACTION_DIVISOR,
        (fourth + 1) / _FRACTION_DIVISOR,
    )


def _jitter(key: int, hour: int) -> float:
    """Return how far the end of an hour moves. It is under half an hour, so that hours stay in order."""
    return mixed_bits(key + hour * 0x9E3779B97F4A7C15 & _MASK) / _MASK * 0.9 - 0.45


def _warped(hour: float) -> float:
    """Return a time on a scale that advances faster when more people read: in the evening, and during the week."""
    begun = math.floor(hour)
    hour_of_week = begun % _WEEK
    return begun - hour_of_week + _WARPED_HOURS[hour_of_week] + (hour - begun) * _SPEEDS[hour_of_week]


def _speeds() -> tuple[float, ...]:
    """Return how fast the scale advances in each hour of a week, with a mean of 1."""
    speeds = [
        day * (1 + _DAILY_AMPLITUDE * math.cos(2 * math.pi * (hour - 18) / 24))
        for day in _DAYS_FROM_THURSDAY
        for hour in range(24)
    ]
    mean = sum(speeds) / _WEEK
    return tuple(speed / mean for speed in speeds)


_SPEEDS: Final = _speeds()
_WARPED_HOURS: Final = tuple(accumulate(_SPEEDS[:-1], initial=0.0))


if missing := METRICS.keys() - _PER_IMPRESSION.keys() - {_ENGAGEMENTS, _VIDEO_VIEWS}:
    raise RuntimeError(f"The simulator has no rate for {', '.join(sorted(missing))}. Add it to _PER_IMPRESSION.")
