"""Wait for the rate limit with Airflow's retries, on Airflow 3.3 or newer."""

# [START retries]
from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.retry_policies import RateLimitRetryPolicy

with DAG("totals_with_retries", schedule="0 6 * * *"):
    EngagementTotalsOperator(
        task_id="totals",
        tweets="s3://marketing/our_brand.txt",
        dataset_path="s3://warehouse/engagement/owned",
        retries=20,
        retry_policy=RateLimitRetryPolicy(),
    )
# [END retries]
