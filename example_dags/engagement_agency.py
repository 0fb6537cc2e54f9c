"""Pull the totals of several users one after the other, and load them into a database.

The mapped task ``pull`` has one instance for each user, so Airflow shows the users apart. If the token of a user is
revoked, only that instance fails, and the others continue. The task ``load`` runs in any case, and loads what there is.

All instances share the quota of the app. The pool lets one of them use it at a time.

Prerequisites:

* For each user, a connection ``engagement_<handle>`` of type ``engagement`` with the user's access token.
* For each user, a file ``<handle>.txt`` in the folder ``tweet_ids_folder``, with the ids of the user's Tweets, one per
  line.
* The extra ``warehouse`` of this package.
* A pool ``engagement`` with one slot that includes deferred tasks::

      airflow pools set --include-deferred engagement 1 "One pull at a time."
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

with DAG(
    dag_id="engagement_agency",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["engagement", "example"],
    params={
        "handles": Param(
            ["handle_1", "handle_2", "handle_3"],
            type="array",
            items={"type": "string", "pattern": "^[A-Za-z0-9_]+$"},
            description="The users. Each has a connection engagement_<handle> and a file <handle>.txt of Tweet ids.",
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
    },
) as dag:

    @task
    def users(**context: Any) -> list[dict[str, str]]:
        """Return the arguments of each mapped task."""
        params = context["params"]
        return [
            {
                "engagement_conn_id": f"engagement_{handle}",
                "tweets": f"{params['tweet_ids_folder']}/{handle}.txt",
            }
            for handle in params["handles"]
        ]

    # [START howto_engagement_agency]
    pull = EngagementTotalsOperator.partial(
        task_id="pull",
        dataset_path="{{ params.dataset_path }}",
        pool="engagement",
        map_index_template="{{ task.engagement_conn_id }}",
    ).expand_kwargs(users())
    load = EngagementToWarehouseOperator(
        task_id="load",
        dataset_path="{{ params.dataset_path }}",
        database="{{ params.database }}",
        trigger_rule="all_done",
    )
    pull >> load
    # [END howto_engagement_agency]
