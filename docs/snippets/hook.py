"""Request a few counts with the hook."""

# [START totals]
from airflow_provider_engagement.hooks.engagement import EngagementHook


def likes(tweet_ids: list[str], engagement_conn_id: str = "engagement_default") -> dict[str, int | None]:
    """Return the number of likes of each Tweet, or None if the API has no number."""
    found: dict[str, int | None] = dict.fromkeys(tweet_ids)
    for response in EngagementHook(engagement_conn_id).totals(tweet_ids, metrics=["favorites"]):
        counts = response.counts
        found.update(zip(counts.tweet_ids, counts.by_metric["favorites"], strict=True))
    return found


# [END totals]
