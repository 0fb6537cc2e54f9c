"""The small XComs by which the page finds a pull or a report, without reading what other tasks have returned."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.pull.manifest import PULL_KEY, REPORT_KEY, pull_entry

if TYPE_CHECKING:
    from airflow.sdk import Context


log = logging.getLogger(__name__)


def push_entry(manifest: Mapping[str, Any], context: Context) -> None:
    """Push the entry of a pull.

    :param manifest: the manifest of the pull.
    :param context: the task's context.
    """
    _push(PULL_KEY, pull_entry(manifest), context)


def push_report(path: str, context: Context) -> None:
    """Push where a report is.

    :param path: its path or URL.
    :param context: the task's context.
    """
    _push(REPORT_KEY, path, context)


def _push(key: str, value: object, context: Context) -> None:
    """Push an XCom. What the task does is complete, so a failure is only logged."""
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception as error:
        log.warning("The page in Airflow will not list what this task did: %r", error)
