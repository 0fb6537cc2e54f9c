"""Delta Lake tables that many runs and machines write to: each pull merges its rows by key in one commit.

A pull stages its rows on its worker. To publish them, it reads the files of each partition that it has rows for, merges
the rows, writes a new file, and commits all new files at once in place of the files that it read. If another writer
commits first, the pull keeps the files of the partitions that did not change, merges the others again, and repeats the
commit. A reader sees the table before a commit or after it. A killed pull leaves files that no reader sees.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet
import tenacity

from airflow_provider_engagement.exceptions import ConflictError
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_address
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
from airflow_provider_engagement.tables.arrow import aligned, arrow_schema, partition_field
from airflow_provider_engagement.tables.delta_log import DataFile, DeltaLog
from airflow_provider_engagement.tables.formats import to_json_value
from airflow_provider_engagement.tables.merging import merge_rows
from airflow_provider_engagement.tables.staging import MergeTarget, StagedRows
from airflow_provider_engagement.tables.tables import Table

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0
"""How long a pull tries to publish while other writers commit first."""

_DELTA_TIMESTAMP = pyarrow.timestamp("us", "UTC")


@dataclass(frozen=True, kw_only=True, slots=True)
class _MergedPartition:
    """The result of a merge, until the files that it is based on change.

    :param base: the paths of the files that were merged with the staged rows.
    :param file: the file that replaces them; ``None`` if the staged rows change nothing.
    """

    base: tuple[str, ...]
    file: DataFile | None


class DeltaMergedTable(MergeTarget):
    """One Delta Lake table, partitioned by the time of its rows.

    :param folder: the folder of the table.
    :param table: the table.
    :param partition_of: returns the partition of a row from its time, such as ``partition_date=2026-01-05``.
    :param address_of: returns the address of the table and the storage options for it.
    :param on_change: called with the published rows and the newer rows of a partition; ``None`` to not compare them.
    :param clock: the wall clock in epoch seconds.
    :param sleep: waits between two attempts to commit.
    """

    def __init__(
        self,
        folder: StoragePath,
        *,
        table: Table,
        partition_of: Callable[[datetime], str],
        address_of: Locate = local_address,
        on_change: Callable[[pyarrow.Table, pyarrow.Table], None] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder = folder
        self._address_of = address_of
        self._table = table
        self._schema = arrow_schema(table)
        self._on_change = on_change
        self._clock = clock
        self._sleep = sleep
        self._worker_folder = WorkerFolder()
        worker_folder = self._worker_folder.path
        super().__init__(
            StagedRows(lambda name: worker_folder / f"{name}.parquet", table=table, partition_of=partition_of)
        )
        self._merged: dict[str, _MergedPartition] = {}
        self.version: int | None = None
        """The version of the table after the rows were published."""

    def publish(self) -> list[str]:
        """Merge the staged rows into the table in one commit, and return the partitions that they belong to.

        :raises ConflictError: if other writers commit first for ten minutes.
        :raises IncompatibleTableError: if the table cannot receive the rows.
        :raises StorageError: if the storage fails.
        """
        try:
            partitions = list(self._staged.complete())
            if partitions:
                transactions = self._open_log(partitions[0].partition("=")[0])
                tenacity.Retrying(
                    retry=tenacity.retry_if_exception_type(ConflictError),
                    stop=tenacity.stop_after_delay(PUBLISH_SECONDS),
                    wait=tenacity.wait_random_exponential(multiplier=0.05, max=2),
                    sleep=self._sleep,
                    reraise=True,
                )(self._commit, transactions, partitions)
                self.version = transactions.version
            return partitions
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete the staged rows, and their folder on the worker."""
        super().discard()
        self._worker_folder.delete()

    def _open_log(self, partition_column: str) -> DeltaLog:
        address, options = self._address_of(self._folder)
        schema = _delta_schema(self._schema).append(partition_field(partition_column))
        return DeltaLog(address, options, schema=schema, partition_column=partition_column)

    def _commit(self, transactions: DeltaLog, partitions: Sequence[str]) -> None:
        """Merge the partitions whose files have changed since the last attempt, and commit all of them at once."""
        files = transactions.files()
        columns = transactions.columns
        for name in partitions:
            base = files.get(_value(name), ())
            known = self._merged.get(name)
            if known is None or known.base != base:
                self._merged[name] = self._merge(name, base, columns)
                if known is not None and known.file is not None:
                    (self._folder / known.file.path).unlink()
        replaced = [(merged.base, file) for merged in self._merged.values() if (file := merged.file) is not None]
        if replaced and not transactions.commit(
            add=[file for _, file in replaced],
            remove={file.partition: base for base, file in replaced},
            now=self._clock(),
        ):
            log.info("Another writer committed to %s first. The pull merges its rows again.", self._folder)
            raise ConflictError(f"Other writers committed to {self._folder} first for {PUBLISH_SECONDS:.0f} s.")

    def _merge(self, name: str, base: tuple[str, ...], columns: pyarrow.Schema) -> _MergedPartition:
        schema = _memory_schema(self._schema, columns, without=name.partition("=")[0])
        published = [self._read(path, schema) for path in base]
        if self._on_change is not None and published:
            before = pyarrow.concat_tables(published).select(self._schema.names)
            self._on_change(before, merge_rows(self._staged.read(name), self._table))
        earlier = published if self._without_earlier_rows is None else map(self._without_earlier_rows, published)
        merged = merge_rows(pyarrow.concat_tables([*earlier, aligned(self._staged.read(name), schema)]), self._table)
        if merged.num_rows == 0 if not published else len(published) == 1 and merged.equals(published[0]):
            return _MergedPartition(base=base, file=None)
        return _MergedPartition(base=base, file=self._write(name, merged))

    def _read(self, path: str, schema: pyarrow.Schema) -> pyarrow.Table:
        with (self._folder / path).open("rb") as file:
            return aligned(pyarrow.parquet.ParquetFile(file).read(), schema)

    def _write(self, name: str, rows: pyarrow.Table) -> DataFile:
        path = self._folder / name / f"{uuid.uuid4().hex}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = rows.cast(_delta_schema(rows.schema))
        with path.open("wb") as file:
            pyarrow.parquet.write_table(stored, file, compression="zstd")
            size = file.tell()
        return DataFile(
            path=f"{name}/{path.name}",
            partition=_value(name),
            size=size,
            statistics=statistics(rows, (*self._table.key, "fetched_at")),
        )


def statistics(rows: pyarrow.Table, columns: Sequence[str]) -> dict[str, object]:
    """Return the statistics of a data file, as the Delta protocol defines them.

    :param rows: the rows of the file.
    :param columns: the columns whose smallest and largest values are included.
    """
    extremes = {column: compute.min_max(rows[column]).as_py() for column in columns}
    return {
        "numRecords": rows.num_rows,
        "minValues": {column: to_json_value(found["min"]) for column, found in extremes.items()},
        "maxValues": {column: to_json_value(found["max"]) for column, found in extremes.items()},
        "nullCount": {column: rows[column].null_count for column in rows.column_names},
    }


def _value(partition: str) -> str:
    return partition.partition("=")[2]


def _delta_schema(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Return columns with the types that Delta Lake has: times are in microseconds."""
    return pyarrow.schema(
        [field.with_type(_DELTA_TIMESTAMP) if pyarrow.types.is_timestamp(field.type) else field for field in schema]
    )


def _memory_schema(own: pyarrow.Schema, columns: pyarrow.Schema, *, without: str) -> pyarrow.Schema:
    """Return the columns of a table without that of the partition: first those of this package, then all others."""
    return pyarrow.schema([*own, *(field for field in columns if field.name not in (*own.names, without))])
