"""Partitioned tables that several runs write to: rows are merged by key, and the newest count wins.

Storage systems have no lock in common, so publishing uses none. A run first *stages* its rows in a file of its own.
Then it *publishes* each partition that it has rows for: it lists the staged files, merges them with the published file,
puts the result in place, and repeats this if another run staged a file in the meantime. The run that publishes last has
read every file that was staged before. The result of a merge does not depend on its order.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.dataset.formats import BatchWriter, OutputFormat, open_writer, read_table
from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, write_atomically

STAGING_FOLDER = "_staged"
FILE = "rows"

STAGED_FILE_LIFETIME_SECONDS = 86_400.0
"""How long a staged file is kept. Other runs may need it for as long as a publication can take, which is much less."""

ROWS_PER_ROW_GROUP = 8_000

_INCOMPLETE = "_"
"""The prefix of a staged file until its run is complete, so that no other run publishes rows of a run that fails."""


@dataclass(frozen=True, slots=True)
class _OpenStagedFile:
    """A staged file that still receives rows."""

    stack: ExitStack
    batches: BatchWriter

    def close(self) -> None:
        self.batches.flush()
        self.stack.close()


class MergedTable:
    """One table below a folder, partitioned by the period of its rows.

    :param folder: the dataset's folder.
    :param table: the table.
    :param path: its path below the folder.
    :param partition_of: returns the partition of a row from its period's first instant, such as
        ``period_date=2026-01-05``.
    :param output_format: the format of published files.
    :param on_change: called with the published rows and the newer rows of a partition; ``None`` to not compare them.
    :param clock: the wall clock in epoch seconds.
    """

    def __init__(
        self,
        folder: StoragePath,
        *,
        table: Table,
        path: str,
        partition_of: Callable[[datetime], str],
        output_format: OutputFormat,
        on_change: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._schema = arrow_schema(table)
        self._folder = folder / path
        self._staging_folder = folder / STAGING_FOLDER / path.replace("/", ".")
        self._partition_of = partition_of
        self._format = output_format
        self._on_change = on_change
        self._clock = clock
        self._open: dict[str, _OpenStagedFile] = {}
        self._staged: dict[str, StoragePath] = {}
        self.rows = 0

    def stage(self, rows: pyarrow.Table) -> None:
        """Stage rows whose keys were not staged before, of any partitions."""
        for name, of_partition in split_by_partition(rows, self._partition_of):
            staged = self._open.get(name) or self._open_staged(name)
            staged.batches.append(of_partition)
            self.rows += of_partition.num_rows

    def close_before(self, time: datetime) -> None:
        """Complete the staged files of partitions that receive no more rows.

        :param time: no row of a partition before that of this time follows.
        """
        current = self._partition_of(time)
        self._close(name for name in list(self._open) if name < current)

    def publish(self) -> list[str]:
        """Merge the staged rows into the table, and return the partitions that changed."""
        self._close(list(self._open))
        for name, incomplete in sorted(self._staged.items()):
            own = incomplete.parent / incomplete.name.removeprefix(_INCOMPLETE)
            incomplete.replace(own)
            self._publish(name, own)
        return sorted(self._staged)

    def discard(self) -> None:
        """Delete the staged rows."""
        self._close(list(self._open))
        for incomplete in self._staged.values():
            if incomplete.exists():
                incomplete.unlink()
        self._staged.clear()

    def _open_staged(self, name: str) -> _OpenStagedFile:
        if name in self._staged:
            raise RuntimeError(f"Partition {name} received rows after its staged file was complete.")
        path = self._staging_folder / name / f"{_INCOMPLETE}{self._clock():.0f}-{uuid.uuid4().hex}.parquet"
        stack = ExitStack()
        writer = open_writer(stack.enter_context(write_atomically(path)), self._schema, OutputFormat.PARQUET)
        stack.callback(writer.close)
        self._staged[name] = path
        self._open[name] = _OpenStagedFile(stack, BatchWriter(writer, ROWS_PER_ROW_GROUP))
        return self._open[name]

    def _close(self, names: Iterator[str] | Sequence[str]) -> None:
        for name in names:
            self._open.pop(name).close()

    def _publish(self, name: str, own: StoragePath) -> None:
        place = self._folder / name / f"{FILE}.{self._format}"
        compared = self._on_change is None
        while True:
            # The order matters: a file that is missing from this list is staged, and published, after this run has read
            # what is published; or it was deleted long after it was published.
            listed = self._list_staged(name)
            try:
                published, obsolete = self._read_published(place)
                staged = [self._read_staged(path) for path in listed]
            except FileNotFoundError:
                # Another run published the rows of an old file and deleted it.
                continue
            tables = staged if published is None else [published, *staged]
            with write_atomically(place) as file:
                writer = open_writer(file, self._schema, self._format)
                writer.write_table(merge_rows(pyarrow.concat_tables(tables), self._table))
                writer.close()
            for path in obsolete:
                with suppress(FileNotFoundError):
                    path.unlink()
            if self._on_change is not None and not compared and published is not None:
                self._on_change(published, merge_rows(self._read_staged(own), self._table))
            compared = True
            if {path.name for path in self._list_staged(name)} <= {path.name for path in listed}:
                break
        self._delete_expired(listed)

    def _list_staged(self, name: str) -> list[StoragePath]:
        folder = self._staging_folder / name
        if not folder.exists():
            return []
        complete = (
            path
            for path in folder.iterdir()
            if path.name.endswith(".parquet") and not path.name.startswith(_INCOMPLETE)
        )
        return sorted(complete, key=lambda path: path.name)

    def _delete_expired(self, staged: Sequence[StoragePath]) -> None:
        for path in staged:
            if self._clock() - float(path.name.partition("-")[0]) > STAGED_FILE_LIFETIME_SECONDS:
                with suppress(FileNotFoundError):
                    path.unlink()

    def _read_published(self, place: StoragePath) -> tuple[pyarrow.Table | None, list[StoragePath]]:
        """Return the published rows, and the files that hold some of them in another format."""
        found, obsolete = [], []
        for output_format in OutputFormat:
            path = place.parent / f"{FILE}.{output_format}"
            if path.exists():
                with path.open("rb") as file:
                    found.append(read_table(file, self._schema, output_format))
                if path.name != place.name:
                    obsolete.append(path)
        return (pyarrow.concat_tables(found) if found else None), obsolete

    def _read_staged(self, path: StoragePath) -> pyarrow.Table:
        with path.open("rb") as file:
            return read_table(file, self._schema, OutputFormat.PARQUET)


def merge_rows(rows: pyarrow.Table, table: Table) -> pyarrow.Table:
    """Return one row for each key, ordered by key, with the newest known count of each metric.

    A null of a newer read does not replace a count: the read may not have requested the metric, or the API may not
    return it any more. The other columns are those of the newest read.

    :param rows: rows with all columns of the table.
    :param table: the table.
    """
    key = list(table.key)
    ordered = rows.sort_by([*((name, "ascending") for name in key), ("fetched_at", "descending")])
    first_known = compute.ScalarAggregateOptions(skip_nulls=True)
    first = compute.ScalarAggregateOptions(skip_nulls=False)
    others = [name for name in ordered.column_names if name not in key]
    merged = ordered.group_by(key, use_threads=False).aggregate(
        [(name, "first", first_known if name in table.metrics else first) for name in others]
    )
    if merged.num_rows == ordered.num_rows:
        return ordered
    columns = [*key, *(f"{name}_first" for name in others)]
    return merged.select(columns).rename_columns([*key, *others]).cast(rows.schema)


def split_by_partition(
    rows: pyarrow.Table, partition_of: Callable[[datetime], str]
) -> Iterator[tuple[str, pyarrow.Table]]:
    """Split rows into one table for each partition, in order of time.

    :param rows: rows with ``period_start`` and ``tweet_id``.
    :param partition_of: returns the partition of a row from its period's first instant.
    """
    if not rows.num_rows:
        return
    ordered = rows.sort_by([("period_start", "ascending"), ("tweet_id", "ascending")])
    starts = ordered["period_start"].combine_chunks().dictionary_encode()
    names = [partition_of(start) for start in starts.dictionary.to_pylist()]
    counts = starts.indices.value_counts()
    rows_by_partition: dict[str, int] = {}
    for index, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True):
        rows_by_partition[names[index]] = rows_by_partition.get(names[index], 0) + count
    offset = 0
    for name, number in rows_by_partition.items():
        yield name, ordered.slice(offset, number)
        offset += number
