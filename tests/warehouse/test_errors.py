"""Each failure is an error that says what to do, and leaves the rows of the database as they are."""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from airflow_provider_engagement.exceptions import (
    IncompatibleTableError,
    MissingExtraError,
    WarehouseAccessError,
    WarehouseError,
    WarehouseTableError,
)
from airflow_provider_engagement.warehouse import load as load_module
from airflow_provider_engagement.warehouse.destinations import Target, Warehouse
from airflow_provider_engagement.warehouse.load_errors import named_errors
from airflow_provider_engagement.warehouse.view_names import View

DAY = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER COLUMN favorites TYPE varchar", "favorites is (text|varchar|character varying), not a bigint"),
        ("ALTER COLUMN favorites TYPE integer", r"favorites is (integer|bigint\(32\)), not a bigint"),
        ("ALTER COLUMN favorites TYPE smallint", r"favorites is (smallint|bigint\(16\)), not a bigint"),
        ("ALTER COLUMN favorites TYPE double precision", "favorites is .*, not a bigint"),
        ("ALTER COLUMN fetched_at TYPE varchar", "fetched_at is (text|varchar|character varying), not a timestamp"),
        ("ALTER COLUMN is_final TYPE varchar", "is_final is (text|varchar|character varying), not a boolean"),
        ("DROP COLUMN time_zone", "it has no column time_zone"),
        ("DROP COLUMN _dlt_load_id", "it has no column _dlt_load_id"),
    ],
)
def test_a_changed_column_is_refused_before_a_row_is_changed(database, write_day, load, change, problem) -> None:
    write_day()
    load(database)
    if database.target.warehouse is Warehouse.POSTGRES:
        database.query("DROP INDEX IF EXISTS mart.tweet_metrics_key")
    database.query(f"ALTER TABLE mart.tweet_metrics {change}")
    before = database.query("SELECT * FROM mart.tweet_metrics ORDER BY 1, 2")
    write_day(added=1)

    with pytest.raises(WarehouseTableError, match=problem):
        load(database)

    assert before == database.query("SELECT * FROM mart.tweet_metrics ORDER BY 1, 2")


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("_engagement_partitions RENAME COLUMN files TO digests", "it needs a column files .*, and has no column"),
        ("_engagement_tables RENAME COLUMN table_rows TO n", "it needs a column table_rows .*, and has no column"),
        ("_engagement_tables ALTER COLUMN table_rows TYPE varchar", "a column table_rows of the type BIGINT, and has "),
    ],
)
def test_a_changed_record_is_refused_with_what_to_do_which_helps(
    kind, write_day, load, expected, request, change, problem
) -> None:
    database = request.getfixturevalue(f"make_{kind}")()
    write_day()
    load(database)
    database.query(f"ALTER TABLE mart.{change}")
    rows = write_day(added=1)

    with pytest.raises(WarehouseTableError, match=f"table mart.{change.split()[0]} .*{problem}.*If you drop it"):
        load(database)

    database.query(f"DROP TABLE mart.{change.split()[0]}")
    load(database)
    assert database.rows() == expected(rows)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("time_zone", "varchar(3)"),
        ("owner", "varchar(30)"),
        ("granularity", "character(10)"),
        ("fetched_at", "timestamp(0) with time zone"),
        ("fetched_at", "timestamp without time zone"),
        ("favorites", "numeric(38,0)"),
    ],
)
def test_a_type_that_does_not_hold_each_value_is_refused_by_name(make_postgres, write_day, load, column, kind) -> None:
    database = make_postgres()
    write_day()
    load(database)
    database.query(f"ALTER TABLE mart.tweet_metrics ALTER COLUMN {column} TYPE {kind}")
    write_day(added=1)

    with pytest.raises(WarehouseTableError, match=rf"table mart\.tweet_metrics .*its column {column} is "):
        load(database)


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_view_with_the_columns_of_a_table_is_refused(kind, write_day, load, request) -> None:
    database = request.getfixturevalue(f"make_{kind}")()
    write_day()
    load(database)
    database.query("CREATE SCHEMA other")
    database.query("CREATE TABLE other.rows AS SELECT * FROM mart.tweet_metrics")
    database.query("DROP TABLE mart.tweet_metrics")
    database.query("CREATE VIEW mart.tweet_metrics AS SELECT * FROM other.rows")

    with pytest.raises(WarehouseTableError, match="its column tweet_id is a column of a view"):
        load(database)


@pytest.mark.parametrize(
    "rule",
    [
        "ALTER TABLE mart.tweet_metrics ADD CHECK (favorites < 5000)",
        "CREATE UNIQUE INDEX only_one ON mart.tweet_metrics (favorites) WHERE favorites > 4999",
    ],
)
def test_a_rule_of_your_own_that_the_rows_break_is_named_and_not_retried(make_postgres, write_day, load, rule) -> None:
    database = make_postgres()
    rows = write_day()
    load(database)
    database.query(rule)
    write_day(added=5000)

    with pytest.raises(WarehouseTableError, match="violates"):
        load(database)

    assert len(database.rows()) == len(rows)


