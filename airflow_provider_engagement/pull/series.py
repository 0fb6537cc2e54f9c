"""A pull of hourly counts: of the last 28 hours, or of an interval of the past."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_engagement.engagement_api.planner import Request, plan, plan_after_post, plan_shared
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange, oldest_available_hour, whole_days_within
from airflow_provider_engagement.inputs.run_times import check_not_to_come, last_start
from airflow_provider_engagement.inputs.settings import HistoricalSettings, Last28HourSettings
from airflow_provider_engagement.pull.api import Api
from airflow_provider_engagement.pull.assembly import AssemblyResult
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.interval import interval_of
from airflow_provider_engagement.pull.owner_routing import divide_by_owner
from airflow_provider_engagement.pull.pull import Pull, TweetOwners
from airflow_provider_engagement.pull.response_store import ResponseStore, reuse_final
from airflow_provider_engagement.pull.series_rows import SeriesRows
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.pull.time_series import assemble_time_series
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tweet_id import TweetIds

log = logging.getLogger(__name__)

LAST_HOURS = 29
"""How many hours a response of ``28hr`` has at most."""


@dataclass(frozen=True, kw_only=True)
class SeriesPull(Pull):
    """A pull of hourly counts.

    :param rows: which rows to make of them.
    :param write_restatements: whether to write the table ``restatements``.
    :param shared: the hours that the API has, if the runs of a backfill share requests for them.
    """

    rows: SeriesRows
    write_restatements: bool
    shared: TimeRange | None = None

    @property
    def estimated_rows(self) -> int:
        """About how many rows the pull makes."""
        hours = self.interval.time_range.hours if self.interval else LAST_HOURS
        return len(self.query.tweet_ids) * rows_per_tweet(self.rows.granularity, hours=hours)

    def plan(self, query: Query) -> Sequence[Request]:
        """Return the requests of a part of the query."""
        if self.rows.after_post_days is not None:
            return plan_after_post(query, days=self.rows.after_post_days, period=self.rows.after_post_period)
        return plan(query) if self.shared is None else plan_shared(query, available=self.shared)

    def assemble(
        self, fetched: FetchResult, statuses: TweetStatuses, store: ResponseStore, folder: DatasetFolder
    ) -> AssemblyResult:
        """Write the rows and what they cover."""
        return assemble_time_series(
            fetched,
            statuses,
            store,
            folder,
            rows=self.rows,
            run=self.run,
            write_restatements=self.write_restatements,
        )


def last_28_hours_pull(settings: Last28HourSettings, owners: TweetOwners, run: RunContext, api: Api) -> SeriesPull:
    """Return the pull of the hours that the API has now.

    :param settings: what the DAG sets.
    :param owners: the Tweets, with their owners.
    :param run: the run of the task.
    :param api: the connection.
    :raises InvalidQueryError: if the settings do not fit the run or the connection.
    """
    check_not_to_come(run.time, field="logical_date", now=datetime.now(UTC))
    query = api.query(settings.endpoint, TweetIds(owners), metrics=settings.metrics, groupings=settings.groupings)
    return SeriesPull(
        settings=settings,
        query=query,
        owners=owners,
        queries=divide_by_owner(query, owners, settings.tweets, api, time=run.time),
        run=run.task_run(settings.accepted),
        attempt_start=run.attempt_start,
        as_of=run.time,
        last_start=last_start(run.time, settings.max_delay),
        rows=SeriesRows(
            query=query,
            granularity=settings.granularity,
            zone=settings.zone,
            settling_time=settings.settling_time,
        ),
        write_restatements=settings.write_restatements,
    )


def historical_pull(settings: HistoricalSettings, owners: TweetOwners, run: RunContext, api: Api) -> SeriesPull:
    """Return the pull of one interval.

    :param settings: what the DAG sets.
    :param owners: the Tweets, with their owners.
    :param run: the run of the task.
    :param api: the connection.
    :raises InvalidQueryError: if the settings do not fit the run or the connection.
    """
    now = datetime.now(UTC)
    interval = interval_of(settings, run, now=now)
    for adjustment in interval.adjustments:
        log.warning(
            "%s is %s instead of %s: %s.",
            adjustment.edge,
            adjustment.used.isoformat(),
            adjustment.requested.isoformat(),
            adjustment.reason,
        )
    query = api.query(
        settings.endpoint,
        TweetIds(owners),
        metrics=settings.metrics,
        groupings=settings.groupings,
        interval=interval.time_range,
    )
    shares = settings.share_backfill_requests and run.is_shared
    return SeriesPull(
        settings=settings,
        query=query,
        owners=owners,
        queries=divide_by_owner(query, owners, settings.tweets, api, time=run.time),
        run=run.task_run(settings.accepted),
        attempt_start=run.attempt_start,
        is_reusable=reuse_final(
            settling_time=settings.settling_time, reuse_for=settings.reuse_for, run_start=run.start, now=now
        ),
        interval=interval,
        rows=SeriesRows(
            query=query,
            granularity=settings.granularity,
            zone=settings.zone,
            settling_time=settings.settling_time,
            after_post_days=settings.after_post_days,
            after_post_period=settings.after_post_period,
        ),
        write_restatements=settings.write_restatements,
        shared=whole_days_within(oldest_available_hour(now, settings.max_age), now) if shares else None,
    )


def rows_per_tweet(granularity: Granularity, *, hours: int) -> int:
    """Return about how many rows a Tweet has.

    :param granularity: the granularity of the rows.
    :param hours: the length of the interval.
    """
    return {Granularity.HOUR: hours, Granularity.DAY: hours // 24 + 1, Granularity.HOUR_OF_DAY: 24}.get(granularity, 1)
