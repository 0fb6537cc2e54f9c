"""What Airflow keeps of a task over its waits, since 3.3: its progress, and the totals of its attempt."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.progress import PROGRESS_KEY, ProgressRecord

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def add_to_attempt(context: Context, since_last_wait: AttemptTotals) -> AttemptTotals:
    """Add totals to those from before the last wait of the attempt, and save the sum for the next wait.

    On Airflow 3.2, the totals start anew after each wait.

    :param context: the task's context.
    :param since_last_wait: the totals since the last wait.
    :return: the totals of the attempt.
    """
    store = context.get("task_state_store")
    if store is None:
        return since_last_wait
    key = f"engagement_attempt_{context['ti'].try_number}"
    saved: Any = store.get(key)
    totals = AttemptTotals(**saved) + since_last_wait if saved else since_last_wait
    store.set(key, asdict(totals))
    return totals


def keep_progress(context: Context, record: ProgressRecord) -> None:
    """Keep the progress of the pull. A pull does not fail because its progress cannot be kept."""
    store = context.get("task_state_store")
    if store is None:
        return
    try:
        store.set(PROGRESS_KEY, record.to_dict())
    except AirflowRuntimeError as error:
        log.warning("The state of the task does not have the progress: %s", error)
