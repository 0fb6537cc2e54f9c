"""Rows that a run stages, one file for each partition, and the tables that it then publishes them to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pyarrow
import pyarrow.parquet

from airflow_provider_engagement.storage.paths import StoragePath
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.formats import BatchWriter, open_writer, read_table
from airflow_provider_engagement.tables.merging import release_rows
from airflow_provider_engagement.tables.schema import Table, arrow_schema

ROWS_PER_ROW_GROUP = 8_000


@dataclass(frozen=True, slots=True)
class _OpenFile:
    """A file that still receives rows."""

    stack: ExitStack
    batches: BatchWriter

    def close(self) -> None:
        self.batches.flush()
        self.stack.close()


class StagedRows:
    """The staged rows of one table.

    :param new_path: returns the path of a new file, for the name of its partition. Its folder exists.
    :param table: the table.
    :param partition_of: returns the partition of a row from its time.
    """

    def __init__(
        self, new_path: Callable[[str], StoragePath], *, table: Table, partition_of: Callable[[datetime], str]
    ) -> None:
        self._new_path = new_path
        self._table = table
        self._schema = arrow_schema(table)
        self._partition_of = partition_of
        self._open: dict[str, _OpenFile] = {}
        self._paths: dict[str, StoragePath] = {}
        self.rows = 0

    def add(self, rows: pyarrow.Table) -> None:
        """Stage rows whose keys were not staged before, of any partitions."""
        for name, of_partition in split_by_partition(rows, self._partition_of, time=self._table.time):
            file = self._open.get(name) or self._open_file(name)
            file.batches.append(of_partition)
            self.rows += of_partition.num_rows

    def include(self, time: datetime) -> None:
        """Stage the partition of a time even if it has no rows."""
        name = self._partition_of(time)
        if name not in self._paths:
            self._open_file(name)

    def close_before(self, time: datetime) -> None:
        """Complete the files of partitions that receive no more rows.

        :param time: no row of a partition before that of this time follows.
        """
        current = self._partition_of(time)
        self._close([name for name in self._open if name < current])

    def complete(self) -> dict[str, StoragePath]:
        """Complete all files, and return their paths by partition."""
        self._close(list(self._open))
        return dict(sorted(self._paths.items()))

    def read(self, partition: str) -> pyarrow.Table:
        """Return the rows of a partition."""
        with self._paths[partition].open("rb") as file:
            return read_table(file, self._schema, FileFormat.PARQUET)

    def discard(self) -> None:
        """Delete all files."""
        self._close(list(self._open))
        for path in self._paths.values():
            # A new attempt of the task may have deleted the files of an attempt that Airflow gave up.
            with suppress(FileNotFoundError):
                path.unlink()
        self._paths.clear()

    def _open_file(self, name: str) -> _OpenFile:
        if name in self._paths:
            raise RuntimeError(f"Partition {name} received rows after its staged file was complete.")
        path = self._new_path(name)
        stack = ExitStack()
        writer = open_writer(stack.enter_context(path.open("wb")), self._schema, FileFormat.PARQUET)
        stack.callback(writer.close)
        self._paths[name] = path
        self._open[name] = _OpenFile(stack, BatchWriter(writer, ROWS_PER_ROW_GROUP))
        return self._open[name]

    def _close(self, names: Iterable[str]) -> None:
        for name in names:
            self._open.pop(name).close()


class PublishedTable(ABC):
    """A table that several runs write to: a run stages its rows first, and then publishes all of them.

    :param staged: the staged rows of the run.
    """

    def __init__(self, staged: StagedRows) -> None:
        self._staged = staged
        self._without_earlier_rows: Callable[[pyarrow.Table], pyarrow.Table] | None = None

    @property
    def rows(self) -> int:
        """How many rows are staged."""
        return self._staged.rows

    def stage(self, rows: pyarrow.Table) -> None:
        """Stage rows whose keys were not staged before, of any partitions."""
        self._staged.add(rows)

    def close_before(self, time: datetime) -> None:
        """Complete the staged files of partitions that receive no more rows.

        :param time: no row of a partition before that of this time follows.
        """
        self._staged.close_before(time)

    def replace_rows_of(self, run: str, time: datetime, *, keeps: pyarrow.Array) -> None:
        """Let the staged rows replace those of the same time that earlier executions of the same run have published.

        Rows that other runs have too stay.

        :param run: the digest of the run.
        :param time: the time of all rows of the run.
        :param keeps: the ids of the Tweets whose earlier rows stay.
        """
        self._staged.include(time)
        self._without_earlier_rows = partial(release_rows, run=run, snapshot_at=time, keeps=keeps)

    def discard(self) -> None:
        """Delete the staged rows."""
        self._staged.discard()

    @abstractmethod
    def publish(self) -> list[str]:
        """Merge the staged rows into the table, and return the partitions that they belong to."""


def split_by_partition(
    rows: pyarrow.Table, partition_of: Callable[[datetime], str], *, time: str = "period_start"
) -> Iterator[tuple[str, pyarrow.Table]]:
    """Split rows into one table for each partition, in order of time.

    :param rows: rows with ``tweet_id`` and the column of the time.
    :param partition_of: returns the partition of a row from its time.
    :param time: the column of the time.
    """
    if not rows.num_rows:
        return
    ordered = rows.sort_by([(time, "ascending"), ("tweet_id", "ascending")])
    starts = ordered[time].combine_chunks().dictionary_encode()
    names = [partition_of(start) for start in starts.dictionary.to_pylist()]
    counts = starts.indices.value_counts()
    rows_by_partition: dict[str, int] = {}
    for index, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True):
        rows_by_partition[names[index]] = rows_by_partition.get(names[index], 0) + count
    offset = 0
    for name, number in rows_by_partition.items():
        yield name, ordered.slice(offset, number)
        offset += number
