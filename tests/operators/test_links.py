"""The links that Airflow shows on a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from airflow.sdk import DAG, BaseOperatorLink

from airflow_provider_engagement.get_provider_info import get_provider_info
from airflow_provider_engagement.operators import links, report
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.links import BestTweetLink, DatasetLink, ManifestLink, storage_link
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.simulator import Handle

KEY: Any = None
"""The key of the task instance. No link needs it, because none looks anything up."""


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/data/my brand", "file:///data/my%20brand"),
        ("file:///data/brand", "file:///data/brand"),
        ("s3://warehouse/owned", "https://console.aws.amazon.com/s3/buckets/warehouse?prefix=owned"),
        ("s3://aws_default@warehouse/a/b c", "https://console.aws.amazon.com/s3/buckets/warehouse?prefix=a/b%20c"),
        ("gs://warehouse/owned", "https://console.cloud.google.com/storage/browser/warehouse/owned"),
        ("sftp://user:secret@host/owned", "sftp://host/owned"),
        ("abfs://container/owned", "abfs://container/owned"),
        (None, ""),
        ("", ""),
    ],
)
def test_a_path_has_a_url_without_user_information(path: str | None, link: str) -> None:
    assert storage_link(path) == link


@pytest.mark.parametrize("link", [BestTweetLink(), DatasetLink(), ManifestLink()], ids=lambda link: link.name)
def test_a_link_is_empty_if_the_task_knows_no_target(link: BaseOperatorLink) -> None:
    assert link.get_link(SimpleNamespace(), ti_key=KEY) == ""  # type: ignore[arg-type]


def test_the_links_lead_to_what_the_operator_wrote() -> None:
    operator: Any = SimpleNamespace(
        dataset_path="/data", manifest_path="/data/_manifests/a.json", best_tweet="https://t"
    )
    found = [link.get_link(operator, ti_key=KEY) for link in (BestTweetLink(), DatasetLink(), ManifestLink())]
    assert found == ["https://t", "file:///data", "file:///data/_manifests/a.json"]


def test_airflow_finds_each_link_by_its_class() -> None:
    own = {
        f"{module.__name__}.{name}"
        for module in (links, report)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseOperatorLink) and value.__module__ == module.__name__
    }
    assert set(get_provider_info()["extra-links"]) == own


def test_a_serialized_task_keeps_its_links() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("links", schedule=None) as dag:
        EngagementTopTweetsOperator(task_id="top", dataset_path="/data")
        EngagementTotalsOperator(task_id="pull", tweets=["20"], dataset_path="/data")
    restored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert set(restored.get_task("top").extra_links) == {"Best Tweet", "Dataset"}
    assert set(restored.get_task("pull").extra_links) == {"Dataset", "Manifest"}


def test_the_links_of_a_pull_lead_to_its_dataset_and_its_manifest(
    execute: Callable[..., Any], connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    pull = EngagementTotalsOperator(task_id="pull", tweets=ids[-1:], dataset_path="{{ params.path }}")
    manifest = execute(pull, params={"path": str(tmp_path)})

    assert DatasetLink().get_link(pull, ti_key=KEY) == f"file://{tmp_path}"
    assert unquote(ManifestLink().get_link(pull, ti_key=KEY)) == f"file://{manifest['outputs']['manifest']}"


def test_a_link_never_shows_a_secret_in_a_path() -> None:
    assert "canary" not in storage_link("s3://key:canary/+@bucket/folder")
