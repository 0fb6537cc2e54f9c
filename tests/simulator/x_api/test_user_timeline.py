"""Listing the Tweets of a user: order, pages, ranges, limits and gaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Clock, ContentShares, Reference, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at

from .conftest import AUTHOR, DELETED, FOREIGN, NEW, NOW, OLD, OTHER, REPLY, RETWEET, VIDEO, XClient, handle

Start = Callable[..., XClient]


def hourly_tweets(number: int, **fields: Any) -> list[Tweet]:
    """Return Tweets of the hours before now, the newest first."""
    return [
        Tweet(id=first_id_at(NOW - timedelta(hours=hour)), author_id=AUTHOR, text=f"Hour {hour}", **fields)
        for hour in range(number)
    ]


def world_of(tweets: list[Tweet]) -> World:
    return World(handles=[handle(AUTHOR, "acme"), handle(OTHER, "other_one")], tweets=tweets)


def test_a_page_has_the_newest_tweets_first(x: XClient) -> None:
    body = x.get(f"users/{AUTHOR}/tweets").json()
    assert [tweet["id"] for tweet in body["data"]] == [RETWEET, REPLY, VIDEO, NEW, OLD]
    assert body["meta"] == {"result_count": 5, "newest_id": RETWEET, "oldest_id": OLD}


def test_a_page_has_ten_tweets_unless_the_request_says_otherwise(start: Start) -> None:
    x = start(world_of(hourly_tweets(25)))
    assert [page["meta"]["result_count"] for page in x.pages(AUTHOR)] == [10, 10, 5]
    assert [page["meta"]["result_count"] for page in x.pages(AUTHOR, max_results=20)] == [20, 5]


def test_pages_have_every_tweet_once(start: Start) -> None:
    world = World.generate(seed=4, handles=2, tweets=600, end=NOW, edited=0.1)
    x = start(world)
    for user_id in world.handles:
        tweets = [world.tweets[tweet_id] for tweet_id in world.tweets_of(user_id, deleted=False)]
        expected = sorted((tweet.id for tweet in tweets if tweet.history[-1] == tweet.id), key=int, reverse=True)
        assert x.listed(user_id, max_results=100) == x.listed(user_id, max_results=7) == expected


def test_a_tweet_that_is_posted_while_somebody_pages_moves_nothing(start: Start) -> None:
    x = start(world_of(hourly_tweets(20)))
    x.simulator.clock.set(NOW - timedelta(hours=5))
    first = x.get(f"users/{AUTHOR}/tweets").json()
    x.simulator.clock.set(NOW)
    second = x.get(f"users/{AUTHOR}/tweets", pagination_token=first["meta"]["next_token"]).json()
    hours = [tweet["text"] for body in (first, second) for tweet in body["data"]]
    assert hours == [f"Hour {hour}" for hour in range(5, 20)]


def test_a_token_leads_back_to_the_page_before(start: Start) -> None:
    x = start(world_of(hourly_tweets(25)))
    first, second, _ = x.pages(AUTHOR)
    assert "previous_token" not in first["meta"]
    back = x.get(f"users/{AUTHOR}/tweets", pagination_token=second["meta"]["previous_token"]).json()
    assert back["data"] == first["data"]


@pytest.mark.parametrize("token", ["nonsense", "7140dibdnow9c7btw3w29grvxfcgvpb9n9coehpk7xz5i"])
def test_a_token_of_something_else_is_rejected(x: XClient, token: str) -> None:
    response = x.get(f"users/{AUTHOR}/tweets", pagination_token=token)
    assert response.status_code == 400
    assert "pagination_token" in response.json()["errors"][0]["message"]


def test_a_list_has_the_tweets_from_its_start_until_before_its_end(start: Start) -> None:
    x = start(world_of(hourly_tweets(25)))
    times = {"start_time": "2026-01-12T03:30:00Z", "end_time": "2026-01-12T05:30:00.000Z"}
    texts = [tweet["text"] for page in x.pages(AUTHOR, **times) for tweet in page["data"]]
    assert texts == ["Hour 5", "Hour 6"]


def test_since_and_until_ids_are_not_in_the_list(x: XClient) -> None:
    assert x.listed(AUTHOR, since_id=NEW, until_id=RETWEET) == [REPLY, VIDEO]


@pytest.mark.parametrize(
    ("exclude", "ids"),
    [
        ("replies", [RETWEET, VIDEO, NEW, OLD]),
        ("retweets", [REPLY, VIDEO, NEW, OLD]),
        ("retweets,replies", [VIDEO, NEW, OLD]),
    ],
)
def test_replies_and_retweets_can_be_left_out(x: XClient, exclude: str, ids: list[str]) -> None:
    assert x.listed(AUTHOR, exclude=exclude) == ids


def test_a_user_without_tweets_has_an_empty_page(start: Start) -> None:
    assert start(world_of([])).get(f"users/{AUTHOR}/tweets").json() == {"meta": {"result_count": 0}}


@pytest.mark.parametrize(
    ("change", "title"),
    [({"protected": True}, "Authorization Error"), ({"suspended": True}, "Forbidden")],
)
def test_the_list_of_a_user_who_cannot_be_seen_has_an_error(x: XClient, change: dict[str, bool], title: str) -> None:
    x.simulator.world.change_handle(OTHER, **change)
    (error,) = x.get(f"users/{OTHER}/tweets", user=AUTHOR).json()["errors"]
    assert (error["title"], error["resource_type"], error["resource_id"]) == (title, "user", OTHER)


def test_the_list_of_an_unknown_user_has_an_error(x: XClient) -> None:
    (error,) = x.get("users/1/tweets").json()["errors"]
    assert (error["title"], error["parameter"]) == ("Not Found Error", "id")


def test_a_protected_user_lists_own_tweets(x: XClient) -> None:
    x.simulator.world.change_handle(OTHER, protected=True)
    assert x.listed(OTHER, user=OTHER) == [FOREIGN]


def test_own_tweets_that_are_too_old_for_private_metrics_are_missing_and_pages_can_be_empty(start: Start) -> None:
    tweets = [
        Tweet(id=first_id_at(NOW - timedelta(days=day)), author_id=AUTHOR, text=f"Day {day}") for day in range(60)
    ]
    pages = list(start(world_of(tweets)).pages(AUTHOR, user=AUTHOR, tweet__fields="organic_metrics"))
    assert [page["meta"]["result_count"] for page in pages] == [10, 10, 10, 1, 0, 0]
    assert not any("errors" in page for page in pages)
    assert pages[4]["meta"].keys() == {"result_count", "next_token", "previous_token"}
    assert "data" not in pages[4]


def test_own_tweets_that_are_too_old_can_have_errors_instead(start: Start, world: World) -> None:
    x = start(world, old_listed="errors")
    (page,) = x.pages(AUTHOR, user=AUTHOR, tweet__fields="organic_metrics")
    assert [tweet["id"] for tweet in page["data"]] == [REPLY, VIDEO, NEW]
    assert {error["resource_id"] for error in page["errors"]} == {OLD, RETWEET}


def test_private_metrics_of_other_peoples_lists_have_errors(x: XClient) -> None:
    body = x.get(f"users/{OTHER}/tweets", user=AUTHOR, tweet__fields="organic_metrics").json()
    assert "data" not in body
    assert {(error["resource_id"], error["parameter"]) for error in body["errors"]} == {(FOREIGN, "id")}


def test_the_3200_newest_tweets_are_listed(start: Start) -> None:
    tweets = hourly_tweets(3300)
    x = start(world_of(tweets))
    assert x.listed(AUTHOR, max_results=100) == [tweet.id for tweet in tweets[:3200]]
    beyond = x.get(f"users/{AUTHOR}/tweets", until_id=tweets[3199].id)
    assert (beyond.status_code, beyond.json()) == (200, {"meta": {"result_count": 0}})


@pytest.mark.parametrize(("choice", "number"), [("listed", 800), ("posted", 400)])
def test_without_replies_it_is_800(start: Start, choice: str, number: int) -> None:
    tweets = hourly_tweets(2000)
    first = "2000"
    some = [
        Tweet(id=tweet.id, author_id=AUTHOR, text="reply", reference=Reference("replied_to", first))
        if place % 2
        else tweet
        for place, tweet in enumerate(tweets)
    ]
    x = start(world_of(some), reply_limit=choice)
    assert x.listed(AUTHOR, max_results=100, exclude="replies") == [tweet.id for tweet in tweets[: 2 * number : 2]]
    assert len(x.listed(AUTHOR, max_results=100)) == 2000


@pytest.mark.parametrize(("choice", "sizes"), [(False, [100] * 32), (True, [100] * 32 + [0])])
def test_the_last_page_before_the_limit_can_have_a_token(start: Start, choice: bool, sizes: list[int]) -> None:
    x = start(world_of(hourly_tweets(3300)), token_at_limit=choice)
    assert [page["meta"]["result_count"] for page in x.pages(AUTHOR, max_results=100)] == sizes


def test_the_token_of_the_limit_is_on_no_list_that_ends_by_itself(start: Start) -> None:
    x = start(world_of(hourly_tweets(20)), token_at_limit=True)
    assert [page["meta"]["result_count"] for page in x.pages(AUTHOR)] == [10, 10]


def test_the_token_of_the_limit_is_on_no_list_that_its_start_ends(start: Start) -> None:
    x = start(world_of(hourly_tweets(3300)), token_at_limit=True)
    pages = list(x.pages(AUTHOR, max_results=100, start_time="2026-01-11T00:00:00Z"))
    assert [page["meta"]["result_count"] for page in pages] == [34]


def test_sparse_pages_lack_what_is_deleted_or_left_out(start: Start) -> None:
    tweets = hourly_tweets(30)
    some = [
        Tweet(id=tweet.id, author_id=AUTHOR, text=tweet.text, deleted=10 <= place < 25)
        for place, tweet in enumerate(tweets)
    ]
    pages = list(start(world_of(some), pages="sparse").pages(AUTHOR))
    assert [page["meta"]["result_count"] for page in pages] == [10, 0, 5]
    assert [tweet["text"] for tweet in pages[2]["data"]] == [f"Hour {hour}" for hour in range(25, 30)]


def test_sparse_pages_have_the_same_tweets_as_full_ones(start: Start) -> None:
    world = World.generate(seed=5, handles=1, tweets=300, end=NOW, deleted=0.3, content=ContentShares(reply=0.5))
    (user_id,) = world.handles
    full, sparse = (start(world, pages=pages).listed(user_id, exclude="replies") for pages in ("full", "sparse"))
    assert full == sparse


def test_the_number_of_tweets_of_a_user_is_that_of_the_list(start: Start) -> None:
    world = World.generate(seed=4, handles=1, tweets=300, end=NOW, edited=0.2, deleted=0.1)
    x = start(world)
    (user_id,) = world.handles
    world.change_tweet(x.listed(user_id)[5], deleted=True)

    def number_now() -> int:
        body = x.get("users", ids=user_id, user__fields="public_metrics").json()
        return int(body["data"][0]["public_metrics"]["tweet_count"])

    assert number_now() == len(x.listed(user_id, max_results=100))
    x.simulator.clock.set(datetime(2025, 6, 1, tzinfo=UTC))
    assert number_now() == len(x.listed(user_id, max_results=100)) < 200


def test_a_deleted_tweet_disappears_from_the_list(x: XClient) -> None:
    x.simulator.world.change_tweet(VIDEO, deleted=True)
    x.simulator.world.change_tweet(DELETED, deleted=False)
    assert x.listed(AUTHOR) == [RETWEET, REPLY, DELETED, NEW, OLD]


def test_the_owner_of_the_app_pays_less_for_listing_own_tweets(start: Start) -> None:
    x = start(world_of(hourly_tweets(3)), rate_clock=Clock(NOW))
    x.simulator.world.change_app(x.simulator.world.app.consumer_key, owner_id=AUTHOR)
    x.listed(AUTHOR)
    x.simulator.rate_clock.advance(timedelta(days=1))
    x.listed(AUTHOR, user=AUTHOR)
    assert [(read.resource, str(read.price)) for read in x.simulator.ledger.reads] == [
        *[("tweet", "0.005")] * 3,
        *[("own_tweet", "0.001")] * 3,
    ]
