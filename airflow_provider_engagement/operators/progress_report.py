"""Tell how far a pull is: in the task's log, and in the state that Airflow keeps of the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.api.client import EngagementClient
    from airflow_provider_engagement.dataset.progress import Progress
    from airflow_provider_engagement.operators.base import EngagementPullOperator

STATE_KEY = "engagement_progress"
"""The key of the progress in the state of the task, which exists since Airflow 3.3."""


def reporter(
    operator: EngagementPullOperator, client: EngagementClient, context: Context
) -> Callable[[Progress], None]:
    """Return a function that logs the progress of a pull, and keeps it in the task's state.

    :param operator: the operator.
    :param client: the client, which knows the quota.
    :param context: the task's context.
    """

    def report(progress: Progress) -> None:
        progress = replace(progress, requests_per_minute=client.limiter.snapshot().limit)
        operator.log.info("%s", progress)
        store = context.get("task_state_store")
        if store is not None:
            store.set(STATE_KEY, {**progress.to_dict(), "at": datetime.now(UTC).isoformat(timespec="seconds")})

    return report
