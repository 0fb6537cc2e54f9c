"""Where the tables of a run go: files below the dataset's folder, or plain data to return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_engagement.dataset.formats import Format, Writer, open_writer, plain
from airflow_provider_engagement.dataset.merged_table import PartitionedTable
from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, write_atomically

if TYPE_CHECKING:
    import pyarrow

ROWS_PER_BATCH = 50_000
"""Small batches are gathered to so many rows, so that files are not split into slivers."""


class TableFile:
    """Gathers rows of one table and writes them in batches.

    :param table: which table.
    :param writer: where the batches go.
    """

    def __init__(self, table: Table, writer: Writer) -> None:
        self._schema = arrow_schema(table)
        self._writer = writer
        self._pending: list[pyarrow.Table] = []
        self._pending_rows = 0
        self.rows = 0

    def append(self, rows: pyarrow.Table) -> None:
        """Add rows."""
        if rows.num_rows:
            self._pending.append(rows)
            self._pending_rows += rows.num_rows
            self.rows += rows.num_rows
        if self._pending_rows >= ROWS_PER_BATCH:
            self._flush()

    def finish(self) -> None:
        """Write what is left."""
        if self._pending:
            self._flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.concat_tables(self._pending).combine_chunks())
        self._pending, self._pending_rows = [], 0


class RowsInMemory:
    """Gathers rows of one table as plain data, as XCom takes it."""

    def __init__(self) -> None:
        self.plain: list[dict[str, Any]] = []
        self.rows = 0

    def append(self, rows: pyarrow.Table) -> None:
        """Add rows."""
        self.rows += rows.num_rows
        self.plain += [{name: plain(value) for name, value in row.items()} for row in rows.to_pylist()]


Rows = TableFile | RowsInMemory


Partition = Callable[[datetime], str]
Changed = Callable[["pyarrow.Table", "pyarrow.Table"], None]


class PartitionedRows(Protocol):
    """Rows that are staged first and published when all have come."""

    rows: int

    def stage(self, rows: pyarrow.Table) -> None:
        """Add rows of one partition."""

    def close_before(self, moment: datetime) -> None:
        """Say that no row of an earlier partition than an instant's will be added."""

    def publish(self) -> list[str]:
        """Put the rows into the table, and return the partitions that changed."""

    def discard(self) -> None:
        """Take the rows back."""


class Output(Protocol):
    """Where the tables of a run go.

    :param locations: where each table of the run is, for the report.
    :param returned: rows by table, where they are returned.
    """

    locations: dict[str, str]
    returned: dict[str, Any]

    def open(self, paths: Mapping[Table, str]) -> AbstractContextManager[dict[str, Rows]]:
        """Open tables for appending, which are kept together when the block ends well.

        :param paths: by table, its path below the dataset's folder, without a suffix.
        :return: the opened tables by name.
        """

    def partitioned(
        self, table: Table, path: str, partition: Partition, changed: Changed | None = None
    ) -> PartitionedRows:
        """Return a table in partitions, for rows of keys that other runs write too.

        :param table: which table.
        :param path: its path below the dataset's folder.
        :param partition: names the partition of an instant.
        :param changed: takes rows as they were and as they are now, where rows were there before.
        """

    def add_json(self, name: str, path: str, content: Any) -> None:
        """Keep a document beside the tables."""


class DatasetFolder:
    """Writes tables as files below a folder.

    :param folder: the dataset's folder.
    :param file_format: how to write tables.
    """

    def __init__(self, folder: StoragePath, file_format: Format) -> None:
        self._folder = folder
        self._format = file_format
        self.locations: dict[str, str] = {}
        self.returned: dict[str, Any] = {}

    @contextmanager
    def open(self, paths: Mapping[Table, str]) -> Iterator[dict[str, Rows]]:
        """Open a file for each table; they take their places together when the block ends well."""
        places = {table: self._place(f"{path}.{self._format}") for table, path in paths.items()}
        with ExitStack() as stack:
            files = {}
            for table, place in places.items():
                file = stack.enter_context(write_atomically(place))
                writer = open_writer(file, arrow_schema(table), self._format)
                # A writer that is left open would try to end its file when it is collected as garbage.
                stack.callback(writer.close)
                files[table.name] = TableFile(table, writer)
            yield dict(files)
            for written in files.values():
                written.finish()
        self.locations |= {table.name: str(place) for table, place in places.items()}

    def partitioned(
        self, table: Table, path: str, partition: Partition, changed: Changed | None = None
    ) -> PartitionedRows:
        """Return a table in partitions of files."""
        self.locations[path] = str(self._place(path))
        return PartitionedTable(
            self._folder, table=table, path=path, partition=partition, file_format=self._format, changed=changed
        )

    def add_json(self, name: str, path: str, content: Any) -> None:
        """Write a document, whole or not at all."""
        place = self._place(path)
        self.locations[name] = str(place)
        with write_atomically(place) as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")

    def _place(self, path: str) -> StoragePath:
        place = self._folder
        for component in path.split("/"):
            place = place / component
        return place


class ReturnedOutput:
    """Returns tables as plain data; for small pulls."""

    def __init__(self) -> None:
        self.locations: dict[str, str] = {}
        self.returned: dict[str, Any] = {}

    @contextmanager
    def open(self, paths: Mapping[Table, str]) -> Iterator[dict[str, Rows]]:
        """Gather rows for each table."""
        gathered = {table.name: RowsInMemory() for table in paths}
        yield dict(gathered)
        self.returned |= {name: rows.plain for name, rows in gathered.items()}

    def partitioned(
        self, table: Table, path: str, partition: Partition, changed: Changed | None = None
    ) -> PartitionedRows:
        """Return rows to gather; nothing was there before that they could differ from."""
        return _GatheredRows(self.returned.setdefault(table.name, []))

    def add_json(self, name: str, path: str, content: Any) -> None:
        """Return a document beside the tables."""
        self.returned[name] = content


class _GatheredRows(RowsInMemory):
    def __init__(self, target: list[dict[str, Any]]) -> None:
        super().__init__()
        self._target = target

    def stage(self, rows: pyarrow.Table) -> None:
        self.append(rows)

    def close_before(self, moment: datetime) -> None:
        """Rows are kept together whatever their partition."""

    def publish(self) -> list[str]:
        self._target += self.plain
        return []

    def discard(self) -> None:
        self.plain.clear()
