"""Tweet ids and owners from a query on a database, through the hook of its Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.inputs.tweet_id_files import COLUMNS, OWNER_COLUMN

FIELD = "tweet_ids_sql"

ROWS_AT_ONCE = 10_000
"""How many rows are fetched from the database at once."""

_SERVER_SIDE = ("psycopg", "psycopg2")
"""Drivers whose cursors hold the whole result on the client unless they have a name."""


def query_tweet_ids(
    sql: str, conn_id: str | None, *, column: str | None = None, owner_column: str | None = None
) -> Iterator[tuple[object, object]]:
    """Run a query, and yield the id and the owner of each row. Rows are fetched some at a time.

    :param sql: the query.
    :param conn_id: the id of the connection. Its hook must be one of Airflow's provider ``common.sql``.
    :param column: the column that holds the ids; by default ``tweet_id``, else ``id_str``, else ``id``, else the only
        column.
    :param owner_column: the column that holds the owners; by default ``owner``, if there is one.
    :return: pairs of an id and an owner. The owner is ``None`` if the row has none.
    :raises InvalidQueryError: if there is no such connection or column, or if a row has no id.
    """
    hook = _hook_of(conn_id)
    with closing(hook.get_conn()) as connection, closing(_cursor(connection)) as cursor:
        cursor.execute(sql)
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        # A cursor on the server knows the columns only after the first rows.
        if cursor.description is None:
            raise InvalidQueryError(FIELD, f"{quoted(sql)} returns no rows", "Pass a query that selects Tweet ids.")
        names = [str(described[0]) for described in cursor.description]
        place, owner_place = _place_of_ids(names, column, owner_column), _place_of_owners(names, owner_column)
        number = 0
        while rows:
            for row in rows:
                number += 1
                if row[place] is None:
                    raise InvalidQueryError(
                        FIELD, f"row {number} of the result has no {names[place]}", "Exclude such rows in the query."
                    )
                yield _exact(row[place]), None if owner_place is None else _exact(row[owner_place])
            rows = cursor.fetchmany(ROWS_AT_ONCE)


def _hook_of(conn_id: str | None) -> Any:
    if not conn_id:
        raise InvalidQueryError("tweet_ids_conn_id", "is not set", "Set the connection of the database.")
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection: Any = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        problem = f"there is no connection {conn_id!r}"
        raise InvalidQueryError("tweet_ids_conn_id", problem, "Create it, or correct the id.") from None
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    hook = connection.get_hook()
    if not isinstance(hook, DbApiHook):
        raise InvalidQueryError(
            "tweet_ids_conn_id",
            f"the connection {conn_id!r} of type {connection.conn_type!r} is not one of a database with SQL",
            "Use a connection whose hook is based on DbApiHook.",
        )
    return hook


def _cursor(connection: Any) -> Any:
    if type(connection).__module__.partition(".")[0] in _SERVER_SIDE and not connection.autocommit:
        return connection.cursor(name="engagement_tweet_ids")
    return connection.cursor()


def _place_of_ids(names: Sequence[str], column: str | None, owner_column: str | None) -> int:
    folded = [name.casefold() for name in names]
    wanted = COLUMNS if column is None else (column.casefold(),)
    for name in wanted:
        if name in folded:
            return folded.index(name)
    owner = (owner_column or OWNER_COLUMN).casefold()
    others = [place for place, name in enumerate(folded) if name != owner]
    if column is None and len(others) == 1:
        return others[0]
    raise InvalidQueryError(
        FIELD,
        f"the result has no column {column or ' or '.join(COLUMNS)}; its columns are {', '.join(map(repr, names))}",
        "Set tweet_ids_column to the column that holds the ids.",
    )


def _place_of_owners(names: Sequence[str], owner_column: str | None) -> int | None:
    folded = [name.casefold() for name in names]
    wanted = (owner_column or OWNER_COLUMN).casefold()
    if wanted in folded:
        return folded.index(wanted)
    if owner_column is None:
        return None
    raise InvalidQueryError(
        FIELD,
        f"the result has no column {owner_column!r}; its columns are {', '.join(map(repr, names))}",
        "Set owner_column to the column that holds the owners.",
    )


def _exact(value: object) -> object:
    """Return a whole number of a decimal column as such, since databases sum and store ids as decimals."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
