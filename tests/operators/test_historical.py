"""Pulls of history against the simulator: every count is true or a null with a reason, at the fewest requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pyarrow
import pyarrow.dataset
import pytest
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_engagement.exceptions import EngagementError
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import AfterPost, Freshness, Interval
from airflow_provider_engagement.simulator import Clock, Fault, Handle, Simulator, Switches, World, connection

from .. import oracle
from ..oracle import HOUR, Cells, floor_to_hour, has_no_video_views, hours_between, hours_of_tweet, summed

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = ("impressions", "favorites", "video_views")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.fixture
def world(series_world: World) -> World:
    return series_world


@pytest.fixture
def simulator(series_simulator: Simulator) -> Simulator:
    return series_simulator


@pytest.fixture
def pull(pull_series: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Pull the author's Tweets over the data interval of a run."""

    def pulled(
        data_interval: tuple[datetime, datetime] | None = None,
        *,
        to: str = "dataset",
        run_type: str = "scheduled",
        context: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> Any:
        start, end = data_interval or (None, None)
        run = {
            "data_interval_start": start,
            "data_interval_end": end,
            "dag_run": SimpleNamespace(run_after=end or NOW, run_type=run_type, partition_key=None),
        }
        defaults = {"task_id": "history", "metrics": list(METRICS), "dataset_path": str(tmp_path / to)}
        return pull_series(EngagementHistoricalOperator, {**run, **(context or {})}, **{**defaults, **parameters})

    return pulled


hourly_truth = partial(oracle.hourly_truth, metrics=METRICS, now=NOW)
WEEK = (utc(2026, 1, 4), utc(2026, 1, 11))


# Counts.


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


# Intervals.


def interval_of(report: dict[str, Any]) -> tuple[str, str]:
    start, end = report["interval"]
    return start, end


def test_the_default_interval_is_the_data_interval(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    report = pull(
        (pendulum.datetime(2026, 1, 5, tz="Europe/Prague"), pendulum.datetime(2026, 1, 6, tz="Europe/Prague"))
    )
    assert interval_of(report) == ("2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z")
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 4, 23), utc(2026, 1, 5, 23))


