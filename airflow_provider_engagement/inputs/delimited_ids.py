"""Tweet ids in text and in CSV: with or without a header, with any of the usual delimiters."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.id_source import FIELD, MAX_LINE_LENGTH, FoundId, IdSource
from airflow_provider_engagement.inputs.lists import quoted, quoted_names
from airflow_provider_engagement.inputs.tweet_id_forms import digits_in, holds_long_number, stripped
from airflow_provider_engagement.quantities import counted

_DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_OF_EXCEL = re.compile(r"sep=([,;\t|])\s*")
_LONG_ID = 15
"""How many digits an id of today has at least. Only those of the first hours are shorter."""
_QUOTES = "Double the quotes in texts, and put quotes around these texts, or write only the column of the ids."
_NOT_A_NAME = re.compile(r"[=\"'+-]*[0-9]|nan$|https?:", re.IGNORECASE)


def text_ids(source: IdSource) -> Iterator[FoundId]:
    """Yield the values of a text file: one on each line. Blank lines and lines that start with ``#`` are skipped."""
    for number, line in source.lines():
        text = stripped(line)
        if text and not text.startswith("#"):
            yield FoundId(text, None, number)


def csv_ids(source: IdSource) -> Iterator[FoundId]:
    """Yield the values of a CSV file. Its first row names the delimiter and, if it is a header, the columns."""
    lines = source.lines()
    blank = "".join(_DELIMITERS)
    number, first = next(((number, line) for number, line in lines if stripped(line).strip(blank)), (1, ""))
    announced = _DELIMITER_OF_EXCEL.fullmatch(first)
    if announced:
        yield from _Rows(source, announced[1]).ids(lines)
    else:
        yield from _Rows(source, _delimiter_of(number, first, source)).ids(chain([(number, first)], lines))


