"""Tweet ids from a query on a database: SQLite through a hook of the tests, and PostgreSQL through its provider."""

from __future__ import annotations

import json
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook, Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.connections import tweet_id_query
from airflow_provider_engagement.connections.listed_tweets import read_tweets
from airflow_provider_engagement.connections.tweet_id_query import query_tweet_ids
from airflow_provider_engagement.exceptions import (
    InvalidConnectionError,
    InvalidQueryError,
    TweetIdQueryError,
    UnknownConnectionError,
)
from airflow_provider_engagement.inputs.tweet_source import TweetSource, TweetsRule
from airflow_provider_engagement.parameters import FromSql

POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


class SqliteHook(DbApiHook):
    """Connects to a SQLite file."""

    path = Path("not set")

    def __init__(self) -> None:
        """Read no connection."""

    def get_conn(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A SQLite database that the connection ``warehouse`` leads to."""
    monkeypatch.setattr(SqliteHook, "path", tmp_path / "warehouse.db")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "sqlite://")
    monkeypatch.setattr(Connection, "get_hook", lambda self, **options: SqliteHook())
    connection = sqlite3.connect(tmp_path / "warehouse.db")
    connection.execute("CREATE TABLE tweets (tweet_id TEXT, owner TEXT, number INTEGER, ratio REAL)")
    connection.executemany(
        "INSERT INTO tweets VALUES (?, ?, ?, ?)",
        [("101", "7", 101, 1.5), ("102", None, 102, 2.5), ("103", "8", 103, 3.5)],
    )
    connection.commit()
    yield connection
    connection.close()


def test_each_row_is_an_id_with_its_owner(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tweet_id_query, "ROWS_AT_ONCE", 2)

    found = list(query_tweet_ids("SELECT * FROM tweets ORDER BY tweet_id", "warehouse"))

    assert found == [("101", "7"), ("102", None), ("103", "8")]


@pytest.mark.parametrize(
    ("sql", "options", "expected"),
    [
        ("SELECT number AS x FROM tweets WHERE number = 101", {}, [("101", None)]),
        ("SELECT owner, number AS x FROM tweets WHERE number = 101", {}, [("101", "7")]),
        ("SELECT number, tweet_id AS ID_STR FROM tweets WHERE number = 101", {}, [("101", None)]),
        ("SELECT tweet_id, number FROM tweets WHERE number = 101", {"column": "NUMBER"}, [("101", None)]),
        ("SELECT number AS id, tweet_id FROM tweets WHERE number = 101", {"owner_column": "id"}, [("101", "101")]),
        ("SELECT tweet_id FROM tweets WHERE number = 0", {}, []),
    ],
)
def test_the_columns_are_found_by_name(
    database: sqlite3.Connection, sql: str, options: dict[str, str], expected: list[tuple[object, object]]
) -> None:
    assert list(query_tweet_ids(sql, "warehouse", **options)) == expected


@pytest.mark.parametrize(
    ("sql", "options", "message"),
    [
        (
            "SELECT number AS a, ratio AS b FROM tweets",
            {},
            "no column tweet_id, status_id, post_id, id_str or id; its columns are 'a', 'b'",
        ),
        ("SELECT tweet_id FROM tweets", {"column": "tweet"}, "no column 'tweet'; its columns are 'tweet_id'"),
        ("SELECT tweet_id FROM tweets", {"owner_column": "user"}, "no column 'user'; its columns are 'tweet_id'"),
        ("SELECT NULL AS tweet_id", {}, "row 1 of the result: 'tweet_id' is null"),
        ("CREATE TABLE other (x)", {}, "returns no rows"),
    ],
)
def test_a_result_without_ids_is_an_error(
    database: sqlite3.Connection, sql: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        list(query_tweet_ids(sql, "warehouse", **options))


def test_a_connection_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UnknownConnectionError, match=r"Connection nowhere does not exist.*tweets.conn_id"):
        list(query_tweet_ids("SELECT 1", "nowhere"))
    with pytest.raises(InvalidQueryError, match=r"tweets\.conn_id: is not set"):
        list(query_tweet_ids("SELECT 1", None))


def test_a_connection_of_another_kind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "engagement://")
    with pytest.raises(InvalidQueryError, match="'other' of type 'engagement' is not one of a database"):
        list(query_tweet_ids("SELECT 1", "other"))


def test_an_id_that_no_connection_can_have_is_an_error() -> None:
    with pytest.raises(InvalidConnectionError, match=r"'a b'.*is not the id of a connection"):
        list(query_tweet_ids("SELECT 1", "a b"))


def test_a_connection_whose_provider_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "unheardof://")
    problem = "the connection 'other' of type 'unheardof' .* lacks Airflow's provider .* install its provider"
    with pytest.raises(InvalidQueryError, match=problem):
        list(query_tweet_ids("SELECT 1", "other"))


def source_of(**parameters: Any) -> TweetSource:
    """Return where the Tweets of an operator with these parameters come from."""
    return TweetsRule().parse(FromSql(**parameters))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"query": "none"}, "tweets.query: is not set"),
        ({"query": "SELECT tweet_id, ratio AS x FROM tweets", "column": "x"}, "1.5 is a float"),
        ({"query": "SELECT '=1+1' AS tweet_id"}, "'=1\\+1' is not a Tweet id"),
    ],
)
def test_an_operator_reads_the_ids_of_one_column(
    database: sqlite3.Connection, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidQueryError, match=problem):
        read_tweets(source_of(conn_id="warehouse", **options))


def test_an_operator_reads_ids_and_owners_from_a_query(database: sqlite3.Connection) -> None:
    source = source_of(query="SELECT * FROM tweets", conn_id="warehouse")
    assert read_tweets(replace(source, owner="9")) == {"101": "7", "102": "9", "103": "8"}


def test_a_query_without_a_row_is_an_error_of_the_query(database: sqlite3.Connection) -> None:
    source = source_of(query="SELECT tweet_id FROM tweets WHERE 0", conn_id="warehouse")
    with pytest.raises(InvalidQueryError, match="tweets: the result has no rows"):
        read_tweets(source)


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Define the connection ``warehouse`` to PostgreSQL, and return a function that executes SQL there."""
    pytest.importorskip("airflow.providers.postgres.hooks.postgres")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", POSTGRES)
    hook: Any = BaseHook.get_connection("warehouse").get_hook()
    try:
        hook.get_conn().close()
    except Exception:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432")
    return lambda sql: hook.run(sql, autocommit=True)


def test_postgresql_sends_the_rows_in_batches(postgres: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tweet_id_query, "ROWS_AT_ONCE", 1000)
    columns = "(1000000000000000000 + n)::numeric AS tweet_id, 'user_' || (n % 3) AS owner"
    sql = f"SELECT {columns} FROM generate_series(1, 2500) n"

    found = list(query_tweet_ids(sql, "warehouse"))

    assert found == [(str(10**18 + number), f"user_{number % 3}") for number in range(1, 2501)]


def test_a_query_on_postgresql_leaves_no_connection_open(postgres: Callable[[str], None]) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%engagement_tweet_ids%' AND state <> 'idle'"
    others = f"SELECT 100 + ({sessions} AND pid <> pg_backend_pid()) AS tweet_id"
    rows = query_tweet_ids("SELECT n AS tweet_id FROM generate_series(101, 50000) n", "warehouse")

    assert next(rows) == ("101", None)
    assert list(query_tweet_ids(others, "warehouse")) == [("101", None)]
    rows.close()  # type: ignore[attr-defined]
    assert list(query_tweet_ids(others, "warehouse")) == [("100", None)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT tweet_id FROM no_such_table",
        "SELECT no_such_column AS tweet_id",
        "SELEC 1",
        "SELECT 'x'::int AS tweet_id",
        "SELECT no_such_function() AS tweet_id",
    ],
)
def test_a_mistake_in_a_query_on_postgresql_is_permanent(postgres: Callable[[str], None], sql: str) -> None:
    with pytest.raises(InvalidQueryError, match="tweets: the database of the connection warehouse reports: "):
        list(query_tweet_ids(sql, "warehouse"))


