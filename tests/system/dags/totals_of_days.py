"""A pull of totals that the timetable runs for each day, and that anybody can run with other ids."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

FOLDER = Path(os.environ["ENGAGEMENT_SYSTEM_TEST_FOLDER"])

with DAG(
    "totals_of_days",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    params={"ids": " ".join((FOLDER / "tweet_ids.txt").read_text(encoding="utf-8").split()[:3])},
):
    EngagementTotalsOperator(
        task_id="pull",
        tweets="{{ params.ids }}",
        metrics="favorites",
        dataset_path=str(FOLDER / "dataset" / "totals_of_days"),
    )
