"""A dataset that pulls of a simulated user's Tweets wrote, in each format."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.simulator import Clock, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
TODAY = datetime(2026, 1, 12, tzinfo=UTC)
METRICS = ("impressions", "engagements", "favorites", "retweets", "replies", "url_clicks")
ACCEPTED = ("unavailable", "unsupported_90d", "unsupported_video")


@dataclass(frozen=True)
class Pulled:
    """A dataset, and the world that its counts come from.

    :param folder: the folder of the dataset.
    :param world: the simulated Tweets and counts.
    :param tweet_ids: the requested Tweets.
    :param manifests: the manifests of the pulls by the id of the run.
    """

    folder: Path
    world: World
    tweet_ids: Sequence[str]
    manifests: dict[str, dict[str, Any]]

    def count(self, metric: str, start: datetime, end: datetime) -> int:
        """Return the true sum over the Tweets that the API has counts of."""
        return sum(self.world.count(tweet_id, metric, start, end) for tweet_id in self.available)

    @property
    def available(self) -> list[str]:
        """The Tweets that are not deleted."""
        return [tweet_id for tweet_id in self.tweet_ids if not self.world.tweets[tweet_id].deleted]


def run_context(operator: Any, run_id: str, start: datetime, end: datetime) -> Any:
    """Return a context of Airflow for a run of a data interval."""
    pushed: dict[str, Any] = {}
    task_instance = SimpleNamespace(
        dag_id="engagement",
        task_id=operator.task_id,
        map_index=-1,
        run_id=run_id,
        try_number=1,
        start_date=datetime.now(UTC),
        get_first_reschedule_date=lambda context: None,
        xcom_push=lambda key, value: pushed.update({key: value}),
        pushed=pushed,
    )
    return {
        "ti": task_instance,
        "task_instance": task_instance,
        "task": operator,
        "run_id": run_id,
        "dag_run": SimpleNamespace(run_id=run_id, run_type="scheduled", run_after=end, partition_key=None),
        "data_interval_start": start,
        "data_interval_end": end,
        "logical_date": start,
        "params": {},
    }


def execute(operator: Any, run_id: str, start: datetime, end: datetime) -> Any:
    """Execute an operator as Airflow does, without a database."""
    context = run_context(operator, run_id, start, end)
    operator.render_template_fields(context)
    return operator.execute(context)


@pytest.fixture(scope="session")
def world() -> World:
    """Two users with Tweets of the last 100 days, of which some are deleted."""
    return World.generate(
        seed=11, handles=2, tweets=60, end=NOW, start=NOW - timedelta(days=60), deleted=0.1, video=0.3
    )


@pytest.fixture(scope="session")
def pull(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pulled]]:
    """Pull two series of four weeks, the second of which overlaps the first, and two snapshots of totals."""
    author = next(iter(world.handles.values()))
    with Simulator(world, clock=Clock(NOW)) as simulator:
        app = world.app
        extra = {
            "api_key": app.consumer_key,
            "api_key_secret": app.consumer_secret,
            "access_token": author.access_token,
            "access_token_secret": author.access_token_secret,
        }
        connection = {"conn_type": "engagement", "host": simulator.base_url, "extra": extra}
        os.environ["AIRFLOW_CONN_ENGAGEMENT_REPORT"] = json.dumps(connection)

        def pulled(dataset_format: str = "parquet", granularity: str = "hour", time_zone: str = "UTC") -> Pulled:
            folder = tmp_path_factory.mktemp("dataset")
            common = {
                "tweets": world.tweets_of(author.user_id),
                "dataset_path": str(folder),
                "dataset_format": dataset_format,
                "engagement_conn_id": "engagement_report",
            }
            manifests = {}
            # Other tests of the same process need the present.
            with time_machine.travel(NOW, tick=True):
                for run_id, first, last in (("first", 56, 28), ("second", 30, 0)):
                    historical = EngagementHistoricalOperator(
                        task_id="series", metrics=METRICS, granularity=granularity, time_zone=time_zone, **common
                    )
                    midnight = TODAY.replace(tzinfo=ZoneInfo(time_zone))
                    start, end = (midnight - timedelta(days=days) for days in (first, last))
                    manifests[run_id] = execute(historical, run_id, start, end)
                for run_id, days in (("first", 1), ("second", 0)):
                    totals = EngagementTotalsOperator(task_id="totals", max_delay="unlimited", **common)
                    day = TODAY - timedelta(days=days)
                    manifests[f"totals-{run_id}"] = execute(totals, run_id, day, day)
            return Pulled(folder, world, world.tweets_of(author.user_id), manifests)

        yield pulled
        del os.environ["AIRFLOW_CONN_ENGAGEMENT_REPORT"]


@pytest.fixture(scope="session")
def hours(pull: Callable[..., Pulled]) -> Pulled:
    """A dataset of hours in Parquet files. Tests only read it."""
    return pull()
