"""Requests of a plan against the lower bound and against a client without a planner; time and memory of a large plan.

A client without a planner asks for every 25 Tweets and every 27 days of the whole range.
"""

from __future__ import annotations

from figures import MEGABYTE, figure, in_own_process, peak_memory, timed
from histories import hourly_query, spread_tweets

from airflow_provider_engagement.api.planner import lower_bound, plan
from airflow_provider_engagement.api.query import parse_tweet_ids

CASES = ((10_000, 365), (3_200, 365), (1_000, 90), (50_000, 28))
PLAIN_WINDOW_DAYS = 27
PLAIN_PACK = 25


def main(tweets: int = 1_000_000, days: int = 365) -> None:
    """Plan the four cases, and one large one.

    :param tweets: how many Tweets the large one has, spread evenly over its days.
    :param days: how long it is.
    """
    for number, length in CASES:
        query = hourly_query(spread_tweets(number, length), length, metrics=("impressions",))
        requests, least = len(plan(query)), lower_bound(query)
        windows = -(-length * 24 // 672)
        plain = -(-length // PLAIN_WINDOW_DAYS) * -(-number // PLAIN_PACK)
        case = f"{number} Tweets over {length} days"
        figure(f"{case}: requests", requests, "requests", f"<= {least + windows}")
        figure(f"{case}: lower bound", least, "requests")
        figure(f"{case}: over the lower bound", (requests - least) / least, "share", f"<= {windows / least:.4f}")
        figure(f"{case}: without a planner", plain, "requests")
        figure(f"{case}: saved", 1 - requests / plain, "share")
    for name, value, unit in in_own_process(_large, tweets, days):
        figure(f"{tweets} Tweets over {days} days: {name}", value, unit)


def _large(tweets: int, days: int) -> list[tuple[str, float, str]]:
    texts = list(spread_tweets(tweets, days))
    with timed() as checking:
        query = hourly_query(parse_tweet_ids(texts), days, metrics=("impressions",))
    before = peak_memory()
    with timed() as planning:
        requests = plan(query)
    return [
        ("requests", len(requests), "requests"),
        ("checking the ids", checking.processor_seconds, "s"),
        ("planning", planning.processor_seconds, "s"),
        ("memory of the ids", before / MEGABYTE, "MB"),
        ("memory of ids and plan", peak_memory() / MEGABYTE, "MB"),
    ]
