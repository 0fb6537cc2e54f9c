"""The file formats of tables: write batches of rows to a file, and read a file back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import IO, Any, Protocol

import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from airflow_provider_engagement.tables.dataset_format import FileFormat


class TableWriter(Protocol):
    """Writes batches of rows to an open file."""

    def write_table(self, table: pyarrow.Table) -> None:
        """Append rows."""

    def close(self) -> None:
        """Complete the file's content, without closing the file."""


def open_writer(file: IO[bytes], schema: pyarrow.Schema, file_format: FileFormat) -> TableWriter:
    """Return a writer.

    :param file: a file open for writing bytes.
    :param schema: the columns.
    :param file_format: the format of the file.
    """
    return _WRITERS[file_format](file, schema)


def read_table(file: IO[bytes], schema: pyarrow.Schema, file_format: FileFormat) -> pyarrow.Table:
    """Read a table that :func:`open_writer` wrote.

    :param file: a file open for reading bytes.
    :param schema: the columns that the table was written with.
    :param file_format: the format of the file.
    """
    return _READERS[file_format](file, schema)


class BatchWriter:
    """Collects rows and writes them in batches, so that a file does not consist of many tiny row groups.

    :param writer: writes the batches.
    :param rows_per_batch: how many rows to collect for a batch.
    """

    def __init__(self, writer: TableWriter, rows_per_batch: int) -> None:
        self._writer = writer
        self._rows_per_batch = rows_per_batch
        self._pending: list[pyarrow.Table] = []
        self._pending_rows = 0
        self.rows = 0

    def append(self, rows: pyarrow.Table) -> None:
        """Append rows."""
        self._pending.append(rows)
        self._pending_rows += rows.num_rows
        self.rows += rows.num_rows
        if self._pending_rows >= self._rows_per_batch:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are still in memory."""
        if self._pending_rows:
            self._writer.write_table(pyarrow.concat_tables(self._pending).combine_chunks())
        self._pending, self._pending_rows = [], 0


def to_json_value(value: Any) -> Any:
    """Return a value as JSON has it. A time becomes ISO text in UTC, to the millisecond, and a date ISO text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


class _JsonLinesWriter:
    def __init__(self, file: IO[bytes], schema: pyarrow.Schema) -> None:
        self._file = file

    def write_table(self, table: pyarrow.Table) -> None:
        for row in table.to_pylist():
            text = json.dumps({name: to_json_value(value) for name, value in row.items()}, separators=(",", ":"))
            self._file.write(text.encode() + b"\n")

    def close(self) -> None:
        """Do nothing: every row is in the file already."""


def _parquet_writer(file: IO[bytes], schema: pyarrow.Schema) -> TableWriter:
    writer: TableWriter = pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
    return writer


def _csv_writer(file: IO[bytes], schema: pyarrow.Schema) -> TableWriter:
    writer: TableWriter = pyarrow.csv.CSVWriter(file, schema)
    return writer


def _read_parquet(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    # pyarrow.parquet.read_table would turn the names of partition folders into columns.
    return pyarrow.parquet.ParquetFile(file).read().cast(schema)


def _read_csv(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    return pyarrow.csv.read_csv(
        file,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    ).cast(schema)


def json_schema(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Return the schema with which pyarrow parses JSON. It reads times, but no dates."""
    times = pyarrow.timestamp("ms")
    return pyarrow.schema([field.with_type(times) if field.type == pyarrow.date32() else field for field in schema])


def _read_json_lines(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    content = file.read()
    if not content:
        return schema.empty_table()
    options = pyarrow.json.ParseOptions(explicit_schema=json_schema(schema))
    return pyarrow.json.read_json(io.BytesIO(content), parse_options=options).select(schema.names).cast(schema)


_WRITERS: Mapping[FileFormat, Callable[[IO[bytes], pyarrow.Schema], TableWriter]] = MappingProxyType(
    {
        FileFormat.PARQUET: _parquet_writer,
        FileFormat.CSV: _csv_writer,
        FileFormat.JSON_LINES: _JsonLinesWriter,
    }
)
_READERS: Mapping[FileFormat, Callable[[IO[bytes], pyarrow.Schema], pyarrow.Table]] = MappingProxyType(
    {
        FileFormat.PARQUET: _read_parquet,
        FileFormat.CSV: _read_csv,
        FileFormat.JSON_LINES: _read_json_lines,
    }
)
