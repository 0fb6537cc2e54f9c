"""How-to examples for pulls of Tweets of many owners."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import FromFile, Limits, Owners

with DAG("totals_of_all_owners", schedule="0 6 * * *"):
    # [START one_task]
    EngagementTotalsOperator(
        task_id="all_owners",
        tweets=FromFile("s3://agency/tweets.csv", owner_column="account_id"),
        accepted_outcomes=["unavailable", "unsupported_90d", "unsupported_video", "unauthorized"],
        extra_tables=["owner_ledger"],
        limits=Limits(owners=300),
        dataset_path="s3://warehouse/engagement/agency",
    )
    # [END one_task]

with DAG("totals_by_owner", schedule="0 6 * * *"):
    # [START mapped]
    EngagementTotalsOperator.partial(
        task_id="owner",
        dataset_path="s3://warehouse/engagement/agency",
        dataset_format="delta",
        map_index_template="{{ task.owners.default }}",
    ).expand_kwargs(
        [
            {"owners": Owners(default=owner), "tweets": f"s3://agency/{owner}.txt"}
            for owner in ("783214", "6253282", "495309159")
        ]
    )
    # [END mapped]
