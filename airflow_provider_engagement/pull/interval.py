"""The interval of a historical pull: what the author writes, of this run, and what of it the API has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from airflow_provider_engagement.engagement_api.time_range import TimeRange, oldest_available_hour
from airflow_provider_engagement.inputs.intervals import Adjustment, ResolvedInterval, resolve_interval
from airflow_provider_engagement.inputs.settings import HistoricalSettings
from airflow_provider_engagement.inputs.times import is_relative, parse_time
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.pull.whole_days import check_days, shrink_to_days
from airflow_provider_engagement.tables.days import check_whole_days, local_day
from airflow_provider_engagement.tables.granularity import Granularity


def interval_of(settings: HistoricalSettings, run: RunContext, *, now: datetime) -> ResolvedInterval:
    """Return the whole hours that a pull requests.

    :param settings: what the DAG sets.
    :param run: the run of the task.
    :param now: the current time, aware.
    :raises InvalidQueryError: if the interval is not one that the API has.
    """
    zone, lookback = settings.zone, settings.lookback
    has_days = settings.granularity is Granularity.DAY
    has_whole_days = has_days and settings.after_post_days is None
    first: object
    last: object
    if settings.start is not None:
        first, last = settings.start, settings.end
    elif settings.after_post_days is not None:
        # There is nothing to look back to before the oldest hour.
        first, last, lookback = oldest_available_hour(now, settings.max_age), "now", timedelta(0)
    else:
        first, last = run.interval
    # Relative times count from the time of the run, so that a later attempt reads the same interval.
    edges = {"start": first, "end": last}
    start, end = (parse_time(value, field=field, now=run.time, zone=zone) for field, value in edges.items())
    adjustments: tuple[Adjustment, ...] = ()
    if has_days:
        check_days(start, end, zone, now=now)
    if has_whole_days and start < end:
        relative = [field for field, value in edges.items() if is_relative(value)]
        start, end, adjustments = shrink_to_days(start, end, zone, relative=relative)
    if lookback and start < end:
        start -= lookback
        if has_days:
            # A day is not always 24 hours long, so the lookback may end within a day.
            start = local_day(start, zone)[0]
    resolved = resolve_interval(
        start,
        end,
        now=now,
        on_unaligned=settings.on_unaligned,
        on_out_of_range=settings.on_out_of_range,
        max_age=settings.max_age,
    )
    adjustments = (*adjustments, *resolved.adjustments)
    if has_whole_days:
        # The limits of the API move with the current time, too.
        hours = resolved.time_range
        start, end, changes = shrink_to_days(hours.start, hours.end, zone, relative=resolved.clipped)
        resolved, adjustments = replace(resolved, time_range=TimeRange(start, end)), (*adjustments, *changes)
        check_whole_days(resolved.time_range, zone)
    return replace(resolved, adjustments=adjustments)
