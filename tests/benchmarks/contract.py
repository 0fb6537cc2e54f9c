"""Share of the contract used over five minutes at 6, 60 and 300 requests a minute, and refused requests. In real time.

The limits are tried at the same time, each with a simulator and a client of its own. A task that waits in the triggerer
is one that leaves at waits over ``max_inline_wait``, comes back within ten seconds after the reset, knows nothing then but
its parts, and takes so many seconds to start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.api.catalogue import Auth, Endpoint
from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request, plan
from airflow_provider_engagement.api.query import Query
from airflow_provider_engagement.api.rate_limit import wake_at
from airflow_provider_engagement.dataset.fetch import PartsInMemory, fetch_missing
from airflow_provider_engagement.exceptions import WaitRequired

LIMITS = (6, 60, 300)
SPREAD = 10.0
START_SECONDS = 3.0
LATENCY = 0.2


def main(minutes: int = 5, workers: int = 8) -> None:
    """Fill the contract.

    :param minutes: for so long; the runs begin with a minute of the simulator.
    :param workers: threads of each client.
    """
    ways: dict[str, Callable[..., None]] = {"synchronous": _synchronous, "deferrable": _deferrable}
    cases = [(limit, way) for limit in LIMITS for way in ways]
    with ThreadPoolExecutor(len(cases)) as pool:
        measured = pool.map(lambda case: _measure(case[0], ways[case[1]], minutes, workers), cases)
        for (limit, way), (share, refused) in zip(cases, measured, strict=True):
            goal = None if limit < 60 else ">= 0.98"
            figure(f"{limit} a minute, {way}: share used", share, "share", goal)
            figure(f"{limit} a minute, {way}: refused", refused / minutes, "requests/minute", "== 0")


def _measure(limit: int, way: Callable[..., None], minutes: int, workers: int) -> tuple[float, int]:
    with simulation(tweets=limit * (minutes + 1), limit=limit, latency=LATENCY) as simulated:
        requests = single_requests(simulated.tweet_ids)
        until = simulated.begin_window() + minutes * 60
        way(simulated, requests, until, workers)
        found = simulated.requests()
    return found.share_used(limit, minutes), found.refused(minutes)


class _Over(Exception):
    """The time of the benchmark is."""


def _until(moment: float, fetch: Callable[[Request], Fetched]) -> Callable[[Request], Fetched]:
    def fetch_in_time(request: Request) -> Fetched:
        if time.time() >= moment:
            raise _Over
        return fetch(request)

    return fetch_in_time


def _synchronous(simulated: Simulation, requests: list[Request], until: float, workers: int) -> None:
    client = simulated.client(connections=workers)
    try:
        fetch_missing(requests, parts=PartsInMemory(), fetch=_until(until, client.fetch), workers=workers)
    except _Over:
        pass
    finally:
        client.close()


def _deferrable(simulated: Simulation, requests: list[Request], until: float, workers: int) -> None:
    parts = PartsInMemory()
    while True:
        client = simulated.client(connections=workers, max_inline_wait=30.0)
        try:
            fetch_missing(requests, parts=parts, fetch=_until(until, client.fetch), workers=workers)
            return
        except _Over:
            return
        except WaitRequired as required:
            wake = wake_at(required.until.timestamp(), key=simulated.base_url, spread=SPREAD) + START_SECONDS
            if wake >= until:
                return
            time.sleep(max(0.0, wake - time.time()))
        finally:
            client.close()


def single_requests(tweet_ids: list[str]) -> list[Request]:
    """Return a request for each Tweet, so that a small world is enough for many."""
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=tuple(tweet_ids), metrics=("favorites", "replies"))
    return [replace(request, tweet_ids=(one,)) for request in plan(query) for one in request.tweet_ids]
