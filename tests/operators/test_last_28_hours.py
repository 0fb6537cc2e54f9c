"""The last 28 hours, whose window the API decides: its echo is believed, and its last hour is still running."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_engagement.api.tweet_id import first_id_at
from airflow_provider_engagement.operators.engagement import Engagement28HourOperator
from airflow_provider_engagement.simulator import Clock, Fault, Handle, Simulator, Switches, Tweet, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = datetime(2026, 1, 11, 5, tzinfo=UTC)
"""28 hours before half past nine, to the hour before it."""
END = datetime(2026, 1, 12, 10, tzinfo=UTC)
METRICS = ("impressions", "favorites")

Cells = dict[tuple[str, datetime], tuple[int | None, ...]]


@pytest.fixture
def world() -> World:
    """One user with new and old Tweets, more than one request takes; some were written in the last hours."""
    world = World.generate(seed=5, handles=2, tweets=50, end=NOW, deleted=0.1, video=0.3, old=0.1, pre_snowflake=0.05)
    author = next(iter(world.handles))
    moments = [NOW - timedelta(hours=hours, minutes=7) for hours in (0, 1, 5, 20, 40)]
    recent = [Tweet(id=str(int(first_id_at(moment)) + 9), author_id=author) for moment in moments]
    return World(
        apps=world.apps.values(),
        handles=world.handles.values(),
        tweets=[*world.tweets.values(), *recent],
        counts=world.counts,
    )


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    """The API around that world, of which nothing is left to the next test."""
    with Simulator(world, clock=Clock(NOW)) as running:
        yield running


@pytest.fixture
def present() -> Iterator[Any]:
    """The present is half past nine of 2026-01-12; it can be moved on."""
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture
def ids(world: World, author: Handle) -> list[str]:
    """The author's Tweets."""
    return world.tweets_of(author.user_id)


@pytest.fixture
def pull(
    present: Any,
    connect: Callable[..., str],
    author: Handle,
    execute: Callable[..., Any],
    impatient: None,
    ids: list[str],
    tmp_path: Path,
) -> Callable[..., Any]:
    """Pull the author's Tweets into a folder, in a run of a time of its own."""
    connect(author)

    def pulled(at: datetime = NOW, **parameters: Any) -> Any:
        defaults = {"task_id": "monitor", "tweet_ids": ids, "metrics": list(METRICS), "output_path": str(tmp_path)}
        operator = Engagement28HourOperator(**{**defaults, **parameters})
        return execute(operator, data_interval_start=at, data_interval_end=at)

    return pulled


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((folder / table).rglob("*.parquet"))
        if not path.name.startswith("_")
        for row in parquet.ParquetFile(path).read().to_pylist()
    ]


def cells(folder: Path) -> Cells:
    found: Cells = {}
    for row in rows(folder, "tweet_metrics/hour"):
        key = row["tweet_id"], row["period_start"]
        assert key not in found, "the same row twice"
        found[key] = tuple(row[metric] for metric in METRICS)
    return found


def truth(simulator: Simulator, ids: list[str], first: datetime = FIRST, end: datetime = END) -> Cells:
    """What can be seen now of all hours from creation on of Tweets that are not gone."""
    expected: Cells = {}
    for tweet_id in ids:
        tweet = simulator.world.tweets[tweet_id]
        created = tweet.created_at
        hour = first if created is None else max(first, created.replace(minute=0, second=0, microsecond=0))
        while hour < end and not tweet.deleted:
            expected[tweet_id, hour] = tuple(simulator.count(tweet_id, metric, hour, hour + HOUR) for metric in METRICS)
            hour += HOUR
    return expected


