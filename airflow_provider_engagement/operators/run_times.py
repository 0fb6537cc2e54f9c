"""What the context of a run says about time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import InvalidQueryError

if TYPE_CHECKING:
    from airflow.sdk import Context

SHARED_RUN_TYPES = ("backfill",)
"""Types of runs that come in numbers, with neighbouring intervals of the same Tweets."""


def run_time(context: Context) -> datetime:
    """Return the time of a run in UTC, the same in every attempt and after a clear.

    The time is the end of the data interval, else the logical date, else the time from which the run could start.
    """
    time: datetime = context.get("data_interval_end") or context.get("logical_date") or context["dag_run"].run_after
    return time.astimezone(UTC)


def run_interval(context: Context) -> tuple[datetime, datetime]:
    """Return start and end of the interval of a run: its partition key's, else its data interval.

    :raises InvalidQueryError: if the run has neither.
    """
    from airflow_provider_engagement.inputs.intervals import interval_of_partition

    # Airflow 3.2 has the partition key of a run on the run alone.
    key = context.get("partition_key") or getattr(context["dag_run"], "partition_key", None)
    if key:
        interval = interval_of_partition(key)
        return interval.start, interval.end
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        raise InvalidQueryError(
            "start",
            "the run has no data interval and no partition key",
            "Set start and end, or schedule the DAG by data interval or by partition.",
        )
    return start, end


def is_shared_run(context: Context) -> bool:
    """Return whether a run is one of many that request neighbouring intervals, as in a backfill."""
    return context["dag_run"].run_type in SHARED_RUN_TYPES
