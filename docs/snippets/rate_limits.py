"""A live DAG and a backfill that share one quota: one pull at a time, the live DAG first."""

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.engagement import Engagement28HourOperator, EngagementHistoricalOperator
from airflow_provider_engagement.parameters import Limits

# [START pool]
SHARED = {
    "pool": "engagement",
    "deferrable": True,
    "limits": Limits(wait="12h"),
    "weight_rule": "absolute",
}

with DAG("live", schedule="5 * * * *", catchup=False):
    Engagement28HourOperator(
        task_id="last_28_hours",
        tweets="s3://marketing/this_week.txt",
        dataset_path="s3://warehouse/engagement/live",
        priority_weight=100,
        **SHARED,
    )

with DAG(
    "history",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    EngagementHistoricalOperator(
        task_id="hours",
        tweets="s3://marketing/our_brand.txt",
        dataset_path="s3://warehouse/engagement/history",
        priority_weight=1,
        **SHARED,
    )
# [END pool]
