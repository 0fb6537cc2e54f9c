"""Peak memory of a year of hourly data for many Tweets, against a month for 1,000.

Answers are made in process; everything after them is the product's: threads, parts, partitions. The issue's case is
``--tweets 10000 --metrics 17``, which takes hours.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from figures import MEGABYTE, figure, in_own_process, peak_memory, timed
from histories import ALL_METRICS, fetch, hourly_query, spread_tweets
from hourly import series_of

from airflow_provider_engagement.api.planner import plan
from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.dataset.fetch import fetch_missing
from airflow_provider_engagement.dataset.folder import DatasetFolder
from airflow_provider_engagement.dataset.formats import Format
from airflow_provider_engagement.dataset.response_store import ResponseStore
from airflow_provider_engagement.dataset.time_series import assemble_time_series


def main(
    tweets: int = 2_000, days: int = 365, small_tweets: int = 1_000, small_days: int = 30, metrics: int = 3
) -> None:
    """Pull both, each in a process of its own.

    :param tweets: how many Tweets the large pull has, created evenly over its days.
    :param days: how long it is.
    :param small_tweets: how many Tweets the small pull has.
    :param small_days: how long that is.
    :param metrics: how many metrics.
    """
    peaks = {}
    for name, number, length in (("small", small_tweets, small_days), ("large", tweets, days)):
        rows, seconds, after_fetching, peak = in_own_process(_pull, number, length, metrics)
        peaks[name] = peak
        what = f"{number} Tweets over {length} days"
        figure(f"{what}: rows", rows, "rows")
        figure(f"{what}: time", seconds, "s")
        figure(f"{what}: peak memory while fetching", after_fetching / MEGABYTE, "MB")
        figure(f"{what}: peak memory", peak / MEGABYTE, "MB")
    figure("large against small: peak memory", peaks["large"] / peaks["small"], "ratio", "<= 1.1")


def _pull(tweets: int, days: int, metrics: int) -> tuple[int, float, int, int]:
    query = hourly_query(spread_tweets(tweets, days), days, ALL_METRICS[:metrics])
    requests = plan(query)
    with tempfile.TemporaryDirectory() as folder, timed() as spent:
        store = ResponseStore(Path(folder), identity="")
        pulled = fetch_missing(requests, parts=store, fetch=fetch)
        after_fetching = peak_memory()
        result = assemble_time_series(
            pulled,
            store,
            DatasetFolder(Path(folder), Format.PARQUET),
            wanted=series_of(requests[0]),
            accepted=(Outcome.UNAVAILABLE,),
        )
    return result.rows["tweet_metrics"], spent.seconds, after_fetching, peak_memory()
