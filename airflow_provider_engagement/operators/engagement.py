"""The operators: totals, the last 28 hours, and historical pulls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.operators.base import EngagementPullOperator
from airflow_provider_engagement.operators.pull import Pull
from airflow_provider_engagement.operators.run_context import RunContext

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from airflow_provider_engagement.engagement_api.planner import Request
    from airflow_provider_engagement.engagement_api.query import Query
    from airflow_provider_engagement.inputs.intervals import Adjustment, ResolvedInterval
    from airflow_provider_engagement.tables.granularity import Granularity

HOURLY_TEMPLATE_FIELDS = (*EngagementPullOperator.template_fields, "granularity", "time_zone")


class EngagementTotalsOperator(EngagementPullOperator):
    """Pulls the current totals of any number of Tweets into the tables ``tweet_totals`` and ``tweet_status``.

    .. seealso:: ``docs/operators/totals.md``

    :param auth: ``user`` to read all metrics of the user's own Tweets, ``app`` to read the public metrics of any Tweet.
        By default, ``metrics`` and the connection determine the credentials. (templated)
    :param snapshot_at: the time of the snapshot. It is part of the key of the rows, and cannot be in the future. By
        default, it is the time of the run. For a scheduled run or a run of a backfill, that is the end of the data
        interval. For any other run, it is the logical date or, without one, ``run_after``. (templated)
    :param max_delay_hours: how many hours after the time of the run the task may still read the counts, because the API
        has only current ones; 24 by default. A run that starts later fails before it sends a request. Set ``None`` to
        store current counts under the time of any run, for example in a backfill.

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "totals"
    template_fields: Sequence[str] = (*EngagementPullOperator.template_fields, "auth", "snapshot_at")

    def __init__(
        self,
        *,
        auth: str | None = None,
        snapshot_at: datetime | str | None = None,
        max_delay_hours: float | None = 24,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.auth = auth
        self.snapshot_at = snapshot_at
        self.max_delay_hours = max_delay_hours
        self.declare_outlet()

    def plan_pull(self, run: RunContext) -> Pull:
        """Return the pull of one snapshot."""
        from airflow_provider_engagement.engagement_api.planner import plan
        from airflow_provider_engagement.inputs.run_times import check_not_to_come, last_start
        from airflow_provider_engagement.inputs.times import parse_time
        from airflow_provider_engagement.pull.response_store import always_reuse
        from airflow_provider_engagement.pull.totals import assemble_totals

        now, snapshot_at = datetime.now(UTC), run.time
        check_not_to_come(run.time, field="logical_date", now=now)
        if self.snapshot_at is not None:
            snapshot_at = parse_time(self.snapshot_at, field="snapshot_at", now=run.time)
            check_not_to_come(snapshot_at, field="snapshot_at", now=now)
        # The column has milliseconds.
        snapshot_at = snapshot_at.replace(microsecond=snapshot_at.microsecond // 1000 * 1000)
        owners = self.read_tweets()
        query = self.query(owners, auth=self.auth)
        task_run = self.task_run(run)
        return Pull(
            query=query,
            owners=owners,
            queries=self.route(query, owners, run),
            plan=plan,
            run=task_run,
            attempt_start=run.attempt_start,
            is_reusable=always_reuse,
            assemble=partial(assemble_totals, run=task_run, snapshot_at=snapshot_at),
            estimated_rows=len(query.tweet_ids),
            as_of=snapshot_at,
            last_start=last_start(run.time, self.max_delay_hours),
            snapshot_at=snapshot_at,
        )


class Engagement28HourOperator(EngagementPullOperator):
    """Pulls the last 28 hours of a user's own Tweets into ``tweet_metrics`` and the tables beside it.

    The API chooses the hours: 28 or 29. The last hour can be the current one, which is not over. Rows replace those of
    the same Tweet and hour from an earlier pull, so a task that runs several times a day keeps the table up to date.
    With the default ``settling_hours``, none of the rows is final.

    .. seealso:: ``docs/operators/last-28-hours.md``

    :param granularity: ``hour`` (default), ``total`` or ``hour_of_day``. There is no ``day``, because 28 hours rarely
        contain a complete day. (templated)
    :param time_zone: the IANA name of the time zone for ``hour_of_day``; UTC by default. (templated)
    :param settling_hours: how old an hour must be, in hours, before its counts are considered final; 72 by default.
    :param write_restatements: whether to write counts that differ from an earlier pull to the table ``restatements``.
    :param max_delay_hours: how many hours after the time of the run the task may still read the counts, because the API
        has only the last 28 hours; 24 by default. A run that starts later fails before it sends a request. Set ``None``
        to read the last 28 hours in any run.

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "28hr"
    granularities: ClassVar[Sequence[str]] = ("hour", "total", "hour_of_day")
    template_fields: Sequence[str] = HOURLY_TEMPLATE_FIELDS

    def __init__(
        self,
        *,
        granularity: str = "hour",
        time_zone: str = "UTC",
        settling_hours: float = 72,
        write_restatements: bool = False,
        max_delay_hours: float | None = 24,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.granularity = granularity
        self.time_zone = time_zone
        self.settling_hours = settling_hours
        self.write_restatements = write_restatements
        self.max_delay_hours = max_delay_hours
        self.declare_outlet()

    def plan_pull(self, run: RunContext) -> Pull:
        """Return the pull of the hours that the API has now."""
        from airflow_provider_engagement.engagement_api.planner import plan
        from airflow_provider_engagement.inputs.choices import parse_granularity
        from airflow_provider_engagement.inputs.run_times import check_not_to_come, last_start
        from airflow_provider_engagement.inputs.times import parse_hours, parse_time_zone
        from airflow_provider_engagement.pull.response_store import always_reuse
        from airflow_provider_engagement.pull.series_rows import SeriesRows
        from airflow_provider_engagement.pull.time_series import assemble_time_series

        check_not_to_come(run.time, field="logical_date", now=datetime.now(UTC))
        granularity = parse_granularity(self.granularity, self.granularities, endpoint=self.endpoint)
        owners = self.read_tweets()
        query = self.query(owners)
        task_run = self.task_run(run)
        rows = SeriesRows(
            query=query,
            granularity=granularity,
            zone=parse_time_zone(self.time_zone),
            settling_time=parse_hours(self.settling_hours, field="settling_hours"),
        )
        return Pull(
            query=query,
            owners=owners,
            queries=self.route(query, owners, run),
            plan=plan,
            run=task_run,
            attempt_start=run.attempt_start,
            is_reusable=always_reuse,
            assemble=partial(
                assemble_time_series,
                rows=rows,
                run=task_run,
                write_restatements=self.write_restatements,
            ),
            estimated_rows=len(query.tweet_ids) * rows_per_tweet(granularity, hours=29),
            as_of=run.time,
            last_start=last_start(run.time, self.max_delay_hours),
        )


class EngagementHistoricalOperator(EngagementPullOperator):
    """Pulls any interval of the past of a user's own Tweets into ``tweet_metrics`` and the tables beside it.

    By default, the interval is the run's data interval, or the hour, day or month that its partition key names. The
    operator requests hourly counts in as few requests as possible, and sums them to the requested granularity. Rows
    replace those of the same Tweet and period from an earlier pull.

    .. seealso:: ``docs/operators/historical.md``

    :param start: the start of the interval: a ``datetime`` or ISO 8601 string with a time zone, a date such as
        ``{{ ds }}`` (midnight in ``time_zone``), ``now``, or a duration before ``now`` such as ``36h``, ``7d`` or
        ``2w``. ``now`` is the time of the run, rounded down to the hour. With granularity ``day``, a duration or
        ``now`` stands for the whole days within the interval. By default, the run's partition key or data interval sets
        the start and the end. (templated)
    :param end: the end of the interval, in the same formats as ``start``. The end is not part of the interval.
        (templated)
    :param lookback_hours: how many hours before the start each run pulls again, because their counts may have changed;
        0 by default. With granularity ``day``, each run pulls all days that contain these hours.
    :param after_post_days: how many days to pull for each Tweet, counted from the hour of its creation. If you do not
        set ``start`` and ``end``, the interval is everything that the API has. (templated)
    :param after_post_period: which period of ``after_post_days`` days to pull: 1 for the first period after the
        creation of the Tweet, 2 for the second, and so on. (templated)
    :param granularity: ``hour`` (default), ``day``, ``total`` or ``hour_of_day``. (templated)
    :param time_zone: the IANA name of the time zone for ``day`` and ``hour_of_day``, and of the dates in ``start`` and
        ``end``; UTC by default. (templated)
    :param on_unaligned: what to do if the start or the end is not a whole hour: ``fail`` (default), or ``expand`` or
        ``shrink`` the interval to whole hours. The manifest lists the adjustments.
    :param on_out_of_range: what to do if the API does not have all hours of the interval, because some hours are too
        old or not over yet: ``fail`` (default), or ``clip`` the interval. The manifest lists the adjustments.
    :param history_days: the number of past days for which the API has data; 365 by default. ``None`` means all days
        since 2014-09-01.
    :param settling_hours: how old an hour must be, in hours, before its counts are considered final; 72 by default.
    :param reuse_hours: for how many hours retries and other runs reuse a response whose counts are not final; 24 by
        default. They always reuse responses with final counts.
    :param share_backfill_requests: whether the runs of a backfill share requests, so that a backfill of daily runs
        sends about as many requests as one pull; ``True`` by default.
    :param write_restatements: whether to write counts that differ from an earlier pull to the table ``restatements``.

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "historical"
    granularities: ClassVar[Sequence[str]] = ("hour", "day", "total", "hour_of_day")
    template_fields: Sequence[str] = (
        *HOURLY_TEMPLATE_FIELDS,
        "start",
        "end",
        "after_post_days",
        "after_post_period",
    )

    def __init__(
        self,
        *,
        start: Any = None,
        end: Any = None,
        lookback_hours: float = 0,
        after_post_days: int | str | None = None,
        after_post_period: int | str = 1,
        granularity: str = "hour",
        time_zone: str = "UTC",
        on_unaligned: str = "fail",
        on_out_of_range: str = "fail",
        history_days: float | None = 365,
        settling_hours: float = 72,
        reuse_hours: float = 24,
        share_backfill_requests: bool = True,
        write_restatements: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.lookback_hours = lookback_hours
        self.after_post_days = after_post_days
        self.after_post_period = after_post_period
        self.granularity = granularity
        self.time_zone = time_zone
        self.on_unaligned = on_unaligned
        self.on_out_of_range = on_out_of_range
        self.history_days = history_days
        self.settling_hours = settling_hours
        self.reuse_hours = reuse_hours
        self.share_backfill_requests = share_backfill_requests
        self.write_restatements = write_restatements
        self.declare_outlet()

    def plan_pull(self, run: RunContext) -> Pull:
        """Return the pull of one interval."""
        from airflow_provider_engagement.inputs.choices import parse_granularity
        from airflow_provider_engagement.inputs.numbers import parse_whole_number
        from airflow_provider_engagement.inputs.times import parse_hours, parse_time_zone
        from airflow_provider_engagement.pull.response_store import reuse_final
        from airflow_provider_engagement.pull.series_rows import SeriesRows
        from airflow_provider_engagement.pull.time_series import assemble_time_series
        from airflow_provider_engagement.tables.days import check_whole_days
        from airflow_provider_engagement.tables.granularity import Granularity

        granularity = parse_granularity(self.granularity, self.granularities, endpoint=self.endpoint)
        zone = parse_time_zone(self.time_zone)
        settling_time = parse_hours(self.settling_hours, field="settling_hours")
        days = self.after_post_days
        after_post_days = None if days is None else parse_whole_number(days, field="after_post_days", minimum=1)
        period = parse_whole_number(self.after_post_period, field="after_post_period", minimum=1)
        if self.groupings and after_post_days is not None:
            raise InvalidQueryError(
                "groupings",
                "after_post_days does not support groupings, because Tweets of different ages share requests",
                "Request hourly rows and sum them, or set start and end instead of after_post_days.",
            )
        interval = self._interval(run, granularity, zone)
        for adjustment in interval.adjustments:
            self.log.warning(
                "%s is %s instead of %s: %s.",
                adjustment.edge,
                adjustment.used.isoformat(),
                adjustment.requested.isoformat(),
                adjustment.reason,
            )
        hours = interval.time_range
        if granularity is Granularity.DAY and after_post_days is None:
            check_whole_days(hours, zone)
        owners = self.read_tweets()
        query = self.query(owners, interval=hours)
        task_run = self.task_run(run)
        rows = SeriesRows(
            query=query,
            granularity=granularity,
            zone=zone,
            settling_time=settling_time,
            after_post_days=after_post_days,
            after_post_period=period,
        )
        return Pull(
            query=query,
            owners=owners,
            queries=self.route(query, owners, run),
            plan=partial(self._plan, days=after_post_days, period=period, run=run),
            run=task_run,
            attempt_start=run.attempt_start,
            is_reusable=reuse_final(
                settling_time=settling_time,
                reuse_for=parse_hours(self.reuse_hours, field="reuse_hours"),
                run_start=run.start,
                now=datetime.now(UTC),
            ),
            assemble=partial(
                assemble_time_series,
                rows=rows,
                run=task_run,
                write_restatements=self.write_restatements,
            ),
            estimated_rows=len(query.tweet_ids) * rows_per_tweet(granularity, hours=hours.hours),
            interval=interval,
        )

    def _interval(self, run: RunContext, granularity: Granularity, zone: ZoneInfo) -> ResolvedInterval:
        from airflow_provider_engagement.engagement_api.time_range import TimeRange, oldest_available_hour
        from airflow_provider_engagement.inputs.choices import parse_choice
        from airflow_provider_engagement.inputs.intervals import OnOutOfRange, OnUnaligned, resolve_interval
        from airflow_provider_engagement.inputs.times import is_relative, parse_hours, parse_time
        from airflow_provider_engagement.operators.whole_days import check_days, shrink_to_days
        from airflow_provider_engagement.tables.days import local_day
        from airflow_provider_engagement.tables.granularity import Granularity

        if (self.start is None) != (self.end is None):
            missing, given = ("start", "end") if self.start is None else ("end", "start")
            raise InvalidQueryError(missing, f"is not set, but {given} is", "Set start and end, or neither.")
        now = datetime.now(UTC)
        lookback = parse_hours(self.lookback_hours, field="lookback_hours")
        if self.start is not None:
            first, last = self.start, self.end
        elif self.after_post_days is not None:
            # There is nothing to look back to before the oldest hour.
            first, last, lookback = oldest_available_hour(now, self._max_age), "now", timedelta(0)
        else:
            first, last = run.interval
        # Relative times count from the time of the run, so that a later attempt reads the same interval.
        edges = {"start": first, "end": last}
        start, end = (parse_time(value, field=field, now=run.time, zone=zone) for field, value in edges.items())
        adjustments: tuple[Adjustment, ...] = ()
        if granularity is Granularity.DAY:
            check_days(start, end, zone, now=now)
            if self.after_post_days is None and start < end:
                relative = [field for field, value in edges.items() if is_relative(value)]
                start, end, adjustments = shrink_to_days(start, end, zone, relative=relative)
        if lookback and start < end:
            start -= lookback
            if granularity is Granularity.DAY:
                # A day is not always 24 hours long, so the lookback may end within a day.
                start = local_day(start, zone)[0]
        resolved = resolve_interval(
            start,
            end,
            now=now,
            on_unaligned=parse_choice(self.on_unaligned, OnUnaligned, field="on_unaligned"),
            on_out_of_range=parse_choice(self.on_out_of_range, OnOutOfRange, field="on_out_of_range"),
            max_age=self._max_age,
        )
        adjustments = (*adjustments, *resolved.adjustments)
        if granularity is Granularity.DAY and self.after_post_days is None:
            # The limits of the API move with the current time, too.
            hours = resolved.time_range
            start, end, changes = shrink_to_days(hours.start, hours.end, zone, relative=resolved.clipped)
            resolved, adjustments = replace(resolved, time_range=TimeRange(start, end)), (*adjustments, *changes)
        return replace(resolved, adjustments=adjustments)

    def _plan(self, query: Query, days: int | None, period: int, run: RunContext) -> Sequence[Request]:
        from airflow_provider_engagement.engagement_api.planner import plan, plan_after_post, plan_shared
        from airflow_provider_engagement.engagement_api.time_range import oldest_available_hour, whole_days_within

        if days is not None:
            return plan_after_post(query, days=days, period=period)
        if self.share_backfill_requests and run.is_shared:
            now = datetime.now(UTC)
            available = whole_days_within(oldest_available_hour(now, self._max_age), now)
            if available is not None:
                return plan_shared(query, available=available)
        return plan(query)

    @property
    def _max_age(self) -> timedelta | None:
        from airflow_provider_engagement.inputs.numbers import parse_number

        if self.history_days is None:
            return None
        return timedelta(days=parse_number(self.history_days, field="history_days", above=0))


def rows_per_tweet(granularity: str, *, hours: int) -> int:
    """Return about how many rows a Tweet has.

    :param granularity: the granularity of the rows.
    :param hours: the length of the interval.
    """
    return {"hour": hours, "day": hours // 24 + 1, "hour_of_day": 24}.get(granularity, 1)