def test_every_hour_of_the_window_that_the_api_echoes_is_there_once_and_true(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    report = pull()
    assert cells(tmp_path) == truth(simulator, ids)
    assert report["requests"]["sent"] == -(-len(ids) // 25)
    assert report["interval"] is None


def test_the_echo_is_believed_and_not_the_own_clock(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    simulator.clock.advance(timedelta(hours=3, minutes=30))  # to a whole hour: the window then has 28 hours
    pull()
    assert cells(tmp_path) == truth(simulator, ids, FIRST + 4 * HOUR, END + 3 * HOUR)


@pytest.mark.parametrize("settling_hours", [72, 10, 0])
def test_the_running_hour_is_not_final_whatever_the_settling_time(
    pull: Callable[..., Any], tmp_path: Path, settling_hours: float
) -> None:
    pull(settling_hours=settling_hours)
    final = {(row["period_start"], row["is_final"]) for row in rows(tmp_path, "tweet_metrics/hour")}
    hours = [FIRST + number * HOUR for number in range(29)]
    assert final == {(hour, hour + HOUR <= NOW - settling_hours * HOUR) for hour in hours}
    assert (END - HOUR, False) in final


def test_runs_of_the_same_day_replace_the_hours_that_they_share_and_report_what_changed(
    pull: Callable[..., Any], present: Any, simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    pull(write_restatements=True)
    before = cells(tmp_path)
    for clock in (present.shift, simulator.clock.advance):
        clock(6 * HOUR)
    pull(NOW + 6 * HOUR, write_restatements=True)
    after = cells(tmp_path)
    gone_by = {key: row for key, row in before.items() if key[1] < FIRST + 6 * HOUR}
    assert after == gone_by | truth(simulator, ids, FIRST + 6 * HOUR, END + 6 * HOUR)
    changed = {
        (row["tweet_id"], row["period_start"], row["metric"]): (row["old_value"], row["new_value"])
        for row in rows(tmp_path, "restatements")
    }
    # Only the hour that was still running.
    assert {hour for _, hour, _ in changed} == {END - HOUR}
    assert changed == {
        (*key, metric): (old, new)
        for key in before.keys() & after.keys()
        for metric, old, new in zip(METRICS, before[key], after[key], strict=True)
        if old != new
    }


def test_a_retry_of_a_run_sends_nothing_again_and_another_run_asks_anew(
    pull: Callable[..., Any], ids: list[str]
) -> None:
    packs = -(-len(ids) // 25)
    assert pull()["requests"]["sent"] == packs
    assert pull()["requests"]["sent"] == 0
    assert pull(NOW + HOUR)["requests"]["sent"] == packs


def test_totals_and_hours_of_day_are_sums_of_the_same_hours(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    zone = ZoneInfo("Asia/Tokyo")
    pull(granularity="total")
    pull(granularity="hour_of_day", time_zone=zone.key)
    totals: dict[str, list[int]] = defaultdict(lambda: [0] * len(METRICS))
    of_day: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * len(METRICS))
    for (tweet_id, hour), counts in truth(simulator, ids).items():
        for number, count in enumerate(counts):
            totals[tweet_id][number] += count or 0
            of_day[tweet_id, hour.astimezone(zone).hour][number] += count or 0
    found = rows(tmp_path, "tweet_metrics/total")
    assert {row["tweet_id"]: [row[metric] for metric in METRICS] for row in found} == totals
    assert {(row["period_start"], row["period_end"], row["is_final"]) for row in found} == {(FIRST, END, False)}
    found = rows(tmp_path, "tweet_hours_of_day")
    assert {(row["tweet_id"], row["hour_of_day"]): [row[metric] for metric in METRICS] for row in found} == of_day


def test_days_are_refused_since_28_hours_hardly_hold_one(pull: Callable[..., Any], simulator: Simulator) -> None:
    with pytest.raises(AirflowFailException, match=r"granularity.*day.*hour, total, hour_of_day"):
        pull(granularity="day")
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("shape", ["hour_of_day", "dated"])
def test_groupings_of_ones_own_keep_the_nesting_of_either_shape(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], shape: str
) -> None:
    simulator.switches = Switches(hour_without_day=shape)  # type: ignore[arg-type]
    report = pull(groupings={"by_hour": ["engagement.type", "engagement.hour"], "grand": ["engagement.type"]})
    found = json.loads(Path(report["outputs"]["groupings"]).read_text())
    hourly: Any = {metric: defaultdict(int) for metric in METRICS}
    dated: Any = {metric: defaultdict(lambda: defaultdict(int)) for metric in METRICS}
    for (_, hour), counts in truth(simulator, ids).items():
        for metric, count in zip(METRICS, counts, strict=True):
            hourly[metric][f"{hour:%H}"] += count
            dated[metric][f"{hour:%Y-%m-%d}"][f"{hour:%H}"] += count
    assert found["by_hour"] == (hourly if shape == "hour_of_day" else dated)
    assert found["grand"] == {metric: sum(hours.values()) for metric, hours in hourly.items()}


def test_every_tweet_has_a_status_and_those_that_are_gone_are_covered_as_unavailable(
    pull: Callable[..., Any], world: World, ids: list[str], tmp_path: Path
) -> None:
    pull(tweet_ids=[*ids, *ids[:5]])
    statuses = {row["tweet_id"]: row["outcome"] for row in rows(tmp_path, "tweet_status")}
    assert statuses == {tweet_id: "unavailable" if world.tweets[tweet_id].deleted else "ok" for tweet_id in ids}
    coverage = {row["tweet_id"]: row for row in rows(tmp_path, "coverage")}
    assert {tweet_id: row["outcome"] for tweet_id, row in coverage.items()} == statuses
    assert {row["window_end"] for row in coverage.values()} == {END}


def test_rows_are_true_among_faults(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    simulator.faults.add(
        Fault.text(503, nth=1), Fault(drop="before_headers", nth=2), Fault(drop="after_headers", nth=3)
    )
    simulator.faults.add(Fault(truncate_gzip=True, nth=4))
    report = pull()
    assert report["requests"]["sent"] == -(-len(ids) // 25) + 4
    assert cells(tmp_path) == truth(simulator, ids)


def test_a_small_pull_returns_its_rows_without_output_path(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str]
) -> None:
    report = pull(tweet_ids=ids[-5:], output_path=None)
    found = {
        (row["tweet_id"], datetime.fromisoformat(row["period_start"])): tuple(row[metric] for metric in METRICS)
        for row in report["tweet_metrics"]
    }
    assert found == truth(simulator, ids[-5:])


def test_tweets_that_are_all_gone_are_covered_though_nothing_is_echoed_for_them(
    pull: Callable[..., Any], simulator: Simulator, ids: list[str], tmp_path: Path
) -> None:
    gone = [tweet_id for tweet_id in ids if simulator.world.tweets[tweet_id].deleted]
    pull(tweet_ids=gone)
    coverage = rows(tmp_path, "coverage")
    assert {row["tweet_id"]: row["outcome"] for row in coverage} == dict.fromkeys(gone, "unavailable")
    assert rows(tmp_path, "tweet_metrics/hour") == []
