"""Small questions, asked with the hook."""

# [START totals]
from airflow_provider_engagement.api.query import Granularity
from airflow_provider_engagement.hooks.engagement import EngagementHook


def likes(tweet_ids: list[str], engagement_conn_id: str = "engagement_default") -> dict[str, int | None]:
    """Return the likes of some Tweets; null where the API has no number."""
    found: dict[str, int | None] = dict.fromkeys(tweet_ids)
    for answer in EngagementHook(engagement_conn_id).totals(tweet_ids, metrics=["favorites"]):
        totals = answer.series[Granularity.TOTAL]
        found.update(zip(totals.tweet_ids, totals.counts["favorites"], strict=True))
    return found


# [END totals]
