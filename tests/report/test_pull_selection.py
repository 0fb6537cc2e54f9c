"""The figures of one pull show its own Tweets, interval and credentials, although other pulls write to its dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import time_machine

from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.operators.report import EngagementReportOperator
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.dataset_figures import DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.pull_selection import options_of_pull
from airflow_provider_engagement.report.snapshots import newest_totals
from airflow_provider_engagement.simulator import Clock, Simulator, World

from .conftest import NOW, TODAY, execute

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
METRICS = ("impressions", "favorites")


@pytest.fixture(scope="module")
def tweets(world: World) -> list[str]:
    """The Tweets of a user that exist, from the oldest."""
    author = next(iter(world.handles.values()))
    return sorted(world.tweets_of(author.user_id, deleted=False), key=int)


@pytest.fixture(scope="module")
def manifests(
    world: World, tweets: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, Any]]]:
    """The manifests of pulls of different Tweets into one dataset."""
    author = next(iter(world.handles.values()))
    folder = str(tmp_path_factory.mktemp("dataset"))
    few, all_of_world = tweets[:4], list(world.tweets)
    with Simulator(world, clock=Clock(NOW)) as simulator, pytest.MonkeyPatch.context() as patch:
        extra = {
            "api_key": world.app.consumer_key,
            "api_key_secret": world.app.consumer_secret,
            "bearer_token": world.app.bearer_token,
            "token_url": simulator.token_url,
            "access_token": author.access_token,
            "access_token_secret": author.access_token_secret,
        }
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        patch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))

        def pulled(kind: Any, task_id: str, tweet_ids: Sequence[str], **options: Any) -> dict[str, Any]:
            operator = kind(task_id=task_id, tweets=tweet_ids, dataset_path=folder, **options)
            manifest: dict[str, Any] = execute(operator, "run", TODAY - DAY, TODAY)
            return manifest

        days = {"metrics": METRICS, "start": TODAY - 3 * DAY, "end": TODAY}
        earlier = {"metrics": METRICS, "start": TODAY - 6 * DAY, "end": TODAY - 3 * DAY}
        totals = {"snapshot_at": TODAY, "accepted_outcomes": "ok,unavailable,forbidden,unsupported_90d"}
        with time_machine.travel(NOW, tick=True):
            made = {
                "few": pulled(EngagementHistoricalOperator, "few", few, **days),
                "all": pulled(EngagementHistoricalOperator, "all", tweets, **days),
                "earlier": pulled(EngagementHistoricalOperator, "earlier", few, **earlier),
                "last": pulled(Engagement28HourOperator, "last", few, metrics=METRICS),
                "user": pulled(EngagementTotalsOperator, "user", few, metrics=METRICS, auth="user", **totals),
                "app": pulled(
                    EngagementTotalsOperator, "app", all_of_world, metrics=["favorites"], auth="app", **totals
                ),
            }
        yield made


@pytest.fixture
def rows_of(manifests: Mapping[str, dict[str, Any]]) -> Callable[..., list[dict[str, Any]]]:
    """Return the rows of a figure of a pull."""

    def found(name: str, figure: str) -> list[dict[str, Any]]:
        manifest = manifests[name]
        reader = reader_of(manifest)
        return DatasetFigures(reader, choose(reader, **options_of_pull(reader, manifest))).figure(figure).records()

    return found


def reader_of(manifest: Mapping[str, Any]) -> DatasetReader:
    return DatasetReader(Path(manifest["outputs"]["manifest"].removeprefix("file://")).parent.parent)


def count(world: World, tweet_ids: Sequence[str], metric: str, start: datetime, end: datetime) -> int:
    return sum(world.count(tweet_id, metric, start, end) for tweet_id in tweet_ids)


@pytest.mark.parametrize(("name", "number"), [("few", 4), ("all", None)])
def test_the_series_of_a_pull_is_that_of_its_tweets(
    rows_of: Callable[..., list[dict[str, Any]]], world: World, tweets: list[str], name: str, number: int | None
) -> None:
    series = rows_of(name, "series")

    assert len(series) == 3
    assert [row["impressions"] for row in series] == [
        count(world, tweets[:number], "impressions", row["period_start"], row["period_start"] + DAY) for row in series
    ]
    assert {row["tweet_id"] for row in rows_of(name, "top")} <= set(tweets[:number])


def test_a_pull_of_the_last_28_hours_shows_these_hours(
    rows_of: Callable[..., list[dict[str, Any]]], world: World, tweets: list[str]
) -> None:
    known = [row for row in rows_of("last", "series") if row["impressions"] is not None]

    assert 27 <= len(known) <= 29
    for row in known[1:-1]:
        start = row["period_start"]
        assert row["impressions"] == count(world, tweets[:4], "impressions", start, start + HOUR)


def test_a_snapshot_shows_the_totals_of_its_tweets_and_credentials(
    rows_of: Callable[..., list[dict[str, Any]]], world: World, tweets: list[str]
) -> None:
    (user,) = rows_of("user", "snapshots")
    (app,) = rows_of("app", "snapshots")

    assert (user["auth"], user["tweets"]) == ("user", 4)
    assert user["favorites"] == sum(world.total(tweet_id, "favorites", NOW) for tweet_id in tweets[:4])
    existing = [tweet.id for tweet in world.tweets.values() if not tweet.deleted]
    assert (app["auth"], app["tweets"]) == ("app", len(existing))
    assert app["favorites"] == sum(world.total(tweet_id, "favorites", NOW) for tweet_id in existing)
    assert {row["tweet_id"] for row in rows_of("user", "top_totals")} == set(tweets[:4])


def test_the_dataset_shows_the_snapshots_of_all_credentials(manifests: Mapping[str, dict[str, Any]]) -> None:
    reader = reader_of(manifests["app"])
    figures = DatasetFigures(reader, choose(reader, metrics=("favorites",)))

    snapshots = figures.figure("snapshots").records()
    ranked = figures.figure("top_totals").records()

    assert [row["auth"] for row in snapshots] == ["user", "app"]
    assert len(ranked) == 10


def test_the_newest_total_of_a_tweet_counts_whatever_its_credentials() -> None:
    early, late = NOW - DAY, NOW
    rows = [
        {"tweet_id": "1", "snapshot_at": early, "auth": "user", "favorites": 9, "impressions": 70},
        {"tweet_id": "1", "snapshot_at": late, "auth": "app", "favorites": 8, "impressions": None},
    ]

    found = newest_totals([pyarrow.Table.from_pylist(rows)], ["favorites", "impressions"])

    assert found.to_pylist() == [{"tweet_id": "1", "favorites": 8, "impressions": 70}]


def test_a_report_of_totals_shows_the_metrics_with_counts_over_time(
    manifests: Mapping[str, dict[str, Any]], tmp_path: Path
) -> None:
    manifest = manifests["user"]
    pull = {**manifest, "metrics": ["favorites", "quote_tweets"]}
    operator = EngagementReportOperator(task_id="report", pull=pull, report_path=str(tmp_path / "report.html"))

    execute(operator, "run", TODAY - DAY, TODAY)

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Snapshots of totals" in text
    assert "favorites" in text


def test_a_change_leaves_out_the_tweets_of_only_one_interval(
    manifests: Mapping[str, dict[str, Any]], world: World, tweets: list[str]
) -> None:
    reader = reader_of(manifests["all"])
    selection = choose(reader, start=TODAY - 3 * DAY, end=TODAY, metrics=("impressions",))
    figure = DatasetFigures(reader, selection).figure("summary")

    (row,) = figure.records()
    new = [tweet_id for tweet_id in tweets if (world.tweets[tweet_id].created_at or TODAY) >= TODAY - 3 * DAY]
    now = count(world, [*tweets[:4], *new], "impressions", TODAY - 3 * DAY, TODAY)
    before = count(world, tweets[:4], "impressions", TODAY - 6 * DAY, TODAY - 3 * DAY)
    assert row["sum"] == count(world, tweets, "impressions", TODAY - 3 * DAY, TODAY)
    assert row["before"] == before > 0
    assert row["change_percent"] == pytest.approx(100 * (now - before) / before)
    left_out = len(tweets) - 4 - len(new)
    assert (
        f"Rows exist in only one of the two intervals for {left_out} Tweets. The change leaves out these Tweets, "
        "and those with an unknown count."
    ) in figure.notes
