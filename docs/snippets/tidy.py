"""Tidy up a dataset."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.tidy import EngagementTidyOperator

# [START tidy]
with DAG("tidy_engagement", schedule="@weekly"):
    EngagementTidyOperator(task_id="tidy", dataset_path="s3://warehouse/engagement/owned")
# [END tidy]
