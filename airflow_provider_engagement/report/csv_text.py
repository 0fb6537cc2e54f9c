"""The table of a figure as CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.report.figure import Figure
from airflow_provider_engagement.tables.spreadsheet_text import inert


def to_csv(figure: Figure, *, max_rows: int | None = None) -> str:
    """Return the table of a figure as CSV, with a heading. Times are ISO text in UTC, and unknown values are empty.

    A text that a spreadsheet would execute as a formula has an apostrophe in front.

    :param max_rows: how many rows to return at most; all by default.
    """
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow([column.name for column in figure.columns])
    for row in figure.rows[:max_rows]:
        writer.writerow([_cell(value) for value in row])
    return output.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, str):
        return inert(value)
    return "" if value is None else value
