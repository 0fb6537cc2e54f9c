"""What Airflow's context says about the run of a task, read once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.operators.waiting import attempt_start

if TYPE_CHECKING:
    from airflow.sdk import Context

SHARED_RUN_TYPES = ("backfill",)
"""Types of runs of which many start at once, for neighboring intervals of the same Tweets."""

RUN_TYPES_WITH_INTERVAL = ("scheduled", "backfill")
"""Types of runs that a timetable creates for an interval. A timetable lends other runs the interval of its last run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """The run of a task.

    :param run_id: the id of the DAG run.
    :param task: a name that is unique among tasks and map indexes, and the same in every attempt.
    :param time: the time of the run in UTC, the same in every attempt and after a clear. For a run that a timetable
        creates, it is the end of the data interval. For any other run, it is the logical date or, without one, the time
        from which the run could start.
    :param partition_key: the partition key of the run, if it has one.
    :param data_interval: start and end of the data interval, if the run has one.
    :param is_shared: whether the run is one of many with neighboring intervals, as in a backfill.
    :param attempt_start: when this attempt started, before any of its waits.
    :param start: when the run started, or started again after a clear.
    """

    run_id: str
    task: str
    time: datetime
    partition_key: str | None
    data_interval: tuple[datetime, datetime] | None
    is_shared: bool
    attempt_start: datetime
    start: datetime

    @classmethod
    def of(cls, context: Context) -> Self:
        """Return the run of a context."""
        from airflow_provider_engagement.storage.paths import unique_name

        dag_run, task_instance = context["dag_run"], context["ti"]
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        own_end = end if dag_run.run_type in RUN_TYPES_WITH_INTERVAL else None
        time: datetime = own_end or context.get("logical_date") or dag_run.run_after
        attempt = attempt_start(context)
        map_index = task_instance.map_index
        mapped = [map_index] if map_index is not None and map_index >= 0 else []
        return cls(
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

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """The interval of the run: the hour, day or month of its partition key, else its data interval.

        :raises InvalidQueryError: if the run has neither.
        """
        from airflow_provider_engagement.inputs.intervals import interval_of_partition

        if self.partition_key:
            partition = interval_of_partition(self.partition_key)
            return partition.start, partition.end
        if self.data_interval is None:
            raise InvalidQueryError(
                "start",
                "the run has no data interval and no partition key",
                "Set start and end, or schedule the DAG by data interval or by partition.",
            )
        return self.data_interval
