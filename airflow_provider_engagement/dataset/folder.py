"""The folder of a dataset: where each table, document and partition of a pull is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import pyarrow

from airflow_provider_engagement.dataset.formats import (
    BatchWriter,
    OutputFormat,
    open_writer,
    read_table,
    to_json_value,
)
from airflow_provider_engagement.dataset.merged_table import FILE, MergedTable
from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, write_atomically

ROWS_PER_BATCH = 50_000
"""How many rows of a table are written at once."""


class DatasetFolder:
    """Writes the tables and documents of one pull below a folder.

    :param folder: the dataset's folder.
    :param output_format: the format of the tables.
    """

    def __init__(self, folder: StoragePath, output_format: OutputFormat) -> None:
        self._folder = folder
        self._format = output_format
        self._tables: dict[StoragePath, Table] = {}
        self.locations: dict[str, str] = {}
        """The path of each table and document that the pull wrote, for the manifest."""

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
                file = stack.enter_context(write_atomically(place))
                writer = open_writer(file, arrow_schema(table), self._format)
                # An unclosed Parquet writer would write to the closed file when it is garbage-collected.
                stack.callback(writer.close)
                files[table.name] = BatchWriter(writer, ROWS_PER_BATCH)
            yield files
            for batches in files.values():
                batches.flush()
        for table, place in places.items():
            self._tables[place] = table
            self.locations[table.name] = str(place)

    def open_merged(
        self,
        table: Table,
        path: str,
        partition_of: Callable[[datetime], str],
        on_change: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
    ) -> MergedTable:
        """Return a partitioned table for rows whose keys other runs write too.

        :param table: the table.
        :param path: its path below the dataset's folder.
        :param partition_of: returns the partition of a row from its period's first instant.
        :param on_change: called with published rows and newer rows of a partition.
        """
        place = self._folder / path
        self._tables[place] = table
        self.locations[path] = str(place)
        return MergedTable(
            self._folder,
            table=table,
            path=path,
            partition_of=partition_of,
            output_format=self._format,
            on_change=on_change,
        )

    def write_json(self, name: str, path: str, content: Any) -> None:
        """Write a document.

        :param name: its name in the manifest.
        :param path: its path below the dataset's folder.
        :param content: JSON-compatible values.
        """
        place = self._folder / path
        self.locations[name] = str(place)
        with write_atomically(place) as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")

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

    def _files(self, place: StoragePath) -> list[StoragePath]:
        if place.name.endswith(f".{self._format}"):
            return [place]
        partitions = sorted(place.iterdir(), key=lambda path: path.name) if place.exists() else []
        return [partition / f"{FILE}.{self._format}" for partition in partitions]
