"""How the numbers of a report are made, and their limits."""

from __future__ import annotations

from airflow_provider_engagement.api.catalogue import METRIC_CHANGES, METRICS, ZERO_BEFORE, Counted
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


def caveats(selection: Selection) -> list[str]:
    """Return what a reader must know about the numbers of a selection, one sentence or more each."""
    interval = selection.interval
    found = list(_ALWAYS)
    for name in selection.metrics:
        metric = METRICS[name]
        counted = f" {_COUNTED[metric.counted]}" if metric.counted in _COUNTED else ""
        found.append(f"{words(name).capitalize()}: {metric.meaning}.{counted}")
    if unstated := [words(name) for name in selection.metrics if METRICS[name].counted not in _COUNTED]:
        found.append(f"The documentation does not say whether promoted activity is counted for {', '.join(unstated)}.")
    found += [
        f"{change.on:%Y-%m-%d}, {words(change.metric)}: {change.what} {change.effect}"
        for change in METRIC_CHANGES
        if change.metric in selection.metrics and interval.start.date() <= change.on <= interval.end.date()
    ]
    if interval.start < ZERO_BEFORE:
        found.append(
            f"A zero of likes, replies and Retweets before {ZERO_BEFORE:%Y-%m-%d} means that there is no data."
        )
    return found
