"""The file formats that a table can be written in, batch by batch, and read back from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Protocol

from airflow_provider_engagement.exceptions import InvalidQueryError

if TYPE_CHECKING:
    import pyarrow


class Format(StrEnum):
    """A file format; its value is also the files' suffix."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


class Writer(Protocol):
    """Writes batches of one table to an open file."""

    def write_table(self, table: pyarrow.Table) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


def parse_format(value: object) -> Format:
    """Read a format's name.

    :raises InvalidQueryError: if there is no such format.
    """
    try:
        return Format(str(value).lower())
    except ValueError:
        raise InvalidQueryError("output_format", f"{value!r} is unknown", f"Choose from {', '.join(Format)}.") from None


def open_writer(file: IO[bytes], schema: pyarrow.Schema, file_format: Format) -> Writer:
    """Return a writer of a format.

    :param file: a file open for writing bytes; closing the writer does not close it.
    :param schema: the columns.
    :param file_format: the format.
    """
    return _WRITERS[file_format](file, schema)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: instants as ISO texts in UTC, to the millisecond."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


class _JsonLinesWriter:
    def __init__(self, file: IO[bytes], schema: pyarrow.Schema) -> None:
        self._file = file

    def write_table(self, table: pyarrow.Table) -> None:
        for row in table.to_pylist():
            text = json.dumps({name: plain(value) for name, value in row.items()}, separators=(",", ":"))
            self._file.write(text.encode() + b"\n")

    def close(self) -> None:
        """Nothing is held back."""


def _parquet_writer(file: IO[bytes], schema: pyarrow.Schema) -> Writer:
    from pyarrow import parquet

    writer: Writer = parquet.ParquetWriter(file, schema, compression="zstd")
    return writer


def _csv_writer(file: IO[bytes], schema: pyarrow.Schema) -> Writer:
    from pyarrow import csv

    writer: Writer = csv.CSVWriter(file, schema)
    return writer


_WRITERS: Mapping[Format, Callable[[IO[bytes], pyarrow.Schema], Writer]] = MappingProxyType(
    {Format.PARQUET: _parquet_writer, Format.CSV: _csv_writer, Format.JSON_LINES: _JsonLinesWriter}
)


def read_table(file: IO[bytes], schema: pyarrow.Schema, file_format: Format) -> pyarrow.Table:
    """Read a table back that was written in a format.

    :param file: open for reading bytes.
    :param schema: the columns it was written with.
    :param file_format: the format.
    """
    return _READERS[file_format](file, schema)


def _read_parquet(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    from pyarrow import parquet

    # As a file and not as a data set, which would take names of folders for columns.
    return parquet.ParquetFile(file).read().cast(schema)


def _read_csv(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    from pyarrow import csv

    return csv.read_csv(
        file,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    ).cast(schema)


def _read_json_lines(file: IO[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    import io

    from pyarrow import json

    content = file.read()
    if not content:
        return schema.empty_table()
    options = json.ParseOptions(explicit_schema=schema)
    return json.read_json(io.BytesIO(content), parse_options=options).select(schema.names).cast(schema)


_READERS: Mapping[Format, Callable[[IO[bytes], pyarrow.Schema], pyarrow.Table]] = MappingProxyType(
    {Format.PARQUET: _read_parquet, Format.CSV: _read_csv, Format.JSON_LINES: _read_json_lines}
)
