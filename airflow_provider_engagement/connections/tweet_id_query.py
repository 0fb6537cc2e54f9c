"""Tweet ids and owners from a query on a database, through the hook of its Airflow connection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from airflow.sdk.exceptions import AirflowException

from airflow_provider_engagement.connections.airflow_connections import extra_of, find_connection
from airflow_provider_engagement.exceptions import EngagementError, InvalidQueryError, TweetIdQueryError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.inputs.id_columns import IdColumns, parse_id_columns
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.inputs.tweet_id_forms import parse_tweet_id
from airflow_provider_engagement.inputs.tweet_ids import ListedTweet, parse_owner
from airflow_provider_engagement.tweet_id import newest_id_at

FIELD = "tweets"

ROWS_AT_ONCE = 10_000
"""How many rows are fetched from the database at once."""

SHORTEST_SECRET = 8
"""How many characters a value of the connection's extra has at least, if errors are not to show it."""

_STATES_OF_MISTAKES = ("22", "28", "3D", "3F", "42")
"""How the SQLSTATE of an error begins that a retry cannot change: data, credentials, names, and syntax or rights."""

_MISTAKE = re.compile(
    r"no such (table|column|function)|syntax|parse error|does not exist|doesn't exist"
    r"|invalid (identifier|object|column)|unknown (column|table|database|function)|not found: (table|dataset)"
    r"|unrecognized name|no viable alternative"
    r"|(table|view|column)\w* (was )?not[ _]found|unresolved_column|permission denied|access denied|not authorized"
    r"|insufficient privilege|(password )?authentication failed|catalog error|binder error|one statement at a time"
    r"|unable to open database file|file is not a database|incomplete input",
    re.IGNORECASE,
)
"""What databases say if a query or a connection has to be corrected. A retry fails in the same way."""

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
    :raises InvalidConnectionError: if there is no such connection.
    :raises InvalidQueryError: if there is no such table or column, or if a value is not an id beyond doubt. The error
        names the row.
    :raises TweetIdQueryError: if the database fails.
    """
    columns = parse_id_columns(column, owner_column)
    newest = newest_id_at(datetime.now(UTC))
    if not conn_id:
        raise InvalidQueryError("tweets.conn_id", "is not set", "Set the connection of the database.")
    database = find_connection(conn_id, field="tweets.conn_id")
    hook = _hook_of(database)
    with (
        _named_errors(database),
        closing(hook.get_conn()) as connection,
        closing(_cursor(connection)) as cursor,
    ):
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


def _hook_of(connection: Any) -> Any:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    try:
        hook = connection.get_hook()
    except (AirflowException, ImportError):
        hook = None
    if not isinstance(hook, DbApiHook):
        raise InvalidQueryError(
            "tweets.conn_id",
            f"the connection {connection.conn_id!r} of type {connection.conn_type!r} is not one of a database with "
            "SQL, or the worker lacks Airflow's provider for this type",
            "Use a connection whose hook is based on DbApiHook, and install its provider on the workers.",
        )
    return hook


@contextmanager
def _named_errors(database: Any) -> Iterator[None]:
    """Raise an error of the database as one of this package, without what is secret in its connection.

    :raises InvalidQueryError: if the query or the connection has to be corrected first.
    :raises TweetIdQueryError: if anything else fails.
    """
    secrets = _secrets_of(database)
    try:
        yield
    except EngagementError:
        raise
    except Exception as error:
        message = presentable(str(error) or type(error).__name__, secrets)
        # Drivers of PostgreSQL call the SQLSTATE differently. Others have none, or only in the text.
        state = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
        if state.startswith(_STATES_OF_MISTAKES) or (not state and _MISTAKE.search(message)):
            problem = f"the database of the connection {database.conn_id} reports: {message.rstrip('.')}"
            raise InvalidQueryError(FIELD, problem, "Correct the query, or the connection and its rights.") from None
        raise TweetIdQueryError(database.conn_id, message) from None


def _secrets_of(database: Any) -> list[str]:
    """Return the texts of a connection that an error must not show: the password, and what a field of the extra holds.

    Short values, such as the mode of encryption, are words that messages need.
    """
    return [*filter(None, [database.password]), *_long_texts(extra_of(database))]


def _long_texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _long_texts(item)
    elif isinstance(value, str) and len(value) >= SHORTEST_SECRET:
        yield value


def _cursor(connection: Any) -> Any:
    if type(connection).__module__.partition(".")[0] in _SERVER_SIDE and not connection.autocommit:
        return connection.cursor(name="engagement_tweet_ids")
    return connection.cursor()


def _places(names: list[str], columns: IdColumns) -> tuple[int, int | None]:
    """Return the indexes of the columns of the ids and of the owners."""
    if not columns.have_header:
        problem = f"{columns.ids} is a number, but the columns of a result have names"
        raise InvalidQueryError("tweets.column", problem, "Pass the name of the column.")
    place = columns.place_of_ids(names, field=FIELD, source="the result")
    owner_place = columns.place_of_owners(names, field=FIELD, source="the result")
    if place is None and columns.ids is None:
        others = [other for other in range(len(names)) if other != owner_place]
        place = others[0] if len(others) == 1 else None
    if place is None:
        raise columns.not_found(names, field=FIELD, source="the result")
    return place, owner_place
