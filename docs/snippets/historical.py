"""How-to examples for EngagementHistoricalOperator."""

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, CronPartitionTimetable

from airflow_provider_engagement.operators.engagement import EngagementHistoricalOperator
from airflow_provider_engagement.parameters import AfterPost, Freshness, Interval

# [START daily]
with DAG(
    "engagement_daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    EngagementHistoricalOperator(
        task_id="hours",
        tweets="s3://marketing/our_brand.txt",
        interval=Interval(lookback="3d"),
        dataset_path="s3://warehouse/engagement/history",
        pool="engagement",
        deferrable=True,
        retries=3,
    )
# [END daily]

# [START partition]
with DAG(
    "engagement_by_partition",
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    EngagementHistoricalOperator(
        task_id="hours",
        tweets="s3://marketing/our_brand.txt",
        dataset_path="s3://warehouse/engagement/history",
    )
# [END partition]

with DAG("engagement_on_demand", schedule=None):
    # [START interval]
    EngagementHistoricalOperator(
        task_id="last_30_days",
        tweets="s3://marketing/our_brand.txt",
        start="30d",
        end="now",
        granularity="total",
        dataset_path="s3://warehouse/engagement/last_30_days",
    )
    # [END interval]

    # [START everything]
    EngagementHistoricalOperator(
        task_id="all_available_hours",
        tweets="s3://marketing/our_brand.txt",
        start="2014-09-01",
        end="now",
        interval=Interval(on_out_of_range="clip"),
        dataset_path="s3://warehouse/engagement/history",
    )
    # [END everything]

    # [START first_week]
    EngagementHistoricalOperator(
        task_id="first_week",
        tweets="s3://marketing/our_brand.txt",
        interval=AfterPost(7),
        granularity="total",
        dataset_path="s3://warehouse/engagement/first_week",
    )
    # [END first_week]

    # [START second_week]
    EngagementHistoricalOperator(
        task_id="second_week",
        tweets="s3://marketing/our_brand.txt",
        interval=AfterPost(7, period=2),
        granularity="total",
        dataset_path="s3://warehouse/engagement/second_week",
    )
    # [END second_week]

    # [START hour_of_day]
    EngagementHistoricalOperator(
        task_id="hours_of_day",
        tweets="s3://marketing/our_brand.txt",
        start="4w",
        end="now",
        metrics=["impressions", "engagements"],
        granularity="hour_of_day",
        time_zone="America/New_York",
        dataset_path="s3://warehouse/engagement/hours_of_day_new_york",
    )
    # [END hour_of_day]

    # [START groupings]
    EngagementHistoricalOperator(
        task_id="campaign",
        tweets="s3://marketing/campaign.txt",
        start="7d",
        end="now",
        groupings={"campaign_by_day": ["engagement.type", "engagement.day"]},
        dataset_path="s3://warehouse/engagement/campaign",
    )
    # [END groupings]

    # [START restatements]
    EngagementHistoricalOperator(
        task_id="what_changed",
        tweets="s3://marketing/our_brand.txt",
        start="7d",
        end="now",
        extra_tables=["restatements"],
        freshness=Freshness(reuse_for="1h"),
        dataset_path="s3://warehouse/engagement/history",
    )
    # [END restatements]

# [START local_days]
with DAG(
    "engagement_days_in_prague",
    schedule=CronDataIntervalTimetable("@daily", timezone="Europe/Prague"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    EngagementHistoricalOperator(
        task_id="days",
        tweets="s3://marketing/our_brand.txt",
        interval=Interval(lookback="3d"),
        granularity="day",
        time_zone="Europe/Prague",
        dataset_path="s3://warehouse/engagement/days_prague",
    )
# [END local_days]

with DAG("engagement_of_several_handles", schedule=CronDataIntervalTimetable("@daily", timezone="UTC")):
    # [START mapped]
    EngagementHistoricalOperator.partial(
        task_id="hours",
        interval=Interval(lookback="3d"),
        dataset_path="s3://warehouse/engagement/history",
        pool="engagement",
        map_index_template="{{ task.engagement_conn_id }}",
    ).expand_kwargs(
        [
            {"engagement_conn_id": f"engagement_{handle}", "tweets": f"s3://marketing/{handle}.txt"}
            for handle in ("our_brand", "our_support", "our_jobs")
        ]
    )
    # [END mapped]
