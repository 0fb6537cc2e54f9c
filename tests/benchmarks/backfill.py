"""Requests that a backfill of 365 daily runs sends, compared with one pull of the same days.

The runs follow each other and share their stored responses, as the runs of a DAG do. The responses are made without a
server and have no counts, because the number of requests does not depend on them.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from figures import figure, timed
from histories import END, hourly_query, spread_tweets

from airflow_provider_engagement.engagement_api.planner import Request, lower_bound, plan, plan_shared
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import all_unavailable
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.response_store import ResponseStore

DAY = timedelta(days=1)


def main(tweets: int = 2_000, days: int = 365) -> None:
    """Backfill.

    :param tweets: the number of Tweets, created evenly over the days.
    :param days: the number of days. Each is a run.
    """
    query = hourly_query(spread_tweets(tweets, days), days, metrics=("impressions",))
    available = TimeRange(END - days * DAY, END)
    fetched_at = datetime.now(UTC)

    def fetch(request: Request) -> FetchedResponse:
        return FetchedResponse(response=all_unavailable(request, ()), fetched_at=fetched_at, authors={})

    sent = unshared = 0
    with tempfile.TemporaryDirectory() as folder, timed() as spent:
        for number in range(days):
            start = available.start + number * DAY
            daily = replace(query, interval=TimeRange(start, start + DAY))
            unshared += len(plan(daily))
            store = ResponseStore(Path(folder), identities={None: ""})
            requests = plan_shared(daily, available=available)
            sent += fetch_missing(requests, store=store, fetch=fetch, concurrent_requests=1).succeeded
    one_pull = len(plan(query))
    figure("lower bound", lower_bound(query), "requests")
    figure("one pull", one_pull, "requests")
    figure(f"{days} daily runs", sent, "requests")
    figure(f"{days} daily runs that do not share requests", unshared, "requests")
    figure("daily runs compared with one pull", sent / one_pull, "ratio", "<= 1.1")
    figure("own work in a run", spent.seconds / days, "s")
