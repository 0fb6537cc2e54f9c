"""Eight tasks at once without a pool: refused share, and total time against one task. In simulated time.

Each task has threads of its own and knows of the others only what the headers tell. The server counts in fixed minutes
and answers after 200 ms. Every wait is an event, so that hours pass in a second; the decisions are the product's.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from figures import figure

from airflow_provider_engagement.api.rate_headers import read_headers
from airflow_provider_engagement.api.rate_limit import RateLimit

LATENCY = 0.2
START = 1_768_089_600.0
LIMITS = (60, 300)


def main(tasks: int = 8, threads: int = 8, minutes: int = 10, seeds: int = 5) -> None:
    """Send what fills the contract for so many minutes: as one task, and in equal shares as several.

    :param tasks: how many at once.
    :param threads: of each.
    :param minutes: of full use of the contract.
    :param seeds: how many runs to take the mean of; the tasks of each start at seconds of their own.
    """
    for limit in LIMITS:
        alone = [_pull(limit, minutes, 1, threads, seed) for seed in range(seeds)]
        together = [_pull(limit, minutes, tasks, threads, seed) for seed in range(seeds)]
        refused = sum(many.refused for many in together)
        sent = sum(many.refused + many.accepted for many in together)
        case = f"{tasks} tasks at {limit} a minute"
        figure(f"one task at {limit} a minute: refused", sum(one.refused for one in alone) / seeds, "requests", "== 0")
        figure(f"{case}: refused share", refused / sent, "share", "<= 0.05")
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
    refused: int = 0
    finished: float = 0.0
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)

    def answer(self, now: float) -> tuple[bool, dict[str, str]]:
        """Take a request, and return whether it is within the limit, and the headers."""
        minute = int(now // 60)
        if minute != self.minute:
            self.minute, self.used = minute, 0
        within = self.used < self.limit
        self.used += within
        self.accepted += within
        self.refused += not within
        return within, {
            "x-per-minute-limit": str(self.limit),
            "x-per-minute-remaining": str(self.limit - self.used),
            "x-per-minute-reset": str((minute + 1) * 60),
            "Date": formatdate(int(now), usegmt=True),
        }


def _pull(limit: int, minutes: int, tasks: int, threads: int, seed: int) -> Server:
    """Let tasks send, and return what the server counted; ``finished`` is seconds from the start to the last answer."""
    server = Server(limit)
    order = itertools.count()
    dice = random.Random(seed)
    left = [limit * minutes // tasks] * tasks

    def later(moment: float, step: Callable[[float], None]) -> None:
        heapq.heappush(server.events, (moment, next(order), step))

    def thread(task: int, budget: RateLimit) -> Callable[[float], None]:
        def next_one(now: float) -> None:
            if left[task] > 0:
                left[task] -= 1
                ask(now)

        def ask(now: float) -> None:
            moment = budget.acquire(now)
            if moment > now:
                later(moment, ask)
            else:
                later(now + LATENCY * dice.uniform(0.4, 0.6), arrive)

        def arrive(now: float) -> None:
            within, headers = server.answer(now)
            later(now + LATENCY * dice.uniform(0.4, 0.6), lambda received: receive(received, within, headers))

        def receive(now: float, within: bool, headers: dict[str, str]) -> None:
            read = read_headers(headers, received_at=now)
            if within:
                budget.answered(read, now=now)
                server.finished = now - START
                next_one(now)
            else:
                budget.refused(read, now=now)
                ask(now)

        return next_one

    for task in range(tasks):
        budget = RateLimit()
        begins = START + dice.uniform(0, 5)
        for _ in range(threads):
            later(begins, thread(task, budget))
    while server.events:
        now, _, step = heapq.heappop(server.events)
        step(now)
    return server
