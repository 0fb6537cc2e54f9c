"""The operators: totals, the last 28 hours, and historical pulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import conf

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.base import EngagementPullOperator

if TYPE_CHECKING:
    from airflow_provider_engagement.operators.base import Tweets
    from airflow_provider_engagement.parameters import Duration, Template

HOURLY_TEMPLATE_FIELDS = (*EngagementPullOperator.template_fields, "granularity", "time_zone")


class EngagementTotalsOperator(EngagementPullOperator):
    """Pulls the current totals of any number of Tweets into the tables ``tweet_totals`` and ``tweet_status``.

    .. seealso:: ``docs/operators/totals.md``

    :param auth: ``user`` to read all metrics of the user's own Tweets, ``app`` to read the public metrics of any Tweet.
        By default, ``metrics`` and the connection determine the credentials. (templated)
    :param snapshot_at: the time of the snapshot. It is part of the key of the rows, and cannot be in the future. By
        default, it is the time of the run. For a scheduled run or a run of a backfill, that is the end of the data
        interval. For any other run, it is the logical date or, without one, ``run_after``. (templated)
    :param max_delay: how long after the time of the run the task may still read the counts, because the API has only
        current ones; 24 hours by default. A run that starts later fails before it sends a request. Set ``unlimited`` to
        store current counts under the time of any run, for example in a backfill. (templated)

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "totals"
    template_fields: Sequence[str] = (*EngagementPullOperator.template_fields, "auth", "snapshot_at", "max_delay")

    def __init__(
        self,
        *,
        tweets: Tweets,
        auth: Template | None = None,
        snapshot_at: datetime | Template | None = None,
        max_delay: Duration = timedelta(hours=24),
        metrics: Sequence[str] | Template | None = None,
        groupings: Mapping[str, Any] | Template | None = None,
        dataset_path: Template | None = None,
        dataset_format: Template | None = None,
        extra_tables: Sequence[str] | Template | None = None,
        owners: Mapping[str, Any] | Template | None = None,
        accepted_outcomes: Sequence[str] | Template | None = None,
        limits: Mapping[str, Any] | Template | None = None,
        asset_events: str | None = None,
        estimate_only: bool | Template = False,
        engagement_conn_id: Template = EngagementHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            tweets=tweets,
            metrics=metrics,
            groupings=groupings,
            dataset_path=dataset_path,
            dataset_format=dataset_format,
            extra_tables=extra_tables,
            owners=owners,
            accepted_outcomes=accepted_outcomes,
            limits=limits,
            asset_events=asset_events,
            estimate_only=estimate_only,
            engagement_conn_id=engagement_conn_id,
            deferrable=deferrable,
            **kwargs,
        )
        self.auth = auth
        self.snapshot_at = snapshot_at
        self.max_delay = max_delay
        self.check_parameters()


