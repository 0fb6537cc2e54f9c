"""The first days of each Tweet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.parameters import AfterPost
from airflow_provider_engagement.simulator import World

from ...oracle import Cells, floor_to_hour, summed
from .conftest import DAY, METRICS, WEEK, hourly_truth, utc


@pytest.mark.parametrize(("days", "period"), [(7, 1), ("3", "2"), (35, 1)])
def test_after_post_days_pull_the_first_days_of_each_tweet_or_a_later_period(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, days: Any, period: Any
) -> None:
    dated = [tweet_id for tweet_id in ids if world.tweets[tweet_id].created_at is not None][-24:]
    pull(
        (utc(2026, 1, 11), utc(2026, 1, 12)),
        tweets=dated,
        interval=AfterPost(days, period=period),
    )
    oldest, newest = utc(2025, 1, 12, 10), utc(2026, 1, 12)
    expected: Cells = {}
    for tweet_id in dated:
        created = world.tweets[tweet_id].created_at
        assert created is not None
        first = floor_to_hour(created) + (int(period) - 1) * int(days) * DAY
        days_of_tweet = max(first, oldest), min(first + int(days) * DAY, newest)
        expected |= hourly_truth(world, [tweet_id], *days_of_tweet) if days_of_tweet[0] < days_of_tweet[1] else {}
    assert len({tweet_id for tweet_id, _ in expected}) > 10
    assert dataset.counts(METRICS) == expected


def test_the_period_of_a_total_after_the_post_contains_only_summed_hours(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    """The first days of some Tweets are older than the oldest hour of the API, or are not complete yet."""
    dated = [tweet_id for tweet_id in ids if world.tweets[tweet_id].created_at is not None]
    pull((utc(2026, 1, 11), utc(2026, 1, 12)), tweets=dated, interval=AfterPost(60), granularity="total")
    found = dataset.rows("tweet_metrics/total")
    shorter = 0
    for row in found:
        (expected,) = summed(
            hourly_truth(world, [row["tweet_id"]], row["period_start"], row["period_end"]), lambda hour: 0
        ).values()
        assert tuple(row[metric] for metric in METRICS) == expected
        shorter += row["period_end"] - row["period_start"] < 60 * DAY
    assert 0 < shorter < len(found)


@pytest.mark.parametrize(("zone", "period"), [("UTC", 2), ("America/New_York", 1)])
def test_days_after_the_post_are_whole_calendar_days(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, zone: str, period: int
) -> None:
    dated = [tweet_id for tweet_id in ids if world.tweets[tweet_id].created_at is not None]
    pull(
        (utc(2026, 1, 11), utc(2026, 1, 12)),
        tweets=dated,
        interval=AfterPost(7, period=period),
        granularity="day",
        time_zone=zone,
    )
    found = dataset.rows("tweet_metrics/day")
    assert found
    for row in found:
        assert row["period_start"].astimezone(ZoneInfo(zone)).time().isoformat() == "00:00:00"
        (expected,) = summed(
            hourly_truth(world, [row["tweet_id"]], row["period_start"], row["period_end"]), lambda hour: 0
        ).values()
        assert tuple(row[metric] for metric in METRICS) == expected


def test_the_days_after_each_post_start_at_the_oldest_hour_that_the_api_has(
    pull: Callable[..., Any], world: World, ids: list[str]
) -> None:
    dated = [tweet_id for tweet_id in ids if world.tweets[tweet_id].created_at is not None][-3:]

    manifest = pull((utc(2026, 1, 11), utc(2026, 1, 12)), tweets=dated, interval=AfterPost(7))

    assert manifest["interval"][0] == "2025-01-12T10:00:00Z"
    assert manifest["adjustments"] == []


def test_after_post_days_require_ids_with_a_creation_time(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match="2010-11-04"):
        pull(WEEK, tweets=["20"], interval=AfterPost(7))


def test_after_post_days_exclude_groupings(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match="groupings"):
        pull(WEEK, interval=AfterPost(7), groupings={"grand": ["engagement.type"]})
