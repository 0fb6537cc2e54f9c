"""Parts of a pull by the hour -> ``tweet_metrics`` and its companions, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.api.time_range import HOUR, TimeRange, ceil_to_hour, floor_to_hour
from airflow_provider_engagement.api.tweet_id import created_at
from airflow_provider_engagement.dataset import rollups
from airflow_provider_engagement.dataset.completeness import check_complete
from airflow_provider_engagement.dataset.fetch import FetchResult, Parts
from airflow_provider_engagement.dataset.folder import Output, PartitionedRows
from airflow_provider_engagement.dataset.merged_table import by_partition
from airflow_provider_engagement.dataset.response_store import StoredResponse
from airflow_provider_engagement.dataset.restatements import Restatements
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.schema import (
    COVERAGE,
    RESTATEMENTS,
    TWEET_HOURS_OF_DAY,
    TWEET_METRICS,
    TWEET_STATUS,
    Table,
    columns_to_table,
)
from airflow_provider_engagement.dataset.status import failed_statuses, status_rows
from airflow_provider_engagement.dataset.tree import merged

if TYPE_CHECKING:
    import pyarrow

SETTLING_TIME = timedelta(hours=72)
"""Counts of an hour may still change for so long after it (no page promises that they are final; this is the age at
which other tools stop reading again)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeries:
    """What is wanted of a pull by the hour.

    :param query: what is asked.
    :param granularity: the grain of the rows.
    :param zone: whose days and hours of day.
    :param wanted: the hours of a Tweet that rows are made of; ``None`` for none.
    :param span: the span that the rows of a Tweet are said to be of, for the rollups without hours and days; ``None``
        for the span that the API echoes.
    :param settling_time: how long after an hour its counts may still change.
    :param run: the run's id.
    :param task: the task's name, with its DAG's and its map index.
    :param owner: the id of the user whose Tweets these are.
    :param name: the name of files that this run alone writes.
    :param date: the day that this run's own files are put under.
    :param restatements: whether to report what changed since the rows were read before.
    """

    query: Query
    granularity: Granularity
    zone: ZoneInfo
    wanted: Callable[[str, TimeRange], TimeRange | None]
    span: Callable[[str], TimeRange] | None
    settling_time: timedelta
    run: str
    task: str
    owner: str | None
    name: str
    date: datetime
    restatements: bool = False


PARTITIONS: Mapping[Granularity, str] = {
    Granularity.HOUR: "period_date=%Y-%m-%d",
    Granularity.DAY: "period_month=%Y-%m",
    Granularity.TOTAL: "period_month=%Y-%m",
    Granularity.HOUR_OF_DAY: "period_month=%Y-%m",
}
"""How the partitions of each grain are named; a period belongs to that of its first instant, in UTC."""