def test_an_empty_data_interval_is_an_error_that_names_the_timetable_to_use(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(AirflowFailException, match=r"empty.*CronDataIntervalTimetable"):
        pull((WEEK[0], WEEK[0]))
    assert len(simulator.journal) == 0


def test_a_run_without_data_interval_is_an_error_that_names_the_alternatives(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(
        AirflowFailException, match="Set start and end, or schedule the DAG by data interval or by partition"
    ):
        pull(None)
    assert len(simulator.journal) == 0


@pytest.mark.parametrize(
    ("source", "key", "interval"),
    [
        ("context", "2026-01-05", ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z")),
        ("run", "2026-01-05T06", ("2026-01-05T06:00:00Z", "2026-01-05T07:00:00Z")),
        ("context", "2025-12", ("2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z")),
    ],
)
def test_the_interval_of_a_partitioned_run_is_its_partition(
    pull: Callable[..., Any], ids: list[str], source: str, key: str, interval: tuple[str, str]
) -> None:
    run = SimpleNamespace(run_after=NOW, run_type="scheduled", partition_key=key if source == "run" else None)
    context = {"dag_run": run, "logical_date": None} | ({"partition_key": key} if source == "context" else {})
    assert interval_of(pull(None, tweets=ids[-1:], context=context)) == interval


def test_a_partition_key_that_is_not_an_interval_is_an_error(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"partition_key.*key_format"):
        pull(None, context={"partition_key": "2026-01-05T00:00:00"})


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        ("2026-01-04", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
        (date(2026, 1, 4), utc(2026, 1, 4, 5), ("2026-01-04T00:00:00Z", "2026-01-04T05:00:00Z")),
        ("2026-01-04T01:00:00+01:00", "2026-01-04T02:00:00Z", ("2026-01-04T00:00:00Z", "2026-01-04T02:00:00Z")),
        ("{{ macros.ds_add('2026-01-05', -1) }}", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
        # Relative to the time of the run, which is the end of its data interval, 2026-01-11 00:30:
        ("36h", "now", ("2026-01-09T12:00:00Z", "2026-01-11T00:00:00Z")),
        ("2d", "24h", ("2026-01-09T00:00:00Z", "2026-01-10T00:00:00Z")),
        ("1w", "2026-01-05", ("2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z")),
    ],
)
def test_start_and_end_accept_times_dates_templates_and_durations_before_the_run(
    pull: Callable[..., Any], ids: list[str], start: Any, end: Any, interval: tuple[str, str]
) -> None:
    from airflow.sdk import timezone  # noqa: F401
    from airflow.sdk.execution_time import macros

    run = utc(2026, 1, 10), utc(2026, 1, 11, 0, 30)
    report = pull(run, tweets=ids[-1:], start=start, end=end, context={"macros": macros})
    assert interval_of(report) == interval


def test_start_and_end_must_be_set_together(pull: Callable[..., Any]) -> None:
    for edge in ("start", "end"):
        with pytest.raises(AirflowFailException, match="Set start and end, or neither"):
            pull(WEEK, **{edge: "2026-01-05"})


def test_a_reversed_interval_and_a_time_without_zone_are_errors(pull: Callable[..., Any]) -> None:
    with pytest.raises(AirflowFailException, match="is after end"):
        pull(start="2026-01-06", end="2026-01-05")
    with pytest.raises(AirflowFailException, match="no time zone"):
        pull(start="2026-01-06T00:00:00", end="2026-01-07")


def test_on_unaligned_selects_an_error_or_rounding_which_is_reported(pull: Callable[..., Any]) -> None:
    unaligned = {"start": "2026-01-05T10:20:00Z", "end": "2026-01-05T15:40:00Z"}
    with pytest.raises(AirflowFailException, match="on_unaligned"):
        pull(**unaligned)
    report = pull(interval=Interval(on_unaligned="expand"), **unaligned)
    assert interval_of(report) == ("2026-01-05T10:00:00Z", "2026-01-05T16:00:00Z")
    assert [(one["edge"], one["requested"], one["used"]) for one in report["adjustments"]] == [
        ("start", "2026-01-05T10:20:00Z", "2026-01-05T10:00:00Z"),
        ("end", "2026-01-05T15:40:00Z", "2026-01-05T16:00:00Z"),
    ]
    assert interval_of(pull(interval=Interval(on_unaligned="shrink"), **unaligned)) == (
        "2026-01-05T11:00:00Z",
        "2026-01-05T15:00:00Z",
    )


def test_on_out_of_range_selects_an_error_or_clipping_which_is_reported(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    future = {"start": "2026-01-12T00:00:00Z", "end": "2026-01-13T00:00:00Z"}
    with pytest.raises(AirflowFailException, match=r"end: 2026-01-13.*end of the last complete hour.*clip"):
        pull(**future)
    old = {"start": "2025-01-01", "end": "2025-01-20"}
    with pytest.raises(AirflowFailException, match=r"start: 2025-01-01.*the oldest hour that the API has.*clip"):
        pull(**old)
    assert len(simulator.journal) == 0
    report = pull(interval=Interval(on_out_of_range="clip"), **future)
    assert interval_of(report) == ("2026-01-12T00:00:00Z", "2026-01-12T09:00:00Z")
    assert report["adjustments"] == [
        {
            "edge": "end",
            "requested": "2026-01-13T00:00:00Z",
            "used": "2026-01-12T09:00:00Z",
            "reason": "after the last complete hour",
        }
    ]
    report = pull(interval=Interval(on_out_of_range="clip"), to="old", **old)
    assert interval_of(report) == ("2025-01-12T10:00:00Z", "2025-01-20T00:00:00Z")
    assert report["adjustments"][0]["edge"] == "start"
    assert dataset.sibling("old").counts(METRICS) == hourly_truth(world, ids, utc(2025, 1, 12, 10), utc(2025, 1, 20))


def test_history_days_none_allows_older_intervals(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    simulator.switches = Switches(history_floor="2014")
    pull(start="2023-03-01", end="2023-03-03", interval=Interval(max_age="unlimited"))
    expected = hourly_truth(world, ids, utc(2023, 3, 1), utc(2023, 3, 3))
    assert expected
    assert dataset.counts(METRICS) == expected


def test_lookback_hours_extend_the_interval_before_its_start(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    report = pull((utc(2026, 1, 9), utc(2026, 1, 10)), interval=Interval(lookback=timedelta(hours=72)))
    assert interval_of(report) == ("2026-01-06T00:00:00Z", "2026-01-10T00:00:00Z")
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 6), utc(2026, 1, 10))


def test_a_lookback_across_a_clock_change_covers_whole_days(pull: Callable[..., Any], present: Any) -> None:
    prague = ZoneInfo("Europe/Prague")
    interval = datetime(2025, 10, 27, tzinfo=prague), datetime(2025, 10, 28, tzinfo=prague)
    report = pull(
        interval, interval=Interval(lookback=timedelta(hours=72)), granularity="day", time_zone="Europe/Prague"
    )
    assert interval_of(report) == ("2025-10-23T22:00:00Z", "2025-10-27T23:00:00Z")


@pytest.mark.parametrize("days", [28, 29])
def test_an_interval_of_any_length_is_split_into_windows_and_merged(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, days: int, simulator: Simulator
) -> None:
    end = utc(2026, 1, 10, 7)
    report = pull((end - days * DAY, end))
    assert dataset.counts(METRICS) == hourly_truth(world, ids, end - days * DAY, end)
    for entry in simulator.journal:
        start, stop = (datetime.fromisoformat(entry.body[edge]) for edge in ("start", "end"))
        assert stop - start <= 28 * DAY
        assert len(entry.body["tweet_ids"]) <= 25
    windows = -(-days // 28)
    assert report["requests"]["sent"] <= -(-len(ids) // 25) * windows


# Days after the post.


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


# Granularities.


def test_hours_days_and_totals_agree(pull: Callable[..., Any], world: World, ids: list[str], dataset: Any) -> None:
    interval = utc(2025, 12, 11), utc(2026, 1, 10)
    for granularity in ("hour", "day", "total"):
        pull(interval, granularity=granularity)
    hourly = dataset.counts(METRICS, "hour")
    assert hourly == hourly_truth(world, ids, *interval)
    assert dataset.counts(METRICS, "day") == summed(hourly, lambda hour: hour.replace(hour=0))
    assert dataset.counts(METRICS, "total") == summed(hourly, lambda hour: interval[0])


@pytest.mark.parametrize(
    ("zone", "interval", "clock_change"),
    [
        ("Europe/Prague", (datetime(2025, 9, 20), datetime(2025, 11, 2)), date(2025, 10, 26)),
        ("America/New_York", (datetime(2025, 3, 1), datetime(2025, 4, 10)), date(2025, 3, 9)),
    ],
)
def test_days_of_a_zone_are_complete_across_clock_changes_and_windows(
    pull: Callable[..., Any],
    world: World,
    ids: list[str],
    dataset: Any,
    zone: str,
    interval: tuple[datetime, datetime],
    clock_change: date,
) -> None:
    place = ZoneInfo(zone)
    start, end = (edge.replace(tzinfo=place).astimezone(UTC) for edge in interval)
    pull((start, end), granularity="day", time_zone=zone)
    expected = summed(hourly_truth(world, ids, start, end), lambda hour: hour.astimezone(place).date())
    found = {
        (row["tweet_id"], row["period_start"].astimezone(place).date()): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_metrics/day")
    }
    assert found == expected
    lengths = {
        (row["period_end"] - row["period_start"]) // HOUR
        for row in dataset.rows("tweet_metrics/day")
        if row["period_start"].astimezone(place).date() == clock_change
    }
    assert lengths in ({23}, {25})


def test_a_date_is_midnight_in_the_time_zone_of_the_task(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    manifest = pull(
        granularity="day",
        time_zone="Europe/Berlin",
        start="{{ ds }}",
        end="{{ macros.ds_add(ds, 1) }}",
        context={"ds": "2026-01-05", "macros": SimpleNamespace(ds_add=lambda ds, days: "2026-01-06")},
    )
    assert interval_of(manifest) == ("2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z")
    assert manifest["adjustments"] == []
    berlin = ZoneInfo("Europe/Berlin")
    expected = summed(
        hourly_truth(world, ids, utc(2026, 1, 4, 23), utc(2026, 1, 5, 23)), lambda hour: hour.astimezone(berlin).date()
    )
    found = {
        (row["tweet_id"], row["period_start"].astimezone(berlin).date()): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_metrics/day")
    }
    assert found == expected


@pytest.mark.parametrize(
    ("start", "end", "zone", "whole"),
    [
        ("7d", "now", "UTC", ("2026-01-05T00:00:00Z", "2026-01-11T00:00:00Z")),
        ("7d", "now", "Europe/Berlin", ("2026-01-04T23:00:00Z", "2026-01-10T23:00:00Z")),
        ("2026-01-09", "now", "UTC", ("2026-01-09T00:00:00Z", "2026-01-11T00:00:00Z")),
        ("1w", "2026-01-08", "America/New_York", ("2026-01-05T05:00:00Z", "2026-01-08T05:00:00Z")),
    ],
)
def test_a_rolling_interval_of_days_means_the_whole_days_within(
    pull: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    start: str,
    end: str,
    zone: str,
    whole: tuple[str, str],
) -> None:
    interval = utc(2026, 1, 11, 6), utc(2026, 1, 11, 7)  # the time of the run is 07:00
    manifest = pull(interval, start=start, end=end, granularity="day", time_zone=zone)
    assert interval_of(manifest) == whole
    for adjustment in manifest["adjustments"]:
        assert adjustment["reason"] == f"granularity is day, so the whole days in {zone} are pulled"
    assert f"the whole days in {zone} are pulled" in caplog.text


@pytest.mark.parametrize(
    ("start", "end", "zone", "whole"),
    [
        ("2014-09-01", "2025-01-20", "UTC", ("2025-01-13T00:00:00Z", "2025-01-20T00:00:00Z")),
        ("400d", "2025-01-20", "Europe/Berlin", ("2025-01-12T23:00:00Z", "2025-01-19T23:00:00Z")),
        ("2026-01-10", "2026-01-20", "America/New_York", ("2026-01-10T05:00:00Z", "2026-01-12T05:00:00Z")),
    ],
)
def test_an_interval_of_days_is_clipped_to_whole_days(
    pull: Callable[..., Any], start: str, end: str, zone: str, whole: tuple[str, str]
) -> None:
    manifest = pull(start=start, end=end, granularity="day", time_zone=zone, interval=Interval(on_out_of_range="clip"))
    assert interval_of(manifest) == whole
    assert manifest["adjustments"][-1]["reason"] == f"granularity is day, so the whole days in {zone} are pulled"


def test_a_rolling_interval_without_a_whole_day_is_an_error(pull: Callable[..., Any]) -> None:
    interval = utc(2026, 1, 11, 6), utc(2026, 1, 11, 7)
    with pytest.raises(AirflowFailException, match="start: there is no whole day in UTC from"):
        pull(interval, start="12h", end="now", granularity="day")


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
@pytest.mark.parametrize("start", ["2026-01-05", "7d"])
def test_the_error_of_a_zone_between_hours_says_that_no_setting_helps(
    pull: Callable[..., Any], zone: str, start: str
) -> None:
    with pytest.raises(AirflowFailException, match=rf"^time_zone: a day in {zone} starts .* no setting gives the days"):
        pull(WEEK, start=start, end="now", granularity="day", time_zone=zone)


def test_incomplete_days_and_zones_without_whole_utc_hours_are_errors(
    pull: Callable[..., Any], simulator: Simulator
) -> None:
    with pytest.raises(AirflowFailException, match="is not midnight in Europe/Prague"):
        pull(WEEK, granularity="day", time_zone="Europe/Prague")
    with pytest.raises(AirflowFailException, match=r"time_zone.*Asia/Kolkata"):
        pull(WEEK, granularity="day", time_zone="Asia/Kolkata")
    with pytest.raises(AirflowFailException, match=r"time_zone.*Asia/Kolkata"):
        pull(WEEK, granularity="day", time_zone="Asia/Kolkata", interval=AfterPost(3))
    assert len(simulator.journal) == 0


def test_hours_of_day_are_sums_over_the_interval_in_a_zone(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    interval = utc(2025, 12, 11), utc(2026, 1, 10)
    zone = ZoneInfo("America/New_York")
    pull(interval, granularity="hour_of_day", time_zone=zone.key)
    found = {
        (row["tweet_id"], row["hour_of_day"]): tuple(row[metric] for metric in METRICS)
        for row in dataset.rows("tweet_hours_of_day")
    }
    assert found == summed(hourly_truth(world, ids, *interval), lambda hour: hour.astimezone(zone).hour)


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


# Groupings.


def leaves(counts: Any, *path: str) -> dict[tuple[str, ...], int]:
    if not isinstance(counts, dict):
        return {path: counts}
    return {key: value for name, child in counts.items() for key, value in leaves(child, *path, name).items()}


DIMENSIONS: dict[str, Callable[[str, str, datetime], str]] = {
    "tweet.id": lambda tweet_id, metric, hour: tweet_id,
    "engagement.type": lambda tweet_id, metric, hour: metric,
    "engagement.day": lambda tweet_id, metric, hour: f"{hour:%Y-%m-%d}",
    "engagement.hour": lambda tweet_id, metric, hour: f"{hour:%H}",
}


@pytest.mark.parametrize(
    "group_by",
    [
        ["engagement.type"],
        ["tweet.id", "engagement.type"],
        ["engagement.type", "engagement.hour"],
        ["engagement.day", "engagement.type", "tweet.id"],
        ["engagement.type", "engagement.day", "engagement.hour"],
    ],
    ids=len,
)
def test_groupings_are_merged_over_windows_and_batches(
    pull: Callable[..., Any], world: World, ids: list[str], tmp_path: Path, group_by: list[str]
) -> None:
    interval = utc(2025, 12, 8), utc(2026, 1, 10)
    metrics = ("impressions", "favorites")
    report = pull(interval, groupings={"custom": group_by}, metrics=list(metrics), granularity="total")
    assert report["requests"]["sent"] >= 4
    expected: dict[tuple[str, ...], int] = defaultdict(int)
    for (tweet_id, hour), counts in hourly_truth(world, ids, *interval, metrics=metrics).items():
        for metric, count in zip(metrics, counts, strict=True):
            assert count is not None
            expected[tuple(DIMENSIONS[name](tweet_id, metric, hour) for name in group_by)] += count
    found = leaves(json.loads(Path(report["outputs"]["groupings"]).read_text())["custom"])
    # The API returns zeros for the hours before a Tweet of a request existed.
    assert {key: count for key, count in found.items() if count} == {k: count for k, count in expected.items() if count}


@pytest.mark.parametrize("shape", ["hour_of_day", "dated"])
def test_both_shapes_of_a_grouping_by_hour_without_day_are_parsed(
    pull: Callable[..., Any], world: World, ids: list[str], simulator: Simulator, shape: str
) -> None:
    simulator.switches = Switches(hour_without_day=shape)  # type: ignore[arg-type]
    interval = utc(2025, 12, 8), utc(2026, 1, 10)
    report = pull(
        interval,
        groupings={"custom": ["engagement.type", "engagement.hour"]},
        metrics=["impressions"],
        granularity="total",
    )
    expected: dict[str, int] = defaultdict(int)
    for (_, hour), counts in hourly_truth(world, ids, *interval, metrics=["impressions"]).items():
        expected[f"{hour:%H}"] += counts[0] or 0
    found: dict[str, int] = defaultdict(int)
    for path, count in leaves(json.loads(Path(report["outputs"]["groupings"]).read_text())["custom"]).items():
        found[path[-1]] += count
        assert len(path) == (2 if shape == "hour_of_day" else 3)
    assert found == expected


# Final and restated counts.


def test_an_hour_is_final_after_the_settling_time(pull: Callable[..., Any], dataset: Any) -> None:
    pull((utc(2026, 1, 8), utc(2026, 1, 11)), freshness=Freshness(settles_after=timedelta(hours=48)))
    final = {(row["period_start"], row["is_final"]) for row in dataset.rows("tweet_metrics/hour")}
    assert final == {
        (hour, hour + HOUR <= NOW - 48 * HOUR) for hour in hours_between(utc(2026, 1, 8), utc(2026, 1, 11))
    }


def test_restated_counts_replace_the_published_counts_and_are_listed(
    pull: Callable[..., Any], present: Any, dataset: Any, simulator: Simulator
) -> None:
    simulator.switches = Switches(restatement=True)
    interval = utc(2026, 1, 10), utc(2026, 1, 12)
    pull(interval, extra_tables=["restatements"], freshness=Freshness(reuse_for=timedelta(hours=0)))
    before = dataset.counts(METRICS)
    assert dataset.rows("restatements") == []
    present.shift(5 * DAY)
    simulator.clock.advance(5 * DAY)
    report = pull(interval, extra_tables=["restatements"], freshness=Freshness(reuse_for=timedelta(hours=0)))
    after = dataset.counts(METRICS)
    assert after.keys() == before.keys()
    for (tweet_id, hour), row in after.items():
        for metric, count in zip(METRICS, row, strict=True):
            assert count is None or count == simulator.count(tweet_id, metric, hour, hour + HOUR)
    changes = {
        (row["tweet_id"], row["period_start"], row["metric"]): (row["old_value"], row["new_value"])
        for row in dataset.rows("restatements")
    }
    assert changes == {
        (*key, metric): (old, new)
        for key in before
        for metric, old, new in zip(METRICS, before[key], after[key], strict=True)
        if old != new
    }
    assert len(changes) == report["rows"]["restatements"] > 0
    assert all(row["is_final"] for row in dataset.rows("tweet_metrics/hour"))


@pytest.mark.parametrize("granularity", ["day", "total"])
def test_a_rerun_updates_the_sums_of_restated_hours(
    pull: Callable[..., Any],
    present: Any,
    world: World,
    ids: list[str],
    dataset: Any,
    simulator: Simulator,
    granularity: str,
) -> None:
    simulator.switches = Switches(restatement=True)
    interval = utc(2025, 12, 1), utc(2026, 1, 12)
    pull(interval, granularity=granularity)
    present.shift(5 * DAY)
    simulator.clock.advance(5 * DAY)
    report = pull(interval, granularity=granularity)
    assert report["requests"]["reused"] > 0 < report["requests"]["sent"]
    hourly = hourly_truth(world, ids, *interval)
    expected = summed(hourly, lambda hour: hour.replace(hour=0) if granularity == "day" else interval[0])
    assert dataset.counts(METRICS, granularity) == expected


# Reuse.


def test_final_responses_are_reused_forever_and_others_for_reuse_hours(
    pull: Callable[..., Any], present: Any, simulator: Simulator
) -> None:
    def sent(**parameters: Any) -> int:
        return pull(
            (utc(2026, 1, 8), utc(2026, 1, 11)), freshness=Freshness(reuse_for=timedelta(hours=6)), **parameters
        )["requests"]["sent"]

    batches = sent()
    assert batches > 0
    assert sent() == 0
    present.shift(5 * HOUR)
    assert sent() == 0
    present.shift(2 * HOUR)
    assert sent() == batches
    present.shift(3 * DAY)
    assert sent() == batches  # the last time, because all hours are final now
    present.shift(300 * DAY)
    simulator.clock.set(NOW + 304 * DAY)
    assert sent() == 0


def test_an_outdated_response_does_not_replace_a_failed_request(
    pull: Callable[..., Any], present: Any, simulator: Simulator
) -> None:
    pull((utc(2026, 1, 10), utc(2026, 1, 11)))
    present.shift(30 * HOUR)
    simulator.faults.add(Fault.text(503, times=None))
    with pytest.raises(EngagementError, match="503"):
        pull((utc(2026, 1, 10), utc(2026, 1, 11)))


def test_a_different_request_never_reuses_a_response(
    pull: Callable[..., Any],
    connect: Callable[..., str],
    world: World,
    author: Handle,
    ids: list[str],
    simulator: Simulator,
) -> None:
    readable = [tweet_id for tweet_id in ids if not world.tweets[tweet_id].deleted]
    base = {"data_interval": WEEK, "tweets": readable[:20], "metrics": ["impressions"]}
    assert pull(**base)["requests"]["sent"] == 1
    for change in (
        {"tweets": readable[:19]},
        {"metrics": ["favorites"]},
        {"data_interval": (WEEK[0], WEEK[1] - HOUR)},
        {"data_interval": (WEEK[0] + HOUR, WEEK[1])},
        {"groupings": {"grand": ["engagement.type"]}},
    ):
        assert pull(**{**base, **change})["requests"]["sent"] == 1, change
    other = next(handle for handle in world.handles.values() if handle != author)
    connect(other, "other")
    with pytest.raises(AirflowFailException, match="did not post 20 of the Tweets"):
        pull(**base, engagement_conn_id="other")
    assert pull(**base)["requests"]["sent"] == 0


def test_another_granularity_reuses_every_response(pull: Callable[..., Any]) -> None:
    assert pull(WEEK)["requests"]["sent"] > 0
    for granularity in ("day", "total", "hour_of_day"):
        assert pull(WEEK, granularity=granularity)["requests"]["sent"] == 0


# Backfills.


def without_times(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ordered = sorted(table, key=lambda row: (row["tweet_id"], row["period_start"]))
    return [{name: value for name, value in row.items() if name != "fetched_at"} for row in ordered]


def test_a_backfill_costs_about_as_much_as_one_pull_and_writes_the_same_rows(
    pull: Callable[..., Any], simulator: Simulator, dataset: Any
) -> None:
    first, runs, length = utc(2025, 1, 13), 28, 13 * DAY
    sent = 0
    for number in range(runs):
        interval = first + number * length, first + (number + 1) * length
        sent += pull(interval, run_type="backfill", metrics=["impressions"], granularity="day", to="backfill")[
            "requests"
        ]["sent"]
    assert sent == len(simulator.journal)
    one = pull((first, first + runs * length), metrics=["impressions"], granularity="day", to="one")["requests"]["sent"]
    assert sent <= 1.1 * one
    assert without_times(dataset.sibling("backfill").rows("tweet_metrics/day")) == without_times(
        dataset.sibling("one").rows("tweet_metrics/day")
    )


def test_runs_of_a_backfill_share_the_responses_of_a_block(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any
) -> None:
    days = [utc(2025, 12, 1) + number * DAY for number in range(10)]
    sent = [pull((day, day + DAY), run_type="backfill", metrics=["favorites"])["requests"]["sent"] for day in days]
    unshared = pull((days[0], days[0] + DAY), metrics=["favorites"], to="alone")["requests"]["sent"]
    assert sum(sent) < len(days) * unshared
    assert sum(number > 0 for number in sent) < 5
    found = dataset.counts(["favorites"])
    assert found == hourly_truth(world, ids, days[0], days[-1] + DAY, metrics=["favorites"])


# Killed and concurrent pulls.


def test_concurrent_attempts_do_not_corrupt_each_other(
    pull: Callable[..., Any], world: World, ids: list[str], dataset: Any, simulator: Simulator
) -> None:
    simulator.latency = 0.01
    errors: list[BaseException] = []

    def attempt(interval: tuple[datetime, datetime]) -> None:
        try:
            pull(interval)
        except BaseException as error:
            errors.append(error)

    intervals = [
        (utc(2026, 1, 1), utc(2026, 1, 6)),
        (utc(2026, 1, 1), utc(2026, 1, 6)),
        (utc(2026, 1, 3), utc(2026, 1, 8)),
    ]
    threads = [threading.Thread(target=attempt, args=(interval,)) for interval in intervals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert dataset.counts(METRICS) == hourly_truth(world, ids, utc(2026, 1, 1), utc(2026, 1, 8))


SCRIPT = """
import sys
from datetime import datetime
from types import SimpleNamespace
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

folder, start, end, ids = sys.argv[1:]
start, end = datetime.fromisoformat(start), datetime.fromisoformat(end)
operator = EngagementHistoricalOperator(
    task_id="history", tweets=ids, metrics=["impressions"], dataset_path=folder, limits={"concurrent_requests": 2}
)
ti = SimpleNamespace(
    dag_id="engagement", task_id="history", map_index=-1, run_id="run", try_number=1, start_date=end,
    get_first_reschedule_date=lambda context: None,
)
operator.execute({
    "ti": ti, "run_id": "run", "data_interval_start": start, "data_interval_end": end, "logical_date": end,
    "dag_run": SimpleNamespace(run_after=end, run_type="scheduled", partition_key=None),
})
"""


@pytest.mark.usefixtures("real_time")
def test_a_rerun_of_a_killed_pull_writes_the_rows_of_an_undisturbed_pull(
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    execute: Callable[..., Any],
    task_instance: Any,
    dataset: Any,
    simulator: Simulator,
) -> None:
    """The killed process has the real time, and so has the simulator here."""
    present = datetime.now(UTC)
    simulator.clock.set(present, running=True)
    connect(author)
    end = floor_to_hour(present) - 10 * DAY
    start = end - 60 * DAY

    def arguments(folder: str) -> list[str]:
        return [str(dataset.sibling(folder).folder), start.isoformat(), end.isoformat(), ",".join(ids[:30])]

    def pull(folder: str) -> None:
        dataset_path, *_, tweet_ids = arguments(folder)
        execute(
            EngagementHistoricalOperator(
                task_id="history", tweets=tweet_ids, metrics=["impressions"], dataset_path=dataset_path
            ),
            ti=task_instance(task_id="history", run_id="run"),
            data_interval_start=start,
            data_interval_end=end,
            logical_date=end,
        )

    def requests() -> list[str]:
        return [json.dumps(entry.body, sort_keys=True) for entry in simulator.journal]

    pull("undisturbed")
    undisturbed = requests()
    assert len(undisturbed) >= 6
    simulator.journal.clear()
    simulator.latency = 0.2
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments("killed")])
    while len(simulator.journal) < 4 and killed.poll() is None:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait(30) == -signal.SIGKILL
    simulator.latency = 0.0
    assert 0 < len(requests()) < len(undisturbed)
    pull("killed")
    assert set(requests()) == set(undisturbed)
    assert len(requests()) - len(undisturbed) <= 2  # as many as were in flight
    for table in ("tweet_metrics/hour", "tweet_status", "coverage"):
        first, second = (dataset.sibling(folder).folder / table for folder in ("undisturbed", "killed"))
        names = [sorted(path.relative_to(folder) for path in folder.rglob("*.parquet")) for folder in (first, second)]
        assert names[0] == names[1] != []
        for name in names[0]:
            tables = [parquet.ParquetFile(folder / name).read() for folder in (first, second)]
            times = {"fetched_at", "checked_at"}.intersection(tables[0].column_names)
            assert tables[0].drop_columns(times).equals(tables[1].drop_columns(times))


# Formats.


@pytest.mark.parametrize("dataset_format", ["csv", "jsonl"])
def test_every_format_has_the_same_rows_after_a_rerun(
    pull: Callable[..., Any], tmp_path: Path, dataset: Any, dataset_format: str
) -> None:
    from airflow_provider_engagement.tables.arrow import arrow_schema
    from airflow_provider_engagement.tables.dataset_format import DatasetFormat
    from airflow_provider_engagement.tables.formats import read_table
    from airflow_provider_engagement.tables.tables import TWEET_METRICS

    interval = utc(2026, 1, 9), utc(2026, 1, 11)
    pull(interval)
    for _ in range(2):
        pull(interval, dataset_format=dataset_format, to="other")
    found = []
    for path in (tmp_path / "other/tweet_metrics").rglob(f"*.{dataset_format}"):
        with path.open("rb") as file:
            found += read_table(file, arrow_schema(TWEET_METRICS), DatasetFormat(dataset_format)).to_pylist()
    assert without_times(found) == without_times(dataset.rows("tweet_metrics/hour"))


def test_pyarrow_reads_the_dataset_with_the_same_types_from_every_run(
    pull: Callable[..., Any], tmp_path: Path, dataset: Any, world: World, ids: list[str]
) -> None:
    pull((utc(2026, 1, 1), utc(2026, 1, 3)))
    pull((utc(2026, 1, 3), utc(2026, 1, 5)), metrics=["favorites"])
    arrow_dataset = pyarrow.dataset.dataset(tmp_path / "dataset/tweet_metrics/hour", partitioning="hive")
    schemas = {fragment.physical_schema for fragment in arrow_dataset.get_fragments()}
    assert len(schemas) == 1
    types = {field.name: str(field.type) for field in schemas.pop()}
    assert types["tweet_id"] == "string"
    assert types["period_start"] == "timestamp[ms, tz=UTC]"
    assert {types[metric] for metric in METRICS} == {"int64"}
    table = arrow_dataset.to_table(filter=pyarrow.dataset.field("partition_date") >= "2026-01-03")
    assert set(table["impressions"].to_pylist()) == {None}
    expected = hourly_truth(world, ids, utc(2026, 1, 3), utc(2026, 1, 5), metrics=["favorites"])
    keys = zip(table["tweet_id"].to_pylist(), table["period_start"].to_pylist(), strict=True)
    counts = ((count,) for count in table["favorites"].to_pylist())
    assert dict(zip(keys, counts, strict=True)) == expected


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
