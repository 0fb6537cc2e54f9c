"""Pulls of history against the simulator: every count is true or a null with a reason."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Freshness
from airflow_provider_engagement.simulator import Clock, Fault, Handle, Simulator, Switches, World, connection

from ...oracle import HOUR, has_no_video_views, hours_of_tweet
from .conftest import DAY, METRICS, NOW, WEEK, hourly_truth, utc


def test_every_row_is_true_and_every_null_has_a_reason_despite_faults(
    present: Any,
    connect: Callable[..., str],
    execute: Callable[..., Any],
    short_waits: None,
    monkeypatch: pytest.MonkeyPatch,
    dataset: Any,
) -> None:
    world = World.generate(
        seed=11,
        handles=3,
        tweets=500,
        start=NOW - 45 * DAY,
        end=NOW,
        deleted=0.05,
        video=0.3,
        old=0.15,
        pre_snowflake=0.03,
    )
    author, other, protected = world.handles
    world.change_handle(protected, protected=True)
    metrics = ("impressions", "video_views")
    start, end = NOW.replace(hour=0, minute=0) - 31 * DAY, NOW.replace(hour=0, minute=0) - 2 * DAY
    owned = world.tweets_of(author)
    foreign = world.tweets_of(other)[:40]
    faults = (
        Fault(nth=1, status=503, body="Service Unavailable"),
        Fault(nth=2, drop="before_headers"),
        Fault(nth=3, drop="after_headers"),
    )
    pulls = (
        (author, owned + owned[::7], (*faults, Fault(nth=5, truncate_gzip=True))),
        (author, foreign + owned[:40], faults),
        (protected, world.tweets_of(protected), faults),
    )
    requested = owned + foreign
    with Simulator(world, clock=Clock(NOW)) as simulator:
        for number, (user, tweet_ids, faults_of_pull) in enumerate(pulls):
            simulator.faults.clear()
            simulator.faults.add(*faults_of_pull)
            simulator.journal.clear()
            monkeypatch.setenv("AIRFLOW_CONN_FAULTY", json.dumps(connection(simulator, world.handles[user])))
            operator = EngagementHistoricalOperator(
                task_id=f"pull_{number}",
                engagement_conn_id="faulty",
                tweets=tweet_ids,
                metrics=list(metrics),
                start=start,
                end=end,
                dataset_path=str(dataset.folder),
                accepted_outcomes=["unavailable", "unsupported_video", "forbidden"],
            )
            assert execute(operator)["requested"] == len(set(tweet_ids))
            assert sum(entry.forced for entry in simulator.journal) == len(faults_of_pull)
    expected = hourly_truth(world, world.tweets_of(author), start, end, metrics=metrics)
    assert dataset.counts(metrics) == expected
    assert len(expected) > 20_000
    found = dataset.statuses()
    assert found.keys() == set(requested) | set(world.tweets_of(protected))
    for tweet_id, status in found.items():
        tweet = world.tweets[tweet_id]
        is_newer = tweet.created_at is not None and tweet.created_at >= end
        outdated = has_no_video_views(tweet, NOW)
        outcome = "ok"
        if is_newer:
            # The API can only report on a Tweet that is part of a request.
            assert status["outcome"] == "ok"
            continue
        if tweet.author_id == other:
            outcome = "forbidden"
        elif tweet.deleted or tweet.author_id == protected:
            outcome = "unavailable"
        elif outdated:
            outcome = "unsupported_video"
        assert status["outcome"] == outcome, tweet
        if outcome == "forbidden":
            assert (status["author"], status["owner"]) == (other, None)
        affected = {"ok": None, "unsupported_video": "video_views"}.get(outcome, "impressions,video_views")
        assert status["metrics_affected"] == affected
    covered = defaultdict(set)
    for row in dataset.rows("coverage"):
        covered[row["tweet_id"]].add((row["window_start"], row["window_end"]))
    for tweet_id in found:
        first, last = hours_of_tweet(world, tweet_id, start, end)
        edges = sorted(covered[tweet_id])
        assert [edge for edge, _ in edges] + [last] == [first] + [edge for _, edge in edges] or first >= last


def test_tweets_of_another_user_fail_the_task(
    pull: Callable[..., Any], world: World, author: Handle, ids: list[str]
) -> None:
    other = next(user for user in world.handles if user != author.user_id)
    foreign = world.tweets_of(other)[0]
    with pytest.raises(AirflowFailException, match=rf"did not post 1 of the Tweets.*{foreign}"):
        pull(WEEK, tweets=[*ids, foreign])


def test_a_deleted_tweet_keeps_its_published_rows(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, present: Any
) -> None:
    pull(WEEK, freshness=Freshness(reuse_for=timedelta(hours=0)))
    before = dataset.counts(METRICS)
    deleted = next(tweet_id for tweet_id, _ in before)
    world.change_tweet(deleted, deleted=True)
    present.shift(HOUR)
    pull(WEEK, freshness=Freshness(reuse_for=timedelta(hours=0)))
    assert dataset.counts(METRICS) == before
    assert dataset.statuses()[deleted]["outcome"] == "unavailable"


def test_rows_are_true_for_every_undocumented_behavior_of_the_api(
    pull: Callable[..., Any],
    ids: list[str],
    dataset: Any,
    simulator: Simulator,
) -> None:
    simulator.switches = Switches(values="mixed", extra_metrics=True, negative_counts=True)
    pull((utc(2026, 1, 8), utc(2026, 1, 11)))
    found = dataset.counts(("impressions", "favorites"))
    for (tweet_id, hour), row in found.items():
        expected = (simulator.count(tweet_id, metric, hour, hour + HOUR) for metric in ("impressions", "favorites"))
        assert row == tuple(expected)
    assert found


def test_a_small_pull_returns_its_rows_without_dataset_path(
    pull: Callable[..., Any], world: World, ids: list[str]
) -> None:
    readable = [tweet_id for tweet_id in ids if not world.tweets[tweet_id].deleted][-18:-13]
    report = pull((utc(2026, 1, 5), utc(2026, 1, 6)), tweets=readable, dataset_path=None)
    found = {
        (row["tweet_id"], datetime.fromisoformat(row["period_start"])): tuple(row[metric] for metric in METRICS)
        for row in report["tweet_metrics"]
    }
    assert found == hourly_truth(world, readable, utc(2026, 1, 5), utc(2026, 1, 6))
    assert {row["tweet_id"] for row in report["coverage"]} == {tweet_id for tweet_id, _ in found}
    with pytest.raises(AirflowFailException, match="dataset_path"):
        pull(WEEK, dataset_path=None)
