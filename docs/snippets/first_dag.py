"""The DAG of the README: a snapshot of public totals every morning."""

# [START first_dag]
from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

with DAG("engagement_totals_daily", schedule="0 6 * * *"):
    EngagementTotalsOperator(
        task_id="totals",
        tweets="s3://marketing/tweet_ids.csv",
        metrics=["favorites", "retweets", "replies", "quote_tweets", "video_views"],
        dataset_path="s3://warehouse/engagement",
        retries=3,
    )
# [END first_dag]
