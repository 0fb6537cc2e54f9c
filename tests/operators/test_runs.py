"""Runs beside each other: each keeps its rows, its reasons and its responses, whatever time and names they share."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from airflow.sdk.exceptions import AirflowFailException
from pyarrow import parquet

from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.parameters import Freshness
from airflow_provider_engagement.simulator import Handle, Simulator, World

from .stored_rows import rows_of

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

Pull = Callable[..., Any]


@pytest.fixture
def world(series_world: World) -> World:
    return series_world


@pytest.fixture
def simulator(series_simulator: Simulator) -> Simulator:
    return series_simulator


@pytest.fixture
def mine(world: World, author: Handle) -> list[str]:
    """Recent Tweets of the author that are not deleted."""
    return sorted(world.tweets_of(author.user_id, deleted=False), key=int)[-6:]


@pytest.fixture
def pull(
    connect: Callable[..., str],
    author: Handle,
    execute: Callable[..., Any],
    task_instance: Callable[..., Any],
    tmp_path: Path,
) -> Pull:
    """Pull Tweets in a run: its kind, id, logical date, data interval and the time from which it could start."""
    connect(author)

    def pulled(
        tweets: list[str],
        *,
        operator: type = EngagementTotalsOperator,
        kind: str = "scheduled",
        run_id: str = "run",
        logical_date: datetime | None = None,
        run_after: datetime = NOW,
        started: datetime | None = None,
        interval: tuple[datetime, datetime] | None = None,
        task_id: str = "pull",
        map_index: int = -1,
        **parameters: Any,
    ) -> Any:
        start, end = interval or (None, None)
        return execute(
            operator(task_id=task_id, tweets=" ".join(tweets), dataset_path=str(tmp_path), **parameters),
            ti=task_instance(task_id=task_id, run_id=run_id, map_index=map_index),
            dag_run=SimpleNamespace(
                run_id=run_id, run_after=run_after, run_type=kind, partition_key=None, start_date=started
            ),
            logical_date=logical_date,
            data_interval_start=start,
            data_interval_end=end,
        )

    return pulled


def keys(folder: Path) -> list[tuple[str, datetime]]:
    return sorted((row["tweet_id"], row["snapshot_at"]) for row in rows_of(folder / "tweet_totals"))


def tweets_with_status(manifest: Any) -> list[str]:
    return sorted(parquet.ParquetFile(manifest["outputs"]["tweet_status"]).read()["tweet_id"].to_pylist(), key=int)


@pytest.mark.parametrize("dataset_format", ["parquet", "csv", "jsonl", "delta"])
def test_a_manual_run_with_the_interval_of_the_scheduled_run_has_rows_of_its_own(
    pull: Pull, mine: list[str], tmp_path: Path, simulator: Simulator, dataset_format: str
) -> None:
    yesterday = (MIDNIGHT - DAY, MIDNIGHT)
    options: dict[str, Any] = {"interval": yesterday, "dataset_format": dataset_format}
    pull(mine[:3], kind="scheduled", run_id="scheduled", logical_date=yesterday[0], **options)
    before = {path: path.read_bytes() for path in (tmp_path / "tweet_status").rglob("*.*")}
    pull(mine[3:], kind="manual", run_id="manual", logical_date=NOW - timedelta(minutes=1), **options)
    assert len(simulator.journal.to("totals")) == 2
    assert keys(tmp_path) == sorted(
        [*((tweet, MIDNIGHT) for tweet in mine[:3]), *((tweet, NOW - timedelta(minutes=1)) for tweet in mine[3:])]
    )
    assert {path: path.read_bytes() for path in before} == before
    assert len(rows_of(tmp_path / "tweet_status")) == 6


def test_two_manual_runs_in_one_hour_each_keep_their_reasons_and_coverage(
    pull: Pull, mine: list[str], tmp_path: Path
) -> None:
    options = {"operator": EngagementHistoricalOperator, "kind": "manual", "start": "2d", "end": "now"}
    first = pull(mine[:2], run_id="first", logical_date=NOW - timedelta(minutes=9), **options)
    second = pull(mine[2:], run_id="second", logical_date=NOW, **options)
    assert [tweets_with_status(run) for run in (first, second)] == [mine[:2], mine[2:]]
    coverage = rows_of(tmp_path / "coverage")
    assert {row["run_id"] for row in coverage} == {"first", "second"}
    assert len({(row["tweet_id"], row["run_id"]) for row in coverage}) == len(coverage)


def test_a_new_run_asks_again_although_it_started_within_the_same_millisecond(
    pull: Pull, mine: list[str], tmp_path: Path, simulator: Simulator
) -> None:
    for microseconds, run_id in enumerate(["asset__1", "asset__2"]):
        time = NOW + timedelta(microseconds=microseconds)
        pull(mine, kind="asset_triggered", run_id=run_id, run_after=time)
    assert len(simulator.journal.to("totals")) == 2
    assert keys(tmp_path) == sorted((tweet, NOW) for tweet in mine)
    assert {len(row["runs"].split(",")) for row in rows_of(tmp_path / "tweet_totals")} == {2}


def test_a_long_run_reuses_what_it_has_read_but_not_beyond_reuse_hours_what_another_run_has(
    pull: Pull, mine: list[str], simulator: Simulator, present: time_machine.Traveller
) -> None:
    options: dict[str, Any] = {
        "operator": EngagementHistoricalOperator,
        "interval": (MIDNIGHT, MIDNIGHT + timedelta(hours=9)),
        "freshness": Freshness(reuse_for=timedelta(hours=6)),
    }
    pull(mine[:3], run_id="long", started=NOW, **options)
    pull(mine[3:], run_id="other", started=NOW, **options)
    simulator.journal.clear()
    present.shift(timedelta(hours=7))
    pull(mine[:3], run_id="long", started=NOW, **options)
    assert len(simulator.journal) == 0
    pull(mine[3:], run_id="long", started=NOW, **options)
    assert len(simulator.journal.to("historical")) == 1


def test_a_mapped_task_that_runs_again_for_some_lists_doubles_and_loses_nothing(
    pull: Pull, mine: list[str], tmp_path: Path
) -> None:
    lists = [mine[:2], mine[2:4], mine[4:]]
    for map_index, tweets in enumerate(lists):
        pull(tweets, map_index=map_index)
    # The first list is gone, so the others have another map index.
    for map_index, tweets in enumerate(lists[1:]):
        pull(tweets, map_index=map_index)
    assert keys(tmp_path) == sorted((tweet, NOW) for tweet in mine[2:])


@pytest.mark.parametrize("dataset_format", ["parquet", "csv", "jsonl", "delta"])
def test_two_tasks_of_a_run_that_share_tweets_write_each_key_once_with_the_counts_of_both(
    pull: Pull, mine: list[str], tmp_path: Path, simulator: Simulator, dataset_format: str
) -> None:
    pull(mine[:4], task_id="likes", metrics=["favorites"], dataset_format=dataset_format)
    pull(mine[2:], task_id="retweets", metrics=["retweets"], dataset_format=dataset_format)
    assert keys(tmp_path) == sorted((tweet, NOW) for tweet in mine)
    counts = {row["tweet_id"]: (row["favorites"], row["retweets"]) for row in rows_of(tmp_path / "tweet_totals")}
    assert [counts[tweet] for tweet in mine] == [
        (
            simulator.total(tweet, "favorites") if tweet in mine[:4] else None,
            simulator.total(tweet, "retweets") if tweet in mine[2:] else None,
        )
        for tweet in mine
    ]


def test_runs_whose_ids_look_alike_have_a_manifest_each(pull: Pull, mine: list[str], tmp_path: Path) -> None:
    run_ids = ["camp:1", "camp-1", "camp~1", "camp 1", "r" * 249 + "s", "r" * 250]
    manifests = {pull(mine[:1], run_id=run_id)["outputs"]["manifest"] for run_id in run_ids}
    assert len(manifests) == len(list((tmp_path / "_manifests").iterdir())) == len(run_ids)


def test_a_repeated_run_keeps_the_counts_of_a_tweet_that_is_deleted_since_and_drops_one_that_is_not_listed(
    pull: Pull, mine: list[str], world: World, tmp_path: Path
) -> None:
    pull(mine[:3])
    world.change_tweet(mine[0], deleted=True)
    pull([mine[0], mine[2], mine[3]])
    assert keys(tmp_path) == sorted((tweet, NOW) for tweet in (mine[0], mine[2], mine[3]))


@pytest.mark.parametrize("operator", [EngagementTotalsOperator, Engagement28HourOperator])
@pytest.mark.parametrize("kind", ["backfill", "scheduled"])
def test_a_run_of_the_past_fails_before_a_request_and_names_the_remedy(
    pull: Pull, mine: list[str], simulator: Simulator, tmp_path: Path, operator: type, kind: str
) -> None:
    end = MIDNIGHT - 300 * DAY
    options: dict[str, Any] = {"operator": operator, "kind": kind, "interval": (end - DAY, end)}
    with pytest.raises(AirflowFailException, match=r"300 days ago.*EngagementHistoricalOperator.*max_delay="):
        pull(mine, **options)
    assert len(simulator.journal) == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    pull(mine, max_delay="unlimited", **options)
    assert len(simulator.journal) == 1


def test_a_cleared_old_run_reuses_its_responses_but_reads_no_new_counts_under_its_old_time(
    pull: Pull, mine: list[str], simulator: Simulator, tmp_path: Path, present: time_machine.Traveller
) -> None:
    pull(mine, kind="manual", logical_date=NOW)
    before = rows_of(tmp_path / "tweet_totals")
    present.shift(2 * DAY)
    manifest = pull(mine, kind="manual", logical_date=NOW)
    assert manifest["requests"]["reused"] == len(simulator.journal) == 1
    with pytest.raises(AirflowFailException, match="max_delay"):
        pull(mine[:3], kind="manual", logical_date=NOW)
    assert len(simulator.journal) == 1
    assert rows_of(tmp_path / "tweet_totals") == before


@pytest.mark.parametrize("parameters", [{}, {"snapshot_at": MIDNIGHT}])
def test_a_run_of_a_time_to_come_is_refused_also_if_the_task_sets_the_snapshot(
    pull: Pull, mine: list[str], simulator: Simulator, parameters: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match=r"logical_date: 2028-.* is in the future"):
        pull(mine, kind="manual", logical_date=NOW + 730 * DAY, **parameters)
    assert len(simulator.journal) == 0


def test_a_snapshot_to_come_is_refused(pull: Pull, mine: list[str], simulator: Simulator) -> None:
    with pytest.raises(AirflowFailException, match=r"snapshot_at: 2028-.* is in the future"):
        pull(mine, snapshot_at=NOW + 730 * DAY)
    assert len(simulator.journal) == 0


@pytest.mark.parametrize("dataset_format", ["parquet", "delta"])
def test_a_run_that_is_repeated_with_another_snapshot_keeps_the_rows_of_the_first(
    pull: Pull, mine: list[str], tmp_path: Path, dataset_format: str
) -> None:
    times = [MIDNIGHT + hour * timedelta(hours=1) for hour in (1, 2)]
    for time in times:
        pull(mine, snapshot_at=time, dataset_format=dataset_format)
    assert keys(tmp_path) == sorted((tweet, time) for tweet in mine for time in times)


def test_a_run_that_is_repeated_in_another_format_replaces_its_files_and_keeps_what_has_happened(
    pull: Pull, mine: list[str], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"operator": EngagementHistoricalOperator, "start": "9h", "end": "now"}
    for dataset_format in ("parquet", "csv", "jsonl", "parquet"):
        pull(mine, dataset_format=dataset_format, extra_tables=["owner_ledger", "restatements"], **options)
        for table in ("tweet_status", "coverage", "restatements", "owner_ledger"):
            (file,) = (path for path in (tmp_path / table).rglob("*") if path.is_file())
            assert file.suffix == f".{dataset_format}"
    assert len(rows_of(tmp_path / "owner_ledger")) == 1


def test_the_ledger_keeps_each_time_at_which_a_repeated_run_requested_an_owner(
    pull: Pull, mine: list[str], author: Handle, tmp_path: Path, present: time_machine.Traveller
) -> None:
    pull(mine[:2], extra_tables=["owner_ledger"])
    present.shift(60)
    pull(mine, extra_tables=["owner_ledger"])
    ledger = rows_of(tmp_path / "owner_ledger")
    assert [(row["owner"], row["tweets"]) for row in ledger] == [(author.user_id, 6), (author.user_id, 2)]
    assert len({row["requested_at"] for row in ledger}) == 2


@pytest.mark.parametrize("operator", [EngagementTotalsOperator, Engagement28HourOperator])
def test_a_repeated_run_without_grouped_counts_leaves_no_groupings_of_the_list_before(
    pull: Pull, mine: list[str], world: World, tmp_path: Path, operator: type
) -> None:
    options: dict[str, Any] = {"operator": operator, "groupings": {"sums": ["tweet.id", "engagement.type"]}}
    pull(mine[:2], metrics=["favorites"], **options)
    (file,) = (tmp_path / "groupings").rglob("*.json")
    assert sorted(json.loads(file.read_bytes())["sums"]) == sorted(mine[:2])
    world.change_tweet(mine[5], deleted=True)
    pull(mine[5:], metrics=["favorites"], **options)
    assert [json.loads(path.read_bytes()) for path in (tmp_path / "groupings").rglob("*.json")] == [{"sums": {}}]
    manifest = pull(mine[:2], metrics=["favorites"], operator=operator)
    assert "groupings" not in manifest["outputs"]
    assert not list((tmp_path / "groupings").rglob("*.json"))
