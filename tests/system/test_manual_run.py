"""A DAG with data intervals, run by the scheduler and then by hand in the browser with other ids, in a real Airflow.

The test needs the package ``playwright`` and Chromium. If one is missing, it is skipped.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.plugin.api_server import chromium

pytestmark = pytest.mark.system

pytest.importorskip("playwright", reason="playwright is not installed, so no browser can be driven")
if chromium() is None:
    pytest.skip("Chromium is not installed. On Debian: apt-get install chromium", allow_module_level=True)

from playwright.sync_api import sync_playwright  # noqa: E402

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


def trigger_in_the_browser(address: str, ids: list[str]) -> None:
    """Open the page of the DAG, type ids into the form of its parameters, and trigger a run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(base_url=address, viewport={"width": 1300, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"/dags/{DAG_ID}")
        page.get_by_role("button", name=re.compile("Trigger")).first.click()
        form = page.get_by_role("dialog")
        form.locator("[name=element_ids]").fill(" ".join(ids))
        with page.expect_response(lambda response: response.url.endswith("/dagRuns") and response.ok):
            form.get_by_role("button", name=re.compile("^Trigger")).click()
        browser.close()


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

    trigger_in_the_browser(airflow.address, ids[3:5])
    airflow.programs.wait_for("the run by hand is over", lambda: finished(airflow, "manual"), seconds=120)
    (manual,) = finished(airflow, "manual")
    assert (manual["state"], manual["conf"]["ids"].split()) == ("success", ids[3:5])
    assert manual["data_interval_end"] == scheduled["data_interval_end"], "the timetable lends its last interval"

    kept = {path: path.read_bytes() for path in before if "_rate_limit" not in path.parts}
    assert kept == {path: content for path, content in before.items() if path in kept}
    times = [datetime.fromisoformat(scheduled["data_interval_end"]), datetime.fromisoformat(manual["logical_date"])]
    times = [time.replace(microsecond=time.microsecond // 1000 * 1000) for time in times]
    snapshots = {row["tweet_id"]: row["snapshot_at"] for row in rows(folder, "tweet_totals")}
    assert snapshots == dict.fromkeys(ids[:3], times[0]) | dict.fromkeys(ids[3:5], times[1])
    statuses = {(row["run_id"], row["tweet_id"]) for row in rows(folder, "tweet_status")}
    runs = {scheduled["dag_run_id"]: ids[:3], manual["dag_run_id"]: ids[3:5]}
    assert statuses == {(run_id, tweet_id) for run_id, tweets in runs.items() for tweet_id in tweets}
    manifests = list((folder / "_manifests").rglob("*.json"))
    assert len(manifests) == 2
    assert {json.loads(path.read_bytes())["run_id"] for path in manifests} == set(runs)
