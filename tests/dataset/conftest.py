"""Requests and what the API answers to them, made without a network: each count follows from its Tweet and metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.api.catalogue import Auth, Endpoint
from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Query
from airflow_provider_engagement.api.response import parse_response

FETCHED_AT = datetime(2026, 1, 12, 9, 30, 15, 250_000, UTC)
METRICS = ("favorites", "retweets")


def truth(tweet_id: str, metric: str) -> int:
    """The count that a made-up answer gives."""
    return int(tweet_id) % 10**9 * 100 + len(metric)


@pytest.fixture
def count() -> Callable[[str, str], int]:
    """The truth about a Tweet and metric."""
    return truth


@pytest.fixture
def request_for() -> Callable[..., Request]:
    """Make a request for some Tweets; other fields of the query can be given, and a window."""

    def made(*tweet_ids: str, **changes: Any) -> Request:
        query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=tweet_ids, metrics=METRICS)
        query = replace(query, **changes)
        return Request(query, tweet_ids, query.window)

    return made


@pytest.fixture
def answer_to() -> Callable[..., Fetched]:
    """ParsedResponse a request for totals, as the API would: a body of its own can be mixed in."""

    def answered(
        request: Request,
        *,
        without: Sequence[str] = (),
        authors: Mapping[str, str | None] | None = None,
        **body: Any,
    ) -> Fetched:
        left = [tweet_id for tweet_id in request.tweet_ids if tweet_id not in without]
        tree = {
            tweet_id: {metric: str(truth(tweet_id, metric)) for metric in request.query.metrics} for tweet_id in left
        }
        sums = {
            name: {metric: str(sum(truth(tweet_id, metric) for tweet_id in left)) for metric in request.query.metrics}
            for name in request.query.groupings
        }
        return Fetched(
            answer=parse_response(request, {"total": tree, **sums, **body}),
            fetched_at=FETCHED_AT,
            authors=dict(authors or {}),
        )

    return answered
