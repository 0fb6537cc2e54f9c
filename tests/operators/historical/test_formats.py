"""The rows of every format and run have the same types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.dataset
import pytest

from airflow_provider_engagement.simulator import World

from .conftest import METRICS, hourly_truth, utc, without_times


@pytest.mark.parametrize("dataset_format", ["csv", "jsonl"])
def test_every_format_has_the_same_rows_after_a_rerun(
    pull: Callable[..., Any], tmp_path: Path, dataset: Any, dataset_format: str
) -> None:
    from airflow_provider_engagement.tables.arrow import arrow_schema
    from airflow_provider_engagement.tables.dataset_format import DatasetFormat
    from airflow_provider_engagement.tables.formats import read_table
    from airflow_provider_engagement.tables.tables import TWEET_METRICS

    interval = utc(2026, 1, 9), utc(2026, 1, 11)
    pull(interval)
    for _ in range(2):
        pull(interval, dataset_format=dataset_format, to="other")
    found = []
    for path in (tmp_path / "other/tweet_metrics").rglob(f"*.{dataset_format}"):
        with path.open("rb") as file:
            found += read_table(file, arrow_schema(TWEET_METRICS), DatasetFormat(dataset_format)).to_pylist()
    assert without_times(found) == without_times(dataset.rows("tweet_metrics/hour"))


def test_pyarrow_reads_the_dataset_with_the_same_types_from_every_run(
    pull: Callable[..., Any], tmp_path: Path, dataset: Any, world: World, ids: list[str]
) -> None:
    pull((utc(2026, 1, 1), utc(2026, 1, 3)))
    pull((utc(2026, 1, 3), utc(2026, 1, 5)), metrics=["favorites"])
    arrow_dataset = pyarrow.dataset.dataset(tmp_path / "dataset/tweet_metrics/hour", partitioning="hive")
    schemas = {fragment.physical_schema for fragment in arrow_dataset.get_fragments()}
    assert len(schemas) == 1
    types = {field.name: str(field.type) for field in schemas.pop()}
    assert types["tweet_id"] == "string"
    assert types["period_start"] == "timestamp[ms, tz=UTC]"
    assert {types[metric] for metric in METRICS} == {"int64"}
    table = arrow_dataset.to_table(filter=pyarrow.dataset.field("partition_date") >= "2026-01-03")
    assert set(table["impressions"].to_pylist()) == {None}
    expected = hourly_truth(world, ids, utc(2026, 1, 3), utc(2026, 1, 5), metrics=["favorites"])
    keys = zip(table["tweet_id"].to_pylist(), table["period_start"].to_pylist(), strict=True)
    counts = ((count,) for count in table["favorites"].to_pylist())
    assert dict(zip(keys, counts, strict=True)) == expected
