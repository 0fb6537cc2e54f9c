"""Comparison with Airflow's HttpOperator with retries and its deferrable HttpSensor, on the same server.

This needs ``apache-airflow-providers-http``, which ``scripts/bench`` installs for this benchmark only. All run in real
time, one after the other, for the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
import time
from pathlib import Path

import operators
from contract import single_requests
from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.response_store import ResponseStore

TOTALS = "insights/engagement/totals"


def main(limit: int = 60, minutes: int = 2, rejecting_seconds: int = 10, threads: int = 8) -> None:
    """Send as many requests as a limit allows, and wait for a server that returns only HTTP 429.

    :param limit: requests per minute.
    :param minutes: for how many minutes to send requests.
    :param rejecting_seconds: for how many seconds to wait for the server that returns HTTP 429.
    :param threads: how many requests each client sends at once.
    """
    with simulation(tweets=limit * (minutes + 2), limit=limit) as simulated:
        senders = {"HttpOperator with retry_args": _http_operator, "this package": _this_package}
        for name, send in senders.items():
            simulated.control("reset", {})
            simulated.control("limits", {"requests_per_minute": limit})
            failed = send(simulated, simulated.begin_minute() + minutes * 60, threads)
            found = simulated.requests()
            accepted, rate_limited = found.accepted(minutes), found.rate_limited(minutes)
            figure(f"{name}, {minutes} min: share of the quota used", found.share_used(limit, minutes), "share")
            figure(f"{name}, {minutes} min: rate-limited share", rate_limited / (rate_limited + accepted), "share")
            figure(f"{name}, {minutes} min: failed", failed, "requests")
        waiters = {"deferrable HttpSensor": _http_sensor, "this package": _this_package_waiting}
        for name, wait in waiters.items():
            simulated.control("reset", {})
            simulated.control("faults", [{"status": 429, "times": None, "headers": {"Retry-After": "30"}}])
            wait(simulated, rejecting_seconds)
            sent = simulated.requests().rate_limited()
            figure(f"{name}, {rejecting_seconds} s of HTTP 429: requests", sent, "requests")


def _http_operator(simulated: Simulation, until: float, threads: int) -> int:
    """Send one request after the other in each thread, as mapped tasks do, and return how many failed."""
    import tenacity
    from airflow.providers.http.operators.http import HttpOperator

    operators.connect("http_default", json.dumps({"conn_type": "http", "host": simulated.base_url}))
    headers = _headers(simulated)
    queue = iter(single_requests(simulated.tweet_ids))
    lock = threading.Lock()
    failed = [0]

    def in_time(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= 10 or time.time() >= until

    def sender() -> None:
        while time.time() < until:
            with lock:
                request = next(queue, None)
            if request is None:
                return
            pull = HttpOperator(
                task_id="pull",
                endpoint=TOTALS,
                data=json.dumps(request.body()),
                headers=headers,
                retry_args={
                    "wait": tenacity.wait_exponential(min=1, max=60),
                    "stop": in_time,
                    "retry": tenacity.retry_if_exception_type(Exception),
                    "reraise": True,
                },
            )
            try:
                pull.execute({})
            except Exception:
                with lock:
                    failed[0] += time.time() < until

    senders = [threading.Thread(target=sender) for _ in range(threads)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    return failed[0]


def _this_package(simulated: Simulation, until: float, threads: int) -> int:
    requests = single_requests(simulated.tweet_ids)

    def fetch(request: Request) -> FetchedResponse:
        if time.time() >= until:
            raise TimeoutError
        return client.fetch(request)

    with (
        contextlib.suppress(TimeoutError),
        tempfile.TemporaryDirectory() as folder,
        simulated.client(max_connections=threads) as client,
    ):
        store = ResponseStore(Path(folder), identities={None: ""})
        return len(fetch_missing(requests, store=store, fetch=fetch, concurrent_requests=threads).failures)
    return 0


def _http_sensor(simulated: Simulation, seconds: float) -> None:
    """Run the trigger of ``HttpSensor(deferrable=True)``, which pokes every minute."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    operators.connect("http_default", json.dumps({"conn_type": "http", "host": simulated.base_url}))
    trigger = HttpSensorTrigger(
        endpoint=TOTALS,
        method="POST",
        data=json.dumps(single_requests(simulated.tweet_ids)[0].body()),
        headers=_headers(simulated),
        poke_interval=60,
    )

    async def watch() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in trigger.run():
                    return

    asyncio.run(watch())


def _this_package_waiting(simulated: Simulation, seconds: float) -> None:
    client = simulated.client()
    threading.Thread(target=client.fetch, args=[single_requests(simulated.tweet_ids)[0]], daemon=True).start()
    time.sleep(seconds)


def _headers(simulated: Simulation) -> dict[str, str]:
    token = simulated.description["connections"]["public"]["extra"]["bearer_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept-Encoding": "gzip"}
