"""Reads the tables of a dataset for figures: only the requested columns and partitions, and a bounded number of rows.

The reader never writes. It finds the files of a table by listing the folders of its partitions, or in the log of a
Delta table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import reduce
from typing import Any

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.manifest import FOLDER as MANIFESTS
from airflow_provider_engagement.dataset.schema import Table, arrow_schema
from airflow_provider_engagement.dataset.storage import StoragePath, TableAddress, local_address
from airflow_provider_engagement.dataset.table_batches import read_batches, table_files
from airflow_provider_engagement.exceptions import InvalidQueryError, StorageError

MAX_ROWS = 100_000_000
"""How many rows a figure reads at most: a year of hours of 10,000 Tweets."""

MAX_MANIFESTS = 1_000
"""How many manifests are read at most, from the last one in the order of their names."""

_PARTITION_FORMS = {7: "%Y-%m", 10: "%Y-%m-%d"}
"""The forms of a partition's value, by its length: a month, or the date of a day or of the first day of a month."""


class DatasetReader:
    """Reads one dataset.

    :param folder: the folder of the dataset.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :param max_rows: how many rows one call of :meth:`batches` reads at most.
    """

    def __init__(
        self, folder: StoragePath, *, address_of: TableAddress = local_address, max_rows: int = MAX_ROWS
    ) -> None:
        self.folder = folder
        self._address_of = address_of
        self._max_rows = max_rows

    def exists(self) -> bool:
        """Return whether the folder exists."""
        return self.folder.exists()

    def partitions(self, path: str) -> list[str]:
        """Return the values of the partitions of a table, in order, such as ``2026-01-05``.

        :param path: the path of the table below the folder of the dataset. There are none if there is no table.
        """
        found: list[str] = []

        def remember(partition: str) -> bool:
            found.append(partition.partition("=")[2])
            return False

        for _ in table_files(self.folder / path, includes=remember, address_of=self._address_of):
            pass
        return sorted(set(found))

    def batches(
        self,
        table: Table,
        path: str,
        columns: Sequence[str],
        *,
        interval: TimeRange | None = None,
        partitions: tuple[str, str] | None = None,
        tweet_ids: Sequence[str] = (),
    ) -> Iterator[pyarrow.Table]:
        """Yield rows of a table, some at a time.

        :param table: the table.
        :param path: its path below the folder of the dataset.
        :param columns: the columns to read.
        :param interval: if set, only rows whose time is in this interval.
        :param partitions: if set, only partitions between these two values, both included.
        :param tweet_ids: if not empty, only rows of these Tweets.
        :raises InvalidQueryError: if there are more rows than the reader may read.
        :raises IncompatibleTableError: if the files of the table do not fit its columns.
        :raises StorageError: if the storage fails.
        """
        needed = [*columns, *([table.time] if interval else []), *(["tweet_id"] if tweet_ids else [])]
        schema = pyarrow.schema([arrow_schema(table).field(name) for name in dict.fromkeys(needed)])
        keep = _condition(table, interval, tweet_ids)
        place = self.folder / path
        rows = 0
        try:
            for batch in read_batches(
                place,
                schema,
                includes=lambda partition: _is_within(partition.partition("=")[2], interval, partitions),
                address_of=self._address_of,
            ):
                rows += batch.num_rows
                if rows > self._max_rows:
                    raise InvalidQueryError(
                        "start",
                        f"there are more than {self._max_rows:,} rows of {table.name}",
                        "Choose a shorter interval, or days instead of hours.",
                    )
                # A partition is mostly within the interval, and a filter copies its rows.
                is_whole = not tweet_ids and (interval is None or _all_within(batch[table.time], interval))
                yield (batch if is_whole else batch.filter(keep)).select(list(columns))
        except OSError as error:
            raise StorageError(str(place), str(error)) from error

    def read(self, table: Table, path: str, columns: Sequence[str], **filters: Any) -> pyarrow.Table:
        """Return rows of a table. The parameters are those of :meth:`batches`."""
        schema = pyarrow.schema([arrow_schema(table).field(name).with_nullable(True) for name in columns])
        return pyarrow.concat_tables([schema.empty_table(), *self.batches(table, path, columns, **filters)])

    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests of the dataset. A file that does not contain a mapping as JSON is left out."""
        folder = self.folder / MANIFESTS
        try:
            files = [file for file in folder.iterdir() if file.name.endswith(".json")] if folder.exists() else []
            found = []
            for file in sorted(files, key=lambda file: file.name)[-MAX_MANIFESTS:]:
                with file.open("rb") as opened:
                    content = opened.read()
                try:
                    manifest = json.loads(content)
                except ValueError:
                    continue
                if isinstance(manifest, dict):
                    found.append({**manifest, "name": file.name.removesuffix(".json")})
            return found
        except OSError as error:
            raise StorageError(str(folder), str(error)) from error


def _condition(table: Table, interval: TimeRange | None, tweet_ids: Sequence[str]) -> compute.Expression | None:
    conditions = []
    if interval is not None:
        time, kind = compute.field(table.time), pyarrow.timestamp("ms", "UTC")
        conditions.append((time >= pyarrow.scalar(interval.start, kind)) & (time < pyarrow.scalar(interval.end, kind)))
    if tweet_ids:
        conditions.append(compute.field("tweet_id").isin(list(tweet_ids)))
    return reduce(lambda first, second: first & second, conditions) if conditions else None


def _all_within(times: pyarrow.ChunkedArray, interval: TimeRange) -> bool:
    edges = compute.min_max(times, skip_nulls=False).as_py()
    return edges["min"] is not None and interval.start <= edges["min"] and edges["max"] < interval.end


def _is_within(value: str, interval: TimeRange | None, partitions: tuple[str, str] | None) -> bool:
    if partitions is not None and not partitions[0] <= value <= partitions[1]:
        return False
    form = _PARTITION_FORMS.get(len(value))
    if interval is None or form is None:
        return True
    last = interval.end - timedelta(microseconds=1)
    # The date of a month is its first day, so the first of a month may be the whole month.
    first = interval.start.replace(day=1) if value.endswith("-01") else interval.start
    return f"{first:{form}}" <= value <= f"{last:{form}}"
