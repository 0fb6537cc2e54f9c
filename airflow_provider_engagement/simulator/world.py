"""The simulated world: apps, the users who have authorized them, their Tweets, what these say, and the counts."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from airflow_provider_engagement.simulator.counts import CountSource, ExplicitCounts, SeededCounts, hours_since_1970
from airflow_provider_engagement.simulator.entities import DEFAULT_APP, App, Handle, Reference, Tweet
from airflow_provider_engagement.simulator.generation import (
    TweetShares,
    generate_app,
    generate_edits,
    generate_handle,
    generate_tweets,
)
from airflow_provider_engagement.simulator.profiles import Profiles
from airflow_provider_engagement.simulator.tweet_contents import ContentShares, TweetContents
from airflow_provider_engagement.simulator.tweet_order import TweetOrder
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts

Entity = TypeVar("Entity", App, Handle, Tweet)

GENERATED_CONTENT = ContentShares(reply=0.2, quote=0.08, retweet=0.08, long=0.05, promoted=0.1)


class World:
    """The data behind the simulator. Tweets, users and apps can change while it runs.

    :param apps: the apps; the first is :attr:`app`.
    :param handles: the users who have authorized the apps.
    :param tweets: Tweets of these users and of others.
    :param counts: the engagement of the Tweets.
    :param content: how many of the Tweets are replies and the like; by default none.
    :param seed: the same seed gives the same texts and followers.
    """

    def __init__(
        self,
        *,
        handles: Iterable[Handle] = (),
        tweets: Iterable[Tweet] = (),
        apps: Iterable[App] = (DEFAULT_APP,),
        counts: CountSource | None = None,
        content: ContentShares | None = None,
        seed: int = 0,
    ) -> None:
        self._lock = threading.Lock()
        self._apps = {app.consumer_key: app for app in apps}
        self._handles = {handle.user_id: handle for handle in handles}
        self._tweets = {tweet.id: tweet for tweet in tweets}
        self._tweets_by_video: dict[str, list[str]] = {}
        for tweet in self._tweets.values():
            if tweet.video_id is not None:
                self._tweets_by_video.setdefault(tweet.video_id, []).append(tweet.id)
        self.counts: CountSource = SeededCounts() if counts is None else counts
        self.order = TweetOrder(self._tweets)
        self.profiles = Profiles(self._handles, self.order, seed)
        self.contents = TweetContents(
            tweets=self._tweets,
            order=self.order,
            profiles=self.profiles,
            shares=content or ContentShares(),
            seed=seed,
        )

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
        image: float = 0.35,
        old: float = 0.02,
        pre_snowflake: float = 0.0,
        edited: float = 0.0,
        content: ContentShares = GENERATED_CONTENT,
        app: App | None = None,
    ) -> World:
        """Return a random but repeatable world.

        :param seed: the same arguments give the same world.
        :param handles: the number of users. The first has the most Tweets.
        :param tweets: the number of Tweets, of all users together.
        :param start: the earliest creation time; by default 400 days before ``end``.
        :param end: the latest creation time; by default the current hour.
        :param deleted: the share of deleted Tweets.
        :param video: the share of Tweets with a video.
        :param shared_video: of the Tweets with a video, the share that repeats the video of another Tweet.
        :param image: of the Tweets without a video, the share that has images or a GIF.
        :param old: the share of Tweets created between 2010 and ``start``.
        :param pre_snowflake: the share of Tweets with an id from before snowflake.
        :param edited: the share of Tweets that were edited. Their earlier versions are Tweets on top of ``tweets``.
        :param content: how many of the Tweets are replies, quotes, retweets, long or promoted.
        :param app: the app; by default a random one.
        :raises ValueError: a share is not between 0 and 1, there are no users, or ``start`` is not before ``end``.
        """
        shares = TweetShares(
            deleted=deleted,
            video=video,
            shared_video=shared_video,
            image=image,
            old=old,
            pre_snowflake=pre_snowflake,
        )
        if handles < 1:
            raise ValueError(f"handles: {handles} is too few. Give at least 1, because every Tweet needs an author.")
        last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) if end is None else end.astimezone(UTC)
        first = last - timedelta(days=400) if start is None else start.astimezone(UTC)
        if first >= last:
            raise ValueError(f"start: {first.isoformat()} is not before end, {last.isoformat()}. Give an earlier time.")
        generator = random.Random(f"world {seed}")
        users = [generate_handle(generator, number) for number in range(1, handles + 1)]
        generated = generate_tweets(generator, users, tweets, start=first, end=last, shares=shares)
        return cls(
            handles=users,
            tweets=generate_edits(generated, edited),
            apps=(app or replace(generate_app(generator), owner_id=users[0].user_id),),
            counts=SeededCounts(seed),
            content=content,
            seed=seed,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> World:
        """Return a world with explicit counts from JSON values.

        :param data: ``apps``, ``handles`` and ``tweets`` as lists of objects with the fields of :class:`App`,
            :class:`Handle` and :class:`Tweet`; ``hourly`` as a list of ``[tweet id, metric, hour, count]`` and
            ``totals`` as a list of ``[tweet id, metric, count]``. Times are ISO 8601 strings.
        """
        return cls(
            apps=[App(**entry) for entry in data.get("apps", ())] or (DEFAULT_APP,),
            handles=[Handle(**entry) for entry in data.get("handles", ())],
            tweets=[_tweet(entry) for entry in data.get("tweets", ())],
            counts=ExplicitCounts(
                {(tweet, metric, _utc_time(hour)): count for tweet, metric, hour, count in data.get("hourly", ())},
                {(tweet, metric): count for tweet, metric, count in data.get("totals", ())},
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the apps, users and Tweets as JSON values, including secrets. Counts are not included."""
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
                    **_set_fields(tweet),
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
        """Return the ids of a user's Tweets.

        :param user_id: the author.
        :param deleted: return only deleted Tweets, or only existing ones; by default both.
        """
        return [
            tweet.id
            for tweet in self._tweets.values()
            if tweet.author_id == user_id and (deleted is None or tweet.deleted is deleted)
        ]

    def handle_with_token(self, access_token: str) -> Handle | None:
        """Return the user with an access token, if any."""
        return next((handle for handle in self._handles.values() if handle.access_token == access_token), None)

    def handle_with_oauth2_token(self, token: str) -> Handle | None:
        """Return the user with an OAuth 2.0 access token, if any."""
        return next((handle for handle in self._handles.values() if handle.oauth2_token == token), None)

    def app_of(self, handle: Handle) -> App | None:
        """Return the app that a user's token belongs to; ``None`` if the world does not have it."""
        return self.app if handle.consumer_key is None else self._apps.get(handle.consumer_key)

    def change_app(self, consumer_key: str, **changes: Any) -> App:
        """Change fields of an app, such as ``entitled=False``, and return the changed app."""
        return _change(self._lock, self._apps, consumer_key, changes)

    def change_handle(self, user_id: str, **changes: Any) -> Handle:
        """Change fields of a user, such as ``revoked=True``, and return the changed user."""
        return _change(self._lock, self._handles, user_id, changes)

    def change_tweet(self, tweet_id: str, **changes: Any) -> Tweet:
        """Change fields of a Tweet, such as ``deleted=True``, and return the changed Tweet.

        Who deletes one version of an edited Tweet deletes all of them.

        :raises ValueError: ``video_id`` is among the fields.
        """
        if "video_id" in changes:
            raise ValueError("video_id: the video of a Tweet cannot change. Give it when you create the world.")
        changed = _change(self._lock, self._tweets, tweet_id, changes)
        if "deleted" in changes:
            for version in changed.history:
                self.order.changed(_change(self._lock, self._tweets, version, {"deleted": changes["deleted"]}))
        return changed

    def tweets_with_video_of(self, tweet: Tweet) -> Sequence[Tweet]:
        """Return the Tweets with the same video as a Tweet, itself included; without a video only the Tweet itself."""
        if tweet.video_id is None:
            return (tweet,)
        return [self._tweets[tweet_id] for tweet_id in self._tweets_by_video[tweet.video_id]]

    def count(self, tweet_id: str, metric: str, start: datetime, end: datetime) -> int:
        """Return the final count of a Tweet in a window.

        :param tweet_id: the Tweet.
        :param metric: the metric.
        :param start: the beginning of the window, an aware whole hour, inclusive.
        :param end: the end of the window, an aware whole hour, exclusive.
        """
        times = [hours_since_1970(start), hours_since_1970(end)]
        before, after = self.counts.cumulative(self._tweets[tweet_id], [metric], times)[metric]
        return after - before

    def total(self, tweet_id: str, metric: str, now: datetime) -> int:
        """Return the final total of a Tweet until a given time.

        The total of ``video_views`` includes the views of the same video in other Tweets.
        """
        return self.visible_total(tweet_id, metric, VisibleCounts(source=self.counts, now=now))

    def visible_total(self, tweet_id: str, metric: str, visible: VisibleCounts) -> int:
        """Return the total of a Tweet as the API shows it at a given time."""
        tweet = self._tweets[tweet_id]
        if metric != "video_views" or self.counts.total(tweet, metric) is not None:
            return visible.total(tweet, metric)
        return sum(visible.total(other, metric) for other in self.tweets_with_video_of(tweet))


def _change(lock: threading.Lock, entities: dict[str, Entity], key: str, changes: Mapping[str, Any]) -> Entity:
    with lock:
        if key not in entities:
            raise KeyError(f"{key} does not exist in this world.")
        changed = replace(entities[key], **changes)
        entities[key] = changed
        return changed


def _tweet(entry: Mapping[str, Any]) -> Tweet:
    created, reference = entry.get("created"), entry.get("reference")
    converted = {
        "created": None if created is None else _utc_time(created),
        "reference": None if reference is None else Reference(*reference),
        "versions": tuple(entry.get("versions", ())),
    }
    return Tweet(**{**entry, **converted})


def _set_fields(tweet: Tweet) -> dict[str, Any]:
    """Return the fields of a Tweet that most Tweets leave to the world."""
    optional = {
        "image": tweet.image,
        "text": tweet.text,
        "lang": tweet.lang,
        "reference": tweet.reference,
        "versions": tweet.versions,
        "promoted": tweet.promoted,
    }
    return {name: value for name, value in optional.items() if value is not None and value is not False and value != ()}


def _utc_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
