"""A year of days of a handle's own Tweets, as a backfill that costs what one pull costs.

What it shows: daily runs that share their requests. Airflow makes one run for each day; what they need is asked for in
blocks of up to 28 days, and the first run that needs a block fetches it for the others. 365 runs send about as many
requests as one pull over the year.

The API reaches back 365 days from the moment it is asked. What has just fallen out of its reach is left out and
reported (``on_out_of_range="clip"``); a day of which nothing is left fails, so begin a day later than a year ago::

    airflow backfill create --dag-id engagement_year_backfill --max-active-runs 1 \\
        --from-date "$(date --utc --date '364 days ago' +%F)" --to-date "$(date --utc --date '1 day ago' +%F)"

Add ``--dry-run`` to see the runs first. Leave ``--run-backwards`` out: the oldest days are the first that the API
forgets. Whatever becomes of it, run the backfill again with ``--reprocess-behavior failed``: what was answered is not
asked for again.

Prerequisites:

* a connection ``engagement_default`` of type ``engagement`` with the user's tokens;
* a file of that user's Tweet ids, one a line, where the parameter ``tweet_ids_file`` says, the same in all runs;
* a pool ``engagement`` of one slot that includes deferred tasks, so that no two runs fetch the same block::

      airflow pools set --include-deferred engagement 1 "One pull at a time for each contract."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator

# [START engagement_year_backfill]
with DAG(
    dag_id="engagement_year_backfill",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    # A backfill may begin before it; without catch-up nothing of the past is run unasked.
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
        task_id="days",
        tweet_ids_file="{{ params.tweet_ids_file }}",
        granularity="day",
        on_out_of_range="clip",
        output_path="{{ params.output_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_year_backfill]
