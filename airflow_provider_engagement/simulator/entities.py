"""The entities of a simulated world: apps, users and Tweets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_engagement.tweet_id import created_at


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """An app that calls the API.

    :param consumer_key: its API key.
    :param consumer_secret: its API secret.
    :param bearer_token: its bearer token.
    :param entitled: whether it may use the Engagement API.
    :param requests_per_minute: the quota of its contract.
    :param requests_per_second: an additional limit per second, if any.
    """

    consumer_key: str
    consumer_secret: str = field(repr=False)
    bearer_token: str = field(repr=False)
    entitled: bool = True
    requests_per_minute: int = 6000
    requests_per_second: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Handle:
    """A user who has authorized the app.

    :param user_id: the numeric id, as a decimal string.
    :param screen_name: the @name, without the @.
    :param access_token: the user's token; it begins with the user id and a hyphen.
    :param access_token_secret: the secret of the token.
    :param protected: whether the account is protected. Its Tweets are then unavailable, even to the user.
    :param revoked: whether the user has withdrawn the authorization.
    :param consumer_key: the app that the token belongs to; by default the first of the world.
    """

    user_id: str
    screen_name: str
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    protected: bool = False
    revoked: bool = False
    consumer_key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tweet:
    """A Tweet.

    :param id: the id, as a decimal string.
    :param author_id: the numeric id of the author, as a decimal string.
    :param created: the creation time; by default the time in the id. Ids from before snowflake contain no time, and
        such Tweets count as older than every age limit.
    :param deleted: whether the Tweet is deleted.
    :param video_id: the video in the Tweet, if any. Several Tweets may have the same video.
    :param image: whether the Tweet has images or a GIF.
    """

    id: str
    author_id: str
    created: datetime | None = None
    deleted: bool = False
    video_id: str | None = None
    image: bool = False

    @property
    def has_video(self) -> bool:
        """Whether the Tweet has a video."""
        return self.video_id is not None

    @property
    def has_media(self) -> bool:
        """Whether the Tweet has media of any kind: a video, images or a GIF."""
        return self.has_video or self.image

    @property
    def created_at(self) -> datetime | None:
        """The creation time; ``None`` if it is unknown."""
        return self.created if self.created is not None else created_at(self.id)


DEFAULT_APP = App(
    consumer_key="simulatorConsumerKey00001",
    consumer_secret="simulatorConsumerSecret0000000000000000000000000001",
    bearer_token="AAAAAAAAAAAAAAAAAAAAAsimulator%2FBearer%2BToken0000000000000000001%3D",
)
