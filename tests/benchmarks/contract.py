"""Share of the quota used over five minutes at 6, 60 and 300 requests a minute, and HTTP 429. In real time.

All cases run at the same time, each with a simulator and a client. A deferrable task ends when a wait exceeds
``max_inline_wait``, and starts again up to ten seconds after the reset, plus the time that a task takes to start. It
then knows only its stored responses.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request, plan
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.exceptions import WaitRequired
from airflow_provider_engagement.operators.waiting import wake_at
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.response_store import ResponseStore

LIMITS = (6, 60, 300)
SPREAD = 10.0
START_SECONDS = 3.0
LATENCY = 0.2


def main(minutes: int = 5, threads: int = 8) -> None:
    """Use the whole quota.

    :param minutes: for how many minutes. The runs start with a minute of the simulator.
    :param threads: the number of threads of each client.
    """
    ways: dict[str, Callable[..., None]] = {"synchronous": _synchronous, "deferrable": _deferrable}
    cases = [(limit, way) for limit in LIMITS for way in ways]
    with ThreadPoolExecutor(len(cases)) as pool:
        measured = pool.map(lambda case: _measure(case[0], ways[case[1]], minutes, threads), cases)
        for (limit, way), (share, rate_limited) in zip(cases, measured, strict=True):
            goal = None if limit < 60 else ">= 0.98"
            figure(f"{limit} a minute, {way}: share used", share, "share", goal)
            figure(f"{limit} a minute, {way}: rate-limited", rate_limited / minutes, "requests/minute", "== 0")


def _measure(limit: int, way: Callable[..., None], minutes: int, threads: int) -> tuple[float, int]:
    with (
        simulation(tweets=limit * (minutes + 1), limit=limit, latency=LATENCY) as simulated,
        tempfile.TemporaryDirectory() as folder,
    ):
        requests = single_requests(simulated.tweet_ids)
        until = simulated.begin_minute() + minutes * 60
        way(simulated, requests, ResponseStore(Path(folder), identities={None: ""}), until, threads)
        found = simulated.requests()
    return found.share_used(limit, minutes), found.rate_limited(minutes)


class _TimeIsUp(Exception):
    """The benchmark has ended."""


def _until(end: float, fetch: Callable[[Request], FetchedResponse]) -> Callable[[Request], FetchedResponse]:
    def fetch_in_time(request: Request) -> FetchedResponse:
        if time.time() >= end:
            raise _TimeIsUp
        return fetch(request)

    return fetch_in_time


def _synchronous(
    simulated: Simulation, requests: list[Request], store: ResponseStore, until: float, threads: int
) -> None:
    with simulated.client(max_connections=threads) as client, contextlib.suppress(_TimeIsUp):
        fetch_missing(requests, store=store, fetch=_until(until, client.fetch), concurrent_requests=threads)


def _deferrable(
    simulated: Simulation, requests: list[Request], store: ResponseStore, until: float, threads: int
) -> None:
    while True:
        with simulated.client(max_connections=threads, max_inline_wait=30.0) as client:
            try:
                fetch_missing(requests, store=store, fetch=_until(until, client.fetch), concurrent_requests=threads)
                return
            except _TimeIsUp:
                return
            except WaitRequired as required:
                resume_at = wake_at(required.until.timestamp(), key=simulated.base_url, spread=SPREAD) + START_SECONDS
        if resume_at >= until:
            return
        time.sleep(max(0.0, resume_at - time.time()))


def single_requests(tweet_ids: list[str]) -> list[Request]:
    """Return a request for each Tweet, so that a few Tweets are enough for many requests."""
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=tuple(tweet_ids), metrics=("favorites", "replies"))
    return [replace(request, tweet_ids=(one,)) for request in plan(query) for one in request.tweet_ids]
