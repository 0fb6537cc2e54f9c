"""The DAG of the quickstart: totals of the Tweets of one simulated user."""

# [START quickstart]
import json
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

with DAG("quickstart", schedule=None):

    @task
    def tweet_ids() -> list[str]:
        world = json.loads(Path("/tmp/engagement-world.json").read_text())  # noqa: S108
        return world["tweets"][world["handles"][0]["user_id"]]

    EngagementTotalsOperator(task_id="totals", tweets=tweet_ids(), dataset_path="file:///tmp/engagement")
# [END quickstart]
