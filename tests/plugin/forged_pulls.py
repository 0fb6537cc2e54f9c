"""Pulls that no operator of this package made: any task can push XComs that look like those of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from airflow_provider_engagement.plugin.manifests import dataset_id_of
from airflow_provider_engagement.pull.manifest import PULL_KEY

from .conftest import DAG_ID, Pulled

TASK_ID = "disguised"
"""A task of the DAG of the tests that is no pull."""


class Forger:
    """Pushes XComs as the task :data:`TASK_ID` of the DAG of the tests.

    :param pulled: what the DAG has pulled.
    """

    def __init__(self, pulled: Pulled) -> None:
        self.pulled = pulled
        self._genuine = json.loads(json.dumps(self._value("series", "return_value")))

    def manifest(self, folder: object, **changes: Any) -> dict[str, Any]:
        """Return the manifest of the genuine pull, as if it had written to another folder."""
        outputs = {
            name: f"{folder}{path.removeprefix(self.genuine_folder)}" for name, path in self._genuine["outputs"].items()
        }
        return {**self._genuine, "outputs": outputs, **changes}

    @property
    def genuine_folder(self) -> str:
        """The folder of the dataset, as the manifest names it."""
        return str(self._genuine["outputs"]["manifest"]).partition("/_manifests/")[0]

    def push(self, manifest: Any, folder: object = None) -> str:
        """Push a manifest and the entry of a pull, and return the path of the dataset's figures."""
        entry = {"dataset": None if folder is None else str(folder), "metrics": ["impressions"]}
        self.push_values(manifest, entry)
        return f"data/dags/{DAG_ID}/datasets/{dataset_id_of(str(folder))}"

    def push_values(self, result: Any, entry: Any) -> None:
        """Push any two values."""
        with create_session() as session:
            where = (XComModel.dag_id == DAG_ID, XComModel.task_id == TASK_ID)
            row = session.execute(
                select(XComModel.dag_run_id, XComModel.run_id).where(XComModel.dag_id == DAG_ID).limit(1)
            ).one()
            session.execute(delete(XComModel).where(*where))
            for key, value in (("return_value", result), (PULL_KEY, entry)):
                session.add(
                    XComModel(
                        dag_run_id=row.dag_run_id,
                        run_id=row.run_id,
                        dag_id=DAG_ID,
                        task_id=TASK_ID,
                        map_index=-1,
                        key=key,
                        value=json.dumps(value),
                    )
                )

    def withdraw(self) -> None:
        """Delete what was pushed."""
        with create_session() as session:
            session.execute(delete(XComModel).where(XComModel.dag_id == DAG_ID, XComModel.task_id == TASK_ID))

    def _value(self, task_id: str, key: str) -> Any:
        with create_session() as session:
            value = session.scalar(
                select(XComModel.value).where(
                    XComModel.dag_id == DAG_ID, XComModel.task_id == task_id, XComModel.key == key
                )
            )
        return json.loads(value) if isinstance(value, str) else value


def write_manifest(manifest: Mapping[str, Any]) -> None:
    """Write the file of a manifest into its dataset, as a pull does, so that the dataset confirms it."""
    path = Path(manifest["outputs"]["manifest"].removeprefix("file://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    outputs = {name: place for name, place in manifest["outputs"].items() if name != "manifest"}
    path.write_text(json.dumps({**manifest, "outputs": outputs}), encoding="utf-8")
