"""Tweet ids and owners from files: text, CSV, JSON, JSON Lines, Parquet, a user's archive, and folders of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.delimited_ids import csv_ids, text_ids
from airflow_provider_engagement.inputs.id_columns import IdColumns, parse_id_columns
from airflow_provider_engagement.inputs.id_source import (
    FIELD,
    FoundId,
    IdSource,
    decompressed,
    described_place,
    path_errors,
)
from airflow_provider_engagement.inputs.json_ids import json_ids, json_lines_ids
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.inputs.parquet_ids import parquet_ids
from airflow_provider_engagement.inputs.part_files import part_files
from airflow_provider_engagement.inputs.tweet_id_forms import parse_tweet_id
from airflow_provider_engagement.inputs.tweet_ids import ListedTweet, parse_owner
from airflow_provider_engagement.tweet_id import newest_id_at

if TYPE_CHECKING:
    from airflow_provider_engagement.storage.paths import StoragePath

PARQUET = ".parquet"

_READERS: Mapping[str, Callable[[IdSource], Iterator[FoundId]]] = MappingProxyType(
    {
        "": text_ids,
        ".txt": text_ids,
        ".csv": csv_ids,
        ".tsv": csv_ids,
        ".jsonl": json_lines_ids,
        ".ndjson": json_lines_ids,
        ".json": json_ids,
        ".js": json_ids,
    }
)
_SUFFIXES = (*_READERS, PARQUET)
_GZIP_SUFFIXES = frozenset({".gz", ".gzip"})


def read_tweet_ids(path: StoragePath, *, column: object = None, owner_column: object = None) -> Iterator[ListedTweet]:
    """Read Tweet ids with their owners, in the order of the file.

    The suffix determines the format: none or ``.txt`` (one id a line; blank lines and ``#`` comments are skipped),
    ``.csv`` or ``.tsv`` (with any of the usual delimiters), ``.jsonl`` or ``.ndjson``, ``.json``, ``.js`` (a user's
    archive), ``.parquet``. A file can be compressed with gzip, whatever its name. JSON can contain ids, objects with an
    id, Tweets, or responses of the v1.1, v2 and Gnip APIs. An id has any form that
    :func:`~airflow_provider_engagement.inputs.tweet_id_forms.parse_tweet_id` reads.

    :param path: the file, a folder of files of one format, or a path with ``*``, ``?`` or ``[`` in place of names.
        Files of a folder are read in the order of their names.
    :param column: the column, or the key of JSON objects, that holds the ids; by default ``tweet_id``, ``status_id`` or
        ``post_id``, else ``id_str``, else ``id``, else the only column. A CSV file with one column does not need a
        header. If a CSV file with several columns has none, the number of the column, counted from 1.
    :param owner_column: the column, or the key of JSON objects, that holds the owners; by default ``owner``, if there
        is one. ``False`` to read no owners.
    :raises InvalidQueryError: if there is no such file, if its content does not have the format of its name, or if a
        value is not an id beyond doubt. The error names the file and the line or row.
    """
    if "\0" in str(path):
        raise InvalidQueryError(FIELD, f"{quoted(str(path))} is not a path", "Check the path.")
    columns = parse_id_columns(column, owner_column)
    newest = newest_id_at(datetime.now(UTC))
    with path_errors(path):
        files = part_files(path, format_of=lambda file: _READERS.get(_suffix_of(file)))
    for file in files:
        yield from _tweets_of(file, columns, newest)


def _tweets_of(path: StoragePath, columns: IdColumns, newest: int) -> Iterator[ListedTweet]:
    suffix = _suffix_of(path)
    unit = "row" if suffix == PARQUET else "line"
    try:
        with path_errors(path), path.open("rb") as file:
            content, is_compressed = decompressed(file, str(path))
            source = IdSource(str(path), content, columns)
            found = parquet_ids(source, is_compressed=is_compressed) if suffix == PARQUET else _READERS[suffix](source)
            for value, owner, number, items in found:
                try:
                    yield ListedTweet(parse_tweet_id(value, field=FIELD, newest=newest), parse_owner(owner))
                except InvalidQueryError as error:
                    remedy = error.remedy if error.field == FIELD else columns.remedy_of_owner(error.remedy)
                    if _READERS.get(suffix) is text_ids:
                        remedy = f"{remedy} A table needs the suffix .csv."
                    raise source.error(described_place(number, items, unit), error.problem, remedy) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidQueryError(FIELD, f"{path} is damaged gzip ({error})", "Write the file again.") from error


def _suffix_of(path: StoragePath) -> str:
    name = PurePosixPath(path.name.lower())
    suffix = name.with_suffix("").suffix if name.suffix in _GZIP_SUFFIXES else name.suffix
    if suffix not in _SUFFIXES:
        known = ", ".join(filter(None, _SUFFIXES))
        raise InvalidQueryError(
            FIELD, f"{path} has the unknown suffix {suffix!r}", f"Use {known}, with or without gzip."
        )
    return suffix
