"""Take ids from one task and pass rows to another, without a dataset."""

from airflow.sdk import DAG, task

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

# [START xcom]
with DAG("likes_of_today", schedule="0 6 * * *"):

    @task
    def todays_tweets() -> list[str]:
        return ["1070059276213702656", "1021817816134156288", "1067094924124872705"]

    @task
    def favorites(manifest: dict) -> dict[str, int | None]:
        return {row["tweet_id"]: row["favorites"] for row in manifest["tweet_totals"]}

    pull = EngagementTotalsOperator(task_id="pull", tweets=todays_tweets(), auth="app")
    favorites(pull.output)
# [END xcom]
