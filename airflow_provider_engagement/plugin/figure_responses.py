"""What the routes have in common: their parameters, and the responses with a figure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import HTTPException, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.times import parse_time_zone

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_INSTALLED = "The page requires altair and vl-convert-python. Install airflow-provider-engagement[report]."

Identifier = Annotated[str, Query(max_length=250)]
"""The id of a task or a run."""

Text = Annotated[str, Query(max_length=4_000)]


def check_installed() -> None:
    """Reject a request of a figure if the packages that make plots are not installed.

    :raises fastapi.HTTPException: with the status 501.
    """
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise HTTPException(501, NOT_INSTALLED)


def zone_or_utc(name: str) -> ZoneInfo:
    """Return the time zone of a name, or UTC if there is no such zone.

    :param name: the IANA name.
    """
    try:
        return parse_time_zone(name)
    except InvalidQueryError:
        return ZoneInfo("UTC")


def figure_response(figure: Any, form: str, shown: Mapping[str, Any] | None = None) -> Response:
    """Return a figure as JSON, or its table as CSV.

    :param figure: the figure.
    :param form: ``csv`` for its table; else JSON.
    :param shown: what the figure shows, for the filters of the page.
    """
    from airflow_provider_engagement.report.csv_text import to_csv

    if form == "csv":
        headers = {**SECURITY_HEADERS, "Content-Disposition": f'attachment; filename="{figure.name}.csv"'}
        return PlainTextResponse(to_csv(figure), media_type="text/csv", headers=headers)
    content = {
        "name": figure.name,
        "title": figure.title,
        "text": figure.text,
        "columns": [{"name": column.name, "title": column.title, "kind": column.kind} for column in figure.columns],
        "rows": [[_json_value(value) for value in row] for row in figure.rows],
        "plots": figure.plots,
        "notes": figure.notes,
        "zone": figure.zone,
        "shown": shown,
    }
    return JSONResponse(content, headers={**SECURITY_HEADERS, "Cache-Control": "no-store"})


def _json_value(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
