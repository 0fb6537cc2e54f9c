"""The figures of what is complete and what is missing: coverage, tasks, outcomes, restated counts and snapshots."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.response import OUTCOME_MEANINGS, Outcome
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.report import charts
from airflow_provider_engagement.report.coverage_map import Span
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.report.selection import Selection, period_of
from airflow_provider_engagement.report.series_figures import text_of_interval, words
from airflow_provider_engagement.report.snapshots import Change, Snapshot

MAX_RESTATEMENTS = 100
"""How many restated counts the table shows: those that changed the most."""

MAX_GAPS = 500
"""How many Tweets the table of missing counts shows."""

MAX_TWEETS = 10_000
"""How many Tweets the table of a pull shows."""

_SPAN_COLUMNS = (
    Column("start", "From", Kind.TIME),
    Column("end", "To", Kind.TIME),
    Column("days", "Days", Kind.COUNT),
    Column("state", "State"),
    Column("reason", "Reason"),
)


def coverage_figure(selection: Selection, spans: Sequence[Span], *, tweets: int) -> Figure:
    """Return which days of which Tweets were read.

    :param selection: what is shown.
    :param spans: the states of the Tweets.
    :param tweets: how many Tweets there are in all.
    """
    shown = len({span.name for span in spans})
    notes = (f"Showing {shown} of {tweets:,} Tweets, those with missing counts first.",) if shown < tweets else ()
    return Figure(
        name="coverage",
        title="Coverage by Tweet",
        text=f"The days whose {words(selection.metrics[0])} were read, {text_of_interval(selection)}. Days before a "
        "Tweet was created are left blank.",
        columns=(Column("tweet_id", "Tweet"), *_SPAN_COLUMNS),
        rows=_span_rows(spans),
        plots=_span_plots(selection, spans, "Coverage of each Tweet by day"),
        notes=notes,
        zone=selection.zone.key,
    )


def tasks_figure(selection: Selection, spans: Sequence[Span]) -> Figure:
    """Return which days each task has pulled.

    :param selection: what is shown.
    :param spans: the states of the tasks.
    """
    return Figure(
        name="tasks",
        title="Coverage by task",
        text=f"The days that complete pulls of each task cover, {text_of_interval(selection)}. A day is partial if a "
        "pull accepted missing counts, or if it does not cover all hours. If several pulls cover an hour, the one "
        "that ended last counts.",
        columns=(Column("task", "Task"), *_SPAN_COLUMNS),
        rows=_span_rows(spans),
        plots=_span_plots(selection, spans, "Coverage of each task by day"),
        zone=selection.zone.key,
    )


def outcomes_figure(statuses: pyarrow.Table) -> Figure:
    """Return how many Tweets have each outcome, for each task.

    :param statuses: the newest row of ``tweet_status`` of each Tweet and task.
    """
    numbers = Counter(zip(statuses["task"].to_pylist(), statuses["outcome"].to_pylist(), strict=True))
    outcomes = [
        (task, outcome, numbers[task, str(outcome)])
        for task in sorted({task for task, _ in numbers})
        for outcome in reversed(Outcome)
        if numbers[task, str(outcome)]
    ]
    return Figure(
        name="outcomes",
        title="Outcomes",
        text="The Tweets of each task, by their outcome in its latest pull.",
        columns=(
            Column("task", "Task"),
            Column("outcome", "Outcome"),
            Column("tweets", "Tweets", Kind.COUNT),
            Column("meaning", "Meaning"),
            Column("missing", "What is missing"),
        ),
        rows=[
            (task, str(outcome), number, *(text.replace("``", "") for text in OUTCOME_MEANINGS[outcome]))
            for task, outcome, number in outcomes
        ],
        plots=(charts.outcomes(outcomes, description="Tweets of each task by outcome"),) if outcomes else (),
    )


def gaps_figure(statuses: pyarrow.Table) -> Figure:
    """Return the Tweets whose counts are missing, and why, from the most severe outcome.

    :param statuses: the newest row of ``tweet_status`` of each Tweet and task.
    """
    gaps = gaps_of(statuses)
    notes = (f"Showing {MAX_GAPS} of {len(gaps):,} rows. The table tweet_status has all.",)
    return Figure(
        name="gaps",
        title="Tweets with missing counts",
        text="The Tweets with missing counts, and the reason: one row for each Tweet and task.",
        columns=(
            Column("tweet_id", "Tweet"),
            Column("outcome", "Outcome"),
            Column("metrics", "Metrics"),
            Column("reason", "Reason"),
            Column("task", "Task"),
            Column("checked_at", "Last response", Kind.TIME),
        ),
        rows=[
            (
                row["tweet_id"],
                row["outcome"],
                (row["metrics_affected"] or "").replace(",", ", "),
                row["message"],
                row["task"],
                row["checked_at"],
            )
            for row in gaps[:MAX_GAPS]
        ],
        notes=notes if len(gaps) > MAX_GAPS else (),
    )


def tweets_figure(statuses: pyarrow.Table, *, number: int = MAX_TWEETS) -> Figure:
    """Return the outcome of each Tweet of one pull, from the most severe outcome.

    :param statuses: the rows of ``tweet_status`` of the pull.
    :param number: how many Tweets to show.
    """
    order = {str(outcome): position for position, outcome in enumerate(Outcome)}
    rows = sorted(statuses.to_pylist(), key=lambda row: (order[row["outcome"]], int(row["tweet_id"])))
    notes = (f"Showing {number:,} of {len(rows):,} Tweets. The table tweet_status has all.",)
    return Figure(
        name="tweets",
        title="Tweet by Tweet",
        text="The outcome of each requested Tweet and what is missing, worst first.",
        columns=(
            Column("tweet_id", "Tweet"),
            Column("outcome", "Outcome"),
            Column("metrics", "Metrics that are missing"),
            Column("reason", "Reason"),
            Column("checked_at", "Response", Kind.TIME),
        ),
        rows=[
            (
                row["tweet_id"],
                row["outcome"],
                (row["metrics_affected"] or "").replace(",", ", "),
                row["message"],
                row["checked_at"],
            )
            for row in rows[:number]
        ],
        notes=notes if len(rows) > number else (),
    )


def restatements_figure(selection: Selection, rows: pyarrow.Table) -> Figure:
    """Return the counts that changed between two reads.

    :param selection: what is shown.
    :param rows: the rows of ``restatements``.
    """
    changes = [
        (row["new_value"] - (row["old_value"] or 0), row)
        for row in rows.to_pylist()
        if row["metric"] in selection.metrics
    ]
    by_period: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for change, row in changes:
        by_period[row["metric"]][period_of(row["period_start"], selection.step, selection.zone)] += change
    largest = sorted(changes, key=lambda item: (-abs(item[0]), item[1]["tweet_id"], item[1]["period_start"]))
    totals = Counter({metric: sum(days.values()) for metric, days in by_period.items()})
    notes = tuple(
        f"{words(metric)}: {counted(number, 'count')} changed, {total:+,} in total."
        for metric, total in sorted(totals.items())
        for number in [sum(row["metric"] == metric for _, row in changes)]
    )
    if len(changes) > MAX_RESTATEMENTS:
        notes = (*notes, f"The table shows the {MAX_RESTATEMENTS} largest of {len(changes):,} changes.")
    return Figure(
        name="restatements",
        title="Restated counts",
        text=f"Counts that a later read returned with another value, {text_of_interval(selection)}. The plots show the "
        f"sum of the changes for each {selection.step}.",
        columns=(
            Column("tweet_id", "Tweet"),
            Column("metric", "Metric"),
            Column("period_start", "Period", Kind.TIME),
            Column("granularity", "Granularity"),
            Column("old_value", "Before", Kind.COUNT),
            Column("new_value", "After", Kind.COUNT),
            Column("change", "Change", Kind.CHANGE),
            Column("new_fetched_at", "Read at", Kind.TIME),
        ),
        rows=[
            (
                row["tweet_id"],
                row["metric"],
                row["period_start"],
                row["granularity"],
                row["old_value"],
                row["new_value"],
                change,
                row["new_fetched_at"],
            )
            for change, row in largest[:MAX_RESTATEMENTS]
        ],
        plots=tuple(
            charts.line(
                [(time, change, 0) for time, change in sorted(by_period[metric].items())],
                title=f"change of {words(metric)}",
                zone=selection.zone,
                description=f"Sum of the changes of {words(metric)} by {selection.step}",
            )
            for metric in selection.metrics
            if metric in by_period
        ),
        notes=notes,
        zone=selection.zone.key,
    )


def snapshots_figure(
    selection: Selection, snapshots: Sequence[Snapshot], metrics: Sequence[str], changes: Sequence[Change]
) -> Figure:
    """Return the totals of each snapshot.

    :param selection: what is shown.
    :param snapshots: the snapshots, from the oldest to the newest.
    :param metrics: the metrics of the snapshots.
    :param changes: what changed since an earlier snapshot, for each kind of credentials.
    """
    rows: list[tuple[Any, ...]] = [
        (
            snapshot.time,
            snapshot.auth,
            snapshot.tweets,
            *(snapshot.sums[metric].total for metric in metrics),
            sum(count.missing for count in snapshot.sums.values()),
        )
        for snapshot in reversed(snapshots)
    ]
    credentials = sorted({snapshot.auth for snapshot in snapshots})
    plots = tuple(
        charts.line(
            points,
            title=words(metric) if len(credentials) == 1 else f"{words(metric)}, {auth}",
            zone=selection.zone,
            description=f"Total {words(metric)} of each snapshot with {auth} credentials",
            is_joined=False,
        )
        for auth in credentials
        for metric in metrics
        for points in [
            [
                (snapshot.time, snapshot.sums[metric].total, snapshot.sums[metric].missing)
                for snapshot in snapshots
                if snapshot.auth == auth and snapshot.sums[metric].known
            ]
        ]
        if len(points) > 1
    )
    return Figure(
        name="snapshots",
        title="Snapshots of totals",
        text="The totals since the creation of the Tweets, summed over the Tweets of each snapshot. Snapshots of "
        "different Tweets cannot be compared.",
        columns=(
            Column("snapshot_at", "Snapshot", Kind.TIME),
            Column("auth", "Credentials"),
            Column("tweets", "Tweets", Kind.COUNT),
            *(Column(metric, words(metric).capitalize(), Kind.COUNT) for metric in metrics),
            Column("missing", "Counts missing", Kind.COUNT),
        ),
        rows=rows,
        plots=plots,
        notes=tuple(note for change in changes for note in _change_notes(change, selection)),
        zone=selection.zone.key,
    )


def _change_notes(change: Change, selection: Selection) -> Iterator[str]:
    since = change.since.astimezone(selection.zone)
    for metric, count in change.sums.items():
        if count.known:
            yield (
                f"{words(metric)}, {change.auth} credentials: {count.value:+,} since the snapshot of "
                f"{since:%Y-%m-%d %H:%M}, for the {counted(count.known, 'Tweet')} in both."
            )


def gaps_of(statuses: pyarrow.Table) -> list[dict[str, Any]]:
    """Return the rows of ``tweet_status`` with missing counts, from the most severe outcome."""
    order = {str(outcome): number for number, outcome in enumerate(Outcome)}
    gaps = statuses.filter(compute.field("outcome") != str(Outcome.OK)).to_pylist()
    return sorted(gaps, key=lambda row: (order[row["outcome"]], int(row["tweet_id"])))


def _span_rows(spans: Sequence[Span]) -> list[tuple[Any, ...]]:
    return [(span.name, span.start, span.end, span.days, str(span.state), span.reason) for span in spans]


def _span_plots(selection: Selection, spans: Sequence[Span], description: str) -> tuple[charts.Spec, ...]:
    return (charts.spans(spans, zone=selection.zone, description=description),) if spans else ()
