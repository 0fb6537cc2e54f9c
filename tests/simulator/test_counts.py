"""The numbers: a pure function of the seed, whose hours add up to days, windows and totals."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.api.catalogue import METRICS
from airflow_provider_engagement.api.tweet_id import first_id_at
from airflow_provider_engagement.simulator import ExplicitCounts, SeededCounts, Tweet, World
from airflow_provider_engagement.simulator.counts import WITHDRAWABLE, Sight, hours_since_1970

WROTE = datetime(2025, 12, 14, 0, 28, 52, tzinfo=UTC)
HOUR = timedelta(hours=1)
TWEET = Tweet(id="2000000000000000001", author_id="1", video_id="1")
SILENT = Tweet(id="2000000000000000001", author_id="1")

metrics = st.sampled_from(sorted(METRICS))
seeds = st.integers(0, 2**32)
cuts = st.lists(st.integers(-30, 3000), min_size=3, max_size=8).map(sorted)


def world_of(*tweets: Tweet, seed: int = 0) -> World:
    return World(tweets=tweets, counts=SeededCounts(seed))


@given(seed=seeds, metric=metrics, edges=cuts)
def test_windows_that_meet_add_up(seed: int, metric: str, edges: list[int]) -> None:
    world = world_of(TWEET, seed=seed)
    moments = [WROTE.replace(minute=0, second=0) + edge * HOUR for edge in edges]
    parts = [world.count(TWEET.id, metric, first, last) for first, last in itertools.pairwise(moments)]
    assert sum(parts) == world.count(TWEET.id, metric, moments[0], moments[-1])


@given(seed=seeds, metric=metrics, start=st.integers(-5, 900))
def test_no_hour_is_negative_and_24_of_them_are_a_day(seed: int, metric: str, start: int) -> None:
    world = world_of(TWEET, seed=seed)
    first = WROTE.replace(minute=0, second=0) + start * HOUR
    hours = [world.count(TWEET.id, metric, first + n * HOUR, first + (n + 1) * HOUR) for n in range(24)]
    assert min(hours) >= 0
    assert sum(hours) == world.count(TWEET.id, metric, first, first + 24 * HOUR)


@given(seed=seeds, metric=metrics, age=st.integers(1, 50_000))
def test_the_total_is_the_sum_over_the_life(seed: int, metric: str, age: int) -> None:
    world = world_of(TWEET, seed=seed)
    now = WROTE.replace(minute=0, second=0) + age * HOUR
    assert world.total(TWEET.id, metric, now) == world.count(TWEET.id, metric, datetime(2010, 1, 1, tzinfo=UTC), now)


@given(seed=seeds, metric=metrics)
def test_nothing_happens_before_a_tweet_was_written(seed: int, metric: str) -> None:
    world = world_of(TWEET, seed=seed)
    assert world.count(TWEET.id, metric, WROTE - 1000 * HOUR, WROTE.replace(minute=0, second=0)) == 0


@given(seed=seeds, minutes=st.integers(0, 59))
def test_a_running_hour_fills_as_it_goes(seed: int, minutes: int) -> None:
    begun = WROTE.replace(minute=0, second=0) + 3 * HOUR
    world = world_of(TWEET, seed=seed)
    seen = [world.total(TWEET.id, "impressions", begun + timedelta(minutes=at)) for at in (0, minutes, 60)]
    assert seen == sorted(seen)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    now = WROTE + 100 * HOUR

    def numbers(seed: int) -> list[int]:
        return [world_of(TWEET, seed=seed).total(TWEET.id, metric, now) for metric in METRICS]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_metrics_and_tweets_differ() -> None:
    world = World.generate(seed=3, tweets=50, end=WROTE, video=1.0)
    now = WROTE + 1000 * HOUR
    totals = {tweet_id: world.total(tweet_id, "impressions", now) for tweet_id in world.tweets}
    assert len(set(totals.values())) > 40
    biggest = max(totals, key=lambda tweet_id: totals[tweet_id])
    by_metric = {metric: world.total(biggest, metric, now) for metric in METRICS}
    assert by_metric["impressions"] == max(by_metric.values())
    assert by_metric["impressions"] > 5 * by_metric["engagements"]
    assert len(set(by_metric.values())) > len(METRICS) - 3


def test_most_tweets_are_small_and_few_are_huge() -> None:
    world = World.generate(seed=4, tweets=1000, end=WROTE)
    totals = sorted(world.total(tweet_id, "impressions", WROTE + 1000 * HOUR) for tweet_id in world.tweets)
    assert totals[500] < 1000
    assert sum(totals[-50:]) > sum(totals[:-50])


def test_engagement_bursts_and_decays() -> None:
    world = World.generate(seed=4, tweets=200, start=WROTE - HOUR, end=WROTE, old=0.0)

    def all_of(first: int, last: int) -> int:
        return sum(
            world.count(tweet_id, "impressions", WROTE + first * HOUR, WROTE + last * HOUR) for tweet_id in world.tweets
        )

    assert all_of(0, 24) > 3 * all_of(24, 48) > 3 * all_of(240, 264)


def test_without_a_video_nobody_views_one() -> None:
    assert world_of(SILENT).total(SILENT.id, "video_views", WROTE + 1000 * HOUR) == 0


def test_the_views_of_a_shared_video_are_totalled_over_its_tweets() -> None:
    other = Tweet(id=first_id_at(WROTE + 5 * HOUR), author_id="2", video_id="1")
    now = WROTE + 500 * HOUR
    alone = [world_of(tweet).total(tweet.id, "video_views", now) for tweet in (TWEET, other)]
    together = world_of(TWEET, other)
    assert [together.total(tweet.id, "video_views", now) for tweet in (TWEET, other)] == [sum(alone)] * 2
    assert together.count(TWEET.id, "video_views", WROTE - 2 * HOUR, now + HOUR) < sum(alone)


def test_a_tweet_from_before_snowflake_costs_no_more_than_another() -> None:
    ancient = Tweet(id="20", author_id="1")
    assert world_of(ancient).total("20", "impressions", WROTE) > 0


def test_counts_laid_down_by_hand_are_returned_as_they_are() -> None:
    hour = datetime(2026, 1, 10, 22, tzinfo=UTC)
    counts = ExplicitCounts({(TWEET.id, "favorites", hour): 5, (TWEET.id, "favorites", hour + HOUR): -2})
    world = World(tweets=[TWEET], counts=counts)
    assert world.count(TWEET.id, "favorites", hour, hour + HOUR) == 5
    assert world.count(TWEET.id, "favorites", hour + HOUR, hour + 2 * HOUR) == -2
    assert world.total(TWEET.id, "favorites", hour + 9 * HOUR) == 3
    assert world.total(TWEET.id, "favorites", hour) == 0
    assert world.total(TWEET.id, "impressions", hour + 9 * HOUR) == 0


def test_a_total_laid_down_by_hand_takes_the_place_of_the_sum() -> None:
    counts = ExplicitCounts(
        {(TWEET.id, "video_views", WROTE.replace(minute=0, second=0)): 5}, {(TWEET.id, "video_views"): 77}
    )
    assert World(tweets=[TWEET], counts=counts).total(TWEET.id, "video_views", WROTE + HOUR) == 77


@pytest.mark.parametrize("metric", ["favorites", "impressions"])
def test_withdrawals_make_some_hours_negative_and_never_a_total(metric: str) -> None:
    popular = SeededCounts(seed=10)
    now = WROTE + 600 * HOUR
    sight = Sight(counts=popular, now=now, withdrawals=True)
    first = round(hours_since_1970(WROTE.replace(minute=0, second=0)))
    sums = sight.cumulative(TWEET, [metric], range(first, first + 600))[metric]
    hours = [after - before for before, after in itertools.pairwise(sums)]
    assert min(sums) >= 0
    assert (min(hours) < 0) is (metric in WITHDRAWABLE)


@settings(max_examples=30)
@given(seed=seeds, ahead=st.integers(1, 60), minutes=st.integers(0, 59))
def test_restated_hours_grow_until_they_settle_and_still_add_up(seed: int, ahead: int, minutes: int) -> None:
    counts = SeededCounts(seed)
    first = round(hours_since_1970(WROTE.replace(minute=0, second=0)))
    edges = range(first, first + 200)
    earlier = WROTE + 20 * HOUR
    later = WROTE + ahead * HOUR + timedelta(hours=20, minutes=minutes)

    def seen(now: datetime) -> list[int]:
        sums = Sight(counts=counts, now=now, restatement=True).cumulative(TWEET, ["impressions"], edges)["impressions"]
        return [after - before for before, after in itertools.pairwise(sums)]

    before, after = seen(earlier), seen(later)
    final = seen(WROTE + 1000 * HOUR)
    assert all(a <= b <= c for a, b, c in zip(before, after, final, strict=True))
    true = counts.cumulative(TWEET, ["impressions"], edges)["impressions"]
    assert final == [b - a for a, b in itertools.pairwise(true)]
    total = Sight(counts=counts, now=earlier, restatement=True).total(TWEET, "impressions")
    assert total == sum(before)
