"""The ledger: which Tweets and users an app has read, and what that costs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.entities import App

Resource = Literal["tweet", "own_tweet", "user"]

PRICE_OF_READ: Final[dict[Resource, Decimal]] = {
    "tweet": Decimal("0.005"),
    "own_tweet": Decimal("0.001"),
    "user": Decimal("0.010"),
}
"""What one read costs in US dollars (pricing page, 2026-08).

An own Tweet costs less if the owner of the app lists it with the owner's token.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BilledRead:
    """One read that is billed.

    :param day: the UTC day, by the rate clock.
    :param consumer_key: the app.
    :param resource: what was read: ``tweet``, ``own_tweet`` or ``user``.
    :param id: the id of the Tweet or user.
    """

    day: date
    consumer_key: str
    resource: Resource
    id: str

    @property
    def price(self) -> Decimal:
        """The price in US dollars."""
        return PRICE_OF_READ[self.resource]

    def to_json(self) -> dict[str, Any]:
        """Return the read as JSON values."""
        return {
            "day": self.day.isoformat(),
            "consumer_key": self.consumer_key,
            "resource": self.resource,
            "id": self.id,
            "price": str(self.price),
        }


class Ledger:
    """All billed reads, in order.

    :param clock: the rate clock, whose UTC days count.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reads: list[BilledRead] = []
        self._seen: set[tuple[date, str, str, str]] = set()
        self._cost: dict[str, Decimal] = {}
        self._tweets: dict[str, Counter[date]] = {}

    def add(self, app: App, resource: Resource, ids: Iterable[str], *, deduplicated: bool) -> None:
        """Bill some reads.

        :param app: the app that has read.
        :param resource: what it has read.
        :param ids: the Tweets or users.
        :param deduplicated: whether what the app has already read on this day is free.
        """
        day = self._clock.now().date()
        kind = "user" if resource == "user" else "tweet"
        with self._lock:
            new = []
            for identifier in ids:
                key = (day, app.consumer_key, kind, identifier)
                if not (deduplicated and key in self._seen):
                    self._seen.add(key)
                    new.append(BilledRead(day=day, consumer_key=app.consumer_key, resource=resource, id=identifier))
            self._reads += new
            self._cost[app.consumer_key] = self._cost.get(app.consumer_key, Decimal(0)) + PRICE_OF_READ[resource] * len(
                new
            )
            if kind == "tweet":
                self._tweets.setdefault(app.consumer_key, Counter())[day] += len(new)

    @property
    def reads(self) -> tuple[BilledRead, ...]:
        """The billed reads so far."""
        with self._lock:
            return tuple(self._reads)

    def cost(self, app: App) -> Decimal:
        """Return what an app has spent, in US dollars."""
        with self._lock:
            return self._cost.get(app.consumer_key, Decimal(0))

    def tweets_by_day(self, app: App) -> dict[date, int]:
        """Return how many Tweets of each UTC day are billed to an app."""
        with self._lock:
            return dict(self._tweets.get(app.consumer_key, ()))

    def tweets_of_month(self, app: App) -> int:
        """Return how many Tweets of this month are billed to an app. A month begins on its first day (invented)."""
        first = self._clock.now().date().replace(day=1)
        return sum(number for day, number in self.tweets_by_day(app).items() if day >= first)

    def clear(self) -> None:
        """Remove all reads."""
        with self._lock:
            self._reads.clear()
            self._seen.clear()
            self._cost.clear()
            self._tweets.clear()
