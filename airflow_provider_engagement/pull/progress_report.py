"""Report the progress of a pull: in the log or on a terminal, and wherever it is kept for others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.exceptions import WaitRequired
from airflow_provider_engagement.progress_bar import progress_bar
from airflow_provider_engagement.pull.progress import Progress, ProgressRecord, ProgressSteps, ReportProgress

log = logging.getLogger(__name__)

KeepProgress = Callable[[ProgressRecord], None]


@contextmanager
def reported_progress(name: str, client: EngagementClient, keep: KeepProgress) -> Iterator[ReportProgress]:
    """Yield the function that a pull calls with its progress.

    The progress is logged at most every ten seconds; on a terminal, a progress bar shows it instead. It is kept from
    the start of the pull, after each step, and when the block ends. If the pull then waits, the record says until when.

    :param name: what makes progress, such as the id of the task.
    :param client: the client, which knows the quota.
    :param keep: is called with what to keep.
    """
    last: Progress | None = None
    waits_until: datetime | None = None

    def record(progress: Progress) -> None:
        keep(ProgressRecord(progress=progress, recorded_at=datetime.now(UTC), waits_until=waits_until))

    with progress_bar(name, "requests") as move:

        def step(progress: Progress) -> None:
            if move is None:
                log.info("%s", progress)
            record(progress)

        steps = ProgressSteps(step)

        def report(progress: Progress) -> None:
            nonlocal last
            progress = replace(progress, requests_per_minute=client.limiter.snapshot().limit)
            if last is None:
                record(progress)
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
                record(last)
