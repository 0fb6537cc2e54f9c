"""The file of a report, its tables as CSV, and its images."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.contents import images_of, make_report
from airflow_provider_engagement.report.csv_text import to_csv
from airflow_provider_engagement.report.dataset_figures import DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.document import Report, to_html
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.report.images import ImageFormat

from .conftest import TODAY, Pulled

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Page(HTMLParser):
    """Collects the cells of each table by section, and every reference and element of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.section = ""
        self.rows: dict[str, list[list[str]]] = {}
        self.references: list[str] = []
        self.elements: set[str] = set()
        self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        values = dict(attributes)
        self.references += [value or "" for name, value in attributes if name in ("href", "src", "xlink:href")]
        assert not any(name.startswith("on") for name in values)
        if tag == "section":
            self.section = values["id"] or ""
        elif tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        elif tag == "td":
            self.rows[self.section][-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[self.section][-1][-1] += data


def report_of(dataset: Pulled) -> Report:
    reader = DatasetReader(dataset.folder)
    return make_report(DatasetFigures(reader, choose(reader)), manifest=dataset.manifests["second"])


def figure(*rows: tuple[object, ...], **options: object) -> Figure:
    columns = (Column("name", HOSTILE), Column("value", "Value", Kind.COUNT))
    return Figure(name="figure", title=HOSTILE, text=HOSTILE, columns=columns, rows=rows, **options)  # type: ignore[arg-type]


def test_the_numbers_of_the_file_are_those_of_the_world(hours: Pulled) -> None:
    page = Page(to_html(report_of(hours)))

    start = TODAY.replace(year=2025, month=12, day=15)
    summary = {row[0]: row[1] for row in page.rows["summary"] if row}
    assert summary["impressions"] == f"{hours.count('impressions', start, TODAY):,}"
    days = [row for row in page.rows["series"] if row]
    assert len(days) == 28
    assert days[0][:2] == [
        "2025-12-15 00:00",
        f"{hours.count('impressions', start, start.replace(day=16)):,}",
    ]
    requests = {row[0]: row[1] for row in page.rows["pull-requests"] if row}
    assert requests["planned"] == str(hours.manifests["second"]["requests"]["planned"])


def test_the_file_needs_no_network_and_no_script(hours: Pulled) -> None:
    html = to_html(report_of(hours))
    page = Page(html)

    assert {"script", "iframe", "link", "object"}.isdisjoint(page.elements)
    assert "svg" in page.elements
    outside = [reference for reference in page.references if not reference.startswith(("data:text/csv;base64,", "#"))]
    assert all(re.fullmatch(r"https://twitter\.com/i/web/status/[0-9]+", reference) for reference in outside)
    assert "default-src 'none'" in html
    assert len(html.encode()) < 3_000_000


def test_every_text_is_escaped() -> None:
    report = Report(
        title=HOSTILE,
        subtitle=HOSTILE,
        figures=[figure((HOSTILE, 1), notes=(HOSTILE,))],
        method=[HOSTILE],
        made_at=datetime(2026, 1, 12, tzinfo=UTC),
    )
    page = Page(to_html(report))

    assert {"script", "img"}.isdisjoint(page.elements)
    assert page.rows["figure"][-1] == [HOSTILE, "1"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
def test_a_text_is_no_formula_in_csv(text: str) -> None:
    (_, row) = csv.reader(
        io.StringIO(
            to_csv(
                figure((text, -5)),
            ),
            newline="",
        )
    )

    assert row == [f"'{text}", "-5"]


def test_csv_has_iso_times_and_empty_unknown_values() -> None:
    columns = (Column("time", "Time", Kind.TIME), Column("count", "Count", Kind.COUNT))
    time = datetime(2026, 1, 5, 6, tzinfo=UTC)
    text = to_csv(Figure(name="f", title="", text="", columns=columns, rows=[(time, None)]))

    assert text == "time,count\r\n2026-01-05T06:00:00Z,\r\n"


@pytest.mark.parametrize(("image_format", "start"), [("png", b"\x89PNG"), ("svg", b"<svg ")])
def test_each_plot_can_be_an_image(hours: Pulled, image_format: str, start: bytes) -> None:
    images = dict(images_of(report_of(hours).figures, ImageFormat(image_format)))

    assert {f"series-1.{image_format}", f"rhythm.{image_format}", f"top.{image_format}"} <= images.keys()
    assert all(content.startswith(start) for content in images.values())
