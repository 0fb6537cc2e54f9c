"""The assets of tasks: which table a pull declares as its outlet, and what tasks say about outlets in asset events."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

from airflow_provider_engagement.assets.engagement import create_asset, table_uri
from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.time_range import DAY, to_api, whole_days_within
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.settings import AssetEvents, main_table

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.pull.pull import Pull


log = logging.getLogger(__name__)


def declared_asset(endpoint: str, *, events: object, dataset_path: object, granularity: object) -> Asset:
    """Return the asset of the main table of a pull, from the parameters as the DAG file sets them.

    :param endpoint: the endpoint.
    :param events: which asset events the task emits.
    :param dataset_path: the path or URL of the dataset folder.
    :param granularity: the granularity, before the templates are rendered; ``None`` for totals.
    :raises InvalidQueryError: if ``asset_events`` is invalid, or if the table is known only when the task runs.
    """
    kind = parse_choice(events, AssetEvents, field="asset_events")
    if kind is AssetEvents.DAY and endpoint != Endpoint.HISTORICAL:
        raise InvalidQueryError(
            "asset_events", f"a pull of {endpoint} has no interval of days", "Use asset_events='run'."
        )
    if not dataset_path:
        raise InvalidQueryError("asset_events", "the pull has no dataset_path", "Set dataset_path.")
    try:
        table, of_rows = main_table(Endpoint(endpoint), str(granularity))
        return create_asset(dataset_path=str(dataset_path), table=table, granularity=of_rows)
    except ValueError as error:
        raise InvalidQueryError(
            "asset_events", str(error).removesuffix("."), "Use a constant, or leave asset_events out and pass outlets."
        ) from None


def record_events(outlets: Iterable[object], pull: Pull, manifest: Mapping[str, Any], context: Context) -> None:
    """Describe a complete pull in the events of those outlets of its task that are its main table.

    :param outlets: the outlets of the task.
    :param pull: the pull.
    :param manifest: the manifest of the pull, with its outputs.
    :param context: the task's context.
    """
    events, settings = context.get("outlet_events"), pull.settings
    table, granularity = settings.main_table
    try:
        uri = table_uri(settings.dataset_path or "", table, granularity)
    except ValueError:
        # A relative path is good enough for a dataset, but no asset can have it.
        return
    for asset in outlets:
        if events is None or not isinstance(asset, Asset) or asset.uri != uri:
            continue
        event = events[asset]
        event.extra = event_extra(manifest, table)
        days = covered_days(pull) if settings.asset_events is AssetEvents.DAY else []
        if days and hasattr(event, "add_partitions"):
            event.add_partitions(days)
        elif settings.asset_events is AssetEvents.DAY:
            reason = "the interval contains no whole UTC day" if not days else "Airflow 3.3 or newer is required"
            log.warning("The event of the pull names no days: %s.", reason)


def describe_outlets(outlets: Iterable[object], extra: Mapping[str, Any], context: Context) -> None:
    """Describe what a task did in the events of all assets that its DAG passes as ``outlets``.

    :param outlets: the outlets of a task that reads a dataset, such as one that loads it.
    :param extra: what the events say, as JSON-compatible values.
    :param context: the task's context.
    """
    events = context.get("outlet_events")
    for asset in outlets:
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
