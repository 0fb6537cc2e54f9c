"""Hourly histories without a server: Tweets that were posted over some days, and the API's responses about them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.planner import Request, plan
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import parse_response
from airflow_provider_engagement.engagement_api.time_range import HOUR, TimeRange, to_api
from airflow_provider_engagement.tweet_id import first_id_at

END = datetime(2026, 1, 12, tzinfo=UTC)
ALL_METRICS = metrics_of(Endpoint.HISTORICAL, Auth.USER)


def spread_tweets(number: int, days: float) -> tuple[str, ...]:
    """Return ids of Tweets that were created evenly over the days before :data:`END`."""
    first, last = (int(first_id_at(time)) for time in (END - timedelta(days=days), END))
    return tuple(str(first + (last - first) * index // number) for index in range(number))


def hourly_query(tweet_ids: Sequence[str], days: int, metrics: Sequence[str] = ALL_METRICS) -> Query:
    """Return a query for hourly counts of the days before :data:`END`."""
    return Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=tuple(tweet_ids),
        metrics=tuple(metrics),
        interval=TimeRange(END - timedelta(days=days), END),
    )


def full_hourly_request() -> Request:
    """Return the largest request: 25 Tweets, all metrics, 672 hours."""
    tweet_ids = tuple(str(int(first_id_at(END - timedelta(days=40))) + number) for number in range(25))
    (request,) = plan(hourly_query(tweet_ids, 28))
    return request


def body(request: Request) -> dict[str, Any]:
    """Return the decoded body of an hourly response as the API writes it: counts are strings."""
    if request.window is None:
        raise ValueError("The request has no window. Pass a request on historical.")
    start, end = request.window.start, request.window.end
    days: dict[str, list[str]] = {}
    for number in range(request.window.hours):
        time = start + number * HOUR
        days.setdefault(f"{time:%Y-%m-%d}", []).append(f"{time:%H}")
    edges = [0]
    for hours in days.values():
        edges.append(edges[-1] + len(hours))
    slices = [(day, hours, edges[index], edges[index + 1]) for index, (day, hours) in enumerate(days.items())]

    def history(tweet_id: str, metric: str) -> dict[str, dict[str, str]]:
        counts = _burst((int(tweet_id) >> 22) % 7, ALL_METRICS.index(metric))
        return {day: dict(zip(hours, counts[first:last], strict=True)) for day, hours, first, last in slices}

    return {
        "start": to_api(start),
        "end": to_api(end),
        "hour": {
            tweet_id: {metric: history(tweet_id, metric) for metric in request.query.metrics}
            for tweet_id in request.tweet_ids
        },
    }


@cache
def _burst(tweet: int, metric: int) -> list[str]:
    """Return counts of 672 hours that start high and decay. Most Tweets have few, some have many."""
    chance = random.Random(f"{tweet} {metric}")
    height = math.exp(chance.gauss(4, 2))
    return [str(int(height * chance.random() / (1 + hour) ** 0.8)) for hour in range(672)]


def fetch(request: Request) -> FetchedResponse:
    """Return the response to a request without sending it."""
    return FetchedResponse(
        response=parse_response(request, body(request)), fetched_at=END + timedelta(days=4), authors={}
    )
