"""What tasks write and return holds no secret of the connection of their storage."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.report import EngagementReportOperator
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.simulator import Handle

Execute = Callable[..., Any]

CONNECTIONS: dict[str, dict[str, Any]] = {
    "s3": {"conn_type": "aws", "login": "canaryLogin", "password": "canaryPassword"},
    "gs": {
        "conn_type": "google_cloud_platform",
        "extra": {"keyfile_dict": {"private_key": "canaryKey", "client_email": "loader@example.com"}},
    },
    "abfs": {
        "conn_type": "wasb",
        "password": "canaryPassword",
        "extra": {"connection_string": "AccountName=account;AccountKey=canaryAccountKey", "sas_token": "sig=canarySig"},
    },
}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return the URL of a folder in a storage that needs a connection. Its files are in memory."""

    def opened(conn_id: str | None, options: dict[str, Any]) -> MemoryFileSystem:
        # The file systems of Airflow's providers keep the secrets of the connection in the same way.
        from airflow.sdk import BaseHook

        return MemoryFileSystem(secret=BaseHook.get_connection(str(conn_id)).get_uri(), skip_instance_cache=True)

    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    monkeypatch.setattr("airflow.sdk.io.fs._register_filesystems", lambda: dict.fromkeys(CONNECTIONS, opened))

    def folder(scheme: str) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_STORAGE", json.dumps(CONNECTIONS[scheme]))
        return f"{scheme}://storage@bucket/{scheme}"

    return folder


@pytest.mark.parametrize("scheme", CONNECTIONS)
def test_no_secret_of_a_storage_is_in_what_a_pull_a_ranking_and_a_report_write_return_and_log(
    scheme: str,
    store: Callable[[str], str],
    execute: Execute,
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect(author)
    path = store(scheme)
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for operator in (
            EngagementTotalsOperator(task_id="pull", tweets=ids[-3:], dataset_path=path),
            EngagementTopTweetsOperator(task_id="top", dataset_path=path, csv_path=f"{path}/top.csv"),
            EngagementReportOperator(task_id="report", dataset_path=path),
        ):
            shown += [repr(execute(operator)), repr(operator), repr(vars(operator))]
            if hasattr(operator, "get_openlineage_facets_on_complete"):
                shown.append(repr(operator.get_openlineage_facets_on_complete(task_instance=None)))

    files = {name: bytes(file.getvalue()) for name, file in MemoryFileSystem.store.items()}
    for kind in ("_manifests", "_responses", "_rate_limit", "tweet_totals", ".html", "top.csv"):
        assert any(kind in name for name in files), kind
    shown += [*files, *(content.decode("latin-1") for content in files.values())]
    shown += [repr(vars(record)) for record in caplog.records]
    assert not [text for text in shown if "canary" in text]
