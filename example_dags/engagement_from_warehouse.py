"""Pull the last 28 hours of the Tweets that a query on a database returns.

The database knows which Tweets to pull and who owns them. The pull reads the rows of the query in batches, and requests
each Tweet with the access token of its owner. A Tweet without an owner is requested with the token of the connection.

Prerequisites:

* A connection ``warehouse`` of a database, whose hook is one of Airflow's provider ``common.sql``.
* A table ``tweets`` in it, with the columns ``tweet_id`` and ``owner``.
* A connection ``engagement_default`` of type ``engagement`` with the access token of a user, and the tokens of the
  owners in its field ``account_tokens``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator
from airflow_provider_engagement.parameters import FromSql

with DAG(
    dag_id="engagement_from_warehouse",
    schedule=CronDataIntervalTimetable("30 5 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "dataset_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:
    # [START howto_engagement_from_warehouse]
    Engagement28HourOperator(
        task_id="pull",
        tweets=FromSql("SELECT tweet_id, owner FROM tweets ORDER BY tweet_id DESC LIMIT 10000", conn_id="warehouse"),
        dataset_path="{{ params.dataset_path }}",
    )
    # [END howto_engagement_from_warehouse]
