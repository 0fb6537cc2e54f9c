"""Pulls into Delta tables: the rows are those of files, and the manifest names the version of each table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars
import pyarrow.dataset
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.simulator import Fault, Simulator, World

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
THURSDAY = datetime(2026, 1, 8, tzinfo=UTC)


@pytest.fixture
def world(series_world: World) -> World:
    return series_world


@pytest.fixture
def simulator(series_simulator: Simulator) -> Simulator:
    return series_simulator


@pytest.fixture
def pull(pull_series: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Pull the author's Tweets in a format, into the dataset of that name."""

    def pulled(
        dataset_format: str, operator: type = EngagementHistoricalOperator, *, to: str | None = None, **parameters: Any
    ) -> Any:
        run = {
            "data_interval_start": MONDAY,
            "data_interval_end": THURSDAY,
            "dag_run": SimpleNamespace(run_after=THURSDAY, run_type="scheduled", partition_key=None),
        }
        path = str(tmp_path / (to or dataset_format))
        return pull_series(
            operator, run, task_id="pull", dataset_path=path, dataset_format=dataset_format, **parameters
        )

    return pulled


def rows_in_files(folder: Path) -> list[dict[str, Any]]:
    return pyarrow.dataset.dataset(folder, format="parquet").to_table().to_pylist()


def rows_in_delta(folder: Path) -> list[dict[str, Any]]:
    return polars.read_delta(str(folder)).to_dicts()


@pytest.mark.parametrize("granularity", ["hour", "day", "total"])
def test_a_delta_table_has_the_rows_of_files(pull: Callable[..., Any], tmp_path: Path, granularity: str) -> None:
    options = {"granularity": granularity, "metrics": ["impressions", "favorites", "video_views"]}
    pull("parquet", **options)
    manifest = pull("delta", **options)
    table = f"tweet_metrics/{granularity}"
    rows = rows_in_delta(tmp_path / "delta" / table)
    assert len(rows) == manifest["rows"]["tweet_metrics"] > 0
    key = [(str(row["tweet_id"]), row["period_start"]) for row in rows]
    assert len(set(key)) == len(key)
    expected = {
        (row["tweet_id"], row["period_start"]): (row["impressions"], row["favorites"], row["video_views"])
        for row in rows_in_files(tmp_path / "parquet" / table)
    }
    assert {
        (row["tweet_id"], row["period_start"]): (row["impressions"], row["favorites"], row["video_views"])
        for row in rows
    } == expected
    assert manifest["versions"] == {table: 1}
    assert manifest["outputs"][table] == str(tmp_path / "delta" / table)


def test_a_rerun_of_a_pull_commits_no_new_version(pull: Callable[..., Any]) -> None:
    assert pull("delta")["versions"] == {"tweet_metrics/hour": 1}
    assert pull("delta")["versions"] == {"tweet_metrics/hour": 1}


def test_totals_are_merged_into_one_delta_table(pull: Callable[..., Any], tmp_path: Path) -> None:
    options = {"metrics": ["favorites"], "max_delay": "unlimited"}
    pull("parquet", EngagementTotalsOperator, **options)
    manifest = pull("delta", EngagementTotalsOperator, **options)
    again = pull("delta", EngagementTotalsOperator, **options)
    assert manifest["versions"] == again["versions"] == {"tweet_totals": 1}
    expected = {(row["tweet_id"], row["favorites"]) for row in rows_in_files(tmp_path / "parquet" / "tweet_totals")}
    found = [(row["tweet_id"], row["favorites"]) for row in rows_in_delta(tmp_path / "delta" / "tweet_totals")]
    assert set(found) == expected
    assert len(found) == len(expected) == manifest["rows"]["tweet_totals"]


def test_tables_that_only_one_run_writes_are_parquet_files(pull: Callable[..., Any], tmp_path: Path) -> None:
    manifest = pull("delta", extra_tables=["restatements"])
    for name in ("tweet_status", "coverage", "restatements"):
        assert manifest["outputs"][name].endswith(".parquet")
    assert not list((tmp_path / "delta").rglob("_staged"))


def test_an_incomplete_pull_leaves_the_delta_table_as_it_is(
    pull: Callable[..., Any], tmp_path: Path, simulator: Simulator
) -> None:
    simulator.faults.add(Fault(status=404))
    with pytest.raises(AirflowFailException):
        pull("delta")
    assert not (tmp_path / "delta" / "tweet_metrics").exists()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("parquet", "delta", "not those of a Delta table"), ("delta", "csv", "it is a Delta table")],
)
@pytest.mark.parametrize(
    ("operator", "options"),
    [(EngagementHistoricalOperator, {}), (EngagementTotalsOperator, {"max_delay": "unlimited"})],
)
def test_a_table_keeps_its_format(
    pull: Callable[..., Any], operator: type, options: dict[str, Any], first: str, second: str, expected: str
) -> None:
    pull(first, operator, to="dataset", **options)
    with pytest.raises(AirflowFailException, match=expected):
        pull(second, operator, to="dataset", **options)


def test_a_worker_without_the_package_deltalake_sends_no_request(
    pull: Callable[..., Any], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "airflow_provider_engagement.pull.run.find_spec",
        lambda name: None if name == "deltalake" else find_spec(name),
    )
    with pytest.raises(AirflowFailException, match=r"pip install 'airflow-provider-engagement\[delta\]'"):
        pull("delta")
    assert len(simulator.journal) == 0


def test_rows_without_a_dataset_path_need_no_delta_table(pull_series: Callable[..., Any], ids: list[str]) -> None:
    run = {"data_interval_start": MONDAY, "data_interval_end": THURSDAY}
    manifest = pull_series(
        EngagementHistoricalOperator,
        run,
        task_id="pull",
        tweets=ids[:1],
        dataset_path=None,
        dataset_format="delta",
        granularity="total",
    )
    assert manifest["versions"] == {}
    assert len(manifest["tweet_metrics"]) <= 1
