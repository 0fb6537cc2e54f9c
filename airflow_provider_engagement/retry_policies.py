"""A retry policy that waits for the rate limit by retrying. It needs Airflow 3.3 or newer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_engagement.exceptions import RateLimitedError, WaitRequired
from airflow_provider_engagement.operators.waiting import WaitsByRetrying, spread

if TYPE_CHECKING:
    from airflow.sdk import Context

MINUTE = timedelta(minutes=1)
"""How long to wait if the API does not say when the rate limit resets."""


class RateLimitRetryPolicy(WaitsByRetrying, RetryPolicy):
    """Retries a rate-limited task when the rate limit resets. For other failures, the task's own settings apply.

    A pull with this policy does not defer or reschedule itself. It fails, and Airflow retries it at the reset. Each
    wait uses one of the task's ``retries``; a deferral does not.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide whether and when to retry a failed task.

        :param exception: the error of the attempt.
        :param try_number: the number of the attempt.
        :param max_tries: how many attempts the task has.
        :param context: the task's context.
        """
        now = datetime.now(UTC)
        if isinstance(exception, WaitRequired):
            resumes_at = exception.until
        elif isinstance(exception, RateLimitedError):
            resumes_at = now + MINUTE
        else:
            return RetryDecision.default()
        return RetryDecision.retry(delay=max(spread(resumes_at, context) - now, timedelta(0)), reason=str(exception))
