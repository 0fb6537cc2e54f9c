"""Requests and their responses, made without a network. Each count follows from its Tweet and metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import parse_response

FETCHED_AT = datetime(2026, 1, 12, 9, 30, 15, 250_000, UTC)
METRICS = ("favorites", "retweets")


def count_of(tweet_id: str, metric: str) -> int:
    """Return the count of a Tweet and metric in every response."""
    return int(tweet_id) % 10**9 * 100 + len(metric)


@pytest.fixture
def count() -> Callable[[str, str], int]:
    """Return the count of a Tweet and metric in every response."""
    return count_of


@pytest.fixture
def request_for() -> Callable[..., Request]:
    """Return a request for Tweets, by default on ``totals``. Keyword arguments replace fields of the query."""

    def made(*tweet_ids: str, **changes: Any) -> Request:
        query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=tweet_ids, metrics=METRICS)
        query = replace(query, **{"owner": "7" if changes.get("auth") is Auth.USER else None, **changes})
        return Request(query, tweet_ids, query.interval)

    return made


@pytest.fixture
def response_to() -> Callable[..., FetchedResponse]:
    """Return the API's response to a request on ``totals``. Keyword arguments replace keys of its body."""

    def responded(
        request: Request,
        *,
        without: Sequence[str] = (),
        authors: Mapping[str, str | None] | None = None,
        **body: Any,
    ) -> FetchedResponse:
        metrics = request.query.metrics
        tweet_ids = [tweet_id for tweet_id in request.tweet_ids if tweet_id not in without]
        rows = {tweet_id: {metric: str(count_of(tweet_id, metric)) for metric in metrics} for tweet_id in tweet_ids}
        sums = {
            name: {metric: str(sum(count_of(tweet_id, metric) for tweet_id in tweet_ids)) for metric in metrics}
            for name in request.query.groupings
        }
        return FetchedResponse(
            response=parse_response(request, {"total": rows, **sums, **body}),
            fetched_at=FETCHED_AT,
            authors=dict(authors or {}),
        )

    return responded
