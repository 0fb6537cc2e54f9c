"""The run of a task: which rows and files belong to it, and what a pull reads from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.intervals import interval_of_partition

MAX_TASK_LENGTH = 200
"""How much of a task's name is in the names of files. Most file systems allow 255 bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """The run of a task that a pull belongs to.

    Its DAG, task, map index and run id identify it. Its time does not: two runs can share a time.

    :param run_id: the id of the DAG run.
    :param task: a name that is unique among tasks and map indexes, and the same in every attempt.
    :param time: the time of the run, in UTC.
    :param accepted: the outcomes that do not fail the task.
    """

    run_id: str
    task: str
    time: datetime
    accepted: tuple[Outcome, ...] = ()

    @property
    def digest(self) -> str:
        """Identifies the run, the same in every attempt and after a clear."""
        return hashlib.sha256(f"{self.task}\0{self.run_id}".encode()).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """The name, without a suffix, of the files that belong to the run. No other run has the same."""
        return f"{self.task[:MAX_TASK_LENGTH]}.{self.digest}"

    @property
    def file_path(self) -> str:
        """The path of these files, without a suffix, below the folder of a table. A repeated run replaces them."""
        return f"run_date={self.time:%Y-%m-%d}/{self.file_name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """The run of a task, as the scheduler describes it.

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

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """The interval of the run: the hour, day or month of its partition key, else its data interval.

        :raises InvalidQueryError: if the run has neither.
        """
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

    def task_run(self, accepted: tuple[Outcome, ...] = ()) -> TaskRun:
        """Return the run that rows and files belong to.

        :param accepted: the outcomes that do not fail the task.
        """
        return TaskRun(run_id=self.run_id, task=self.task, time=self.time, accepted=accepted)
