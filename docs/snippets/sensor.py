"""A pull that starts only when the contract has room for all of it."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor

# [START sensor]
PULL = {"tweet_ids_file": "s3://marketing/our_brand.txt", "output_path": "s3://warehouse/engagement/owned"}

with DAG("totals_when_there_is_room", schedule="0 6 * * *"):
    cost = EngagementTotalsOperator(task_id="cost", estimate_only=True, **PULL)
    room = EngagementRateLimitSensor(
        task_id="room",
        min_remaining="{{ [ti.xcom_pull(task_ids='cost')['requests'], 60] | min }}",
        deferrable=True,
        timeout=3600,
    )
    cost >> room >> EngagementTotalsOperator(task_id="totals", **PULL)
# [END sensor]
