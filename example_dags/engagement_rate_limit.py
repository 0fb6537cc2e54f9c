"""A pull that begins only when the rate limit has room for it: what it costs, a wait for so much, and the pull.

What it shows: the pull's own estimate, which sends nothing; a sensor that waits for as many requests as that, with at
most one request of its own in a minute; and the pull. Estimate and pull take the same arguments, so that they mean the
same requests.

When to use it: where many tasks of several DAGs share a contract and one of them should rather begin later than stop
halfway. A pull waits by itself whenever it must; the sensor keeps it from taking what little another one needs.

Prerequisites:

* a connection ``engagement_<handle>`` of type ``engagement`` with the handle's tokens;
* in the folder ``tweet_ids_folder`` a file ``<handle>.txt`` with the handle's Tweet ids, one a line.
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
        "at_most": Param(
            30, type="integer", minimum=1, description="Wait for room for no more requests than so many at once."
        ),
        "handle": Param("handle_1", type="string", pattern="^[A-Za-z0-9_]+$", description="Whose Tweets to pull."),
        "tweet_ids_folder": Param(
            "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
        ),
        "output_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:
    # [START howto_sensor_engagement_rate_limit]
    connection = "engagement_{{ params.handle }}"
    what: dict[str, Any] = {
        "engagement_conn_id": connection,
        "tweet_ids_file": "{{ params.tweet_ids_folder }}/{{ params.handle }}.txt",
        "output_path": "{{ params.output_path }}",
    }
    estimate = EngagementTotalsOperator(task_id="estimate", estimate_only=True, **what)
    room = EngagementRateLimitSensor(
        task_id="room",
        engagement_conn_id=connection,
        # More than the contract allows in a minute could be waited for in vain: the pull waits for the rest.
        min_remaining="{{ [ti.xcom_pull(task_ids='estimate')['requests'], params.at_most] | min }}",
        mode="reschedule",
        timeout=3600,
    )
    pull = EngagementTotalsOperator(task_id="pull", **what)
    estimate >> room >> pull
    # [END howto_sensor_engagement_rate_limit]
