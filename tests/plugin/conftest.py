"""Airflow's users, a DAG run with pulls of a simulated user's Tweets, and the application of the plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.report import EngagementReportOperator
from airflow_provider_engagement.pull.progress import PROGRESS_KEY, Progress, ProgressRecord
from airflow_provider_engagement.simulator import Clock, Simulator, World

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
METRICS = ("impressions", "engagements", "favorites", "retweets", "replies")
DAG_ID = "engagement_page"
DAYS = 10
REQUESTS_PER_MINUTE = 120

NEEDS_TASK_STATE = pytest.mark.skipif(
    find_spec("airflow.state") is None, reason="Airflow keeps the state of a task since 3.3"
)

USERS = {"alice": "admin", "victor": "viewer", "olga": "viewer", "xenia": "viewer", "nobody": ""}
"""The users and their roles. Olga cannot read the DAG of the tests, and Xenia cannot read its XComs."""


@dataclass(frozen=True)
class Pulled:
    """What the DAG run has pulled.

    :param folder: the folder of the dataset, a local path or a URL.
    :param world: the simulated Tweets and counts.
    :param tweet_ids: the requested Tweets.
    :param run_id: the id of the run.
    """

    folder: str
    world: World
    tweet_ids: list[str]
    run_id: str

    def count(self, metric: str, start: datetime, end: datetime) -> int:
        """Return the true sum over the Tweets that the API has counts of."""
        ids = [tweet_id for tweet_id in self.tweet_ids if not self.world.tweets[tweet_id].deleted]
        return sum(self.world.count(tweet_id, metric, start, end) for tweet_id in ids)


class WeeklyReportOperator(EngagementReportOperator):
    """The operator of a team, whose reports are found like those of the operator that it extends."""


@pytest.fixture(autouse=True)
def only_this_dag(airflow_database: None) -> None:
    """Delete what DAGs of other tests returned in the same database, which the page would show too."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(XComModel).where(XComModel.dag_id != DAG_ID))


