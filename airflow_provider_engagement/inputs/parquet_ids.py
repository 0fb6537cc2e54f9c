"""Tweet ids in a column of a Parquet file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_source import FIELD, FoundId, IdSource
from airflow_provider_engagement.inputs.lists import quoted

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

MAX_ROWS = 10_000_000
"""How many rows a table can have, since a small file can repeat a row any number of times."""

_ROWS_AT_ONCE = 2**16


def parquet_ids(source: IdSource, *, is_compressed: bool) -> Iterator[FoundId]:
    """Yield the values of the column of ids.

    :param source: the file.
    :param is_compressed: whether the file is compressed as a whole, so that it cannot be read from its end.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        content = parquet.ParquetFile(io.BytesIO(source.file.read()) if is_compressed else source.file)
        yield from _ids_of(source, content)
    except (pyarrow.ArrowException, pyarrow.ArrowInvalid, UnicodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the storage
        problem = f"{source.name} is not Parquet, or damaged ({str(error)[:200]})"
        raise InvalidQueryError(FIELD, problem, "Give the file the suffix of its format, or write it again.") from None


def _ids_of(source: IdSource, content: ParquetFile) -> Iterator[FoundId]:
    names = content.schema_arrow.names
    columns = source.columns
    if not columns.have_header:
        problem = f"{source.name} has names for its columns, and needs no number"
        raise InvalidQueryError("tweets.column", problem, "Pass the name of the column.")
    place = columns.place_of_ids(names, field=FIELD, source=source.name)
    if place is None and columns.ids is None and len(names) == 1:
        place = 0
    if place is None:
        raise columns.not_found(names, field=FIELD, source=source.name)
    owner_place = columns.place_of_owners(names, field=FIELD, source=source.name)
    _check_type(source, content.schema_arrow.field(place), "ids")
    if owner_place is not None:
        _check_type(source, content.schema_arrow.field(owner_place), "owners")
    name, owner_name = names[place], None if owner_place is None else names[owner_place]
    wanted = [name] if owner_name in (None, name) else [name, owner_name]
    if content.metadata.num_rows > MAX_ROWS:
        raise source.too_large("the table", f"{MAX_ROWS:,} rows")
    row = 0
    for batch in content.iter_batches(_ROWS_AT_ONCE, columns=wanted):
        if sorted(batch.schema.names) != sorted(wanted):
            problem = f"{source.name} has several columns {quoted(name)}"
            raise InvalidQueryError(FIELD, problem, "Rename them.")
        owners = batch.column(owner_name).to_pylist() if owner_name else [None] * batch.num_rows
        for value, owner in zip(batch.column(name).to_pylist(), owners, strict=True):
            row += 1
            if value is None:
                raise source.error(f"row {row}", f"{quoted(name)} is null", "Remove the row.")
            yield FoundId(value, owner, row)


def _check_type(source: IdSource, column: pyarrow.Field, content: str) -> None:
    from pyarrow import types

    are_bytes = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    kind = column.type
    while types.is_dictionary(kind):
        kind = kind.value_type
    is_string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    whole_decimal = types.is_decimal(kind) and kind.scale == 0  # the type that warehouses export integers as
    if is_string or types.is_integer(kind) or whole_decimal:
        return
    if types.is_floating(kind) or types.is_decimal(kind):
        reason = "which rounds ids" if types.is_floating(kind) else "which is not a whole number"
    elif any(is_bytes(kind) for is_bytes in are_bytes):
        reason = "which is bytes without an encoding"
    elif types.is_nested(kind):
        reason = "which holds several values in a row"
    else:
        reason = f"which cannot hold {content}"
    remedy = f"Write {content} as strings or 64-bit integers."
    raise source.error(
        f"column {quoted(column.name)}",
        f"has the type {str(column.type)[:60]}, {reason}",
        source.columns.remedy_of_owner(remedy) if content == "owners" else remedy,
    )
