"""Rank the Tweets of a dataset."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.top_tweets import EngagementTopTweetsOperator

with DAG("best_tweets", schedule="0 7 * * *"):
    # [START top]
    EngagementTopTweetsOperator(
        task_id="top",
        dataset_path="s3://warehouse/engagement/owned",
        metrics=["impressions", "favorites"],
        markdown_path="s3://warehouse/reports/top_{{ ds }}.md",
    )
    # [END top]
    # [START week]
    EngagementTopTweetsOperator(
        task_id="top_of_the_week",
        dataset_path="s3://warehouse/engagement/owned",
        table="tweet_metrics",
        start="7d",
        end="now",
        csv_path="s3://warehouse/reports/week_{{ ds }}.csv",
    )
    # [END week]
