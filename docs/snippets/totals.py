"""How-to examples for EngagementTotalsOperator."""

from airflow.sdk import DAG

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.parameters import FromFile

with DAG("totals_how_to", schedule="0 6 * * *"):
    # [START owned]
    EngagementTotalsOperator(
        task_id="owned",
        engagement_conn_id="engagement_our_brand",
        tweets="s3://marketing/our_brand.txt",
        dataset_path="s3://warehouse/engagement/owned",
        retries=3,
    )
    # [END owned]

    # [START any_tweet]
    EngagementTotalsOperator(
        task_id="public",
        tweets=FromFile("s3://marketing/competitors.parquet", column="status_id"),
        auth="app",
        dataset_path="s3://warehouse/engagement/public",
    )
    # [END any_tweet]

    # [START leave_out_forbidden]
    EngagementTotalsOperator(
        task_id="leave_out_forbidden",
        engagement_conn_id="engagement_our_brand",
        tweets="s3://marketing/mixed.txt",
        accepted_outcomes=["unavailable", "unsupported_90d", "unsupported_video", "forbidden"],
        dataset_path="s3://warehouse/engagement/owned_of_mixed_list",
    )
    # [END leave_out_forbidden]

    # [START groupings]
    EngagementTotalsOperator(
        task_id="campaign",
        tweets="s3://marketing/campaign.txt",
        auth="app",
        groupings={"campaign": ["engagement.type"], "by_metric": ["engagement.type", "tweet.id"]},
        dataset_path="s3://warehouse/engagement/campaign",
    )
    # [END groupings]

with DAG("totals_of_several_handles", schedule="0 6 * * *"):
    # [START mapped]
    EngagementTotalsOperator.partial(
        task_id="owned",
        dataset_path="s3://warehouse/engagement/owned",
        map_index_template="{{ task.engagement_conn_id }}",
    ).expand_kwargs(
        [
            {"engagement_conn_id": f"engagement_{handle}", "tweets": f"s3://marketing/{handle}.txt"}
            for handle in ("our_brand", "our_support", "our_jobs")
        ]
    )
    # [END mapped]