def assemble_time_series(
    pulled: FetchResult, parts: Parts, output: Output, *, wanted: TimeSeries, accepted: tuple[Outcome, ...]
) -> Result:
    """Write what became of the Tweets of a pull by the hour, and its rows if it is complete.

    Parts are read once, window by window, and no more of them is held than what the rows of open partitions need.

    :param pulled: what became of the requests, in the order of their windows.
    :param parts: where the answers are kept.
    :param output: where the tables go.
    :param wanted: what is wanted.
    :param accepted: the outcomes that do not keep the pull from being complete.
    :raises EngagementError: if it is not complete; of the tables only ``tweet_status`` is written then.
    """
    result = Result()
    statuses: dict[str, TweetStatus] = dict.fromkeys(
        wanted.query.tweet_ids, TweetStatus(Outcome.OK, message="created after the window")
    )
    told: dict[str, TweetStatus] = {}
    authors: dict[str, str | None] = {}
    checked: dict[str, datetime] = {}
    echoed: TimeRange | None = None
    without_window: list[tuple[Request, StoredResponse | None, Mapping[str, TweetStatus]]] = []
    changes = Restatements(str(wanted.granularity), _zone_told(wanted)) if wanted.restatements else None
    target = _target(output, wanted, changes)
    grain = _Grain(wanted, target)
    own = f"run_date={wanted.date:%Y-%m-%d}/{wanted.name}"
    try:
        with output.open({COVERAGE: f"{COVERAGE.name}/{own}"}) as tables:
            for request in sorted(pulled.requests, key=_start):
                part = parts.read(request)
                found: Mapping[str, TweetStatus]
                if part is None:
                    found = failed_statuses(request, pulled.why_missing(request))
                else:
                    found = part.statuses
                    authors |= part.authors
                    result.groupings = merged(result.groupings, part.groupings)
                    grain.add(request, part)
                for tweet_id, status in found.items():
                    told[tweet_id] = told[tweet_id].joined(status) if tweet_id in told else status
                    if part is not None:
                        checked[tweet_id] = part.fetched_at
                covered = _covered(request, part)
                if covered is None:
                    without_window.append((request, part, found))
                else:
                    echoed = covered
                    tables[COVERAGE.name].append(_coverage(request, covered, part, found, wanted))
            for request, part, found in without_window:
                covered = echoed or _last_28_hours(part)
                if covered is not None:
                    tables[COVERAGE.name].append(_coverage(request, covered, part, found, wanted))
            statuses |= told
            result.outcomes.add(statuses.items())
            with output.open({TWEET_STATUS: f"{TWEET_STATUS.name}/{own}"}) as report:
                report[TWEET_STATUS.name].append(
                    status_rows(statuses, authors, checked, run=wanted.run, task=wanted.task, owner=wanted.owner)
                )
                result.rows[TWEET_STATUS.name] = report[TWEET_STATUS.name].rows
            check_complete(result.outcomes, accepted, pulled.failures)
            grain.finish()
            result.rows[COVERAGE.name] = tables[COVERAGE.name].rows
    except BaseException:
        target.discard()
        raise
    target.publish()
    result.rows[_table(wanted).name] = target.rows
    if changes is not None:
        with output.open({RESTATEMENTS: f"{RESTATEMENTS.name}/{own}"}) as tables:
            tables[RESTATEMENTS.name].append(changes.table())
            result.rows[RESTATEMENTS.name] = tables[RESTATEMENTS.name].rows
    if result.groupings:
        output.add_json("groupings", f"groupings/{own}.json", result.groupings)
    return result


def _table(wanted: TimeSeries) -> Table:
    return TWEET_HOURS_OF_DAY if wanted.granularity is Granularity.HOUR_OF_DAY else TWEET_METRICS


def _target(output: Output, wanted: TimeSeries, changes: Restatements | None) -> PartitionedRows:
    table = _table(wanted)
    of_day = table is TWEET_HOURS_OF_DAY
    path = table.name if of_day else f"{table.name}/{wanted.granularity}"
    form = PARTITIONS[wanted.granularity]
    changed = None
    if changes is not None and not of_day:
        changed = partial(changes.compare, metrics=wanted.query.metrics)
    return output.partitioned(table, path, lambda moment: f"{moment:{form}}", changed)


