"""What Airflow's context says about the run of a task, read once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_engagement.operators.waiting import attempt_start
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.storage.paths import unique_name

if TYPE_CHECKING:
    from airflow.sdk import Context

SHARED_RUN_TYPES = ("backfill",)
"""Types of runs of which many start at once, for neighboring intervals of the same Tweets."""

RUN_TYPES_WITH_INTERVAL = ("scheduled", "backfill")
"""Types of runs that a timetable creates for an interval. A timetable lends other runs the interval of its last run."""


def run_of(context: Context) -> RunContext:
    """Return the run of a context."""
    dag_run, task_instance = context["dag_run"], context["ti"]
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    own_end = end if dag_run.run_type in RUN_TYPES_WITH_INTERVAL else None
    time: datetime = own_end or context.get("logical_date") or dag_run.run_after
    attempt = attempt_start(context)
    map_index = task_instance.map_index
    mapped = [map_index] if map_index is not None and map_index >= 0 else []
    return RunContext(
        run_id=context["run_id"],
        task=unique_name(task_instance.dag_id, task_instance.task_id, *mapped),
        # A pendulum time loses its zone in arithmetic after astimezone.
        time=datetime.fromtimestamp(time.timestamp(), UTC),
        # Airflow 3.2 has the partition key of a run on the run alone.
        partition_key=context.get("partition_key") or getattr(dag_run, "partition_key", None),
        data_interval=None if start is None or end is None else (start, end),
        is_shared=dag_run.run_type in SHARED_RUN_TYPES,
        attempt_start=attempt,
        start=min(attempt, getattr(dag_run, "start_date", None) or attempt),
    )
