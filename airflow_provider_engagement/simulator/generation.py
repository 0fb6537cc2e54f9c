"""Random but repeatable apps, users and Tweets."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from airflow_provider_engagement.simulator.entities import App, Handle, Tweet
from airflow_provider_engagement.tweet_id import FIRST_SNOWFLAKE_ID, first_id_at

_SNOWFLAKE_START = datetime(2010, 11, 5, tzinfo=UTC)
_FIRST_EDITS = datetime(2022, 9, 29, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetShares:
    """How many of the Tweets have a property, as numbers between 0 and 1.

    :param deleted: the share of deleted Tweets.
    :param video: the share of Tweets with a video.
    :param shared_video: of the Tweets with a video, the share that repeats the video of another Tweet.
    :param image: of the Tweets without a video, the share that has images or a GIF.
    :param old: the share of Tweets created between 2010 and the start.
    :param pre_snowflake: the share of Tweets with an id from before snowflake.
    """

    deleted: float
    video: float
    shared_video: float
    image: float
    old: float
    pre_snowflake: float

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: a share is not between 0 and 1.
        """
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise ValueError(f"{field.name}: {share} is not a share. Give a number between 0 and 1.")


def generate_app(generator: random.Random) -> App:
    """Return an app with random credentials."""
    return App(
        consumer_key=_letters(generator, 25),
        consumer_secret=_letters(generator, 50),
        bearer_token="AAAAAAAAAAAAAAAAAAAAA"
        f"{_letters(generator, 20)}%2F{_letters(generator, 30)}%3D{_letters(generator, 20)}",
    )


def generate_handle(generator: random.Random, number: int) -> Handle:
    """Return a user with random credentials.

    :param generator: the source of randomness.
    :param number: a number for the screen name.
    """
    user_id = str(generator.randrange(10**6, 10**10))
    return Handle(
        user_id=user_id,
        screen_name=f"handle_{number}",
        access_token=f"{user_id}-{_letters(generator, 40)}",
        access_token_secret=_letters(generator, 45),
    )


def generate_tweets(
    generator: random.Random,
    authors: Sequence[Handle],
    number: int,
    *,
    start: datetime,
    end: datetime,
    shares: TweetShares,
) -> list[Tweet]:
    """Return random Tweets, the oldest first.

    :param generator: the source of randomness.
    :param authors: the authors; the first has the most Tweets.
    :param number: how many Tweets.
    :param start: the earliest creation time, except for the shares of older Tweets.
    :param end: the latest creation time.
    :param shares: how many of the Tweets have a property.
    """
    weights = [1 / rank for rank in range(1, len(authors) + 1)]
    tweets: dict[str, Tweet] = {}
    videos: list[str] = []
    while len(tweets) < number:
        tweet_id = _tweet_id(generator, start, end, shares)
        video_id = None
        if generator.random() < shares.video:
            if videos and generator.random() < shares.shared_video:
                video_id = generator.choice(videos)
            else:
                video_id = str(int(tweet_id) + 1)
                videos.append(video_id)
        author = generator.choices(authors, weights)[0]
        deleted = generator.random() < shares.deleted
        if tweet_id not in tweets:
            # A generator of its own leaves everything else as it would be without images.
            image = video_id is None and random.Random(f"image {tweet_id}").random() < shares.image
            tweets[tweet_id] = Tweet(
                id=tweet_id, author_id=author.user_id, deleted=deleted, video_id=video_id, image=image
            )
    return sorted(tweets.values(), key=lambda tweet: int(tweet.id))


def generate_edits(tweets: Sequence[Tweet], share: float) -> list[Tweet]:
    """Return Tweets together with the earlier versions of those that were edited, in order of their ids.

    A Tweet can be edited up to five times within 30 minutes (guide, edit posts).

    :param tweets: the newest versions.
    :param share: how many of them were edited.
    :raises ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"edited: {share} is not a share. Give a number between 0 and 1.")
    if share == 0:
        return list(tweets)
    known = {tweet.id for tweet in tweets}
    result = []
    for tweet in tweets:
        generator = random.Random(f"edits {tweet.id}")
        if generator.random() >= share or int(tweet.id) < int(first_id_at(_FIRST_EDITS)):
            result.append(tweet)
            continue
        minutes = sorted(generator.sample(range(1, 30), generator.choice((1, 1, 1, 2, 5))), reverse=True)
        earlier = [str(int(tweet.id) - (minute * 60_000 << 22)) for minute in minutes]
        versions = (*(version for version in earlier if version not in known), tweet.id)
        known.update(versions)
        result += [replace(tweet, id=version, versions=versions) for version in versions]
    return sorted(result, key=lambda tweet: int(tweet.id))


def _tweet_id(generator: random.Random, start: datetime, end: datetime, shares: TweetShares) -> str:
    kind = generator.random()
    if kind < shares.pre_snowflake:
        return str(generator.randrange(20, FIRST_SNOWFLAKE_ID))
    if kind < shares.pre_snowflake + shares.old and start > _SNOWFLAKE_START:
        start, end = _SNOWFLAKE_START, start
    return str(generator.randrange(int(first_id_at(start)), int(first_id_at(end))))


def _letters(generator: random.Random, length: int) -> str:
    return "".join(generator.choices(string.ascii_letters + string.digits, k=length))
