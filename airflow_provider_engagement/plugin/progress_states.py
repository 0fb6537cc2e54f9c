"""How far pulls are that have not ended, from the state that Airflow keeps of tasks since 3.3."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import State
from sqlalchemy import select

from airflow_provider_engagement.pull.progress import PROGRESS_KEY, ProgressRecord

MAX_PULLS = 200
"""How many unfinished pulls are read at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedPull:
    """A pull that has not ended.

    :param dag_id: the DAG.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: the map index; -1 if the task is not mapped.
    :param state: the state of the task instance.
    :param record: the progress of the pull.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    record: ProgressRecord


def find_progress(dag_id: str, run_id: str, task_id: str, map_index: int) -> ProgressRecord | None:
    """Return the progress of the pull of a task instance; ``None`` if it has reported none, or on Airflow 3.2.

    :param dag_id: the DAG, which the user can read.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: the map index; -1 if the task is not mapped.
    """
    try:
        from airflow.state import TaskScope, get_state_backend
    except ImportError:
        return None
    scope = TaskScope(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
    return _record_of(get_state_backend().get(scope, PROGRESS_KEY))


def find_unfinished_pulls(dag_ids: Collection[str]) -> list[UnfinishedPull]:
    """Return the pulls that have not ended, from the one that began first. On Airflow 3.2, there are none.

    :param dag_ids: the DAGs that the user can read.
    """
    try:
        from airflow.models.task_state_store import TaskStateStoreModel as TaskState
    except ImportError:
        return []
    query = (
        select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state
        )
        .join(
            TaskState,
            (TaskState.dag_id == TaskInstance.dag_id)
            & (TaskState.run_id == TaskInstance.run_id)
            & (TaskState.task_id == TaskInstance.task_id)
            & (TaskState.map_index == TaskInstance.map_index),
        )
        .where(
            TaskState.key == PROGRESS_KEY,
            TaskInstance.dag_id.in_(dag_ids),
            TaskInstance.state.in_([state for state in State.unfinished if state is not None]),
        )
        .order_by(TaskInstance.start_date)
        .limit(MAX_PULLS)
    )
    with create_session() as session:
        rows = session.execute(query).all()
    found = []
    for dag_id, run_id, task_id, map_index, state in rows:
        record = find_progress(dag_id, run_id, task_id, map_index)
        if record is not None:
            found.append(
                UnfinishedPull(
                    dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, state=str(state), record=record
                )
            )
    return found


def _record_of(text: str | None) -> ProgressRecord | None:
    """Return the record of a stored text. Any task can store one, and workers can have a store of their own."""
    try:
        return ProgressRecord.from_dict(json.loads(text or ""))
    except ValueError:
        return None
