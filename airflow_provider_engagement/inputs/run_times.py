"""The time of a run whose counts the API has only now: how old it can be, and that it is not to come."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.quantities import counted

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clocks of two machines may differ. A time of the next minutes is not a time to come."""


def check_not_to_come(time: datetime, *, field: str, now: datetime) -> None:
    """Reject a time that current counts cannot have: their rows would be the newest until then.

    :param time: the time.
    :param field: the parameter that an error names.
    :param now: the current time.
    :raises InvalidQueryError: if the time is in the future.
    """
    if time > now + CLOCK_TOLERANCE:
        raise InvalidQueryError(
            field, f"{time.isoformat()} is in the future", "Run the task at that time, or pass an earlier time."
        )


def last_start(time: datetime, max_delay: timedelta | None) -> datetime | None:
    """Return until when an attempt must start to read the counts of a run.

    :param time: the time of the run.
    :param max_delay: how long after its time a run may read them; ``None`` if there is no limit.
    """
    return None if max_delay is None else time + max_delay


def past_run_error(time: datetime, *, endpoint: str, now: datetime) -> InvalidQueryError:
    """Return the error of a run that asks for counts of the past.

    :param time: the time of the run.
    :param endpoint: the endpoint.
    :param now: the current time.
    """
    age = now - time
    ago = f"{age.days} days" if age >= timedelta(days=2) else counted(round(age / timedelta(hours=1)), "hour")
    return InvalidQueryError(
        "max_delay",
        f"the time of the run, {time.isoformat(timespec='seconds')}, is {ago} ago, and {endpoint} has only current "
        "counts. A backfill, a catch-up run or a cleared old run cannot read those of the past",
        "Pull the past with EngagementHistoricalOperator. To store current counts under the time of the run, set "
        "max_delay='unlimited'.",
    )
