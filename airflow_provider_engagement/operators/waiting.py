"""How a task waits for the rate limit: without a worker slot, without a retry, and with a limit."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_engagement.exceptions import MaxWaitExceededError

if TYPE_CHECKING:
    from airflow.sdk import Context

SPREAD_SECONDS = 10.0
"""Tasks that wait for the same time resume within this many seconds of it, each at a different time."""

TRIGGERER_GRACE = timedelta(minutes=5)
"""How long after its time a deferral times out, so that a triggerer that was down can catch up."""


class WaitingTask(Protocol):
    """An operator that can release its worker slot."""

    @property
    def log(self) -> Any:
        """The log of the task."""

    def defer(self, *, trigger: Any, method_name: str, timeout: timedelta | None) -> NoReturn:
        """Release the worker slot until a trigger fires."""


class WaitsByRetrying:
    """A retry policy of a task that fails in order to wait, instead of releasing its worker slot."""


def wait_until(
    time: datetime, *, operator: WaitingTask, context: Context, deferrable: bool, max_wait: float
) -> NoReturn:
    """Release the worker slot, and let Airflow execute the task again at a time.

    :param time: the earliest time at which to resume, in UTC.
    :param operator: the task's operator.
    :param context: the task's context.
    :param deferrable: whether to wait in the triggerer; otherwise the scheduler reschedules the task.
    :param max_wait: seconds from the start of the attempt after which the task fails instead of waiting.
    :raises MaxWaitExceededError: if the time is later than that.
    """
    deadline = attempt_start(context) + timedelta(seconds=max_wait)
    resume_at = spread(time, context)
    if resume_at > deadline:
        limit = f"limits.wait ({timedelta(seconds=max_wait)})"
        raise MaxWaitExceededError(
            f"The rate limit allows the next request at {time.isoformat()}, but {limit} ends at "
            f"{deadline.isoformat()}. The responses are stored. Clear the task to continue, or increase limits.wait."
        )
    operator.log.info("Waiting for the rate limit until %s, without a worker slot.", resume_at.isoformat())
    if deferrable:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        operator.defer(
            trigger=DateTimeTrigger(moment=resume_at),
            method_name="execute",
            timeout=max(resume_at - datetime.now(UTC), timedelta(0)) + TRIGGERER_GRACE,
        )
    from airflow.sdk.exceptions import AirflowRescheduleException

    _save_attempt_start(context)
    raise AirflowRescheduleException(resume_at)  # type: ignore[no-untyped-call]  # Airflow declares no types for it


def spread(time: datetime, context: Context | None) -> datetime:
    """Return a time shortly after another, the same for every call of one task and different between tasks."""
    key = task_key(context) if context else ""
    return datetime.fromtimestamp(wake_at(time.timestamp(), key=key, spread=SPREAD_SECONDS), UTC)


def wake_at(time: float, *, key: str, spread: float) -> float:
    """Return a time up to some seconds after another, always the same for the same key.

    The order of the keys changes from minute to minute, so that no task is always last.

    :param time: when all tasks that wait can continue, in epoch seconds.
    :param key: identifies the task that waits.
    :param spread: how many seconds to spread the tasks over.
    """
    digest = hashlib.blake2b(f"{time // 60.0:.0f} {key}".encode(), digest_size=8).digest()
    return time + spread * int.from_bytes(digest) / 2**64


def task_key(context: Context) -> str:
    """Return a text that is unique among tasks, and the same over the waits and attempts of one task."""
    task_instance = context["ti"]
    return " ".join(
        str(value)
        for value in (task_instance.dag_id, task_instance.task_id, task_instance.map_index, task_instance.run_id)
    )


def attempt_start(context: Context) -> datetime:
    """Return when this attempt started, before any of its waits.

    A deferral keeps the start. After a reschedule it is in the task's state, which Airflow keeps since 3.3. On 3.2,
    Airflow records only the first reschedule.
    """
    task_instance = context["ti"]
    started: datetime = task_instance.start_date
    store = context.get("task_state_store")
    if store is not None and (saved := store.get(_start_key(context))):
        return min(started, datetime.fromisoformat(str(saved)))
    first_reschedule: datetime | None = task_instance.get_first_reschedule_date(context)
    return min(started, first_reschedule) if first_reschedule else started


def _save_attempt_start(context: Context) -> None:
    store = context.get("task_state_store")
    if store is not None:
        store.set(_start_key(context), attempt_start(context).isoformat())


def _start_key(context: Context) -> str:
    return f"engagement_start_{context['ti'].try_number}"
