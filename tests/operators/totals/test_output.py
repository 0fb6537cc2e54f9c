"""What a pull of totals writes, returns and logs."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.simulator import Simulator

from .conftest import OWNED, Execute, Pull, counted, files, table, truths


def test_groupings_are_summed_over_all_requests(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    report = execute(
        pull(
            metrics=["favorites", "replies"],
            groupings={"grand": ["engagement.type"], "turned": {"group_by": ["engagement.type", "tweet.id"]}},
        )
    )
    written = json.loads(Path(report["outputs"]["groupings"]).read_text())
    expected = truths(simulator, mine, ("favorites", "replies"))
    assert written["grand"] == {
        metric: sum(counts[metric] or 0 for counts in expected.values()) for metric in ("favorites", "replies")
    }
    assert written["turned"] == {
        metric: {tweet_id: counts[metric] for tweet_id, counts in expected.items()}
        for metric in ("favorites", "replies")
    }
    assert "groupings" not in report


def test_without_dataset_path_the_rows_are_returned(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str]
) -> None:
    some = mine[-260:]
    report = execute(pull(tweets=some, dataset_path=None, groupings={"grand": ["engagement.type"]}))
    assert counted(report["tweet_totals"], OWNED) == truths(simulator, some, OWNED)
    assert len(report["tweet_status"]) == 260
    assert set(report["groupings"]["grand"]) == set(OWNED)
    assert report["outputs"] == {}
    assert json.loads(json.dumps(report)) == report


def test_too_many_rows_for_xcom_are_an_error_before_any_request(
    pull: Pull, execute: Execute, simulator: Simulator
) -> None:
    ids = [str(2 * 10**18 + number) for number in range(1001)]
    with pytest.raises(AirflowFailException, match=r"dataset_path.*1001"):
        execute(pull(tweets=ids, dataset_path=None))
    assert len(simulator.journal) == 0


def test_every_format_has_the_same_rows(
    pull: Pull, execute: Execute, simulator: Simulator, mine: list[str], tmp_path: Path
) -> None:
    reports = {
        name: execute(pull(dataset_format=name, dataset_path=f"{tmp_path}/{name}"))
        for name in ("parquet", "csv", "jsonl")
    }
    expected = truths(simulator, mine, OWNED)
    with open(reports["csv"]["outputs"]["tweet_totals"], newline="") as file:
        from_csv = [
            {name: (int(value) if value else None) if name in OWNED else value for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
    lines = Path(reports["jsonl"]["outputs"]["tweet_totals"]).read_text().splitlines()
    assert counted(from_csv, OWNED) == counted([json.loads(line) for line in lines], OWNED) == expected
    assert {row["snapshot_at"][:10] for row in from_csv} == {"2026-01-12"}


def test_the_manifest_is_small_and_json_compatible(pull: Pull, execute: Execute) -> None:
    report = execute(pull())
    assert json.loads(json.dumps(report)) == report
    assert len(json.dumps(report)) < 5_000


def test_the_log_has_one_line_at_the_start_and_one_at_the_end(
    pull: Pull, execute: Execute, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    report = execute(pull())
    lines = [record.getMessage() for record in caplog.records if "airflow_provider_engagement.pull" in record.name]
    planned = len(mine) // 250 + 1
    assert len(lines) == 2
    assert f"Pulling totals of {len(mine)} Tweets with user credentials: {planned} requests planned." in lines[0]
    for part in (
        f"Done: {report['complete']} of {len(mine)} Tweets complete",
        f"{report['outcomes']['unavailable']} unavailable",
        f"{planned} requests sent",
        "0 reused",
    ):
        assert part in lines[1]


def test_one_tweet_and_one_request_are_logged_in_the_singular(
    pull: Pull, execute: Execute, mine: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    execute(pull(tweets=mine[:1], dataset_path=None))

    logged = caplog.text
    for part in (
        "Pulling totals of 1 Tweet with user credentials: 1 request planned.",
        "of 1 Tweet complete",
        "; 1 request sent, 0 reused;",
    ):
        assert part in logged


def test_each_mapped_task_has_its_own_files_and_its_rows_in_the_file_of_the_snapshot(
    pull: Pull, execute: Execute, mine: list[str], tmp_path: Path, task_instance: Any
) -> None:
    for map_index in range(3):
        execute(pull(tweets=mine[map_index : map_index + 1]), ti=task_instance(task_id="totals", map_index=map_index))
    assert len(files(tmp_path / "tweet_status")) == 3
    (snapshot,) = files(tmp_path / "tweet_totals")
    assert [row["tweet_id"] for row in table(str(tmp_path / "tweet_totals" / snapshot))] == sorted(mine[:3])
