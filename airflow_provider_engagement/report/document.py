"""A report as one HTML file: it needs no other file, no script and no network.

The plots are SVG, which a browser shows and prints without JavaScript. Every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.report.csv_text import to_csv
from airflow_provider_engagement.report.figure import Column, Figure, Kind
from airflow_provider_engagement.report.images import svg

MAX_ROWS = 1_000
"""How many rows of a table the file contains. The CSV of the table is cut in the same way, and says so."""

GENERATOR = "airflow-provider-engagement"
"""Names the program that made a file. It is within the first 500 bytes."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_NUMBERS = frozenset({Kind.COUNT, Kind.CHANGE, Kind.PERCENT, Kind.NUMBER})

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem; background: #fff; color: #1f2733;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0 0 .25rem; }
a { color: #1d5fa8; } p { margin: .25rem 0 .75rem; } .subtitle, .text, .note { color: #4a5568; }
section { margin-top: 2.25rem; }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; padding: 0; margin: 1rem 0; list-style: none; }
.cards li { border: 1px solid #d8dde5; border-radius: .5rem; padding: .6rem .9rem; min-width: 8.5rem; }
.cards .name { display: block; color: #4a5568; font-size: .85rem; }
.cards .value { display: block; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.cards .change { display: block; font-size: .85rem; color: #4a5568; }
.plot svg { display: block; max-width: 100%; height: auto; overflow: visible; }
.plot + .plot { margin-top: .75rem; }
.note { border-left: 3px solid #e8a33d; padding-left: .6rem; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e3e6ea; vertical-align: top; }
th { position: sticky; top: 0; background: #fff; }
.number { text-align: right; white-space: nowrap; } time { white-space: nowrap; }
.table td:not(.number) { min-width: 7rem; }
.table { overflow-x: auto; max-height: 26rem; overflow-y: auto; }
summary { cursor: pointer; margin: .5rem 0; color: #1d5fa8; }
.method li { margin-bottom: .3rem; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } section { break-inside: avoid-page; }
  details:not([open]), .download { display: none; } .table { max-height: none; } th { position: static; } }
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the file of a report says.

    :param title: the title.
    :param subtitle: what the report covers.
    :param figures: the figures, in order. One with the name ``summary`` is shown as cards too.
    :param method: how the numbers are made, and what they do not say.
    :param made_at: the time of the report.
    """

    title: str
    subtitle: str
    figures: Sequence[Figure]
    method: Sequence[str]
    made_at: datetime


def to_html(report: Report, *, move: Callable[[int, int], None] | None = None) -> str:
    """Return a report as HTML.

    :param move: is called after each figure with the numbers of figures that are drawn and planned.
    """
    sections = []
    for number, figure in enumerate(report.figures, start=1):
        sections.append(_section(figure))
        if move is not None:
            move(number, len(report.figures))
    made_at = report.made_at.astimezone(UTC)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{GENERATOR}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(report.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(report.title)}</h1>
<p class="subtitle">{escape(report.subtitle)}</p>
</header>
<main>
{"".join(sections)}
<section id="method" class="method">
<h2>Method and caveats</h2>
<ul>
{"".join(f"<li>{escape(text)}</li>" for text in report.method)}
</ul>
</section>
</main>
<footer><p class="subtitle">Generated on {made_at:%Y-%m-%d %H:%M} UTC.</p></footer>
</body>
</html>
"""


def _section(figure: Figure) -> str:
    plots = "".join(f'<figure class="plot">{_plot(figure, number)}</figure>' for number in range(len(figure.plots)))
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in figure.notes)
    cards = _cards(figure) if figure.name == "summary" else ""
    return f"""<section id="{escape(figure.name)}" aria-labelledby="{escape(figure.name)}-title">
<h2 id="{escape(figure.name)}-title">{escape(figure.title)}</h2>
<p class="text">{escape(figure.text)}</p>
{cards}{plots}{notes}{_table(figure)}
</section>
"""


def _plot(figure: Figure, number: int) -> str:
    spec = figure.plots[number]
    drawn = svg(spec)
    label = escape(str(spec.get("description", figure.title)), quote=True)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _cards(figure: Figure) -> str:
    items = []
    for row in figure.records():
        change = row["change_percent"]
        compared = "no comparison" if change is None else f"{change:+.1f} % from the previous interval"
        items.append(
            f'<li><span class="name">{escape(row["metric"].replace("_", " "))}</span>'
            f'<span class="value">{shown(row["sum"], Kind.COUNT)}</span><span class="change">{compared}</span></li>'
        )
    return f'<ul class="cards">{"".join(items)}</ul>'


def _table(figure: Figure) -> str:
    if not figure.rows:
        return '<p class="text">There is nothing to show.</p>'
    zone = ZoneInfo(figure.zone)
    heading = "".join(f'<th scope="col"{_class(column)}>{escape(column.title)}</th>' for column in figure.columns)
    rows = figure.rows[:MAX_ROWS]
    body = "".join(
        f"<tr>{''.join(_cell(value, column, zone) for value, column in zip(row, figure.columns, strict=True))}</tr>"
        for row in rows
    )
    cut = "" if len(rows) == len(figure.rows) else f"The first {MAX_ROWS:,} of {len(figure.rows):,} rows. "
    is_open = " open" if not figure.plots else ""
    content = base64.b64encode(to_csv(figure, max_rows=MAX_ROWS).encode()).decode()
    return f"""<details{is_open}><summary>{cut}Table ({counted(len(rows), "row")})</summary>
<div class="table" tabindex="0" role="region" aria-label="{escape(figure.title, quote=True)}">
<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table></div>
<p class="download"><a download="{escape(figure.name)}.csv" href="data:text/csv;base64,{content}">Download as CSV</a>
</p>
</details>"""


def _class(column: Column) -> str:
    return ' class="number"' if column.kind in _NUMBERS else ""


def _cell(value: Any, column: Column, zone: ZoneInfo) -> str:
    if value is None:
        text = '<span title="not known">–</span>'  # noqa: RUF001 - a dash
    elif column.kind is Kind.TIME:
        local = value.astimezone(zone)
        text = (
            f'<time datetime="{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" '
            f'title="{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC">{local:%Y-%m-%d %H:%M}</time>'
        )
    elif column.kind is Kind.LINK:
        text = f'<a href="{escape(value, quote=True)}" rel="noreferrer">{escape(value)}</a>'
    else:
        text = escape(shown(value, column.kind))
    return f"<td{_class(column)}>{text}</td>"


def shown(value: Any, kind: Kind) -> str:
    """Return a value that is no time and no link as a reader sees it."""
    if value is None:
        return "–"  # noqa: RUF001 - a dash
    if kind is Kind.COUNT:
        return f"{value:,}"
    if kind is Kind.CHANGE:
        return f"{value:+,}"
    if kind is Kind.PERCENT:
        return f"{value:+.1f} %"
    if kind is Kind.NUMBER:
        return f"{value:,.1f}"
    return str(value)
