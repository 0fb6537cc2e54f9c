"""Reads the tables of a dataset for figures: only the requested columns and partitions, and a bounded number of rows.

The reader never writes. It finds the files of a table by listing the folders of its partitions, or in the log of a
Delta table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import reduce
from typing import Any

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError, StorageError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.report.value_checks import check_rows
from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.layout import MANIFESTS_FOLDER
from airflow_provider_engagement.storage.paths import Locate, StoragePath, local_address
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.table_batches import read_batches, table_files
from airflow_provider_engagement.tables.tables import Table

MAX_ROWS = 100_000_000
"""How many rows a figure reads at most: a year of hours of 10,000 Tweets."""

MAX_KEPT_ROWS = 2_000_000
"""How many rows are kept in memory at most, where a figure needs the rows themselves."""

MAX_MANIFESTS = 1_000
"""How many manifests are read at most, from the last one in the order of their names."""

MAX_MANIFEST_BYTES = 5_000_000
"""How large a manifest is at most. A larger file is left out."""

_PARTITION_FORMS = {7: "%Y-%m", 10: "%Y-%m-%d"}
"""The forms of a partition's value, by its length: a month, or the date of a day or of the first day of a month."""


class DatasetReader:
    """Reads one dataset.

    :param folder: the folder of the dataset.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :param max_rows: how many rows one call of :meth:`batches` reads at most.
    """

    def __init__(self, folder: StoragePath, *, address_of: Locate = local_address, max_rows: int = MAX_ROWS) -> None:
        self.folder = folder
        self._address_of = address_of
        self._max_rows = max_rows

    def exists(self) -> bool:
        """Return whether the folder exists."""
        return self.folder.exists()

    def partitions(self, path: str) -> list[str]:
        """Return the values of the partitions of a table, in order: days such as ``2026-01-05``, or months.

        :param path: the path of the table below the folder of the dataset. There are none if there is no table.
        """
        found: list[str] = []

        def remember(partition: str) -> bool:
            found.append(partition.partition("=")[2])
            return False

        check_contained(self.folder, self.folder / path)

        for _ in table_files(self.folder / path, includes=remember, address_of=self._address_of):
            pass
        return sorted(value for value in set(found) if _is_date(value))

    def batches(
        self,
        table: Table,
        path: str,
        columns: Sequence[str],
        *,
        interval: TimeRange | None = None,
        partitions: tuple[str, str] | None = None,
        tweet_ids: Sequence[str] = (),
        where: compute.Expression | None = None,
    ) -> Iterator[pyarrow.Table]:
        """Yield rows of a table, some at a time.

        :param table: the table.
        :param path: its path below the folder of the dataset.
        :param columns: the columns to read.
        :param interval: if set, only rows whose time is in this interval.
        :param partitions: if set, only partitions between these two values, both included.
        :param tweet_ids: if not empty, only rows of these Tweets.
        :param where: if set, only rows that fulfil this condition on the columns.
        :raises InvalidQueryError: if there are more rows than the reader may read.
        :raises IncompatibleTableError: if the files of the table do not fit its columns, have values that this package
            never writes, or are outside of the dataset.
        :raises StorageError: if the storage fails.
        """
        needed = [*columns, *([table.time] if interval else []), *(["tweet_id"] if tweet_ids else [])]
        schema = pyarrow.schema([arrow_schema(table).field(name) for name in dict.fromkeys(needed)])
        keep = _condition(table, interval, tweet_ids, where)
        place = self.folder / path
        check_contained(self.folder, place)
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
                is_whole = (
                    not tweet_ids and where is None and (interval is None or _all_within(batch[table.time], interval))
                )
                found = (batch if is_whole else batch.filter(keep)).select(list(columns))
                check_rows(found, table, str(place))
                yield found
        except OSError as error:
            raise StorageError(str(place), presentable(str(error))) from None

    def read(self, table: Table, path: str, columns: Sequence[str], **filters: Any) -> pyarrow.Table:
        """Return rows of a table. The parameters are those of :meth:`batches`.

        :raises InvalidQueryError: if there are more rows than fit into memory.
        """
        schema = pyarrow.schema([arrow_schema(table).field(name).with_nullable(True) for name in columns])
        found, rows = [schema.empty_table()], 0
        for batch in self.batches(table, path, columns, **filters):
            found.append(batch)
            rows += batch.num_rows
            if rows > MAX_KEPT_ROWS:
                raise InvalidQueryError(
                    "tweet_ids", f"more than {MAX_KEPT_ROWS:,} rows of {table.name} match", "Choose fewer Tweets."
                )
        return pyarrow.concat_tables(found)

    def manifests(self) -> list[dict[str, Any]]:
        """Return the manifests of the dataset. A file that does not contain a mapping as JSON is left out."""
        folder = self.folder / MANIFESTS_FOLDER
        try:
            files = [file for file in folder.iterdir() if file.name.endswith(".json")] if folder.exists() else []
            found = []
            for file in sorted(files, key=lambda file: file.name)[-MAX_MANIFESTS:]:
                manifest = read_manifest(self.folder, file)
                if manifest is not None:
                    found.append({**manifest, "name": file.name.removesuffix(".json")})
            return found
        except OSError as error:
            raise StorageError(str(folder), presentable(str(error))) from None


def read_manifest(folder: StoragePath, file: StoragePath) -> dict[str, Any] | None:
    """Return the mapping that a file of a dataset contains as JSON, or ``None`` if it contains none.

    :param folder: the folder of the dataset.
    :param file: the file.
    :raises IncompatibleTableError: if the file is outside of the folder.
    :raises OSError: if the file cannot be read.
    """
    check_contained(folder, file)
    with file.open("rb") as opened:
        content = opened.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        return None
    with suppress(ValueError, RecursionError):
        manifest = json.loads(content)
        return manifest if isinstance(manifest, dict) else None
    return None


def _is_date(value: str) -> bool:
    with suppress(ValueError):
        return len(value) in _PARTITION_FORMS and bool(date.fromisoformat(f"{value}-01"[:10]))
    return False


def _condition(
    table: Table, interval: TimeRange | None, tweet_ids: Sequence[str], where: compute.Expression | None
) -> compute.Expression | None:
    conditions = [] if where is None else [where]
    if interval is not None:
        time, kind = compute.field(table.time), pyarrow.timestamp("ms", "UTC")
        conditions.append((time >= pyarrow.scalar(interval.start, kind)) & (time < pyarrow.scalar(interval.end, kind)))
    if tweet_ids:
        conditions.append(compute.field("tweet_id").isin(list(tweet_ids)))
    return reduce(lambda first, second: first & second, conditions) if conditions else None


def _all_within(times: pyarrow.ChunkedArray, interval: TimeRange) -> bool:
    kind = pyarrow.timestamp("ms", "UTC")
    edges = compute.min_max(times, skip_nulls=False)
    # A time of another program can be outside of Python's calendar.
    is_within = compute.and_(
        compute.greater_equal(edges["min"], pyarrow.scalar(interval.start, kind)),
        compute.less(edges["max"], pyarrow.scalar(interval.end, kind)),
    )
    return is_within.as_py() is True


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
