"""The first week of each of a handle's Tweets, hour by hour, however old the Tweet is.

What it shows: a window of its own for each Tweet, counted from the hour in which it was posted, which its id tells.
That makes Tweets comparable: what the first hour, the first day, the first week brought.

Every day's run adds what came to the Tweets of the last week. Weeks that are over and settled are not asked for again.

Prerequisites:

* a connection ``engagement_default`` of type ``engagement`` with the user's tokens;
* a file of that user's Tweet ids, one a line, where the parameter ``tweet_ids_file`` says, none of them from before
  2010-11-04, whose ids do not tell when they were posted;
* a pool ``engagement`` of one slot that includes deferred tasks, so that pulls of one contract do not compete::

      airflow pools set --include-deferred engagement 1 "One pull at a time for each contract."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

# [START engagement_first_week]
with DAG(
    dag_id="engagement_first_week",
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
            "engagement_first_week",
            type="string",
            minLength=1,
            description="The folder of the dataset, on any storage.",
        ),
    },
) as dag:
    EngagementHistoricalOperator(
        task_id="first_week",
        tweet_ids_file="{{ params.tweet_ids_file }}",
        after_post_days=7,
        output_path="{{ params.output_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_first_week]
