"""A pull of each day, for backfills of many days with one quota. Each pull records when it occupies a worker."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Freshness, Limits

FOLDER = Path(os.environ["ENGAGEMENT_SYSTEM_TEST_FOLDER"])


class RecordedPullOperator(EngagementHistoricalOperator):
    """A pull that records the start, the end and the process of each of its executions on a worker."""

    def execute(self, context: Any, event: Any = None) -> Any:
        """Record the execution, and pull."""
        task_instance = context["ti"]
        record = {
            "dag_id": task_instance.dag_id,
            "run_id": task_instance.run_id,
            "try_number": task_instance.try_number,
            "process": os.getpid(),
            "start": time.time(),
        }
        name = f"{record['process']}.{time.time_ns()}"
        write(FOLDER / "occupations" / f"{name}.started", record)
        try:
            return super().execute(context, event)
        finally:
            write(FOLDER / "occupations" / f"{name}.ended", {"end": time.time()})


def write(file: Path, content: dict[str, Any]) -> None:
    """Write a file atomically, because the test can read it at any time."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    unfinished.replace(file)


for dag_id, deferrable in (("deferring", True), ("rescheduling", False), ("interrupted", True)):
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=20,
    ):
        RecordedPullOperator(
            task_id="pull",
            tweets=str(FOLDER / "tweet_ids.txt"),
            dataset_path=str(FOLDER / "dataset" / dag_id),
            pool="engagement",
            deferrable=deferrable,
            limits=Limits(wait_on_worker=timedelta(seconds=5)),
            retries=2,
            retry_delay=1.0,
            freshness=Freshness(share_backfill_requests=False),
        )
