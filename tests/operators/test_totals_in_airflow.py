"""The totals operator in a DAG run: XComs, templates, mapping, failures without retries, deferrals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow.sdk
import pytest
import time_machine
from airflow.providers.standard.triggers import temporal
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, task
from pyarrow import parquet

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import Limits
from airflow_provider_engagement.simulator import Handle, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)

pytestmark = pytest.mark.dag

RunDag = Callable[..., Any]
Connect = Callable[..., str]


def xcom(instance: Any) -> Any:
    return instance.xcom_pull(task_ids=instance.task_id, map_indexes=instance.map_index)


def test_a_dag_pulls_ids_from_xcoms_and_templates_with_several_connections(
    run_dag: RunDag,
    connect: Connect,
    simulator: Simulator,
    world: World,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first, second = list(world.handles.values())[:2]
    connect(first)
    connections = [connect(first, "first_handle"), connect(second, "second_handle")]
    mine, others = (world.tweets_of(handle.user_id)[-8:] for handle in (first, second))

    with DAG("totals_in_airflow", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

        @task
        def tweets() -> list[str]:
            return mine

        ids = tweets()
        EngagementTotalsOperator(task_id="listed", tweets=ids, dataset_path=str(tmp_path))
        templated = EngagementTotalsOperator(
            task_id="templated", tweets="{{ ti.xcom_pull(task_ids='tweets')[:3] }}", metrics="{{ 'favorites' }}"
        )
        ids >> templated
        EngagementTotalsOperator.partial(
            task_id="mapped",
            tweets=[*mine, *others],
            metrics=["impressions"],
            dataset_path=str(tmp_path),
            accepted_outcomes=["forbidden", "unavailable", "unsupported_90d"],
        ).expand(engagement_conn_id=connections)
        EngagementTotalsOperator(
            task_id="rejected",
            tweets="{{ 'not an id' }}",
            dataset_path=str(tmp_path),
            retries=3,
            retry_delay=timedelta(0),
        )

    run = run_dag(dag)
    instances = {(one.task_id, one.map_index): one for one in run.get_task_instances()}
    states = {key: str(one.state) for key, one in instances.items()}
    assert states == {
        ("tweets", -1): "success",
        ("listed", -1): "success",
        ("templated", -1): "success",
        ("mapped", 0): "success",
        ("mapped", 1): "success",
        ("rejected", -1): "failed",
    }
    assert instances["rejected", -1].try_number == 1

    listed = xcom(instances["listed", -1])
    assert listed["requested"] == 8
    assert type(listed["endpoint"]) is type(listed["auth"]) is str
    own = {path for name, path in listed["outputs"].items() if name != "tweet_totals"}
    assert own == {str(path) for path in tmp_path.rglob("*listed*") if path.is_file()}
    templated_report = xcom(instances["templated", -1])
    assert [row["tweet_id"] for row in templated_report["tweet_status"]] == mine[:3]
    assert templated_report["metrics"] == ["favorites"]

    for map_index, owned in enumerate([mine, others]):
        report = xcom(instances["mapped", map_index])
        assert report["owners"] == {"requested": 1, "rejected": {}}
        assert report["outcomes"]["forbidden"] == 8
        counts = {
            row["tweet_id"]: row["impressions"]
            for row in parquet.ParquetFile(report["outputs"]["tweet_totals"]).read().to_pylist()
            if row["impressions"] is not None and row["tweet_id"] in owned
        }
        assert counts == {tweet_id: simulator.total(tweet_id, "impressions") for tweet_id in counts}

    assert_no_secret_is_shown(world, instances.values(), capfd.readouterr())


def assert_no_secret_is_shown(world: World, instances: Any, captured: Any) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session

    with create_session() as session:
        rendered = [
            json.dumps(fields.rendered_fields, default=str) for fields in session.query(RenderedTaskInstanceFields)
        ]
    assert any("tweets" in fields for fields in rendered)
    texts = [*captured, *rendered, *(json.dumps(xcom(one), default=str) for one in instances)]
    secrets = [world.app.consumer_key, world.app.consumer_secret, world.app.bearer_token]
    for handle in world.handles.values():
        secrets += [handle.access_token, handle.access_token_secret]
    assert not [secret for secret in secrets for text in texts if secret in text]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """The one clock of the operator, the trigger and the API. It starts at a full minute, and sleeping moves it."""
    with time_machine.travel(NOW, tick=True) as traveller:

        async def sleep(seconds: float) -> None:
            traveller.shift(seconds)

        monkeypatch.setattr(temporal, "asyncio", SimpleNamespace(sleep=sleep))
        yield traveller


def test_a_task_that_waits_in_the_triggerer_continues_in_the_same_attempt(
    clock: time_machine.Traveller,
    run_dag: RunDag,
    connect: Connect,
    simulator: Simulator,
    author: Handle,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deferrals: list[datetime] = []
    defer = EngagementTotalsOperator.defer

    def record_and_defer(operator: EngagementTotalsOperator, *, trigger: DateTimeTrigger, **options: Any) -> None:
        deferrals.append(trigger.moment)
        defer(operator, trigger=trigger, **options)

    monkeypatch.setattr(EngagementTotalsOperator, "defer", record_and_defer)
    connect(author)
    simulator.set_limit(per_minute=2)
    with DAG("totals_that_wait", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        EngagementTotalsOperator(
            task_id="waiting",
            tweets=" ".join(world.tweets_of(author.user_id)[:510]),
            dataset_path=str(tmp_path),
            limits=Limits(wait_on_worker=timedelta(seconds=0)),
            deferrable=True,
        )
    run = run_dag(dag)
    (instance,) = run.get_task_instances()
    assert (str(instance.state), instance.try_number) == ("success", 1)
    assert len(deferrals) == 1
    requests = xcom(instance)["requests"]
    # Airflow 3.2 keeps no state of a task over its waits, so the manifest counts the requests since the last wait.
    sent_before_the_wait = 2 if hasattr(airflow.sdk, "RetryPolicy") else 0
    assert (requests["sent"], requests["succeeded"] + requests["reused"]) == (sent_before_the_wait + 1, 3)
    minutes = [entry.at.replace(second=0, microsecond=0) for entry in simulator.journal]
    assert [entry.status for entry in simulator.journal] == [200] * 3
    assert minutes == [NOW, NOW, NOW + timedelta(minutes=1)]
    assert deferrals[0] <= simulator.journal.entries[-1].at < deferrals[0] + timedelta(seconds=10)
