"""Small questions, asked with the hook; and what a pull would cost, which sends nothing."""

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


# [START estimate]
from datetime import UTC, datetime, timedelta  # noqa: E402

from airflow_provider_engagement.api.catalogue import Auth, Endpoint, metrics_of  # noqa: E402
from airflow_provider_engagement.api.planner import Estimate, estimate  # noqa: E402
from airflow_provider_engagement.api.query import Query, parse_tweet_ids  # noqa: E402
from airflow_provider_engagement.api.window import Window  # noqa: E402


def cost(tweet_ids: list[str], days: int, requests_per_minute: float, now: datetime | None = None) -> Estimate:
    """Return what the history of some Tweets over the last whole days would cost. Nothing is sent."""
    end = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=parse_tweet_ids(tweet_ids),
        metrics=metrics_of(Endpoint.HISTORICAL, Auth.USER),
        granularities=(Granularity.HOUR,),
        window=Window(end - timedelta(days=days), end),
    )
    return estimate(query, requests_per_minute)


# [END estimate]
