"""What the dataset must contain, computed from the simulator's world without the code under test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from oracle import Counts, floor_to_hour, has_no_video_views, hourly_truth

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
ENGAGEMENT_AGE_LIMIT = timedelta(days=90)
WINDOW_DAYS = 28
TWEETS_PER_REQUEST, TWEETS_PER_REQUEST_OF_TOTALS = 25, 250

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
                None if self._is_too_old(tweet, metric) else self.world.total(tweet.id, metric, self.now)
                for metric in TOTALS
            )
            for tweet in self._existing()
        }

    def hours(self) -> Rows:
        """Return the counts of the history and of the last 28 hours. The key is the Tweet and the hour."""
        rows: Rows = {}
        for tweet in self._existing():
            for start, end in self._intervals():
                rows.update(hourly_truth(self.world, [tweet.id], start, end, metrics=HOURLY, now=self.now))
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

    def _is_too_old(self, tweet: Tweet, metric: str) -> bool:
        """Return whether the totals lack a metric of a Tweet because of its age."""
        if metric in ("impressions", "engagements"):
            return tweet.created_at is None or self.now - tweet.created_at > ENGAGEMENT_AGE_LIMIT
        return metric == "video_views" and has_no_video_views(tweet, self.now)


def _hour_of_creation(tweet: Tweet) -> datetime:
    """Return the start of the hour in which a Tweet was created, or the start of time for an id without a time."""
    return floor_to_hour(tweet.created_at or datetime.fromtimestamp(0, UTC))