@pytest.fixture(scope="session")
def pulled(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    """Pull into a local folder."""
    return run_pulls(tmp_path_factory.mktemp("dataset"))


def run_pulls(folder: Path | str, **options: Any) -> Pulled:
    """Run a DAG that pulls a series, with a report, and totals.

    :param folder: the folder of the dataset: a local path, or a URL.
    :param options: more parameters of the pulls.
    """
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    world = World.generate(seed=5, handles=1, tweets=40, end=now, start=now - timedelta(days=40), deleted=0.3)
    (author,) = world.handles.values()
    with Simulator(world, clock=Clock(now)) as simulator:
        simulator.set_limit(per_minute=REQUESTS_PER_MINUTE)
        app = world.app
        extra = {
            "api_key": app.consumer_key,
            "api_key_secret": app.consumer_secret,
            "access_token": author.access_token,
            "access_token_secret": author.access_token_secret,
        }
        os.environ["AIRFLOW_CONN_ENGAGEMENT_PAGE"] = json.dumps(
            {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        )
        common = {
            "tweets": world.tweets_of(author.user_id),
            "dataset_path": str(folder),
            "engagement_conn_id": "engagement_page",
            **options,
        }
        with DAG(DAG_ID, schedule=None) as dag:
            series = EngagementHistoricalOperator(
                task_id="series", metrics=METRICS, start=TODAY - timedelta(days=DAYS), end=TODAY, **common
            )
            EngagementTotalsOperator(task_id="totals", snapshot_at=TODAY, **common)
            report = WeeklyReportOperator(task_id="report", pull=series.output)

            @task
            def disguised() -> Any:
                return {"schema_version": 1, "endpoint": "x", "requests": {}, "rate_limit": {}, "outputs": []}

            series >> report >> disguised()
        run = run_dag(dag)
        del os.environ["AIRFLOW_CONN_ENGAGEMENT_PAGE"]
    assert run.state == "success"
    return Pulled(str(folder), world, common["tweets"], run.run_id)


@pytest.fixture
def waiting(pulled: Pulled) -> Iterator[ProgressRecord]:
    """Let the pull of totals wait for the rate limit, until the test ends."""
    now = datetime.now(UTC).replace(microsecond=0)
    record = ProgressRecord(
        progress=Progress(planned=120, succeeded=20, reused=10, failed=0, requests_per_minute=30),
        recorded_at=now,
        waits_until=now + timedelta(minutes=1),
    )
    keep_state(pulled.run_id, "totals", json.dumps(record.to_dict()))
    change_task("totals", state="deferred", result_key="hidden")
    yield record
    change_task("totals", state="success", result_key="return_value")


def keep_state(run_id: str, task_id: str, value: str) -> None:
    """Store the progress of a task as Airflow does."""
    from airflow.state import TaskScope, get_state_backend

    scope = TaskScope(dag_id=DAG_ID, run_id=run_id, task_id=task_id, map_index=-1)
    get_state_backend().set(scope, PROGRESS_KEY, value)


def change_task(task_id: str, *, state: str, result_key: str) -> None:
    """Change the state of a task instance, and the key of what it returned."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    is_result = XComModel.key.in_(("return_value", "hidden"))
    with create_session() as session:
        session.execute(
            update(TaskInstance)
            .where(TaskInstance.dag_id == DAG_ID, TaskInstance.task_id == task_id)
            .values(state=state)
        )
        session.execute(
            update(XComModel)
            .where(XComModel.dag_id == DAG_ID, XComModel.task_id == task_id, is_result)
            .values(key=result_key)
        )


def run_dag(dag: DAG) -> Any:
    """Run a DAG in Airflow, and return the run. Airflow must store a DAG outside the folder of DAGs first."""
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
    return dag.test()


@pytest.fixture(scope="session")
def login(airflow_database: None) -> Iterator[Callable[[str], TestClient]]:
    """Return a client of the application for a user of Airflow, or for nobody."""
    from airflow.api_fastapi.app import init_auth_manager, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    from airflow_provider_engagement.plugin.airflow_plugin import EngagementPlugin

    settings = {
        "AIRFLOW__CORE__AUTH_MANAGER": f"{__name__}.{_auth_manager().__name__}",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the tests, long enough for its algorithm, and only for them",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr("airflow.api_fastapi.app.create_auth_manager", lambda: _created(_auth_manager()))
        airflow = FastAPI()
        manager = init_auth_manager(airflow)
        (application,) = EngagementPlugin.fastapi_apps
        airflow.mount(application["url_prefix"], application["app"])

        def logged_in(user: str) -> TestClient:
            headers = {}
            if user:
                token = manager.generate_jwt(SimpleAuthManagerUser(username=user, role=USERS[user] or None))
                headers["Authorization"] = f"Bearer {token}"
            return TestClient(
                airflow, base_url="http://airflow/engagement/", headers=headers, raise_server_exceptions=False
            )

        yield logged_in
        purge_cached_app()


def _auth_manager() -> Any:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    class RestrictedAuthManager(SimpleAuthManager):
        """Olga cannot read the DAG of the tests, nor its XComs. Xenia can read the DAG only."""

        def is_authorized_dag(self, *, user: Any, details: Any = None, **options: Any) -> bool:
            if details is not None and details.id == DAG_ID:
                if user.username == "olga":
                    return False
                if user.username == "xenia" and options.get("access_entity") is DagAccessEntity.XCOM:
                    return False
            return bool(super().is_authorized_dag(user=user, details=details, **options))

    return RestrictedAuthManager


def _created(manager_class: Any) -> Any:
    from airflow.api_fastapi.app import _AuthManagerState

    _AuthManagerState.instance = manager_class()
    return _AuthManagerState.instance


@pytest.fixture
def alice(login: Callable[[str], TestClient], pulled: Pulled) -> TestClient:
    """A client of a user who can see everything."""
    return login("alice")
