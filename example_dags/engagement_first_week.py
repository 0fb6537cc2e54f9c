"""Pull the hourly counts of the first week of each of a user's Tweets, every day.

Each Tweet has its own interval: seven days from the hour of its creation, which the operator reads from the Tweet's id.
You can then compare Tweets, for example by their first hour or their first day.

Each run adds the new hours of recent Tweets. It does not request a week again once its counts are final.

Prerequisites:

* A connection ``engagement_default`` of type ``engagement`` with the access token of the user who posted the Tweets.
* A file with the ids of these Tweets, one per line. The parameter ``tweets`` is its path. It must not contain
  Tweets from before 2010-11-04, because their ids do not contain the time of their creation.
* A pool ``engagement`` with one slot that includes deferred tasks. Only one pull at a time then uses the quota::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import AfterPost

# [START engagement_first_week]
with DAG(
    dag_id="engagement_first_week",
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
            "engagement_first_week",
            type="string",
            minLength=1,
            description="The folder of the dataset, on any storage.",
        ),
    },
) as dag:
    EngagementHistoricalOperator(
        task_id="first_week",
        tweets="{{ params.tweets }}",
        interval=AfterPost(7),
        dataset_path="{{ params.dataset_path }}",
        pool="engagement",
        retries=3,
    )
# [END engagement_first_week]
