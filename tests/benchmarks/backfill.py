"""Requests that a backfill of 365 daily runs sends, against one pull of the same days.

The runs come one after the other and keep their parts in one place, as runs of one DAG do. Answers are made in process
and hold no counts, which the number of requests does not depend on.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from figures import figure, timed
from histories import END, hourly_query, spread_tweets

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request, lower_bound, plan, plan_shared
from airflow_provider_engagement.api.response import all_unavailable
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.fetch import fetch_missing
from airflow_provider_engagement.dataset.response_store import ResponseStore

DAY = timedelta(days=1)


def main(tweets: int = 2_000, days: int = 365) -> None:
    """Backfill.

    :param tweets: how many Tweets, created evenly over the days.
    :param days: how many days, each a run.
    """
    query = hourly_query(spread_tweets(tweets, days), days, metrics=("impressions",))
    span = TimeRange(END - days * DAY, END)
    fetched_at = datetime.now(UTC)

    def fetch(request: Request) -> Fetched:
        return Fetched(answer=all_unavailable(request, ()), fetched_at=fetched_at, authors={})

    sent = alone = 0
    with tempfile.TemporaryDirectory() as folder, timed() as spent:
        for number in range(days):
            start = span.start + number * DAY
            daily = replace(query, window=TimeRange(start, start + DAY))
            alone += len(plan(daily))
            store = ResponseStore(Path(folder), identity="")
            sent += fetch_missing(plan_shared(daily, span=span), parts=store, fetch=fetch, workers=1).answered
    one_pull = len(plan(query))
    figure("lower bound", lower_bound(query), "requests")
    figure("one pull", one_pull, "requests")
    figure(f"{days} daily runs", sent, "requests")
    figure(f"{days} daily runs that do not share", alone, "requests")
    figure("daily runs against one pull", sent / one_pull, "ratio", "<= 1.1")
    figure("own work in a run", spent.seconds / days, "s")
