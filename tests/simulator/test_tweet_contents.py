"""What the Tweets of a world say, and who their authors are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_engagement.simulator import ContentShares, ExplicitCounts, Handle, Reference, Tweet, World
from airflow_provider_engagement.simulator.tweet_figures import TweetFigures
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def generated(**changes: Any) -> World:
    return World.generate(**{"seed": 1, "tweets": 500, "start": START, "end": END, **changes})


def contents(world: World) -> list[Any]:
    return [world.contents.of(tweet) for tweet in world.tweets.values()]


def test_the_same_seed_gives_the_same_contents() -> None:
    assert contents(generated()) == contents(generated())
    assert [content.text for content in contents(generated())] != [
        content.text for content in contents(generated(seed=2))
    ]


@pytest.mark.parametrize(("share", "kind"), [("reply", "replied_to"), ("quote", "quoted"), ("retweet", "retweeted")])
def test_a_share_of_the_tweets_is_of_a_kind(share: str, kind: str) -> None:
    some = contents(generated(content=ContentShares(**{share: 0.3})))
    assert 120 <= sum(content.kind == kind for content in some) <= 180
    assert {content.kind for content in some} == {"original", kind}


def test_a_tweet_refers_to_an_earlier_one_that_is_no_retweet() -> None:
    world = generated(content=ContentShares(quote=0.3, retweet=0.5))
    references = [(tweet.id, world.contents.reference(tweet)) for tweet in world.tweets.values()]
    for tweet_id, reference in references:
        if reference is not None and reference.kind == "retweeted":
            assert int(reference.tweet_id) < int(tweet_id)
            assert world.contents.of(world.tweets[reference.tweet_id]).kind != "retweeted"


def test_replies_belong_to_the_conversation_of_the_first_tweet() -> None:
    replies = [
        Tweet(id=str(number), author_id="7", text="text", reference=Reference("replied_to", str(number - 1)))
        for number in (102, 103)
    ]
    world = World(tweets=[Tweet(id="101", author_id="8", text="first"), *replies])
    last = world.contents.of(world.tweets["103"])
    assert (last.conversation_id, last.in_reply_to_user_id) == ("101", "7")
    assert world.contents.of(world.tweets["102"]).in_reply_to_user_id == "8"


def test_a_retweet_has_the_beginning_of_the_retweeted_text() -> None:
    world = World(
        tweets=[
            Tweet(id="101", author_id="8", text="a" * 200),
            Tweet(id="102", author_id="7", reference=Reference("retweeted", "101")),
        ],
    )
    content = world.contents.of(world.tweets["102"])
    assert content.text == f"RT @{world.profiles.of('8').username}: {'a' * 130}…"
    assert len(content.text) == 140


def test_a_long_text_is_cut_to_280_characters() -> None:
    long = [content for content in contents(generated(content=ContentShares(long=1.0))) if len(content.full_text) > 280]
    assert len(long) > 400 * 0.5
    assert all(len(content.text) == 280 and content.text.endswith("…") for content in long)


def test_tweets_with_the_same_video_have_the_same_media_key() -> None:
    world = generated(video=1.0, shared_video=0.5)
    keys = {content.media[0].key for content in contents(world)}
    assert keys == {f"13_{tweet.video_id}" for tweet in world.tweets.values()}


def test_an_edited_tweet_has_versions_of_the_half_hour_before_on_top_of_the_other_tweets() -> None:
    world = generated(edited=0.2, old=0.0)
    assert {tweet.id for tweet in world.tweets.values() if tweet.history[-1] == tweet.id} == set(
        generated(old=0.0).tweets
    )
    edited = [tweet for tweet in world.tweets.values() if len(tweet.history) > 1 and tweet.history[-1] == tweet.id]
    assert 70 <= len(edited) <= 130
    for tweet in edited:
        versions = [world.tweets[version] for version in tweet.history]
        times = [version.created_at or END for version in versions]
        assert times == sorted(times)
        assert times[-1] - times[0] < timedelta(minutes=30)
        assert len({world.contents.of(version).text for version in versions}) == len(versions) <= 6
        assert {world.contents.of(version).kind for version in versions} == {"original"}


def test_who_deletes_one_version_deletes_all() -> None:
    world = generated(edited=0.2)
    edited = next(tweet for tweet in world.tweets.values() if len(tweet.history) > 1)
    world.change_tweet(edited.id, deleted=True)
    assert all(world.tweets[version].deleted for version in edited.history)


def test_a_world_reads_what_it_writes() -> None:
    world = World(
        tweets=[
            Tweet(id="101", author_id="8", text="first", lang="de", versions=("100", "101"), promoted=0.0),
            Tweet(id="102", author_id="8", reference=Reference("quoted", "101")),
        ]
    )
    assert dict(World.from_json(world.to_json()).tweets) == dict(world.tweets)


def test_the_followers_of_a_user_change_over_time() -> None:
    world = generated()
    user_id = next(iter(world.handles))
    followers = [world.profiles.audience(user_id, START + timedelta(days=day)).followers for day in range(365)]
    assert len(set(followers)) > 50
    assert followers[-1] > followers[0] > 0
    assert any(later < earlier for earlier, later in pairwise(followers))


def test_a_user_is_found_by_name_whether_or_not_the_user_has_authorized_the_app() -> None:
    handle = Handle(user_id="12", screen_name="Acme", access_token="12-a", access_token_secret="b")
    world = World(handles=[handle], tweets=[Tweet(id="101", author_id="99999")])
    other = world.profiles.of("99999")
    assert [world.profiles.named(name) for name in ("acme", other.username.upper())] == [world.profiles.of("12"), other]
    assert world.profiles.named("u_zzzz") is None
    assert [profile.user_id for profile in world.profiles] == ["12", "99999"]


def test_public_counts_are_organic_plus_promoted_and_organic_ones_are_the_totals_of_the_engagement_api() -> None:
    world = generated()
    figures = TweetFigures(world, VisibleCounts(source=world.counts, now=END))
    promoted = [tweet for tweet in world.tweets.values() if figures.is_promoted(tweet)]
    assert 25 <= len(promoted) <= 75
    for tweet in world.tweets.values():
        public, organic, paid = figures.public(tweet), figures.organic(tweet), figures.promoted(tweet)
        assert organic["like_count"] == world.total(tweet.id, "favorites", END)
        assert organic["impression_count"] == world.total(tweet.id, "impressions", END)
        for name in ("like_count", "impression_count", "reply_count", "retweet_count"):
            assert public[name] == organic[name] + paid[name]
        assert any(paid.values()) <= (tweet in promoted)
        assert public["quote_count"] == world.total(tweet.id, "quote_tweets", END)


def test_explicit_counts_are_the_organic_ones() -> None:
    world = World(
        tweets=[Tweet(id="101", author_id="8", promoted=0.5)], counts=ExplicitCounts(totals={("101", "favorites"): 7})
    )
    figures = TweetFigures(world, VisibleCounts(source=world.counts, now=END))
    assert figures.public(world.tweets["101"])["like_count"] == 10
    assert figures.organic(world.tweets["101"])["like_count"] == 7


def test_the_views_of_a_video_are_those_of_all_tweets_that_carry_it() -> None:
    world = generated(video=1.0, shared_video=0.9, old=0.0)
    figures = TweetFigures(world, VisibleCounts(source=world.counts, now=END))
    tweet = next(tweet for tweet in world.tweets.values() if len(world.tweets_with_video_of(tweet)) > 2)
    assert figures.views(tweet)["organic"] == world.total(tweet.id, "video_views", END) > 0


@pytest.mark.parametrize("other", ["101", "102"])
def test_a_tweet_that_refers_to_itself_or_to_a_later_one_raises_an_error(other: str) -> None:
    with pytest.raises(ValueError, match=f"reference: {other} is not earlier than 101"):
        Tweet(id="101", author_id="8", reference=Reference("quoted", other))


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"reply": 1.2}, "reply: 1.2"), ({"reply": 0.6, "quote": 0.6}, "together more than 1")],
)
def test_impossible_shares_raise_an_error(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContentShares(**shares)
