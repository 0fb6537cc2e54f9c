"""The manifests of pulls, from the XComs in Airflow's database.

A dataset is found only here: in the manifest of a task of a DAG that the user can read. A request cannot name a path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from airflow.models import dagrun
from airflow.models.backfill import Backfill
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, cast, func, select

from airflow_provider_engagement.report.pull_figures import is_manifest

MAX_MANIFESTS = 1_000
"""How many manifests are read at most, from the newest."""

RESULT = "return_value"


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundManifest:
    """The manifest of a task instance.

    :param dag_id: the DAG.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: the map index; -1 if the task is not mapped.
    :param time: when the task ended.
    :param content: the manifest.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    time: datetime
    content: Mapping[str, Any]

    @property
    def folder(self) -> str | None:
        """The path or URL of the dataset, if the pull wrote one."""
        path = self.content["outputs"].get("manifest")
        if not isinstance(path, str):
            return None
        scheme, separator, rest = path.partition("://")
        if not separator:
            return str(PurePosixPath(path).parent.parent)
        return f"{scheme}://{PurePosixPath(rest).parent.parent}"

    @property
    def dataset_id(self) -> str | None:
        """Identifies the dataset in URLs, without its path."""
        folder = self.folder
        return hashlib.sha256(folder.encode()).hexdigest()[:16] if folder else None


def find_manifests(
    dag_ids: Collection[str],
    *,
    run_id: str | None = None,
    task_id: str | None = None,
    map_index: int | None = None,
    since: datetime | None = None,
) -> list[FoundManifest]:
    """Return manifests, from the newest.

    :param dag_ids: the DAGs that the user can read.
    :param run_id: if set, only manifests of this run.
    :param task_id: if set, only manifests of this task.
    :param map_index: if set, only manifests of this map index.
    :param since: if set, only manifests that were written since then.
    """
    if not dag_ids:
        return []
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.timestamp)
    query = select(*columns, XComModel.value).where(
        XComModel.key == RESULT,
        XComModel.dag_id.in_(dag_ids),
        # Other tasks' XComs can be large, and are not read.
        cast(XComModel.value, Text).like("%schema_version%"),
        cast(XComModel.value, Text).like("%rate_limit%"),
    )
    for column, value in ((XComModel.run_id, run_id), (XComModel.task_id, task_id), (XComModel.map_index, map_index)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(XComModel.timestamp >= since)
    with create_session() as session:
        rows = session.execute(query.order_by(XComModel.timestamp.desc()).limit(MAX_MANIFESTS)).all()
    return [
        FoundManifest(dag_id=dag, run_id=run, task_id=task, map_index=index, time=time, content=content)
        for dag, run, task, index, time, value in rows
        for content in [_decoded(value)]
        if is_manifest(content)
    ]


def find_report(dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    """Return the path or URL of the report that a task instance wrote, if it is one of our operator's.

    :param dag_id: the DAG, which the user can read.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: the map index; -1 if the task is not mapped.
    """
    query = (
        select(XComModel.value)
        .join(
            TaskInstance,
            (TaskInstance.dag_id == XComModel.dag_id)
            & (TaskInstance.run_id == XComModel.run_id)
            & (TaskInstance.task_id == XComModel.task_id)
            & (TaskInstance.map_index == XComModel.map_index),
        )
        .where(
            XComModel.key == RESULT,
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.task_id == task_id,
            XComModel.map_index == map_index,
            TaskInstance.operator == "EngagementReportOperator",
        )
    )
    with create_session() as session:
        value = _decoded(session.scalar(query))
    return value if isinstance(value, str) else None


def state_of(dag_id: str, run_id: str, task_id: str, map_index: int) -> tuple[str | None, str | None] | None:
    """Return the state of a task instance and the name of its operator, or ``None`` if there is no such instance."""
    query = select(TaskInstance.state, TaskInstance.operator).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    with create_session() as session:
        row = session.execute(query).first()
    return None if row is None else (row[0], row[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBackfill:
    """A backfill that is not complete.

    :param dag_id: the DAG.
    :param number: the number of the backfill.
    :param created_at: when it was started.
    :param done: how many of its runs have ended.
    :param left: how many have not.
    """

    dag_id: str
    number: int
    created_at: datetime
    done: int
    left: int


def find_open_backfills(dag_ids: Collection[str]) -> list[OpenBackfill]:
    """Return the backfills of DAGs that are not complete.

    :param dag_ids: the DAGs that the user can read.
    """
    query = select(Backfill.id, Backfill.dag_id, Backfill.created_at).where(
        Backfill.dag_id.in_(dag_ids), Backfill.completed_at.is_(None)
    )
    found = []
    with create_session() as session:
        for number, dag_id, created_at in session.execute(query).all():
            runs = dagrun.DagRun
            states = select(runs.state, func.count()).where(runs.backfill_id == number).group_by(runs.state)
            numbers: dict[str, int] = {str(state): count for state, count in session.execute(states).all()}
            done = sum(count for state, count in numbers.items() if state in ("success", "failed"))
            left = sum(numbers.values()) - done
            found.append(OpenBackfill(dag_id=dag_id, number=number, created_at=created_at, done=done, left=left))
    return found


def _decoded(value: Any) -> Any:
    """Return the value of an XCom. A value that a worker has sent is text of JSON in the database."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
