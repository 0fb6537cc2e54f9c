"""The file formats of tables: write batches of rows to a file, and read a file back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import IO, Any, Protocol

import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from airflow_provider_engagement.tables.arrow import aligned
from airflow_provider_engagement.tables.dataset_format import FileFormat

ROWS_PER_BATCH = 65_536
"""How many rows of a Parquet file are read at once."""

BYTES_PER_BATCH = 8_000_000
"""How many bytes of a text file are read at once."""


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


def read_batches(file: IO[bytes], schema: pyarrow.Schema, file_format: FileFormat) -> Iterator[pyarrow.Table]:
    """Yield the rows of a file, some at a time. A column that the file does not have is null.

    :param file: a file open for reading bytes.
    :param schema: the columns to read.
    :param file_format: the format of the file.
    """
    nullable = pyarrow.schema([field.with_nullable(True) for field in schema])
    for rows in _READERS[file_format](file, schema, False):
        yield aligned(rows, nullable)


def read_table(file: IO[bytes], schema: pyarrow.Schema, file_format: FileFormat) -> pyarrow.Table:
    """Read a table that :func:`open_writer` wrote.

    :param file: a file open for reading bytes.
    :param schema: the columns that the table was written with.
    :param file_format: the format of the file.
    :raises ValueError: if the file has other columns, which would be lost if the rows were written again.
    """
    batches = [rows.cast(schema) for rows in _READERS[file_format](file, schema, True)]
    return pyarrow.concat_tables([schema.empty_table(), *batches])


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


def _parquet(file: IO[bytes], schema: pyarrow.Schema, whole: bool) -> Iterator[pyarrow.Table]:
    content = pyarrow.parquet.ParquetFile(file)
    found = set(content.schema_arrow.names)
    columns = None if whole else [name for name in schema.names if name in found]
    for batch in content.iter_batches(ROWS_PER_BATCH, columns=columns):
        yield pyarrow.Table.from_batches([batch])


def _csv(file: IO[bytes], schema: pyarrow.Schema, whole: bool) -> Iterator[pyarrow.Table]:
    reader = pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(block_size=BYTES_PER_BATCH),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=schema,
            include_columns=[] if whole else schema.names,
            include_missing_columns=not whole,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    for batch in reader:
        yield pyarrow.Table.from_batches([batch])


def _json_lines(file: IO[bytes], schema: pyarrow.Schema, whole: bool) -> Iterator[pyarrow.Table]:
    options = pyarrow.json.ParseOptions(explicit_schema=_json_schema(schema), unexpected_field_behavior="ignore")
    rest = b""
    while block := file.read(BYTES_PER_BATCH):
        lines, _, rest = (rest + block).rpartition(b"\n")
        if len(rest) > BYTES_PER_BATCH:
            raise pyarrow.ArrowInvalid(f"a line has more than {BYTES_PER_BATCH:,} bytes")
        if lines.strip():
            yield pyarrow.json.read_json(io.BytesIO(lines), parse_options=options).select(schema.names)
    if rest.strip():
        yield pyarrow.json.read_json(io.BytesIO(rest), parse_options=options).select(schema.names)


def _json_schema(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Return the schema with which pyarrow parses JSON. It reads times, but no dates."""
    times = pyarrow.timestamp("ms")
    return pyarrow.schema([field.with_type(times) if field.type == pyarrow.date32() else field for field in schema])


_WRITERS: Mapping[FileFormat, Callable[[IO[bytes], pyarrow.Schema], TableWriter]] = MappingProxyType(
    {
        FileFormat.PARQUET: _parquet_writer,
        FileFormat.CSV: _csv_writer,
        FileFormat.JSON_LINES: _JsonLinesWriter,
    }
)
_READERS: Mapping[FileFormat, Callable[[IO[bytes], pyarrow.Schema, bool], Iterator[pyarrow.Table]]] = MappingProxyType(
    {FileFormat.PARQUET: _parquet, FileFormat.CSV: _csv, FileFormat.JSON_LINES: _json_lines}
)
"""Each yields the rows of a file: with every column that it has if the whole file is read, otherwise without others."""
