"""Totals of several handles: of their own Tweets every metric, and of any Tweets the public ones.

What it shows: one mapped task for each handle, which asks as the Tweets' author, and one task that asks as the app. The
API refuses a user's token for other authors' Tweets and gives no impressions to an app, so these are two kinds of pull.

When to use it: for a snapshot of totals now and then. Every run writes files of its own; a retry or a clear of a run
replaces them, and asks only for what is missing.

Prerequisites:

* for each handle a connection ``engagement_<handle>`` of type ``engagement`` with the user's tokens, and
  ``engagement_public`` with a bearer token or the app's keys;
* in the folder ``tweet_ids_folder`` a file ``<handle>.txt`` with the handle's Tweet ids, one a line, and ``public.txt``
  with those whose public metrics are wanted;
* where the rate limit matters, a pool ``engagement`` of one slot that includes deferred tasks: give it to both tasks
  with ``pool="engagement"``.

``scripts/demo`` runs it against the simulator with nothing of that to be set up.
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
            description="Each has a connection engagement_<handle> and a file <handle>.txt of Tweet ids.",
        ),
        "tweet_ids_folder": Param(
            "tweet_ids", type="string", minLength=1, description="A folder of files of Tweet ids, on any storage."
        ),
        "output_path": Param(
            "engagement", type="string", minLength=1, description="The folder of the dataset, on any storage."
        ),
    },
) as dag:

    @task
    def handles(**context: Any) -> list[dict[str, str]]:
        """Return what is the handle's own in each mapped pull."""
        params = context["params"]
        return [
            {
                "engagement_conn_id": f"engagement_{handle}",
                "tweet_ids_file": f"{params['tweet_ids_folder']}/{handle}.txt",
            }
            for handle in params["handles"]
        ]

    # [START howto_operator_engagement_totals_owned]
    EngagementTotalsOperator.partial(
        task_id="owned",
        output_path="{{ params.output_path }}",
        map_index_template="{{ task.engagement_conn_id }}",
    ).expand_kwargs(handles())
    # [END howto_operator_engagement_totals_owned]

    # [START howto_operator_engagement_totals_public]
    EngagementTotalsOperator(
        task_id="public",
        engagement_conn_id="engagement_public",
        auth="app",
        tweet_ids_file="{{ params.tweet_ids_folder }}/public.txt",
        output_path="{{ params.output_path }}",
    )
    # [END howto_operator_engagement_totals_public]
