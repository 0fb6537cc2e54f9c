"""The operators: totals, the last 28 hours, and historical pulls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow_provider_engagement.operators.base import EngagementPullOperator

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
        self.declare_outlet(granularity)


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
        self.declare_outlet(granularity)
