"""What tasks report to OpenLineage, with and without its provider."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.assets.engagement import create_asset
from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.lineage import load_lineage, pull_lineage, storage_name, table_data
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.simulator import Handle, Simulator
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

Execute = Callable[..., Any]


def complete(operator: Any) -> Any:
    """Return what the provider of OpenLineage extracts from a task that has ended."""
    base = pytest.importorskip("airflow.providers.openlineage.extractors.base")
    return base.DefaultExtractor(operator).extract_on_complete(task_instance=None)


def names(data_sets: list[Any]) -> list[tuple[str, str]]:
    return [(data.namespace, data.name) for data in data_sets]


def rows(data_set: Any) -> int:
    return int(data_set.outputFacets["outputStatistics"].rowCount)


def test_a_pull_reads_an_endpoint_and_writes_tables(
    execute: Execute, connect: Callable[..., str], simulator: Simulator, author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    pull = EngagementTotalsOperator(task_id="pull", tweets=ids[-3:], dataset_path=str(tmp_path))
    execute(pull)
    lineage = complete(pull)

    assert names(lineage.inputs) == [(simulator.base_url, "insights/engagement/totals")]
    assert sorted(names(lineage.outputs)) == [
        ("file", f"{tmp_path}/tweet_status"),
        ("file", f"{tmp_path}/tweet_totals"),
    ]
    totals = next(data for data in lineage.outputs if data.name.endswith("tweet_totals"))
    assert rows(totals) == 3
    columns = {field.name: field.type for field in totals.facets["schema"].fields}
    assert (columns["tweet_id"], columns["impressions"]) == ("string", "int64")


def test_a_pull_without_a_dataset_writes_nothing(
    execute: Execute, connect: Callable[..., str], author: Handle, ids: list[str]
) -> None:
    connect(author)
    pull = EngagementTotalsOperator(task_id="pull", tweets=ids[-1:])
    execute(pull)

    assert (len(complete(pull).inputs), complete(pull).outputs) == (1, [])


def test_a_task_that_failed_before_it_knew_its_data_reports_nothing() -> None:
    for operator in (
        EngagementHistoricalOperator(task_id="pull", tweets=["20"]),
        EngagementTopTweetsOperator(task_id="top", dataset_path="/data"),
        EngagementToWarehouseOperator(task_id="load", dataset_path="/data"),
    ):
        assert (complete(operator).inputs, complete(operator).outputs) == ([], [])


def test_a_ranking_reads_a_table_and_writes_files(
    execute: Execute, connect: Callable[..., str], author: Handle, ids: list[str], tmp_path: Path
) -> None:
    connect(author)
    execute(EngagementTotalsOperator(task_id="pull", tweets=ids[-3:], dataset_path=str(tmp_path)))
    top = EngagementTopTweetsOperator(task_id="top", dataset_path=str(tmp_path), csv_path=f"{tmp_path}/top.csv")
    execute(top)
    lineage = complete(top)

    assert names(lineage.inputs) == [("file", f"{tmp_path}/tweet_totals")]
    assert names(lineage.outputs) == [("file", f"{tmp_path}/top.csv")]


def test_a_load_reads_the_tables_and_writes_those_of_the_database(tmp_path: Path) -> None:
    load = EngagementToWarehouseOperator(
        task_id="load", dataset_path="s3://bucket/brand", database=str(tmp_path / "x.duckdb"), schema="marketing"
    )
    load.loaded_rows = {"tweet_totals": 7}
    lineage = complete(load)

    assert names(lineage.inputs) == [("s3://bucket", "brand/tweet_totals")]
    assert names(lineage.outputs) == [(f"duckdb:{tmp_path}/x.duckdb", "marketing.tweet_totals")]
    assert rows(lineage.outputs[0]) == 7


def test_the_address_of_a_database_contains_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://user:secret@db.example:5433/analytics")
    load = EngagementToWarehouseOperator(
        task_id="load", dataset_path="/data", destination="postgres", warehouse_conn_id="warehouse"
    )
    load.loaded_rows = {"coverage": 1}

    assert names(complete(load).outputs) == [("postgres://db.example:5433", "analytics.engagement.coverage")]


def test_the_names_are_those_of_the_assets() -> None:
    pytest.importorskip("airflow.providers.openlineage")
    from airflow_provider_engagement.assets.engagement import convert_asset_to_openlineage

    asset = create_asset(dataset_path="s3://bucket/brand", table="tweet_metrics", granularity="day")
    lineage = pull_lineage(
        "https://api", "historical", dataset_path="s3://bucket/brand", granularity="day", rows={"tweet_metrics": 2}
    )
    converted = convert_asset_to_openlineage(asset, None)

    assert [(data.namespace, data.name) for data in lineage.outputs] == [(converted.namespace, converted.name)]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("s3://aws:secret@bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("file:///data/top.csv", ("file", "/data/top.csv")),
        ("top.csv", ("file", str(Path("top.csv").absolute()))),
    ],
)
def test_a_path_is_named_by_its_storage(path: str, name: tuple[str, str]) -> None:
    assert storage_name(path) == name


def test_a_relative_dataset_is_named_by_its_absolute_path() -> None:
    data = table_data("data", "tweet_metrics", "hour")

    assert (data.namespace, data.name) == ("file", str(Path("data/tweet_metrics/hour").absolute()))
    assert load_lineage("data", {}, namespace="x", database=None, schema="y").outputs == ()


def test_a_pull_needs_no_provider_of_openlineage(
    execute: Execute,
    connect: Callable[..., str],
    author: Handle,
    ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without_openlineage(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith(("airflow.providers.openlineage", "openlineage")):
            raise ImportError(name)
        return real_import(name, *args, **options)

    for name in [name for name in sys.modules if name.startswith(("airflow.providers.openlineage", "openlineage"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_openlineage)
    connect(author)
    pull = EngagementTotalsOperator(task_id="pull", tweets=ids[-1:], dataset_path=str(tmp_path))

    assert execute(pull)["requested"] == 1
    with pytest.raises(ImportError):
        pull.get_openlineage_facets_on_complete(task_instance=None)


def test_the_lineage_of_a_failed_task_never_shows_a_secret_in_a_path() -> None:
    found = table_data("s3://key:canary/+@bucket/folder", "tweet_totals")
    assert "canary" not in f"{found.namespace} {found.name}"
