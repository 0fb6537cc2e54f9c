"""Each failure is an error that says what to do, and leaves the rows of the database as they are."""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob

from airflow_provider_engagement.exceptions import (
    IncompatibleTableError,
    MissingExtraError,
    WarehouseAccessError,
    WarehouseError,
    WarehouseTableError,
)
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load_errors import named_errors, without_secrets

DAY = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE mart.tweet_metrics ALTER COLUMN favorites TYPE varchar", "favorites is text, not bigint"),
        ("ALTER TABLE mart.tweet_metrics ALTER COLUMN fetched_at TYPE varchar", "fetched_at is text, not timestamp"),
        ("ALTER TABLE mart.tweet_metrics DROP COLUMN time_zone", "it has no column time_zone"),
    ],
)
def test_a_changed_column_is_refused_before_a_row_is_changed(database, write_day, load, change, problem) -> None:
    write_day()
    load(database)
    database.query(change)
    before = database.query("SELECT tweet_id, favorites, _dlt_load_id FROM mart.tweet_metrics ORDER BY 1, 2, 3")
    write_day(added=1)

    with pytest.raises(WarehouseTableError, match=problem):
        load(database)

    assert before == database.query("SELECT tweet_id, favorites, _dlt_load_id FROM mart.tweet_metrics ORDER BY 1, 2, 3")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("CREATE TABLE mart.tweet_metrics (a integer)", "it has no column tweet_id"),
        ("CREATE VIEW mart.tweet_metrics AS SELECT 1 AS a", "it has no column tweet_id"),
    ],
)
def test_another_table_of_the_same_name_is_refused(database, write_day, load, table, problem) -> None:
    write_day()
    database.query("CREATE SCHEMA mart")
    database.query(table)

    with pytest.raises(WarehouseTableError, match=problem):
        load(database)


def test_a_column_that_the_rows_cannot_fill_is_refused(database, write_day, load) -> None:
    write_day()
    load(database)
    database.query("ALTER TABLE mart.tweet_metrics ADD COLUMN mine integer DEFAULT 1")
    database.query("ALTER TABLE mart.tweet_metrics ALTER COLUMN mine SET NOT NULL")
    write_day(added=1)

    with pytest.raises(WarehouseTableError, match="its column mine must not be null"):
        load(database)


def test_a_column_of_your_own_that_can_be_null_stays(database, write_day, load, numbers) -> None:
    write_day()
    load(database)
    database.query("ALTER TABLE mart.tweet_metrics ADD COLUMN mine integer")
    database.query("UPDATE mart.tweet_metrics SET mine = 7")
    write_day(added=1)

    assert numbers(load(database)) == (0, 72, 0, 1, 0)
    assert database.query("SELECT DISTINCT mine FROM mart.tweet_metrics") == [(7,)]


def test_a_file_of_another_shape_is_refused(database, dataset, write_day, load, expected) -> None:
    rows = write_day()
    load(database)
    path = dataset / "tweet_metrics/hour/partition_date=2026-01-06/rows.csv"
    path.parent.mkdir()
    path.write_text('"tweet_id","favorites"\n"1","many"\n')

    with pytest.raises(IncompatibleTableError, match=r"partition_date=2026-01-06/rows\.csv"):
        load(database)

    assert database.rows() == expected(rows)


def test_a_read_only_database_is_named(make_postgres, write_day, load) -> None:
    database = make_postgres()
    name = database.target.settings["credentials"]["database"]
    database.query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    write_day()

    with pytest.raises(WarehouseAccessError, match="read-only transaction"):
        load(database)


def test_a_user_who_cannot_create_a_schema_is_named(make_postgres, write_day, load) -> None:
    role = f"engagement_{uuid.uuid4().hex[:8]}"
    database = make_postgres(username=role)
    database.query(f"CREATE ROLE {role} LOGIN")
    write_day()

    try:
        with pytest.raises(WarehouseAccessError, match="permission denied"):
            load(database)
    finally:
        database.query(f"DROP ROLE {role}")


def test_a_user_who_does_not_exist_is_named(make_postgres, write_day, load) -> None:
    write_day()

    with pytest.raises(WarehouseAccessError, match='role "nobody_here" does not exist'):
        load(make_postgres(username="nobody_here"))


