"""What a load needs of a database, whatever its kind."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow
import tenacity

from airflow_provider_engagement.exceptions import WarehouseError
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.tables.tables import Table
from airflow_provider_engagement.warehouse.destinations import Target
from airflow_provider_engagement.warehouse.merge_statements import Precedence

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_ATTEMPTS = 1.0

VIEW_COMMENT = "Made by airflow-provider-engagement"
"""How the comment begins by which the package knows a view of its own, in a database whose views have comments."""

FOREIGN_VIEW = "view that this package has not made, or that was changed"

OTHER_VIEW_COLUMNS = re.compile(r"cannot (change (name|data type|number) of|drop) (columns (in|from) )?view")
"""What PostgreSQL and its relatives say if a view would be replaced by one with other columns."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundColumn:
    """A column of a table in the database.

    :param kind: its type, as the database calls it.
    :param holds: the type of Arrow whose values it can hold, all of them; ``None`` for any other type.
    :param is_nullable: whether it can be null.
    """

    kind: str
    holds: pyarrow.DataType | None
    is_nullable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """A table, a view or something else that has a name in the schema.

    :param kind: what it is, as messages name it.
    :param is_ours: whether it is a view that this package has made, and that nobody has changed since.
    """

    kind: str
    is_ours: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What the database has recorded of earlier loads of a table.

    :param partitions: for each folder of this dataset, the digest of each partition that was loaded; ``None`` if this
        dataset was never loaded into the table.
    :param rows: how many rows the table had after its last load.
    :param has_other_datasets: whether other datasets were loaded into the table.
    """

    partitions: Mapping[str, Mapping[str, str]] | None = None
    rows: int = 0
    has_other_datasets: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a load did to the rows of a table.

    :param read: the rows that were read from files.
    :param new: the rows whose key the table did not have.
    :param changed: the rows of which a column has changed.
    """

    read: int
    new: int
    changed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLoad:
    """The rows to load into a table.

    :param table: the table.
    :param batches: its rows, each key once.
    :param partitions: what to record: for each folder, the digest of each partition.
    :param precedence: which of two rows with the same key counts.
    :param forgets_others: whether the other datasets must be loaded again as a whole, since the table has lost rows or
        values.
    """

    table: Table
    batches: Iterable[pyarrow.Table]
    partitions: Mapping[str, Mapping[str, str]]
    precedence: Precedence
    forgets_others: bool

    def must_forget_others(self, written: Written) -> bool:
        """Return whether the other datasets must be loaded again as a whole, now that this one has been.

        A file that counts against a row that is as new can have replaced an edited row, or one of another dataset.
        """
        return self.forgets_others or (self.precedence is Precedence.FILE_IF_AS_NEW and written.changed > 0)


class TargetDatabase(Protocol):
    """A database during a load, which is locked as far as the database can do that.

    :param dialect: sqlglot's name of its dialect.
    """

    dialect: str

    def qualified(self, name: str) -> str:
        """Return the quoted name of a table or view, with its schema."""
        ...

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement, and return its rows."""
        ...

    def relations(self) -> Mapping[str, Relation]:
        """Return what the schema has, by name in lower case: tables, views and others."""
        ...

    def has_view(self, name: str, query: str) -> bool:
        """Return whether a view is known to have a query already.

        :param name: the quoted name of the view, with its schema.
        """
        ...

    def make_view(self, name: str, query: str) -> str | None:
        """Create a view or replace it, and mark it as made by this package.

        :param name: the quoted name of the view, with its schema.
        :return: what the database says if it rejects the view. The load must end then.
        """
        ...

    def columns(self, name: str) -> dict[str, FoundColumn]:
        """Return the columns of a table, or none if there is no such table."""
        ...

    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        ...

    def ensure_key(self, table: Table) -> None:
        """Make sure that a table has the index of its key, if the database needs one.

        :raises WarehouseTableError: if two rows of the table have the same key.
        """
        ...

    def record(self, name: str) -> Record:
        """Return what is recorded of a table."""
        ...

    def load(self, load: TableLoad) -> Written:
        """Merge rows into a table, which is created or gets its missing columns first, and record the partitions.

        :raises WarehouseError: if the table does not have each row afterwards.
        """
        ...


class Busy(Exception):
    """Another task holds the database."""


def until_free(attempt: Callable[[], Result], target: Target, lock_timeout: float) -> Result:
    """Repeat an attempt to get hold of a database.

    :param attempt: raises ``Busy`` if another task holds it.
    :param target: the database.
    :param lock_timeout: how long to repeat it, in seconds.
    :raises WarehouseError: if another task holds the database for longer.
    """
    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Busy),
            stop=tenacity.stop_after_delay(lock_timeout),
            wait=tenacity.wait_fixed(_SECONDS_BETWEEN_ATTEMPTS),
            sleep=time.sleep,
            before_sleep=lambda state: (
                log.info("Waiting for %s: %s.", target.name, state.outcome and state.outcome.exception())
                if state.attempt_number == 1
                else None
            ),
            reraise=True,
        )(attempt)
    except Busy as error:
        raise WarehouseError(target.name, f"{error}, for more than {lock_timeout:.0f} s") from None


def check_counts(target: Target, table: Table, *, read: int, merged: int) -> None:
    """Refuse to record partitions whose rows have not all arrived.

    :param target: the database.
    :param read: how many rows were read.
    :param merged: how many of them the table has.
    :raises WarehouseError: if these are not the same.
    """
    if read != merged:
        place = f"{target.schema}.{table.name}"
        raise WarehouseError(target.name, f"{merged:,} of {counted(read, 'row')} arrived in the table {place}")
