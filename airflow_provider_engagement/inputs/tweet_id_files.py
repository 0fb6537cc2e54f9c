"""Tweet ids and owners from files: text, CSV, JSON Lines, JSON responses of the search and lookup APIs, and Parquet.

This module finds the values. :func:`~airflow_provider_engagement.inputs.tweet_ids.parse_tweets` checks them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.exceptions import InvalidQueryError

if TYPE_CHECKING:
    import pyarrow

    from airflow_provider_engagement.dataset.storage import StoragePath

FIELD = "tweet_ids_file"

COLUMNS = ("tweet_id", "id_str", "id")
"""The columns of an id, in order of preference. ``id`` is last, because other programs may have rounded it."""

OWNER_COLUMN = "owner"
"""The column of an owner, if there is one."""

ENVELOPES = ("statuses", "results", "data")
"""The keys of the list of Tweets in a response: search of v1.1, search of Gnip, any endpoint of v2."""

METADATA_KEYS = ("info", "meta")
"""The keys of an object that describes a response and has no Tweet, such as the last line of a Gnip file."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_SUFFIXES = frozenset({".gz", ".gzip"})


def read_tweet_ids(
    path: StoragePath, *, column: str | None = None, owner_column: str | None = None
) -> Iterator[object]:
    """Read the values that should be Tweet ids, in the order of the file, with their owners.

    The suffix determines the format: none or ``.txt`` (one id a line; blank lines and ``#`` comments are skipped),
    ``.csv``, ``.jsonl`` or ``.ndjson``, ``.json``, ``.parquet``. A file can be compressed with gzip, whatever its name.
    JSON can contain ids, objects with an id, Tweets, or responses of the v1.1, v2 and Gnip APIs.

    :param path: the file.
    :param column: the column, or the key of JSON objects, that holds the ids; by default ``tweet_id``, else ``id_str``,
        else ``id``, else the only column. A CSV file with one column does not need a header.
    :param owner_column: the column, or the key of JSON objects, that holds the owners; by default ``owner``, if there
        is one.
    :return: strings or integers or, if there are owners, pairs of an id and an owner.
    :raises InvalidQueryError: if there is no such file, if its content does not have the format of its name, or if an
        id is missing or a float. The error names the file and the line or row.
    """
    reader = _reader_for(path)
    try:
        with path.open("rb") as file:
            for value in reader(_Source(str(path), _decompressed(file), column, owner_column)):
                yield (_unprefixed(value[0]), value[1]) if isinstance(value, tuple) else _unprefixed(value)
    except FileNotFoundError:
        raise InvalidQueryError(FIELD, f"{path} does not exist", "Check the path.") from None
    except IsADirectoryError:
        raise InvalidQueryError(FIELD, f"{path} is a folder", "Pass the path of a file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidQueryError(FIELD, f"{path} is damaged gzip ({error})", "Write the file again.") from error


@dataclass(frozen=True, slots=True)
class _Source:
    """An open file, its name, and the columns to read."""

    name: str
    file: io.BufferedIOBase
    column: str | None
    owner_column: str | None

    def error(self, place: str, problem: str, remedy: str) -> InvalidQueryError:
        return InvalidQueryError(FIELD, f"{self.name}, {place}: {problem}", remedy)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines, with their ends, and their numbers from 1."""
        for number, line in enumerate(self.file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise self.error(f"line {number}", "is not UTF-8", "Save the file as UTF-8.") from None

    def choose_column(self, names: Sequence[str]) -> int | None:
        """Return the index of the column that holds the ids, if there is one."""
        if self.column is not None:
            return names.index(self.column) if self.column in names else None
        # Exports for people write such names as "Tweet id".
        folded = [name.casefold().replace(" ", "_") for name in names]
        return next((folded.index(name) for name in COLUMNS if name in folded), 0 if len(names) == 1 else None)

    def choose_owner_column(self, names: Sequence[str]) -> int | None:
        """Return the index of the column that holds the owners, if there is one.

        :raises InvalidQueryError: if ``owner_column`` is set, but there is no such column.
        """
        folded = [name.casefold() for name in names] if self.owner_column is None else list(names)
        wanted = self.owner_column or OWNER_COLUMN
        if wanted in folded:
            return folded.index(wanted)
        if self.owner_column is None:
            return None
        problem = f"{self.name} has no column {wanted!r}; its columns are {', '.join(map(repr, names)) or 'none'}"
        raise InvalidQueryError(FIELD, problem, "Set owner_column to the column that holds the owners.")

    def no_such_column(self, names: Sequence[str]) -> InvalidQueryError:
        wanted = f"no column {self.column!r}" if self.column is not None else f"no column {' or '.join(COLUMNS)}"
        problem = f"{self.name} has {wanted}; its columns are {', '.join(map(repr, names)) or 'none'}"
        return InvalidQueryError(FIELD, problem, "Set tweet_ids_column to the column that holds the ids.")


_Reader = Callable[[_Source], Iterator[object]]


def _text(source: _Source) -> Iterator[object]:
    for _, line in source.lines():
        text = line.strip()
        if text and not text.startswith("#"):
            yield text


def _csv(source: _Source) -> Iterator[object]:
    rows = csv.reader((line for _, line in source.lines()), strict=True)
    place: int | None = None
    owner_place: int | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if place is None:
                place = source.choose_column(cells)
                if place is None:
                    raise source.no_such_column(cells)
                if source.column is not None or len(cells) > 1 or not str(_unprefixed(cells[0]))[:1].isdecimal():
                    owner_place = source.choose_owner_column(cells)
                    continue  # a header
            if place >= len(cells) or not cells[place]:
                raise source.error(f"line {rows.line_num}", "has no id", "Fill it in or remove the line.")
            if owner_place is None:
                yield cells[place]
            else:
                yield cells[place], cells[owner_place] if owner_place < len(cells) else None
    except csv.Error as error:
        raise source.error(f"line {rows.line_num}", f"is not CSV ({error})", "Correct it.") from None


def _json(source: _Source) -> Iterator[object]:
    """Read one document, or one document a line, as in Gnip's files with the same suffix."""
    lines = source.lines()
    number, first = next(((number, line) for number, line in lines if line.strip()), (0, "[]"))
    try:
        _load(first)
    except ValueError:
        yield from _ids_of_document(source, number, first + "".join(line for _, line in lines))
    else:
        yield from _ids_of_document(source, number, first)
        yield from _ids_of_lines(source, lines)


def _json_lines(source: _Source) -> Iterator[object]:
    return _ids_of_lines(source, source.lines())


def _ids_of_lines(source: _Source, lines: Iterator[tuple[int, str]]) -> Iterator[object]:
    for number, line in lines:
        if line.strip():
            yield from _ids_of_document(source, number, line)


def _ids_of_document(source: _Source, number: int, text: str) -> Iterator[object]:
    """Yield the ids in a document.

    :param number: the number of its first line.
    """
    try:
        document = _load(text.rstrip())
    except ValueError as error:
        line, reason = (
            (number + error.lineno - 1, error.msg) if isinstance(error, json.JSONDecodeError) else (number, error)
        )
        raise source.error(f"line {line}", f"is not JSON ({reason})", "Correct it.") from None
    yield from _ids_in(document, source, f"line {number}")


def _load(text: str) -> Any:
    """Parse a JSON document.

    :raises ValueError: if the text is not JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _ids_in(document: object, source: _Source, place: str) -> Iterator[object]:
    """Yield the ids in an id, an object with an id, a response of an API, or a list of these."""
    if isinstance(document, list):
        for index, item in enumerate(document, start=1):
            yield from _ids_in(item, source, f"{place}, item {index}")
    elif isinstance(document, Mapping):
        keys = COLUMNS if source.column is None else (source.column,)
        value = next((document[key] for key in keys if document.get(key) is not None), None)
        content = next((document[key] for key in ENVELOPES if isinstance(document.get(key), (list, Mapping))), None)
        if value is not None:
            owner = document.get(source.owner_column or OWNER_COLUMN)
            exact = _exact(value, source, place)
            # Without owner_column, the key may belong to another kind of object.
            is_owner = owner is not None if source.owner_column else isinstance(owner, (str, int))
            yield (exact, owner) if is_owner else exact
        elif content is not None:
            yield from _ids_in(content, source, place)
        elif not any(key in document for key in METADATA_KEYS):
            raise source.error(
                place, f"has no {' or '.join(keys)}", "Set tweet_ids_column to the key that holds the ids."
            )
    else:
        yield _exact(document, source, place)


def _exact(value: object, source: _Source, place: str) -> object:
    if isinstance(value, float):
        raise source.error(place, f"{value!r} is a float and cannot hold a Tweet id exactly", "Write ids as strings.")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise source.error(place, f"{json.dumps(value)[:60]} is not a Tweet id", "Write ids as strings.")
    return value


def _parquet(source: _Source) -> Iterator[object]:
    import pyarrow
    from pyarrow import parquet

    # A Parquet reader starts at the end of the file, where gzip arrives only after everything before.
    file = io.BytesIO(source.file.read()) if isinstance(source.file, gzip.GzipFile) else source.file
    try:
        content = parquet.ParquetFile(file)
        place = source.choose_column(content.schema_arrow.names)
        if place is None:
            raise source.no_such_column(content.schema_arrow.names)
        column = content.schema_arrow.field(place)
        if not _holds_ids(column.type):
            problem = f"has the type {column.type}, which cannot hold ids exactly"
            raise source.error(f"column {column.name!r}", problem, "Write ids as strings or 64-bit integers.")
        owner_place = source.choose_owner_column(content.schema_arrow.names)
        owner_name = None if owner_place is None else content.schema_arrow.names[owner_place]
        row = 0
        for batch in content.iter_batches(columns=[column.name, *([owner_name] if owner_name else [])]):
            owners = batch.column(owner_name).cast(pyarrow.string()).to_pylist() if owner_name else None
            for number, value in enumerate(batch.column(column.name).cast(pyarrow.string()).to_pylist()):
                row += 1
                if value is None:
                    raise source.error(f"row {row}", f"{column.name!r} is null", "Remove the row.")
                yield value if owners is None else (value, owners[number])
    except pyarrow.ArrowInvalid as error:
        problem = f"{source.name} is not Parquet ({error})"
        raise InvalidQueryError(FIELD, problem, "Give the file the suffix of its format.") from error


def _holds_ids(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_ids(kind.value_type)
    whole_decimal = types.is_decimal(kind) and kind.scale == 0  # the type that warehouses export integers as
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind) or whole_decimal)


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "": _text,
        ".txt": _text,
        ".csv": _csv,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".json": _json,
        ".parquet": _parquet,
    }
)


def _reader_for(path: StoragePath) -> _Reader:
    name = PurePosixPath(path.name.lower())
    suffix = name.with_suffix("").suffix if name.suffix in _GZIP_SUFFIXES else name.suffix
    if suffix not in _READERS:
        known = ", ".join(filter(None, _READERS))
        raise InvalidQueryError(
            FIELD, f"{path} has the unknown suffix {suffix!r}", f"Use {known}, with or without gzip."
        )
    return _READERS[suffix]


def _decompressed(file: Any) -> io.BufferedIOBase:
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    # Without a buffer, a file of an object store reads a whole block for every line.
    buffered = io.BufferedReader(file)
    return gzip.GzipFile(fileobj=buffered) if magic == _GZIP_MAGIC else buffered


def _unprefixed(value: object) -> object:
    """Return an id without the prefix of Activity Streams, as in ``tag:search.twitter.com,2005:123``."""
    return value.rpartition(":")[2] if isinstance(value, str) and value.startswith("tag:") else value
