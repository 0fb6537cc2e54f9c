"""The figures of a series: summary, counts over time, best hours and weekdays, and top Tweets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.report import charts
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.report.period_sums import KnownSum, SummedRows, Sums, by_step, sum_all
from airflow_provider_engagement.report.ranking import TopTweet
from airflow_provider_engagement.report.selection import Selection, period_of, periods_of
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tweet_id import created_at

TOP_TWEETS = 10


def words(metric: str) -> str:
    """Return the name of a metric in words."""
    return metric.replace("_", " ")


def summary_figure(selection: Selection, now: SummedRows, before: SummedRows) -> Figure:
    """Return the sums of the interval, and how they differ from those of the interval before.

    The change is given only if the dataset has rows for every period of the interval before in which a Tweet existed.
    It is that of the Tweets with rows in both intervals, or created since the interval began.

    :param selection: what is shown.
    :param now: the rows of the interval.
    :param before: the rows of the interval before.
    """
    sums, sums_before = (sum_all(rows.by_period, selection.metrics) for rows in (now, before))
    periods = periods_of(selection.previous, selection.source, selection.zone)
    expected = len(_with_tweets(periods, before, selection))
    has_before = 0 < expected <= len(before.by_period)
    left_out = _only_in_one(now, before, selection)
    rows = []
    for metric in selection.metrics:
        count, count_before = sums[metric], sums_before[metric] if has_before else KnownSum()
        total, total_before = count.total, count_before.total
        if has_before and left_out:
            change = now.change(before, metric, without=left_out)
        else:
            change = 100 * (total - total_before) / total_before if total is not None and total_before else None
        rows.append((metric, total, total_before, change, count.missing))
    notes = _missing_notes(sums)
    if has_before and left_out:
        notes = (
            *notes,
            f"Rows exist in only one of the two intervals for {counted(len(left_out), 'Tweet')}. "
            "The change leaves out these Tweets, and those with an unknown count.",
        )
    if not has_before:
        notes = (
            *notes,
            f"The dataset has {len(before.by_period)} of {expected or len(periods)} {selection.source}s of the "
            "previous interval, so there is no comparison.",
        )
    return Figure(
        name="summary",
        title="Summary",
        text=f"Sums over the Tweets from {text_of_interval(selection)}, compared with the previous interval of the "
        "same length.",
        columns=(
            Column("metric", "Metric"),
            Column("sum", "Sum", Kind.COUNT),
            Column("before", "Previous interval", Kind.COUNT),
            Column("change_percent", "Change", Kind.PERCENT),
            Column("missing", "Counts missing", Kind.COUNT),
        ),
        rows=rows,
        notes=notes,
        zone=selection.zone.key,
    )


def series_figure(selection: Selection, now: SummedRows) -> Figure:
    """Return the counts over time: a plot for each metric.

    :param selection: what is shown.
    :param now: the rows of the interval.
    """
    sums = _sums(selection, now)
    starts = periods_of(selection.interval, selection.step, selection.zone) if sums else []
    empty: dict[str, KnownSum] = {}
    rows: list[tuple[Any, ...]] = [
        (
            start,
            *(sums.get(start, empty).get(metric, KnownSum()).total for metric in selection.metrics),
            sum(count.missing for count in sums.get(start, empty).values()),
        )
        for start in starts
    ]
    plots = tuple(
        charts.line(
            [
                (start, count.total, count.missing)
                for start in starts
                for count in [sums.get(start, empty).get(metric, KnownSum())]
            ],
            title=words(metric),
            zone=selection.zone,
            description=f"{words(metric)} by {selection.step}, {text_of_interval(selection)}",
        )
        for metric in selection.metrics
        if rows
    )
    notes = _missing_notes(sum_all(sums, selection.metrics))
    expected = _with_tweets(starts, now, selection)
    gaps = sum(start not in sums for start in expected)
    if gaps:
        notes = (*notes, f"The dataset has no rows for {gaps} of {len(expected)} {selection.step}s.")
    return Figure(
        name="series",
        title="Counts over time",
        text=f"Sums over the Tweets for each {selection.step} in {selection.zone.key}. An orange circle marks a sum "
        "that lacks counts.",
        columns=(
            Column("period_start", selection.step.capitalize(), Kind.TIME),
            *(Column(metric, words(metric).capitalize(), Kind.COUNT) for metric in selection.metrics),
            Column("missing", "Counts missing", Kind.COUNT),
        ),
        rows=rows,
        plots=plots,
        notes=notes,
        zone=selection.zone.key,
    )


def rhythm_figure(selection: Selection, now: SummedRows) -> Figure:
    """Return the mean counts by weekday and hour of day, or by weekday if the rows are days.

    :param selection: what is shown.
    :param now: the rows of the interval.
    """
    metric = selection.metrics[0]
    has_hours = selection.source is Granularity.HOUR
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for start, counts in now.by_period.items():
        total = counts[metric].total
        if total is not None:
            local = start.astimezone(selection.zone)
            found[local.weekday(), local.hour if has_hours else 0].append(total)
    means = {key: sum(values) / len(values) for key, values in sorted(found.items())}
    best = sorted(means, key=lambda key: means[key], reverse=True)
    title = f"{words(metric)} per {'hour' if has_hours else 'day'}"
    description = f"Mean {title} by weekday{' and hour of day' if has_hours else ''} in {selection.zone.key}"
    plots: tuple[charts.Spec, ...] = ()
    if means and has_hours:
        plots = (charts.week(means, title=title, description=description),)
    elif means:
        plots = (
            charts.bars(
                [(charts.weekday_name(weekday), mean) for (weekday, _), mean in means.items()],
                title=f"mean {title}",
                description=description,
            ),
        )
    notes = (
        () if has_hours or not means else ("The dataset has days. To see hours of day, pull with granularity hour.",)
    )
    if selection.interval.hours < timedelta(weeks=1) // timedelta(hours=1) and means:
        notes = (*notes, "The interval is shorter than a week.")
    hour_column = (Column("hour", "Hour of day", Kind.COUNT),) if has_hours else ()
    return Figure(
        name="rhythm",
        title="Best hours and weekdays" if has_hours else "Best weekdays",
        text=f"{description}, highest first.",
        columns=(
            Column("weekday", "Weekday"),
            *hour_column,
            Column("mean", f"Mean {words(metric)}", Kind.NUMBER),
            Column("periods", "Hours" if has_hours else "Days", Kind.COUNT),
        ),
        rows=[
            (
                charts.weekday_name(weekday),
                *((hour,) if has_hours else ()),
                means[weekday, hour],
                len(found[weekday, hour]),
            )
            for weekday, hour in best
        ],
        plots=plots,
        notes=notes,
        zone=selection.zone.key,
    )


def top_figure(selection: Selection, now: SummedRows, *, number: int = TOP_TWEETS) -> Figure:
    """Return the Tweets with the highest counts of each metric, with links.

    :param selection: what is shown.
    :param now: the rows of the interval.
    :param number: how many Tweets to show for each metric.
    """
    metric = words(selection.metrics[0])
    return _ranking_figure(
        selection,
        now.top(selection.metrics, number),
        name="top",
        title="Top Tweets",
        text=f"The Tweets with the highest sum of each metric, {text_of_interval(selection)}. The plot shows {metric}. "
        "A Tweet with a missing count is not ranked.",
    )


def top_totals_figure(selection: Selection, ranking: Mapping[str, Sequence[TopTweet]]) -> Figure:
    """Return the Tweets with the highest totals of each metric, with links.

    :param selection: what is shown.
    :param ranking: the Tweets by metric.
    """
    if selection.snapshot_at is None:
        which = f"in the newest snapshot of each Tweet, {text_of_interval(selection)}"
    else:
        which = f"in the snapshot of {_local_time(selection.snapshot_at, selection.zone)}"
    return _ranking_figure(
        selection,
        ranking,
        name="top_totals",
        title="Top Tweets by totals",
        text=f"The Tweets with the highest totals since their creation, {which}.",
    )


def _ranking_figure(
    selection: Selection, ranking: Mapping[str, Sequence[TopTweet]], *, name: str, title: str, text: str
) -> Figure:
    shown, first = next(iter(ranking.items()), ("", ()))
    return Figure(
        name=name,
        title=title,
        text=text,
        columns=(
            Column("metric", "Metric"),
            Column("rank", "Rank", Kind.COUNT),
            Column("tweet_id", "Tweet"),
            Column("count", "Count", Kind.COUNT),
            Column("link", "Link", Kind.LINK),
        ),
        rows=[
            (metric, place, tweet.tweet_id, tweet.count, tweet.link)
            for metric, tweets in ranking.items()
            for place, tweet in enumerate(tweets, start=1)
        ],
        plots=(
            charts.bars(
                [(tweet.tweet_id, tweet.count) for tweet in first],
                title=words(shown),
                description=f"The {counted(len(first), 'Tweet')} with the most {words(shown)}",
            ),
        )
        if first
        else (),
        zone=selection.zone.key,
    )


def _sums(selection: Selection, rows: SummedRows) -> Sums:
    if selection.source is Granularity.DAY:
        return rows.by_period
    return by_step(rows.by_period, selection.step, selection.zone)


def _with_tweets(periods: Sequence[datetime], rows: SummedRows, selection: Selection) -> list[datetime]:
    """Return the periods in which one of the Tweets existed. There are no rows of the others."""
    oldest = rows.oldest
    if oldest is None:
        return list(periods) if rows.by_period else []
    step = Granularity.HOUR if len(periods) > 1 and periods[1] - periods[0] <= timedelta(hours=1) else Granularity.DAY
    first = period_of(oldest, step, selection.zone)
    return [period for period in periods if period >= first]


def _only_in_one(now: SummedRows, before: SummedRows, selection: Selection) -> set[str]:
    """Return the Tweets of only one interval, except for those that were created since the second one began."""
    ids = now.tweet_ids
    ids_before = before.tweet_ids
    begin = selection.interval.start
    return {
        tweet_id
        for tweet_id in ids ^ ids_before
        if tweet_id in ids_before or (created := created_at(tweet_id)) is None or created < begin
    }


def _missing_notes(sums: dict[str, KnownSum]) -> tuple[str, ...]:
    missing = [f"{count.missing:,} of {words(metric)}" for metric, count in sums.items() if count.missing]
    if not missing:
        return ()
    return (f"Some counts are missing, and the sums are those of the known counts. Missing: {', '.join(missing)}.",)


def _local_time(time: datetime, zone: ZoneInfo) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"


def text_of_interval(selection: Selection) -> str:
    """Return the interval in words."""
    start, end = (edge.astimezone(selection.zone) for edge in (selection.interval.start, selection.interval.end))
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({selection.zone.key})"