@pytest.mark.parametrize(
    "rule",
    [
        """CREATE FUNCTION mart.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER keep BEFORE UPDATE ON mart.tweet_metrics FOR EACH ROW EXECUTE FUNCTION mart.keep()""",
        """CREATE FUNCTION mart.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER keep BEFORE INSERT ON mart.tweet_metrics FOR EACH ROW EXECUTE FUNCTION mart.keep()""",
    ],
    ids=["no row changes", "no row is added"],
)
def test_a_rule_of_your_own_that_keeps_the_old_rows_is_not_taken_for_a_load(
    make_postgres, write_day, load, rule
) -> None:
    database = make_postgres()
    write_day()
    load(database)
    before = database.rows()
    database.query(rule)
    write_day(added=5)
    write_day(DAY + timedelta(days=1))

    for _ in range(2):
        with pytest.raises(WarehouseError, match=r"of 144 rows arrived in the table"):
            load(database)

    assert database.rows() == before


def test_a_table_of_another_user_that_lacks_a_column_is_named_and_not_retried(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database)
    database.query("ALTER TABLE mart.tweet_metrics DROP COLUMN app_opens")
    role = f"engagement_{uuid.uuid4().hex[:12]}"
    database.query(f"CREATE ROLE {role} LOGIN")
    try:
        database.query(f"GRANT ALL ON SCHEMA mart TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA mart TO {role}")
        credentials = {**database.target.settings["credentials"], "username": role}
        database.target = replace(database.target, settings={"credentials": credentials})

        with pytest.raises(WarehouseAccessError, match="must be owner of table tweet_metrics"):
            load(database)
    finally:
        database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_generated_column_is_named_and_not_retried(make_postgres, write_day, load) -> None:
    database = make_postgres()
    write_day()
    load(database)
    database.query("ALTER TABLE mart.tweet_metrics DROP COLUMN app_opens")
    database.query("ALTER TABLE mart.tweet_metrics ADD COLUMN app_opens bigint GENERATED ALWAYS AS (favorites) STORED")
    write_day(added=5)

    with pytest.raises(WarehouseTableError, match='column "app_opens"'):
        load(database)


def test_a_row_that_was_inserted_twice_by_hand_is_named_and_not_retried(make_duckdb, write_day, load) -> None:
    database = make_duckdb()
    write_day()
    load(database)
    database.query("INSERT INTO mart.tweet_metrics SELECT * FROM mart.tweet_metrics LIMIT 1")
    write_day(added=1)

    with pytest.raises(WarehouseTableError, match="rows of it have the same tweet_id, period_start"):
        load(database)


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


def test_a_text_that_the_database_cannot_hold_is_named_and_not_retried(make_postgres, write_day, load) -> None:
    write_day(owner="4\x002")

    with pytest.raises(WarehouseTableError, match="invalid byte sequence"):
        load(make_postgres())


def test_a_view_that_postgresql_rejects_does_not_end_its_transaction(
    make_postgres, write_day, load, monkeypatch, expected
) -> None:
    database = make_postgres()
    rows = write_day()
    found = []

    def rejected(opened, views, target, *, time_zone) -> None:
        found.append(opened.make_view(opened.qualified("something"), "SELECT one FROM nothing"))
        found.append(opened.make_view(opened.qualified("something"), "SELECT 1 AS one"))

    monkeypatch.setattr(load_module, "create_views", rejected)

    load(database, views=[View.ENGAGEMENT_RATES])

    assert "nothing" in found[0]
    assert found[1] is None
    assert database.query("SELECT one FROM mart.something") == [(1,)]
    assert database.rows() == expected(rows)


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
    # Another test of the process may have imported it.
    monkeypatch.delitem(sys.modules, "airflow_provider_engagement.tables.delta_log", raising=False)

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


PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\ncanaryFirstLine\ncanarySecondLine\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("secret", "reported"),
    [
        ("pw  canary", "rejected pw  canary"),
        ("pw  canary", "rejected pw canary"),
        ("p@ss/canary", "postgresql://loader:p%40ss%2Fcanary@db/mart"),
        ("p@ss/canary", "postgresql://loader:p%40ss%2fcanary@db/mart"),
        ("p ss&canary", "password=p+ss%26canary"),
        ("it's\ncanary", f"invalid value {chr(34)}it's\\ncanary{chr(34)}"),
        ("canaré canary", "invalid value 'canar\\xe9 canary'"),
        ("canaré canary", "invalid value b'canar\\xc3\\xa9 canary'"),
        ('say "canary"', 'the settings are {"password": "say \\"canary\\""}'),
        ('say "canary"', "password: say &quot;canary&quot;"),
        (PRIVATE_KEY, f"cannot parse {PRIVATE_KEY}"),
        (PRIVATE_KEY, f"cannot parse {PRIVATE_KEY!r}"),
        (PRIVATE_KEY, "cannot parse the line canarySecondLine"),
        ("canary", "x" * 495 + "canary"),
    ],
)
def test_no_form_of_a_secret_is_in_an_error(secret: str, reported: str) -> None:
    target = Target(warehouse=Warehouse.POSTGRES, schema="mart", name="postgres", settings={}, secrets=(secret,))

    with pytest.raises(WarehouseError) as raised, named_errors(target):
        raise RuntimeError(reported)

    assert "canar" not in str(raised.value)
    assert "***" in str(raised.value)


def test_a_long_error_is_shortened_to_one_line_without_control_characters() -> None:
    target = Target(warehouse=Warehouse.POSTGRES, schema="mart", name="postgres", settings={})

    with pytest.raises(WarehouseError) as raised, named_errors(target):
        raise RuntimeError("first\n\x1b[31msecond\r\n" + "x" * 10_000_000)

    assert len(str(raised.value)) < 700
    assert "first second xxx" in str(raised.value)


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
