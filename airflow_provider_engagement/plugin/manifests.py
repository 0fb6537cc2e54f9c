"""The pulls, datasets and reports that tasks wrote, from the XComs in Airflow's database.

A pull is found by an XCom of its own key, which is indexed. What other tasks have returned is not read. A dataset is
found only here: in the manifest of a task of a DAG that the user can read. A request cannot name a path.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models import dagrun
from airflow.models.backfill import Backfill
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import aliased

from airflow_provider_engagement.pull.manifest import PULL_KEY, REPORT_KEY, folder_of
from airflow_provider_engagement.report.pull_figures import is_manifest

MAX_MANIFESTS = 5_000
"""How many manifests are read at most, from the newest."""

LONGEST_LIST = 100
"""How long a list in a manifest is at most. A pull without a dataset has its rows there, which nobody needs here."""

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
        return folder_of(self.content["outputs"])

    @property
    def dataset_id(self) -> str | None:
        """Identifies the dataset in URLs, without its path."""
        return self.folder and dataset_id_of(self.folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundDataset:
    """A dataset that tasks of a DAG wrote.

    :param dag_id: the DAG.
    :param folder: the path or URL.
    :param task_ids: the tasks.
    :param metrics: the metrics that they requested.
    :param pulls: the number of pulls.
    :param time: when the last of them ended.
    """

    dag_id: str
    folder: str
    task_ids: Collection[str]
    metrics: Collection[str]
    pulls: int
    time: datetime


def dataset_id_of(folder: str) -> str:
    """Return what identifies a dataset in URLs, without its path.

    :param folder: the path or URL of the dataset.
    """
    return hashlib.sha256(folder.encode(errors="replace")).hexdigest()[:16]


def find_datasets(dag_ids: Collection[str], *, of_each_dag: int | None = None) -> tuple[list[FoundDataset], int]:
    """Return the datasets that tasks of DAGs wrote, from the one that was written last, and how many are left out.

    :param dag_ids: the DAGs that the user can read.
    :param of_each_dag: how many datasets of one DAG to return at most. So no DAG hides those of others.
    """
    last = func.max(XComModel.timestamp).label("last")
    group = (XComModel.dag_id, XComModel.task_id, XComModel.value)
    query = (
        select(*group, func.count(), last)
        .where(XComModel.key == PULL_KEY, XComModel.dag_id.in_(dag_ids))
        .group_by(*group)
        .order_by(last.desc())
        .execution_options(yield_per=1_000)
    )
    found: dict[tuple[str, str], FoundDataset] = {}
    numbers: Counter[str] = Counter()
    left_out: set[tuple[str, str]] = set()
    with create_session() as session:
        for dag_id, task_id, value, pulls, time in session.execute(query):
            folder, metrics = _entry_of(value)
            if folder is None:
                continue
            # The first one is the newest.
            known = found.get((dag_id, folder))
            if known is None and of_each_dag is not None and numbers[dag_id] >= of_each_dag:
                left_out.add((dag_id, dataset_id_of(folder)))
                continue
            numbers[dag_id] += known is None
            found[dag_id, folder] = FoundDataset(
                dag_id=dag_id,
                folder=folder,
                task_ids=sorted({*(known.task_ids if known else ()), task_id}),
                metrics=list(dict.fromkeys([*(known.metrics if known else ()), *metrics])),
                pulls=(known.pulls if known else 0) + pulls,
                time=known.time if known else time,
            )
    return list(found.values()), len(left_out)


def find_manifests(
    dag_ids: Collection[str],
    *,
    run_id: str | None = None,
    task_id: str | None = None,
    map_index: int | None = None,
    since: datetime | None = None,
    folder: str | None = None,
    limit: int = MAX_MANIFESTS,
) -> list[FoundManifest]:
    """Return manifests, from the newest.

    :param dag_ids: the DAGs that the user can read.
    :param run_id: if set, only manifests of this run.
    :param task_id: if set, only manifests of this task.
    :param map_index: if set, only manifests of this map index.
    :param since: if set, only manifests that were written since then.
    :param folder: if set, only manifests of pulls that wrote to the dataset in this folder.
    :param limit: how many manifests to read at most.
    """
    if not dag_ids:
        return []
    entry, result = aliased(XComModel), aliased(XComModel)
    columns = (entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.timestamp)
    query = (
        select(*columns, result.value)
        .join(
            result,
            (result.dag_run_id == entry.dag_run_id)
            & (result.task_id == entry.task_id)
            & (result.map_index == entry.map_index)
            & (result.key == RESULT),
        )
        .where(entry.key == PULL_KEY, entry.dag_id.in_(dag_ids))
    )
    for column, value in ((entry.run_id, run_id), (entry.task_id, task_id), (entry.map_index, map_index)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(entry.timestamp >= since)
    found = []
    with create_session() as session:
        if folder is not None:
            text = cast(XComModel.value, Text)
            own = select(text).where(XComModel.key == PULL_KEY, XComModel.dag_id.in_(dag_ids)).distinct()
            texts = [found for found in session.scalars(own) if _entry_of(_decoded(found))[0] == folder]
            query = query.where(cast(entry.value, Text).in_(texts))
        rows = session.execute(query.order_by(entry.timestamp.desc()).limit(limit).execution_options(yield_per=100))
        for dag, run, task, index, time, value in rows:
            content = _decoded(value)
            if is_manifest(content):
                found.append(
                    FoundManifest(
                        dag_id=dag, run_id=run, task_id=task, map_index=index, time=time, content=_without_rows(content)
                    )
                )
    return found


def find_report(dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    """Return the path or URL of the report that a task instance wrote, if it wrote one.

    :param dag_id: the DAG, which the user can read.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: the map index; -1 if the task is not mapped.
    """
    query = select(XComModel.value).where(
        XComModel.key == REPORT_KEY,
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == task_id,
        XComModel.map_index == map_index,
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
        except (ValueError, RecursionError):
            return value
    return value


def _entry_of(value: Any) -> tuple[str | None, list[str]]:
    """Return the folder and the metrics that the XCom of a pull names. Any task can push one."""
    entry = _decoded(value)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("dataset"), str):
        return None, []
    metrics = entry.get("metrics")
    return entry["dataset"], [name for name in metrics if isinstance(name, str)] if isinstance(metrics, list) else []


def _without_rows(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if not isinstance(value, list) or len(value) < LONGEST_LIST}
