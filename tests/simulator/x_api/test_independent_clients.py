"""Two clients that were written without the simulator: X's own Python SDK, and Tweepy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
import tweepy
import xdk
from requests.adapters import HTTPAdapter
from xdk.oauth1_auth import OAuth1

from airflow_provider_engagement.simulator import Clock, Handle, Simulator, World, XApiSwitches

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
PUBLIC = ("reply_count", "like_count", "quote_count", "bookmark_count", "impression_count")


class ToSimulator(HTTPAdapter):
    """Sends the requests of a client with a fixed address to a simulator. It receives the address in its public URL."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._address = urlsplit(base_url)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = urlunsplit(urlsplit(request.url or "")._replace(scheme="http", netloc=self._address.netloc))
        return super().send(request, *args, **options)


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(seed=3, handles=2, tweets=400, end=NOW, edited=0.1)


@pytest.fixture
def author(world: World) -> Handle:
    return next(iter(world.handles.values()))


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    """The specification's words, because the SDK is generated from the specification."""
    switches = XApiSwitches(problem_host="api.x.com", user_words="post")
    with Simulator(world, clock=Clock(NOW), x_switches=switches) as running:
        yield running


@pytest.fixture
def twitter(world: World) -> Iterator[Simulator]:
    """A simulator behind the address that Tweepy calls."""
    with Simulator(world, clock=Clock(NOW), public_url="https://api.twitter.com") as running:
        yield running


def sdk_of(simulator: Simulator, handle: Handle) -> xdk.Client:
    app = simulator.world.app
    auth = OAuth1(
        app.consumer_key,
        app.consumer_secret,
        callback="oob",
        access_token=handle.access_token,
        access_token_secret=handle.access_token_secret,
    )
    return xdk.Client(base_url=simulator.base_url, auth=auth)


def tweepy_of(simulator: Simulator, handle: Handle) -> tweepy.Client:
    app = simulator.world.app
    client = tweepy.Client(
        bearer_token=app.bearer_token,
        consumer_key=app.consumer_key,
        consumer_secret=app.consumer_secret,
        access_token=handle.access_token,
        access_token_secret=handle.access_token_secret,
    )
    client.session.mount("https://", ToSimulator(simulator.base_url))
    return client


def newest_first(world: World, user_id: str) -> list[str]:
    """Return the Tweets that a list of a user's has."""
    tweets = (world.tweets[tweet_id] for tweet_id in world.tweets_of(user_id, deleted=False))
    listed = [tweet.id for tweet in tweets if tweet.history[-1] == tweet.id]
    return sorted(listed, key=int, reverse=True)


def test_the_sdk_lists_the_tweets_of_a_user(simulator: Simulator, world: World, author: Handle) -> None:
    pages = list(
        sdk_of(simulator, author).users.get_posts(
            author.user_id,
            max_results=50,
            post_fields=["created_at", "lang", "public_metrics", "attachments"],
            expansions=["author_id", "attachments.media_keys", "referenced_posts"],
        )
    )
    posts = [post for page in pages for post in page.data]
    assert [post.id for post in posts] == newest_first(world, author.user_id)
    for post in posts:
        tweet, content = world.tweets[post.id], world.contents.of(world.tweets[post.id])
        assert (post.text, post.lang, post.author_id) == (content.text, content.lang, author.user_id)
        assert post.edit_history_post_ids == list(tweet.history)
        assert post.public_metrics.repost_count == simulator.figures.public(tweet)["retweet_count"]
        assert [getattr(post.public_metrics, name) for name in PUBLIC] == [
            simulator.figures.public(tweet)[name] for name in PUBLIC
        ]
        references = [(one.type, one.id) for one in post.referenced_posts or ()]
        assert references == ([] if content.reference is None else [tuple(content.reference)])
    assert {user.id for page in pages for user in page.includes.users} == {author.user_id}


def test_the_sdk_looks_up_tweets_with_private_metrics_and_sees_why_others_are_missing(
    simulator: Simulator, world: World, author: Handle
) -> None:
    young = newest_first(world, author.user_id)[:3]
    foreign = next(user_id for user_id in world.handles if user_id != author.user_id)
    others = [newest_first(world, foreign)[0], world.tweets_of(author.user_id, deleted=True)[-1], "20"]
    answer = sdk_of(simulator, author).posts.get_by_ids(
        [*young, *others], post_fields=["organic_metrics", "non_public_metrics"]
    )
    assert [post.id for post in answer.data] == young
    for post in answer.data:
        organic = simulator.figures.organic(world.tweets[post.id])
        assert post.organic_metrics["impression_count"] == organic["impression_count"]
        assert organic["impression_count"] == simulator.total(post.id, "impressions")
    assert {problem.resource_id: problem.title for problem in answer.errors} == {
        others[0]: "Field Authorization Error",
        others[1]: "Not Found Error",
        others[2]: "Not Found Error",
    }


