"""Backfill the daily counts of a year of a user's own Tweets.

Airflow creates one run per day. The runs share requests: each run requests blocks of up to 28 days, and the other runs
reuse the stored responses. The runs of a year send about as many requests as one pull of the whole year.

The API has the 365 days before a request. With ``on_out_of_range="clip"``, a run pulls only the hours that the API
still has, and lists the change in its manifest. A run fails if no hour of its day is left. Start one day later than a
year ago::

    airflow backfill create --dag-id engagement_year_backfill --max-active-runs 1 \\
        --from-date "$(date --utc --date '364 days ago' +%F)" --to-date "$(date --utc --date '1 day ago' +%F)"

Add ``--dry-run`` to list the runs first. Leave out ``--run-backwards``, because the oldest days are the first that the
API no longer has. If runs fail, create the backfill again with ``--reprocess-behavior failed``. It sends only the
requests that have no response yet.

Prerequisites:

* A connection ``engagement_default`` of type ``engagement`` with the access token of the user who posted the Tweets.
* A file with the ids of these Tweets, one per line, the same in all runs. The parameter ``tweets`` is its path.
* A pool ``engagement`` with one slot that includes deferred tasks. Otherwise two runs can request the same block::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Interval

# [START engagement_year_backfill]
with DAG(
    dag_id="engagement_year_backfill",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    # A backfill can start before this date. Without catch-up, Airflow creates no other run of the past.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
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
    EngagementHistoricalOperator(
        task_id="days",
        tweets="{{ params.tweets }}",
        granularity="day",
        interval=Interval(on_out_of_range="clip"),
        dataset_path="{{ params.dataset_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_year_backfill]
