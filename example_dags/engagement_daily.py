"""Every day the hours of the day before, of a handle's own Tweets.

What it shows: a pull whose window is the run's data interval. The timetable matters: with a plain cron expression
Airflow 3 gives runs an empty data interval, of which there is nothing to pull.

Counts of an hour may still change for some days, so each run reads the three days before its own once more
(``lookback_hours``), and its rows replace those that were there. In requests this is nearly free.

Prerequisites:

* a connection ``engagement_default`` of type ``engagement`` with the user's tokens;
* a file of that user's Tweet ids, one a line, where the parameter ``tweet_ids_file`` says;
* a pool ``engagement`` of one slot that includes deferred tasks, so that pulls of one contract do not compete::

      airflow pools set --include-deferred engagement 1 "One pull at a time for each contract."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

# [START engagement_daily]
with DAG(
    dag_id="engagement_daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    # Anything in the past: without catch-up the first run is that of the day before today.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "tweet_ids_file": Param(
            "tweet_ids.txt", type="string", minLength=1, description="A file of Tweet ids, on any storage."
        ),
        "output_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:
    EngagementHistoricalOperator(
        task_id="hours",
        tweet_ids_file="{{ params.tweet_ids_file }}",
        lookback_hours=72,
        output_path="{{ params.output_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_daily]
