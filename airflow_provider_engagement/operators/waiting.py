"""How a task waits for the rate limit: without a worker slot, without a retry, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow_provider_engagement.api.rate_limit import wake_at
from airflow_provider_engagement.exceptions import MaxWaitExceededError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

SPREAD_SECONDS = 10.0
"""Tasks that wait for the same moment wake within so many seconds of it, each at a second of its own."""

GRACE = timedelta(minutes=5)
"""How much later than the trigger itself Airflow gives up a deferral: for a triggerer that was down."""


def wait_until(
    moment: datetime, *, operator: BaseOperator, context: Context, deferrable: bool, max_wait: float
) -> NoReturn:
    """Leave the worker, and be executed again at a moment.

    :param moment: the earliest moment at which there is something to do, in UTC.
    :param operator: the task's operator.
    :param context: its context.
    :param deferrable: whether to wait in the triggerer; else the scheduler starts the task again.
    :param max_wait: seconds after the try's first start past which the task fails rather than wait.
    :raises MaxWaitExceededError: if the moment is later than that.
    """
    deadline = first_start(context) + timedelta(seconds=max_wait)
    wake = datetime.fromtimestamp(wake_at(moment.timestamp(), key=task_key(context), spread=SPREAD_SECONDS), UTC)
    if wake > deadline:
        raise MaxWaitExceededError(
            f"The rate limit allows the next request at {moment.isoformat()}, but max_wait ({max_wait:.0f} s) ends at "
            f"{deadline.isoformat()}. What was fetched is kept: clear the task to go on, or set a longer max_wait."
        )
    operator.log.info("Waiting for the rate limit until %s, without holding a worker slot.", wake.isoformat())
    if deferrable:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        now = datetime.now(UTC)
        operator.defer(
            trigger=DateTimeTrigger(moment=wake), method_name="execute", timeout=max(wake - now, timedelta(0)) + GRACE
        )
    from airflow.sdk.exceptions import AirflowRescheduleException

    _remember_first_start(context)
    raise AirflowRescheduleException(wake)  # type: ignore[no-untyped-call]  # Airflow declares no types for it


def task_key(context: Context) -> str:
    """Return a text that no two tasks share and that stays the same over waits and tries."""
    task_instance = context["ti"]
    return " ".join(
        str(part)
        for part in (task_instance.dag_id, task_instance.task_id, task_instance.map_index, task_instance.run_id)
    )


def first_start(context: Context) -> datetime:
    """Return when this try of a task first started, over any number of waits.

    A deferral keeps the start. After a reschedule it is in the task's state, which Airflow keeps since 3.3; before,
    the first reschedule is all that is on record.
    """
    task_instance = context["ti"]
    started: datetime = task_instance.start_date
    store = context.get("task_state_store")
    if store is not None and (known := store.get(_start_key(context))):
        return min(started, datetime.fromisoformat(str(known)))
    first_reschedule: datetime | None = task_instance.get_first_reschedule_date(context)
    return min(started, first_reschedule) if first_reschedule else started


def _remember_first_start(context: Context) -> None:
    store = context.get("task_state_store")
    if store is not None:
        store.set(_start_key(context), first_start(context).isoformat())


def _start_key(context: Context) -> str:
    return f"engagement_start_{context['ti'].try_number}"
