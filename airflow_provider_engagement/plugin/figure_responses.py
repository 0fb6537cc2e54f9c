"""What the routes have in common: their parameters, and the responses with a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import HTTPException, Query, Response

from airflow_provider_engagement.exceptions import EngagementError, InvalidQueryError
from airflow_provider_engagement.inputs.times import parse_time_zone
from airflow_provider_engagement.plugin.page_roots import MissingStorageError, RefusedPathError
from airflow_provider_engagement.plugin.store_work import BusyError, UnreadableError
from airflow_provider_engagement.report.csv_text import to_csv

ResultT = TypeVar("ResultT")

NOT_INSTALLED = "The page requires altair and vl-convert-python. Install airflow-provider-engagement[report]."

Identifier = Annotated[str, Query(max_length=250)]
"""The id of a task or a run."""

MapIndex = Annotated[int, Query(ge=-1, lt=2**31)]
"""The map index of a task instance; -1 if the task is not mapped."""

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


async def foreseen(reading: Awaitable[ResultT]) -> ResultT:
    """Return the result of a read of what anyone can have written.

    :param reading: the read.
    :raises UnreadableError: in place of an error that says nothing to a user.
    """
    try:
        return await reading
    except (EngagementError, OSError, HTTPException, RefusedPathError, MissingStorageError, BusyError, UnreadableError):
        raise
    except Exception as error:
        raise UnreadableError from error


def json_response(content: Any) -> Response:
    """Return values as JSON, whatever a task has written into them.

    :param content: JSON-compatible values. A number that JSON does not have becomes ``null``.
    :raises UnreadableError: if the values are nested too deeply.
    """
    try:
        try:
            text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        except ValueError:
            text = json.dumps(_finite(content), separators=(",", ":"), allow_nan=False)
    except RecursionError as error:
        raise UnreadableError from error
    return Response(text, media_type="application/json")


def figure_response(figure: Any, form: str, shown: Mapping[str, Any] | None = None) -> Response:
    """Return a figure as JSON, or its table as CSV.

    :param figure: the figure.
    :param form: ``csv`` for its table; else JSON.
    :param shown: what the figure shows, for the filters of the page.
    """
    if form == "csv":
        headers = {"Content-Disposition": f'attachment; filename="{figure.name}.csv"'}
        return Response(to_csv(figure).encode(errors="replace"), media_type="text/csv", headers=headers)
    return json_response(
        {
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
    )


def _json_value(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
