"""For comparison: Airflow's own HttpOperator with retries and its deferrable HttpSensor, against the same server.

Needs ``apache-airflow-providers-http``, which ``scripts/bench`` installs for this benchmark alone. Both sides run in
real time, for as long, and one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import operators
from contract import single_requests
from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.dataset.pull import PartsInMemory, fetch_missing
from airflow_provider_engagement.exceptions import EngagementError

TOTALS = "insights/engagement/totals"


def main(limit: int = 60, seconds: int = 120, refusing_seconds: int = 10, threads: int = 8) -> None:
    """Send as much as each client manages against a limit, and wait against a server that refuses everything.

    :param limit: requests a minute.
    :param seconds: how long to send.
    :param refusing_seconds: how long to wait against refusals.
    :param threads: how many requests at once, on both sides.
    """
    logging.disable(logging.CRITICAL)
    with simulation(tweets=limit * (seconds // 60 + 2), limit=limit) as simulated:
        senders = {"HttpOperator with retry_args": _http_operator, "this package": _this_package}
        for name, send in senders.items():
            simulated.ask("reset", {})
            simulated.ask("limits", {"requests_per_minute": limit})
            failed = send(simulated, simulated.begin_window() + seconds, threads)
            found = simulated.requests()
            answered = found.of(200).total()
            figure(f"{name}, {seconds} s: answered", answered, "requests")
            figure(f"{name}, {seconds} s: refused share", found.refused / (found.refused + answered), "share")
            figure(f"{name}, {seconds} s: failed for good", failed, "requests")
        waiters = {"deferrable HttpSensor": _http_sensor, "this package": _this_package_waiting}
        for name, wait in waiters.items():
            simulated.ask("reset", {})
            simulated.ask("limits", {"closed_until": (datetime.now(UTC) + timedelta(days=1)).isoformat()})
            if name == "this package":
                simulated.ask("limits", {"requests_per_minute": 1, "closed_until": None})
                simulated.begin_window()
            wait(simulated, refusing_seconds)
            sent = simulated.requests().refused
            figure(f"{name}, {refusing_seconds} s of refusals: requests", sent, "requests")


def _http_operator(simulated: Simulation, until: float, threads: int) -> int:
    """Send one request after the other in each thread, as so many mapped tasks would, and return how many failed."""
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
            operator = HttpOperator(
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
                operator.execute({})
            except Exception:
                with lock:
                    failed[0] += time.time() < until

    _run_in_threads(sender, threads)
    return failed[0]


def _this_package(simulated: Simulation, until: float, threads: int) -> int:
    client = simulated.client(connections=threads)
    requests = single_requests(simulated.tweet_ids)

    def fetch(request):  # type: ignore[no-untyped-def]
        if time.time() >= until:
            raise TimeoutError
        return client.fetch(request)

    with contextlib.suppress(TimeoutError), contextlib.closing(client):
        return len(fetch_missing(requests, parts=PartsInMemory(), fetch=fetch, workers=threads).failures)
    return 0


def _http_sensor(simulated: Simulation, seconds: float) -> None:
    """Run the trigger that ``HttpSensor(deferrable=True)`` defers to, told to poke every minute."""
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
    client = simulated.client(max_wait=seconds)
    for request in single_requests(simulated.tweet_ids)[:2]:
        with contextlib.suppress(EngagementError):
            _run_in_threads(lambda request=request: client.fetch(request), 1)
