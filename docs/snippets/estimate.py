"""What a pull would cost, which sends nothing."""

# [START estimate]
from datetime import UTC, datetime, timedelta

from airflow_provider_engagement.api.catalogue import Auth, Endpoint, metrics_of
from airflow_provider_engagement.api.planner import Estimate, estimate
from airflow_provider_engagement.api.query import Granularity, Query, parse_tweet_ids
from airflow_provider_engagement.api.time_range import TimeRange


def cost(tweet_ids: list[str], days: int, requests_per_minute: float, now: datetime | None = None) -> Estimate:
    """Return what the history of some Tweets over the last whole days would cost. Nothing is sent."""
    end = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=parse_tweet_ids(tweet_ids),
        metrics=metrics_of(Endpoint.HISTORICAL, Auth.USER),
        granularities=(Granularity.HOUR,),
        window=TimeRange(end - timedelta(days=days), end),
    )
    return estimate(query, requests_per_minute)


# [END estimate]
