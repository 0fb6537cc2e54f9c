"""Tell how far a pull is: in the task's log, on a terminal, and in the state that Airflow keeps of the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import WaitRequired
from airflow_provider_engagement.progress_bar import progress_bar
from airflow_provider_engagement.pull.progress import (
    PROGRESS_KEY,
    Progress,
    ProgressRecord,
    ProgressSteps,
    ReportProgress,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.client import EngagementClient
    from airflow_provider_engagement.operators.base import EngagementPullOperator


@contextmanager
def reported_progress(
    operator: EngagementPullOperator, client: EngagementClient, context: Context
) -> Iterator[ReportProgress]:
    """Yield the function that a pull calls with its progress.

    The progress is logged at sensible steps; on a terminal, a progress bar shows it instead. The task's state has it
    from the start of the pull, after each step, and when the block ends. If the pull then waits, the state says until
    when.

    :param operator: the operator.
    :param client: the client, which knows the quota.
    :param context: the task's context.
    """
    last: Progress | None = None
    waits_until: datetime | None = None

    def keep(progress: Progress) -> None:
        record = ProgressRecord(progress=progress, recorded_at=datetime.now(UTC), waits_until=waits_until)
        _keep(record, context, operator)

    with progress_bar(operator.task_id, "requests") as move:

        def step(progress: Progress) -> None:
            if move is None:
                operator.log.info("%s", progress)
            keep(progress)

        steps = ProgressSteps(step)

        def report(progress: Progress) -> None:
            nonlocal last
            progress = replace(progress, requests_per_minute=client.limiter.snapshot().limit)
            if last is None:
                keep(progress)
            last = progress
            if move is not None:
                move(progress.done, progress.planned)
            steps.update(progress)

        try:
            yield report
        except WaitRequired as required:
            waits_until = required.until
            raise
        finally:
            if last is not None:
                keep(last)


def _keep(record: ProgressRecord, context: Context, operator: EngagementPullOperator) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError

    store = context.get("task_state_store")
    if store is None:
        return
    try:
        store.set(PROGRESS_KEY, record.to_dict())
    except AirflowRuntimeError as error:
        # A pull does not fail because its progress cannot be kept.
        operator.log.warning("The state of the task does not have the progress: %s", error)
