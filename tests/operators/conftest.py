"""Runs operators against a simulator: alone with a made-up context, or as a DAG in Airflow itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.simulator import Clock, Handle, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
SNAPSHOT_AT = datetime(2026, 1, 12, tzinfo=UTC)
RUN_ID = "scheduled__2026-01-12T00:00:00+00:00"


@pytest.fixture(scope="session")
def world() -> World:
    """Three users, the last of them protected; their Tweets are new and old, with video and without, some deleted."""
    world = World.generate(
        seed=7, handles=3, tweets=1000, end=NOW, deleted=0.05, video=0.3, old=0.15, pre_snowflake=0.03
    )
    world.change_handle(list(world.handles)[2], protected=True)
    return world


@pytest.fixture(scope="session")
def _running(world: World) -> Iterator[Simulator]:
    with Simulator(world, clock=Clock(NOW)) as running:
        yield running


@pytest.fixture
def simulator(_running: Simulator) -> Simulator:
    """The API around that world, at half past nine of 2026-01-12, as if it had just been started."""
    _running.reset()
    _running.latency = 0.0
    return _running


@pytest.fixture
def author(world: World) -> Handle:
    """The user whose token the default connection holds."""
    return next(iter(world.handles.values()))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Callable[..., str]:
    """Make a connection to the simulator, as users do in the environment, and return its id."""

    def connected(handle: Handle | None, conn_id: str = "engagement_default", **changes: Any) -> str:
        app = simulator.world.app
        extra = {
            "consumer_key": app.consumer_key,
            "consumer_secret": app.consumer_secret,
            "bearer_token": app.bearer_token,
            "token_url": simulator.token_url,
        }
        if handle is not None:
            extra |= {"access_token": handle.access_token, "access_token_secret": handle.access_token_secret}
        extra |= changes
        extra = {name: value for name, value in extra.items() if value is not None}
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    return connected


@dataclass(kw_only=True)
class TaskInstance:
    """As much of a task instance as an operator looks at."""

    task_id: str
    dag_id: str = "engagement"
    run_id: str = RUN_ID
    map_index: int = -1
    try_number: int = 1
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    rescheduled_at: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.rescheduled_at


@pytest.fixture
def execute() -> Callable[..., Any]:
    """Execute an operator as Airflow would, without a database; what is given besides it goes into the context."""

    def executed(operator: BaseOperator, *, ti: TaskInstance | None = None, **context: Any) -> Any:
        task_instance = ti or TaskInstance(task_id=operator.task_id)
        context = {
            "ti": task_instance,
            "task_instance": task_instance,
            "task": operator,
            "run_id": task_instance.run_id,
            "dag_run": SimpleNamespace(
                run_id=task_instance.run_id, run_after=SNAPSHOT_AT, run_type="scheduled", partition_key=None
            ),
            "logical_date": SNAPSHOT_AT,
            "data_interval_start": SNAPSHOT_AT,
            "data_interval_end": SNAPSHOT_AT,
            "params": {},
            **context,
        }
        operator.render_template_fields(context)
        return operator.execute(context)

    return executed


@pytest.fixture
def task_instance() -> type[TaskInstance]:
    """What to make a task instance of."""
    return TaskInstance


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses between attempts so short that nobody notices."""
    import time

    monkeypatch.setattr(Limiter, "wait", lambda self, seconds: time.sleep(min(seconds, 0.005)))


@pytest.fixture
def run_dag(airflow_database: None) -> Callable[..., Any]:
    """Run a DAG in Airflow and return its run. A DAG outside the folder of DAGs has to be put on record first."""

    def run(dag: DAG, **options: Any) -> Any:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization.definitions.dag import SerializedDAG
        from airflow.serialization.serialized_objects import LazyDeserializedDAG
        from airflow.utils.session import create_session

        DagBundlesManager().sync_bundles_to_db()
        with create_session() as session:
            serialized = LazyDeserializedDAG.from_dag(dag)
            SerializedDAG.bulk_write_to_db("dags-folder", None, [serialized], session=session)
            session.flush()
            SerializedDagModel.write_dag(serialized, bundle_name="dags-folder", session=session)
        return dag.test(**options)

    return run
