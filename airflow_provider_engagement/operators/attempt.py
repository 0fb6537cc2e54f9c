"""What a try has sent and waited, over all of its waits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.api.client import EngagementClient


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of a try.

    :param sent: requests sent, repetitions included.
    :param refused: of these, those refused for their rate.
    :param waited_seconds: waited in place, added up over the threads.
    """

    sent: int = 0
    refused: int = 0
    waited_seconds: float = 0.0

    @classmethod
    def of(cls, client: EngagementClient) -> Self:
        """Return the numbers of a client."""
        return cls(client.requests_sent, client.pace.refused_requests, client.pace.waited_seconds)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.sent + other.sent, self.refused + other.refused, self.waited_seconds + other.waited_seconds)


def remember(context: Context, client: EngagementClient) -> Tally:
    """Add a client's numbers to those of the same try before its last wait, and keep the sum for after the next.

    Airflow keeps a task's state over its waits since 3.3; before, a try knows only what it did since the last one.

    :param context: the task's context.
    :param client: what was used since the last wait.
    :return: what was done in the try.
    """
    now = Tally.of(client)
    store = context.get("task_state_store")
    if store is None:
        return now
    key = f"engagement_tally_{context['ti'].try_number}"
    before: Any = store.get(key)
    total = Tally(**before) + now if before else now
    store.set(key, asdict(total))
    return total
