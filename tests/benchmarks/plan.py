"""Requests of a plan, compared with the lower bound and with a simple plan; time and memory of a large plan.

A simple plan requests every 25 Tweets and every 27 days of the whole interval.
"""

from __future__ import annotations

from figures import MEGABYTE, figure, in_own_process, peak_memory, timed
from histories import hourly_query, spread_tweets

from airflow_provider_engagement.engagement_api.planner import lower_bound, plan
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids

CASES = ((10_000, 365), (3_200, 365), (1_000, 90), (50_000, 28))
SIMPLE_WINDOW_DAYS = 27
SIMPLE_BATCH_SIZE = 25


def main(tweets: int = 1_000_000, days: int = 365) -> None:
    """Plan four known workloads, and a large one.

    :param tweets: the number of Tweets of the large one, created evenly over its days.
    :param days: the length of its interval.
    """
    for number, length in CASES:
        query = hourly_query(spread_tweets(number, length), length, metrics=("impressions",))
        requests, bound = len(plan(query)), lower_bound(query)
        windows = -(-length * 24 // 672)
        simple = -(-length // SIMPLE_WINDOW_DAYS) * -(-number // SIMPLE_BATCH_SIZE)
        case = f"{number} Tweets over {length} days"
        figure(f"{case}: requests", requests, "requests", f"<= {bound + windows}")
        figure(f"{case}: lower bound", bound, "requests")
        figure(f"{case}: above the lower bound", (requests - bound) / bound, "share", f"<= {windows / bound:.4f}")
        figure(f"{case}: simple plan", simple, "requests")
        figure(f"{case}: saved", 1 - requests / simple, "share")
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
