"""The counts and the metadata of responses."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.simulator import ExplicitCounts, Handle, Tweet, World

NEW, SECOND, OLD, DELETED, FOREIGN, ANCIENT = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",
    "2000000000000000003",
    "2000000000000000009",
    "20",
)
AUTHOR = "7588892"
TWEET, TYPE, DAY, HOUR = "tweet.id", "engagement.type", "engagement.day", "engagement.hour"
START, END = datetime(2026, 1, 10, 20, tzinfo=UTC), datetime(2026, 1, 12, 3, tzinfo=UTC)
WINDOW = {"start": "2026-01-10T20:00:00Z", "end": "2026-01-12T03:00:00Z"}
METRICS = ("impressions", "favorites")
LEGAL_GROUPINGS = [
    group_by
    for length in (1, 2, 3, 4)
    for group_by in itertools.permutations((TWEET, TYPE, DAY, HOUR), length)
    if TYPE in group_by and (length < 4 or group_by in {(TWEET, TYPE, DAY, HOUR), (TYPE, TWEET, DAY, HOUR)})
]


def expected_counts(world: Any, tweets: tuple[str, ...], group_by: tuple[str, ...]) -> dict[str, Any]:
    """Sum the counts of the world by some dimensions, hour by hour."""
    nested: dict[str, Any] = {}
    for tweet, metric, hours in itertools.product(tweets, METRICS, range((END - START) // timedelta(hours=1))):
        at = START + timedelta(hours=hours)
        keys = {TWEET: tweet, TYPE: metric, DAY: f"{at:%Y-%m-%d}", HOUR: f"{at:%H}"}
        level = nested
        for item in group_by[:-1]:
            level = level.setdefault(keys[item], {})
        last = keys[group_by[-1]]
        level[last] = level.get(last, 0) + world.count(tweet, metric, at, at + timedelta(hours=1))
    return nested


def as_strings(nested: Any) -> Any:
    return {key: as_strings(value) for key, value in nested.items()} if isinstance(nested, dict) else str(nested)


def test_every_legal_grouping_nests_the_same_counts(client: Any) -> None:
    for group_by in LEGAL_GROUPINGS:
        response = client.historical(NEW, SECOND, user=AUTHOR, metrics=METRICS, group_by=group_by, **WINDOW)
        expected = as_strings(expected_counts(client.simulator.world, (NEW, SECOND), group_by))
        assert response.json() == {**WINDOW, "counts": expected}, group_by


def test_unavailable_tweets_are_listed_and_have_no_counts(client: Any) -> None:
    assert client.totals(NEW, DELETED, "2000000000000000777", user=AUTHOR).json() == {
        "errors": ["2 Tweet ID(s) are unavailable"],
        "unavailable_tweet_ids": [DELETED, "2000000000000000777"],
        "by_tweet": {NEW: {"favorites": "3"}},
    }


def test_a_tweet_is_unavailable_before_its_creation(client: Any) -> None:
    client.simulator.clock.set(datetime(2025, 12, 1, tzinfo=UTC))
    assert client.totals(FOREIGN, user=AUTHOR).json()["unavailable_tweet_ids"] == [FOREIGN]


def test_tweets_of_a_protected_user_are_unavailable_even_to_that_user(client: Any) -> None:
    client.simulator.world.change_handle(AUTHOR, protected=True)
    response = client.totals(NEW, user=AUTHOR)
    assert (response.status_code, response.json()["unavailable_tweet_ids"]) == (400, [NEW])


def test_tweets_past_90_days_are_listed_and_have_no_impressions(client: Any) -> None:
    response = client.totals(NEW, OLD, ANCIENT, metrics=("impressions", "engagements", "favorites"), user=AUTHOR)
    assert response.status_code == 200
    assert response.json() == {
        "errors": ["Impressions & engagements for tweets older than 90 days (2025-10-14T09:30:00Z) are not supported"],
        "unsupported_for_impressions_engagements_tweet_ids": [OLD, ANCIENT],
        "by_tweet": {
            NEW: {"impressions": "42", "engagements": "0", "favorites": "3"},
            OLD: {"favorites": "5"},
            ANCIENT: {"favorites": "0"},
        },
    }


def test_historical_returns_impressions_of_tweets_past_90_days(client: Any) -> None:
    assert client.historical(OLD, user=AUTHOR, **WINDOW).json() == {**WINDOW, "counts": {OLD: {"impressions": "11"}}}


@pytest.mark.parametrize("endpoint", ["totals", "28hr", "historical"])
def test_video_views_of_tweets_past_1800_days_are_listed_and_zero(client: Any, endpoint: str) -> None:
    body = client.historical(NEW, ANCIENT, user=AUTHOR, metrics=("video_views",), endpoint=endpoint).json()
    assert body["unsupported_for_video_views_tweet_ids"] == [ANCIENT]
    assert body["counts"] == {NEW: {"video_views": "0"}, ANCIENT: {"video_views": "0"}}
    assert client.simulator.total(ANCIENT, "video_views") == 9


def test_age_limits_of_metrics_not_requested_are_not_reported(client: Any) -> None:
    assert client.totals(NEW, OLD, ANCIENT, user=AUTHOR).json() == {
        "by_tweet": {NEW: {"favorites": "3"}, OLD: {"favorites": "5"}, ANCIENT: {"favorites": "0"}}
    }


def test_a_tweet_of_exactly_90_days_has_impressions(client: Any) -> None:
    created = client.simulator.world.tweets[OLD].created_at
    for extra, listed in ((timedelta(), False), (timedelta(milliseconds=1), True)):
        client.simulator.clock.set(created + timedelta(days=90) + extra)
        body = client.totals(OLD, metrics=("impressions",), user=AUTHOR).json()
        assert ("unsupported_for_impressions_engagements_tweet_ids" in body) is listed


def test_historical_has_no_likes_from_before_september_2015(start: Any) -> None:
    tweet_id = "640020000000000000"
    metrics = ("favorites", "retweets", "replies", "impressions")
    hours = (datetime(2015, 9, 14, 23, tzinfo=UTC), datetime(2015, 9, 15, 0, tzinfo=UTC))
    world = World(
        handles=[Handle(user_id=AUTHOR, screen_name="a", access_token=f"{AUTHOR}-x", access_token_secret="y")],
        tweets=[Tweet(id=tweet_id, author_id=AUTHOR)],
        counts=ExplicitCounts({(tweet_id, metric, hour): 4 for metric in metrics for hour in hours}),
    )
    client = start(world, now=datetime(2015, 9, 16, tzinfo=UTC))
    body = client.historical(
        tweet_id, user=AUTHOR, start="2015-09-14", end="2015-09-16", metrics=metrics, group_by=(TYPE,)
    ).json()
    assert body["counts"] == {"favorites": "4", "retweets": "4", "replies": "4", "impressions": "8"}


def test_keys_are_shuffled_in_the_same_way_every_time(client: Any) -> None:
    def keys() -> list[str]:
        body = client.historical(NEW, SECOND, user=AUTHOR, group_by=(TWEET, TYPE, DAY, HOUR), **WINDOW).json()
        return list(body["counts"][NEW]["impressions"]["2026-01-11"])

    assert keys() == keys()
    assert keys() != sorted(keys())
    assert sorted(keys()) == [f"{hour:02}" for hour in range(24)]


def test_responses_and_error_responses_are_compressed(client: Any) -> None:
    for response in (client.totals(NEW), client.totals(NEW, headers={"Authorization": "Bearer wrong"})):
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("encodings", ["gzip", "gzip, deflate", "deflate, GZIP;q=0.5", "*"])
def test_gzip_can_be_one_of_several_accepted_encodings(client: Any, encodings: str) -> None:
    assert client.totals(NEW, headers={"Accept-Encoding": encodings}).status_code == 200


@pytest.mark.parametrize("encodings", ["", "identity", "deflate", "gzip;q=0"])
def test_requests_that_do_not_accept_gzip_are_rejected(client: Any, encodings: str) -> None:
    response = client.totals(NEW, headers={"Accept-Encoding": encodings})
    assert response.status_code == 406
    assert "Content-Encoding" not in response.headers
