"""How the numbers of a report are made, and their limits."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_engagement.engagement_api.catalogue import (
    METRICS,
    ZERO_BEFORE,
    ZERO_METRICS,
    Counted,
    Endpoint,
    MetricChange,
    changes_between,
)
from airflow_provider_engagement.report.selection import Selection
from airflow_provider_engagement.report.series_figures import words

_ALWAYS = (
    "The counts are those of the Engagement API. They are summed, never estimated. If counts are missing from a "
    "sum, the report says so.",
    "Counts of the last days can still change. A later pull can restate them.",
    "A Tweet that is deleted or no longer public has no new counts. The counts of earlier pulls stay in the sums.",
    "A person who saw or engaged with several Tweets is counted once for each of them.",
)

_COUNTED = {
    Counted.ORGANIC: "Only organic activity is counted, not promoted activity.",
    Counted.ALL: "Organic and promoted activity is counted.",
}


SERIES = frozenset({Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL})
"""The endpoints whose counts belong to hours and days."""


def caveats(selection: Selection, *, endpoints: Collection[Endpoint] = SERIES) -> list[str]:
    """Return what a reader must know about the numbers of a selection, one sentence or more each.

    The numbers of the interval are compared with those of the interval before, so changes in both are named.

    :param selection: what is shown.
    :param endpoints: the endpoints whose counts are shown.
    """
    start, end = selection.previous.start, selection.interval.end
    found = list(_ALWAYS)
    for name in selection.metrics:
        metric = METRICS[name]
        counted = f" {_COUNTED[metric.counted]}" if metric.counted in _COUNTED else ""
        found.append(f"{words(name).capitalize()}: {metric.meaning}.{counted}")
    if unstated := [words(name) for name in selection.metrics if METRICS[name].counted not in _COUNTED]:
        found.append(f"The documentation does not say whether promoted activity is counted for {', '.join(unstated)}.")
    changes = changes_between(start, end, metrics=selection.metrics, endpoints=endpoints)
    found += [f"{change.on:%Y-%m-%d}, {_subject(change)}: {change.what} {change.effect}" for change in changes]
    if start < ZERO_BEFORE and Endpoint.HISTORICAL in endpoints and not ZERO_METRICS.isdisjoint(selection.metrics):
        found.append(
            f"A zero of likes, replies and Retweets before {ZERO_BEFORE:%Y-%m-%d} means that there is no data."
        )
    return found


def _subject(change: MetricChange) -> str:
    return "every metric" if change.metric is None else words(change.metric)
