"""A figure: plots and the table of their numbers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What the values of a column are, which decides how they are shown."""

    TEXT = "text"
    COUNT = "count"
    CHANGE = "change"
    """A difference of counts."""
    PERCENT = "percent"
    """A change in percent: 1.0 means 1 %."""
    NUMBER = "number"
    """A number that has a fraction."""
    TIME = "time"
    """An aware time, shown in the time zone of the figure."""
    LINK = "link"
    """A URL that this package has made."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of a figure.

    :param name: the name in the data, such as ``tweet_id``.
    :param title: the heading.
    :param kind: what the values are.
    """

    name: str
    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure.

    :param name: identifies the figure, such as ``series``.
    :param title: the title.
    :param text: what the figure shows, in one or two sentences.
    :param columns: the columns of its table.
    :param rows: the rows of its table. ``None`` is a value that is not known.
    :param plots: the Vega-Lite specifications of its plots, without a width.
    :param notes: what to know about the numbers, such as what is missing.
    :param zone: the IANA name of the time zone of its times.
    """

    name: str
    title: str
    text: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    plots: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    zone: str = "UTC"

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings from the name of the column to the value."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]
