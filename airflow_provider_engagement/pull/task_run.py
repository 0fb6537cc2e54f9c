"""The run of a task: which rows and files belong to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_engagement.engagement_api.response import Outcome

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
