"""The transaction log of a Delta Lake table: its files, its columns, and commits that fail instead of conflicting."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pyarrow
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from airflow_provider_engagement.exceptions import ConflictError, IncompatibleTableError, StorageError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.storage.contained_paths import check_links, is_contained
from airflow_provider_engagement.storage.table_options import StorageOptions

PUBLICATION = "engagement.publication"
"""The key in the metadata of a commit that holds the id of the publication."""

READER_VERSION = 1
"""The version of the Delta protocol that this package reads. Later versions allow deletion vectors, and a reader that
ignores them brings deleted rows back."""

COMMITS_PER_CHECKPOINT = 20
"""After how many commits a checkpoint of the log is written. A pull reads the commits since the last one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """A new data file of a table.

    :param path: its path below the folder of the table.
    :param partition: the value of the partition column.
    :param size: its size in bytes.
    :param statistics: the statistics of its columns, as the Delta protocol defines them. Readers use them
        to skip files.
    """

    path: str
    partition: str
    size: int
    statistics: Mapping[str, object]


class DeltaLog:
    """The log of one table, as of the last refresh. If there is no table, it is created.

    :param address: the path or URL of the folder of the table.
    :param options: the storage options of delta-rs. They contain secrets.
    :param schema: the columns that the table needs. Missing ones are added.
    :param partition_column: the column that partitions the table.
    :raises IncompatibleTableError: if the table has other types or another layout.
    :raises StorageError: if the storage fails.
    """

    def __init__(
        self, address: str, options: Mapping[str, str], *, schema: pyarrow.Schema, partition_column: str
    ) -> None:
        self._address = address
        self._options = StorageOptions(options)
        self._schema = schema
        self._partition_column = partition_column
        self._publication = uuid.uuid4().hex
        with storage_errors(address, options):
            self._table = self._open_or_create()
        self._adapt_columns()

    @property
    def version(self) -> int:
        """The version of the table."""
        return self._table.version()

    @property
    def columns(self) -> pyarrow.Schema:
        """The columns of the table. A later version of this package may have added more than this one needs."""
        return pyarrow.schema(self._table.schema().to_arrow())

    def files(self) -> dict[str, tuple[str, ...]]:
        """Return the paths of the files of each partition, by the value of the partition column."""
        paths: dict[str, tuple[str, ...]] = {}
        for partition, path in _files(self._table, self._address, self._options, self._partition_column):
            paths[partition] = (*paths.get(partition, ()), path)
        return paths

    def refresh(self) -> None:
        """Read the commits of other writers."""
        with storage_errors(self._address, self._options):
            self._table.update_incremental()
        self._adapt_columns()

    def commit(self, *, add: Iterable[DataFile], remove: Mapping[str, Sequence[str]], now: float) -> bool:
        """Commit a change, unless another writer has committed since the last refresh. Refresh the log.

        :param add: the new files.
        :param remove: the paths of the files that they replace, by the value of the partition column.
        :param now: the current time in epoch seconds.
        :return: whether the change is committed.
        """
        milliseconds, column, version = int(now * 1000), self._partition_column, self.version
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(path, True, milliseconds, partition_values={column: partition})
            for partition, paths in remove.items()
            for path in paths
        ]
        actions += [
            AddAction(file.path, file.size, {column: file.partition}, milliseconds, True, json.dumps(file.statistics))
            for file in add
        ]
        # Without retries, delta-rs commits only the version that follows the one that it has read.
        properties = CommitProperties(max_commit_retries=0, custom_metadata={PUBLICATION: self._publication})
        with storage_errors(self._address, self._options):
            try:
                self._table.create_write_transaction(
                    actions, "append", self._table.schema(), [column], commit_properties=properties
                )
            except CommitFailedError:
                if not self._has_news(version):
                    raise
                return self._has_committed_since(version)
        self.refresh()
        return True

    def _has_news(self, version: int) -> bool:
        self.refresh()
        return self.version > version

    def _has_committed_since(self, version: int) -> bool:
        """Return whether the change is committed although its commit failed: the storage's response can be lost."""
        commits = self._table.history(self.version - version)
        return any(commit.get(PUBLICATION) == self._publication for commit in commits)

    def _open_or_create(self) -> DeltaTable:
        try:
            return self._open()
        except TableNotFoundError:
            try:
                return DeltaTable.create(
                    self._address,
                    Schema.from_arrow(self._schema),
                    partition_by=[self._partition_column],
                    configuration={"delta.checkpointInterval": str(COMMITS_PER_CHECKPOINT)},
                    storage_options=self._options,
                )
            except DeltaError:
                # Another writer may have created the table in the meantime.
                return self._open()

    def _open(self) -> DeltaTable:
        return open_table(self._address, self._options)

    def _adapt_columns(self) -> None:
        """Check the layout of the table, and add the columns that it does not have yet."""
        self._check_layout()
        while missing := [field for field in self._schema if field.name not in self.columns.names]:
            version = self.version
            with storage_errors(self._address, self._options):
                try:
                    self._table.alter.add_columns(Schema.from_arrow(pyarrow.schema(missing)).fields)
                    self._table.update_incremental()
                except CommitFailedError:
                    # Another writer may have added them.
                    self._table.update_incremental()
                    if self.version == version:
                        raise
            self._check_layout()

    def _check_layout(self) -> None:
        _check_reader_version(self._table, self._address)
        partition_columns = self._table.metadata().partition_columns
        if partition_columns != [self._partition_column]:
            raise IncompatibleTableError(
                self._address, f"it is partitioned by {partition_columns}, not by {self._partition_column}"
            )
        found = self.columns
        for field in self._schema:
            if field.name in found.names and found.field(field.name).type != field.type:
                raise IncompatibleTableError(
                    self._address, f"its column {field.name} is {found.field(field.name).type}, not {field.type}"
                )


