"""The whole way from Tweet ids to a ranking: totals, history, a database, and the best Tweets.

1. ``totals`` takes a snapshot of the totals of a user's Tweets.
2. ``estimate`` counts the requests that the history needs, and ``wait`` waits until the rate limit allows them.
3. ``history`` pulls hourly counts.
4. ``load`` loads both tables into a database. A second run loads only what has changed.
5. ``top`` ranks the Tweets by the counts of these hours.

Prerequisites:

* A connection ``engagement_<handle>`` of type ``engagement`` with the access token of the user ``<handle>``.
* A file ``<handle>.txt`` in the folder ``tweet_ids_folder``, with the ids of the user's Tweets, one per line.
* The extra ``warehouse`` of this package.

``scripts/demo`` runs this DAG against the simulator, and queries the database.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

with DAG(
    dag_id="engagement_whole_chain",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "handle": Param(
            "handle_1", type="string", pattern="^[A-Za-z0-9_]+$", description="The user whose Tweets to pull."
        ),
        "tweet_ids_folder": Param(
            "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
        ),
        "dataset_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
        "database": Param(
            "warehouse.duckdb", type="string", minLength=1, description="The path of a DuckDB file on the worker."
        ),
        "start": Param("3d", type="string", minLength=1, description="The start of the history, such as 3d or a date."),
        "end": Param("now", type="string", minLength=1, description="The end of the history."),
        "max_requests": Param(
            30, type="integer", minimum=1, description="The most requests to wait for; at most the quota per minute."
        ),
    },
) as dag:
    # [START howto_engagement_whole_chain]
    pulls: dict[str, Any] = {
        "engagement_conn_id": "engagement_{{ params.handle }}",
        "tweets": "{{ params.tweet_ids_folder }}/{{ params.handle }}.txt",
        "dataset_path": "{{ params.dataset_path }}",
    }
    hours: dict[str, Any] = {"start": "{{ params.start }}", "end": "{{ params.end }}"}

    totals = EngagementTotalsOperator(task_id="totals", **pulls)
    estimate = EngagementHistoricalOperator(task_id="estimate", estimate_only=True, **pulls, **hours)
    wait = EngagementRateLimitSensor(
        task_id="wait",
        engagement_conn_id="engagement_{{ params.handle }}",
        min_remaining="{{ [ti.xcom_pull(task_ids='estimate')['requests'], params.max_requests] | min }}",
        mode="reschedule",
        timeout=3600,
    )
    history = EngagementHistoricalOperator(task_id="history", **pulls, **hours)
    load = EngagementToWarehouseOperator(
        task_id="load", dataset_path="{{ params.dataset_path }}", database="{{ params.database }}"
    )
    top = EngagementTopTweetsOperator(
        task_id="top",
        dataset_path="{{ params.dataset_path }}",
        table="tweet_metrics",
        markdown_path="{{ params.dataset_path }}/reports/top_tweets.md",
        **hours,
    )
    totals >> estimate >> wait >> history >> load >> top
    # [END howto_engagement_whole_chain]
