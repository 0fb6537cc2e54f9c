"""Pull the hourly counts of the previous day, every day, of a user's own Tweets.

The interval of the pull is the data interval of the run. The DAG needs ``CronDataIntervalTimetable`` for this: with a
cron expression, Airflow 3 gives its runs an empty data interval.

Counts can still change for some days after an hour. Each run therefore pulls the three previous days again
(``lookback``), and replaces their rows. That takes almost no extra requests: one covers up to 28 days.

Prerequisites:

* A connection ``engagement_default`` of type ``engagement`` with the access token of the user who posted the Tweets.
* A file with the ids of these Tweets, one per line. The parameter ``tweets`` is its path.
* A pool ``engagement`` with one slot that includes deferred tasks. Only one pull at a time then uses the quota::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Interval

# [START engagement_daily]
with DAG(
    dag_id="engagement_daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    # Any time in the past. Without catch-up, the first run is that of yesterday.
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
        task_id="hours",
        tweets="{{ params.tweets }}",
        interval=Interval(lookback="3d"),
        dataset_path="{{ params.dataset_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_daily]
