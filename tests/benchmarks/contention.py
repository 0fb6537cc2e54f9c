"""Eight tasks at once without a pool: the share of HTTP 429, and the total time compared with one task.

The run is in simulated time. Each task has several threads, and knows of the other tasks only by the headers. The
server counts requests in fixed minutes and responds after 200 ms. Every wait is an event, so hours pass in a second.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from figures import figure

from airflow_provider_engagement.http.limits.headers import HeaderNames, read_headers
from airflow_provider_engagement.http.limits.rate_limit import RateLimit

NAMES = HeaderNames(window="x-per-minute", second="x-per-second")

LATENCY = 0.2
START = 1_768_089_600.0
LIMITS = (60, 300)


def main(tasks: int = 8, threads: int = 8, minutes: int = 10, seeds: int = 5) -> None:
    """Use the whole quota for some minutes, by one task, and by several tasks with equal numbers of requests.

    :param tasks: the number of tasks.
    :param threads: the number of threads of each task.
    :param minutes: for how many minutes the requests use the whole quota.
    :param seeds: the number of runs; the results are their means. The tasks of a run start at different seconds.
    """
    for limit in LIMITS:
        alone = [_pull(limit, minutes, 1, threads, seed) for seed in range(seeds)]
        together = [_pull(limit, minutes, tasks, threads, seed) for seed in range(seeds)]
        rate_limited = sum(many.rate_limited for many in together)
        sent = sum(many.rate_limited + many.accepted for many in together)
        case = f"{tasks} tasks at {limit} a minute"
        figure(
            f"one task at {limit} a minute: rate-limited",
            sum(one.rate_limited for one in alone) / seeds,
            "requests",
            "== 0",
        )
        figure(f"{case}: rate-limited share", rate_limited / sent, "share", "<= 0.05")
        figure(
            f"{case}: time against one task",
            sum(many.finished for many in together) / sum(one.finished for one in alone),
            "ratio",
        )
        figure(f"{case}: time", sum(many.finished for many in together) / seeds, "s")


@dataclass
class Server:
    """Counts in fixed minutes.

    :param limit: requests a minute.
    """

    limit: int
    minute: int = 0
    used: int = 0
    accepted: int = 0
    rate_limited: int = 0
    finished: float = 0.0
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)

    def respond(self, now: float) -> tuple[bool, dict[str, str]]:
        """Return whether a request is within the limit, and the headers of the response."""
        minute = int(now // 60)
        if minute != self.minute:
            self.minute, self.used = minute, 0
        within = self.used < self.limit
        self.used += within
        self.accepted += within
        self.rate_limited += not within
        return within, {
            "x-per-minute-limit": str(self.limit),
            "x-per-minute-remaining": str(self.limit - self.used),
            "x-per-minute-reset": str((minute + 1) * 60),
            "Date": formatdate(int(now), usegmt=True),
        }


def _pull(limit: int, minutes: int, tasks: int, threads: int, seed: int) -> Server:
    """Let tasks send, and return the server; ``finished`` is the seconds from the start to the last response."""
    server = Server(limit)
    order = itertools.count()
    dice = random.Random(seed)
    left = [limit * minutes // tasks] * tasks

    def later(time: float, step: Callable[[float], None]) -> None:
        heapq.heappush(server.events, (time, next(order), step))

    def thread(task: int, rate_limit: RateLimit) -> Callable[[float], None]:
        def next_one(now: float) -> None:
            if left[task] > 0:
                left[task] -= 1
                send(now)

        def send(now: float) -> None:
            next_check = rate_limit.acquire(now)
            if next_check > now:
                later(next_check, send)
            else:
                later(now + LATENCY * dice.uniform(0.4, 0.6), arrive)

        def arrive(now: float) -> None:
            within, headers = server.respond(now)
            later(now + LATENCY * dice.uniform(0.4, 0.6), lambda received: receive(received, within, headers))

        def receive(now: float, within: bool, headers: dict[str, str]) -> None:
            read = read_headers(headers, NAMES, received_at=now)
            if within:
                rate_limit.responded(read, now=now)
                server.finished = now - START
                next_one(now)
            else:
                rate_limit.rate_limited(read, now=now)
                send(now)

        return next_one

    for task in range(tasks):
        rate_limit = RateLimit()
        begins = START + dice.uniform(0, 5)
        for _ in range(threads):
            later(begins, thread(task, rate_limit))
    while server.events:
        now, _, step = heapq.heappop(server.events)
        step(now)
    return server
