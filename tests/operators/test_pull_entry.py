"""The XCom by which the page finds a pull."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.pull_entry import push_entry
from airflow_provider_engagement.pull.manifest import PULL_KEY, folder_of
from airflow_provider_engagement.simulator import Handle

MANIFEST = {
    "outputs": {"manifest": "s3://conn@bucket/data/_manifests/a.json"},
    "metrics": ["favorites"],
    "requested": 5,
}


def context_of(pushed: dict[str, Any]) -> Any:
    return {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}


def test_the_entry_names_the_dataset_and_is_the_same_for_each_run() -> None:
    pushed: dict[str, Any] = {}
    push_entry(MANIFEST, context_of(pushed))
    assert pushed == {PULL_KEY: {"dataset": "s3://conn@bucket/data", "metrics": ["favorites"]}}


def test_a_pull_without_a_dataset_has_an_entry_too() -> None:
    pushed: dict[str, Any] = {}
    push_entry({**MANIFEST, "outputs": {}}, context_of(pushed))
    assert pushed[PULL_KEY]["dataset"] is None


@pytest.mark.parametrize(("is_estimate", "keys"), [(False, [PULL_KEY]), (True, [])])
def test_a_pull_has_an_entry_and_an_estimate_has_none(
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    execute: Callable[..., Any],
    task_instance: Any,
    is_estimate: bool,
    keys: list[str],
) -> None:
    connect(author)
    pushed: dict[str, Any] = {}
    instance = task_instance(task_id="pull")
    instance.xcom_push = lambda key, value: pushed.update({key: value})
    execute(EngagementTotalsOperator(task_id="pull", tweets=ids[:3], estimate_only=is_estimate), ti=instance)
    assert list(pushed) == keys


def test_a_pull_does_not_fail_because_its_entry_cannot_be_pushed(caplog: pytest.LogCaptureFixture) -> None:
    def fail(key: str, value: object) -> None:
        raise OSError("no connection")

    context: Any = {"ti": SimpleNamespace(xcom_push=fail)}
    push_entry(MANIFEST, context)

    assert "will not list what this task did" in caplog.text


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/data/x/_manifests/a.json", "/data/x"),
        ("file:///data/_manifests/a.json", "file:///data"),
        ("s3://bucket/_manifests/a.json", "s3://bucket"),
        ("/data/x/a.json", None),
        ("/data/_manifests/../etc/a.json", None),
        (5, None),
    ],
)
def test_the_folder_of_a_dataset_is_that_above_its_manifests(path: object, folder: str | None) -> None:
    assert folder_of({"manifest": path}) == folder
