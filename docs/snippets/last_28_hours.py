"""A how-to example for Engagement28HourOperator."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator

# [START monitor]
with DAG("engagement_monitor", schedule="15 */6 * * *", catchup=False, max_active_runs=1):
    Engagement28HourOperator(
        task_id="last_28_hours",
        tweets="s3://marketing/this_week.txt",
        metrics=["impressions", "engagements", "url_clicks", "video_views"],
        dataset_path="s3://warehouse/engagement/live",
        priority_weight=10,
    )
# [END monitor]
