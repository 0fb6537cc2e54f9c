"""Take a snapshot of totals: all metrics of several users' own Tweets, and the public metrics of any Tweets.

The mapped task ``owned`` uses the access token of each user. The task ``public`` uses app credentials. There are two
tasks, because a user's access token reads only the user's own Tweets, and app credentials read only public metrics.

Each run adds a snapshot with its own time. A retry sends only the requests that have no response yet. If you clear a
run, it replaces the rows of its snapshot.

Prerequisites:

* For each user, a connection ``engagement_<handle>`` of type ``engagement`` with the user's access token.
* A connection ``engagement_public`` with a bearer token, or with the app's API key and its secret.
* For each user, a file ``<handle>.txt`` in the folder ``tweet_ids_folder``, with the ids of the user's Tweets, one per
  line.
* A file ``public.txt`` in the same folder, with the ids of the Tweets whose public metrics you want.

If other tasks use the same quota, add ``pool="engagement"`` to both tasks. Create a pool of that name with one slot
that includes deferred tasks.

``scripts/demo`` sets all of this up and runs the DAG against the simulator.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

with DAG(
    dag_id="engagement_totals",
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
    },
) as dag:

    @task
    def handles(**context: Any) -> list[dict[str, str]]:
        """Return the arguments of each mapped task."""
        params = context["params"]
        return [
            {
                "engagement_conn_id": f"engagement_{handle}",
                "tweets": f"{params['tweet_ids_folder']}/{handle}.txt",
            }
            for handle in params["handles"]
        ]

    # [START howto_operator_engagement_totals_owned]
    EngagementTotalsOperator.partial(
        task_id="owned",
        dataset_path="{{ params.dataset_path }}",
        map_index_template="{{ task.engagement_conn_id }}",
    ).expand_kwargs(handles())
    # [END howto_operator_engagement_totals_owned]

    # [START howto_operator_engagement_totals_public]
    EngagementTotalsOperator(
        task_id="public",
        engagement_conn_id="engagement_public",
        auth="app",
        tweets="{{ params.tweet_ids_folder }}/public.txt",
        dataset_path="{{ params.dataset_path }}",
    )
    # [END howto_operator_engagement_totals_public]
