"""Who and what exists in the simulated world: an app, the handles it may act for, and their Tweets."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, TypeVar

from airflow_provider_engagement.api.tweet_id import FIRST_SNOWFLAKE_ID, first_id_at
from airflow_provider_engagement.simulator.counts import (
    Counts,
    ExplicitCounts,
    SeededCounts,
    Sight,
    Tweet,
    hours_since_1970,
)

_SNOWFLAKE_BEGIN = datetime(2010, 11, 5, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """An app that calls the API.

    :param consumer_key: its API key.
    :param consumer_secret: its API secret.
    :param bearer_token: its application-only token.
    :param entitled: whether it was enabled for the Engagement API.
    :param requests_per_minute: its contract's budget.
    :param requests_per_second: a further budget, if any.
    """

    consumer_key: str
    consumer_secret: str = field(repr=False)
    bearer_token: str = field(repr=False)
    entitled: bool = True
    requests_per_minute: int = 6000
    requests_per_second: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Handle:
    """A user who has authorised the app.

    :param user_id: the numeric id.
    :param screen_name: the @name, without the @.
    :param access_token: the user's token; begins with the user id and a hyphen.
    :param access_token_secret: its secret.
    :param protected: the account is protected: its Tweets are unavailable, even to itself.
    :param revoked: the user has withdrawn the authorisation.
    """

    user_id: str
    screen_name: str
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    protected: bool = False
    revoked: bool = False


Item = TypeVar("Item", App, Handle, Tweet)

DEFAULT_APP = App(
    consumer_key="simulatorConsumerKey00001",
    consumer_secret="simulatorConsumerSecret0000000000000000000000000001",
    bearer_token="AAAAAAAAAAAAAAAAAAAAAsimulator%2FBearer%2BToken0000000000000000001%3D",
)


class World:
    """Everything the simulator knows. Tweets, handles and apps can be changed while it runs.

    :param apps: the apps; the first is the one ``app`` returns.
    :param handles: the users who have authorised them.
    :param tweets: the Tweets, of these users and of others.
    :param counts: the engagement of the Tweets.
    """

    def __init__(
        self,
        *,
        handles: Iterable[Handle] = (),
        tweets: Iterable[Tweet] = (),
        apps: Iterable[App] = (DEFAULT_APP,),
        counts: Counts | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._apps = {app.consumer_key: app for app in apps}
        self._handles = {handle.user_id: handle for handle in handles}
        self._tweets = {tweet.id: tweet for tweet in tweets}
        self._carriers: dict[str, list[str]] = {}
        for tweet in self._tweets.values():
            if tweet.video_id is not None:
                self._carriers.setdefault(tweet.video_id, []).append(tweet.id)
        self.counts: Counts = SeededCounts() if counts is None else counts

    @classmethod
    def generate(
        cls,
        *,
        seed: int = 0,
        handles: int = 3,
        tweets: int = 5000,
        start: datetime | None = None,
        end: datetime | None = None,
        deleted: float = 0.02,
        video: float = 0.15,
        shared_video: float = 0.1,
        old: float = 0.02,
        pre_snowflake: float = 0.0,
        app: App | None = None,
    ) -> World:
        """Return a world that follows from a seed.

        :param seed: the same arguments give the same world.
        :param handles: how many users.
        :param tweets: how many Tweets, of all users together.
        :param start: the earliest creation time; by default 400 days before ``end``.
        :param end: the latest creation time; by default the present hour.
        :param deleted: which share of the Tweets is deleted.
        :param video: which share carries a video.
        :param shared_video: which share of those repeats the video of an earlier Tweet.
        :param old: which share was written between 2010 and ``start``.
        :param pre_snowflake: which share has an id from before snowflake.
        :param app: the app; by default one made up from the seed.
        :raises ValueError: a share is not between 0 and 1, or ``start`` is not before ``end``.
        """
        shares = {
            "deleted": deleted,
            "video": video,
            "shared_video": shared_video,
            "old": old,
            "pre_snowflake": pre_snowflake,
        }
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share} is a share; give a number between 0 and 1")
        if handles < 1:
            raise ValueError(f"handles={handles}: a Tweet needs an author; give at least 1")
        last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) if end is None else end.astimezone(UTC)
        first = last - timedelta(days=400) if start is None else start.astimezone(UTC)
        if first >= last:
            raise ValueError(f"start={first.isoformat()} is not before end={last.isoformat()}")
        chance = random.Random(f"world {seed}")
        users = [_handle(chance, number) for number in range(1, handles + 1)]
        weights = [1 / rank for rank in range(1, handles + 1)]
        made: dict[str, Tweet] = {}
        videos: list[str] = []
        while len(made) < tweets:
            tweet_id = _tweet_id(chance, first, last, old=old, pre_snowflake=pre_snowflake)
            video_id = None
            if chance.random() < video:
                if videos and chance.random() < shared_video:
                    video_id = chance.choice(videos)
                else:
                    video_id = str(int(tweet_id) + 1)
                    videos.append(video_id)
            author = chance.choices(users, weights)[0]
            gone = chance.random() < deleted
            if tweet_id not in made:
                made[tweet_id] = Tweet(id=tweet_id, author_id=author.user_id, deleted=gone, video_id=video_id)
        ordered = sorted(made.values(), key=lambda tweet: int(tweet.id))
        return cls(handles=users, tweets=ordered, apps=(app or _app(chance),), counts=SeededCounts(seed))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> World:
        """Return a world written down as JSON, with counts laid down by hand.

        :param data: ``apps``, ``handles`` and ``tweets`` as lists of objects with the fields of :class:`App`,
            :class:`Handle` and :class:`Tweet`; ``hourly`` as a list of ``[tweet id, metric, hour, count]`` and
            ``totals`` as a list of ``[tweet id, metric, count]``. Instants are ISO 8601 strings.
        """
        return cls(
            apps=[App(**entry) for entry in data.get("apps", ())] or (DEFAULT_APP,),
            handles=[Handle(**entry) for entry in data.get("handles", ())],
            tweets=[_tweet(entry) for entry in data.get("tweets", ())],
            counts=ExplicitCounts(
                {(tweet, metric, _instant(hour)): count for tweet, metric, hour, count in data.get("hourly", ())},
                {(tweet, metric): count for tweet, metric, count in data.get("totals", ())},
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the apps, handles and Tweets as JSON values, secrets included, without the counts."""
        return {
            "apps": [asdict(app) for app in self.apps.values()],
            "handles": [asdict(handle) for handle in self.handles.values()],
            "tweets": [
                {
                    "id": tweet.id,
                    "author_id": tweet.author_id,
                    "created": None if tweet.created_at is None else tweet.created_at.isoformat(),
                    "deleted": tweet.deleted,
                    "video_id": tweet.video_id,
                }
                for tweet in self.tweets.values()
            ],
        }

    @property
    def app(self) -> App:
        """The first app."""
        return next(iter(self._apps.values()))

    @property
    def apps(self) -> Mapping[str, App]:
        """The apps, by consumer key."""
        return MappingProxyType(self._apps)

    @property
    def handles(self) -> Mapping[str, Handle]:
        """The users, by numeric id."""
        return MappingProxyType(self._handles)

    @property
    def tweets(self) -> Mapping[str, Tweet]:
        """The Tweets, by id."""
        return MappingProxyType(self._tweets)

    def tweets_of(self, user_id: str, *, deleted: bool | None = None) -> list[str]:
        """Return the ids of a user's Tweets in the order of the world.

        :param deleted: only deleted Tweets, or only those that are not; by default both.
        """
        return [
            tweet.id
            for tweet in self._tweets.values()
            if tweet.author_id == user_id and (deleted is None or tweet.deleted is deleted)
        ]

    def handle_with_token(self, access_token: str) -> Handle | None:
        """Return the user an access token was issued to, if any."""
        return next((handle for handle in self._handles.values() if handle.access_token == access_token), None)

    def change_app(self, consumer_key: str, **changes: Any) -> App:
        """Change an app while the simulator runs, such as ``entitled=False``, and return it."""
        return _change(self._lock, self._apps, consumer_key, changes)

    def change_handle(self, user_id: str, **changes: Any) -> Handle:
        """Change a user while the simulator runs, such as ``revoked=True``, and return it."""
        return _change(self._lock, self._handles, user_id, changes)

    def change_tweet(self, tweet_id: str, **changes: Any) -> Tweet:
        """Change a Tweet while the simulator runs, such as ``deleted=True``, and return it."""
        if "video_id" in changes:
            raise ValueError("a Tweet's video cannot be changed; make the world with the video it shall have")
        return _change(self._lock, self._tweets, tweet_id, changes)

    def carriers(self, tweet: Tweet) -> Sequence[Tweet]:
        """Return all Tweets that carry the video of a Tweet, itself among them; itself alone if it has none."""
        if tweet.video_id is None:
            return (tweet,)
        return [self._tweets[tweet_id] for tweet_id in self._carriers[tweet.video_id]]

    def count(self, tweet_id: str, metric: str, start: datetime, end: datetime) -> int:
        """Return the true engagement of a Tweet in a window, once all of it is known.

        :param start: the beginning of the window, an aware whole hour, inclusive.
        :param end: its end, an aware whole hour, exclusive.
        """
        moments = [hours_since_1970(start), hours_since_1970(end)]
        before, after = self.counts.cumulative(self._tweets[tweet_id], [metric], moments)[metric]
        return after - before

    def total(self, tweet_id: str, metric: str, now: datetime) -> int:
        """Return the true running total of a Tweet; views of a video are those of all Tweets that carry it."""
        return self.seen_total(tweet_id, metric, Sight(counts=self.counts, now=now))

    def seen_total(self, tweet_id: str, metric: str, sight: Sight) -> int:
        """Return the running total of a Tweet as it is seen at an instant."""
        tweet = self._tweets[tweet_id]
        if metric != "video_views" or self.counts.total(tweet, metric) is not None:
            return sight.total(tweet, metric)
        return sum(sight.total(carrier, metric) for carrier in self.carriers(tweet))


