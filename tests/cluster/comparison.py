"""Compare the tables of a dataset with the truth, cell by cell."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder

from cluster.object_store import BUCKET, ObjectStore
from cluster.programs import ProgramError
from cluster.truth import HOURLY, TOTALS, Rows, Truth

EXAMPLES = 10


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The tables that are compared, as they are in the object store."""

    totals: pyarrow.Table
    hours: pyarrow.Table
    statuses: pyarrow.Table

    @classmethod
    def read(cls, store: ObjectStore, folder: str) -> Dataset:
        """Read the tables.

        :param store: the object store.
        :param folder: the key of the dataset's folder.
        """
        totals, hours, statuses = (
            _read_table(store, f"{folder}/{name}") for name in ("tweet_totals", "tweet_metrics/hour", "tweet_status")
        )
        return cls(totals=totals, hours=hours, statuses=statuses)


@dataclass
class Comparison:
    """The result of a comparison.

    :param cells: how many cells the truth has.
    :param differences: how many cells differ, are missing, or are not in the truth.
    :param duplicates: how many rows have the key of another row.
    :param examples: some of the problems in words.
    """

    cells: int = 0
    differences: int = 0
    duplicates: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the dataset is the truth."""
        return self.cells > 0 and not self.differences and not self.duplicates

    @classmethod
    def from_dataset(cls, dataset: Dataset, truth: Truth) -> Comparison:
        """Compare a dataset with the truth."""
        result = cls()
        result._compare("tweet_totals", dataset.totals, ["tweet_id"], TOTALS, truth.totals())
        result._compare("tweet_metrics", dataset.hours, ["tweet_id", "period_start"], HOURLY, truth.hours())
        for name, table, key in (
            ("tweet_totals", dataset.totals, ["tweet_id", "snapshot_at", "auth"]),
            (
                "tweet_metrics",
                dataset.hours,
                ["tweet_id", "period_start", "period_end", "granularity", "time_zone"],
            ),
            ("tweet_status", dataset.statuses, ["tweet_id", "run_id", "task"]),
        ):
            result._count_duplicates(name, table, key)
        return result

    def _compare(
        self,
        name: str,
        table: pyarrow.Table,
        key: Sequence[str],
        metrics: Sequence[str],
        truth: Rows,
    ) -> None:
        found = dict(zip(_tuples(table, key), _tuples(table, metrics), strict=True))
        self.cells += len(truth) * len(metrics)
        for identity in truth.keys() - found.keys():
            self._report(len(metrics), f"{name} {identity}: the row is missing")
        for identity in found.keys() - truth.keys():
            self._report(len(metrics), f"{name} {identity}: unexpected row {found[identity]}")
        for identity in truth.keys() & found.keys():
            if found[identity] != truth[identity]:
                for metric, count, expected in zip(metrics, found[identity], truth[identity], strict=True):
                    if count != expected:
                        self._report(1, f"{name} {identity} {metric}: {count} instead of {expected}")

    def _count_duplicates(self, name: str, table: pyarrow.Table, key: Sequence[str]) -> None:
        counted = Counter(_tuples(table, key))
        self.duplicates += table.num_rows - len(counted)
        for values, rows in counted.items():
            if rows > 1:
                self._example(f"{name} {dict(zip(key, values, strict=True))}: {rows} rows with this key")

    def _report(self, cells: int, problem: str) -> None:
        self.differences += cells
        self._example(problem)

    def _example(self, problem: str) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(problem)


def _tuples(table: pyarrow.Table, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def _read_table(store: ObjectStore, folder: str) -> pyarrow.Table:
    """Read all rows of a table: those of its last version, if it is a Delta table, or else those of its files.

    :raises ProgramError: if the table does not exist.
    """
    if any(True for _ in store.keys(f"{folder}/_delta_log/")):
        table = DeltaTable(f"s3://{BUCKET}/{folder}", storage_options=store.delta_options())
        # DeltaTable.to_pyarrow_table() can abort the interpreter when it exits.
        return pyarrow.table(QueryBuilder().register("rows", table).execute("SELECT * FROM rows").read_all())
    files = [key for key in store.keys(f"{folder}/") if key.endswith(".parquet") and "/_" not in key]
    if not files:
        raise ProgramError(f"The dataset has no table {folder}.")
    return pyarrow.concat_tables(pyarrow.parquet.ParquetFile(io.BytesIO(store.read(key))).read() for key in files)