def test_a_failure_of_postgresql_is_not_permanent(postgres: Callable[[str], None]) -> None:
    with pytest.raises(TweetIdQueryError, match=r"the database of the connection warehouse failed: .*terminat"):
        list(query_tweet_ids("SELECT pg_terminate_backend(pg_backend_pid())::int + 100 AS tweet_id", "warehouse"))


@pytest.mark.parametrize(
    "sql", ["SELECT tweet_id FROM nowhere", "SELECT x FROM tweets", "SELEC 1", "SELECT (1", "SELECT 1; SELECT 2"]
)
def test_a_mistake_in_a_query_is_permanent(database: sqlite3.Connection, sql: str) -> None:
    with pytest.raises(InvalidQueryError, match="tweets: the database of the connection warehouse reports: "):
        list(query_tweet_ids(sql, "warehouse"))


@pytest.mark.parametrize(
    "password", ["pass canary", "p%C3%A4ss/canary+1", "line one canary\nline two canary", "'canary\"\\"]
)
@pytest.mark.parametrize("form", [str, repr, lambda text: quote(text, safe=""), lambda text: text.replace(" ", "\n  ")])
@pytest.mark.parametrize("kind", ["syntax error", "server closed the connection"])
def test_an_error_of_the_database_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, password: str, form: Callable[[str], str], kind: str
) -> None:
    class FailingHook(SqliteHook):
        def get_conn(self) -> sqlite3.Connection:
            raise RuntimeError(f"{kind}: password={form(password)} token={form('token of ' + password)} " + "x" * 9_000)

    extra = {"options": {"tokens": ["token of " + password]}}
    connection = {"conn_type": "sqlite", "password": password, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    monkeypatch.setattr(Connection, "get_hook", lambda self, **options: FailingHook())
    with pytest.raises((InvalidQueryError, TweetIdQueryError)) as raised:
        list(query_tweet_ids("SELECT 1", "warehouse"))
    shown = "".join(traceback.format_exception(raised.value))
    assert kind in shown
    assert "canary" not in shown.replace(f"{__file__}", "")
    assert len(str(raised.value)) < 1_000


def test_a_provider_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "no-such-type://")
    with pytest.raises(InvalidQueryError, match="install its provider on the workers"):
        list(query_tweet_ids("SELECT 1", "warehouse"))


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1.07e18 AS tweet_id", "row 1 of the result: 1.07e.18 is a float"),
        ("SELECT 101 AS tweet_id UNION SELECT 17", "row 1 of the result: 17 is not a Tweet id: it is smaller than 20"),
        ("SELECT x'3130' AS tweet_id", "row 1 of the result: b'10' is not a Tweet id"),
        ("SELECT 101 AS id, 102 AS id", "the columns 'id', 'id' could all hold the ids"),
        ("SELECT 1 AS id, 1070059276213702656 AS post_id", "the columns 'post_id', 'id' could all hold the ids"),
        (
            "SELECT 101 AS tweet_id, 'Anna Smith' AS owner",
            "'Anna Smith' is not an owner.*Set tweets.owner_column=False",
        ),
    ],
)
def test_a_row_in_doubt_is_an_error_with_its_number(database: sqlite3.Connection, sql: str, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        list(query_tweet_ids(sql, "warehouse"))


def test_an_owner_column_of_a_result_can_be_left_alone(database: sqlite3.Connection) -> None:
    sql = "SELECT 101 AS tweet_id, 'Anna Smith' AS owner"
    assert list(query_tweet_ids(sql, "warehouse", owner_column=False)) == [("101", None)]


def test_an_address_in_a_result_is_its_id(database: sqlite3.Connection) -> None:
    sql = "SELECT 'https://x.com/a/status/1070059276213702656?s=20' AS url"
    assert list(query_tweet_ids(sql, "warehouse")) == [("1070059276213702656", None)]


def test_a_result_has_names_and_needs_no_number(database: sqlite3.Connection) -> None:
    with pytest.raises(InvalidQueryError, match=r"tweets\.column: 1 is a number, but the columns of a result have na"):
        list(query_tweet_ids("SELECT 101 AS tweet_id", "warehouse", column=1))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.integers(20, 2 * 10**18), min_size=1, unique=True), kind=st.sampled_from(["TEXT", "INTEGER"]))
def test_ids_are_read_exactly_as_text_or_integers(database: sqlite3.Connection, ids: list[int], kind: str) -> None:
    rows = " UNION ALL ".join(f"SELECT CAST({number} AS {kind}) AS tweet_id" for number in ids)
    assert [tweet.tweet_id for tweet in query_tweet_ids(rows, "warehouse")] == list(map(str, ids))
