"""Seeded counts, whose hours add up to days, windows and totals, and explicit counts."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.catalogue import METRICS
from airflow_provider_engagement.simulator import ExplicitCounts, SeededCounts, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at

CREATED = datetime(2025, 12, 14, 0, 28, 52, tzinfo=UTC)
FIRST_HOUR = CREATED.replace(minute=0, second=0)
HOUR = timedelta(hours=1)
TWEET = Tweet(id="2000000000000000001", author_id="1", video_id="1")
WITHOUT_VIDEO = Tweet(id="2000000000000000001", author_id="1")

metrics = st.sampled_from(sorted(METRICS))
seeds = st.integers(0, 2**32)
edges_of_windows = st.lists(st.integers(-30, 3000), min_size=3, max_size=8).map(sorted)


def world_of(*tweets: Tweet, seed: int = 0) -> World:
    return World(tweets=tweets, counts=SeededCounts(seed))


@given(seed=seeds, metric=metrics, edges=edges_of_windows)
def test_adjacent_windows_add_up(seed: int, metric: str, edges: list[int]) -> None:
    world = world_of(TWEET, seed=seed)
    times = [FIRST_HOUR + edge * HOUR for edge in edges]
    counts = [world.count(TWEET.id, metric, first, last) for first, last in itertools.pairwise(times)]
    assert sum(counts) == world.count(TWEET.id, metric, times[0], times[-1])


@given(seed=seeds, metric=metrics, start=st.integers(-5, 900))
def test_no_hour_is_negative_and_24_hours_add_up_to_a_day(seed: int, metric: str, start: int) -> None:
    world = world_of(TWEET, seed=seed)
    first = FIRST_HOUR + start * HOUR
    hours = [world.count(TWEET.id, metric, first + n * HOUR, first + (n + 1) * HOUR) for n in range(24)]
    assert min(hours) >= 0
    assert sum(hours) == world.count(TWEET.id, metric, first, first + 24 * HOUR)


@given(seed=seeds, metric=metrics, age=st.integers(1, 50_000))
def test_the_total_is_the_count_since_the_creation(seed: int, metric: str, age: int) -> None:
    world = world_of(TWEET, seed=seed)
    now = FIRST_HOUR + age * HOUR
    assert world.total(TWEET.id, metric, now) == world.count(TWEET.id, metric, datetime(2010, 1, 1, tzinfo=UTC), now)


@given(seed=seeds, metric=metrics)
def test_there_is_no_engagement_before_the_creation(seed: int, metric: str) -> None:
    world = world_of(TWEET, seed=seed)
    assert world.count(TWEET.id, metric, CREATED - 1000 * HOUR, FIRST_HOUR) == 0


@given(seed=seeds, minutes=st.integers(0, 59))
def test_the_total_grows_within_an_hour(seed: int, minutes: int) -> None:
    hour = FIRST_HOUR + 3 * HOUR
    world = world_of(TWEET, seed=seed)
    totals = [world.total(TWEET.id, "impressions", hour + timedelta(minutes=at)) for at in (0, minutes, 60)]
    assert totals == sorted(totals)


def test_counts_depend_on_the_seed_only() -> None:
    now = CREATED + 100 * HOUR

    def totals(seed: int) -> list[int]:
        return [world_of(TWEET, seed=seed).total(TWEET.id, metric, now) for metric in METRICS]

    assert totals(1) == totals(1)
    assert totals(1) != totals(2)


def test_a_seed_gives_the_same_counts_in_every_version() -> None:
    world = World.generate(seed=1, handles=1, tweets=40, end=datetime(2026, 1, 1, tzinfo=UTC), old=0, deleted=0)
    metrics = ("impressions", "engagements", "favorites", "video_views", "media_views", "media_engagements")
    time = datetime(2026, 1, 2, tzinfo=UTC)

    assert {
        tweet_id: tuple(world.total(tweet_id, metric, time) for metric in metrics)
        for tweet_id in ("1861910947347540061", "1924007611091040684", "1925500189191238394")
    } == {
        "1861910947347540061": (1624, 71, 14, 630, 1008, 11),
        "1924007611091040684": (174, 11, 3, 0, 97, 4),
        "1925500189191238394": (1842, 65, 16, 484, 612, 11),
    }


def test_counts_differ_between_metrics_and_tweets() -> None:
    world = World.generate(seed=3, tweets=50, end=CREATED, video=1.0)
    now = CREATED + 1000 * HOUR
    totals = {tweet_id: world.total(tweet_id, "impressions", now) for tweet_id in world.tweets}
    assert len(set(totals.values())) > 40
    biggest = max(totals, key=lambda tweet_id: totals[tweet_id])
    by_metric = {metric: world.total(biggest, metric, now) for metric in METRICS}
    assert by_metric["impressions"] == max(by_metric.values())
    assert by_metric["impressions"] > 5 * by_metric["engagements"]
    assert len(set(by_metric.values())) > len(METRICS) - 3


def test_a_few_tweets_have_most_of_the_impressions() -> None:
    world = World.generate(seed=4, tweets=1000, end=CREATED)
    totals = sorted(world.total(tweet_id, "impressions", CREATED + 1000 * HOUR) for tweet_id in world.tweets)
    assert totals[500] < 1000
    assert sum(totals[-50:]) > sum(totals[:-50])


def test_engagement_decays_after_a_burst() -> None:
    world = World.generate(seed=4, tweets=200, start=CREATED - HOUR, end=CREATED, old=0.0)

    def impressions(first: int, last: int) -> int:
        return sum(
            world.count(tweet_id, "impressions", CREATED + first * HOUR, CREATED + last * HOUR)
            for tweet_id in world.tweets
        )

    assert impressions(0, 24) > 3 * impressions(24, 48) > 3 * impressions(240, 264)


@given(seed=seeds, start=st.integers(0, 900), hours=st.integers(1, 100))
def test_video_views_are_some_of_the_media_views(seed: int, start: int, hours: int) -> None:
    world = world_of(TWEET, seed=seed)
    first, last = FIRST_HOUR + start * HOUR, FIRST_HOUR + (start + hours) * HOUR
    video, media = (world.count(TWEET.id, metric, first, last) for metric in ("video_views", "media_views"))
    assert 0 <= video <= media


def test_only_tweets_with_media_have_counts_of_media() -> None:
    world = World.generate(seed=8, tweets=300, end=CREATED, video=0.3, image=0.4)
    kinds: dict[tuple[bool, bool], int] = {}
    for tweet in world.tweets.values():
        total = {metric: world.total(tweet.id, metric, CREATED + 1000 * HOUR) for metric in METRICS}
        assert tweet.has_media or total["media_views"] == total["media_engagements"] == 0
        assert tweet.has_video or total["video_views"] == 0
        kinds[tweet.has_video, tweet.image] = kinds.get((tweet.has_video, tweet.image), 0) + total["media_views"]
    assert kinds[False, False] == 0
    assert kinds[True, False] > 0
    assert kinds[False, True] > 0


KINDS = METRICS.keys() - {"impressions", "engagements", "video_views", "media_views"}


@given(seed=seeds, start=st.integers(0, 900), hours=st.integers(1, 100))
def test_engagements_are_the_sum_of_their_kinds_and_a_few_without_a_metric(seed: int, start: int, hours: int) -> None:
    world = world_of(TWEET, seed=seed)
    first, last = FIRST_HOUR + start * HOUR, FIRST_HOUR + (start + hours) * HOUR
    total = world.count(TWEET.id, "engagements", first, last)
    kinds = sum(world.count(TWEET.id, kind, first, last) for kind in KINDS)
    assert kinds <= total <= kinds * 1.025 + 1


def test_a_quarter_of_the_tweets_is_hardly_seen() -> None:
    world = World.generate(seed=5, tweets=1000, end=CREATED, old=0.0)
    totals = [world.total(tweet_id, "impressions", CREATED + 10_000 * HOUR) for tweet_id in world.tweets]
    assert 200 < sum(total < 90 for total in totals) < 300
    assert min(totals) < 10


def test_there_is_less_engagement_at_weekends_and_at_night() -> None:
    world = World.generate(seed=6, tweets=400, start=CREATED - 100 * HOUR, end=CREATED, old=0.0)
    monday = datetime(2025, 12, 22, tzinfo=UTC)

    def seen(day: int, first: int, last: int) -> int:
        return sum(
            world.count(tweet_id, "impressions", start + first * HOUR, start + last * HOUR)
            for start in (monday + timedelta(weeks=week, days=day) for week in range(4))
            for tweet_id in world.tweets
        )

    assert seen(6, 0, 24) < 0.8 * seen(2, 0, 24)
    assert seen(2, 4, 8) < 0.5 * seen(2, 16, 20)


def test_some_tweets_spread_a_second_time() -> None:
    world = World.generate(seed=7, tweets=300, start=CREATED - HOUR, end=CREATED, old=0.0)

    def spreads_again(tweet_id: str) -> bool:
        days = [
            world.count(tweet_id, "impressions", CREATED + 24 * day * HOUR, CREATED + 24 * (day + 1) * HOUR)
            for day in range(1, 25)
        ]
        return any(later > 3 * earlier + 5 for earlier, later in itertools.pairwise(days))

    assert 0.02 < sum(map(spreads_again, world.tweets)) / 300 < 0.2


def test_a_tweet_without_video_has_no_video_views() -> None:
    assert world_of(WITHOUT_VIDEO).total(WITHOUT_VIDEO.id, "video_views", CREATED + 1000 * HOUR) == 0


def test_the_total_of_video_views_includes_other_tweets_with_the_same_video() -> None:
    other = Tweet(id=first_id_at(CREATED + 5 * HOUR), author_id="2", video_id="1")
    now = CREATED + 500 * HOUR
    alone = [world_of(tweet).total(tweet.id, "video_views", now) for tweet in (TWEET, other)]
    together = world_of(TWEET, other)
    assert [together.total(tweet.id, "video_views", now) for tweet in (TWEET, other)] == [sum(alone)] * 2
    assert together.count(TWEET.id, "video_views", CREATED - 2 * HOUR, now + HOUR) < sum(alone)


def test_a_tweet_from_before_snowflake_has_engagement() -> None:
    ancient = Tweet(id="20", author_id="1")
    assert world_of(ancient).total("20", "impressions", CREATED) > 0


def test_explicit_counts_are_returned_unchanged() -> None:
    hour = datetime(2026, 1, 10, 22, tzinfo=UTC)
    counts = ExplicitCounts({(TWEET.id, "favorites", hour): 5, (TWEET.id, "favorites", hour + HOUR): -2})
    world = World(tweets=[TWEET], counts=counts)
    assert world.count(TWEET.id, "favorites", hour, hour + HOUR) == 5
    assert world.count(TWEET.id, "favorites", hour + HOUR, hour + 2 * HOUR) == -2
    assert world.total(TWEET.id, "favorites", hour + 9 * HOUR) == 3
    assert world.total(TWEET.id, "favorites", hour) == 0
    assert world.total(TWEET.id, "impressions", hour + 9 * HOUR) == 0


def test_an_explicit_total_replaces_the_sum_of_the_hours() -> None:
    counts = ExplicitCounts({(TWEET.id, "video_views", FIRST_HOUR): 5}, {(TWEET.id, "video_views"): 77})
    assert World(tweets=[TWEET], counts=counts).total(TWEET.id, "video_views", CREATED + HOUR) == 77
