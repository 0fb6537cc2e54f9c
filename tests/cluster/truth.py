"""What the dataset must contain, computed from the simulator's world without the code under test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_engagement.simulator import Tweet, World

TOTALS = ("impressions", "engagements", "favorites", "retweets", "replies", "quote_tweets", "video_views")
HOURLY = (
    "impressions",
    "engagements",
    "favorites",
    "retweets",
    "replies",
    "video_views",
    "media_views",
    "media_engagements",
    "url_clicks",
    "hashtag_clicks",
    "detail_expands",
    "permalink_clicks",
    "app_install_attempts",
    "app_opens",
    "email_tweet",
    "user_follows",
    "user_profile_clicks",
)
HOUR = timedelta(hours=1)
ENGAGEMENT_AGE_LIMIT = timedelta(days=90)
VIDEO_AGE_LIMIT = timedelta(days=1800)
WINDOW_DAYS = 28
TWEETS_PER_REQUEST, TWEETS_PER_REQUEST_OF_TOTALS = 25, 250

Counts = tuple[int | None, ...]
"""The counts of a row, in the order of its metrics."""

Rows = dict[tuple[object, ...], Counts]
"""The counts of each row, by its key."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The rows that the pulls of all owners must write.

    :param world: the world.
    :param now: the time of the simulator's data clock, a whole hour.
    :param first_day: the start of the first day of the history.
    :param days: the number of days of the history.
    """

    world: World
    now: datetime
    first_day: datetime
    days: int

    def totals(self) -> Rows:
        """Return the counts of each Tweet until now. The key is the Tweet."""
        return {
            (tweet.id,): tuple(
                None
                if self._is_too_old(tweet, metric, in_totals=True)
                else self.world.total(tweet.id, metric, self.now)
                for metric in TOTALS
            )
            for tweet in self._existing()
        }

    def hours(self) -> Rows:
        """Return the counts of the history and of the last 28 hours. The key is the Tweet and the hour."""
        rows: Rows = {}
        for tweet in self._existing():
            for start, end in self._intervals():
                rows.update(self._hours_of(tweet, max(start, _hour_of_creation(tweet)), end))
        return rows

    def least_requests(self) -> int:
        """Return the fewest requests that could return these rows.

        A request for history covers at most 25 Tweets and 28 days, so a Tweet needs a place in one request for each 28
        days of the history in which it exists. A pull does not know which Tweets are deleted.
        """
        return sum(map(self._least_requests_of, self.world.handles))

    def _least_requests_of(self, owner: str) -> int:
        tweets = [tweet for tweet in self.world.tweets.values() if tweet.author_id == owner]
        end = self.first_day + timedelta(days=self.days)
        places = sum(
            math.ceil((end - max(self.first_day, _hour_of_creation(tweet))) / timedelta(days=WINDOW_DAYS))
            for tweet in tweets
            if _hour_of_creation(tweet) < end
        )
        return (
            math.ceil(len(tweets) / TWEETS_PER_REQUEST_OF_TOTALS)
            + math.ceil(len(tweets) / TWEETS_PER_REQUEST)
            + math.ceil(places / TWEETS_PER_REQUEST)
        )

    def _existing(self) -> Sequence[Tweet]:
        return [tweet for tweet in self.world.tweets.values() if not tweet.deleted]

    def _intervals(self) -> Sequence[tuple[datetime, datetime]]:
        return [
            (self.first_day, self.first_day + timedelta(days=self.days)),
            (self.now - timedelta(hours=28), self.now),
        ]

    def _hours_of(self, tweet: Tweet, start: datetime, end: datetime) -> Iterator[tuple[tuple[object, ...], Counts]]:
        first, last = (int(time.timestamp()) // 3600 for time in (start, end))
        edges = range(first, last + 1)
        cumulative = self.world.counts.cumulative(tweet, HOURLY, edges)
        unknown = [self._is_too_old(tweet, metric, in_totals=False) for metric in HOURLY]
        for index in range(last - first):
            counts = tuple(
                None if is_unknown else cumulative[metric][index + 1] - cumulative[metric][index]
                for metric, is_unknown in zip(HOURLY, unknown, strict=True)
            )
            yield (tweet.id, datetime.fromtimestamp(edges[index] * 3600, UTC)), counts

    def _is_too_old(self, tweet: Tweet, metric: str, *, in_totals: bool) -> bool:
        limits: Mapping[str, timedelta] = {"video_views": VIDEO_AGE_LIMIT}
        if in_totals:
            limits = {**limits, "impressions": ENGAGEMENT_AGE_LIMIT, "engagements": ENGAGEMENT_AGE_LIMIT}
        return metric in limits and (tweet.created_at is None or self.now - tweet.created_at > limits[metric])


def _hour_of_creation(tweet: Tweet) -> datetime:
    """Return the start of the hour in which a Tweet was created, or the start of time for an id without a time."""
    created = tweet.created_at or datetime.fromtimestamp(0, UTC)
    return created.replace(minute=0, second=0, microsecond=0)
