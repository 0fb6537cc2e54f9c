"""The folder of a dataset: where each table, document and partition of a pull is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import DELTA_LOG_FOLDER
from airflow_provider_engagement.storage.paths import (
    Locate,
    StoragePath,
    local_address,
    write_atomically,
)
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.dataset_format import DatasetFormat, FileFormat
from airflow_provider_engagement.tables.formats import BatchWriter, open_writer, read_table, to_json_value
from airflow_provider_engagement.tables.parquet_table import FILE, MergedTable
from airflow_provider_engagement.tables.staging import MergeTarget
from airflow_provider_engagement.tables.tables import Table

if TYPE_CHECKING:
    from airflow_provider_engagement.tables.delta_table import DeltaMergedTable

ROWS_PER_BATCH = 50_000
"""How many rows of a table are written at once."""


class DatasetFolder:
    """Writes the tables and documents of one pull below a folder.

    :param folder: the dataset's folder.
    :param dataset_format: the format of the tables.
    :param writer: identifies the run of the task, the same in every attempt.
    :param address_of: returns the address of a Delta table and the storage options for it.
    """

    def __init__(
        self,
        folder: StoragePath,
        dataset_format: DatasetFormat,
        *,
        writer: str | None = None,
        address_of: Locate = local_address,
    ) -> None:
        self._folder = folder
        self._address_of = address_of
        self._temporary = TemporaryFiles(folder, writer=writer)
        self._format = dataset_format.of_files
        self._has_delta_tables = dataset_format is DatasetFormat.DELTA
        self._tables: dict[StoragePath, Table] = {}
        self.locations: dict[str, str] = {}
        """The path of each table and document that the pull wrote, for the manifest."""
        self._delta_tables: dict[str, DeltaMergedTable] = {}

    @contextmanager
    def open(self, paths: Mapping[Table, str]) -> Iterator[dict[str, BatchWriter]]:
        """Open a file for each of several tables. They are put in place together if the block succeeds.

        :param paths: for each table, its path below the dataset's folder, without a suffix.
        :return: the open files by table name.
        """
        places = {table: self._folder / f"{path}.{self._format}" for table, path in paths.items()}
        with ExitStack() as stack:
            files = {}
            for table, place in places.items():
                file = stack.enter_context(write_atomically(place, self._temporary.new()))
                writer = open_writer(file, arrow_schema(table), self._format)
                # An unclosed Parquet writer would write to the closed file when it is garbage-collected.
                stack.callback(writer.close)
                files[table.name] = BatchWriter(writer, ROWS_PER_BATCH)
            yield files
            for batches in files.values():
                batches.flush()
        for table, place in places.items():
            # An earlier execution of the run may have written the file in another format.
            for _, path in _files_in_any_format(place.parent, place.name.removesuffix(f".{self._format}")):
                if path.name != place.name:
                    path.unlink()
            self._tables[place] = table
            self.locations[table.name] = str(place)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each Delta table after the pull, by its path below the dataset's folder."""
        return {path: table.version for path, table in self._delta_tables.items() if table.version is not None}

    def open_merged(
        self,
        table: Table,
        path: str,
        partition_of: Callable[[datetime], str],
        *,
        file_of: Callable[[datetime], str] = lambda time: FILE,
        time: datetime | None = None,
        on_change: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
    ) -> MergeTarget:
        """Return a partitioned table for rows whose keys other runs write too.

        :param table: the table.
        :param path: its path below the dataset's folder.
        :param partition_of: returns the partition of a row from its time.
        :param file_of: returns the name of the file of a row in its partition, without a suffix. A Delta table has no
            such file.
        :param time: the time of all rows of the pull, if they have the same. The manifest then names their file.
        :param on_change: called with published rows and newer rows of a partition.
        :raises IncompatibleTableError: if the table has another format, or is a link out of the dataset.
        """
        place = self._folder / path
        check_contained(self._folder, place)
        self._check_format(place)
        self._tables[place] = table
        self.locations[path] = str(
            place
            if time is None or self._has_delta_tables
            else place / partition_of(time) / f"{file_of(time)}.{self._format}"
        )
        if self._has_delta_tables:
            # The package deltalake is an optional dependency.
            from airflow_provider_engagement.tables.delta_table import DeltaMergedTable

            delta_table = DeltaMergedTable(
                place, table=table, partition_of=partition_of, address_of=self._address_of, on_change=on_change
            )
            self._delta_tables[path] = delta_table
            return delta_table
        return MergedTable(
            self._folder,
            table=table,
            path=path,
            partition_of=partition_of,
            file_of=file_of,
            file_format=self._format,
            on_change=on_change,
            writer=self._temporary.writer,
        )

    def write_json(self, name: str, path: str, content: Any) -> None:
        """Write a document of a run. If it is empty, delete what an earlier execution of the run has written.

        :param name: its name in the manifest.
        :param path: its path below the dataset's folder.
        :param content: JSON-compatible values.
        """
        place = self._folder / path
        if not content:
            with suppress(FileNotFoundError):
                place.unlink()
            return
        self.locations[name] = str(place)
        with write_atomically(place, self._temporary.new()) as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")

    def read_file(self, table: Table, path: str) -> pyarrow.Table:
        """Return the rows that earlier executions of the run have written to one of its files, in any format.

        :param table: the table.
        :param path: the path of the file below the dataset's folder, without a suffix.
        """
        place = self._folder / path
        found = [arrow_schema(table).empty_table()]
        for file_format, file_path in _files_in_any_format(place.parent, place.name):
            check_contained(self._folder, file_path)
            with file_path.open("rb") as file:
                found.append(read_table(file, arrow_schema(table), file_format))
        return pyarrow.concat_tables(found)

    def read_files(self, table: Table, path: str) -> Iterator[pyarrow.Table]:
        """Yield the rows of each file of a table in a folder, whichever run wrote it, in any format.

        :param table: the table.
        :param path: the folder, below the dataset's folder.
        """
        place = self._folder / path
        for file_path in sorted(place.iterdir(), key=str) if place.exists() else ():
            for file_format in FileFormat:
                if file_path.name.endswith(f".{file_format}"):
                    check_contained(self._folder, file_path)
                    with file_path.open("rb") as file:
                        yield read_table(file, arrow_schema(table), file_format)

    def read_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that the pull wrote, by table, as JSON-compatible values."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for place, table in self._tables.items():
            found = rows.setdefault(table.name, [])
            for path in self._files(place):
                with path.open("rb") as file:
                    content = read_table(file, arrow_schema(table), self._format).to_pylist()
                found += [{name: to_json_value(value) for name, value in row.items()} for row in content]
        return rows

    def _check_format(self, place: StoragePath) -> None:
        """Refuse to add rows in one format to a table of another: readers would see only one of them."""
        is_delta = (place / DELTA_LOG_FOLDER).exists()
        if is_delta and not self._has_delta_tables:
            raise IncompatibleTableError(str(place), "it is a Delta table", "Set dataset_format to delta")
        if self._has_delta_tables and not is_delta and place.exists() and any(True for _ in place.iterdir()):
            raise IncompatibleTableError(
                str(place),
                "its files are not those of a Delta table",
                "Use the format of the dataset as dataset_format",
            )

    def _files(self, place: StoragePath) -> list[StoragePath]:
        if place.name.endswith(f".{self._format}"):
            return [place]
        partitions = sorted(place.iterdir(), key=lambda path: path.name) if place.exists() else []
        return [path for partition in partitions for path in sorted(partition.iterdir(), key=lambda path: path.name)]


def _files_in_any_format(folder: StoragePath, name: str) -> list[tuple[FileFormat, StoragePath]]:
    """Return the files with a name, without its suffix, in a folder, and the format of each."""
    paths = [(file_format, folder / f"{name}.{file_format}") for file_format in FileFormat]
    return [(file_format, path) for file_format, path in paths if path.exists()]
