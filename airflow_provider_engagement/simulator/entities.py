"""The entities of a simulated world: apps, users and Tweets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

from airflow_provider_engagement.tweet_id import created_at

MONTHLY_TWEETS = 3_000_000
"""How many Tweets an app that pays by use can read in a month (pricing page, 2026-08)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """An app that calls the APIs.

    :param consumer_key: its API key.
    :param consumer_secret: its API secret.
    :param bearer_token: its bearer token.
    :param entitled: whether it may use the Engagement API.
    :param requests_per_minute: the quota of its contract.
    :param requests_per_second: an additional limit per second, if any.
    :param owner_id: the user who owns the app, whose own Tweets are cheaper to list on X API v2.
    :param x_tier: the contract for X API v2: ``ppu`` (paid by use), ``enterprise``, or ``none``.
    :param x_credit: the US dollars that it can spend on X API v2; ``None`` for no end of them.
    :param x_monthly_tweets: how many Tweets it can read on X API v2 in a month; ``None`` for no cap.
    """

    consumer_key: str
    consumer_secret: str = field(repr=False)
    bearer_token: str = field(repr=False)
    entitled: bool = True
    requests_per_minute: int = 6000
    requests_per_second: int | None = None
    owner_id: str | None = None
    x_tier: Literal["ppu", "enterprise", "none"] = "ppu"
    x_credit: float | None = None
    x_monthly_tweets: int | None = MONTHLY_TWEETS


@dataclass(frozen=True, kw_only=True, slots=True)
class Handle:
    """A user who has authorized the app.

    :param user_id: the numeric id, as a decimal string.
    :param screen_name: the @name, without the @.
    :param access_token: the user's token; it begins with the user id and a hyphen.
    :param access_token_secret: the secret of the token.
    :param name: the name that people read; by default one made of the @name.
    :param protected: whether the account is protected. On the Engagement API its Tweets are then unavailable, even to
        the user. On X API v2 only the user can read them.
    :param suspended: whether X has suspended the account.
    :param revoked: whether the user has withdrawn the authorization.
    :param consumer_key: the app that the token belongs to; by default the first of the world.
    """

    user_id: str
    screen_name: str
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    name: str | None = None
    protected: bool = False
    suspended: bool = False
    revoked: bool = False
    consumer_key: str | None = None

    @property
    def oauth2_token(self) -> str:
        """A ready OAuth 2.0 access token of the user. It lasts until the user withdraws the authorization."""
        return sha256(f"OAuth 2.0 {self.access_token} {self.access_token_secret}".encode()).hexdigest()


class Reference(NamedTuple):
    """How one Tweet refers to another.

    :param kind: ``replied_to``, ``quoted`` or ``retweeted``.
    :param tweet_id: the other Tweet.
    """

    kind: Literal["replied_to", "quoted", "retweeted"]
    tweet_id: str


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
    :param text: the text; by default one that depends on the id.
    :param lang: the language of the text.
    :param reference: the Tweet that this one replies to, quotes or retweets; by default the world decides.
    :param versions: the ids of all versions of an edited Tweet, this one included, the oldest first. Each version is a
        Tweet of its own.
    :param promoted: promoted engagement as a multiple of the organic; by default the world decides.
    """

    id: str
    author_id: str
    created: datetime | None = None
    deleted: bool = False
    video_id: str | None = None
    image: bool = False
    text: str | None = None
    lang: str | None = None
    reference: Reference | None = None
    versions: tuple[str, ...] = ()
    promoted: float | None = None

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: the Tweet refers to itself or to a later one.
        """
        if self.reference is not None and int(self.reference.tweet_id) >= int(self.id):
            raise ValueError(
                f"reference: {self.reference.tweet_id} is not earlier than {self.id}. Refer to an earlier Tweet."
            )

    @property
    def history(self) -> tuple[str, ...]:
        """The ids of all its versions, the oldest first; only its own if it was never edited."""
        return self.versions or (self.id,)

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
