"""Estimate how many requests a pull takes, without sending one."""

# [START estimate]
from datetime import datetime

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.planner import Estimate
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.hooks.engagement import EngagementHook


def estimate_history(tweet_ids: list[str], start: datetime, end: datetime) -> Estimate:
    """Return what a historical pull would cost with a quota of 60 requests a minute."""
    hook = EngagementHook("engagement_our_brand")
    query = hook.query(Endpoint.HISTORICAL, tweet_ids, interval=TimeRange(start, end))
    return hook.estimate(query, requests_per_minute=60)


# [END estimate]
