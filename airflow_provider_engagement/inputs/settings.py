"""What a pull does, as a DAG and the configuration set it. It is parsed once, after the templates are rendered.

Everything after this module works with these values and knows no operator. What depends on the run of the task, such as
a start of ``7d``, stays as the author has written it until the run is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.query import Groupings, check_groupings, check_metrics
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import (
    ACCEPTED_BY_DEFAULT,
    parse_accepted_outcomes,
    parse_choice,
    parse_flag,
    parse_granularity,
    parse_text,
)
from airflow_provider_engagement.inputs.intervals import OnOutOfRange, OnUnaligned
from airflow_provider_engagement.inputs.lists import parse_list
from airflow_provider_engagement.inputs.numbers import parse_whole_number
from airflow_provider_engagement.inputs.query_fields import parse_groupings, parse_metrics
from airflow_provider_engagement.inputs.rules import (
    Alternatives,
    Group,
    Parse,
    Rule,
    Value,
    check_constants,
    is_blank,
    is_constant,
)
from airflow_provider_engagement.inputs.times import parse_duration, parse_time_zone
from airflow_provider_engagement.inputs.tweet_ids import parse_owner
from airflow_provider_engagement.inputs.tweet_source import TweetSource, TweetsRule
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.granularity import Granularity

Values = Mapping[str, Any]
"""The rendered parameters of an operator, by name."""

GRANULARITIES: Mapping[Endpoint, tuple[Granularity, ...]] = {
    Endpoint.LAST_28_HOURS: (Granularity.HOUR, Granularity.TOTAL, Granularity.HOUR_OF_DAY),
    Endpoint.HISTORICAL: tuple(Granularity),
}


class AssetEvents(StrEnum):
    """Which asset events a pull emits."""

    RUN = "run"
    """One event for each run of the task."""
    DAY = "day"
    """One event for each whole UTC day of the interval, with the day as its partition key."""


class ExtraTable(StrEnum):
    """A table that a pull writes only if the DAG asks for it."""

    OWNER_LEDGER = "owner_ledger"
    """The owners of the pull, since X bills the number of different users in a month."""
    RESTATEMENTS = "restatements"
    """Counts that differ from an earlier pull."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The sizes above which a pull fails before it sends a request; ``None`` for no limit.

    :param tweets: the number of Tweets.
    :param requests: the number of requests to send.
    :param owners: the number of different owners.
    """

    tweets: int | None = None
    requests: int | None = None
    owners: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PullSettings:
    """What the pulls of all endpoints have in common.

    :param endpoint: the endpoint.
    :param conn_id: the connection of the API.
    :param owner_conn_id: the id of each owner's own connection, with ``{owner}`` in place of the owner.
    :param tweets: where the ids of the Tweets come from.
    :param metrics: the names of the metrics; ``None`` for all that the credentials can read.
    :param groupings: groupings in the API's own nesting, beside the rows.
    :param dataset_path: the path or URL of the dataset; ``None`` to return the rows.
    :param dataset_format: the format of the dataset.
    :param accepted: the outcomes that do not fail the task.
    :param write_owner_ledger: whether to write the table ``owner_ledger``.
    :param limits: the sizes above which the pull fails.
    :param asset_events: which asset events the task emits, if any.
    :param concurrent_requests: how many requests are in flight at the same time.
    :param max_inline_wait: the longest wait on the worker, in seconds.
    :param max_wait: how many seconds after the start of the attempt a wait can end.
    :param estimate_only: whether to return an estimate instead of sending requests.
    """

    endpoint: Endpoint
    conn_id: str
    owner_conn_id: str | None
    tweets: TweetSource
    metrics: tuple[str, ...] | None
    groupings: Groupings
    dataset_path: str | None
    dataset_format: DatasetFormat
    accepted: tuple[Outcome, ...]
    write_owner_ledger: bool
    limits: Bounds
    asset_events: AssetEvents | None
    concurrent_requests: int
    max_inline_wait: float
    max_wait: float
    estimate_only: bool

    @property
    def main_table(self) -> tuple[str, str | None]:
        """The name of the table that the pull is about, and the granularity of its rows if it has several."""
        return main_table(self.endpoint, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class TotalsSettings(PullSettings):
    """What a pull of totals does.

    :param auth: the kind of credentials; ``None`` to choose it by the metrics and the connection.
    :param snapshot_at: the time of the snapshot, as the author has written it; ``None`` for that of the run.
    :param max_delay: how long after its time a run can read current counts; ``None`` for any time.
    """

    auth: Auth | None
    snapshot_at: object
    max_delay: timedelta | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesSettings(PullSettings):
    """What a pull of hourly counts does.

    :param granularity: what one row covers.
    :param zone: the time zone of days and hours of day.
    :param settling_time: how long after an hour its counts may still change.
    :param write_restatements: whether to write the table ``restatements``.
    """

    granularity: Granularity
    zone: ZoneInfo
    settling_time: timedelta
    write_restatements: bool

    @property
    def main_table(self) -> tuple[str, str | None]:
        """The name of the table that the pull is about, and the granularity of its rows if it has several."""
        return main_table(self.endpoint, self.granularity)


@dataclass(frozen=True, kw_only=True, slots=True)
class Last28HourSettings(SeriesSettings):
    """What a pull of the last 28 hours does.

    :param max_delay: how long after its time a run can read current counts; ``None`` for any time.
    """

    max_delay: timedelta | None


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoricalSettings(SeriesSettings):
    """What a pull of an interval does.

    :param start: the start of the interval, as the author has written it; ``None`` for the interval of the run.
    :param end: the end of the interval, likewise.
    :param lookback: how long before the start each run pulls again.
    :param after_post_days: how many days of each Tweet's life to pull; ``None`` for the same interval of all Tweets.
    :param after_post_period: which period of this many days.
    :param on_unaligned: what to do with an edge that is not a whole hour.
    :param on_out_of_range: what to do with hours that the API does not have.
    :param max_age: for how long the API has hours; ``None`` for all since 2014-09-01.
    :param reuse_for: for how long other runs reuse a response whose counts are not final.
    :param share_backfill_requests: whether the runs of a backfill share requests.
    """

    start: object
    end: object
    lookback: timedelta
    after_post_days: int | None
    after_post_period: int
    on_unaligned: OnUnaligned
    on_out_of_range: OnOutOfRange
    max_age: timedelta | None
    reuse_for: timedelta
    share_backfill_requests: bool


def main_table(endpoint: Endpoint, granularity: str | None) -> tuple[str, str | None]:
    """Return the name of the table that a pull is about, and the granularity of its rows if it has several.

    :param endpoint: the endpoint.
    :param granularity: the granularity of the pull; ``None`` for totals.
    """
    if endpoint is Endpoint.TOTALS:
        return "tweet_totals", None
    return ("tweet_hours_of_day", None) if granularity == "hour_of_day" else ("tweet_metrics", granularity)


def _duration(field: str, *, can_be_unlimited: bool = False, above_zero: bool = False) -> Parse:
    return partial(parse_duration, field=field, can_be_unlimited=can_be_unlimited, above_zero=above_zero)


def _whole(field: str, *, minimum: int) -> Parse:
    return partial(parse_whole_number, field=field, minimum=minimum)


OWNERS = Group(
    "owners",
    {
        "default": partial(parse_owner, field="owners.default"),
        "conn_id": partial(parse_text, field="owners.conn_id"),
    },
    defaults={"default": None, "conn_id": None},
)

LIMITS = Group(
    "limits",
    {
        **{name: _whole(f"limits.{name}", minimum=0) for name in ("tweets", "requests", "owners")},
        "concurrent_requests": _whole("limits.concurrent_requests", minimum=1),
        "wait": _duration("limits.wait"),
        "wait_on_worker": _duration("limits.wait_on_worker"),
    },
    defaults={
        "tweets": None,
        "requests": None,
        "owners": None,
        "concurrent_requests": 8,
        "wait": timedelta(hours=6),
        "wait_on_worker": timedelta(seconds=30),
    },
)

FRESHNESS = Group(
    "freshness",
    {
        "settles_after": _duration("freshness.settles_after"),
        "reuse_for": _duration("freshness.reuse_for"),
        "share_backfill_requests": partial(parse_flag, field="freshness.share_backfill_requests"),
    },
    defaults={
        "settles_after": timedelta(hours=72),
        "reuse_for": timedelta(hours=24),
        "share_backfill_requests": True,
    },
)

_OF_ALL_INTERVALS: Mapping[str, Parse] = {
    "on_unaligned": partial(parse_choice, choices=OnUnaligned, field="interval.on_unaligned"),
    "on_out_of_range": partial(parse_choice, choices=OnOutOfRange, field="interval.on_out_of_range"),
    "max_age": _duration("interval.max_age", can_be_unlimited=True, above_zero=True),
}
_DEFAULT_INTERVAL = {
    "lookback": timedelta(0),
    "days": None,
    "period": 1,
    "on_unaligned": OnUnaligned.FAIL,
    "on_out_of_range": OnOutOfRange.FAIL,
    "max_age": timedelta(days=365),
}
AFTER_POST = Group(
    "interval",
    {
        "days": _whole("interval.days", minimum=1),
        "period": _whole("interval.period", minimum=1),
        **_OF_ALL_INTERVALS,
    },
    defaults=_DEFAULT_INTERVAL,
    required=("days",),
)
INTERVAL = Alternatives(
    Group("interval", {"lookback": _duration("interval.lookback"), **_OF_ALL_INTERVALS}, defaults=_DEFAULT_INTERVAL),
    {"days": AFTER_POST, "period": AFTER_POST},
)


@cache
def rules_of(endpoint: Endpoint) -> Mapping[str, Rule]:
    """Return what the parameters of the operator of an endpoint accept, by name.

    :param endpoint: the endpoint.
    """
    rules: dict[str, Rule] = {
        "tweets": TweetsRule(),
        "metrics": Value(partial(_parse_metrics, endpoint=endpoint)),
        "groupings": Value(partial(_parse_groupings, endpoint=endpoint), default={}),
        "owners": OWNERS,
        "accepted_outcomes": Value(parse_accepted_outcomes, default=ACCEPTED_BY_DEFAULT),
        "dataset_format": Value(
            partial(parse_choice, choices=DatasetFormat, field="dataset_format"), default=DatasetFormat.PARQUET
        ),
        "extra_tables": Value(partial(_parse_extra_tables, endpoint=endpoint), default=()),
        "limits": LIMITS,
        "asset_events": Value(partial(parse_choice, choices=AssetEvents, field="asset_events")),
        "estimate_only": Value(partial(parse_flag, field="estimate_only"), default=False),
    }
    if endpoint is not Endpoint.HISTORICAL:
        rules["max_delay"] = Value(_duration("max_delay", can_be_unlimited=True), default=timedelta(hours=24))
    if endpoint is Endpoint.TOTALS:
        rules["auth"] = Value(partial(parse_choice, choices=Auth, field="auth"))
        return rules
    rules["granularity"] = Value(
        partial(parse_granularity, supported=GRANULARITIES[endpoint], endpoint=endpoint), default=Granularity.HOUR
    )
    rules["time_zone"] = Value(parse_time_zone, default=ZoneInfo("UTC"))
    if endpoint is Endpoint.LAST_28_HOURS:
        rules["settles_after"] = Value(_duration("settles_after"), default=timedelta(hours=72))
    else:
        rules |= {"interval": INTERVAL, "freshness": FRESHNESS}
    return rules


def parse_settings(endpoint: str, values: Values) -> PullSettings:
    """Parse what a pull does.

    :param endpoint: the endpoint.
    :param values: the rendered parameters of its operator, by name.
    :raises InvalidQueryError: with the first parameter that has an invalid value.
    """
    of = Endpoint(endpoint)
    _check_together(values)
    parsed = {name: rule.parse(values[name]) for name, rule in rules_of(of).items()}
    match of:
        case Endpoint.TOTALS:
            return TotalsSettings(
                **_common(of, parsed, values),
                auth=parsed["auth"],
                snapshot_at=values["snapshot_at"],
                max_delay=parsed["max_delay"],
            )
        case Endpoint.LAST_28_HOURS:
            return Last28HourSettings(
                **_series(of, parsed, values), settling_time=parsed["settles_after"], max_delay=parsed["max_delay"]
            )
        case Endpoint.HISTORICAL:
            interval, freshness = parsed["interval"], parsed["freshness"]
            return HistoricalSettings(
                **_series(of, parsed, values),
                settling_time=freshness["settles_after"],
                start=values["start"],
                end=values["end"],
                lookback=interval["lookback"],
                after_post_days=interval["days"],
                after_post_period=interval["period"],
                on_unaligned=interval["on_unaligned"],
                on_out_of_range=interval["on_out_of_range"],
                max_age=interval["max_age"],
                reuse_for=freshness["reuse_for"],
                share_backfill_requests=freshness["share_backfill_requests"],
            )


def check_settings(endpoint: str, values: Values) -> None:
    """Reject parameters that can never be right, before the templates are rendered.

    :param endpoint: the endpoint.
    :param values: the parameters of its operator, by name.
    :raises InvalidQueryError: with the text that :func:`parse_settings` would raise.
    """
    check_constants(rules_of(Endpoint(endpoint)), values)
    _check_together(values)


def _check_together(values: Values) -> None:
    """Reject parameters that exclude or require each other, as far as no template sets them."""
    start, end, groupings = (values.get(name) for name in ("start", "end", "groupings"))
    if is_blank(start) != is_blank(end) and is_constant(start) and is_constant(end):
        missing, other = ("start", "end") if is_blank(start) else ("end", "start")
        raise InvalidQueryError(missing, f"is not set, but {other} is", "Set start and end, or neither.")
    if is_blank(groupings) or not groupings or not is_constant(groupings):
        return
    interval = values.get("interval")
    if is_constant(interval) and INTERVAL.group_of(interval) is AFTER_POST:
        raise InvalidQueryError(
            "groupings",
            "the days after each post do not support groupings, because Tweets of different ages share requests",
            "Request hourly rows and sum them, or set start and end instead of AfterPost.",
        )


def _series(endpoint: Endpoint, parsed: Values, values: Values) -> dict[str, Any]:
    return {
        "granularity": parsed["granularity"],
        "zone": parsed["time_zone"],
        "write_restatements": ExtraTable.RESTATEMENTS in parsed["extra_tables"],
        **_common(endpoint, parsed, values),
    }


def _common(endpoint: Endpoint, parsed: Values, values: Values) -> dict[str, Any]:
    path, limits, owners = values["dataset_path"], parsed["limits"], parsed["owners"]
    if ExtraTable.OWNER_LEDGER in parsed["extra_tables"] and not path:
        raise InvalidQueryError(
            "extra_tables", "there is no dataset to keep the owner_ledger in", "Set dataset_path, or leave it out."
        )
    return {
        "endpoint": endpoint,
        "conn_id": values["engagement_conn_id"],
        "owner_conn_id": owners["conn_id"],
        "metrics": parsed["metrics"],
        "groupings": parsed["groupings"],
        "dataset_path": path or None,
        # Without a dataset, the tables are read again and deleted.
        "dataset_format": parsed["dataset_format"] if path else DatasetFormat.PARQUET,
        "accepted": parsed["accepted_outcomes"],
        "write_owner_ledger": ExtraTable.OWNER_LEDGER in parsed["extra_tables"],
        "limits": Bounds(tweets=limits["tweets"], requests=limits["requests"], owners=limits["owners"]),
        "asset_events": parsed["asset_events"],
        "concurrent_requests": limits["concurrent_requests"],
        "max_inline_wait": limits["wait_on_worker"].total_seconds(),
        "max_wait": limits["wait"].total_seconds(),
        "estimate_only": parsed["estimate_only"],
        "tweets": replace(parsed["tweets"], owner=owners["default"]),
    }


def _parse_metrics(value: object, *, endpoint: Endpoint) -> tuple[str, ...]:
    metrics = parse_metrics(value, endpoint=endpoint, auth=Auth.USER)
    check_metrics(metrics, endpoint, Auth.USER)
    return metrics


def _parse_groupings(value: Any, *, endpoint: Endpoint) -> Groupings:
    groupings = parse_groupings(value)
    check_groupings(groupings, endpoint)
    return groupings


def _parse_extra_tables(value: object, *, endpoint: Endpoint) -> tuple[ExtraTable, ...]:
    field = "extra_tables"
    tables = [ExtraTable.OWNER_LEDGER] if endpoint is Endpoint.TOTALS else list(ExtraTable)
    return tuple(parse_choice(name, tables, field=field) for name in parse_list(value, field=field))
