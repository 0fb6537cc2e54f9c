"""Waits for the rate limit by retries, for those who prefer them. Needs Airflow 3.3 or newer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_engagement.api.rate_limit import wake_at
from airflow_provider_engagement.exceptions import RateLimitedError, WaitRequired
from airflow_provider_engagement.operators.waiting import SPREAD_SECONDS, task_key

if TYPE_CHECKING:
    from airflow.sdk import Context

WINDOW = timedelta(seconds=60)
"""How long a window of the rate limit is, and so how long to wait where the API does not say when it ends."""


class RateLimitRetryPolicy(RetryPolicy):
    """Retries a task that the rate limit holds back when the limit resets; any other failure as the task says.

    A pull with this policy neither defers nor reschedules itself: it fails with what the limit says, and is retried
    then. Each wait uses up one of the task's ``retries``, which a deferral does not.
    """

    waits_by_retrying = True

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide what becomes of a failed try.

        :param exception: why it failed.
        :param try_number: the number of the try.
        :param max_tries: how many tries the task has.
        :param context: the task's context.
        """
        now = datetime.now(UTC)
        if isinstance(exception, WaitRequired):
            moment = exception.until
        elif isinstance(exception, RateLimitedError):
            moment = now + WINDOW
        else:
            return RetryDecision.default()
        key = task_key(context) if context else ""
        wake = datetime.fromtimestamp(wake_at(moment.timestamp(), key=key, spread=SPREAD_SECONDS), UTC)
        return RetryDecision.retry(delay=max(wake - now, timedelta(0)), reason=str(exception))
