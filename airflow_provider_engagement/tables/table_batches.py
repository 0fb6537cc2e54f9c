"""Read the rows of a table in batches, whatever the format of its files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import IO

import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.storage.contained_paths import check_contained
from airflow_provider_engagement.storage.paths import StoragePath, TableAddress, local_address
from airflow_provider_engagement.tables.dataset_format import FileFormat
from airflow_provider_engagement.tables.folder import DELTA_LOG_FOLDER
from airflow_provider_engagement.tables.formats import json_schema

ROWS_PER_BATCH = 65_536
"""How many rows of a Parquet file are read at once."""

BYTES_PER_BATCH = 8_000_000
"""How many bytes of a text file are read at once."""


def read_batches(
    place: StoragePath,
    schema: pyarrow.Schema,
    *,
    includes: Callable[[str], bool] | None = None,
    address_of: TableAddress = local_address,
) -> Iterator[pyarrow.Table]:
    """Yield the rows of a partitioned table, some at a time, so that memory does not depend on its size.

    :param place: the folder of the table. If it does not exist, there are no rows.
    :param schema: the columns to read. A column that a file does not have is null.
    :param includes: returns whether to read a partition such as ``partition_date=2026-01-05``; by default, all are.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a column of the table has values of another type, or if the table requires
        readers of a later version of the Delta protocol.
    :raises StorageError: if the storage of a Delta table fails.
    """
    for path, file_format in table_files(place, includes=includes, address_of=address_of):
        try:
            with path.open("rb") as file:
                for rows in _READERS[file_format](file, schema):
                    yield _aligned(rows, schema)
        except (*_NOT_THE_TYPES, UnicodeError) as error:
            raise IncompatibleTableError(str(path), str(error), "Correct or remove the file") from error


def table_files(
    place: StoragePath,
    *,
    includes: Callable[[str], bool] | None = None,
    address_of: TableAddress = local_address,
) -> Iterator[tuple[StoragePath, FileFormat]]:
    """Yield the files that hold the rows of a partitioned table, with their formats, in the order of the partitions.

    :param place: the folder of the table. If it does not exist, there are no files.
    :param includes: returns whether to include a partition; by default, all are included.
    :param address_of: returns the address of a Delta table and the storage options for it.
    :raises IncompatibleTableError: if a path leaves the folder of the table.
    """
    if (place / DELTA_LOG_FOLDER).exists():
        # The package deltalake is an optional dependency.
        from airflow_provider_engagement.tables.delta_log import data_files

        for partition, file in data_files(*address_of(place)):
            if includes is None or includes(partition):
                yield place / file, FileFormat.PARQUET
        return
    for folder in partitions(place):
        if includes is None or includes(folder.name):
            check_contained(place, folder)
            for path in sorted(folder.iterdir(), key=lambda path: path.name):
                suffix = path.name.rpartition(".")[2]
                if suffix in _FORMATS and not path.name.startswith(("_", ".")):
                    check_contained(place, path)
                    yield path, FileFormat(suffix)


def partitions(place: StoragePath) -> list[StoragePath]:
    """Return the folders of the partitions of a table without a Delta log, in order. If there is no table, none."""
    if not place.exists():
        return []
    return sorted((path for path in place.iterdir() if "=" in path.name), key=lambda path: path.name)


def _parquet(file: IO[bytes], schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    content = pyarrow.parquet.ParquetFile(file)
    found = set(content.schema_arrow.names)
    columns = [name for name in schema.names if name in found]
    for batch in content.iter_batches(ROWS_PER_BATCH, columns=columns):
        yield pyarrow.Table.from_batches([batch])


def _csv(file: IO[bytes], schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    reader = pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(block_size=BYTES_PER_BATCH),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            include_missing_columns=True,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    for batch in reader:
        yield pyarrow.Table.from_batches([batch])


def _json_lines(file: IO[bytes], schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    options = pyarrow.json.ParseOptions(explicit_schema=json_schema(schema), unexpected_field_behavior="ignore")
    rest = b""
    while block := file.read(BYTES_PER_BATCH):
        lines, _, rest = (rest + block).rpartition(b"\n")
        if len(rest) > BYTES_PER_BATCH:
            raise pyarrow.ArrowInvalid(f"a line has more than {BYTES_PER_BATCH:,} bytes")
        if lines.strip():
            yield pyarrow.json.read_json(io.BytesIO(lines), parse_options=options)
    if rest.strip():
        yield pyarrow.json.read_json(io.BytesIO(rest), parse_options=options)


def _aligned(rows: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.name, pyarrow.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(pyarrow.schema([field.with_nullable(True) for field in schema]))


_READERS: Mapping[FileFormat, Callable[[IO[bytes], pyarrow.Schema], Iterator[pyarrow.Table]]] = MappingProxyType(
    {FileFormat.PARQUET: _parquet, FileFormat.CSV: _csv, FileFormat.JSON_LINES: _json_lines}
)
_NOT_THE_TYPES = (
    pyarrow.ArrowInvalid,
    pyarrow.ArrowKeyError,
    pyarrow.ArrowNotImplementedError,
    pyarrow.ArrowTypeError,
)
_FORMATS = frozenset(str(file_format) for file_format in FileFormat)
