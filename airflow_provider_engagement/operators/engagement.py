"""Pulls of engagement metrics as Airflow tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.api.catalogue import Auth, Endpoint
from airflow_provider_engagement.api.planner import Request, plan, plan_after_post, plan_shared, wanted_hours
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.time_range import (
    OnOutOfRange,
    OnUnaligned,
    ResolvedInterval,
    TimeRange,
    interval_of_partition,
    oldest_available_hour,
    range_after_post,
    resolve_interval,
    to_api,
    whole_days_within,
)
from airflow_provider_engagement.dataset.fetch import FetchResult
from airflow_provider_engagement.dataset.response_store import ReuseRule
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.rollups import (
    check_days_of_hours,
    check_whole_days,
    local_day,
    parse_time_zone,
    whole_days_of,
)
from airflow_provider_engagement.dataset.time_series import assemble_time_series
from airflow_provider_engagement.dataset.totals import Snapshot, assemble_totals
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.times import parse_time
from airflow_provider_engagement.operators.base import EngagementPullOperator, Job
from airflow_provider_engagement.operators.series import EngagementSeriesOperator
from airflow_provider_engagement.operators.waiting import first_start

if TYPE_CHECKING:
    from airflow.sdk import Context

SHARED_RUN_TYPES = ("backfill",)
"""Types of runs of which many pull neighbouring windows of the same Tweets."""


class EngagementTotalsOperator(EngagementPullOperator):
    """Pulls the current totals of any number of Tweets into the tables ``tweet_totals`` and ``tweet_status``.

    .. seealso:: ``docs/operators/totals.md``

    :param auth: ``user`` to ask as the author of the Tweets, ``app`` to ask for public metrics of any Tweet; by
        default ``app`` where public metrics alone are named and ``user`` otherwise. (templated)
    :param snapshot_at: the time that the rows bear, part of their key; by default the run's own: the end of its data
        interval, else its logical date, else the time it was due. (templated)

    All other parameters are those of
    :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = Endpoint.TOTALS
    template_fields: Sequence[str] = (*EngagementPullOperator.template_fields, "auth", "snapshot_at")

    def __init__(self, *, auth: str | None = None, snapshot_at: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.auth = auth
        self.snapshot_at = snapshot_at

    def _query(self, context: Context, tweet_ids: object) -> Query:
        return self.hook.query(self.endpoint, tweet_ids, metrics=self.metrics, auth=self.auth, groupings=self.groupings)

    def _plan(self, query: Query, context: Context) -> Sequence[Request]:
        return plan(query)

    def _occasion(self, context: Context) -> str:
        return f"{self._snapshot_time(context):%Y%m%dT%H%M%S%f}"

    def _rows(self, query: Query) -> int:
        return len(query.tweet_ids)

    def _span(self, job: Job, context: Context) -> dict[str, Any]:
        return {"snapshot_at": self._snapshot_time(context).isoformat()}

    def _assemble(self, job: Job, pulled: FetchResult, context: Context) -> Result:
        snapshot_at = self._snapshot_time(context)
        return assemble_totals(
            pulled,
            job.parts,
            job.output,
            snapshot=Snapshot(
                snapshot_at=snapshot_at, run=job.run, task=job.name, owner=job.owner, auth=job.query.auth
            ),
            name=f"{job.name}.{snapshot_at:%Y%m%dT%H%M%S}",
            accepted=job.accepted,
        )

    def _snapshot_time(self, context: Context) -> datetime:
        if self.snapshot_at is not None:
            return parse_time(self.snapshot_at, field="snapshot_at", now=run_time(context))
        return run_time(context)


class Engagement28HourOperator(EngagementSeriesOperator):
    """Pulls the last 28 hours of a user's own Tweets into ``tweet_metrics`` and its companions.

    The API decides the window: 28 or 29 hours, of which the last is still running. Its rows replace those of the same
    Tweet and hour that were read before, so that a task run several times a day keeps the table up to date; rows are
    marked final only when they have settled, which here none has.

    .. seealso:: ``docs/operators/last-28-hours.md``

    :param granularity: ``hour`` (default), ``total`` or ``hour_of_day``. The 28 hours hold no day as a whole, at least
        in most zones and hours. (templated)
    :param time_zone: for ``hour_of_day``, the IANA name of the zone whose clocks tell the hour. (templated)
    :param settling_hours: how long after an hour its counts may still change; 72 by default.
    :param restatements: whether to write the table ``restatements``: what differs from what was read before.

    All other parameters are those of
    :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = Endpoint.LAST_28_HOURS
    granularities = (Granularity.HOUR, Granularity.TOTAL, Granularity.HOUR_OF_DAY)

    def _query(self, context: Context, tweet_ids: object) -> Query:
        self._grain()
        return self.hook.query(
            self.endpoint,
            tweet_ids,
            metrics=self.metrics,
            auth=Auth.USER,
            granularities=(Granularity.HOUR,),
            groupings=self.groupings,
        )

    def _plan(self, query: Query, context: Context) -> Sequence[Request]:
        return plan(query)

    def _occasion(self, context: Context) -> str:
        return f"{run_time(context):%Y%m%dT%H%M%S%f}"

    def _rows(self, query: Query) -> int:
        rows = {Granularity.HOUR: 29, Granularity.HOUR_OF_DAY: 24}
        return len(query.tweet_ids) * rows.get(self._grain(), 1)

    def _wanted(self, tweet_id: str, covered: TimeRange) -> TimeRange | None:
        return wanted_hours(tweet_id, covered)

    def _assemble(self, job: Job, pulled: FetchResult, context: Context) -> Result:
        time = run_time(context)
        series = self._series(job, span=None, name=f"{time:%Y%m%dT%H%M%S}", date=time)
        return assemble_time_series(pulled, job.parts, job.output, wanted=series, accepted=job.accepted)


class EngagementHistoricalOperator(EngagementSeriesOperator):
    """Pulls any span of the past of a user's own Tweets into ``tweet_metrics`` and its companions.

    By default the span is the run's data interval, or what its partition key names. Counts by the hour are asked for,
    in as few requests as can be, and rows of the wanted grain made of them. Rows replace those of the same Tweet and
    period that were read before.

    .. seealso:: ``docs/operators/historical.md``

    :param start: the first instant of the span: an aware time or ISO text, a date (which begins at midnight in UTC), or
        a span before the run's own time such as ``7d``, ``36h`` or ``2w``. By default the run's partition key or data
        interval gives start and end. (templated)
    :param end: the first instant after the span, likewise; ``now`` for the beginning of the hour of the run's own
        time. (templated)
    :param lookback_hours: so many hours before the start are read again in every run, since counts may still change; 0
        by default. With granularity ``day``, the days in which they lie.
    :param after_post_days: instead of one span for all, so many days of each Tweet's life, counted from the hour of
        its creation; of these days, those in the span are read, and with granularity ``day`` the calendar days among
        them that are whole. Without start and end the span is all that the API reaches. (templated)
    :param after_post_repetition: 1 for the first so many days, 2 for as many after them, and so on. (templated)
    :param granularity: ``hour`` (default), ``day``, ``total`` or ``hour_of_day``. (templated)
    :param time_zone: for ``day`` and ``hour_of_day``, the IANA name of the zone whose days and clocks are meant; UTC by
        default. (templated)
    :param on_unaligned: what to do with an edge off the hour: ``reject`` it (default), or round it ``outward`` or
        ``inward``. What was rounded is reported.
    :param on_out_of_range: what to do with hours that are not over or longer ago than the API reaches: ``reject`` the span
        (default) or ``clip`` it. What was clipped is reported.
    :param history_days: how far back the API reaches; 365 by default, ``None`` for the older promise of 2014-09-01.
    :param settling_hours: how long after an hour its counts may still change; 72 by default.
    :param reuse_hours: for how long answers with hours that have not settled are used again, by a retry or by other
        runs; 24 by default. Answers all of whose hours have settled are used again for ever.
    :param share_backfills: whether runs of a backfill ask for spans of up to 28 days that other runs need too, so that
        a backfill of daily runs sends about as many requests as one pull; ``True`` by default.
    :param restatements: whether to write the table ``restatements``: what differs from what was read before.

    All other parameters are those of
    :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = Endpoint.HISTORICAL
    granularities = tuple(Granularity)
    template_fields: Sequence[str] = (
        *EngagementSeriesOperator.template_fields,
        "start",
        "end",
        "after_post_days",
        "after_post_repetition",
    )

    def __init__(
        self,
        *,
        start: Any = None,
        end: Any = None,
        lookback_hours: float = 0,
        after_post_days: int | str | None = None,
        after_post_repetition: int | str = 1,
        on_unaligned: OnUnaligned = "reject",
        on_out_of_range: OnOutOfRange = "reject",
        history_days: float | None = 365,
        reuse_hours: float = 24,
        share_backfills: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.lookback_hours = lookback_hours
        self.after_post_days = after_post_days
        self.after_post_repetition = after_post_repetition
        self.on_unaligned = on_unaligned
        self.on_out_of_range = on_out_of_range
        self.history_days = history_days
        self.reuse_hours = reuse_hours
        self.share_backfills = share_backfills

    def _query(self, context: Context, tweet_ids: object) -> Query:
        grain = self._grain()
        zone = parse_time_zone(self.time_zone)
        resolved = self._resolve(context)
        for adjustment in resolved.adjustments:
            self.log.warning(
                "%s moved from %s to %s: %s.", adjustment.edge, adjustment.asked, adjustment.used, adjustment.reason
            )
        self._resolved = resolved
        if grain is Granularity.DAY:
            check_days_of_hours(resolved.window, zone)
            if self.after_post_days is None:
                check_whole_days(resolved.window, zone)
        if self.groupings and self.after_post_days is not None:
            raise InvalidQueryError(
                "groupings",
                "cannot be had with after_post_days, since Tweets of different ages share requests",
                "Ask by the hour and add up, or give start and end.",
            )
        return self.hook.query(
            self.endpoint,
            tweet_ids,
            metrics=self.metrics,
            auth=Auth.USER,
            granularities=(Granularity.HOUR,),
            groupings=self.groupings,
            window=resolved.window,
        )

    def _resolve(self, context: Context) -> ResolvedInterval:
        # Times relative to the present are taken from the run's own time, so that a later try means the same span.
        now = run_time(context)
        start, end = (
            parse_time(value, field=field, now=now)
            for field, value in zip(("start", "end"), self._asked(context), strict=True)
        )
        if self.lookback_hours and start < end:
            start -= timedelta(hours=self.lookback_hours)
            if self._grain() is Granularity.DAY:
                # Where clocks are changed, so many hours before a day's beginning is not another day's.
                start = local_day(start, parse_time_zone(self.time_zone))[0]
        return resolve_interval(
            start,
            end,
            now=datetime.now(UTC),
            on_unaligned=self.on_unaligned,
            on_out_of_range=self.on_out_of_range,
            reach=self._reach,
        )

    @property
    def _reach(self) -> timedelta | None:
        return None if self.history_days is None else timedelta(days=self.history_days)

    def _asked(self, context: Context) -> tuple[Any, Any]:
        if (self.start is None) != (self.end is None):
            raise InvalidQueryError(
                "end" if self.end is None else "start", "is not set", "Give start and end, or neither."
            )
        if self.start is not None:
            return self.start, self.end
        if self.after_post_days is not None:
            return oldest_available_hour(datetime.now(UTC), self._reach), "now"
        # Airflow 3.2 tells the key with the run alone.
        key = context.get("partition_key") or getattr(context["dag_run"], "partition_key", None)
        if key:
            window = interval_of_partition(key)
            return window.start, window.end
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        if start is None or end is None:
            raise InvalidQueryError(
                "start", "the run has no data interval", "Set start and end, or schedule by data interval or partition."
            )
        return start, end

    def _plan(self, query: Query, context: Context) -> Sequence[Request]:
        if self.after_post_days is not None:
            return plan_after_post(query, days=self._days, repetition=self._repetition)
        if self.share_backfills and context["dag_run"].run_type in SHARED_RUN_TYPES and not query.groupings:
            now = datetime.now(UTC)
            span = whole_days_within(oldest_available_hour(now, self._reach), now)
            if span is not None:
                return plan_shared(query, span=span)
        return plan(query)

    @property
    def _days(self) -> int:
        return _whole_number("after_post_days", self.after_post_days)

    @property
    def _repetition(self) -> int:
        return _whole_number("after_post_repetition", self.after_post_repetition)

    def _occasion(self, context: Context) -> str:
        return ""

    def _is_reusable(self, context: Context) -> ReuseRule:
        now = datetime.now(UTC)
        for_hours = timedelta(hours=self.reuse_hours)
        began = first_start(context)

        def is_reusable(request: Request, fetched_at: datetime) -> bool:
            settled = request.window is not None and request.window.end + self._settling_time <= fetched_at
            return settled or fetched_at >= began or now - fetched_at <= for_hours

        return is_reusable

    def _rows(self, query: Query) -> int:
        hours = query.window.hours if query.window else 0
        rows = {Granularity.HOUR: hours, Granularity.DAY: hours // 24 + 1, Granularity.HOUR_OF_DAY: 24}
        return len(query.tweet_ids) * rows.get(self._grain(), 1)

    def _wanted(self, tweet_id: str, covered: TimeRange) -> TimeRange | None:
        hours = wanted_hours(tweet_id, self._resolved.window)
        if hours is None or self.after_post_days is None:
            return hours
        hours = hours.intersection(self._row_span(tweet_id))
        if hours is None or self._grain() is not Granularity.DAY:
            return hours
        born = range_after_post(tweet_id, days=self._days).start
        return whole_days_of(hours, parse_time_zone(self.time_zone), first_is_whole=hours.start == born)

    def _row_span(self, tweet_id: str) -> TimeRange:
        window = self._resolved.window
        if self.after_post_days is None:
            return window
        return range_after_post(tweet_id, days=self._days, repetition=self._repetition).intersection(window) or window

    def _span(self, job: Job, context: Context) -> dict[str, Any]:
        window = self._resolved.window
        return {
            "window": (to_api(window.start), to_api(window.end)),
            "adjustments": tuple(adjustment.to_dict() for adjustment in self._resolved.adjustments),
        }

    def _assemble(self, job: Job, pulled: FetchResult, context: Context) -> Result:
        window = self._resolved.window
        series = self._series(
            job, span=self._row_span, name=f"{window.start:%Y%m%dT%H}-{window.end:%Y%m%dT%H}", date=window.start
        )
        return assemble_time_series(pulled, job.parts, job.output, wanted=series, accepted=job.accepted)


def run_time(context: Context) -> datetime:
    """Return a run's own time, the same however often it is run again.

    The end of its data interval, else its logical date, else the time at which it was due.
    """
    own = context.get("data_interval_end") or context.get("logical_date") or context["dag_run"].run_after
    moment: datetime = own.astimezone(UTC)
    return moment


def _whole_number(field: str, value: object) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        raise InvalidQueryError(field, f"{value!r} is no whole number")
    return int(text)
