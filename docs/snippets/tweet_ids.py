"""Pull the Tweets that several mapped tasks have found."""

from itertools import chain

from airflow.sdk import DAG, task

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator

# [START mapped]
with DAG("tweets_of_campaigns", schedule="@daily"):

    @task
    def tweets_of(campaign: str) -> list[str]:
        return {"spring": ["1070059276213702656"], "summer": ["1021817816134156288"]}[campaign]

    @task
    def joined(lists: list[list[str]]) -> list[str]:
        return list(chain.from_iterable(lists))

    EngagementTotalsOperator(task_id="pull", tweets=joined(tweets_of.expand(campaign=["spring", "summer"])), auth="app")
# [END mapped]
