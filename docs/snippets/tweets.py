"""How-to examples for UserTweetsOperator and TweetLookupOperator."""

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_provider_engagement.operators.tweets import TweetLookupOperator, UserTweetsOperator

with DAG("tweets_how_to", schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC")):
    # [START list]
    UserTweetsOperator(
        task_id="tweets",
        users=["@acme", "acme_support"],
        dataset_path="s3://warehouse/x",
        max_dollars=5,
        retries=3,
    )
    # [END list]

    # [START look_up]
    TweetLookupOperator(
        task_id="snapshot",
        tweets=["1990000000000000001", "https://x.com/acme/status/1990000000000000002"],
        dataset_path="s3://warehouse/x",
        retries=3,
    )
    # [END look_up]
