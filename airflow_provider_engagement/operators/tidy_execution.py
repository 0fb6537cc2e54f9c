"""Tidy up a dataset, as a task of Airflow."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Protocol

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.inputs.numbers import parse_number
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.tables.tidying import tidy

log = logging.getLogger(__name__)

MIN_RETENTION_HOURS = 24
"""How long files are kept at least that no version names yet: a pull may be about to commit them."""


class TidyTask(Protocol):
    """The parameters of the operator."""

    dataset_path: str
    retention_hours: float | str


def execute_tidy(task: TidyTask) -> dict[str, Any]:
    """Tidy up the dataset of a task, and return what was done to each Delta table.

    :param task: the operator, with rendered parameters.
    """
    with task_failures():
        unset_blank_parameters(task)
        hours = parse_number(task.retention_hours, field="retention_hours", minimum=MIN_RETENTION_HOURS)
        path = storage_path(task.dataset_path, field="dataset_path")
        done = tidy(path, retention=timedelta(hours=hours), address_of=table_address)
        for name, table in done["tables"].items():
            log.info(
                "%s: %s compacted, %s deleted; version %d.",
                name,
                counted(table["files_compacted"], "file"),
                counted(table["files_deleted"], "file"),
                table["version"],
            )
        return done
