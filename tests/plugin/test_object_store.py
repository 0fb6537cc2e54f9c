"""The page reads datasets on an object store, as plain files and as Delta tables.

The tests need the environment of the cluster: the Amazon provider, SeaweedFS, and ``tests`` on the path of Python.
``.ci/run`` runs them there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from .conftest import DAG_ID, DAYS, METRICS, TODAY, Pulled, run_pulls

pytestmark = pytest.mark.system

WHY_SKIPPED = "needs the environment of the cluster: the Amazon provider and SeaweedFS"
object_store = pytest.importorskip("cluster.object_store", reason=WHY_SKIPPED, exc_type=ImportError)
programs = pytest.importorskip("cluster.programs", reason=WHY_SKIPPED, exc_type=ImportError)
pytest.importorskip("airflow.providers.amazon", reason=WHY_SKIPPED)

NAME = "object-store"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket, whose connection Airflow knows."""
    folder = tmp_path_factory.mktemp("store")
    store = object_store.ObjectStore(folder=folder)
    running = programs.Programs(logs=folder)
    running.start(NAME, store.program(os.environ))
    try:
        running.wait_for("the object store accepts requests", store.is_ready, seconds=60)
        store.create_bucket()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_PAGE_STORE", json.dumps(store.connection()))
            yield f"s3://page_store@{object_store.BUCKET}"
    finally:
        running.kill_all()


@pytest.fixture(scope="module", params=["parquet", "delta"])
def pulled(airflow_database: None, bucket: str, request: pytest.FixtureRequest) -> Pulled:
    """Pull into the bucket, instead of into a local folder."""
    return run_pulls(f"{bucket}/{request.param}", dataset_format=request.param)


def shown(pulled: Pulled) -> str:
    """Return the folder as the page shows it: without the connection, which could be a password."""
    return pulled.folder.replace("page_store@", "")


def test_the_series_on_an_object_store_is_that_of_the_world(login: Callable[[str], TestClient], pulled: Pulled) -> None:
    page = login("alice")
    (dataset,) = [each for each in page.get("data/datasets").json()["datasets"] if each["folder"] == shown(pulled)]
    path = f"data/dags/{DAG_ID}/datasets/{dataset['dataset']}"

    figure = page.get(f"{path}/series", params={"start": f"{TODAY - timedelta(days=DAYS):%Y-%m-%d}"}).json()

    assert len(figure["rows"]) == DAYS
    names = [column["name"] for column in figure["columns"]]
    for values in figure["rows"]:
        row: dict[str, Any] = dict(zip(names, values, strict=True))
        start = datetime.fromisoformat(row["period_start"])
        assert {metric: row[metric] for metric in METRICS} == {
            metric: pulled.count(metric, start, start + timedelta(days=1)) for metric in METRICS
        }
    for name in ("summary", "coverage", "tasks", "top", "rhythm", "outcomes", "gaps", "top_totals"):
        response = page.get(f"{path}/{name}")
        assert (name, response.status_code) == (name, 200)
        assert response.json()["rows"]


def test_the_tweets_the_report_and_the_rate_limit_are_read_from_the_object_store(
    login: Callable[[str], TestClient], pulled: Pulled
) -> None:
    page = login("alice")
    task = {"run_id": pulled.run_id, "task_id": "series"}

    tweets = page.get(f"data/dags/{DAG_ID}/pull/tweets", params=task).json()
    assert sorted(row[0] for row in tweets["rows"]) == sorted(pulled.tweet_ids)
    report = page.get("report", params={"dag_id": DAG_ID, "run_id": pulled.run_id, "task_id": "report"})
    assert "Counts over time" in report.text
    saved = page.get("data/rate_limit/saved").json()
    assert shown(pulled) in [row[0] for row in saved["rows"]]
    assert saved["notes"] == []
