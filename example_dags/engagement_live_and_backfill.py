"""Pull current counts every hour, and backfill history at the same time with the same quota.

``engagement_live`` pulls the last 28 hours. ``engagement_history`` pulls one day per run. Backfill it with::

    airflow backfill create --dag-id engagement_history --from-date … --to-date …

The tasks of both DAGs share a pool with one slot, so only one pull at a time uses the quota. When the slot becomes
free, the live pull gets it first, because it has the higher priority weight.

The tasks wait for the rate limit in the triggerer. The pool includes deferred tasks, so the slot stays taken during the
wait. After the wait, the slot is free again for the task with the highest priority weight.

Prerequisites:

* A connection ``engagement_<handle>`` of type ``engagement`` with the access token of the user ``<handle>``.
* A file ``<handle>.txt`` in the folder ``tweet_ids_folder``, with the ids of the user's Tweets, one per line.
* A triggerer.
* A pool ``engagement`` with one slot that includes deferred tasks::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator, EngagementHistoricalOperator

PARAMS = {
    "handle": Param("handle_1", type="string", pattern="^[A-Za-z0-9_]+$", description="The user whose Tweets to pull."),
    "tweet_ids_folder": Param(
        "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
    ),
    "dataset_path": Param(
        "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
    ),
}

# [START howto_engagement_live_and_backfill]
SHARED: dict[str, Any] = {
    "engagement_conn_id": "engagement_{{ params.handle }}",
    "tweets": "{{ params.tweet_ids_folder }}/{{ params.handle }}.txt",
    "dataset_path": "{{ params.dataset_path }}",
    "pool": "engagement",
    "deferrable": True,
    "weight_rule": "absolute",
}

with DAG(
    dag_id="engagement_live",
    schedule=CronDataIntervalTimetable("5 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params=PARAMS,
) as live:
    Engagement28HourOperator(task_id="last_28_hours", priority_weight=100, **SHARED)

with DAG(
    dag_id="engagement_history",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params=PARAMS,
) as history:
    EngagementHistoricalOperator(task_id="day", priority_weight=1, **SHARED)
# [END howto_engagement_live_and_backfill]
