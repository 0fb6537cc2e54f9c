"""Load a dataset into a database."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

# [START duckdb]
with DAG("engagement_mart", schedule="@daily"):
    pull = EngagementHistoricalOperator(
        task_id="pull",
        tweets="s3://marketing/our_brand.txt",
        dataset_path="s3://warehouse/engagement/owned",
        granularity="day",
    )
    load = EngagementToWarehouseOperator(
        task_id="load",
        dataset_path="s3://warehouse/engagement/owned",
        database="/data/warehouse.duckdb",
        retries=3,
    )
    pull >> load
# [END duckdb]

with DAG("engagement_mart_on_a_server", schedule="@daily"):
    # [START postgres]
    EngagementToWarehouseOperator(
        task_id="load",
        dataset_path="s3://warehouse/engagement/owned",
        tables=["tweet_metrics", "tweet_status"],
        destination="postgres",
        warehouse_conn_id="postgres_mart",
        schema="social",
        views=["engagement_by_day", "newest_status"],
        retries=3,
    )
    # [END postgres]
