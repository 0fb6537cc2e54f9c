"""What a pull does, as a DAG and the configuration set it. It is parsed once, after the templates are rendered.

Everything after this module works with these values and knows no operator. What depends on the run of the task, such as
a start of ``7d``, stays as the author has written it until the run is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.query import Groupings
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_accepted_outcomes, parse_choice, parse_granularity
from airflow_provider_engagement.inputs.intervals import OnOutOfRange, OnUnaligned
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number
from airflow_provider_engagement.inputs.query_fields import parse_groupings, parse_metrics
from airflow_provider_engagement.inputs.times import parse_hours, parse_time_zone
from airflow_provider_engagement.inputs.tweet_ids import parse_owner
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


@dataclass(frozen=True, kw_only=True, slots=True)
class TweetSource:
    """Where the ids of the Tweets come from: exactly one of a list, a file and a query.

    :param ids: the list, in any form that can be parsed.
    :param file: the path or URL of the file or files.
    :param sql: the query.
    :param conn_id: the connection of the database for the query.
    :param column: the column that contains the ids, if its name is not one of the known ones.
    :param owner_column: the column that contains the owners; ``None`` for ``owner``, if there is one; ``False``
        for none.
    :param owner: the owner of the Tweets that are listed without one.
    """

    ids: object = None
    file: str | None = None
    sql: str | None = None
    conn_id: str | None = None
    column: str | int | None = None
    owner_column: str | int | bool | None = None
    owner: str | None = None

    @property
    def guesses_owners(self) -> bool:
        """Whether a column is read as that of the owners because of its name alone."""
        return self.owner_column is None and self.ids is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
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
    limits: Limits
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


def parse_settings(endpoint: str, values: Values) -> PullSettings:
    """Parse what a pull does.

    :param endpoint: the endpoint.
    :param values: the rendered parameters of its operator, by name.
    :raises InvalidQueryError: with the first parameter that has an invalid value.
    """
    match Endpoint(endpoint):
        case Endpoint.TOTALS:
            return TotalsSettings(
                **_common(Endpoint.TOTALS, values),
                auth=parse_choice(values["auth"], Auth, field="auth") if values["auth"] else None,
                snapshot_at=values["snapshot_at"],
                max_delay=_max_delay(values),
            )
        case Endpoint.LAST_28_HOURS:
            return Last28HourSettings(**_series(Endpoint.LAST_28_HOURS, values), max_delay=_max_delay(values))
        case Endpoint.HISTORICAL:
            return _parse_historical(values)


def _parse_historical(values: Values) -> HistoricalSettings:
    start, end, days, age = (values[name] for name in ("start", "end", "after_post_days", "history_days"))
    settings = HistoricalSettings(
        **_series(Endpoint.HISTORICAL, values),
        start=start,
        end=end,
        lookback=parse_hours(values["lookback_hours"], field="lookback_hours"),
        after_post_days=None if days is None else parse_whole_number(days, field="after_post_days", minimum=1),
        after_post_period=parse_whole_number(values["after_post_period"], field="after_post_period", minimum=1),
        on_unaligned=parse_choice(values["on_unaligned"], OnUnaligned, field="on_unaligned"),
        on_out_of_range=parse_choice(values["on_out_of_range"], OnOutOfRange, field="on_out_of_range"),
        max_age=None if age is None else timedelta(days=parse_number(age, field="history_days", above=0)),
        reuse_for=parse_hours(values["reuse_hours"], field="reuse_hours"),
        share_backfill_requests=bool(values["share_backfill_requests"]),
    )
    if settings.groupings and days is not None:
        raise InvalidQueryError(
            "groupings",
            "after_post_days does not support groupings, because Tweets of different ages share requests",
            "Request hourly rows and sum them, or set start and end instead of after_post_days.",
        )
    if (start is None) != (end is None):
        missing, other = ("start", "end") if start is None else ("end", "start")
        raise InvalidQueryError(missing, f"is not set, but {other} is", "Set start and end, or neither.")
    return settings


def _series(endpoint: Endpoint, values: Values) -> dict[str, Any]:
    return {
        "granularity": parse_granularity(values["granularity"], GRANULARITIES[endpoint], endpoint=endpoint),
        "zone": parse_time_zone(values["time_zone"]),
        "settling_time": parse_hours(values["settling_hours"], field="settling_hours"),
        "write_restatements": bool(values["write_restatements"]),
        **_common(endpoint, values),
    }


def _common(endpoint: Endpoint, values: Values) -> dict[str, Any]:
    metrics, events, path = values["metrics"], values["asset_events"], values["dataset_path"]
    # Without a dataset, the tables are read again and deleted.
    dataset_format = parse_choice(values["dataset_format"], DatasetFormat, field="dataset_format")
    if values["write_owner_ledger"] and not path:
        raise InvalidQueryError(
            "write_owner_ledger", "there is no dataset to keep the ledger in", "Set dataset_path, or leave it out."
        )
    return {
        "endpoint": endpoint,
        "conn_id": values["engagement_conn_id"],
        "owner_conn_id": values["owner_conn_id"],
        "metrics": None if metrics is None else parse_metrics(metrics, endpoint=endpoint, auth=Auth.USER),
        "groupings": parse_groupings(values["groupings"]),
        "dataset_path": path or None,
        "dataset_format": dataset_format if path else DatasetFormat.PARQUET,
        "accepted": parse_accepted_outcomes(values["accepted_outcomes"]),
        "write_owner_ledger": bool(values["write_owner_ledger"]),
        "limits": Limits(
            tweets=_limit(values, "max_tweets"),
            requests=_limit(values, "max_requests"),
            owners=_limit(values, "max_owners"),
        ),
        "asset_events": None if events is None else parse_choice(events, AssetEvents, field="asset_events"),
        "concurrent_requests": parse_whole_number(
            values["concurrent_requests"], field="concurrent_requests", minimum=1
        ),
        "max_inline_wait": parse_number(values["max_inline_wait"], field="max_inline_wait", minimum=0),
        "max_wait": parse_number(values["max_wait"], field="max_wait", minimum=0),
        "estimate_only": bool(values["estimate_only"]),
        "tweets": parse_source(values),
    }


def parse_source(values: Values) -> TweetSource:
    """Parse where the ids of the Tweets come from.

    :param values: the rendered parameters of the operator, by name.
    :raises InvalidQueryError: if not exactly one source is set, or if the owner is invalid.
    """
    sources = ("tweet_ids", "tweet_ids_file", "tweet_ids_sql")
    chosen = [name for name in sources if values[name] is not None]
    if len(chosen) != 1:
        problem = f"{' and '.join(chosen)} are set" if chosen else f"none of {', '.join(sources)} is set"
        raise InvalidQueryError("tweet_ids", problem, "Set one of them.")
    return TweetSource(
        ids=values["tweet_ids"],
        file=values["tweet_ids_file"],
        sql=values["tweet_ids_sql"],
        conn_id=values["tweet_ids_conn_id"],
        column=values["tweet_ids_column"],
        owner_column=values["owner_column"],
        owner=parse_owner(values["tweet_owner"], field="tweet_owner"),
    )


def _limit(values: Values, name: str) -> int | None:
    return None if values[name] is None else parse_whole_number(values[name], field=name, minimum=0)


def _max_delay(values: Values) -> timedelta | None:
    hours = values["max_delay_hours"]
    return None if hours is None else parse_hours(hours, field="max_delay_hours")