@dataclass(slots=True)
class _Grain:
    """Makes rows of the wanted grain of hours as they come, and stages those that are complete."""

    wanted: TimeSeries
    target: PartitionedRows
    held: list[pyarrow.Table] = field(default_factory=list)
    held_rows: int = 0
    compact_rows: int = 100_000

    def add(self, request: Request, part: StoredResponse) -> None:
        if request.window is not None:
            self._close_before(request.window.start)
        hours = _wanted_rows(part, self.wanted)
        if hours is None:
            return
        metrics, grain = self.wanted.query.metrics, self.wanted.granularity
        if grain is Granularity.HOUR:
            self._stage(hours)
            return
        if grain is Granularity.DAY:
            self._hold(rollups.by_day(hours, metrics, self.wanted.zone))
        elif grain is Granularity.TOTAL:
            span = self.wanted.span or (lambda tweet_id: _echo(part))
            self._hold(rollups.over_window(hours, metrics, span))
        else:
            span = self.wanted.span or (lambda tweet_id: _echo(part))
            of_day = rollups.by_hour_of_day(hours, metrics, self.wanted.zone)
            self._hold(_with_span(of_day, span))

    def finish(self) -> None:
        if self.held:
            self._compact()
            self._stage(self.held[0])
            self.held.clear()

    def _close_before(self, start: datetime) -> None:
        if self.wanted.granularity is Granularity.HOUR:
            self.target.close_before(start)
        elif self.wanted.granularity is Granularity.DAY and self.held:
            import pyarrow.compute

            self._compact()
            today = rollups.local_day(start, self.wanted.zone)[0]
            rows = self.held[0]
            over = pyarrow.compute.less(rows["period_start"], pyarrow.scalar(today, rows["period_start"].type))
            if pyarrow.compute.any(over).as_py():
                self._stage(rows.filter(over))
                self.held = [rows.filter(pyarrow.compute.invert(over))]
                self.held_rows = self.held[0].num_rows
            self.target.close_before(today)

    @property
    def _key(self) -> tuple[str, ...]:
        of_day = ("hour_of_day",) if self.wanted.granularity is Granularity.HOUR_OF_DAY else ()
        return ("tweet_id", "period_start", *of_day)

    def _hold(self, rows: pyarrow.Table) -> None:
        self.held.append(rows)
        self.held_rows += rows.num_rows
        if self.held_rows >= self.compact_rows:
            self._compact()
            self.compact_rows = max(self.compact_rows, 2 * self.held_rows)

    def _compact(self) -> None:
        import pyarrow

        if len(self.held) > 1:
            rows = pyarrow.concat_tables(self.held)
            self.held = [rollups.summed_again(rows, self.wanted.query.metrics, self._key)]
        self.held_rows = self.held[0].num_rows

    def _stage(self, rows: pyarrow.Table) -> None:
        form = PARTITIONS[self.wanted.granularity]
        for piece in by_partition(rows, lambda moment: f"{moment:{form}}"):
            self.target.stage(_finished(piece, self.wanted))


def _start(request: Request) -> datetime:
    return request.window.start if request.window else datetime.min.replace(tzinfo=UTC)


def _echo(part: StoredResponse) -> TimeRange:
    """Return the whole hours that an answer covers."""
    periods = part.counts["period_start"]
    return TimeRange(periods[0].as_py(), periods[-1].as_py() + HOUR)


def _wanted_rows(part: StoredResponse, wanted: TimeSeries) -> pyarrow.Table | None:
    """Return the wanted hours of a part, as a table by the hour; ``None`` if there is none.

    A part holds the same hours of each of its Tweets, one Tweet after the other; the wanted hours of a Tweet are a run
    of them, so that no value is looked at.
    """
    import pyarrow
    import pyarrow.compute

    counts = part.counts
    if not counts.num_rows:
        return None
    tweet_ids = counts["tweet_id"].unique().to_pylist()
    width = counts.num_rows // len(tweet_ids)
    covered = TimeRange(counts["period_start"][0].as_py(), counts["period_start"][width - 1].as_py() + HOUR)
    pieces = []
    for number, tweet_id in enumerate(tweet_ids):
        hours = wanted.wanted(tweet_id, covered)
        hours = hours and hours.intersection(covered)
        if hours is not None:
            offset = number * width + (hours.start - covered.start) // HOUR
            pieces.append(counts.slice(offset, hours.hours))
    if not pieces:
        return None
    rows = pyarrow.concat_tables(pieces)
    kind = rows.schema.field("period_start").type
    ends = pyarrow.compute.add(rows["period_start"], pyarrow.scalar(HOUR, pyarrow.duration("ms"))).cast(kind)
    fetched_at = pyarrow.repeat(pyarrow.scalar(part.fetched_at, kind), rows.num_rows)
    settled = pyarrow.scalar(part.fetched_at - wanted.settling_time, kind)
    metrics = [metric for metric in wanted.query.metrics if metric in rows.column_names]
    return pyarrow.table(
        {
            "tweet_id": rows["tweet_id"],
            "period_start": rows["period_start"],
            "period_end": ends,
            "fetched_at": fetched_at,
            "is_final": pyarrow.compute.less_equal(ends, settled),
        }
        | {metric: rows[metric] for metric in metrics}
    )


