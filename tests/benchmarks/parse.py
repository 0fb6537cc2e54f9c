"""Responses to Parquet: counts per second on one core, for totals and for full hourly responses.

Times are processor times of all threads, as on one core. Each stage is a figure too.
"""

from __future__ import annotations

import gzip
import json
import random

from figures import figure, in_own_process
from histories import full_hourly_request, spread_tweets
from hourly import rates, raw_response, store_responses

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.planner import Request, plan
from airflow_provider_engagement.engagement_api.query import Query


def main(totals: int = 200, hourly: int = 10) -> None:
    """Parse and store full responses of both kinds.

    :param totals: the number of responses with totals of 250 Tweets.
    :param hourly: the number of responses with 28 days of 25 Tweets.
    """
    request = _totals_request()
    _print("totals", request, _raw_totals(request), totals, len(request.tweet_ids), None)
    request = full_hourly_request()
    _print("hourly", request, raw_response(request), hourly, len(request.tweet_ids) * 672, ">= 3000000")


def _print(kind: str, request: Request, raw: bytes, responses: int, rows: int, goal: str | None) -> None:
    stages, _ = in_own_process(store_responses, request, raw, responses)
    for name, value in rates(stages, responses * rows * len(request.query.metrics)).items():
        figure(f"{kind}, {name}", value, "counts/s", goal if name == "raw to stored" else None)


def _totals_request() -> Request:
    query = Query(
        endpoint=Endpoint.TOTALS,
        auth=Auth.APP,
        tweet_ids=spread_tweets(250, 365),
        metrics=metrics_of(Endpoint.TOTALS, Auth.APP),
    )
    (request,) = plan(query)
    return request


def _raw_totals(request: Request) -> bytes:
    chance = random.Random(0)
    total = {
        tweet_id: {metric: str(int(chance.lognormvariate(5, 2))) for metric in request.query.metrics}
        for tweet_id in request.tweet_ids
    }
    return gzip.compress(json.dumps({"total": total}, separators=(",", ":")).encode(), 6)