def open_table(address: str, options: Mapping[str, str]) -> DeltaTable:
    """Return a table as of its newest version.

    :param address: the path or URL of the folder of the table.
    :param options: the storage options of delta-rs. They contain secrets.
    :raises IncompatibleTableError: if a link leads out of the table. delta-rs would follow it, to read and to delete.
    """
    check_links(address)
    return DeltaTable(address, storage_options=dict(options))


def data_files(address: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the data files of a table, in the order of their partitions.

    :param address: the path or URL of the folder of the table.
    :param options: the storage options of delta-rs. They contain secrets.
    :return: for each file, its partition such as ``partition_date=2026-01-05``, and its path below the folder.
    :raises IncompatibleTableError: if the table requires readers of a later version of the Delta protocol, has another
        number of partition columns than one, or names or links to a file outside its folder.
    :raises StorageError: if the storage fails.
    """
    with storage_errors(address, options):
        table = open_table(address, options)
        _check_reader_version(table, address)
        columns = table.metadata().partition_columns
    if len(columns) != 1:
        raise IncompatibleTableError(address, f"it is partitioned by {columns}, not by one column")
    (column,) = columns
    return [(f"{column}={value}", path) for value, path in _files(table, address, options, column)]


def compact(address: str, options: Mapping[str, str], *, retention: timedelta) -> tuple[int, int, int]:
    """Replace small files of a table with larger ones, and delete the files that no recent version needs.

    :param address: the path or URL of the folder of the table.
    :param options: the storage options of delta-rs. They contain secrets.
    :param retention: how long files of earlier versions, and files that no version names, are kept.
    :return: the version of the table, and how many files were compacted and deleted.
    :raises ConflictError: if another writer committed at the same time.
    :raises IncompatibleTableError: if the table names or links to a file outside its folder.
    :raises StorageError: if the storage fails.
    """
    with storage_errors(address, options):
        table = open_table(address, options)
        for column in table.metadata().partition_columns[:1]:
            _files(table, address, options, column)
        try:
            compacted = table.optimize.compact()["numFilesRemoved"]
        except CommitFailedError:
            raise ConflictError(f"Another writer committed to {address} while its files were compacted.") from None
        deleted = table.vacuum(
            retention_hours=int(retention / timedelta(hours=1)),
            enforce_retention_duration=False,
            dry_run=False,
            full=True,
        )
        table.create_checkpoint()
        table.cleanup_metadata()
        return table.version(), compacted, len(deleted)


def _files(table: DeltaTable, address: str, options: Mapping[str, str], column: str) -> list[tuple[str, str]]:
    """Return the value of the partition and the path of each data file, in order.

    :raises IncompatibleTableError: if a path leaves the folder of the table. Another table can own such a file, and a
        reader of this one may not be allowed to read it.
    """
    check_links(address)
    with storage_errors(address, options):
        actions = pyarrow.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return []
    paths = actions["path"].to_pylist()
    for path in paths:
        if not is_contained(path):
            raise IncompatibleTableError(
                address,
                f"its log names the file '{path}', which is not in its folder",
                "Rewrite the table with its files",
            )
    values = actions[f"partition.{column}"].cast(pyarrow.string()).to_pylist()
    return sorted(zip(map(str, values), paths, strict=True))


def _check_reader_version(table: DeltaTable, address: str) -> None:
    required = table.protocol().min_reader_version
    if required > READER_VERSION:
        raise IncompatibleTableError(
            address,
            f"it requires readers of version {required}, and this package reads version {READER_VERSION}",
            "Disable deletion vectors and column mapping for the table",
        )


@contextmanager
def storage_errors(address: str, options: Mapping[str, str]) -> Iterator[None]:
    """Raise an error of delta-rs or of the storage in the block as one of this package.

    :param address: the path or URL of the table.
    :param options: the storage options of delta-rs. They contain secrets.
    :raises StorageError: for any such error. It contains no secret.
    """
    try:
        yield
    except (DeltaError, OSError) as error:
        # The error can quote a request, so the error of this package does not name it as its cause.
        raise StorageError(address, presentable(str(error), StorageOptions(options).secrets)) from None
