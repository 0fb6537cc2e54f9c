"""For comparison: Airflow's own HttpOperator with retries and its deferrable HttpSensor, against the same server.

Needs ``apache-airflow-providers-http``, which ``scripts/bench`` installs for this benchmark alone. Both sides run in
real time, for as long, and one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time

import operators
from contract import single_requests
from figures import figure
from simulators import Simulation, simulation

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.dataset.fetch import PartsInMemory, fetch_missing

TOTALS = "insights/engagement/totals"


def main(limit: int = 60, minutes: int = 2, refusing_seconds: int = 10, threads: int = 8) -> None:
    """Send as much as each client manages against a limit, and wait against a server that refuses everything.

    :param limit: requests a minute.
    :param minutes: how long to send.
    :param refusing_seconds: how long to wait against refusals.
    :param threads: how many requests at once, on both sides.
    """
    with simulation(tweets=limit * (minutes + 2), limit=limit) as simulated:
        senders = {"HttpOperator with retry_args": _http_operator, "this package": _this_package}
        for name, send in senders.items():
            simulated.ask("reset", {})
            simulated.ask("limits", {"requests_per_minute": limit})
            failed = send(simulated, simulated.begin_window() + minutes * 60, threads)
            found = simulated.requests()
            accepted, refused = found.accepted(minutes), found.refused(minutes)
            figure(f"{name}, {minutes} min: share of the contract used", found.share_used(limit, minutes), "share")
            figure(f"{name}, {minutes} min: refused share", refused / (refused + accepted), "share")
            figure(f"{name}, {minutes} min: failed for good", failed, "requests")
        waiters = {"deferrable HttpSensor": _http_sensor, "this package": _this_package_waiting}
        for name, wait in waiters.items():
            simulated.ask("reset", {})
            simulated.ask("faults", [{"status": 429, "times": None, "headers": {"Retry-After": "30"}}])
            wait(simulated, refusing_seconds)
            sent = simulated.requests().refused()
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
    client = simulated.client(connections=threads)
    requests = single_requests(simulated.tweet_ids)

    def fetch(request: Request) -> Fetched:
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
    client = simulated.client()
    threading.Thread(target=client.fetch, args=[single_requests(simulated.tweet_ids)[0]], daemon=True).start()
    time.sleep(seconds)


def _headers(simulated: Simulation) -> dict[str, str]:
    token = simulated.description["connections"]["public"]["extra"]["bearer_token"]
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept-Encoding": "gzip"}