def _with_span(rows: pyarrow.Table, span: Callable[[str], TimeRange]) -> pyarrow.Table:
    import pyarrow

    kind = rows.schema.field("fetched_at").type
    spans = {tweet_id: span(tweet_id) for tweet_id in rows["tweet_id"].unique().to_pylist()}
    for name in ("start", "end"):
        values = [getattr(spans[tweet_id], name) for tweet_id in rows["tweet_id"].to_pylist()]
        rows = rows.append_column(f"period_{name}", pyarrow.array(values, kind))
    return rows


def _finished(rows: pyarrow.Table, wanted: TimeSeries) -> pyarrow.Table:
    """Return rows with every column of their table."""
    import pyarrow

    table = _table(wanted)
    number = rows.num_rows
    encoded = rows["tweet_id"].combine_chunks().dictionary_encode()
    created = [created_at(tweet_id) for tweet_id in encoded.dictionary.to_pylist()]
    columns: dict[str, Any] = {
        **{name: rows[name] for name in rows.column_names},
        "owner": pyarrow.repeat(pyarrow.scalar(wanted.owner, pyarrow.string()), number),
        "tweet_created_at": pyarrow.array(created, pyarrow.timestamp("ms", "UTC")).take(encoded.indices),
        "endpoint": pyarrow.repeat(str(wanted.query.endpoint), number),
        "time_zone": pyarrow.repeat(_zone_told(wanted), number),
    }
    if table is TWEET_METRICS:
        columns["granularity"] = pyarrow.repeat(str(wanted.granularity), number)
    return columns_to_table(table, columns)


def _zone_told(wanted: TimeSeries) -> str:
    """Return the zone that rows are said to be of: an hour, or a span of hours, is the same in all of them."""
    return wanted.zone.key if wanted.granularity in (Granularity.DAY, Granularity.HOUR_OF_DAY) else "UTC"


def _covered(request: Request, part: StoredResponse | None) -> TimeRange | None:
    """Return the span that a request covers: as asked, else as echoed; nothing is echoed where no Tweet has data."""
    if request.window is not None:
        return request.window
    return _echo(part) if part is not None and part.counts.num_rows else None


def _last_28_hours(part: StoredResponse | None) -> TimeRange | None:
    """Return the span that the API gives at the time of an answer, by the rule that its documented echoes follow."""
    if part is None:
        return None
    return TimeRange(floor_to_hour(part.fetched_at - timedelta(hours=28)), ceil_to_hour(part.fetched_at))


def _coverage(
    request: Request,
    covered: TimeRange,
    part: StoredResponse | None,
    statuses: Mapping[str, TweetStatus],
    wanted: TimeSeries,
) -> pyarrow.Table:
    """Return a row for each Tweet of a request: the hours it covers, and what became of them."""
    rows = []
    for tweet_id in request.tweet_ids:
        hours = wanted.wanted(tweet_id, covered)
        hours = hours and hours.intersection(covered)
        if hours is not None:
            rows.append((tweet_id, hours.start, hours.end, str(statuses[tweet_id].outcome)))
    number = len(rows)
    return columns_to_table(
        COVERAGE,
        {
            "tweet_id": [row[0] for row in rows],
            "window_start": [row[1] for row in rows],
            "window_end": [row[2] for row in rows],
            "granularity": [str(wanted.granularity)] * number,
            "metrics": [",".join(wanted.query.metrics)] * number,
            "outcome": [row[3] for row in rows],
            "fetched_at": [part.fetched_at if part else None] * number,
        },
    )
