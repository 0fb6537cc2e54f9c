"""The figures of one pull, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_provider_engagement.engagement_api.time_range import EARLIEST, LATEST
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

_LARGEST_NUMBER = 2**63
_MOST_METRICS = 50

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
    """Return whether a value, such as an XCom, is the manifest of a pull. Any task can write what looks like one."""
    if not isinstance(value, Mapping) or not all(isinstance(value.get(name), kind) for name, kind in _KEYS.items()):
        return False
    if len(value["metrics"]) > _MOST_METRICS or not all(isinstance(metric, str) for metric in value["metrics"]):
        return False
    numbers = [value[name] for name in ("requested", "complete")]
    numbers += [number for name in ("requests", "seconds", "rows", "outcomes") for number in value[name].values()]
    rate_limit = value["rate_limit"]
    known = [rate_limit[name] for name in ("limit", "remaining", "observed_at") if rate_limit.get(name) is not None]
    observed_at, interval = rate_limit.get("observed_at"), value.get("interval")
    adjustments = value.get("adjustments") or []
    return (
        all(map(_is_number, [*numbers, *known]))
        and (observed_at is None or 0 <= observed_at <= LATEST.timestamp())
        and all(isinstance(path, str) for path in value["outputs"].values())
        and (interval is None or (isinstance(interval, list) and len(interval) == 2 and all(map(_is_time, interval))))
        and (value.get("snapshot_at") is None or _is_time(value["snapshot_at"]))
        and all(map(_is_gap, value["missing"].values()))
        and isinstance(adjustments, list)
        and all(map(_is_adjustment, adjustments))
    )


def _is_number(value: object) -> bool:
    # The comparison excludes infinity and what is not a number.
    return isinstance(value, int | float) and -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER


def _is_time(value: object) -> bool:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return time is not None and time.tzinfo is not None and EARLIEST <= time <= LATEST
    except (ValueError, OverflowError):
        return False


def _is_gap(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and _is_number(value.get("tweets"))
        and isinstance(value.get("reason"), str | None)
        and isinstance(value.get("examples", []), list)
        and all(isinstance(example, str) for example in value.get("examples", []))
    )


def _is_adjustment(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(name), str) for name in ("edge", "reason"))
        and all(_is_time(value.get(name)) for name in ("requested", "used"))
    )


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
        text=f"Owners in the pull: {values.get('requested', 0)}. The Tweets of these owners have no new counts, "
        "because the API rejected their tokens or they have none.",
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
            for change in manifest.get("adjustments") or ()
        ],
    )
