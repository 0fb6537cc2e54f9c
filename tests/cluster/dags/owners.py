"""Pulls of several owners into one dataset: totals, the last 28 hours, and the history of each day.

Each owner has a connection and a file of Tweet ids. A task is mapped over the owners.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.engagement import (
    Engagement28HourOperator,
    EngagementHistoricalOperator,
    EngagementTotalsOperator,
)
from airflow_provider_engagement.parameters import Limits

OWNERS = json.loads(os.environ["CLUSTER_OWNERS"])
"""For each owner, the connection and the file of Tweet ids."""

SHARED: dict[str, Any] = {
    "dataset_path": os.environ["CLUSTER_DATASET_PATH"],
    "dataset_format": os.environ["CLUSTER_FORMAT"],
    "pool": "engagement",
    "deferrable": True,
    "limits": Limits(wait_on_worker=timedelta(seconds=5)),
    "retries": int(os.environ.get("CLUSTER_RETRIES", "3")),
    "retry_delay": timedelta(seconds=5),
    "weight_rule": "absolute",
}

START = datetime(2020, 1, 1, tzinfo=UTC)

with DAG("owners_totals", schedule=None, start_date=START):
    EngagementTotalsOperator.partial(task_id="totals", auth="user", priority_weight=100, **SHARED).expand_kwargs(OWNERS)

with DAG("owners_live", schedule=None, start_date=START):
    Engagement28HourOperator.partial(task_id="last_28_hours", priority_weight=100, **SHARED).expand_kwargs(OWNERS)

with DAG(
    "owners_history",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=16,
):
    EngagementHistoricalOperator.partial(task_id="day", priority_weight=1, **SHARED).expand_kwargs(OWNERS)
