"""What the report of a dataset or of one of its pulls contains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.report.dataset_figures import FIGURES, DatasetFigures
from airflow_provider_engagement.report.document import Report
from airflow_provider_engagement.report.figure import Figure
from airflow_provider_engagement.report.images import ImageFormat, image
from airflow_provider_engagement.report.method import SERIES, caveats
from airflow_provider_engagement.report.pull_figures import (
    adjustments_figure,
    missing_figure,
    outputs_figure,
    owners_figure,
    requests_figure,
)
from airflow_provider_engagement.report.series_figures import text_of_interval

DEFAULT_TITLE = "Engagement report"

FIGURES_OF_TOTALS = ("snapshots", "top_totals")
"""The figures that show totals. The others show hours and days."""

_ALWAYS_SHOWN = ("summary", "series")


def make_report(
    figures: DatasetFigures,
    *,
    title: str = DEFAULT_TITLE,
    manifest: Mapping[str, Any] | None = None,
    made_at: datetime | None = None,
    move: Callable[[int, int], None] | None = None,
) -> Report:
    """Return a report.

    :param figures: makes the figures of the dataset.
    :param manifest: the manifest of the pull that the report is about, if any.
    :param made_at: the time of the report; now by default.
    :param move: is called after each figure of the dataset with the numbers of figures that are made and planned.
    """
    made = []
    for number, name in enumerate(FIGURES, start=1):
        figure = figures.figure(name)
        if figure.rows or name in _ALWAYS_SHOWN:
            made.append(figure)
        if move is not None:
            move(number, len(FIGURES))
    if manifest is not None:
        makers = (missing_figure, owners_figure, requests_figure, adjustments_figure, outputs_figure)
        of_pull = [figure for make in makers for figure in [make(manifest)] if figure.rows]
        made += [replace(figure, name=f"pull-{figure.name}", title=f"Pull: {figure.title}") for figure in of_pull]
    selection = figures.selection
    tweets = f", {len(selection.tweet_ids):,} chosen Tweets" if selection.tweet_ids else ""
    return Report(
        title=title,
        subtitle=f"{text_of_interval(selection)}{tweets}",
        figures=made,
        method=caveats(selection, endpoints=_endpoints_of(made)),
        made_at=made_at or datetime.now(UTC),
    )


def _endpoints_of(figures: Sequence[Figure]) -> Collection[Endpoint]:
    """Return the endpoints whose counts figures show: those of a series, if there are neither hours nor totals."""
    names = {figure.name for figure in figures if figure.rows}
    totals = {Endpoint.TOTALS} if not names.isdisjoint(FIGURES_OF_TOTALS) else set()
    return totals | SERIES if "series" in names or not totals else totals


def warning_of(report: Report) -> str | None:
    """Return what to warn about if the interval of a report has no counts over time."""
    if any(figure.name == "series" and figure.rows for figure in report.figures):
        return None
    return f"The dataset has no hours or days in the interval: {report.subtitle}."


def images_of(figures: Sequence[Figure], image_format: ImageFormat) -> Iterator[tuple[str, bytes]]:
    """Yield the name of the file and the content of an image of each plot."""
    for figure in figures:
        for number, spec in enumerate(figure.plots, start=1):
            name = figure.name if len(figure.plots) == 1 else f"{figure.name}-{number}"
            yield f"{name}.{image_format}", image(spec, image_format)
