"""What a dataset contains after a history of runs, as the documentation says it: plain dictionaries by key.

The pages are ``docs/runs.md`` and ``docs/dataset.md``. Nothing here comes from the code of the tables, of the plan or
of the stored responses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_engagement.simulator import Simulator

from .history_world import (
    HOUR,
    METRICS,
    TWEETS,
    Counts,
    Task,
    created,
    day_of,
    hour_of,
    hours_between,
    in_milliseconds,
    last_28_hours,
    local_day,
)

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
SETTLING_TIME = timedelta(hours=72)
Key = tuple[Any, ...]
Request = tuple[Any, ...]
"""Endpoint, owner or ``None`` for the app, Tweets, metrics, window."""


@dataclass
class Row:
    """A row that reads were merged into: each count has the time of its read."""

    fetched_at: datetime
    counts: dict[str, tuple[datetime, int]]
    columns: dict[str, Any]
    runs: set[Key] = field(default_factory=set)

    def merged(self, other: Row) -> Row:
        """Return the newest known counts of two rows."""
        newer, older = (self, other) if self.fetched_at >= other.fetched_at else (other, self)
        counts = dict(older.counts)
        for metric, count in newer.counts.items():
            if metric not in counts or count[0] >= counts[metric][0]:
                counts[metric] = count
        return Row(newer.fetched_at, counts, newer.columns, self.runs | other.runs)

    def values(self) -> dict[str, Any]:
        """Return the columns that the table has."""
        older = {
            metric: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for metric, (time, _) in self.counts.items()
            if time < self.fetched_at
        }
        counts = {metric: self.counts[metric][1] if metric in self.counts else None for metric in METRICS}
        return {"fetched_at": self.fetched_at, "older_counts": older, **self.columns, **counts}


Rows = dict[Key, Row]


def add_rows(table: Rows, rows: Rows) -> None:
    """Merge rows into a table."""
    for key, row in rows.items():
        table[key] = table[key].merged(row) if key in table else row


def release_rows(table: Rows, run: Key, snapshot_at: datetime, keeps: set[str]) -> None:
    """Remove the rows of a snapshot that only one run has, except those of some Tweets."""
    for (tweet_id, time, auth), row in list(table.items()):
        if time == snapshot_at and run in row.runs and tweet_id not in keeps:
            if row.runs == {run}:
                del table[tweet_id, time, auth]
            else:
                table[tweet_id, time, auth] = Row(row.fetched_at, row.counts, row.columns, row.runs - {run})


@dataclass(frozen=True)
class Read:
    """What a response says.

    :param at: when it arrived.
    :param run: the run that sent the request.
    :param counts: the counts of each available Tweet by metric, or by metric and hour.
    """

    at: datetime
    run: Key
    counts: Mapping[str, Mapping[Any, int]]


@dataclass
class DagRun:
    """A DAG run.

    :param run_id: its id.
    :param kind: the type of the run.
    :param logical_date: the logical date, if it has one.
    :param run_after: when it could start.
    :param interval: the data interval, its own or one that the timetable lends it.
    :param partition_key: its partition, if it has one.
    """

    run_id: str
    kind: str
    run_after: datetime
    logical_date: datetime | None = None
    interval: tuple[datetime, datetime] | None = None
    partition_key: str | None = None

    @property
    def time(self) -> datetime:
        """The time of the run."""
        if self.kind in ("scheduled", "backfill") and self.interval:
            return self.interval[1]
        return self.logical_date or self.run_after


@dataclass
class TaskRun:
    """The run of a task: its DAG, task, map index and run id.

    :param start: when it started, or was cleared.
    :param tweets: the list of its last execution.
    :param snapshot_at: the snapshot that the task sets, if it does.
    :param digest: what the name of its manifest identifies it by.
    """

    task: Task
    dag_run: DagRun
    map_index: int
    start: datetime
    tweets: list[str]
    snapshot_at: datetime | None = None
    digest: str | None = None
    cleared_at: datetime = LONG_AGO
    statuses: dict[Key, dict[str, Any]] = field(default_factory=dict)
    coverage: dict[Key, dict[str, Any]] = field(default_factory=dict)
    restatements: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    ledger: dict[Key, int] = field(default_factory=dict)
    groupings: dict[str, dict[str, int]] = field(default_factory=dict)
    manifest: dict[str, Any] | None = None
    was_killed: bool = False
    has_known_restatements: bool = True

    @property
    def identity(self) -> Key:
        """What identifies the run."""
        return self.task.dag, self.task.name, self.map_index, self.dag_run.run_id

    @property
    def snapshot(self) -> datetime:
        """The time of the snapshot, as the column holds it."""
        return in_milliseconds(self.snapshot_at or self.dag_run.time)

    def interval(self) -> tuple[datetime, datetime] | None:
        """Return the interval of a historical pull, or ``None`` if the run has none."""
        if self.task.hours is not None and self.task.granularity == "day":
            # A relative time counts from the hour in which the run began.
            end = hour_of(self.dag_run.time)
            start = end - self.task.hours * HOUR
            first, last = local_day(start, self.task.zone), local_day(end, self.task.zone)
            return (first[0] if first[0] == start else first[1]), last[0]
        if self.task.hours is not None:
            end = hour_of(self.dag_run.time)
            return end - self.task.hours * HOUR, end
        if self.dag_run.partition_key is not None:
            start = datetime.strptime(self.dag_run.partition_key, "%Y-%m-%dT%H").replace(tzinfo=UTC)
            return start, start + HOUR
        interval = self.dag_run.interval
        return None if interval is None or interval[0] == interval[1] else interval


def restated(before: Rows, after: Rows, granularity: str) -> dict[Key, tuple[Any, ...]]:
    """Return the counts that differ from those that the table has, with the time of each."""
    found = {}
    for key, row in after.items():
        if key in before:
            for metric, (at, value) in row.counts.items():
                old_at, old = before[key].counts.get(metric, (before[key].fetched_at, None))
                if old_at < at and old != value:
                    known_at = None if old is None else old_at
                    found[(*key[:3], granularity, key[4], metric, at)] = (old, value, known_at)
    return found


def older_counts(text: str | None) -> dict[str, str]:
    """Return the content of the column ``older_counts``."""
    return json.loads(text) if text else {}


@dataclass
class Effect:
    """What an execution publishes, in tables that runs share."""

    rows: dict[str, Rows]
    released: tuple[Key, datetime, set[str]] | None

    def apply(self, tables: dict[str, Rows]) -> None:
        if self.released is not None:
            release_rows(tables["tweet_totals"], *self.released)
        for name, rows in self.rows.items():
            add_rows(tables[name], rows)


class DocumentedRuns:
    """What the documentation says about the requests of a run, and about the rows that it writes.

    :ivar now: the time.
    :ivar counts: the counts of the world.
    :ivar simulator: the API.
    :ivar stored: the responses that are stored, by what they belong to.
    """

    now: datetime
    counts: Counts
    simulator: Simulator
    stored: dict[Key, list[Read]]

    def requests_of(self, run: TaskRun) -> list[Request] | None:
        """Return the requests of a pull; ``None`` if the pull has no valid interval."""
        by_owner: dict[str | None, list[str]] = {}
        for tweet in sorted(run.tweets, key=int):
            by_owner.setdefault(TWEETS[tweet].author_id if run.task.auth == "user" else None, []).append(tweet)
        requests = []
        interval = run.interval()
        for owner, tweets in by_owner.items():
            window = None
            if run.task.endpoint == "historical":
                if interval is None or interval[1] > hour_of(self.now):
                    return None
                oldest = created(tweets[0])
                if oldest >= interval[1]:
                    continue
                window = (max(interval[0], hour_of(oldest)), interval[1])
                if run.dag_run.kind == "backfill":
                    window = (day_of(oldest), day_of(self.now))
                tweets = [tweet for tweet in tweets if created(tweet) < window[1]]
            requests.append((run.task.endpoint, owner, tuple(tweets), run.task.metrics, window))
        return requests

    def is_refused(self, run: TaskRun, requests: list[Request] | None, missing: list[Request]) -> bool:
        if run.task.endpoint == "historical":
            return requests is None
        if max(run.dag_run.time, run.snapshot_at or run.dag_run.time) > self.now + timedelta(minutes=5):
            return True
        is_late = self.now > run.dag_run.time + timedelta(hours=24)
        return bool(missing) and is_late and not run.task.has_any_age

    def key_of(self, run: TaskRun, request: Request) -> Key:
        """Return what a stored response belongs to: what can be read only once belongs to the run."""
        if request[0] == "historical":
            return request
        return (*request, run.identity, run.snapshot)

    def stored_read(self, run: TaskRun, request: Request) -> Read | None:
        """Return the newest stored response that the run may reuse."""

        def is_reusable(read: Read) -> bool:
            if request[0] != "historical":
                return True
            is_final = request[4][1] + SETTLING_TIME <= read.at
            is_own = read.run == run.identity and read.at >= run.cleared_at
            return is_final or is_own or self.now - read.at <= timedelta(hours=run.task.reuse_hours)

        found = [read for read in self.stored.get(self.key_of(run, request), ()) if is_reusable(read)]
        return max(found, key=lambda read: read.at, default=None)

    def read(self, run: TaskRun, request: Request) -> Read:
        """Return what the API returns now."""
        endpoint, _, tweets, metrics, window = request
        counts: dict[str, dict[Any, int]] = {}
        for tweet_id in tweets:
            tweet = self.simulator.world.tweets[tweet_id]
            if tweet.deleted:
                continue
            if endpoint == "totals":
                counts[tweet_id] = {metric: self.counts.total(tweet, metric) for metric in metrics}
            else:
                hours = hours_between(*(window or last_28_hours(self.now)))
                counts[tweet_id] = {
                    (metric, hour): self.counts.hour(tweet, metric, hour, self.now)
                    for hour in hours
                    for metric in metrics
                    if hour >= hour_of(created(tweet_id))
                }
        return Read(in_milliseconds(self.now), run.identity, counts)

    def effect_of(self, run: TaskRun, reads: dict[Request, Read], *, is_repeated: bool) -> Effect:
        rows: dict[str, Rows] = {}
        for request, read in reads.items():
            for tweet, counts in read.counts.items():
                if run.task.endpoint == "totals":
                    key: Key = (tweet, run.snapshot, run.task.auth)
                    found = {metric: (read.at, count) for metric, count in counts.items()}
                    rows.setdefault("tweet_totals", {})[key] = Row(
                        read.at, found, {"owner": request[1]}, {run.identity}
                    )
                else:
                    rows.setdefault(run.task.table, {}).update(self.series_rows(run, request, read, tweet))
        if run.task.endpoint != "totals" or not is_repeated:
            return Effect(rows, None)
        listed = {tweet for request in reads for tweet in request[2]}
        keeps = listed - {tweet for read in reads.values() for tweet in read.counts}
        return Effect(rows, (run.identity, run.snapshot, keeps))

    def series_rows(self, run: TaskRun, request: Request, read: Read, tweet: str) -> Rows:
        interval = run.interval() if run.task.endpoint == "historical" else last_28_hours(read.at)
        assert interval is not None
        by_period: dict[Key, list[datetime]] = {}
        for hour in hours_between(*interval):
            if hour >= hour_of(created(tweet)):
                by_period.setdefault((tweet, *run.task.period_of(hour, interval)), []).append(hour)
        return {
            key: Row(
                read.at,
                {
                    metric: (read.at, sum(read.counts[tweet][metric, hour] for hour in hours))
                    for metric in run.task.metrics
                },
                {
                    "owner": request[1],
                    "endpoint": run.task.endpoint,
                    "is_final": hours[-1] + HOUR + SETTLING_TIME <= read.at,
                },
            )
            for key, hours in by_period.items()
        }

    def statuses_of(self, run: TaskRun, reads: dict[Request, Read]) -> dict[Key, dict[str, Any]]:
        statuses: dict[Key, dict[str, Any]] = {
            (tweet,): {"outcome": "ok", "owner": None, "checked_at": None} for tweet in run.tweets
        }
        for request, read in reads.items():
            for tweet in set(request[2]) & set(run.tweets):
                outcome = "ok" if tweet in read.counts else "unavailable"
                statuses[tweet,] = {"outcome": outcome, "owner": request[1], "checked_at": read.at}
        return statuses

    def coverage_of(self, run: TaskRun, reads: dict[Request, Read]) -> dict[Key, dict[str, Any]]:
        if run.task.endpoint == "totals":
            return {}
        covered: dict[Key, dict[str, Any]] = {}
        for request, read in reads.items():
            start, end = run.interval() or (None, None)
            if run.task.endpoint == "28hr" or start is None or end is None:
                start, end = last_28_hours(read.at)
            for tweet in request[2]:
                first = max(start, hour_of(created(tweet)))
                if first < end:
                    outcome = "ok" if tweet in read.counts else "unavailable"
                    covered[tweet, first, end, run.task.granularity, run.task.zone] = {
                        "outcome": outcome,
                        "fetched_at": read.at,
                        "metrics": set(run.task.metrics),
                    }
        return covered

    def groupings_of(self, run: TaskRun, reads: dict[Request, Read]) -> dict[str, dict[str, int]]:
        groups: dict[str, dict[str, int]] = {}
        for read in reads.values() if run.task.has_groupings else ():
            for tweet, counts in read.counts.items():
                for metric in run.task.metrics:
                    of_metric = [
                        count for key, count in counts.items() if metric == (key if isinstance(key, str) else key[0])
                    ]
                    groups.setdefault(tweet, {})[metric] = sum(of_metric)
        return groups

    def add_to_ledger(self, run: TaskRun, reads: dict[Request, Read]) -> None:
        tweets: dict[str, int] = {}
        last: dict[str, datetime] = {}
        for request, read in reads.items():
            for tweet in request[2]:
                owner = TWEETS[tweet].author_id
                tweets[owner] = tweets.get(owner, 0) + 1
                last[owner] = max(last.get(owner, read.at), read.at)
        for owner, number in tweets.items():
            run.ledger[owner, last[owner]] = number
