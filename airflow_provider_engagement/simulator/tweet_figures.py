"""The metrics of a Tweet and of its media on X API v2: organic, promoted, and both together.

The organic counts are the totals of the Engagement API. Promoted ones come on top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from airflow_provider_engagement.simulator.counts import fractions
from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.simulator.world import World

_ORGANIC: Final[Mapping[str, str]] = {
    "impression_count": "impressions",
    "like_count": "favorites",
    "reply_count": "replies",
    "retweet_count": "retweets",
    "url_link_clicks": "url_clicks",
    "user_profile_clicks": "user_profile_clicks",
}
"""The metrics that are organic or promoted, with their names on the Engagement API."""

_PUBLIC: Final = ("retweet_count", "reply_count", "like_count", "quote_count", "bookmark_count", "impression_count")
_NON_PUBLIC: Final = ("impression_count", "url_link_clicks", "user_profile_clicks", "engagements")
_ALWAYS_ORGANIC: Final[Mapping[str, str]] = {"quote_count": "quote_tweets"}
_QUARTILES: Final = (0, 25, 50, 75, 100)

Figures = dict[str, int]


class TweetFigures:
    """The metrics of the Tweets of a world at a time.

    :param world: the world.
    :param visible: the counts that the API shows at that time.
    """

    def __init__(self, world: World, visible: VisibleCounts) -> None:
        self._world = world
        self._visible = visible

    def organic(self, tweet: Tweet) -> Figures:
        """Return ``organic_metrics``, without promoted engagement."""
        counts = self._counts(tweet)
        return {name: counts[metric] for name, metric in _ORGANIC.items()}

    def promoted(self, tweet: Tweet) -> Figures:
        """Return ``promoted_metrics``; all are 0 if the Tweet was never promoted."""
        counts = self._counts(tweet)
        return {name: self._promoted(tweet, counts[metric]) for name, metric in _ORGANIC.items()}

    def public(self, tweet: Tweet) -> Figures:
        """Return ``public_metrics``, organic and promoted together. Quotes and bookmarks are always organic."""
        figures = self._all(tweet)
        return {name: figures[name] for name in _PUBLIC}

    def non_public(self, tweet: Tweet, *, with_promoted: bool = True) -> Figures:
        """Return ``non_public_metrics``.

        :param tweet: the Tweet.
        :param with_promoted: whether they include promoted engagement.
        """
        figures = self._all(tweet) if with_promoted else self._all_organic(self._counts(tweet))
        return {name: figures[name] for name in _NON_PUBLIC}

    def is_promoted(self, tweet: Tweet) -> bool:
        """Return whether a Tweet was ever promoted."""
        return self._world.contents.promoted(tweet) > 0

    def views(self, tweet: Tweet) -> Figures:
        """Return the organic and the promoted views of a Tweet's video, in all Tweets that carry it."""
        counts = [
            (views, self._promoted(other, views))
            for other in self._world.tweets_with_video_of(tweet)
            for views in [self._visible.total(other, "video_views")]
        ]
        return {"organic": sum(one for one, _ in counts), "promoted": sum(one for _, one in counts)}

    def playbacks(self, tweet: Tweet, views: int) -> Figures:
        """Return how many people watched which part of a Tweet's video."""
        drop, _, _, _ = fractions(0, str(tweet.video_id), "playback")
        return {f"playback_{part}_count": math.floor(views * (1 - drop * part / 110)) for part in _QUARTILES}

    def _all(self, tweet: Tweet) -> Figures:
        counts = self._counts(tweet)
        figures = self._all_organic(counts)
        for name, metric in (*_ORGANIC.items(), ("engagements", "engagements")):
            figures[name] += self._promoted(tweet, counts[metric])
        return {**figures, "bookmark_count": self._bookmarks(tweet, counts["favorites"])}

    def _bookmarks(self, tweet: Tweet, favorites: int) -> int:
        """Return how many people have bookmarked a Tweet, which the Engagement API does not count."""
        explicit = self._visible.source.total(tweet, "bookmarks")
        share, _, _, _ = fractions(0, tweet.id, "bookmarks")
        return math.floor(favorites * (0.05 + 0.3 * share)) if explicit is None else explicit

    def _all_organic(self, counts: Mapping[str, int]) -> Figures:
        names = {**_ORGANIC, **_ALWAYS_ORGANIC, "engagements": "engagements"}
        return {name: counts[metric] for name, metric in names.items()}

    def _counts(self, tweet: Tweet) -> Figures:
        metrics = (*_ORGANIC.values(), *_ALWAYS_ORGANIC.values(), "engagements")
        return self._visible.totals(tweet, metrics)

    def _promoted(self, tweet: Tweet, organic: int) -> int:
        return math.floor(organic * self._world.contents.promoted(tweet))
