"""Every few hours the last 28 hours of a handle's own Tweets, the running hour included.

What it shows: a monitor of fresh Tweets. The API itself decides the window, so that a plain cron expression will do.
Runs overlap: rows of an hour replace those that were read before, and ``restatements`` writes down what differed.

When to use it: for numbers of today. Nothing of these hours has settled yet; let ``engagement_daily`` read them again.

Prerequisites:

* a connection ``engagement_default`` of type ``engagement`` with the user's tokens;
* a file of that user's Tweet ids, one a line, where the parameter ``tweet_ids_file`` says;
* a pool ``engagement`` of one slot that includes deferred tasks, so that pulls of one contract do not compete::

      airflow pools set --include-deferred engagement 1 "One pull at a time for each contract."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator

# [START engagement_last_28_hours]
with DAG(
    dag_id="engagement_last_28_hours",
    schedule="0 */4 * * *",
    # Anything in the past: without catch-up the first run is the next one due.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # A run that comes late reads the same hours as the next.
    max_active_runs=1,
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
    Engagement28HourOperator(
        task_id="last_28_hours",
        tweet_ids_file="{{ params.tweet_ids_file }}",
        output_path="{{ params.output_path }}",
        restatements=True,
        pool="engagement",
        retries=3,
    )
# [END engagement_last_28_hours]
