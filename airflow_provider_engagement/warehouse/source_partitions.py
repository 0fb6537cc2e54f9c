"""The partitions of a dataset, and which of them have changed since the last load.

The unit of a load is a partition: files that can have rows with the same key are in the same one. A partition has
changed if the identity of one of its files has: for a Delta table its name, which the log never uses again, and
otherwise its size and the time of its last change, or what the object store knows instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_engagement.storage.layout import DELTA_LOG_FOLDER
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_path
from airflow_provider_engagement.tables.table_batches import table_files
from airflow_provider_engagement.tables.tables import TABLES, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFolder:
    """One folder with partitions of a table.

    :param path: its path below the folder of the dataset, such as ``tweet_metrics/hour``.
    :param place: the folder.
    :param partitions: for each partition, a digest of the identities of its files.
    :param files: for each partition, how many files it has.
    :param version: the version of a Delta table; ``None`` for other formats.
    """

    path: str
    place: StoragePath
    partitions: Mapping[str, str]
    files: Mapping[str, int]
    version: int | None

    def changed_since(self, record: Mapping[str, str]) -> frozenset[str]:
        """Return the partitions that differ from what a load has recorded."""
        return frozenset(name for name, digest in self.partitions.items() if record.get(name) != digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceTable:
    """A table of a dataset.

    :param table: its columns and key.
    :param folders: the folders that hold its rows.
    """

    table: Table
    folders: tuple[SourceFolder, ...]


def table_names(dataset: StoragePath) -> list[str]:
    """Return the tables that a dataset has."""
    return [name for name in TABLES if (dataset / name).exists()]


def list_sources(dataset: StoragePath, names: Iterable[str], *, address_of: Locate) -> list[SourceTable]:
    """Return tables of a dataset with their partitions.

    :param dataset: the folder of the dataset.
    :param names: the tables.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a Delta table requires a later reader.
    :raises StorageError: if the storage of a Delta table fails.
    """
    return [
        SourceTable(
            table=TABLES[name],
            folders=tuple(_list_folder(dataset, path, address_of) for path in _folders(dataset, TABLES[name])),
        )
        for name in names
    ]


def _folders(dataset: StoragePath, table: Table) -> list[str]:
    """Return the paths of a table's folders, also of granularities that this version does not know."""
    if not table.granularities:
        return [table.name]
    names = sorted(folder.name for folder in (dataset / table.name).iterdir())
    return [f"{table.name}/{name}" for name in names if not name.startswith(("_", "."))]


def _list_folder(dataset: StoragePath, path: str, address_of: Locate) -> SourceFolder:
    place = dataset
    for name in path.split("/"):
        place = place / name
    version = _delta_version(place, address_of)
    files: dict[str, list[StoragePath]] = {}
    for file, _ in table_files(place, address_of=address_of):
        files.setdefault(file.parent.name, []).append(file)
    return SourceFolder(
        path=path,
        place=place,
        partitions={name: _digest(found, is_delta=version is not None) for name, found in files.items()},
        files={name: len(found) for name, found in files.items()},
        version=version,
    )


def _delta_version(place: StoragePath, address_of: Locate) -> int | None:
    if not (place / DELTA_LOG_FOLDER).exists():
        return None
    # The package deltalake is an optional dependency.
    from airflow_provider_engagement.tables.delta_log import open_table, storage_errors

    address, options = address_of(place)
    with storage_errors(address, options):
        return open_table(address, options).version()


def _digest(files: Sequence[StoragePath], *, is_delta: bool) -> str:
    identities = sorted(f"{file.name} {'' if is_delta else _identity(file)}" for file in files)
    return hashlib.sha256("\n".join(identities).encode()).hexdigest()[:24]


def _identity(file: StoragePath) -> str:
    """Return a text that differs after the file was replaced."""
    local = local_path(file)
    if local is not None:
        status = local.stat()
        return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    # An ``ObjectStoragePath`` has this method. For most object stores, the result depends on the ETag.
    object_path: Any = file
    return str(object_path.checksum())


def record_of(source: SourceTable) -> dict[str, dict[str, str]]:
    """Return what a load of all partitions records: for each folder, the digest of each partition."""
    return {folder.path: dict(folder.partitions) for folder in source.folders}


def changes(source: SourceTable, record: Mapping[str, Mapping[str, str]]) -> dict[str, frozenset[str]]:
    """Return the partitions of each folder that have changed since a load recorded what it has read."""
    return {folder.path: folder.changed_since(record.get(folder.path, {})) for folder in source.folders}


def changed_folders(
    source: SourceTable, changed: Mapping[str, frozenset[str]]
) -> Iterator[tuple[SourceFolder, frozenset[str]]]:
    """Yield the folders that have changed partitions, with these."""
    for folder in source.folders:
        if changed[folder.path]:
            yield folder, changed[folder.path]