class _Rows:
    """The rows of a CSV file, and which columns to read, which the first row says."""

    def __init__(self, source: IdSource, delimiter: str) -> None:
        self._source = source
        self._delimiter = delimiter
        self._width = 0
        self._place = 0
        self._owner_place: int | None = None
        self._line = 1
        self._length = 0
        self._first = 0

    def ids(self, lines: Iterable[tuple[int, str]]) -> Iterator[FoundId]:
        """Yield the values."""
        rows = csv.reader(self._records(lines), strict=True, delimiter=self._delimiter)
        try:
            for row in rows:
                first, self._first, self._length = self._first, 0, 0
                if not any(map(str.strip, row)):
                    continue
                is_header = self._width == 0 and self._is_header(row)
                if first < self._line:
                    self._check_quotes(row, first)
                if not is_header:
                    yield self._found(row)
        except csv.Error as error:
            until = f" until line {self._line}" if self._first < self._line else ""
            raise self._source.error(f"line {self._first}", f"is not CSV{until} ({error})", _QUOTES) from None

    def _records(self, lines: Iterable[tuple[int, str]]) -> Iterator[str]:
        """Yield the lines, and bound the length of a record, which can have many of them."""
        for self._line, line in lines:
            self._length += len(line)
            if self._length > MAX_LINE_LENGTH:
                raise self._source.too_large(f"line {self._line}", f"{MAX_LINE_LENGTH:,} characters in a record")
            self._first = self._first or self._line
            yield line

    def _check_quotes(self, row: Sequence[str], first: int) -> None:
        """Reject a cell of several lines that may have swallowed rows, because a quote in a text is not doubled.

        Such a cell ends within a row, or starts within one, so one of its lines has the id of this row and a delimiter.

        :param row: the cells of a record.
        :param first: the number of its first line.
        :raises InvalidQueryError: if a line of a cell looks like a row with an id, whatever the number of its cells.
        """
        own = digits_in(row[self._place]) if self._place < len(row) else ""
        shortest = max(1, min(_LONG_ID, len(own) - 1)) if own else _LONG_ID
        lines = (line for cell in row if "\n" in cell for line in cell.split("\n"))
        if any(self._looks_like_row(line, shortest) for line in lines):
            problem = f"has a cell in quotes that contains what looks like a row, until line {self._line}"
            raise self._source.error(f"line {first}", problem, _QUOTES)

    def _looks_like_row(self, line: str, shortest: int) -> bool:
        """Return whether a line has a cell with an id of at least so many digits."""
        first, *others = line.split(self._delimiter)
        if not others:
            return holds_long_number(line) and stripped(line.strip('"')).isdecimal()
        # In a sentence, a space follows a comma.
        cells = [first, *(cell for cell in others if not cell[:1].isspace())]
        return any(len(digits_in(cell.strip().strip('"'))) >= shortest for cell in cells)

    def _is_header(self, row: Sequence[str]) -> bool:
        """Return whether the first row is a header, and remember which columns to read."""
        self._width = len(row)
        columns, name = self._source.columns, self._source.name
        names = [stripped(cell) for cell in row]
        if not columns.have_header:
            self._place = self._number(columns.ids, "tweets.column")
            if columns.owners:
                self._owner_place = self._number(columns.owners, "tweets.owner_column")
            return False
        place = columns.place_of_ids(names, field=FIELD, source=name)
        if place is None and columns.ids is None and len(names) == 1:
            place = 0
            if holds_long_number(names[0]):
                return False
            if names[0].isdecimal():
                raise self._source.error(
                    f"line {self._line}",
                    f"{quoted(names[0])} can be a header or an id",
                    "Write a header, or set tweets.column=1 if there is none.",
                )
            if _NOT_A_NAME.match(names[0]):
                return False
        if place is None:
            if any(map(holds_long_number, names)):
                raise self._source.error(
                    f"line {self._line}",
                    f"is not a header; its cells are {quoted_names(names)}",
                    "If the file has no header, set tweets.column to the number of the column that holds the ids, "
                    "counted from 1.",
                )
            raise columns.not_found(names, field=FIELD, source=name)
        self._place = place
        self._owner_place = columns.place_of_owners(names, field=FIELD, source=name)
        return True

    def _number(self, column: object, field: str) -> int:
        number = int(str(column))
        if number > self._width:
            problem = f"{self._source.name} has only {counted(self._width, 'column')}, not {number}"
            raise InvalidQueryError(field, problem, "Count the columns from 1.")
        return number - 1

    def _found(self, row: list[str]) -> FoundId:
        width = len(row)
        if width > self._width and any(map(str.strip, row[self._width :])):
            problem = f"has {counted(width, 'cell')}, but the first row has {self._width}"
            raise self._source.error(f"line {self._line}", problem, "Put quotes around cells with delimiters.")
        value = row[self._place].strip() if self._place < width else ""
        if not value:
            raise self._source.error(f"line {self._line}", "has no id", "Fill it in or remove the line.")
        if self._place and width < self._width:
            # The missing cell can be one before the id.
            problem = f"has {counted(width, 'cell')}, but the first row has {self._width}"
            raise self._source.error(f"line {self._line}", problem, "Fill the line in or remove it.")
        place = self._owner_place
        owner = row[place] if place is not None and place < width else None
        return FoundId(value, owner, self._line)


def _delimiter_of(number: int, line: str, source: IdSource) -> str:
    """Return the delimiter of a file: the only one that divides its first row, or that leads to a column of ids.

    :raises InvalidQueryError: if there are several.
    """
    rows = {delimiter: _cells(line, delimiter) for delimiter in _DELIMITERS}
    dividing = [delimiter for delimiter, cells in rows.items() if len(cells) > 1]
    if len(dividing) < 2:
        return dividing[0] if dividing else ","
    leading = [delimiter for delimiter in dividing if _leads_to_ids(rows[delimiter], source)]
    if len(leading) == 1:
        return leading[0]
    if not leading:
        return max(dividing, key=lambda delimiter: len(rows[delimiter]))
    raise source.error(
        f"line {number}", f"{quoted(line)} has several delimiters, which give different columns", "Keep one of them."
    )


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _leads_to_ids(cells: Sequence[str], source: IdSource) -> bool:
    """Return whether the first row has a column of ids, by its name or its number."""
    columns = source.columns
    if isinstance(columns.ids, int):
        return columns.ids <= len(cells) and holds_long_number(cells[columns.ids - 1]) and len(cells) > 1
    try:
        return columns.place_of_ids([stripped(cell) for cell in cells], field=FIELD, source=source.name) is not None
    except InvalidQueryError:
        return True
