"""How many requests an attempt has sent and how long it has waited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from airflow_provider_engagement.engagement_api.client import EngagementClient


@dataclass(frozen=True, slots=True)
class AttemptTotals:
    """Totals of one attempt, before and after each of its waits.

    :param sent: requests sent, with repetitions.
    :param rate_limited: how many of them got HTTP 429.
    :param waited_seconds: time spent waiting in place, summed over the threads.
    """

    sent: int = 0
    rate_limited: int = 0
    waited_seconds: float = 0.0

    @classmethod
    def from_client(cls, client: EngagementClient) -> Self:
        """Return the totals of a client."""
        return cls(client.requests_sent, client.limiter.rate_limited_requests, client.limiter.waited_seconds)

    def __add__(self, other: AttemptTotals) -> AttemptTotals:
        return AttemptTotals(
            self.sent + other.sent,
            self.rate_limited + other.rate_limited,
            self.waited_seconds + other.waited_seconds,
        )