def test_a_file_that_cannot_be_written_is_named(make_duckdb, write_day, load) -> None:
    database = make_duckdb()
    # No process can create files there.
    database.target = replace(database.target, settings={"credentials": "/proc/warehouse.duckdb"})
    write_day()

    with pytest.raises(WarehouseAccessError, match=r"/proc/warehouse\.duckdb"):
        load(database)


def test_a_file_that_is_no_database_is_named(make_duckdb, write_day, load, tmp_path) -> None:
    (tmp_path / "warehouse.duckdb").write_text("this is not a database, but a text\n" * 1000)
    write_day()

    with pytest.raises(WarehouseAccessError, match="not a valid DuckDB database"):
        load(make_duckdb())


def test_a_server_that_does_not_listen_is_worth_a_retry(make_postgres, write_day, load) -> None:
    write_day()

    with pytest.raises(WarehouseError, match="refused"):
        load(make_postgres(port=1))


def test_a_connection_that_is_dropped_in_the_middle_leaves_the_old_rows(
    make_postgres, write_day, load, expected, monkeypatch
) -> None:
    database = make_postgres()
    old = write_day()
    load(database)
    write_day(added=1)
    run = PostgresCsvCopyJob.run

    def interrupted(self) -> None:
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        run(self)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresCsvCopyJob, "run", interrupted)
        with pytest.raises(WarehouseError):
            load(database)

    assert database.rows() == expected(old)
    new = write_day(added=1)
    load(database)
    assert database.rows() == expected(new)


def test_a_missing_package_is_named_with_what_to_install(write_day, make_duckdb, load) -> None:
    database = make_duckdb()
    credentials = {"host": "account", "username": "loader", "password": "canary", "database": "mart"}
    database.target = Target(
        warehouse=Warehouse.SNOWFLAKE, schema="mart", name="snowflake", settings={"credentials": credentials}
    )
    write_day()

    with pytest.raises(MissingExtraError, match=r"pip install 'dlt\[snowflake\]'"):
        load(database)


def test_the_extra_for_delta_tables_is_named(make_duckdb, dataset, write_day, load, monkeypatch) -> None:
    write_day()
    (dataset / "tweet_metrics/hour/_delta_log").mkdir()
    monkeypatch.setitem(sys.modules, "deltalake", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'airflow-provider-engagement\[delta\]'"):
        load(make_duckdb())


def test_a_password_is_not_in_an_error() -> None:
    target = Target(
        warehouse=Warehouse.POSTGRES, schema="mart", name="postgres", settings={}, secrets=("canary-password",)
    )

    with pytest.raises(WarehouseError) as raised, named_errors(target):
        raise RuntimeError("cannot open postgresql://loader:canary-password@db/mart")

    assert "canary-password" not in str(raised.value)
    assert "postgresql://loader:***@db/mart" in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("reported", "sentence"),
    [
        (
            "Is the server running and accepting connections?",
            "Is the server running and accepting connections? A retry",
        ),
        ("The server closed the connection.", "The server closed the connection. A retry"),
        ("connection reset", "connection reset. A retry"),
    ],
)
def test_what_a_database_reports_ends_with_one_punctuation_mark(reported, sentence) -> None:
    target = Target(warehouse=Warehouse.POSTGRES, schema="mart", name="postgres", settings={})

    with pytest.raises(WarehouseError) as raised, named_errors(target):
        raise RuntimeError(reported)

    assert f"failed: {sentence}" in str(raised.value)


def test_without_secrets_leaves_other_texts_alone() -> None:
    assert without_secrets("nothing here", ("", "canary")) == "nothing here"


def test_a_file_that_another_program_has_open_is_waited_for_and_then_named(
    make_duckdb, write_day, load, open_in_another_process
) -> None:
    database = make_duckdb()
    write_day()

    with open_in_another_process(database), pytest.raises(WarehouseError, match="another process has the file open"):
        load(database, lock_timeout=0.1)


def test_a_lock_of_another_task_is_waited_for_and_then_named(make_postgres, write_day, load, expected) -> None:
    database = make_postgres()
    rows = write_day()
    name = database.target.settings["credentials"]["database"]
    other = psycopg2.connect(host="127.0.0.1", user="postgres", dbname=name)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('airflow-provider-engagement:mart', 0))")

    with pytest.raises(WarehouseError, match="another task loads into the same schema"):
        load(database, lock_timeout=0.1)
    other.close()
    load(database, lock_timeout=10)

    assert database.rows() == expected(rows)
