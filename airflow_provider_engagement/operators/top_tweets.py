"""An operator that ranks the Tweets of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.links import BestTweetLink, DatasetLink
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of
from airflow_provider_engagement.quantities import counted

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import pyarrow
    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.time_range import TimeRange
    from airflow_provider_engagement.operators.lineage import Lineage
    from airflow_provider_engagement.pull.task_run import RunContext
    from airflow_provider_engagement.report.ranking import TopTweet
    from airflow_provider_engagement.storage.paths import StoragePath

    ReadCounts = Callable[[Sequence[str]], pyarrow.Table]

MAX_TWEETS_IN_XCOM = 1_000
"""How many Tweets of each metric a task returns at most."""

METRICS_AT_ONCE = 6
"""How many metrics are in memory at the same time. The table is read once for each group of them."""


class EngagementTopTweetsOperator(BaseOperator):
    """Finds the Tweets of a dataset with the highest counts of each metric.

    The Tweets come from one snapshot of ``tweet_totals``, or from ``tweet_metrics``, whose counts are summed over an
    interval. A larger count comes first. Of equal counts, the smaller Tweet id comes first. A Tweet whose count is null
    is not ranked.

    .. seealso:: ``docs/operators/top-tweets.md``

    :param dataset_path: the path or URL of the dataset folder. (templated)
    :param table: ``tweet_totals`` (default) or ``tweet_metrics``. (templated)
    :param metrics: the names of the metrics to rank by; by default, all that have counts. (templated)
    :param limit: how many Tweets to return for each metric, from 1 to 1,000; 10 by default. (templated)
    :param snapshot_at: the time of the snapshot of ``tweet_totals``, in the formats of
        ``EngagementTotalsOperator.snapshot_at``; by default, the newest snapshot. (templated)
    :param start: the start of the interval of ``tweet_metrics``, in the formats of
        ``EngagementHistoricalOperator.start``. A date is midnight in ``time_zone``. By default, the run's
        partition key or data interval sets the start and the end. (templated)
    :param end: the end of the interval, in the same formats as ``start``. The end is not part of the interval.
        (templated)
    :param granularity: which rows of ``tweet_metrics`` to sum: ``hour`` (default) or ``day``. (templated)
    :param time_zone: the IANA name of the time zone of the days and of the dates in ``start`` and ``end``; UTC by
        default. (templated)
    :param csv_path: the path or URL of a CSV file to write the ranking to. (templated)
    :param markdown_path: the path or URL of a Markdown file to write the ranking to. (templated)
    """

    template_fields: Sequence[str] = (
        "dataset_path",
        "table",
        "metrics",
        "limit",
        "snapshot_at",
        "start",
        "end",
        "granularity",
        "time_zone",
        "csv_path",
        "markdown_path",
    )
    operator_extra_links = (BestTweetLink(), DatasetLink())
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        dataset_path: str,
        table: str = "tweet_totals",
        metrics: Sequence[str] | str | None = None,
        limit: int | str = 10,
        snapshot_at: Any = None,
        start: Any = None,
        end: Any = None,
        granularity: str = "hour",
        time_zone: str = "UTC",
        csv_path: str | None = None,
        markdown_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_path = dataset_path
        self.table = table
        self.metrics = metrics
        self.limit = limit
        self.snapshot_at = snapshot_at
        self.start = start
        self.end = end
        self.granularity = granularity
        self.time_zone = time_zone
        self.csv_path = csv_path
        self.markdown_path = markdown_path
        self.best_tweet: str | None = None
        """The URL of the best Tweet of the first metric, after the task has run."""
        self.lineage: Lineage | None = None
        """What the task has read and written, for OpenLineage."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Rank the Tweets, write the files, and return the ranking."""

        from airflow_provider_engagement.connections.storage_options import storage_path
        from airflow_provider_engagement.inputs.numbers import parse_whole_number
        from airflow_provider_engagement.operators.lineage import top_tweets_lineage
        from airflow_provider_engagement.report.ranking import rank
        from airflow_provider_engagement.report.ranking_documents import ranking_as_csv, ranking_as_markdown

        with task_failures():
            unset_blank_parameters(self)
            limit = parse_whole_number(self.limit, field="limit", minimum=1)
            if limit > MAX_TWEETS_IN_XCOM:
                raise InvalidQueryError("limit", f"{limit} is too many", f"Pass at most {MAX_TWEETS_IN_XCOM}.")
            table, metrics = self._table_and_metrics()
            folder = storage_path(self.dataset_path, field="dataset_path")
            if not (folder / table).exists():
                raise InvalidQueryError(
                    "dataset_path",
                    f"{folder} has no table {table}",
                    "Pass the dataset_path of a pull, or another table.",
                )
            read, period = self._reader(folder, table, run_of(context))
            ranking: dict[str, list[TopTweet]] = {}
            tweets = 0
            for first in range(0, len(metrics), METRICS_AT_ONCE):
                counts = read(metrics[first : first + METRICS_AT_ONCE])
                tweets = counts.num_rows
                ranking |= rank(counts, metrics[first : first + METRICS_AT_ONCE], number=limit)
            if self.metrics is None:
                ranking = {metric: ranked for metric, ranked in ranking.items() if ranked}
            outputs = {}
            title = f"Top {counted(limit, 'Tweet')} by metric"
            subtitle = f"Of {counted(tweets, 'Tweet')}, {_in_words(period)}."
            for name, path, text in (
                ("csv", self.csv_path, ranking_as_csv(ranking)),
                ("markdown", self.markdown_path, ranking_as_markdown(ranking, title=title, subtitle=subtitle)),
            ):
                if path:
                    _write(storage_path(path, field=f"{name}_path"), text)
                    outputs[name] = path
            self.lineage = top_tweets_lineage(self.dataset_path, table, self.granularity, outputs.values())
            self.best_tweet = next((ranked[0].link for ranked in ranking.values() if ranked), None)
            self.log.info(
                "Ranked %s by %s, %s.", counted(tweets, "Tweet"), counted(len(ranking), "metric"), _in_words(period)
            )
            extra = {"dataset": self.dataset_path, "table": table, **period, "tweets": tweets, "outputs": outputs}
            describe_outlets(self, extra, context)
            return {
                "table": table,
                **period,
                "tweets": tweets,
                "top": {
                    metric: [
                        {"rank": place, "tweet_id": tweet.tweet_id, "count": tweet.count, "link": tweet.link}
                        for place, tweet in enumerate(ranked, start=1)
                    ]
                    for metric, ranked in ranking.items()
                },
                "outputs": outputs,
            }

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the task has read and written, for the provider of OpenLineage."""
        from airflow_provider_engagement.operators.lineage import to_openlineage

        return to_openlineage(self.lineage)

    def _table_and_metrics(self) -> tuple[str, tuple[str, ...]]:
        from airflow_provider_engagement.inputs.choices import parse_name
        from airflow_provider_engagement.inputs.lists import parse_list
        from airflow_provider_engagement.tables.schema import TWEET_METRICS, TWEET_TOTALS

        tables = {table.name: table for table in (TWEET_TOTALS, TWEET_METRICS)}
        table = tables[parse_name(self.table, tables, field="table")]
        if self.metrics is None:
            return table.name, table.metrics
        names = parse_list(self.metrics, field="metrics")
        if not names:
            raise InvalidQueryError("metrics", "is empty", "Name a metric, or leave metrics out.")
        return table.name, tuple(dict.fromkeys(parse_name(name, table.metrics, field="metrics") for name in names))

    def _reader(self, folder: StoragePath, table: str, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:
        """Return a function that reads the counts of some metrics, and the snapshot or interval that they belong to."""
        if table == "tweet_totals":
            return self._snapshot_reader(folder, run)
        return self._interval_reader(folder, run)

    def _snapshot_reader(self, folder: StoragePath, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:
        from airflow_provider_engagement.connections.storage_options import table_address
        from airflow_provider_engagement.inputs.times import parse_time
        from airflow_provider_engagement.report.tweet_counts import newest_snapshot, snapshot_counts

        newest = newest_snapshot(folder, address_of=table_address)
        if newest is None:
            raise InvalidQueryError("dataset_path", f"{folder} has no snapshot", "Run a totals pull first.")
        snapshot_at = (
            newest if self.snapshot_at is None else parse_time(self.snapshot_at, field="snapshot_at", now=run.time)
        )

        def read(metrics: Sequence[str]) -> pyarrow.Table:
            counts = snapshot_counts(folder, snapshot_at, metrics, address_of=table_address)
            if not counts.num_rows:
                raise InvalidQueryError(
                    "snapshot_at",
                    f"{folder} has no snapshot of {snapshot_at.isoformat()}; the newest is {newest.isoformat()}",
                    "Pass the time of a snapshot, or none to use the newest.",
                )
            return counts

        return read, {"snapshot_at": snapshot_at.isoformat()}

    def _interval_reader(self, folder: StoragePath, run: RunContext) -> tuple[ReadCounts, dict[str, Any]]:
        from airflow_provider_engagement.connections.storage_options import table_address
        from airflow_provider_engagement.engagement_api.time_range import to_api
        from airflow_provider_engagement.inputs.choices import parse_choice
        from airflow_provider_engagement.inputs.times import parse_time, parse_time_zone
        from airflow_provider_engagement.report.tweet_counts import interval_counts
        from airflow_provider_engagement.tables.granularity import Granularity

        if (self.start is None) != (self.end is None):
            missing, given = ("start", "end") if self.start is None else ("end", "start")
            raise InvalidQueryError(missing, f"is not set, but {given} is", "Set start and end, or neither.")
        first, last = run.interval if self.start is None else (self.start, self.end)
        granularity = parse_choice(self.granularity, (Granularity.HOUR, Granularity.DAY), field="granularity")
        zone = parse_time_zone(self.time_zone)
        interval = _whole_periods(
            parse_time(first, field="start", now=run.time, zone=zone),
            parse_time(last, field="end", now=run.time, zone=zone),
            zone=zone if granularity is Granularity.DAY else None,
            is_of_run=self.start is None,
        )
        rows_zone = zone if granularity is Granularity.DAY else parse_time_zone("UTC")
        read = partial(
            interval_counts, folder, interval, granularity=granularity, zone=rows_zone, address_of=table_address
        )
        return read, {"interval": [to_api(interval.start), to_api(interval.end)]}


def _whole_periods(start: datetime, end: datetime, *, zone: ZoneInfo | None, is_of_run: bool) -> TimeRange:
    """Return the whole days or hours between two times.

    :param start: the start, in UTC.
    :param end: the end, in UTC.
    :param zone: the time zone of the days; ``None`` for hours.
    :param is_of_run: whether the times are those of the run, which an error says.
    :raises InvalidQueryError: if there are none.
    """
    from airflow_provider_engagement.engagement_api.time_range import ceil_to_hour, floor_to_hour, time_range_or_none
    from airflow_provider_engagement.tables.days import check_days_of_hours, whole_days_of

    if start >= end and not is_of_run:
        raise InvalidQueryError(
            "start", f"{start.isoformat()} is not before end, {end.isoformat()}", "Pass an earlier start."
        )
    found = time_range_or_none(ceil_to_hour(start), floor_to_hour(end))
    if found is not None and zone is not None:
        check_days_of_hours(found, zone)
        found = whole_days_of(found, zone, first_is_whole=False)
    if found is not None:
        return found
    source = "the interval of the run," if is_of_run else "the interval"
    raise InvalidQueryError(
        "start",
        f"{source} from {start.isoformat()} to {end.isoformat()}{',' if is_of_run else ''} contains no whole "
        f"{'hour' if zone is None else 'day'}",
        "Set start and end, such as start='7d' and end='now'."
        if is_of_run
        else "Set start and end to a longer interval.",
    )


def _in_words(period: dict[str, Any]) -> str:
    if "snapshot_at" in period:
        return f"snapshot of {period['snapshot_at']}"
    start, end = period["interval"]
    return f"from {start} to {end}"


def _write(path: StoragePath, text: str) -> None:
    import uuid

    from airflow_provider_engagement.storage.paths import write_atomically

    with write_atomically(path, path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp") as file:
        file.write(text.encode())
