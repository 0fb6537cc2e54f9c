"""Tweet ids from files: text, CSV, JSON Lines, JSON as the search and look-up APIs answer it, and Parquet.

What is read here is only a candidate: whether it is a Tweet id is for :func:`~..api.query.parse_tweet_ids` to say.
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
"""Where an id is looked for, first to last; ``id_str`` comes before ``id``, which other programs may have rounded."""

ENVELOPES = ("statuses", "results", "data")
"""What holds the Tweets of an answer: search of v1.1, search of Gnip, anything of v2."""

REMARKS = ("info", "meta")
"""What marks an object that tells of an answer and holds no Tweet, such as the last line of a Gnip file."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_SUFFIXES = frozenset({".gz", ".gzip"})


def read_tweet_ids(path: StoragePath, *, column: str | None = None) -> Iterator[object]:
    """Read candidate Tweet ids, one after the other, in the order of the file.

    The suffix tells the format: none or ``.txt`` (one id a line; blank lines and ``#`` comments are passed over),
    ``.csv``, ``.jsonl`` or ``.ndjson``, ``.json``, ``.parquet``. Any of them may be compressed by gzip, whatever its
    name. JSON may hold ids, objects with an id, Tweets, or answers of the v1.1, v2 and Gnip APIs.

    :param path: the file.
    :param column: the column, or the key of JSON objects, that holds the ids; by default ``tweet_id``, else ``id_str``,
        else ``id``, else the only column, which in CSV may lack a header.
    :return: strings or integers.
    :raises InvalidQueryError: if there is no such file, or it cannot be read as what its name says, or an id is missing
        or a float, which cannot hold it exactly; it names the file and the line or row.
    """
    reader = _reader_for(path)
    try:
        with path.open("rb") as file:
            for value in reader(_Source(str(path), _decompressed(file), column)):
                yield _unprefixed(value) if isinstance(value, str) else value
    except FileNotFoundError:
        raise InvalidQueryError(FIELD, f"{path} does not exist", "Check the path.") from None
    except IsADirectoryError:
        raise InvalidQueryError(FIELD, f"{path} is a folder", "Name a file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidQueryError(FIELD, f"{path} is damaged gzip ({error})", "Write the file again.") from error


@dataclass(frozen=True, slots=True)
class _Source:
    """An open file with what a reader needs to know of it."""

    name: str
    file: io.BufferedIOBase
    column: str | None

    def refusal(self, place: str, problem: str, remedy: str) -> InvalidQueryError:
        return InvalidQueryError(FIELD, f"{self.name}, {place}: {problem}", remedy)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Return lines with their numbers, from 1, and their ends."""
        for number, line in enumerate(self.file, start=1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise self.refusal(f"line {number}", "is not UTF-8", "Save the file as UTF-8.") from None

    def choose_column(self, names: Sequence[str]) -> int | None:
        """Return the place of the column that holds the ids, if there is one."""
        if self.column is not None:
            return names.index(self.column) if self.column in names else None
        # Exports for people write such names as "Tweet id".
        folded = [name.casefold().replace(" ", "_") for name in names]
        return next((folded.index(name) for name in COLUMNS if name in folded), 0 if len(names) == 1 else None)

    def no_such_column(self, names: Sequence[str]) -> InvalidQueryError:
        wanted = f"no column {self.column!r}" if self.column is not None else f"no column {' or '.join(COLUMNS)}"
        problem = f"{self.name} has {wanted}; its columns are {', '.join(map(repr, names)) or 'none'}"
        return InvalidQueryError(FIELD, problem, "Name the column that holds the ids.")


_Reader = Callable[[_Source], Iterator[object]]


def _text(source: _Source) -> Iterator[object]:
    for _, line in source.lines():
        text = line.strip()
        if text and not text.startswith("#"):
            yield text


def _csv(source: _Source) -> Iterator[object]:
    rows = csv.reader((line for _, line in source.lines()), strict=True)
    place: int | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if place is None:
                place = source.choose_column(cells)
                if place is None:
                    raise source.no_such_column(cells)
                if source.column is not None or len(cells) > 1 or not _unprefixed(cells[0])[:1].isdecimal():
                    continue  # a header
            if place >= len(cells) or not cells[place]:
                raise source.refusal(f"line {rows.line_num}", "has no id", "Fill it in or remove the line.")
            yield cells[place]
    except csv.Error as error:
        raise source.refusal(f"line {rows.line_num}", f"is not CSV ({error})", "Correct it.") from None


def _json(source: _Source) -> Iterator[object]:
    """Read one document, or documents line by line, which Gnip's files hold under the same suffix."""
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
    """Return the ids in a document.

    :param number: the line that it begins in.
    """
    try:
        document = _load(text.rstrip())
    except ValueError as error:
        line, reason = (
            (number + error.lineno - 1, error.msg) if isinstance(error, json.JSONDecodeError) else (number, error)
        )
        raise source.refusal(f"line {line}", f"is not JSON ({reason})", "Correct it.") from None
    yield from _ids_in(document, source, f"line {number}")


def _load(text: str) -> Any:
    """Return a document.

    :raises ValueError: if it is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _ids_in(document: object, source: _Source, place: str) -> Iterator[object]:
    """Return the ids in an id, an object with an id, an answer of an API, or a list of these."""
    if isinstance(document, list):
        for index, item in enumerate(document, start=1):
            yield from _ids_in(item, source, f"{place}, item {index}")
    elif isinstance(document, Mapping):
        keys = COLUMNS if source.column is None else (source.column,)
        value = next((document[key] for key in keys if document.get(key) is not None), None)
        content = next((document[key] for key in ENVELOPES if isinstance(document.get(key), (list, Mapping))), None)
        if value is not None:
            yield _exact(value, source, place)
        elif content is not None:
            yield from _ids_in(content, source, place)
        elif not any(key in document for key in REMARKS):
            raise source.refusal(place, f"has no {' or '.join(keys)}", "Name the key that holds the ids.")
    else:
        yield _exact(document, source, place)


def _exact(value: object, source: _Source, place: str) -> object:
    if isinstance(value, float):
        raise source.refusal(place, f"{value!r} is a float, which cannot hold an id exactly", "Write ids as strings.")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise source.refusal(place, f"{json.dumps(value)[:60]} is no id", "Write ids as strings.")
    return value


def _parquet(source: _Source) -> Iterator[object]:
    import pyarrow
    from pyarrow import parquet

    # Parquet is read from its end, which gzip can reach only by way of everything before.
    file = io.BytesIO(source.file.read()) if isinstance(source.file, gzip.GzipFile) else source.file
    try:
        content = parquet.ParquetFile(file)
        place = source.choose_column(content.schema_arrow.names)
        if place is None:
            raise source.no_such_column(content.schema_arrow.names)
        column = content.schema_arrow.field(place)
        if not _holds_ids(column.type):
            problem = f"holds {column.type}, but only texts and whole numbers hold ids exactly"
            raise source.refusal(f"column {column.name!r}", problem, "Write ids as strings or 64-bit integers.")
        row = 0
        for batch in content.iter_batches(columns=[column.name]):
            for value in batch.column(0).cast(pyarrow.string()).to_pylist():
                row += 1
                if value is None:
                    raise source.refusal(f"row {row}", f"{column.name!r} is null", "Remove the row.")
                yield value
    except pyarrow.ArrowInvalid as error:
        problem = f"{source.name} is not Parquet ({error})"
        raise InvalidQueryError(FIELD, problem, "Give the file the suffix of its format.") from error


def _holds_ids(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _holds_ids(kind.value_type)
    whole_decimal = types.is_decimal(kind) and kind.scale == 0  # what warehouses make of integers
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
        raise InvalidQueryError(FIELD, f"{path} has the unknown suffix {suffix!r}", f"Known are {known}, also gzipped.")
    return _READERS[suffix]


def _decompressed(file: Any) -> io.BufferedIOBase:
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    # Object stores' files read a whole block for every line if they are not buffered here.
    buffered = io.BufferedReader(file)
    return gzip.GzipFile(fileobj=buffered) if magic == _GZIP_MAGIC else buffered


def _unprefixed(text: str) -> str:
    """Return an id without what Activity Streams put before it, as in ``tag:search.twitter.com,2005:123``."""
    return text.rpartition(":")[2] if text.startswith("tag:") else text
