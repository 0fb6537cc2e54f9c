"""The plots, as Vega-Lite specifications that contain their data.

A time is written as the clock of the figure's time zone shows it, and its scale is UTC. So a plot looks the same in
every browser, whatever its time zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import altair

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.report.coverage_map import Span, State

LINE_HEIGHT = 150
BAR_STEP = 22
SPAN_STEP = 15

COLOR = "#2f6fb3"
STATE_COLORS: Mapping[State, str] = {
    State.COMPLETE: "#3f9b6c",
    State.PARTIAL: "#e8a33d",
    State.MISSING: "#c2413b",
    State.NOT_READ: "#b4bcc8",
}
OUTCOME_COLORS: Mapping[Outcome, str] = {
    Outcome.OK: "#3f9b6c",
    Outcome.UNSUPPORTED_VIDEO: "#f3cf86",
    Outcome.UNSUPPORTED_90D: "#e8a33d",
    Outcome.NO_DATA: "#b0713a",
    Outcome.FORBIDDEN: "#8f6bb3",
    Outcome.UNAVAILABLE: "#d97f7a",
    Outcome.UNAUTHORIZED: "#4a6fb0",
    Outcome.FAILED: "#a82a25",
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COUNT = "~s"
_TIME = (
    "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M'"
    " : utcmonth(datum.value) == 0 && utcdate(datum.value) == 1 ? '%Y' : '%b %d')"
)
"""The labels of a time axis: the hour of the day, the day, or the year."""

_NO_DATA = altair.Data(values=[])  # type: ignore[no-untyped-call]  # altair declares no types for it

Spec = dict[str, Any]


def clock_text(time: datetime, zone: ZoneInfo) -> str:
    """Return a time as the clock of a zone shows it, in the form that Vega reads as UTC."""
    return time.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%SZ")


def line(
    points: Sequence[tuple[datetime, int | None, int]],
    *,
    title: str,
    zone: ZoneInfo,
    description: str,
    is_joined: bool = True,
) -> Spec:
    """Return a line of counts over time. Periods whose sum lacks counts are marked.

    :param points: the start of each period, the sum, and how many counts it lacks.
    :param title: the title of the vertical axis.
    :param zone: the time zone of the axis.
    :param description: what the plot shows, for screen readers.
    :param is_joined: whether the points are of the same Tweets, so that a line joins them.
    """
    values = [
        {"time": clock_text(time, zone), "value": value, "missing": missing, **_times(time, zone)}
        for time, value, missing in points
    ]
    # The axis of a domain of one number has its zero in the middle.
    scale = altair.Scale() if any(value for _, value, _ in points) else altair.Scale(domain=[0, 1])
    base = altair.Chart(_NO_DATA, description=description).encode(
        x=altair.X("time:T", title=None, scale=altair.Scale(type="utc"), axis=altair.Axis(labelExpr=_TIME)),
        y=altair.Y("value:Q", title=title, axis=altair.Axis(format=_COUNT, tickCount=5), scale=scale),
        tooltip=[
            altair.Tooltip("local:N", title=zone.key),
            altair.Tooltip("utc:N", title="UTC"),
            altair.Tooltip("value:Q", title=title, format=",d"),
            altair.Tooltip("missing:Q", title="counts missing", format=",d"),
        ],
    )
    point = {"color": COLOR, "size": 18} if len(values) <= 62 else False
    if is_joined:
        marks = base.mark_line(color=COLOR, strokeWidth=2, aria=False, point=point)
    else:
        marks = base.mark_point(color=COLOR, size=45, filled=True, aria=False)
    layers = [marks]
    if any(missing for _, _, missing in points):
        gaps = base.mark_point(color=STATE_COLORS[State.PARTIAL], size=45, strokeWidth=2, aria=False)
        layers.append(gaps.transform_filter("datum.missing > 0"))
    return _spec(altair.layer(*layers).properties(height=LINE_HEIGHT, description=description), values)


def bars(values: Sequence[tuple[str, int | float | None]], *, title: str, description: str, color: str = COLOR) -> Spec:
    """Return horizontal bars, in the given order.

    :param values: the name and the number of each bar.
    :param title: the title of the horizontal axis.
    :param description: what the plot shows, for screen readers.
    :param color: the color of the bars.
    """
    data = [{"name": name, "value": value} for name, value in values]
    chart = (
        altair.Chart(_NO_DATA, description=description)
        .mark_bar(color=color, aria=False)
        .encode(
            y=altair.Y("name:N", title=None, sort=None, axis=altair.Axis(labelLimit=220)),
            x=altair.X("value:Q", title=title, axis=altair.Axis(format=_COUNT, tickCount=6)),
            tooltip=[altair.Tooltip("name:N", title="name"), altair.Tooltip("value:Q", title=title, format=",.4~f")],
        )
        .properties(height=altair.Step(BAR_STEP))
    )
    return _spec(chart, data)


def outcomes(values: Sequence[tuple[str, Outcome, int]], *, description: str) -> Spec:
    """Return a bar for each task, divided by outcome.

    :param values: the task, the outcome and the number of Tweets.
    :param description: what the plot shows, for screen readers.
    """
    data = [
        {"task": task, "outcome": str(outcome), "tweets": number, "order": number_of}
        for task, outcome, number in values
        for number_of in [list(OUTCOME_COLORS).index(outcome)]
    ]
    chart = (
        altair.Chart(_NO_DATA, description=description)
        .mark_bar(aria=False)
        .encode(
            y=altair.Y("task:N", title=None, axis=altair.Axis(labelLimit=220)),
            x=altair.X("tweets:Q", title="Tweets", axis=altair.Axis(format=_COUNT, tickCount=6)),
            color=altair.Color(
                "outcome:N",
                title=None,
                scale=altair.Scale(
                    domain=[str(outcome) for outcome in OUTCOME_COLORS], range=list(OUTCOME_COLORS.values())
                ),
                legend=altair.Legend(orient="top", columns=4),
            ),
            order=altair.Order("order:Q"),
            tooltip=[
                altair.Tooltip("task:N", title="task"),
                altair.Tooltip("outcome:N", title="outcome"),
                altair.Tooltip("tweets:Q", title="Tweets", format=",d"),
            ],
        )
        .properties(height=altair.Step(BAR_STEP))
    )
    return _spec(chart, data)


def week(values: Mapping[tuple[int, int], float | None], *, title: str, description: str) -> Spec:
    """Return a heat map of weekdays and hours of day.

    :param values: the number of each weekday (0 is Monday) and hour.
    :param title: the title of the legend.
    :param description: what the plot shows, for screen readers.
    """
    data = [{"weekday": _WEEKDAYS[weekday], "hour": hour, "value": value} for (weekday, hour), value in values.items()]
    chart = (
        altair.Chart(_NO_DATA, description=description)
        .mark_rect(aria=False)
        .encode(
            x=altair.X("hour:O", title="hour of day", axis=altair.Axis(labelAngle=0)),
            y=altair.Y("weekday:O", title=None, sort=list(_WEEKDAYS)),
            color=altair.Color("value:Q", title=title, scale=altair.Scale(scheme="blues"), legend=_legend(_COUNT)),
            tooltip=[
                altair.Tooltip("weekday:O", title="weekday"),
                altair.Tooltip("hour:O", title="hour"),
                altair.Tooltip("value:Q", title=title, format=",.1f"),
            ],
        )
        .properties(height=altair.Step(BAR_STEP))
    )
    return _spec(chart, data)


def spans(days: Sequence[Span], *, zone: ZoneInfo, description: str) -> Spec:
    """Return a map of the state of Tweets or tasks over days. Equal days in a row are one mark.

    :param days: the spans, in the order of their names.
    :param zone: the time zone of the axis.
    :param description: what the plot shows, for screen readers.
    """
    data = [
        {
            "name": span.name,
            "start": clock_text(span.start, zone),
            "end": clock_text(span.end, zone),
            "state": str(span.state),
            "days": span.days,
            "from": span.start.astimezone(zone).strftime("%Y-%m-%d"),
            "reason": span.reason,
        }
        for span in days
    ]
    chart = (
        altair.Chart(_NO_DATA, description=description)
        .mark_bar(aria=False, height={"band": 0.82})
        .encode(
            x=altair.X(
                "start:T",
                title=None,
                scale=altair.Scale(type="utc", nice=False),
                axis=altair.Axis(labelExpr=_TIME),
            ),
            x2="end:T",
            y=altair.Y("name:N", title=None, sort=None, axis=altair.Axis(labelLimit=190)),
            color=altair.Color(
                "state:N",
                title=None,
                scale=altair.Scale(domain=[str(state) for state in STATE_COLORS], range=list(STATE_COLORS.values())),
                legend=altair.Legend(orient="top"),
            ),
            tooltip=[
                altair.Tooltip("name:N", title="name"),
                altair.Tooltip("from:N", title="from"),
                altair.Tooltip("days:Q", title="days"),
                altair.Tooltip("state:N", title="state"),
                altair.Tooltip("reason:N", title="reason"),
            ],
        )
        .properties(height=altair.Step(SPAN_STEP))
    )
    return _spec(chart, data)


def weekday_name(number: int) -> str:
    """Return the name of a weekday, of which 0 is Monday."""
    return _WEEKDAYS[number]


def _times(time: datetime, zone: ZoneInfo) -> dict[str, str]:
    return {
        "local": time.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
        "utc": time.strftime("%Y-%m-%d %H:%M"),
    }


def _legend(number_format: str) -> altair.Legend:
    return altair.Legend(orient="top", format=number_format, gradientLength=160, tickCount=4)


def _spec(chart: Any, values: list[dict[str, Any]]) -> Spec:
    """Return the specification of a chart with its data, which altair would check value by value."""
    spec: Spec = {**chart.to_dict(), "data": {"values": values}}
    # Where the plot is shown decides its colors and its width.
    spec.pop("config", None)
    return spec