def test_the_sdk_looks_up_users_and_the_usage(simulator: Simulator, world: World, author: Handle) -> None:
    user = sdk_of(simulator, author).users.get_me(user_fields=["public_metrics", "created_at"]).data
    audience = world.profiles.audience(author.user_id, NOW)
    assert (user.username, user.public_metrics.followers_count) == (author.screen_name, audience.followers)
    assert user.public_metrics.post_count == len(newest_first(world, author.user_id))
    by_name = xdk.Client(base_url=simulator.base_url, bearer_token=world.app.bearer_token).users.get_by_usernames(
        [author.screen_name.upper(), "nobody"]
    )
    assert [one.id for one in by_name.data] == [author.user_id]
    assert [problem.value for problem in by_name.errors] == ["nobody"]
    token = xdk.Client(base_url=simulator.base_url, access_token=author.oauth2_token)
    assert token.users.get_me().data.id == author.user_id
    token.posts.get_by_ids(newest_first(world, author.user_id)[:4])
    app = xdk.Client(base_url=simulator.base_url, bearer_token=world.app.bearer_token)
    assert app.usage.get(usage_fields=["project_usage", "daily_project_usage"]).data.project_usage == "4"


def test_tweepy_pages_through_the_tweets_of_a_user(twitter: Simulator, world: World, author: Handle) -> None:
    client = tweepy_of(twitter, author)
    pages = tweepy.Paginator(
        client.get_users_tweets,
        author.user_id,
        max_results=30,
        user_auth=True,
        tweet_fields=["created_at", "conversation_id", "public_metrics", "referenced_tweets", "in_reply_to_user_id"],
        expansions=["attachments.media_keys"],
        media_fields=["type", "public_metrics"],
    )
    tweets, media = [], {}
    for page in pages:
        tweets += page.data
        media.update({item.media_key: item for item in page.includes.get("media", ())})
    assert [str(tweet.id) for tweet in tweets] == newest_first(world, author.user_id)
    for one in tweets:
        tweet, content = world.tweets[str(one.id)], world.contents.of(world.tweets[str(one.id)])
        assert one.text == content.text
        assert str(one.conversation_id) == content.conversation_id
        assert one.public_metrics == twitter.figures.public(tweet)
        assert one.created_at == (tweet.created_at or NOW).replace(microsecond=0)
        for item in content.media:
            assert media[item.key].type == item.kind
            views = sum(twitter.figures.views(tweet).values())
            assert media[item.key].public_metrics == ({"view_count": views} if item.kind == "video" else None)


def test_tweepy_pages_back(twitter: Simulator, world: World, author: Handle) -> None:
    client = tweepy_of(twitter, author)
    pages = list(tweepy.Paginator(client.get_users_tweets, author.user_id, max_results=40, user_auth=True))
    token = pages[-1].meta["previous_token"]
    back = reversed(
        tweepy.Paginator(
            client.get_users_tweets, author.user_id, max_results=40, user_auth=True, pagination_token=token
        )
    )
    assert [[one.id for one in page.data] for page in back] == [[one.id for one in page.data] for page in pages[-2::-1]]


def test_tweepy_looks_up_tweets_and_users(twitter: Simulator, world: World, author: Handle) -> None:
    client = tweepy_of(twitter, author)
    ids = newest_first(world, author.user_id)[:2]
    answer = client.get_tweets([*ids, "20"], tweet_fields=["organic_metrics"], expansions="author_id", user_auth=True)
    assert [str(tweet.id) for tweet in answer.data] == ids
    assert [error["resource_id"] for error in answer.errors] == ["20"]
    assert [user.username for user in answer.includes["users"]] == [author.screen_name]
    users = client.get_users(usernames=[author.screen_name], user_fields=["public_metrics", "protected"])
    assert users.data[0].public_metrics["followers_count"] == world.profiles.audience(author.user_id, NOW).followers
    assert users.data[0].protected is False


def test_tweepy_reads_the_errors(twitter: Simulator, author: Handle) -> None:
    client = tweepy_of(twitter, author)
    with pytest.raises(tweepy.BadRequest, match="not one of"):
        client.get_tweets(["20"], tweet_fields=["weather"])
    twitter.windows.set_limit("tweets", "app", 1)
    with pytest.raises(tweepy.TooManyRequests):
        client.get_tweets(["20"])
    twitter.world.change_handle(author.user_id, revoked=True)
    try:
        with pytest.raises(tweepy.Unauthorized):
            client.get_me()
    finally:
        twitter.world.change_handle(author.user_id, revoked=False)
