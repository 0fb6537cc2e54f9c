"""Load the views that the cookbook reads."""

from airflow.sdk import DAG

from airflow_provider_engagement.transfers.engagement_to_warehouse import EngagementToWarehouseOperator

with DAG("engagement_mart_with_views", schedule="@daily"):
    # [START load]
    EngagementToWarehouseOperator(
        task_id="load",
        dataset_path="s3://warehouse/engagement/owned",
        database="/data/warehouse.duckdb",
        views=[
            "engagement_by_day",
            "engagement_by_hour",
            "engagement_rates",
            "engagement_reconciliation",
            "newest_totals",
            "tweet_totals_changes",
            "newest_status",
            "missing_hours",
            "days_not_final",
        ],
        time_zone="Europe/Berlin",
    )
    # [END load]
