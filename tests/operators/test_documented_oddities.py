"""Pulls under behaviors that the documentation has, but not in every place: what they lose, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.parameters import Interval, Limits
from airflow_provider_engagement.simulator import Handle, Simulator, Switches, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
PUBLIC = ("favorites", "retweets")
ACCEPTED = ["unavailable"]


@pytest.fixture
def named(world: World) -> list[str]:
    """Available Tweets, and three of a protected account."""
    first, _, protected = world.handles
    available = list(world.tweets_of(first, deleted=False))[:40]
    return [*available, *world.tweets_of(protected)[:3]]


@pytest.fixture
def totals(
    connect: Callable[..., str], execute: Callable[..., Any], short_waits: None, dataset: Any, present: Any
) -> Callable[..., Any]:
    """Pull public totals with app credentials."""
    connect(None)

    def pulled(tweet_ids: list[str], **parameters: Any) -> Any:
        return execute(
            EngagementTotalsOperator(
                task_id="totals",
                tweets=tweet_ids,
                metrics=list(PUBLIC),
                dataset_path=str(dataset.folder),
                accepted_outcomes=ACCEPTED,
                **parameters,
            )
        )

    return pulled


def test_tweets_that_the_api_does_not_name_are_unavailable_and_a_retry_does_not_search_them_again(
    totals: Callable[..., Any], simulator: Simulator, named: list[str], dataset: Any
) -> None:
    simulator.switches = Switches(protected_tweets="unnamed")

    manifest = totals(named)
    sent = len(simulator.journal)
    again = totals(named)

    assert manifest["outcomes"] == {"unavailable": 3, "ok": 40}
    counts = {row["tweet_id"]: tuple(row[metric] for metric in PUBLIC) for row in dataset.rows("tweet_totals")}
    assert counts == {
        tweet_id: tuple(simulator.total(tweet_id, metric) for metric in PUBLIC) for tweet_id in named[:-3]
    }
    assert (manifest["requests"]["planned"], manifest["requests"]["sent"]) == (1, sent)
    assert sent <= 2 + 2 * 6 * 3
    assert (again["requests"]["reused"], len(simulator.journal)) == (1, sent)


def test_a_search_keeps_within_max_requests(totals: Callable[..., Any], simulator: Simulator, named: list[str]) -> None:
    simulator.switches = Switches(protected_tweets="unnamed")
    needed = totals(named, snapshot_at="2026-01-12T00:00:00Z")["requests"]["sent"]
    simulator.journal.clear()
    for bound in (1, 2, 5, needed - 1):
        with pytest.raises(AirflowFailException, match=r"[Ii]ncrease limits.requests"):
            totals(named[::-1], limits=Limits(requests=bound), snapshot_at=f"2026-01-11T{bound:02}:00:00Z")
        assert len(simulator.journal) <= bound
        simulator.journal.clear()
    manifest = totals(named, limits=Limits(requests=needed), snapshot_at="2026-01-11T23:00:00Z")
    assert manifest["outcomes"]["unavailable"] == 3
    assert len(simulator.journal) == needed


@pytest.mark.parametrize("value", Switches.choices()["protected_tweets"])
def test_a_series_of_a_protected_owner_is_unavailable_and_is_searched_once_for_all_windows(
    value: str,
    present: Any,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    short_waits: None,
    simulator: Simulator,
    world: World,
    dataset: Any,
) -> None:
    protected = list(world.handles.values())[2]
    connect(protected)
    simulator.switches = Switches(protected_tweets=value)
    ids = sorted(world.tweets_of(protected.user_id), key=int)[:6]
    manifest = execute(
        EngagementHistoricalOperator(
            task_id="series",
            tweets=ids,
            metrics=["impressions"],
            start=NOW - timedelta(days=60),
            end=NOW,
            interval=Interval(on_unaligned="shrink"),
            dataset_path=str(dataset.folder),
            accepted_outcomes=ACCEPTED,
            limits=Limits(concurrent_requests=1),
        )
    )
    assert manifest["outcomes"] == {"unavailable": len(ids)}
    assert dataset.rows("tweet_metrics/hour") == []
    assert len(simulator.journal) <= {"listed": 3, "counted": 3, "unnamed": 2 * len(ids)}[value]


@pytest.mark.parametrize("value", Switches.choices()["running_hour"])
def test_the_last_28_hours_are_complete_wherever_their_window_ends(
    value: str,
    present: Any,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    author: Handle,
    simulator: Simulator,
    world: World,
    dataset: Any,
) -> None:
    connect(author)
    simulator.switches = Switches(running_hour=value)
    ids = world.tweets_of(author.user_id, deleted=False)[-5:]
    manifest = execute(
        Engagement28HourOperator(
            task_id="recent", tweets=ids, metrics=["impressions"], dataset_path=str(dataset.folder)
        )
    )
    assert manifest["outcomes"] == {"ok": 5}
    for row in dataset.rows("tweet_metrics/hour"):
        start = row["period_start"]
        assert row["impressions"] == simulator.count(row["tweet_id"], "impressions", start, start + timedelta(hours=1))


@pytest.mark.parametrize(
    ("start", "end", "metrics"),
    [
        ("2017-10-08", "2017-10-10", [None, "engagements"]),
        ("2017-10-08", "2017-10-09", []),
        ("2018-07-01", "2018-07-20", []),
    ],
)
def test_a_run_says_which_metrics_changed_in_its_interval(
    start: str,
    end: str,
    metrics: list[str | None],
    present: Any,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    author: Handle,
    simulator: Simulator,
    world: World,
    dataset: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect(author)
    simulator.switches = Switches(history_floor="2014")
    manifest = execute(
        EngagementHistoricalOperator(
            task_id="series",
            tweets=world.tweets_of(author.user_id, deleted=False)[:5],
            metrics=["engagements", "favorites"],
            start=start,
            end=end,
            interval=Interval(max_age="unlimited"),
            dataset_path=str(dataset.folder),
        )
    )
    assert [change["metric"] for change in manifest["metric_changes"]] == metrics
    assert {change["on"] for change in manifest["metric_changes"]} <= {"2017-10-09"}
    logged = [line for line in caplog.messages if "The interval includes 2017-10-09" in line]
    assert len(logged) == len(metrics)
