"""The asset events of pulls: what they declare, what they say, and which days they mark in Airflow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import airflow.sdk
import pytest
from airflow.sdk import DAG, Asset, BaseOperator, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.assets.engagement import create_asset, table_uri
from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.simulator import Handle, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
TODAY = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

Execute = Callable[..., Any]

needs_partitions = pytest.mark.skipif(
    not hasattr(airflow.sdk, "RetryPolicy"), reason="Airflow names partitions in asset events since 3.3"
)


class Events(dict[Asset, Any]):
    """Stands in for ``outlet_events``: an event for each asset, without a database."""

    def __missing__(self, asset: Asset) -> Any:
        from airflow.sdk.definitions.asset import AssetUniqueKey
        from airflow.sdk.execution_time.context import OutletEventAccessor

        return self.setdefault(asset, OutletEventAccessor(key=AssetUniqueKey.from_asset(asset)))


@pytest.mark.parametrize(
    ("operator", "options", "uri"),
    [
        (EngagementTotalsOperator, {}, "engagement://s3/bucket/brand/tweet_totals"),
        (Engagement28HourOperator, {}, "engagement://s3/bucket/brand/tweet_metrics/hour"),
        (
            EngagementHistoricalOperator,
            {"granularity": "day", "asset_events": "day"},
            "engagement://s3/bucket/brand/tweet_metrics/day",
        ),
        (
            EngagementHistoricalOperator,
            {"granularity": "hour_of_day"},
            "engagement://s3/bucket/brand/tweet_hours_of_day",
        ),
    ],
)
def test_a_pull_declares_its_main_table_when_it_is_constructed(
    operator: type[BaseOperator], options: dict[str, Any], uri: str
) -> None:
    other = Asset("other")
    parameters = {"tweets": ["20"], "dataset_path": "s3://bucket/brand", "outlets": [other], "asset_events": "run"}
    made = operator(task_id="pull", **{**parameters, **options})

    assert made.outlets == [other, Asset(uri=uri)]


def test_a_pull_declares_nothing_by_default() -> None:
    assert EngagementTotalsOperator(task_id="pull", tweets=["20"], dataset_path="/data").outlets == []


def test_a_pull_declares_the_table_of_the_configured_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ENGAGEMENT__DEFAULT_DATASET_PATH", "/data/brand")
    pull = EngagementTotalsOperator(task_id="pull", tweets=["20"], asset_events="run")

    assert [asset.uri for asset in pull.outlets] == ["engagement://file/data/brand/tweet_totals"]


def test_an_outlet_that_is_declared_already_is_not_declared_twice() -> None:
    asset = create_asset(dataset_path="/data", table="tweet_totals", extra={"team": "social"})
    pull = EngagementTotalsOperator(
        task_id="pull", tweets=["20"], dataset_path="/data", outlets=[asset], asset_events="run"
    )

    assert pull.outlets == [asset]


@pytest.mark.parametrize(
    ("operator", "options", "message"),
    [
        (EngagementTotalsOperator, {"dataset_path": "s3://b/{{ ds }}"}, "is a template.*Use a constant, or leave"),
        (EngagementTotalsOperator, {"dataset_path": "data"}, "is relative"),
        (EngagementTotalsOperator, {}, "the pull has no dataset_path"),
        (EngagementTotalsOperator, {"asset_events": "day", "dataset_path": "/data"}, "totals has no interval of days"),
        (EngagementHistoricalOperator, {"asset_events": "week", "dataset_path": "/data"}, "Choose one of run, day"),
        (
            EngagementHistoricalOperator,
            {"granularity": "{{ params.granularity }}", "dataset_path": "/data"},
            "no granularity",
        ),
    ],
)
def test_a_table_that_is_not_known_yet_cannot_be_declared(
    operator: type[BaseOperator], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=f"asset_events: .*{message}"):
        operator(**{"task_id": "pull", "tweets": ["20"], "asset_events": "run", **options})


def test_the_event_of_a_pull_says_what_it_wrote(
    execute: Execute, connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    events = Events()
    deleted = "1070059276213702656"
    pull = EngagementTotalsOperator(
        task_id="pull", tweets=[*ids[-3:], deleted], dataset_path=str(tmp_path), asset_events="run"
    )
    manifest = execute(pull, outlet_events=events)

    [event] = events.values()
    assert list(events) == [create_asset(dataset_path=str(tmp_path), table="tweet_totals")]
    assert event.partition_keys == set() if hasattr(event, "partition_keys") else True
    assert event.extra == {
        "endpoint": "totals",
        "window": None,
        "snapshot_at": "2026-01-12T00:00:00+00:00",
        "tweets": 4,
        "rows": 3,
        "missing": {"unavailable": 1},
        "requests": 1,
        "manifest": manifest["outputs"]["manifest"],
    }


def test_an_outlet_of_the_author_is_described_if_it_is_the_table_of_the_rendered_path(
    execute: Execute, connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    events = Events()
    own, other = create_asset(dataset_path=str(tmp_path), table="tweet_totals"), Asset("other")
    pull = EngagementTotalsOperator(
        task_id="pull", tweets=ids[-1:], dataset_path="{{ params.path }}", outlets=[own, other]
    )
    execute(pull, outlet_events=events, params={"path": str(tmp_path)})

    assert list(events) == [own]
    assert events[own].extra["tweets"] == 1


@needs_partitions
@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (TODAY - 3 * DAY, TODAY, {"2026-01-09", "2026-01-10", "2026-01-11"}),
        (TODAY - 2 * DAY + timedelta(hours=1), TODAY + timedelta(hours=5), {"2026-01-11"}),
        (TODAY - timedelta(hours=30), TODAY - timedelta(hours=2), set()),
    ],
)
def test_a_pull_marks_the_whole_days_of_its_interval(
    pull_series: Execute, dataset: Any, start: datetime, end: datetime, days: set[str]
) -> None:
    events = Events()
    pull_series(
        EngagementHistoricalOperator,
        {"outlet_events": events},
        task_id="pull",
        start=start,
        end=end,
        metrics=["impressions"],
        asset_events="day",
    )

    [event] = events.values()
    assert event.partition_keys == days
    assert event.extra["window"] == [f"{edge:%Y-%m-%dT%H:%M:%SZ}" for edge in (start, end)]


@needs_partitions
@pytest.mark.dag
def test_one_pull_starts_a_run_of_a_daily_dag_for_each_day_and_links_to_what_it_wrote(
    run_dag: Callable[..., Any],
    connect: Callable[..., str],
    simulator: Simulator,
    author: Handle,
    ids: list[str],
    tmp_path: Path,
) -> None:
    import time_machine
    from airflow.models.asset import AssetEvent, AssetPartitionDagRun
    from airflow.sdk import PartitionedAssetTimetable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    connect(author)
    hours = create_asset(dataset_path=str(tmp_path), table="tweet_metrics", granularity="hour")
    with DAG("daily_consumer", schedule=PartitionedAssetTimetable(assets=hours)) as consumer:

        @task
        def report() -> None:
            """Do nothing."""

        report()
    with DAG("three_days", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        EngagementHistoricalOperator(
            task_id="pull",
            tweets=ids[-2:],
            metrics=["impressions"],
            start=TODAY - 3 * DAY,
            end=TODAY,
            dataset_path=str(tmp_path),
            asset_events="day",
        )
    store(consumer)
    with time_machine.travel(NOW, tick=True):
        run = run_dag(dag)

    assert run.state == "success"
    [instance] = run.get_task_instances()
    links = [instance.xcom_pull(task_ids="pull", key=f"_link_{name}") for name in ("DatasetLink", "ManifestLink")]
    assert links[0] == f"file://{tmp_path}"
    assert links[1].startswith(f"file://{tmp_path}/_manifests/three_days.pull.")
    expected = ["2026-01-09", "2026-01-10", "2026-01-11"]
    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == "three_days")).all()
        assert sorted(event.partition_key for event in found) == expected
        assert {event.asset.uri for event in found} == {table_uri(str(tmp_path), "tweet_metrics", "hour")}
        assert {event.extra["requests"] for event in found} == {1}
        started = session.scalars(
            select(AssetPartitionDagRun.partition_key).where(AssetPartitionDagRun.target_dag_id == "daily_consumer")
        ).all()
        assert sorted(started) == expected


@pytest.mark.dag
def test_each_instance_of_a_mapped_pull_emits_an_event_if_the_outlet_is_in_partial(
    run_dag: Callable[..., Any], connect: Callable[..., str], world: World, simulator: Simulator, tmp_path: Path
) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    handles = list(world.handles.values())[:2]
    connections = [connect(handle, f"handle_{number}") for number, handle in enumerate(handles)]
    totals = create_asset(dataset_path=str(tmp_path), table="tweet_totals")
    with DAG("mapped_totals", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        EngagementTotalsOperator.partial(
            task_id="pull", dataset_path=str(tmp_path), outlets=[totals], asset_events="run"
        ).expand_kwargs(
            [
                {"engagement_conn_id": conn_id, "tweets": world.tweets_of(handle.user_id, deleted=False)[-number:]}
                for number, (conn_id, handle) in enumerate(zip(connections, handles, strict=True), start=2)
            ]
        )
    run = run_dag(dag)

    assert run.state == "success"
    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == "mapped_totals")).all()
        assert sorted((event.source_map_index, event.extra["tweets"]) for event in found) == [(0, 2), (1, 3)]
        assert {event.asset.uri for event in found} == {totals.uri}


def store(dag: DAG) -> None:
    """Let Airflow know a DAG without running it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from sqlalchemy import update

    DagBundlesManager().sync_bundles_to_db()
    with create_session() as session:
        serialized = LazyDeserializedDAG.from_dag(dag)
        SerializedDAG.bulk_write_to_db("dags-folder", None, [serialized], session=session)
        session.flush()
        SerializedDagModel.write_dag(serialized, bundle_name="dags-folder", session=session)
        session.execute(update(DagModel).where(DagModel.dag_id == dag.dag_id).values(is_paused=False))
