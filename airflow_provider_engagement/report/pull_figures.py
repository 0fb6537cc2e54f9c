"""The figures of one pull, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_engagement.report import charts
from airflow_provider_engagement.report.figure import Column, Figure, Kind

_NUMBERS = (
    ("planned", "planned"),
    ("reused", "reused from stored responses"),
    ("sent", "sent, with repetitions"),
    ("succeeded", "succeeded"),
    ("rate_limited", "rejected by the rate limit (HTTP 429)"),
    ("failed", "failed"),
)

_KEYS: Mapping[str, type] = {
    "schema_version": int,
    "endpoint": str,
    "metrics": list,
    "requested": int,
    "complete": int,
    "outcomes": dict,
    "missing": dict,
    "requests": dict,
    "rows": dict,
    "outputs": dict,
    "seconds": dict,
    "rate_limit": dict,
}
"""The keys of every manifest, with the types of their values."""


def is_manifest(value: object) -> bool:
    """Return whether a value, such as an XCom, is the manifest of a pull. Any task can write what looks like one.

    :param value: the value.
    """
    if not isinstance(value, Mapping) or not all(isinstance(value.get(name), kind) for name, kind in _KEYS.items()):
        return False
    if not all(isinstance(metric, str) for metric in value["metrics"]):
        return False
    numbers = [*value["requests"].values(), *value["seconds"].values(), *value["rows"].values()]
    snapshot_at, observed_at = value.get("snapshot_at"), value["rate_limit"].get("observed_at")
    return (
        all(isinstance(number, int | float) for number in numbers)
        and _is_interval(value.get("interval"))
        and (snapshot_at is None or _is_interval([snapshot_at, snapshot_at]))
        and (observed_at is None or isinstance(observed_at, int | float))
    )


def _is_interval(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, list):
        return False
    try:
        start, end = map(datetime.fromisoformat, value)
    except (TypeError, ValueError):
        return False
    return start.tzinfo is not None and end.tzinfo is not None


def requests_figure(manifest: Mapping[str, Any]) -> Figure:
    """Return the requests of a pull."""
    requests, seconds = manifest["requests"], manifest.get("seconds", {})
    rows = [(title, requests.get(name)) for name, title in _NUMBERS]
    return Figure(
        name="requests",
        title="Requests",
        text=f"The attempt took {_seconds(seconds, 'attempt')} with its waits. Its parallel requests waited "
        f"{_seconds(seconds, 'waited')} for the rate limit, added up.",
        columns=(Column("requests", "Requests"), Column("number", "Number", Kind.COUNT)),
        rows=rows,
        plots=(charts.bars(rows, title="requests", description="The requests of the pull"),),
    )


def _seconds(seconds: Mapping[str, Any], name: str) -> str:
    value = seconds.get(name)
    return "an unknown time" if value is None else f"{value:,.1f} s"


def missing_figure(manifest: Mapping[str, Any]) -> Figure:
    """Return what is missing of a pull, by outcome."""
    return Figure(
        name="missing",
        title="What is missing",
        text=f"{manifest.get('complete', 0):,} of {manifest.get('requested', 0):,} requested Tweets are complete.",
        columns=(
            Column("outcome", "Outcome"),
            Column("tweets", "Tweets", Kind.COUNT),
            Column("reason", "Most frequent reason"),
            Column("examples", "For example"),
        ),
        rows=[
            (outcome, gap.get("tweets"), gap.get("reason"), ", ".join(map(str, gap.get("examples", ()))))
            for outcome, gap in manifest.get("missing", {}).items()
        ],
    )


def owners_figure(manifest: Mapping[str, Any]) -> Figure:
    """Return the owners whose credentials the API rejected, with its reason. Manifests of older versions name none."""
    owners = manifest.get("owners")
    values = owners if isinstance(owners, Mapping) else {}
    rejected = values.get("rejected")
    rows = list(rejected.items()) if isinstance(rejected, Mapping) else []
    return Figure(
        name="owners",
        title="Rejected owners",
        text=f"The pull requested Tweets of {values.get('requested', 0)} owners. The Tweets of these owners have no "
        "new counts, because the API rejected their tokens or they have none.",
        columns=(Column("owner", "Owner"), Column("reason", "Reason")),
        rows=[(str(owner), str(reason)) for owner, reason in rows],
    )


def outputs_figure(manifest: Mapping[str, Any]) -> Figure:
    """Return the tables and documents that a pull wrote."""
    rows = manifest.get("rows", {})
    return Figure(
        name="outputs",
        title="What was written",
        text="The tables and documents of the pull.",
        columns=(Column("name", "Name"), Column("rows", "Rows", Kind.COUNT), Column("path", "Path")),
        rows=[
            (name, rows.get(name.partition("/")[0]), str(path)) for name, path in manifest.get("outputs", {}).items()
        ],
    )


def adjustments_figure(manifest: Mapping[str, Any]) -> Figure:
    """Return how the interval of a pull differs from what was requested."""
    return Figure(
        name="adjustments",
        title="Adjusted interval",
        text="The edges of the interval that differ from what was requested.",
        columns=(
            Column("edge", "Edge"),
            Column("requested", "Requested", Kind.TIME),
            Column("used", "Used", Kind.TIME),
            Column("reason", "Reason"),
        ),
        rows=[
            (
                change["edge"],
                datetime.fromisoformat(change["requested"]),
                datetime.fromisoformat(change["used"]),
                change["reason"],
            )
            for change in manifest.get("adjustments", ())
        ],
    )
