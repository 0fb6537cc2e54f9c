"""Start a pull only when the rate limit allows its requests.

The task ``estimate`` returns how many requests the pull will send. The sensor ``wait`` waits until that many requests
remain. Then the task ``pull`` runs. The estimate and the pull have the same arguments, so they plan the same requests.

Use this DAG if several DAGs share a quota, and a pull should start later instead of waiting halfway. A pull does not
need the sensor: it waits for the rate limit itself.

Prerequisites:

* A connection ``engagement_<handle>`` of type ``engagement`` with the access token of the user ``<handle>``.
* A file ``<handle>.txt`` in the folder ``tweet_ids_folder``, with the ids of the user's Tweets, one per line.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor

with DAG(
    dag_id="engagement_rate_limit",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "max_requests": Param(
            30, type="integer", minimum=1, description="The most requests to wait for; at most the quota per minute."
        ),
        "handle": Param(
            "handle_1", type="string", pattern="^[A-Za-z0-9_]+$", description="The user whose Tweets to pull."
        ),
        "tweet_ids_folder": Param(
            "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
        ),
        "dataset_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:
    # [START howto_sensor_engagement_rate_limit]
    connection = "engagement_{{ params.handle }}"
    arguments: dict[str, Any] = {
        "engagement_conn_id": connection,
        "tweets": "{{ params.tweet_ids_folder }}/{{ params.handle }}.txt",
        "dataset_path": "{{ params.dataset_path }}",
    }
    estimate = EngagementTotalsOperator(task_id="estimate", estimate_only=True, **arguments)
    wait = EngagementRateLimitSensor(
        task_id="wait",
        engagement_conn_id=connection,
        # More requests than the quota never remain. The pull itself waits for the rest.
        min_remaining="{{ [ti.xcom_pull(task_ids='estimate')['requests'], params.max_requests] | min }}",
        mode="reschedule",
        timeout=3600,
    )
    pull = EngagementTotalsOperator(task_id="pull", **arguments)
    estimate >> wait >> pull
    # [END howto_sensor_engagement_rate_limit]
