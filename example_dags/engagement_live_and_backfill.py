"""A live DAG and the backfill of another share a contract, and the live one goes first.

What it shows: a pool of one slot that includes deferred tasks, so that one pull at a time uses the contract; and
priority weights, by which the live pull gets the slot next, however many runs of a backfill wait for it. A pull that
waits for the rate limit does so in the triggerer. Once the limit has reset it needs the slot again, and so lets the
live pull go first as well.

When to use it: for current numbers every hour and history that is filled in beside them. ``engagement_live`` reads the
last 28 hours; the days before are read by::

    airflow backfill create --dag-id engagement_history --from-date … --to-date …

Prerequisites:

* a connection ``engagement_<handle>`` of type ``engagement`` with the handle's tokens;
* in the folder ``tweet_ids_folder`` a file ``<handle>.txt`` with the handle's Tweet ids, one a line;
* a triggerer, and a pool ``engagement`` of one slot that includes deferred tasks::

      airflow pools set --include-deferred engagement 1 "One pull at a time for each contract."
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator, EngagementHistoricalOperator

PARAMS = {
    "handle": Param("handle_1", type="string", pattern="^[A-Za-z0-9_]+$", description="Whose Tweets to pull."),
    "tweet_ids_folder": Param(
        "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
    ),
    "output_path": Param(
        "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
    ),
}

# [START howto_engagement_live_and_backfill]
SHARED: dict[str, Any] = {
    "engagement_conn_id": "engagement_{{ params.handle }}",
    "tweet_ids_file": "{{ params.tweet_ids_folder }}/{{ params.handle }}.txt",
    "output_path": "{{ params.output_path }}",
    "pool": "engagement",
    "deferrable": True,
    # The weights are compared as they are, whatever comes after the tasks in their DAGs.
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
