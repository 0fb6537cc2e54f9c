"""Rank Tweets whenever a pull has written a new snapshot.

``engagement_brand_totals`` pulls the totals of a user's Tweets every day, and emits an asset event for the table
``tweet_totals``. The event starts ``engagement_brand_report``, which ranks the Tweets and writes a Markdown file. Its
first task logs what the event says: how many Tweets, rows and requests the pull had, and what is missing.

An asset has a constant URI. So the path of the dataset comes from the environment, and not from a parameter of the run.

Prerequisites:

* The environment variable ``ENGAGEMENT_DATASET_PATH``, on all machines of Airflow: the absolute path or the URL of the
  dataset.
* A connection ``engagement_default`` of type ``engagement`` with the user's access token.
* A file of the user's Tweet ids.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task

from airflow_provider_engagement.assets.engagement import create_asset
from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator

DATASET_PATH = os.environ.get("ENGAGEMENT_DATASET_PATH", "/opt/airflow/engagement")

# [START howto_engagement_report_on_assets]
totals = create_asset(dataset_path=DATASET_PATH, table="tweet_totals")

with DAG(
    dag_id="engagement_brand_totals",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "tweets": Param(
            "tweet_ids/handle_1.txt", type="string", minLength=1, description="A file of Tweet ids, on any storage."
        ),
    },
) as producer:
    EngagementTotalsOperator(
        task_id="pull",
        tweets="{{ params.tweets }}",
        dataset_path=DATASET_PATH,
        asset_events="run",
    )

with DAG(
    dag_id="engagement_brand_report",
    schedule=[totals],
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
) as consumer:

    @task(inlets=[totals])
    def describe(**context: Any) -> list[dict[str, Any]]:
        """Return what the events say that started the run."""
        return [event.extra for events in context["triggering_asset_events"].values() for event in events]

    top = EngagementTopTweetsOperator(
        task_id="top",
        dataset_path=DATASET_PATH,
        limit=10,
        markdown_path=f"{DATASET_PATH}/reports/top_tweets.md",
    )
    describe() >> top
# [END howto_engagement_report_on_assets]
