"""What a load does to the tables of a real database. The rows are compared with those that the tests wrote to files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DAY = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
SNAPSHOT = datetime(2026, 1, 12, 9, tzinfo=UTC)


def test_the_first_load_writes_every_row_as_it_is_in_the_files(database, write_day, load, expected, numbers) -> None:
    rows = write_day() + write_day(NEXT_DAY)

    report = load(database)

    assert database.rows() == expected(rows)
    assert numbers(report) == (144, 0, 0, 2, 0)


def test_a_second_load_reads_nothing_and_changes_nothing(database, write_day, load, expected, numbers) -> None:
    rows = write_day()
    load(database)

    report = load(database)

    assert numbers(report) == (0, 0, 0, 0, 1)
    assert database.rows() == expected(rows)


def test_only_the_changed_partition_is_loaded_and_its_rows_are_counted(
    database, write_day, write_rows, hours, load, expected, numbers
) -> None:
    unchanged = write_day()
    write_day(NEXT_DAY, tweets=("1", "2"))
    load(database)
    written = database.query("SELECT tweet_id, _dlt_load_id FROM mart.tweet_metrics WHERE period_start < '2026-01-06'")
    # Of Tweet 1 each hour changes, of Tweet 2 none, and Tweet 3 is new.
    rows = hours(NEXT_DAY, tweets=("1",), added=1) + hours(NEXT_DAY, tweets=("2", "3"))
    write_rows("tweet_metrics/hour/period_date=2026-01-06/rows.parquet", "tweet_metrics", rows)

    report = load(database)

    assert numbers(report) == (24, 24, 24, 1, 1)
    assert database.rows() == expected(unchanged + rows)
    assert sorted(written) == sorted(
        database.query("SELECT tweet_id, _dlt_load_id FROM mart.tweet_metrics WHERE period_start < '2026-01-06'")
    )
