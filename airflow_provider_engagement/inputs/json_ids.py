"""Tweet ids in JSON: ids, objects with an id, pages of X's APIs, and a user's own archive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_source import FIELD, FoundId, IdSource, described_place
from airflow_provider_engagement.inputs.lists import quoted, quoted_names
from airflow_provider_engagement.inputs.tweet_ids import divide_object

ENVELOPES = ("statuses", "results", "data")
"""The keys of the list of Tweets in a page: search of v1.1, search of Gnip, any endpoint of v2."""

MAX_DOCUMENT_LENGTH = 2**27
"""How many characters a document of many lines can have."""

MAX_VALUES = 10_000_000
"""How many values a document can have, since each of them takes many times its length in memory."""

_ARCHIVE = re.compile(r"\s*(?:window\.YTD\.[A-Za-z0-9_.]+|Grailbird\.data\.[A-Za-z0-9_]+)\s*=", re.ASCII)
_ARCHIVED = "tweet"
"""The only key of each item in a user's archive."""

_ABOUT_ONE_TWEET = frozenset({"resource_type", "resource_id", "value", "parameter"})
"""The keys of an error of v2 about one Tweet. Any other error is about the whole page."""


def json_ids(source: IdSource) -> Iterator[FoundId]:
    """Yield the values of one document, or of one document a line, as in Gnip's files with the same suffix."""
    lines = source.lines()
    number, first = next(((number, line) for number, line in lines if line.strip()), (0, "[]"))
    archive = _ARCHIVE.match(first)
    if archive:
        first = first[archive.end() :]
    documents = _Documents(source)
    try:
        document = documents.load(number, first)
    except ValueError:
        yield from documents.ids_of(number, "".join(documents.bounded(number, first, lines)))
    else:
        yield from documents.ids_in(document, number)
        yield from documents.ids_of_lines(lines)
    documents.check_owners()


def json_lines_ids(source: IdSource) -> Iterator[FoundId]:
    """Yield the values of one document on each line."""
    documents = _Documents(source)
    yield from documents.ids_of_lines(source.lines())
    documents.check_owners()


class _Documents:
    """The documents of a file."""

    def __init__(self, source: IdSource) -> None:
        self._source = source
        self._have_ids = False
        self._have_owners = False

    def ids_of_lines(self, lines: Iterable[tuple[int, str]]) -> Iterator[FoundId]:
        """Yield the values of one document on each line."""
        for number, line in lines:
            if line.strip():
                yield from self.ids_of(number, line)

    def ids_of(self, number: int, text: str) -> Iterator[FoundId]:
        """Yield the values of one document.

        :param number: the number of its first line.
        :param text: the document.
        """
        try:
            document = self.load(number, text)
        except ValueError as error:
            line, reason = (
                (number + error.lineno - 1, error.msg) if isinstance(error, json.JSONDecodeError) else (number, error)
            )
            raise self._source.error(f"line {line}", f"is not JSON ({reason})", "Correct it.") from None
        yield from self.ids_in(document, number)

    def load(self, number: int, text: str) -> object:
        """Parse a document.

        :param number: the number of its first line.
        :param text: the document.
        :raises ValueError: if the text is not JSON, or if an object has a key twice.
        :raises InvalidQueryError: if the document has too many values.
        """
        if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
            raise self._source.too_large(f"line {number}", f"{MAX_VALUES:,} values in a document")
        try:
            document: object = _DECODER.decode(text.rstrip().removesuffix(";"))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return document

    def bounded(self, number: int, first: str, lines: Iterable[tuple[int, str]]) -> Iterator[str]:
        """Yield the lines of one document.

        :param number: the number of its first line.
        :param first: its first line.
        :param lines: the other lines.
        """
        length = len(first)
        yield first
        for _, line in lines:
            length += len(line)
            if length > MAX_DOCUMENT_LENGTH:
                raise self._source.too_large(f"line {number}", f"{MAX_DOCUMENT_LENGTH:,} characters in a document")
            yield line

    def check_owners(self) -> None:
        """Raise an error if no object of the file has the key that ``tweets.owner_column`` names."""
        owners = self._source.columns.owners
        if isinstance(owners, str) and self._have_ids and not self._have_owners:
            raise InvalidQueryError(
                FIELD,
                f"{self._source.name} has no object with the key {quoted(owners)}",
                "Set tweets.owner_column to the key that holds the owners, or to False to read none.",
            )

    def ids_in(self, document: object, number: int, items: tuple[int, ...] = ()) -> Iterator[FoundId]:
        """Yield the values in an id, an object with an id, a page of an API, or a list of these."""
        if isinstance(document, list):
            yield from self._ids_in_list(document, number, items)
        elif isinstance(document, Mapping):
            yield from self._ids_in_object(document, number, items)
        else:
            self._have_ids = True
            yield FoundId(document, None, number, items)

    def _ids_in_list(self, values: Sequence[object], number: int, items: tuple[int, ...]) -> Iterator[FoundId]:
        for index, item in enumerate(values, start=1):
            place = (*items, index)
            if isinstance(item, list) and not all(isinstance(value, Mapping) for value in item):
                # Such a list can be a Tweet and its owner, or a row of a table whose columns have no names.
                raise self._error(
                    number, place, f"{quoted(item)} is a list in a list", "Write one list of ids, or objects."
                )
            yield from self.ids_in(item, number, place)

    def _ids_in_object(self, document: Mapping[str, object], number: int, items: tuple[int, ...]) -> Iterator[FoundId]:
        wrapped = document.get(_ARCHIVED)
        if len(document) == 1 and isinstance(wrapped, Mapping):
            document = wrapped
        columns = self._source.columns
        try:
            found = divide_object(document, columns, field=FIELD)
        except InvalidQueryError as error:
            raise self._error(number, items, error.problem, error.remedy) from None
        pages = [key for key in ENVELOPES if isinstance(document.get(key), (list, Mapping))]
        if len(pages) > 1 or (pages and found is not None and columns.ids is None):
            listed = quoted_names(pages if found is None else ["an id", *pages])
            raise self._error(
                number, items, f"has several keys that can hold ids: {listed}", "Keep one, or set tweets.column."
            )
        if found is not None:
            self._have_ids = True
            self._have_owners |= columns.owners in document
            yield FoundId(*found, number, items)
            return
        if pages:
            yield from self.ids_in(document[pages[0]], number, items)
        elif not self._is_without_tweets(document, number, items):
            source = f"{self._source.name}, {described_place(number, items)}"
            raise columns.not_found(tuple(document), field=FIELD, source=source, kind="key")

    def _is_without_tweets(self, document: Mapping[str, Any], number: int, items: tuple[int, ...]) -> bool:
        """Return whether an object is a part of a response that has no Tweet.

        :raises InvalidQueryError: if the object says that there are Tweets which are not in it.
        """
        errors = document.get("errors")
        if isinstance(errors, list) and errors and all(isinstance(error, Mapping) and error for error in errors):
            if all(_ABOUT_ONE_TWEET.intersection(error) for error in errors):
                return True
            raise self._error(
                number, items, f"is an error of the API: {quoted(errors[0])}", "Request this page again, or remove it."
            )
        meta = document.get("meta")
        if isinstance(meta, Mapping) and meta.get("result_count"):
            raise self._error(
                number, items, f"has {quoted(meta['result_count'])} results but no data", "Request this page again."
            )
        return "info" in document or "meta" in document

    def _error(self, number: int, items: tuple[int, ...], problem: str, remedy: str) -> InvalidQueryError:
        return self._source.error(described_place(number, items), problem, remedy)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("an object has a key twice")
    return result


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
