"""What a load does to the tables of a real database. The rows are compared with those that the tests wrote to files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyarrow import parquet

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.delta_table import DeltaMergedTable
from airflow_provider_engagement.tables.tables import TWEET_METRICS
from airflow_provider_engagement.warehouse.load import load_dataset

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
    write_rows("tweet_metrics/hour/partition_date=2026-01-06/rows.parquet", "tweet_metrics", rows)

    report = load(database)

    assert numbers(report) == (24, 24, 24, 1, 1)
    assert database.rows() == expected(unchanged + rows)
    assert sorted(written) == sorted(
        database.query("SELECT tweet_id, _dlt_load_id FROM mart.tweet_metrics WHERE period_start < '2026-01-06'")
    )


def test_a_partition_with_the_same_rows_changes_nothing(database, write_day, load, expected, numbers) -> None:
    write_day()
    load(database)
    rows = write_day()

    report = load(database)

    assert numbers(report) == (0, 0, 72, 1, 0)
    assert database.rows() == expected(rows)


def test_rows_of_a_partition_that_the_dataset_does_not_have_any_more_stay(
    database, dataset, write_day, load, expected, numbers
) -> None:
    rows = write_day() + write_day(NEXT_DAY)
    load(database)
    (dataset / "tweet_metrics/hour/partition_date=2026-01-05/rows.parquet").unlink()

    report = load(database)

    assert numbers(report) == (0, 0, 0, 0, 1)
    assert database.rows() == expected(rows)


@pytest.mark.parametrize("gone", ["DROP TABLE mart.tweet_metrics", "DELETE FROM mart.tweet_metrics"])
def test_a_table_that_is_dropped_or_emptied_is_loaded_again(database, write_day, load, expected, numbers, gone) -> None:
    rows = write_day() + write_day(NEXT_DAY)
    load(database)
    database.query(gone)

    report = load(database)

    assert numbers(report) == (144, 0, 0, 2, 0)
    assert database.rows() == expected(rows)


def test_another_database_gets_all_rows(make_duckdb, write_day, load, expected) -> None:
    rows = write_day()
    first, second = make_duckdb("first"), make_duckdb("second")
    load(first)

    load(second)

    assert second.rows() == first.rows() == expected(rows)


def test_a_column_that_the_table_does_not_have_yet_is_added_with_its_values(
    database, write_day, load, expected, numbers
) -> None:
    rows = write_day()
    load(database)
    # As if an earlier version of this package, which did not know the metric, had loaded the rows.
    database.query("ALTER TABLE mart.tweet_metrics DROP COLUMN impressions")

    report = load(database)

    # The impressions of one hour are null.
    assert numbers(report) == (0, 69, 3, 1, 0)
    assert database.rows() == expected(rows)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_every_file_format_is_loaded(database, write_day, load, expected, suffix) -> None:
    rows = write_day(suffix=suffix, older_counts='{"favorites":"2026-01-12T09:30:15.250Z"}')

    load(database)

    assert database.rows() == expected(rows)


def test_a_partition_that_is_being_converted_to_another_format_is_merged(
    database, write_day, load, expected, numbers
) -> None:
    # The run that converts it was killed between the new file and the removal of the old one.
    write_day(suffix="csv", favorites=5, fetched_at=DAY + timedelta(days=1))
    rows = write_day(suffix="parquet", favorites=7, fetched_at=DAY + timedelta(days=2))

    report = load(database)

    assert database.rows() == expected(rows)
    assert numbers(report) == (72, 0, 0, 1, 0)


def test_all_granularities_are_in_one_table(database, write_rows, write_day, load, expected) -> None:
    by_hour = write_day()
    by_day = [{**by_hour[0], "period_end": NEXT_DAY, "granularity": "day", "favorites": 99}]
    write_rows("tweet_metrics/day/partition_date=2026-01-01/rows.parquet", "tweet_metrics", by_day)

    load(database)

    assert database.rows() == expected(by_hour + by_day)


def snapshot(tweet_id: str, favorites: int, *, fetched_at: datetime = SNAPSHOT, at: datetime = SNAPSHOT) -> dict:
    return {
        "tweet_id": tweet_id,
        "snapshot_at": at,
        "auth": "app",
        "fetched_at": fetched_at,
        "favorites": favorites,
    }


def test_of_two_tasks_with_the_same_tweet_and_snapshot_the_newest_count_is_loaded(
    database, write_rows, load, expected, numbers
) -> None:
    newer = snapshot("1", 8, fetched_at=SNAPSHOT + timedelta(minutes=5))
    write_rows("tweet_totals/snapshot_date=2026-01-12/first.parquet", "tweet_totals", [newer, snapshot("2", 3)])
    load(database)
    # A task that was waiting for the rate limit publishes later what it read earlier.
    write_rows("tweet_totals/snapshot_date=2026-01-12/second.parquet", "tweet_totals", [snapshot("1", 7)])

    report = load(database)

    assert database.rows("tweet_totals") == expected([newer, snapshot("2", 3)], "tweet_totals")
    assert numbers(report, "tweet_totals") == (0, 0, 2, 1, 0)


def window(tweet_id: str, outcome: str, run_id: str) -> dict:
    return {
        "tweet_id": tweet_id,
        "window_start": DAY,
        "window_end": NEXT_DAY,
        "granularity": "hour",
        "time_zone": "UTC",
        "run_id": run_id,
        "task": "dag.task",
        "metrics": "favorites",
        "outcome": outcome,
        "fetched_at": SNAPSHOT,
    }


def test_the_coverage_of_every_run_is_loaded(database, write_rows, load, expected, numbers) -> None:
    first = window("1", "ok", "first")
    write_rows("coverage/run_date=2026-01-05/first.parquet", "coverage", [first])
    load(database)
    second = [window("1", "no_data", "second"), window("2", "ok", "second")]
    write_rows("coverage/run_date=2026-01-04/second.parquet", "coverage", second)

    report = load(database)

    assert database.rows("coverage") == expected([first, *second], "coverage")
    assert numbers(report, "coverage") == (2, 0, 0, 1, 1)


def test_delta_tables_are_loaded_by_the_files_that_changed_between_versions(
    database, dataset, hours, load, expected, numbers
) -> None:
    def publish(rows: list[dict]) -> None:
        table = DeltaMergedTable(
            dataset / "tweet_metrics/hour",
            table=TWEET_METRICS,
            partition_of=lambda time: f"partition_date={time:%Y-%m-%d}",
        )
        table.stage(columns_to_table(TWEET_METRICS, {name: [row[name] for row in rows] for name in rows[0]}))
        table.publish()

    publish(hours(DAY) + hours(NEXT_DAY))
    first = load(database)
    changed = hours(NEXT_DAY, added=1, fetched_at=SNAPSHOT)
    publish(changed)

    second = load(database)

    assert numbers(first) == (144, 0, 0, 2, 0)
    assert numbers(second) == (0, 72, 0, 1, 1)
    versions = [report["tables"]["tweet_metrics"]["versions"]["tweet_metrics/hour"] for report in (first, second)]
    assert versions[0] < versions[1]
    assert database.rows() == expected(hours(DAY) + changed)


def test_texts_that_look_like_sql_or_formulas_are_loaded_as_they_are(database, write_rows, load, expected) -> None:
    texts = ["'); DROP TABLE tweet_status; --", "=1+1", 'a "quote", a comma,\nand a line', "\\N", "null", "%s {x}"]
    texts += ["a\n\\.\nb", "\\.", "", " ", "\t\r", "é 👍🏽", "{}"]
    rows = [
        {"tweet_id": text, "run_id": f"manual__{text}", "task": "dag.task", "message": text, "checked_at": SNAPSHOT}
        for text in texts
    ]
    write_rows("tweet_status/run_date=2026-01-12/dag.task.parquet", "tweet_status", rows)

    load(database)

    assert database.rows("tweet_status") == expected(rows, "tweet_status")


def test_restated_counts_of_several_runs_are_loaded_once(database, write_rows, load, expected) -> None:
    row = {
        "tweet_id": "1",
        "period_start": DAY,
        "period_end": NEXT_DAY,
        "granularity": "day",
        "time_zone": "UTC",
        "metric": "favorites",
        "new_fetched_at": SNAPSHOT,
        "old_value": None,
        "new_value": 3,
        "old_fetched_at": DAY,
    }
    write_rows("restatements/run_date=2026-01-05/first.parquet", "restatements", [row])
    write_rows("restatements/run_date=2026-01-06/second.parquet", "restatements", [row])

    load(database)

    assert database.rows("restatements") == expected([row], "restatements")


def test_the_coverage_of_each_list_of_metrics_and_time_zone_is_kept(database, write_rows, load, expected) -> None:
    rows = [
        {**window("1", "ok", f"{zone} {metrics}"), "granularity": "day", "time_zone": zone, "metrics": metrics}
        for zone in ("UTC", "Europe/Berlin")
        for metrics in ("favorites", "favorites,impressions")
    ]
    for number, row in enumerate(rows):
        write_rows(f"coverage/run_date=2026-01-05/{number}.parquet", "coverage", [row])

    load(database)

    assert database.rows("coverage") == expected(rows, "coverage")


def test_two_tasks_with_other_metrics_of_the_same_snapshot_complete_each_other(
    database, write_rows, load, expected
) -> None:
    first = snapshot("1", 7) | {"retweets": None}
    second = snapshot("1", 0, fetched_at=SNAPSHOT + timedelta(minutes=5)) | {"favorites": None, "retweets": 3}
    write_rows("tweet_totals/snapshot_date=2026-01-12/first.parquet", "tweet_totals", [first])
    write_rows("tweet_totals/snapshot_date=2026-01-12/second.parquet", "tweet_totals", [second])

    load(database)

    older = '{"favorites":"2026-01-12T09:00:00.000Z"}'
    assert database.rows("tweet_totals") == expected([second | {"favorites": 7, "older_counts": older}], "tweet_totals")


def test_a_table_without_rows_is_recorded_and_not_loaded_again(
    database, write_rows, write_day, dataset, load, numbers
) -> None:
    write_day()
    path = dataset / "tweet_metrics/hour/partition_date=2026-01-05/rows.parquet"
    parquet.write_table(parquet.read_table(path).slice(0, 0), path)
    (dataset / "restatements").mkdir()

    first, second = load(database), load(database)

    assert numbers(first) == (0, 0, 0, 1, 0)
    assert numbers(second) == (0, 0, 0, 0, 1)
    assert numbers(second, "restatements") == (0, 0, 0, 0, 0)
    assert database.rows("restatements") == {}


def test_rows_that_are_gone_are_found_and_loaded_again(database, write_day, load, expected, numbers, caplog) -> None:
    rows = write_day() + write_day(NEXT_DAY)
    load(database)
    database.query("DELETE FROM mart.tweet_metrics WHERE tweet_id = '1070059276213702656' AND favorites > 100")
    gone = len(rows) - len(database.rows())

    report = load(database)

    assert 0 < gone < 144
    assert numbers(report) == (gone, 0, 144 - gone, 2, 0)
    assert database.rows() == expected(rows)
    assert f"tweet_metrics has lost {gone} rows" in caplog.text
    assert numbers(load(database)) == (0, 0, 0, 0, 2)


def test_a_full_refresh_brings_back_what_was_deleted_or_edited(database, write_day, load, expected, numbers) -> None:
    rows = write_day()
    load(database)
    database.query("UPDATE mart.tweet_metrics SET favorites = -9, owner = 'nobody' WHERE favorites > 100")
    database.query("DELETE FROM mart.tweet_metrics WHERE tweet_id = '1021817816134156288'")
    database.query("INSERT INTO mart.tweet_metrics SELECT * FROM mart.tweet_metrics WHERE false")

    report = load(database, full_refresh=True)

    assert database.rows() == expected(rows)
    assert numbers(report)[0] == 24
    assert numbers(load(database, full_refresh=True)) == (0, 0, 72, 1, 0)


def test_a_dataset_that_shares_a_table_that_was_dropped_is_loaded_again_too(
    make_duckdb, hours, write_to, expected, tmp_path
) -> None:
    database = make_duckdb()
    rows = {name: hours(DAY, tweets=(name,)) for name in ("1", "2")}

    def load(name: str) -> None:
        load_dataset(
            tmp_path / name,
            tables=["tweet_metrics"],
            target=database.target,
            address_of=local_address,
            lock_timeout=0.0,
        )

    for name in rows:
        write_to(tmp_path / name, rows[name])
        load(name)
    database.query("DROP TABLE mart.tweet_metrics")

    load("1")
    load("2")

    assert database.rows() == expected(rows["1"] + rows["2"])


def test_an_owner_who_was_requested_several_times_has_several_rows(database, write_rows, load, expected) -> None:
    def requested(minutes: int, tweets: int) -> dict:
        return {
            "owner": "42",
            "run_id": "run",
            "task": "dag.task",
            "requested_at": SNAPSHOT + timedelta(minutes=minutes),
            "endpoint": "totals",
            "tweets": tweets,
        }

    rows = [requested(0, 3), requested(5, 4)]
    write_rows("owner_ledger/month=2026-01/first.parquet", "owner_ledger", rows[:1])
    load(database)
    write_rows("owner_ledger/month=2026-01/first.parquet", "owner_ledger", rows)
    load(database)
    corrected = [rows[0], requested(5, 6)]
    write_rows("owner_ledger/month=2026-01/first.parquet", "owner_ledger", corrected)

    load(database)

    assert database.rows("owner_ledger") == expected(corrected, "owner_ledger")
