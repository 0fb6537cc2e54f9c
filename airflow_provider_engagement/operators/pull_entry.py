"""The small XCom by which the page finds a pull, without reading what other tasks have returned."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.pull.manifest import PULL_KEY, pull_entry

if TYPE_CHECKING:
    from airflow.sdk import Context


log = logging.getLogger(__name__)


def push_entry(manifest: Mapping[str, Any], context: Context) -> None:
    """Push the entry of a pull. The pull is complete, so a failure is only logged.

    :param manifest: what the operator returns: the manifest of the pull, or an estimate, which has no entry.
    :param context: the task's context.
    """
    if "outputs" not in manifest:
        return
    try:
        context["ti"].xcom_push(key=PULL_KEY, value=pull_entry(manifest))
    except Exception as error:
        log.warning("The page in Airflow will not list this pull: %r", error)
