"""Write a report after a pull."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.operators.report import EngagementReportOperator

# [START report]
with DAG("engagement_report", schedule="@weekly"):
    pull = EngagementHistoricalOperator(
        task_id="pull",
        tweets="s3://warehouse/tweet_ids.txt",
        dataset_path="s3://warehouse/engagement/owned",
    )
    EngagementReportOperator(task_id="report", pull=pull.output, time_zone="Europe/Prague")
# [END report]
