"""Start a pull only when the rate limit allows all of its requests."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.sensors.rate_limit import EngagementRateLimitSensor

# [START sensor]
PULL = {"tweets": "s3://marketing/our_brand.txt", "dataset_path": "s3://warehouse/engagement/owned"}

with DAG("totals_when_the_rate_limit_allows", schedule="0 6 * * *"):
    cost = EngagementTotalsOperator(task_id="cost", estimate_only=True, **PULL)
    wait = EngagementRateLimitSensor(
        task_id="wait",
        min_remaining="{{ [ti.xcom_pull(task_ids='cost')['requests'], 60] | min }}",
        deferrable=True,
        timeout=3600,
    )
    cost >> wait >> EngagementTotalsOperator(task_id="totals", **PULL)
# [END sensor]