class Engagement28HourOperator(EngagementPullOperator):
    """Pulls the last 28 hours of a user's own Tweets into ``tweet_metrics`` and the tables beside it.

    The API chooses the hours: 28 or 29. The last hour can be the current one, which is not over. Rows replace those of
    the same Tweet and hour from an earlier pull, so a task that runs several times a day keeps the table up to date.
    With the default ``settles_after``, none of the rows is final.

    .. seealso:: ``docs/operators/last-28-hours.md``

    :param granularity: ``hour`` (default), ``total`` or ``hour_of_day``. There is no ``day``, because 28 hours rarely
        contain a complete day. (templated)
    :param time_zone: the IANA name of the time zone for ``hour_of_day``; UTC by default. (templated)
    :param settles_after: how old an hour must be before its counts are considered final; 72 hours by default.
        (templated)
    :param max_delay: how long after the time of the run the task may still read the counts, because the API has only
        the last 28 hours; 24 hours by default. A run that starts later fails before it sends a request. Set
        ``unlimited`` to read the last 28 hours in any run. (templated)

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "28hr"
    template_fields: Sequence[str] = (*HOURLY_TEMPLATE_FIELDS, "settles_after", "max_delay")

    def __init__(
        self,
        *,
        tweets: Tweets,
        granularity: Template = "hour",
        time_zone: Template = "UTC",
        settles_after: Duration = timedelta(hours=72),
        max_delay: Duration = timedelta(hours=24),
        metrics: Sequence[str] | Template | None = None,
        groupings: Mapping[str, Any] | Template | None = None,
        dataset_path: Template | None = None,
        dataset_format: Template | None = None,
        extra_tables: Sequence[str] | Template | None = None,
        owners: Mapping[str, Any] | Template | None = None,
        accepted_outcomes: Sequence[str] | Template | None = None,
        limits: Mapping[str, Any] | Template | None = None,
        asset_events: str | None = None,
        estimate_only: bool | Template = False,
        engagement_conn_id: Template = EngagementHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            tweets=tweets,
            metrics=metrics,
            groupings=groupings,
            dataset_path=dataset_path,
            dataset_format=dataset_format,
            extra_tables=extra_tables,
            owners=owners,
            accepted_outcomes=accepted_outcomes,
            limits=limits,
            asset_events=asset_events,
            estimate_only=estimate_only,
            engagement_conn_id=engagement_conn_id,
            deferrable=deferrable,
            **kwargs,
        )
        self.granularity = granularity
        self.time_zone = time_zone
        self.settles_after = settles_after
        self.max_delay = max_delay
        self.check_parameters(granularity)


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
    :param granularity: ``hour`` (default), ``day``, ``total`` or ``hour_of_day``. (templated)
    :param time_zone: the IANA name of the time zone for ``day`` and ``hour_of_day``, and of the dates in ``start`` and
        ``end``; UTC by default. (templated)
    :param interval: :class:`~airflow_provider_engagement.parameters.Interval`: how long to look back before ``start``,
        and what to do with hours that the API does not have. Or
        :class:`~airflow_provider_engagement.parameters.AfterPost`: the days after the creation of each Tweet, within
        ``start`` and ``end``, or of all that the API has. (templated)
    :param freshness: :class:`~airflow_provider_engagement.parameters.Freshness`: when counts are final, and which
        responses are requested again. (templated)

    The other parameters are those of :class:`~airflow_provider_engagement.operators.base.EngagementPullOperator`.
    """

    endpoint = "historical"
    template_fields: Sequence[str] = (
        *HOURLY_TEMPLATE_FIELDS,
        "start",
        "end",
        "interval",
        "freshness",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **EngagementPullOperator.template_fields_renderers,
        "interval": "json",
        "freshness": "json",
    }

    def __init__(
        self,
        *,
        tweets: Tweets,
        start: datetime | Template | None = None,
        end: datetime | Template | None = None,
        interval: Mapping[str, Any] | Template | None = None,
        granularity: Template = "hour",
        time_zone: Template = "UTC",
        freshness: Mapping[str, Any] | Template | None = None,
        metrics: Sequence[str] | Template | None = None,
        groupings: Mapping[str, Any] | Template | None = None,
        dataset_path: Template | None = None,
        dataset_format: Template | None = None,
        extra_tables: Sequence[str] | Template | None = None,
        owners: Mapping[str, Any] | Template | None = None,
        accepted_outcomes: Sequence[str] | Template | None = None,
        limits: Mapping[str, Any] | Template | None = None,
        asset_events: str | None = None,
        estimate_only: bool | Template = False,
        engagement_conn_id: Template = EngagementHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            tweets=tweets,
            metrics=metrics,
            groupings=groupings,
            dataset_path=dataset_path,
            dataset_format=dataset_format,
            extra_tables=extra_tables,
            owners=owners,
            accepted_outcomes=accepted_outcomes,
            limits=limits,
            asset_events=asset_events,
            estimate_only=estimate_only,
            engagement_conn_id=engagement_conn_id,
            deferrable=deferrable,
            **kwargs,
        )
        self.start = start
        self.end = end
        self.interval = interval
        self.granularity = granularity
        self.time_zone = time_zone
        self.freshness = freshness
        self.check_parameters(granularity)
