"""Read the rows of a table in batches, whatever the format of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import DELTA_LOG_FOLDER
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_address
from airflow_provider_engagement.tables import formats
from airflow_provider_engagement.tables.dataset_format import FileFormat


def read_batches(
    place: StoragePath,
    schema: pyarrow.Schema,
    *,
    includes: Callable[[str], bool] | None = None,
    address_of: Locate = local_address,
) -> Iterator[pyarrow.Table]:
    """Yield the rows of a partitioned table, some at a time, so that memory does not depend on its size.

    :param place: the folder of the table. If it does not exist, there are no rows.
    :param schema: the columns to read. A column that a file does not have is null.
    :param includes: returns whether to read a partition such as ``partition_date=2026-01-05``; by default, all are.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a column of the table has values of another type, or if the table requires
        readers of a later version of the Delta protocol.
    :raises StorageError: if the storage of a Delta table fails.
    """
    for path, file_format in table_files(place, includes=includes, address_of=address_of):
        try:
            with path.open("rb") as file:
                yield from formats.read_batches(file, schema, file_format)
        except (*_NOT_THE_TYPES, UnicodeError) as error:
            raise IncompatibleTableError(str(path), str(error), "Correct or remove the file") from error


def table_files(
    place: StoragePath,
    *,
    includes: Callable[[str], bool] | None = None,
    address_of: Locate = local_address,
) -> Iterator[tuple[StoragePath, FileFormat]]:
    """Yield the files that hold the rows of a partitioned table, with their formats, in the order of the partitions.

    :param place: the folder of the table. If it does not exist, there are no files.
    :param includes: returns whether to include a partition; by default, all are included.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a path leaves the folder of the table.
    """
    if (place / DELTA_LOG_FOLDER).exists():
        # The package deltalake is an optional dependency.
        from airflow_provider_engagement.tables.delta_log import data_files

        for partition, file in data_files(*address_of(place)):
            if includes is None or includes(partition):
                yield place / file, FileFormat.PARQUET
        return
    for folder in partitions(place):
        if includes is None or includes(folder.name):
            check_contained(place, folder)
            for path in sorted(folder.iterdir(), key=lambda path: path.name):
                suffix = path.name.rpartition(".")[2]
                if suffix in _FORMATS and not path.name.startswith(("_", ".")):
                    check_contained(place, path)
                    yield path, FileFormat(suffix)


def partitions(place: StoragePath) -> list[StoragePath]:
    """Return the folders of the partitions of a table without a Delta log, in order. If there is no table, none."""
    if not place.exists():
        return []
    return sorted((path for path in place.iterdir() if "=" in path.name), key=lambda path: path.name)


_NOT_THE_TYPES = (
    pyarrow.ArrowInvalid,
    pyarrow.ArrowKeyError,
    pyarrow.ArrowNotImplementedError,
    pyarrow.ArrowTypeError,
)
_FORMATS = frozenset(str(file_format) for file_format in FileFormat)
