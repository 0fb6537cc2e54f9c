"""Partitioned tables that several runs write to: rows are merged by key, and the newest count wins.

A run *stages* its rows in temporary files. Then it *publishes* each file of the table that it has rows for: it moves
its rows to the staged files of that file, merges all of them with the published file, and puts the result in place. The
next run publishes the staged files that a killed run left. The result of a merge does not depend on its order.

On a local folder, a lock makes publishing exclusive, so staged files are deleted as soon as they are published. Object
stores have no lock in common. There, the run repeats the merge if another run staged a file in the meantime, and staged
files are kept for a day: the run that publishes last has read every file that was staged before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
from filelock import FileLock, Timeout

from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import LOCKS_FOLDER, STAGED_FOLDER
from airflow_provider_engagement.storage.paths import StoragePath, local_path, refuse_link, write_atomically
from airflow_provider_engagement.storage.temporary_files import TemporaryFiles
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.formats import open_writer, read_table
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.staging import MergeTarget, StagedFile, StagedRows, StagingFolder
from airflow_provider_engagement.tables.tables import Table

log = logging.getLogger(__name__)

FILE = "rows"

SECONDS_UNTIL_LOG = 10.0
"""How long a process waits for a lock before it logs that it waits."""

MAX_ROWS_TO_SORT = 250_000
"""Rows that are merged with none are written as they are staged if there are more. Sorting takes twice their memory."""

ROWS_PER_BATCH = 65_536


class MergedTable(MergeTarget):
    """One table below a folder, partitioned by the period of its rows.

    :param folder: the dataset's folder.
    :param table: the table.
    :param path: its path below the folder.
    :param partition_of: returns the partition of a row from its time, such as ``partition_date=2026-01-05``.
    :param file_of: returns the name of the file of a row in its partition, without a suffix, from its time.
    :param file_format: the format of published files.
    :param on_change: called with the published rows and the newer rows of a partition; ``None`` to not compare them.
    :param writer: identifies the run of the task, the same in every attempt.
    :param clock: the wall clock in epoch seconds.
    """

    def __init__(
        self,
        folder: StoragePath,
        *,
        table: Table,
        path: str,
        partition_of: Callable[[datetime], str],
        file_of: Callable[[datetime], str] = lambda time: FILE,
        file_format: FileFormat,
        on_change: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
        writer: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._schema = arrow_schema(table)
        self._folder = folder / path
        name = path.replace("/", ".")
        self._staging_folder = folder / STAGED_FOLDER / name
        local_folder = local_path(folder)
        self._lock_folder = local_folder / LOCKS_FOLDER / name if local_folder else None
        self._temporary = TemporaryFiles(folder, writer=writer, clock=clock)
        super().__init__(
            StagedRows(
                lambda name: self._temporary.new(),
                table=table,
                partition_of=lambda time: f"{partition_of(time)}/{file_of(time)}",
            )
        )
        self._format = file_format
        self._on_change = on_change
        self._clock = clock

    def publish(self) -> list[str]:
        """Merge the staged rows into the table, and return the partitions that changed."""
        staged = self._staged.complete()
        interrupted = [name for name, path in staged.items() if self._publish(name, path)]
        if interrupted and self._lock_folder is not None:
            log.info(
                "Another pull was interrupted while it published to %s. Its rows are published now: %s.",
                self._folder,
                ", ".join(interrupted),
            )
        elif interrupted:
            log.warning(
                "Another pull publishes to %s at the same time, or was interrupted while it published. Its rows are "
                'merged too: %s. If several pulls write to a partition at the same time, use dataset_format="delta".',
                self._folder,
                ", ".join(interrupted),
            )
        return list(dict.fromkeys(name.partition("/")[0] for name in staged))

    def _publish(self, name: str, path: StoragePath) -> bool:
        """Publish a file, and return whether another run had staged rows for it without publishing them."""
        staging = StagingFolder(self._staging_folder / name.replace("/", "."))
        with self._locked(name):
            # Only from here on can other runs publish the rows, so none publishes the rows of a run that fails.
            own = staging.add(path)
            files = self._merge(name, staging, own)
            if self._lock_folder is None:
                # Until its rows are replaced, another run could publish them again.
                replaced = [file for file in files if self._is_replaced(file, own)]
                staging.delete(replaced)
                staging.mark_published((file for file in files if file not in replaced), now=self._clock())
            else:
                staging.delete(files)
        return any(not file.is_published and file.origin.writer != self._temporary.writer for file in files)

    def _is_replaced(self, file: StagedFile, own: StoragePath) -> bool:
        """Return whether an earlier execution of the run has staged rows that those of this execution replace."""
        return (
            self._without_earlier_rows is not None
            and file.origin.writer == self._temporary.writer
            and file.path.name != own.name
        )

    def _locked(self, name: str) -> AbstractContextManager[None]:
        return (
            nullcontext() if self._lock_folder is None else locked(self._lock_folder / f"{name.replace('/', '.')}.lock")
        )

    def _merge(self, name: str, staging: StagingFolder, own: StoragePath) -> list[StagedFile]:
        """Merge the staged rows of all runs into the published file, and return the staged files."""
        place = self._folder / f"{name}.{self._format}"
        compared = self._on_change is None
        listed = staging.list()
        while True:
            # The order matters: a file that is missing from the list is staged, and published, after this run has read
            # what is published; or it was deleted long after it was published.
            try:
                published, obsolete = self._read_published(place)
                others = [self._read_staged(file.path) for file in listed if file.path.name != own.name]
            except FileNotFoundError:
                # Another run published the rows of an old file and deleted it.
                listed = staging.list()
                continue
            if self._on_change is not None and not compared and published is not None:
                self._on_change(published, merge_rows(self._read_staged(own), self._table))
            compared = True
            others += [] if published is None else [published]
            if self._without_earlier_rows is not None:
                others = [self._without_earlier_rows(rows) for rows in others]
            with write_atomically(place, self._temporary.new()) as file:
                writer = open_writer(file, self._schema, self._format)
                for rows in self._merged_rows(own, others):
                    writer.write_table(rows)
                writer.close()
            for path in obsolete:
                with suppress(FileNotFoundError):
                    path.unlink()
            merged = {file.path.name for file in listed}
            listed = staging.list()
            if {file.path.name for file in listed} <= merged:
                return listed

    def _merged_rows(self, own: StoragePath, others: list[pyarrow.Table]) -> Iterator[pyarrow.Table]:
        """Yield the staged rows of this run merged with others, ordered by key unless there are too many to sort."""
        with own.open("rb") as opened:
            file = pyarrow.parquet.ParquetFile(opened)
            if others or file.metadata.num_rows <= MAX_ROWS_TO_SORT:
                yield merge_rows(pyarrow.concat_tables([*others, file.read().cast(self._schema)]), self._table)
                return
            for batch in file.iter_batches(ROWS_PER_BATCH):
                yield pyarrow.Table.from_batches([batch]).cast(self._schema)

    def _read_published(self, place: StoragePath) -> tuple[pyarrow.Table | None, list[StoragePath]]:
        """Return the published rows, and the files that hold some of them in another format."""
        found, obsolete = [], []
        for file_format in FileFormat:
            path = place.parent / f"{place.name.removesuffix(f'.{self._format}')}.{file_format}"
            if path.exists():
                check_contained(self._folder, path)
                with path.open("rb") as file:
                    found.append(read_table(file, self._schema, file_format))
                if path.name != place.name:
                    obsolete.append(path)
        return (pyarrow.concat_tables(found) if found else None), obsolete

    def _read_staged(self, path: StoragePath) -> pyarrow.Table:
        check_contained(self._staging_folder, path)
        with path.open("rb") as file:
            return read_table(file, self._schema, FileFormat.PARQUET)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs. Other processes and threads that want it wait.

    The operating system releases the lock if the process dies. A live process holds it for the time of one merge, so
    there is no limit of the waiting time.

    :param path: the file of the lock; its folder is created.
    :raises PathError: if the file or its folder is a link, which could lead out of the dataset.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_link(path.parent)
    refuse_link(path)
    lock = FileLock(path)
    try:
        held = lock.acquire(timeout=SECONDS_UNTIL_LOG)
    except Timeout:
        log.info("Another task publishes the same partition. Waiting for the lock %s.", path)
        held = lock.acquire()
    with held:
        yield
