"""The assets of tasks: which table a pull declares as its outlet, and what tasks say about outlets in asset events."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_engagement.assets.engagement import create_asset, table_uri
from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.time_range import DAY, to_api, whole_days_within
from airflow_provider_engagement.exceptions import InvalidQueryError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_engagement.operators.base import EngagementPullOperator
    from airflow_provider_engagement.operators.pull import Pull


class AssetEvents(StrEnum):
    """Which asset events a pull emits."""

    RUN = "run"
    """One event for each run of the task."""
    DAY = "day"
    """One event for each whole UTC day of the interval, with the day as its partition key."""


def declared_asset(operator: EngagementPullOperator) -> Asset:
    """Return the asset of the main table of a pull, from the parameters as the DAG file sets them.

    :param operator: the operator, before its templates are rendered.
    :raises InvalidQueryError: if ``asset_events`` is invalid, or if the table is known only when the task runs.
    """
    from airflow_provider_engagement.inputs.choices import parse_choice

    kind = parse_choice(operator.asset_events, AssetEvents, field="asset_events")
    if kind is AssetEvents.DAY and operator.endpoint != Endpoint.HISTORICAL:
        raise InvalidQueryError(
            "asset_events", f"a pull of {operator.endpoint} has no interval of days", "Use asset_events='run'."
        )
    path = operator.configured_dataset_path()
    if not path:
        raise InvalidQueryError("asset_events", "the pull has no dataset_path", "Set dataset_path.")
    try:
        table, granularity = main_table(operator)
        return create_asset(dataset_path=str(path), table=table, granularity=granularity)
    except ValueError as error:
        raise InvalidQueryError(
            "asset_events", str(error).removesuffix("."), "Use a constant, or leave asset_events out and pass outlets."
        ) from None


def main_table(operator: EngagementPullOperator) -> tuple[str, str | None]:
    """Return the name and the granularity of the table that a pull is about."""
    if operator.endpoint == Endpoint.TOTALS:
        return "tweet_totals", None
    granularity = str(getattr(operator, "granularity", ""))
    return ("tweet_hours_of_day", None) if granularity == "hour_of_day" else ("tweet_metrics", granularity)


def record_events(operator: EngagementPullOperator, pull: Pull, manifest: Mapping[str, Any], context: Context) -> None:
    """Describe a complete pull in the events of those outlets of its task that are its main table.

    :param operator: the operator, with rendered parameters.
    :param pull: the pull.
    :param manifest: the manifest of the pull, with its outputs.
    :param context: the task's context.
    """
    events = context.get("outlet_events")
    table, granularity = main_table(operator)
    try:
        uri = table_uri(str(operator.dataset_path), table, granularity)
    except ValueError:
        # A relative path is good enough for a dataset, but no asset can have it.
        return
    for asset in operator.outlets:
        if events is None or not isinstance(asset, Asset) or asset.uri != uri:
            continue
        event = events[asset]
        event.extra = event_extra(manifest, table)
        days = covered_days(pull) if operator.asset_events == AssetEvents.DAY else []
        if days and hasattr(event, "add_partitions"):
            event.add_partitions(days)
        elif operator.asset_events == AssetEvents.DAY:
            reason = "the interval contains no whole UTC day" if not days else "Airflow 3.3 or newer is required"
            operator.log.warning("The event of the pull names no days: %s.", reason)


def describe_outlets(operator: BaseOperator, extra: Mapping[str, Any], context: Context) -> None:
    """Describe what a task did in the events of all assets that its DAG passes as ``outlets``.

    :param operator: the operator of a task that reads a dataset, such as one that loads it.
    :param extra: what the events say, as JSON-compatible values.
    :param context: the task's context.
    """
    events = context.get("outlet_events")
    for asset in operator.outlets:
        if events is not None and isinstance(asset, Asset):
            events[asset].extra = dict(extra)


def event_extra(manifest: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Return what an asset event says about a pull.

    :param manifest: the manifest of the pull.
    :param table: the main table.
    """
    return {
        "endpoint": manifest["endpoint"],
        "window": manifest["interval"],
        "snapshot_at": manifest["snapshot_at"],
        "tweets": manifest["requested"],
        "rows": manifest["rows"].get(table, 0),
        "missing": {outcome: gap["tweets"] for outcome, gap in manifest["missing"].items()},
        "requests": manifest["requests"]["sent"],
        "manifest": manifest["outputs"].get("manifest"),
    }


def covered_days(pull: Pull) -> list[str]:
    """Return the whole UTC days of the interval of a pull, such as ``2026-01-05``."""
    if pull.interval is None:
        return []
    hours = pull.interval.time_range
    days = whole_days_within(hours.start, hours.end)
    if days is None:
        return []
    return [to_api(days.start + number * DAY)[:10] for number in range((days.end - days.start) // DAY)]
