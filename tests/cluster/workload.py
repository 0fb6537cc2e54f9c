"""What a cluster pulls: the totals and the last 28 hours of several owners, and a backfill, all into one dataset."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cluster.installation import Cluster
from cluster.object_store import BUCKET
from cluster.simulator import SimulatedApi
from cluster.truth import Truth

DAGS = Path(__file__).parent / "dags"
DATASET = "dataset"
"""The key of the dataset's folder."""


@dataclass(kw_only=True)
class Workload:
    """The runs of the DAGs in ``dags``.

    :param api: the simulator.
    :param dataset_format: the format of the dataset.
    :param days: the number of days of history. The last one is yesterday. It grows with each earlier day.
    :param active_runs: how many runs of the backfill are active at the same time.
    """

    api: SimulatedApi
    dataset_format: str
    days: int
    active_runs: int

    @property
    def runs(self) -> int:
        """The number of runs."""
        return self.days + 2

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that the DAG file reads."""
        owners = [
            {
                "engagement_conn_id": f"engagement_{owner.screen_name}",
                "tweets": f"s3://object_store@{BUCKET}/{_tweet_ids(owner.screen_name)}",
            }
            for owner in self.api.world.handles.values()
        ]
        return {
            "CLUSTER_OWNERS": json.dumps(owners),
            "CLUSTER_DATASET_PATH": f"s3://object_store@{BUCKET}/{DATASET}",
            "CLUSTER_FORMAT": self.dataset_format,
        }

    def start(self, cluster: Cluster) -> None:
        """Start all runs on a running cluster."""
        world = self.api.world
        for owner in world.handles.values():
            tweet_ids = "\n".join(world.tweets_of(owner.user_id))
            cluster.object_store.write(_tweet_ids(owner.screen_name), tweet_ids.encode())
        cluster.programs.wait_for(
            "the DAGs are parsed",
            lambda: cluster.airflow.has_dags("owners_totals", "owners_live", "owners_history"),
            seconds=120,
        )
        last_day = self._first_day + timedelta(days=self.days - 1)
        cluster.airflow.backfill("owners_history", self._first_day, last_day, max_active_runs=self.active_runs)
        for dag_id in ("owners_totals", "owners_live"):
            cluster.airflow.trigger(dag_id)

    def start_earlier_day(self, cluster: Cluster) -> None:
        """Start a run for the day before the history."""
        cluster.airflow.trigger("owners_history", (self._first_day - timedelta(days=1), self._first_day))
        self.days += 1

    def wait(self, cluster: Cluster, *, seconds: float) -> list[dict[str, Any]]:
        """Wait until all runs are over, and return them."""
        return cluster.wait_for_runs(self.runs, seconds=seconds)

    def truth(self) -> Truth:
        """Return what the dataset must contain when the runs are over."""
        return Truth(world=self.api.world, now=self.api.now, first_day=self._first_day, days=self.days)

    @property
    def _first_day(self) -> datetime:
        return self.api.now.replace(hour=0) - timedelta(days=self.days)


def _tweet_ids(screen_name: str) -> str:
    return f"tweet_ids/{screen_name}.txt"
