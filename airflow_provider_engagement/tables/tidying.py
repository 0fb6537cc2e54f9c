"""Tidy up a dataset: delete what replaced and killed pulls left, and compact its Delta tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import DELTA_LOG_FOLDER, STAGED_FOLDER
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_address
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.staging import StagingFolder
from airflow_provider_engagement.tables.tables import TABLES, X_TABLES


@dataclass(kw_only=True, slots=True)
class TidiedTable:
    """What was done to a Delta table.

    :param version: its version afterwards.
    :param files_compacted: how many files were replaced by larger ones.
    :param files_deleted: how many files were deleted that no version within the retention period needs.
    """

    version: int
    files_compacted: int
    files_deleted: int


def tidy(
    folder: StoragePath,
    *,
    retention: timedelta,
    address_of: Locate = local_address,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Tidy up a dataset, and return what was done as JSON-compatible values.

    Pulls can run at the same time.

    :param folder: the dataset's folder.
    :param retention: how long the files of earlier versions of Delta tables are kept.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :param clock: the wall clock in epoch seconds.
    :raises IncompatibleTableError: if a link leads out of the dataset or of a Delta table.
    :raises StorageError: if the storage of a Delta table fails.
    """
    TemporaryFiles(folder, clock=clock).delete_leftovers()
    for partition in _staging_folders(folder):
        published = [file for file in partition.list() if file.is_published]
        partition.mark_published(published, now=clock())
    return {
        "tables": {
            path: asdict(_tidy_delta_table(folder, path, retention, address_of))
            for table in (*TABLES.values(), *X_TABLES.values())
            for path in table.paths
            if (folder / path / DELTA_LOG_FOLDER).exists()
        }
    }


def _staging_folders(folder: StoragePath) -> Iterator[StagingFolder]:
    staging = folder / STAGED_FOLDER
    for table in staging.iterdir() if staging.exists() else ():
        for partition in table.iterdir():
            check_contained(folder, partition)
            yield StagingFolder(partition)


def _tidy_delta_table(folder: StoragePath, path: str, retention: timedelta, address_of: Locate) -> TidiedTable:
    # The package deltalake is an optional dependency.
    from airflow_provider_engagement.tables.delta_log import compact

    check_contained(folder, folder / path)
    address, options = address_of(folder / path)
    version, compacted, deleted = compact(address, options, retention=retention)
    return TidiedTable(version=version, files_compacted=compacted, files_deleted=deleted)
