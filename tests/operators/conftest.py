"""Execute operators against a simulator: alone with a made-up context, or as a DAG in Airflow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from airflow.sdk import DAG, BaseOperator
from pyarrow import parquet

from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.simulator import Clock, Handle, Simulator, Tweet, World
from airflow_provider_engagement.tweet_id import first_id_at

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
SNAPSHOT_AT = datetime(2026, 1, 12, tzinfo=UTC)
RUN_ID = "scheduled__2026-01-12T00:00:00+00:00"


@pytest.fixture(scope="session")
def world() -> World:
    """Three users, the last of them protected. Tweets are new and old, with and without video, and some are deleted."""
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
    """The API of that world at 2026-01-12 09:30, in its initial state."""
    _running.reset()
    _running.latency = 0.0
    return _running


@pytest.fixture
def author(world: World) -> Handle:
    """The user whose access token the default connection holds."""
    return next(iter(world.handles.values()))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Callable[..., str]:
    """Define a connection to the simulator in the environment, and return its id."""

    def connected(handle: Handle | None, conn_id: str = "engagement_default", **changes: Any) -> str:
        app = simulator.world.app
        extra = {
            "api_key": app.consumer_key,
            "api_key_secret": app.consumer_secret,
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
    """The attributes of a task instance that an operator reads."""

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
    """Execute an operator as Airflow does, without a database. Keyword arguments replace values of the context."""

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
    """The class of task instances that the operators accept."""
    return TaskInstance


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waits between attempts very short."""
    monkeypatch.setattr(Limiter, "wait", lambda self, seconds: time.sleep(min(seconds, 0.005)))


# Pulls of time series.


@pytest.fixture
def series_world() -> World:
    """Two users with a few Tweets each, of the last hours, the last 400 days and earlier."""
    world = World.generate(
        seed=3,
        handles=2,
        tweets=60,
        end=NOW,
        start=NOW - timedelta(days=400),
        video=0.4,
        deleted=0.05,
        old=0.1,
        pre_snowflake=0.05,
    )
    author = next(iter(world.handles))
    hours_ago = (0.1, 1.1, 5, *range(9, 91, 9))
    recent = (str(int(first_id_at(NOW - timedelta(hours=hours))) + 7) for hours in hours_ago)
    return World(
        apps=world.apps.values(),
        handles=world.handles.values(),
        tweets=[*world.tweets.values(), *(Tweet(id=tweet_id, author_id=author) for tweet_id in recent)],
        counts=world.counts,
    )


@pytest.fixture
def series_simulator(series_world: World) -> Iterator[Simulator]:
    """The API of that world at 2026-01-12 09:30. A test may change both."""
    with Simulator(series_world, clock=Clock(NOW)) as running:
        yield running


@pytest.fixture
def present() -> Iterator[time_machine.Traveller]:
    """The clock of this machine, which starts at 2026-01-12 09:30."""
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _current_runs(request: pytest.FixtureRequest) -> None:
    """Let the clock of this machine agree with the times of the runs, since old runs cannot read current counts."""
    if request.node.get_closest_marker("dag") is None and "real_time" not in request.fixturenames:
        request.getfixturevalue("present")


@pytest.fixture
def real_time() -> None:
    """Leave the clock of this machine as it is, for a test that runs another process."""


@pytest.fixture
def ids(world: World, author: Handle) -> list[str]:
    """The Tweets of the author."""
    return world.tweets_of(author.user_id)


@pytest.fixture
def pull_series(
    present: time_machine.Traveller,
    connect: Callable[..., str],
    author: Handle,
    execute: Callable[..., Any],
    short_waits: None,
    ids: list[str],
    dataset: Dataset,
) -> Callable[..., Any]:
    """Pull the author's Tweets into a dataset with an operator, in a run that the context describes."""
    connect(author)

    def pulled(operator: type[BaseOperator], context: dict[str, Any], **parameters: Any) -> Any:
        defaults = {"tweets": ids, "dataset_path": str(dataset.folder)}
        return execute(operator(**{**defaults, **parameters}), **context)

    return pulled


@dataclass(frozen=True)
class Dataset:
    """Reads the tables of a dataset."""

    folder: Path

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the published rows of a table."""
        return [row for file in self._files(table) for row in file.read().to_pylist()]

    def counts(
        self, metrics: Sequence[str], granularity: str = "hour"
    ) -> dict[tuple[str, datetime], tuple[int | None, ...]]:
        """Return the counts of each Tweet and period. A key that occurs twice is an error."""
        found: dict[tuple[str, datetime], tuple[int | None, ...]] = {}
        number = 0
        for file in self._files(f"tweet_metrics/{granularity}"):
            rows = file.read(columns=["tweet_id", "period_start", *metrics])
            # Equal times are converted once, because the conversion is slow.
            periods = rows["period_start"].combine_chunks().dictionary_encode()
            times = periods.dictionary.to_pylist()
            keys = zip(
                rows["tweet_id"].to_pylist(), (times[index] for index in periods.indices.to_pylist()), strict=True
            )
            counts = zip(*(rows[metric].to_pylist() for metric in metrics), strict=True)
            found |= dict(zip(keys, counts, strict=True))
            number += rows.num_rows
        assert len(found) == number, "a key has two rows"
        return found

    def _files(self, table: str) -> list[parquet.ParquetFile]:
        paths = sorted((self.folder / table).rglob("*.parquet"))
        return [parquet.ParquetFile(path) for path in paths if not path.name.startswith("_")]

    def sibling(self, name: str) -> Dataset:
        """Return the dataset that a pull wrote to another folder."""
        return Dataset(self.folder.parent / name)

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Return the status of each Tweet."""
        return {row["tweet_id"]: row for row in self.rows("tweet_status")}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """The dataset that pulls write by default."""
    return Dataset(tmp_path / "dataset")


# DAG runs.


@pytest.fixture
def run_dag(airflow_database: None) -> Callable[..., Any]:
    """Run a DAG in Airflow, and return the run. Airflow must store a DAG outside the folder of DAGs first."""

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
