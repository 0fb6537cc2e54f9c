"""What a reader of X API v2 sees: which Tweets exist, who wrote them, and what the credentials can read of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.profiles import Profile
from airflow_provider_engagement.simulator.signature import Identity
from airflow_provider_engagement.simulator.tweet_figures import TweetFigures
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.problem_bodies import Problem, Problems
from airflow_provider_engagement.simulator.x_api.spelling import Spelling
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches
from airflow_provider_engagement.tweet_id import FIRST_SNOWFLAKE_ID, FIRST_TWEET_ID, created_at, first_id_at

PRIVATE_AGE_LIMIT: Final = timedelta(days=30)
"""The age after which a Tweet has no private metrics (guide, metrics)."""

PRIVATE_METRICS: Final = {
    "non_public_metrics": ("impression_count", "url_link_clicks", "user_profile_clicks"),
    "organic_metrics": (
        "impression_count",
        "like_count",
        "reply_count",
        "retweet_count",
        "url_link_clicks",
        "user_profile_clicks",
    ),
    "promoted_metrics": (
        "impression_count",
        "like_count",
        "reply_count",
        "retweet_count",
        "url_link_clicks",
        "user_profile_clicks",
    ),
}
"""The private metrics of a Tweet that have an error of their own, by group, as captured responses show them."""

_FIRST_TWEET_AT: Final = datetime.fromisoformat("2006-03-21T20:50:14Z")
_FIRST_SNOWFLAKE_AT: Final = created_at(str(FIRST_SNOWFLAKE_ID))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Who reads, what, and when.

    :param world: the world.
    :param figures: the metrics of the Tweets at this time.
    :param identity: the app and the user that read.
    :param now: the time of the data clock.
    :param switches: the behavior of the API.
    :param spelling: the vocabulary of the request.
    :ivar newest_id: the largest id that has been given to a Tweet.
    """

    world: World
    figures: TweetFigures
    identity: Identity
    now: datetime
    switches: XApiSwitches
    spelling: Spelling
    newest_id: int = field(init=False)

    def __post_init__(self) -> None:
        """Compute what lists need for each of their Tweets."""
        newest = int(first_id_at(self.now + timedelta(milliseconds=1))) - 1
        object.__setattr__(self, "newest_id", newest)

    @property
    def problems(self) -> Problems:
        """The errors of the API."""
        return Problems(self.switches)

    def created(self, tweet: Tweet) -> datetime:
        """Return when a Tweet was created. The times of ids from before snowflake are invented, in order of the ids."""
        if tweet.created_at is not None or _FIRST_SNOWFLAKE_AT is None:
            return tweet.created_at or self.now
        share = (int(tweet.id) - FIRST_TWEET_ID) / FIRST_SNOWFLAKE_ID
        return _FIRST_TWEET_AT + (_FIRST_SNOWFLAKE_AT - _FIRST_TWEET_AT) * max(0.0, share)

    def exists(self, tweet: Tweet) -> bool:
        """Return whether a Tweet has been posted."""
        return int(tweet.id) <= self.newest_id if tweet.created is None else tweet.created <= self.now

    def find(self, tweet_id: str, parameter: str, *, section: str = "data") -> Tweet | Problem:
        """Return a Tweet, or why the reader cannot see it."""
        tweet = self.world.tweets.get(tweet_id)
        if tweet is None or tweet.deleted or not self.exists(tweet):
            return self.problems.not_found("tweet", parameter, tweet_id)
        author = self.world.profiles.of(tweet.author_id)
        if author.suspended:
            return self.problems.not_found("tweet", parameter, tweet_id)
        if not self.may_see(author):
            return self.problems.not_visible("tweet", parameter, tweet_id, section=section)
        return tweet

    def may_see(self, author: Profile) -> bool:
        """Return whether the reader can see the Tweets of a user. Those of a protected user only the user can see."""
        return not author.protected or self.is_user(author.user_id)

    def is_user(self, user_id: str) -> bool:
        """Return whether the reader is a user."""
        return self.identity.handle is not None and self.identity.handle.user_id == user_id

    def is_young(self, tweet: Tweet) -> bool:
        """Return whether a Tweet is so young that it has private metrics."""
        return self.now - self.created(tweet) <= PRIVATE_AGE_LIMIT
