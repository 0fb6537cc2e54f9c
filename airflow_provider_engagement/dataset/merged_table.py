"""Tables in partitions that several runs write to: merged by key, the newest reading of a row winning.

No storage offers a lock that all others have, so none is used. A run first *stages* its rows in a file of its own, then
publishes each partition it has rows for: it lists what is staged, merges that with what is published, puts the result
in place, and does so again if more was staged meanwhile. Whoever publishes last has seen everything that was staged
before; so of runs at the same time none loses a row, and since merging takes the newest reading whatever the order, all
orders give the same table.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_engagement.dataset.formats import Format, Writer, open_writer, read_table
from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, write_atomically

if TYPE_CHECKING:
    import pyarrow

STAGED = "_staged"
FILE = "rows"

STAGED_FOR_SECONDS = 86_400.0
"""A staged file is kept for so long, far longer than a publication takes: until then other runs may need it."""

ROWS_PER_GROUP = 8_000

_HIDDEN = "_"
"""Staged files bear it until their run is complete, so that no other run publishes rows of one that fails."""


@dataclass(slots=True)
class _Open:
    """A staged file that rows are still added to."""

    stack: ExitStack
    writer: Writer
    pending: list[pyarrow.Table]
    pending_rows: int = 0


class PartitionedTable:
    """One table below a folder, in partitions by the time of its rows.

    :param folder: the dataset's folder.
    :param table: which table.
    :param path: its path below the folder.
    :param partition: names the partition of an instant, such as ``period_date=2026-01-05``.
    :param file_format: how published files are written.
    :param changed: takes rows as they were and as they are now, where a newer reading differs; ``None`` to not compare.
    :param clock: the wall clock in epoch seconds.
    """

    def __init__(
        self,
        folder: StoragePath,
        *,
        table: Table,
        path: str,
        partition: Callable[[datetime], str],
        file_format: Format,
        changed: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._place = folder / path.split("/")[0]
        for component in path.split("/")[1:]:
            self._place = self._place / component
        self._staged_place = folder / STAGED / path.replace("/", ".")
        self._partition = partition
        self._format = file_format
        self._changed = changed
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._staged: dict[str, StoragePath] = {}
        self.rows = 0

    def stage(self, rows: pyarrow.Table) -> None:
        """Add rows of one partition, of keys that were not added before."""
        if not rows.num_rows:
            return
        name = self._partition(rows["period_start"][0].as_py())
        opened = self._open.get(name) or self._open_staged(name)
        opened.pending.append(rows)
        opened.pending_rows += rows.num_rows
        self.rows += rows.num_rows
        if opened.pending_rows >= ROWS_PER_GROUP:
            self._flush(opened)

    def close_before(self, moment: datetime) -> None:
        """Finish the staged files of partitions that no later row falls into.

        :param moment: no row of an earlier partition than this instant's will be added.
        """
        current = self._partition(moment)
        for name in [name for name in self._open if name < current]:
            self._close(name)

    def publish(self) -> list[str]:
        """Merge what was staged into the table, and return the partitions that changed."""
        for name in list(self._open):
            self._close(name)
        for name, hidden in sorted(self._staged.items()):
            own = hidden.parent / hidden.name.removeprefix(_HIDDEN)
            hidden.replace(own)
            self._publish(name, own)
        return sorted(self._staged)

    def discard(self) -> None:
        """Take back what was staged."""
        for name in list(self._open):
            self._close(name)
        for hidden in self._staged.values():
            if hidden.exists():
                hidden.unlink()
        self._staged.clear()

    def _open_staged(self, name: str) -> _Open:
        if name in self._staged:
            raise RuntimeError(f"Partition {name} was finished before all of its rows had come.")
        path = self._staged_place / name / f"{_HIDDEN}{self._clock():.0f}-{uuid.uuid4().hex}.parquet"
        stack = ExitStack()
        file = stack.enter_context(write_atomically(path))
        writer = open_writer(file, arrow_schema(self._table), Format.PARQUET)
        self._staged[name] = path
        self._open[name] = _Open(stack, writer, [])
        return self._open[name]

    def _flush(self, opened: _Open) -> None:
        import pyarrow

        if opened.pending:
            opened.writer.write_table(pyarrow.concat_tables(opened.pending).combine_chunks())
            opened.pending, opened.pending_rows = [], 0

    def _close(self, name: str) -> None:
        opened = self._open.pop(name)
        self._flush(opened)
        opened.writer.close()
        opened.stack.close()

    def _publish(self, name: str, own: StoragePath) -> None:
        import pyarrow

        place = self._place / name / f"{FILE}.{self._format}"
        published = False
        while True:
            # Listed before what is published is read: whatever is missing from the list is staged, and published,
            # after this publication, or was taken away long after it was published.
            listed = self._list(name)
            try:
                before, others = self._read_published(place)
                staged = [self._read_staged(path) for path in listed]
            except FileNotFoundError:
                # Another run took an old file away, and has put its rows into what is published.
                continue
            tables = staged if before is None else [before, *staged]
            merged = newest(pyarrow.concat_tables(tables), self._table)
            with write_atomically(place) as file:
                writer = open_writer(file, arrow_schema(self._table), self._format)
                writer.write_table(merged)
                writer.close()
            for other in others:
                with suppress(FileNotFoundError):
                    other.unlink()
            if self._changed is not None and not published and before is not None:
                self._changed(before, newest(self._read_staged(own), self._table))
            published = True
            if {path.name for path in self._list(name)} <= {path.name for path in listed}:
                break
        self._tidy(listed)

    def _list(self, name: str) -> list[StoragePath]:
        folder = self._staged_place / name
        if not folder.exists():
            return []
        return sorted(
            (path for path in folder.iterdir() if path.name.endswith(".parquet") and not path.name.startswith(_HIDDEN)),
            key=lambda path: path.name,
        )

    def _tidy(self, listed: Sequence[StoragePath]) -> None:
        for path in listed:
            if self._clock() - float(path.name.partition("-")[0]) > STAGED_FOR_SECONDS:
                with suppress(FileNotFoundError):
                    path.unlink()

    def _read_published(self, place: StoragePath) -> tuple[pyarrow.Table | None, list[StoragePath]]:
        """Return what is published, and the files of it in formats that are not written any more."""
        import pyarrow

        found = []
        others = []
        for file_format in Format:
            path = place.parent / f"{FILE}.{file_format}"
            if path.exists():
                with path.open("rb") as file:
                    found.append(read_table(file, arrow_schema(self._table), file_format))
                if path.name != place.name:
                    others.append(path)
        return (pyarrow.concat_tables(found) if found else None), others

    def _read_staged(self, path: StoragePath) -> pyarrow.Table:
        with path.open("rb") as file:
            return read_table(file, arrow_schema(self._table), Format.PARQUET)


def newest(rows: pyarrow.Table, table: Table) -> pyarrow.Table:
    """Return one row for each key, in the order of the keys: of each metric the newest count that is known.

    A null of a newer reading does not take a count away: that reading may not have asked for the metric, or the API may
    not give it any more. What is no metric is that of the newest reading.

    :param rows: with the columns of the table.
    :param table: which table.
    """
    import pyarrow.compute

    key = list(table.key)
    ordered = rows.sort_by([*((name, "ascending") for name in key), ("fetched_at", "descending")])
    known = pyarrow.compute.ScalarAggregateOptions(skip_nulls=True)
    whatever = pyarrow.compute.ScalarAggregateOptions(skip_nulls=False)
    others = [name for name in ordered.column_names if name not in key]
    first = ordered.group_by(key, use_threads=False).aggregate(
        [(name, "first", known if name in table.metrics else whatever) for name in others]
    )
    if first.num_rows == ordered.num_rows:
        return ordered
    return first.select([*key, *(f"{name}_first" for name in others)]).rename_columns([*key, *others]).cast(rows.schema)


def by_partition(rows: pyarrow.Table, partition: Callable[[datetime], str]) -> Iterator[pyarrow.Table]:
    """StoredResponse rows, in the order of time, into tables of one partition each.

    :param rows: with ``period_start``.
    :param partition: names the partition of an instant.
    """
    if not rows.num_rows:
        return
    ordered = rows.sort_by([("period_start", "ascending"), ("tweet_id", "ascending")])
    starts = ordered["period_start"].combine_chunks().dictionary_encode()
    lengths: dict[str, int] = {}
    names = [partition(moment) for moment in starts.dictionary.to_pylist()]
    counts = starts.indices.value_counts()
    for index, count in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True):
        lengths[names[index]] = lengths.get(names[index], 0) + count
    offset = 0
    for length in lengths.values():
        yield ordered.slice(offset, length)
        offset += length
