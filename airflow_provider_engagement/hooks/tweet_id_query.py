"""Tweet ids and owners from a query on a database, through the hook of its Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_engagement.api.tweet_id import newest_id_at
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.airflow_connections import find_connection
from airflow_provider_engagement.inputs.id_columns import IdColumns, parse_id_columns
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.inputs.tweet_id_forms import parse_tweet_id
from airflow_provider_engagement.inputs.tweet_ids import ListedTweet, parse_owner

FIELD = "tweet_ids_sql"

ROWS_AT_ONCE = 10_000
"""How many rows are fetched from the database at once."""

_SERVER_SIDE = ("psycopg", "psycopg2")
"""Drivers whose cursors hold the whole result on the client unless they have a name."""


def query_tweet_ids(
    sql: str, conn_id: str | None, *, column: object = None, owner_column: object = None
) -> Iterator[ListedTweet]:
    """Run a query, and yield the Tweet of each row with its owner. Rows are fetched some at a time.

    :param sql: the query.
    :param conn_id: the id of the connection. Its hook must be one of Airflow's provider ``common.sql``.
    :param column: the column that holds the ids; by default ``tweet_id``, ``status_id`` or ``post_id``, else
        ``id_str``, else ``id``, else the only column.
    :param owner_column: the column that holds the owners; by default ``owner``, if there is one. ``False`` to read no
        owners.
    :raises InvalidQueryError: if there is no such connection or column, or if a value is not an id beyond doubt. The
        error names the row.
    """
    columns = parse_id_columns(column, owner_column)
    newest = newest_id_at(datetime.now(UTC))
    hook = _hook_of(conn_id)
    with closing(hook.get_conn()) as connection, closing(_cursor(connection)) as cursor:
        cursor.execute(sql)
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        # A cursor on the server knows the columns only after the first rows.
        if cursor.description is None:
            raise InvalidQueryError(FIELD, f"{quoted(sql)} returns no rows", "Pass a query that selects Tweet ids.")
        names = [str(described[0]) for described in cursor.description]
        place, owner_place = _places(names, columns)
        number = 0
        while rows:
            for row in rows:
                number += 1
                try:
                    owner = None if owner_place is None else row[owner_place]
                    yield _tweet_of(names[place], row[place], owner, newest)
                except InvalidQueryError as error:
                    remedy = error.remedy if error.field == FIELD else columns.remedy_of_owner(error.remedy)
                    problem = f"row {number} of the result: {error.problem}"
                    raise InvalidQueryError(FIELD, problem, remedy) from None
            rows = cursor.fetchmany(ROWS_AT_ONCE)


def _tweet_of(name: str, value: object, owner: object, newest: int) -> ListedTweet:
    if value is None:
        raise InvalidQueryError(FIELD, f"{quoted(name)} is null", "Exclude such rows in the query.")
    if isinstance(owner, Decimal) and owner.is_finite() and owner == owner.to_integral_value():
        owner = int(owner)
    return ListedTweet(parse_tweet_id(value, field=FIELD, newest=newest), parse_owner(owner))


def _hook_of(conn_id: str | None) -> Any:
    if not conn_id:
        raise InvalidQueryError("tweet_ids_conn_id", "is not set", "Set the connection of the database.")
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.sdk.exceptions import AirflowException

    connection: Any = find_connection(conn_id, field="tweet_ids_conn_id")
    try:
        hook = connection.get_hook()
    except (AirflowException, ImportError):
        raise InvalidQueryError(
            "tweet_ids_conn_id",
            f"no installed provider has a hook for the connection {conn_id!r} of type {connection.conn_type!r}",
            "Install the provider of the database on the workers, or correct the type of the connection.",
        ) from None
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


def _places(names: list[str], columns: IdColumns) -> tuple[int, int | None]:
    """Return the indexes of the columns of the ids and of the owners."""
    if not columns.have_header:
        problem = f"{columns.ids} is a number, but the columns of a result have names"
        raise InvalidQueryError("tweet_ids_column", problem, "Pass the name of the column.")
    place = columns.place_of_ids(names, field=FIELD, source="the result")
    owner_place = columns.place_of_owners(names, field=FIELD, source="the result")
    if place is None and columns.ids is None:
        others = [other for other in range(len(names)) if other != owner_place]
        place = others[0] if len(others) == 1 else None
    if place is None:
        raise columns.not_found(names, field=FIELD, source="the result")
    return place, owner_place