def _change(lock: threading.Lock, items: dict[str, Item], key: str, changes: Mapping[str, Any]) -> Item:
    with lock:
        if key not in items:
            raise KeyError(f"{key} is not part of this world")
        changed = replace(items[key], **changes)
        items[key] = changed
        return changed


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _tweet(entry: Mapping[str, Any]) -> Tweet:
    created = entry.get("created")
    return Tweet(**{**entry, "created": None if created is None else _instant(created)})


def _letters(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits, k=length))


def _app(chance: random.Random) -> App:
    return App(
        consumer_key=_letters(chance, 25),
        consumer_secret=_letters(chance, 50),
        bearer_token=f"AAAAAAAAAAAAAAAAAAAAA{_letters(chance, 20)}%2F{_letters(chance, 30)}%3D{_letters(chance, 20)}",
    )


def _handle(chance: random.Random, number: int) -> Handle:
    user_id = str(chance.randrange(10**6, 10**10))
    return Handle(
        user_id=user_id,
        screen_name=f"handle_{number}",
        access_token=f"{user_id}-{_letters(chance, 40)}",
        access_token_secret=_letters(chance, 45),
    )


def _tweet_id(chance: random.Random, first: datetime, last: datetime, *, old: float, pre_snowflake: float) -> str:
    lot = chance.random()
    if lot < pre_snowflake:
        return str(chance.randrange(20, FIRST_SNOWFLAKE_ID))
    if lot < pre_snowflake + old and first > _SNOWFLAKE_BEGIN:
        first, last = _SNOWFLAKE_BEGIN, first
    return str(chance.randrange(int(first_id_at(first)), int(first_id_at(last))))


def next_bearer_token(app: App, generation: int) -> str:
    """Return the token an app gets after its former one was invalidated.

    :param generation: how many tokens were invalidated so far; with none it is the app's own.
    """
    if generation == 0:
        return app.bearer_token
    digest = sha256(f"{app.bearer_token} {generation}".encode()).hexdigest()
    return f"AAAAAAAAAAAAAAAAAAAAA{digest[:30]}%2F{digest[30:]}%3D"
