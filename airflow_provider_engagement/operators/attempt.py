"""How many requests an attempt has sent and how long it has waited, before and after each of its waits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.client import EngagementClient


@dataclass(frozen=True, slots=True)
class AttemptTotals:
    """Totals of one attempt.

    :param sent: requests sent, with repetitions.
    :param rate_limited: how many of them got HTTP 429.
    :param waited_seconds: time spent waiting in place, summed over the threads.
    """

    sent: int = 0
    rate_limited: int = 0
    waited_seconds: float = 0.0

    @classmethod
    def of(cls, client: EngagementClient) -> Self:
        """Return the totals of a client."""
        return cls(client.requests_sent, client.limiter.rate_limited_requests, client.limiter.waited_seconds)

    def __add__(self, other: AttemptTotals) -> AttemptTotals:
        return AttemptTotals(
            self.sent + other.sent,
            self.rate_limited + other.rate_limited,
            self.waited_seconds + other.waited_seconds,
        )


def add_to_attempt(context: Context, client: EngagementClient) -> AttemptTotals:
    """Add a client's totals to those from before the last wait of the attempt, and save the sum for the next wait.

    Airflow keeps a task's state over its waits since 3.3. On 3.2, the totals start anew after each wait.

    :param context: the task's context.
    :param client: the client that was used since the last wait.
    :return: the totals of the attempt.
    """
    since_last_wait = AttemptTotals.of(client)
    store = context.get("task_state_store")
    if store is None:
        return since_last_wait
    key = f"engagement_attempt_{context['ti'].try_number}"
    saved: Any = store.get(key)
    totals = AttemptTotals(**saved) + since_last_wait if saved else since_last_wait
    store.set(key, asdict(totals))
    return totals
