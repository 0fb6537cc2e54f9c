"""Pull the last 28 hours of a user's own Tweets, including the current hour, every four hours.

Use this DAG to watch recent Tweets. The API chooses the hours, so the schedule can be a cron expression. The hours of
two runs overlap: the later run replaces the rows, and the table ``restatements`` lists the counts that changed.

None of these counts is final. Use ``engagement_daily`` to pull them again later.

Prerequisites:

* A connection ``engagement_default`` of type ``engagement`` with the access token of the user who posted the Tweets.
* A file with the ids of these Tweets, one per line. The parameter ``tweets`` is its path.
* A pool ``engagement`` with one slot that includes deferred tasks. Only one pull at a time then uses the quota::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator

# [START engagement_last_28_hours]
with DAG(
    dag_id="engagement_last_28_hours",
    schedule="0 */4 * * *",
    # Any time in the past. Without catch-up, no run of the past is created.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Two runs at the same time would pull the same hours.
    max_active_runs=1,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "tweets": Param(
            "tweet_ids.txt", type="string", minLength=1, description="A file of Tweet ids, on any storage."
        ),
        "dataset_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:
    Engagement28HourOperator(
        task_id="last_28_hours",
        tweets="{{ params.tweets }}",
        dataset_path="{{ params.dataset_path }}",
        extra_tables=["restatements"],
        pool="engagement",
        retries=3,
    )
# [END engagement_last_28_hours]
