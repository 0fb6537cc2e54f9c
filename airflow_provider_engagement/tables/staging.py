"""Rows that a run stages, one file for each partition, and the tables that it then merges them into.

The rows are staged on the worker, or in the temporary files of the dataset. Complete files in the folder of a partition
are staged for every run: any of them can publish the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pyarrow
import pyarrow.parquet

from airflow_provider_engagement.storage.paths import StoragePath, local_path, refuse_way_out
from airflow_provider_engagement.storage.temporary_files import SUFFIX as TEMPORARY_SUFFIX
from airflow_provider_engagement.storage.temporary_files import FileOrigin
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.formats import BatchWriter, open_writer, read_table
from airflow_provider_engagement.tables.merging import release_rows
from airflow_provider_engagement.tables.tables import Table

ROWS_PER_ROW_GROUP = 8_000

STAGED_FILE_LIFETIME_SECONDS = 86_400.0
"""How long an object store keeps a staged file. Other runs need it while a publication lasts, which is much less."""

_ROWS = ".staged"
_PUBLISHED = ".published"
"""The suffix of an empty file beside a staged file, which says that the rows are published."""


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
        for name, of_partition in split_by_partition(
            rows, self._partition_of, time=self._table.time, key=self._table.key[0]
        ):
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


class MergeTarget(ABC):
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
    rows: pyarrow.Table, partition_of: Callable[[datetime], str], *, time: str = "period_start", key: str = "tweet_id"
) -> Iterator[tuple[str, pyarrow.Table]]:
    """Split rows into one table for each partition, in order of time.

    :param rows: rows with the columns of the key and of the time.
    :param partition_of: returns the partition of a row from its time.
    :param time: the column of the time.
    :param key: the first column of the key, by which the rows of a time are ordered.
    """
    if not rows.num_rows:
        return
    ordered = rows.sort_by([(time, "ascending"), (key, "ascending")])
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


@dataclass(frozen=True, slots=True)
class StagedFile:
    """Rows that a run has staged.

    :param path: the file.
    :param origin: which run has staged it, and when.
    :param is_published: whether a run has published the rows.
    """

    path: StoragePath
    origin: FileOrigin
    is_published: bool

    @property
    def mark(self) -> StoragePath:
        """The path of the empty file that says that the rows are published."""
        return self.path.parent / f"{self.path.name.removesuffix(_ROWS)}{_PUBLISHED}"


class StagingFolder:
    """The staged files of one partition.

    :param folder: the folder of the files.
    """

    def __init__(self, folder: StoragePath) -> None:
        self._folder = folder

    def add(self, temporary: StoragePath) -> StoragePath:
        """Move a complete temporary file to the staged files, and return its new path."""
        path = self._folder / f"{temporary.name.removesuffix(TEMPORARY_SUFFIX)}{_ROWS}"
        refuse_way_out(path, temporary)
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        return path

    def list(self) -> list[StagedFile]:
        """Return the staged files, the oldest first."""
        if not self._folder.exists():
            return []
        paths = {path.name: path for path in self._folder.iterdir()}
        return [
            StagedFile(path, origin, is_published=f"{name.removesuffix(_ROWS)}{_PUBLISHED}" in paths)
            for name, path in sorted(paths.items())
            if name.endswith(_ROWS) and (origin := FileOrigin.from_name(name)) is not None
        ]

    def mark_published(self, files: Iterable[StagedFile], *, now: float) -> None:
        """Mark files whose rows are published, and delete those that no other run needs anymore.

        :param files: the files.
        :param now: the current time in epoch seconds.
        """
        for file in files:
            if now - file.origin.time > STAGED_FILE_LIFETIME_SECONDS:
                _delete(file.path)
                _delete(file.mark)
            elif not file.is_published:
                file.mark.open("wb").close()

    def delete(self, files: Iterable[StagedFile]) -> None:
        """Delete files whose rows are published, while no other run publishes to the partition.

        :param files: all staged files of the partition.
        """
        for file in files:
            _delete(file.path)
        folder = local_path(self._folder)
        if folder is not None:
            # A network file system may keep a file that is open elsewhere under another name.
            with suppress(OSError):
                folder.rmdir()


def _delete(path: StoragePath) -> None:
    # Another run may have deleted the file in the meantime.
    with suppress(FileNotFoundError):
        path.unlink()
