"""Read Tweet ids from a database."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import FromSql

with DAG("ids_from_sql", schedule="@daily"):
    # [START sql]
    EngagementTotalsOperator(
        task_id="owned",
        tweets=FromSql(
            "SELECT tweet_id, owner FROM tweets WHERE created_at > now() - INTERVAL '90 days'", conn_id="warehouse"
        ),
        dataset_path="s3://warehouse/engagement/owned",
    )
    # [END sql]
