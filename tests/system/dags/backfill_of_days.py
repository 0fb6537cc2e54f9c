"""A pull for each day, which a backfill runs for many days on one contract; each notes when it held a worker."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

FOLDER = Path(os.environ["ENGAGEMENT_SYSTEM_TEST_FOLDER"])


class NotedPullOperator(EngagementHistoricalOperator):
    """A pull that notes the beginning and the end of each of its stays on a worker, and in which process it was."""

    def execute(self, context: Any, event: Any = None) -> Any:
        """Pull."""
        task_instance = context["ti"]
        note = {
            "dag_id": task_instance.dag_id,
            "run_id": task_instance.run_id,
            "try_number": task_instance.try_number,
            "process": os.getpid(),
            "start": time.time(),
        }
        name = f"{note['process']}.{time.time_ns()}"
        write(FOLDER / "stays" / f"{name}.began", note)
        try:
            return super().execute(context, event)
        finally:
            write(FOLDER / "stays" / f"{name}.ended", {"end": time.time()})


def write(file: Path, content: dict[str, Any]) -> None:
    """Write a file at once, since the test may read it at any time."""
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
        NotedPullOperator(
            task_id="pull",
            tweet_ids_file=str(FOLDER / "tweet_ids.txt"),
            output_path=str(FOLDER / "dataset" / dag_id),
            pool="engagement",
            deferrable=deferrable,
            max_inline_wait=5,
            retries=2,
            retry_delay=1.0,
            # Each run asks for its own day alone, so that there is enough to ask for to go over the limit.
            share_backfills=False,
        )
