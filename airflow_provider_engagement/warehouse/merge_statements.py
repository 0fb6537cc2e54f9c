"""The statements that merge staged rows into a table, in the SQL that DuckDB and PostgreSQL share.

The rule is that of the dataset: of each metric, the newest known count, in whatever order several datasets are loaded.
A null does not replace a count, and ``older_counts`` names the counts that are older than their row. The other columns
are those of the newest read. If two reads are equally new, the greater value counts, since no order may decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from airflow_provider_engagement.tables.tables import OLDER_COUNTS, Table

STAGED = "engagement_staged"
"""The temporary table of the rows that were read from files."""

CHANGES = "engagement_changes"
"""The temporary table of the rows that replace others."""

LOAD_COLUMN = "_dlt_load_id"
"""The column that names the load that wrote a row last. dlt gives it this name in the databases that it loads into."""

_TIMES: Mapping[str, str] = MappingProxyType(
    {"restatements": "old_fetched_at", "tweet_status": "checked_at", "owner_ledger": "requested_at"}
)


class Precedence(Enum):
    """Which of two rows with the same key counts."""

    NEWEST = "newest"
    FILE_IF_AS_NEW = "file if as new"
    FILE = "file"


def time_column(table: Table) -> str:
    """Return the column that says which of several rows with the same key is the newest."""
    return _TIMES.get(table.name, "fetched_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeStatements:
    """The statements for one table.

    :param table: the columns and the key.
    :param place: the quoted name of the table in the database, with its schema.
    :param time_text: the expression that turns ``{}``, a time, into the text that ``older_counts`` has.
    :param load_id: the id of the load.
    """

    table: Table
    place: str
    time_text: str
    load_id: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table except the one that names the load."""
        return (*self.table.key, *self.table.columns, *self.table.metrics)

    @property
    def _values(self) -> tuple[str, ...]:
        return (*self.table.columns, *self.table.metrics)

    def find_changes(self, precedence: Precedence) -> str:
        """Return the statement that collects the rows that differ from what the table has, merged."""
        merged = {name: _new(name) for name in self._values}
        if precedence is not Precedence.FILE:
            merged = self._merged(prefers_file=precedence is Precedence.FILE_IF_AS_NEW)
        key = quoted_list(self.table.key)
        pairs = [f"s.{quoted(name)}" for name in self.table.key]
        pairs += [f"s.{quoted(name)} AS {_new(name)}, t.{quoted(name)} AS {_old(name)}" for name in self._values]
        found = [f"{expression} AS {quoted(name)}" for name, expression in merged.items()]
        old = quoted_list(f"old {name}" for name in self._values)
        same = self._same_key("s", "t")
        differ = _differ((f"s.{quoted(name)}", f"t.{quoted(name)}") for name in self._values)
        # Times and JSON are read after the join, of few rows. Most rows of a file that was written again are the same.
        return (
            f"CREATE TEMPORARY TABLE {CHANGES} AS "  # noqa: S608
            f"SELECT {quoted_list((*self.table.key, *self._values))} FROM (SELECT {key}, {', '.join(found)}, {old} "
            f"FROM (SELECT *, {', '.join(self._times())} "
            f"FROM (SELECT {', '.join(pairs)} "
            f"FROM {STAGED} s JOIN {self.place} t ON {same} WHERE {differ}) pairs) timed) merged "
            f"WHERE {_differ((quoted(name), _old(name)) for name in self._values)}"
        )

    def apply_changes(self) -> str:
        """Return the statement that writes the collected rows."""
        values = ", ".join(f"{quoted(name)} = c.{quoted(name)}" for name in self._values)
        return (
            f"UPDATE {self.place} AS t SET {values}, {quoted(LOAD_COLUMN)} = {literal(self.load_id)} "  # noqa: S608
            f"FROM {CHANGES} c WHERE {self._same_key('t', 'c')}"
        )

    def insert_new(self) -> str:
        """Return the statement that adds the rows whose key the table does not have."""
        names = quoted_list(self.columns)
        return (
            f"INSERT INTO {self.place} ({names}, {quoted(LOAD_COLUMN)}) "  # noqa: S608
            f"SELECT {names}, {literal(self.load_id)} FROM {STAGED} s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.place} t WHERE {self._same_key('s', 't')})"
        )

    def count_merged(self) -> str:
        """Return the query that counts the pairs of a staged row and a row of the table with its key."""
        return f"SELECT count(*) FROM {STAGED} s JOIN {self.place} t ON {self._same_key('s', 't')}"  # noqa: S608

    def _times(self) -> list[str]:
        """Return the time of each of two reads as a text. A text of this form sorts as the time does."""
        name = time_column(self.table)
        found = []
        # Two rows with the same key are equally new if the time is part of the key.
        columns = (quoted(name),) * 2 if name in self.table.key else (_new(name), _old(name))
        for side, column in zip(("new", "old"), columns, strict=True):
            found.append(f"coalesce({self.time_text.format(column)}, '') AS {side}_at")
            if self.table.metrics:
                found.append(f"CAST({quoted(f'{side} {OLDER_COUNTS}')} AS JSON) AS {side}_json")
        return found

    def _same_key(self, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in self.table.key)

    def _merged(self, *, prefers_file: bool) -> dict[str, str]:
        """Return the expression of each column that is not part of the key."""

        def newest(name: str, new_at: str, old_at: str) -> str:
            as_new = _new(name) if prefers_file else f"greatest({_new(name)}, {_old(name)})"
            return (
                f"CASE WHEN {new_at} > {old_at} THEN {_new(name)} "
                f"WHEN {new_at} = {old_at} THEN {as_new} ELSE {_old(name)} END"
            )

        merged = {name: newest(name, "new_at", "old_at") for name in self.table.columns}
        entries = []
        for name in self.table.metrics:
            new_at, old_at = (f"coalesce({side}_json ->> {literal(name)}, {side}_at)" for side in ("new", "old"))
            merged[name] = (
                f"CASE WHEN {_old(name)} IS NULL THEN {_new(name)} WHEN {_new(name)} IS NULL THEN {_old(name)} "
                f"ELSE {newest(name, new_at, old_at)} END"
            )
            counted_at = (
                f"greatest(CASE WHEN {_new(name)} IS NOT NULL THEN {new_at} END, "
                f"CASE WHEN {_old(name)} IS NOT NULL THEN {old_at} END)"
            )
            entries.append(
                f"CASE WHEN {counted_at} < greatest(new_at, old_at) THEN '\"{name}\":\"' || {counted_at} || '\"' END"
            )
        if entries:
            merged[OLDER_COUNTS] = f"'{{' || nullif(concat_ws(',', {', '.join(entries)}), '') || '}}'"
        return merged


def _new(name: str) -> str:
    return quoted(f"new {name}")


def _old(name: str) -> str:
    return quoted(f"old {name}")


def _differ(pairs: Iterable[tuple[str, str]]) -> str:
    return " OR ".join(f"{left} IS DISTINCT FROM {right}" for left, right in pairs)


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: Iterable[str]) -> str:
    """Return names as identifiers with commas."""
    return ", ".join(map(quoted, names))


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
