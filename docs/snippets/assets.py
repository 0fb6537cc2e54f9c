"""Start DAGs from the tables of a dataset."""

# [START asset]
from airflow.sdk import DAG

from airflow_provider_engagement.assets.engagement import create_asset

totals = create_asset(dataset_path="s3://warehouse/brand", table="tweet_totals")
hours = create_asset(dataset_path="s3://warehouse/brand", table="tweet_metrics", granularity="hour")
# [END asset]

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator, EngagementTotalsOperator
from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator

with DAG("brand_totals", schedule="@daily"):
    # [START run]
    EngagementTotalsOperator(
        task_id="totals",
        tweets="s3://marketing/brand.txt",
        dataset_path="s3://warehouse/brand",
        asset_events="run",
    )
    # [END run]

with DAG("brand_best_tweets", schedule=[totals]):
    EngagementTopTweetsOperator(task_id="top", dataset_path="s3://warehouse/brand")

try:
    # [START day]
    from airflow.sdk import PartitionedAssetTimetable

    with DAG("brand_month", schedule="@monthly"):
        EngagementHistoricalOperator(
            task_id="hours",
            tweets="s3://marketing/brand.txt",
            dataset_path="s3://warehouse/brand",
            asset_events="day",
        )

    with DAG("brand_day", schedule=PartitionedAssetTimetable(assets=hours)):
        EngagementTopTweetsOperator(task_id="top", dataset_path="s3://warehouse/brand", table="tweet_metrics")
    # [END day]
except ImportError:
    # Airflow has partitions of assets since 3.3.
    pass
