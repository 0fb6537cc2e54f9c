"""A DAG with data intervals, run by the scheduler and then by hand with other ids, in a real Airflow."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

pytestmark = pytest.mark.system

SETTINGS = {
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
}
DAG_ID = "totals_of_days"


def finished(airflow: Any, kind: str) -> list[dict[str, Any]]:
    runs = airflow.get(f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
    return [run for run in runs if run["run_type"] == kind and run["state"] in ("success", "failed")]


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [row for path in (folder / table).rglob("*.parquet") for row in parquet.ParquetFile(path).read().to_pylist()]


def test_a_run_by_hand_loses_nothing_of_the_scheduled_run_whose_interval_it_has(airflow: Any) -> None:
    folder = airflow.folder / "dataset" / DAG_ID
    ids = (airflow.folder / "tweet_ids.txt").read_text().split()
    for name in ("scheduler", "dag-processor", "triggerer"):
        airflow.start(name)
    airflow.programs.wait_for("Airflow is healthy", airflow.is_healthy, seconds=120)
    airflow.send("PATCH", f"/dags/{DAG_ID}", {"is_paused": False})
    airflow.programs.wait_for("the scheduled run is over", lambda: finished(airflow, "scheduled"), seconds=180)
    (scheduled,) = finished(airflow, "scheduled")
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    manifest = airflow.manifest(DAG_ID, scheduled["dag_run_id"])
    assert (scheduled["state"], manifest["complete"]) == ("success", 3)

    by_hand = datetime.fromisoformat(scheduled["data_interval_end"]) + timedelta(milliseconds=1)
    triggered = {"logical_date": by_hand.isoformat(), "conf": {"ids": " ".join(ids[3:5])}}
    airflow.send("POST", f"/dags/{DAG_ID}/dagRuns", triggered)
    airflow.programs.wait_for("the run by hand is over", lambda: finished(airflow, "manual"), seconds=120)
    (manual,) = finished(airflow, "manual")
    assert manual["state"] == "success"
    assert manual["data_interval_end"] == scheduled["data_interval_end"], "the timetable lends its last interval"

    kept = {path: path.read_bytes() for path in before if "_rate_limit" not in path.parts}
    assert kept == {path: content for path, content in before.items() if path in kept}
    snapshots = {row["tweet_id"]: row["snapshot_at"] for row in rows(folder, "tweet_totals")}
    assert snapshots == dict.fromkeys(ids[:3], by_hand - timedelta(milliseconds=1)) | dict.fromkeys(ids[3:5], by_hand)
    assert {row["tweet_id"] for row in rows(folder, "tweet_status")} == set(ids[:5])
