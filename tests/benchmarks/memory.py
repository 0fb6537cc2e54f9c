"""Peak memory of a year of hourly counts of many Tweets, compared with a month of 1,000 Tweets.

The responses are made without a server. Everything after them is as in a pull. A pull holds the rows of one partition
at a time, a day of all Tweets. So the goal holds for the default numbers of Tweets. With ``--tweets 10000 --metrics 17
--days 90 --small-days 90``, a partition is ten times as large, and the peak of its merge shows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from figures import MEGABYTE, figure, in_own_process, peak_memory, timed
from histories import ALL_METRICS, END, fetch, hourly_query, spread_tweets
from hourly import rows_of, task_run

from airflow_provider_engagement.engagement_api.planner import plan
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.response_store import ResponseStore
from airflow_provider_engagement.pull.time_series import assemble_time_series
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder


def main(
    tweets: int = 2_000, days: int = 365, small_tweets: int = 1_000, small_days: int = 30, metrics: int = 3
) -> None:
    """Run a small and a large pull, each in another process.

    :param tweets: the number of Tweets of the large pull, created evenly over its days.
    :param days: the number of days of the large pull.
    :param small_tweets: the number of Tweets of the small pull.
    :param small_days: the number of days of the small pull.
    :param metrics: the number of metrics.
    """
    peaks = {}
    for name, number, length in (("small", small_tweets, small_days), ("large", tweets, days)):
        rows, seconds, after_fetching, peak = in_own_process(_pull, number, length, metrics)
        peaks[name] = peak
        case = f"{number} Tweets over {length} days"
        figure(f"{case}: rows", rows, "rows")
        figure(f"{case}: time", seconds, "s")
        figure(f"{case}: peak memory while fetching", after_fetching / MEGABYTE, "MB")
        figure(f"{case}: peak memory", peak / MEGABYTE, "MB")
    figure("large compared with small: peak memory", peaks["large"] / peaks["small"], "ratio", "<= 1.1")


def _pull(tweets: int, days: int, metrics: int) -> tuple[int, float, int, int]:
    query = hourly_query(spread_tweets(tweets, days), days, ALL_METRICS[:metrics])
    requests = plan(query)
    with tempfile.TemporaryDirectory() as folder, timed() as spent:
        store = ResponseStore(Path(folder), identities={None: ""})
        fetched = fetch_missing(requests, store=store, fetch=fetch)
        after_fetching = peak_memory()
        assembled = assemble_time_series(
            fetched,
            TweetStatuses.from_responses(fetched, store),
            store,
            DatasetFolder(Path(folder), DatasetFormat.PARQUET),
            rows=rows_of(query),
            run=task_run(),
            name="benchmark",
            date=END,
        )
    return assembled.rows["tweet_metrics"], spent.seconds, after_fetching, peak_memory()
