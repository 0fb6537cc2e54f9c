"""Delta Lake tables: each pull is one commit, concurrent writers lose no row, and the newest count is kept."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow
import pytest
from deltalake import DeltaTable, QueryBuilder, Schema, TableFeatures
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import ConflictError, IncompatibleTableError, StorageError
from airflow_provider_engagement.storage.table_options import StorageOptions
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.delta_log import DeltaLog, data_files, storage_errors
from airflow_provider_engagement.tables.delta_table import DeltaMergedTable
from airflow_provider_engagement.tables.tables import TWEET_METRICS, TWEET_TOTALS

DAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
FETCHED_AT = datetime(2026, 2, 1, 9, 30, 15, 250_000, UTC)

Counts = dict[tuple[str, datetime], int | None]
"""The impressions of a Tweet and hour."""


def by_date(time: datetime) -> str:
    return f"partition_date={time:%Y-%m-%d}"


def rows_of(counts: Counts, *, fetched_at: datetime = FETCHED_AT) -> pyarrow.Table:
    number = len(counts)
    return columns_to_table(
        TWEET_METRICS,
        {
            "tweet_id": [tweet_id for tweet_id, _ in counts],
            "period_start": [hour for _, hour in counts],
            "period_end": [hour + HOUR for _, hour in counts],
            "granularity": ["hour"] * number,
            "time_zone": ["UTC"] * number,
            "fetched_at": [fetched_at] * number,
            "impressions": list(counts.values()),
        },
    )


def staged(folder: Path, counts: Counts, *, fetched_at: datetime = FETCHED_AT, **options: Any) -> DeltaMergedTable:
    options = {"sleep": lambda seconds: None} | options
    table = DeltaMergedTable(folder, table=TWEET_METRICS, partition_of=by_date, **options)
    table.stage(rows_of(counts, fetched_at=fetched_at))
    return table


def publish(folder: Path, counts: Counts, **options: Any) -> DeltaMergedTable:
    table = staged(folder, counts, **options)
    table.publish()
    return table


def read(folder: Path, *columns: str) -> list[dict[str, Any]]:
    """Return rows as an independent reader sees them."""
    rows: list[dict[str, Any]] = polars.read_delta(str(folder), columns=list(columns) or None).to_dicts()
    return rows


def counts_in(folder: Path) -> Counts:
    rows = read(folder, "tweet_id", "period_start", "impressions")
    counts = {(row["tweet_id"], row["period_start"]): row["impressions"] for row in rows}
    assert len(counts) == len(rows), "a key occurs twice"
    return counts


def version_of(folder: Path) -> int:
    return DeltaTable(folder).version()


def hours(tweet_id: str, count: int | None, *, days: int = 1) -> Counts:
    """Return the same count for two hours of each day."""
    return {(tweet_id, DAY + (24 * day + hour) * HOUR): count for day in range(days) for hour in (6, 23)}


def test_a_pull_is_one_commit_whatever_the_number_of_partitions(tmp_path: Path) -> None:
    table = staged(tmp_path, hours("1", 5, days=3))
    assert table.rows == 6
    assert table.publish() == [f"partition_date=2026-01-0{day}" for day in (5, 6, 7)]
    assert counts_in(tmp_path) == hours("1", 5, days=3)
    created, committed = 0, 1
    assert (table.version, version_of(tmp_path)) == (committed, committed)
    assert [entry["version"] for entry in DeltaTable(tmp_path).history()] == [committed, created]


def test_the_partition_is_a_column(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5, days=2))
    assert {row["partition_date"] for row in read(tmp_path, "partition_date")} == {date(2026, 1, 5), date(2026, 1, 6)}
    assert DeltaTable(tmp_path).metadata().partition_columns == ["partition_date"]


def test_a_rerun_replaces_its_rows_and_keeps_all_others(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5, days=2) | hours("2", 6, days=2))
    publish(tmp_path, hours("1", 7), fetched_at=FETCHED_AT + HOUR)
    assert counts_in(tmp_path) == hours("1", 5, days=2) | hours("2", 6, days=2) | hours("1", 7)


def test_a_rerun_with_the_same_rows_commits_nothing(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5, days=2) | hours("2", None))
    files = sorted(tmp_path.rglob("*.parquet"))
    assert publish(tmp_path, hours("1", 5, days=2)).version == 1
    assert version_of(tmp_path) == 1
    assert sorted(tmp_path.rglob("*.parquet")) == files


def test_a_partition_without_new_rows_keeps_its_file(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5, days=2))
    before = set(DeltaTable(tmp_path).file_uris())
    publish(tmp_path, hours("1", 7), fetched_at=FETCHED_AT + HOUR)
    (kept,) = before & set(DeltaTable(tmp_path).file_uris())
    assert "partition_date=2026-01-06" in kept


def test_neither_an_older_count_nor_a_newer_null_replaces_a_count(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5))
    publish(tmp_path, hours("1", None), fetched_at=FETCHED_AT + HOUR)
    publish(tmp_path, hours("1", 9), fetched_at=FETCHED_AT - HOUR)
    assert counts_in(tmp_path) == hours("1", 5)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from("123"), st.integers(0, 30)), st.none() | st.integers(0, 2**63 - 1)),
        max_size=4,
    )
)
def test_the_newest_known_count_of_each_key_is_kept(
    tmp_path_factory: pytest.TempPathFactory, responses: list[dict[tuple[str, int], int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    expected: Counts = {}
    for number, response in enumerate(responses):
        counts = {(tweet_id, DAY + hour * HOUR): count for (tweet_id, hour), count in response.items()}
        publish(folder, counts, fetched_at=FETCHED_AT + number * HOUR)
        expected |= {key: count for key, count in counts.items() if count is not None or key not in expected}
    assert (counts_in(folder) if any(responses) else {}) == expected


def test_totals_are_partitioned_by_the_date_of_the_snapshot(tmp_path: Path) -> None:
    table = DeltaMergedTable(
        tmp_path, table=TWEET_TOTALS, partition_of=lambda snapshot_at: f"snapshot_date={snapshot_at:%Y-%m-%d}"
    )
    snapshot: dict[str, list[object]] = {"tweet_id": ["1"], "snapshot_at": [DAY], "auth": ["user"], "favorites": [3]}
    table.stage(columns_to_table(TWEET_TOTALS, snapshot | {"fetched_at": [FETCHED_AT]}))
    table.publish()
    (row,) = read(tmp_path)
    assert (row["snapshot_at"], row["snapshot_date"], row["favorites"]) == (DAY, date(2026, 1, 5), 3)


def test_discarded_rows_leave_nothing(tmp_path: Path) -> None:
    staged(tmp_path, hours("1", 5)).discard()
    assert list(tmp_path.iterdir()) == []


# Several writers


@pytest.fixture
def before_first_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Calls a function after the first writer has merged its rows, and before it commits them."""

    def install(interrupt: Callable[[], object]) -> None:
        commit, pending = DeltaLog.commit, [interrupt]

        def interrupted(log: DeltaLog, **change: Any) -> bool:
            if pending:
                pending.pop()()
            return commit(log, **change)

        monkeypatch.setattr(DeltaLog, "commit", interrupted)

    return install


def test_a_writer_merges_again_what_another_writer_committed_first(
    tmp_path: Path, before_first_commit: Callable[[Callable[[], object]], None]
) -> None:
    publish(tmp_path, hours("1", 5, days=2))
    before_first_commit(lambda: publish(tmp_path, hours("2", 6)))
    table = publish(tmp_path, hours("3", 7, days=2))
    assert counts_in(tmp_path) == hours("1", 5, days=2) | hours("2", 6) | hours("3", 7, days=2)
    assert table.version == 3


def test_a_conflict_leaves_no_file_without_a_commit(
    tmp_path: Path, before_first_commit: Callable[[Callable[[], object]], None]
) -> None:
    before_first_commit(lambda: publish(tmp_path, hours("2", 6)))
    publish(tmp_path, hours("3", 7, days=2))
    table = DeltaTable(tmp_path)
    replaced = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=True)
    assert len(list(tmp_path.rglob("*.parquet"))) == len(table.file_uris()) + len(replaced) == 2 + 1


def test_the_first_writers_of_a_table_both_add_their_rows(
    tmp_path: Path, before_first_commit: Callable[[Callable[[], object]], None]
) -> None:
    before_first_commit(lambda: publish(tmp_path, hours("2", 6)))
    publish(tmp_path, hours("1", 5))
    assert counts_in(tmp_path) == hours("1", 5) | hours("2", 6)


def test_the_first_writers_of_a_partition_leave_one_row_for_each_key(
    tmp_path: Path, before_first_commit: Callable[[Callable[[], object]], None]
) -> None:
    before_first_commit(lambda: publish(tmp_path, hours("1", 6), fetched_at=FETCHED_AT + HOUR))
    publish(tmp_path, hours("1", 5))
    assert counts_in(tmp_path) == hours("1", 6)


def test_restatements_compare_with_the_rows_that_are_replaced(
    tmp_path: Path, before_first_commit: Callable[[Callable[[], object]], None]
) -> None:
    compared: list[tuple[list[int | None], list[int | None]]] = []

    def compare(before: pyarrow.Table, after: pyarrow.Table) -> None:
        compared.append((before["impressions"].to_pylist(), after["impressions"].to_pylist()))

    publish(tmp_path, hours("1", 5))
    before_first_commit(lambda: publish(tmp_path, hours("1", 6), fetched_at=FETCHED_AT + HOUR))
    publish(tmp_path, hours("1", 7), fetched_at=FETCHED_AT + 2 * HOUR, on_change=compare)
    assert compared[-1] == ([6, 6], [7, 7])


def test_a_commit_whose_response_is_lost_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, hours("1", 5))
    commit = DeltaTable.create_write_transaction

    def lose_response(table: DeltaTable, *arguments: Any, **options: Any) -> None:
        commit(table, *arguments, **options)
        raise CommitFailedError("the version exists already")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lose_response)
    table = publish(tmp_path, hours("2", 6))
    assert (table.version, version_of(tmp_path)) == (2, 2)
    assert counts_in(tmp_path) == hours("1", 5) | hours("2", 6)


def test_a_commit_that_the_storage_refuses_is_not_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, hours("1", 5))

    def refuse(*arguments: Any, **options: Any) -> None:
        raise CommitFailedError("access denied")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", refuse)
    with pytest.raises(StorageError, match=r"access denied.*Check the storage"):
        publish(tmp_path, hours("2", 6))
    assert counts_in(tmp_path) == hours("1", 5)


def test_a_writer_that_never_commits_first_gives_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_engagement.tables.delta_table.PUBLISH_SECONDS", 0)
    monkeypatch.setattr(DeltaLog, "commit", lambda log, **change: False)
    with pytest.raises(ConflictError, match="committed to"):
        publish(tmp_path, hours("1", 5))


def test_eight_writers_lose_no_row_and_no_reader_sees_a_row_vanish(tmp_path: Path) -> None:
    publish(tmp_path, hours("0", 0, days=3))
    stop = threading.Event()

    def write(writer: int) -> None:
        for number in range(3):
            publish(tmp_path, hours(str(writer), 10 * number + writer, days=3), fetched_at=FETCHED_AT + number * HOUR)

    def poll() -> Iterator[Counts]:
        while not stop.is_set():
            yield counts_in(tmp_path)

    with ThreadPoolExecutor(max_workers=9) as pool:
        reader = pool.submit(lambda: list(poll()))
        writers = [pool.submit(write, writer) for writer in range(1, 9)]
        for done in writers:
            done.result()
        stop.set()
        seen = reader.result()
    for earlier, later in zip(seen, [*seen[1:], counts_in(tmp_path)], strict=True):
        assert earlier.keys() <= later.keys()
        assert all((later[key] or 0) >= (count or 0) for key, count in earlier.items())
    expected = hours("0", 0, days=3)
    for writer in range(1, 9):
        expected |= hours(str(writer), 20 + writer, days=3)
    assert counts_in(tmp_path) == expected


# Columns, types and layouts


def test_columns_that_the_table_lacks_are_added(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5))
    fields = [field for field in DeltaTable(tmp_path).schema().fields if field.name != "favorites"]
    DeltaTable.create(tmp_path / "older", Schema(fields), partition_by=["partition_date"])
    publish(tmp_path / "older", hours("1", 5))
    assert {row["favorites"] for row in read(tmp_path / "older")} == {None}
    assert counts_in(tmp_path / "older") == hours("1", 5)


def test_values_of_a_later_version_of_this_package_are_kept(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5))
    table = DeltaTable(tmp_path)
    table.alter.add_columns(Schema.from_arrow(pyarrow.schema([("bookmarks", pyarrow.int64())])).fields)
    table.update_incremental()
    table.update(updates={"bookmarks": "4"})
    publish(tmp_path, hours("1", 6) | hours("2", 7), fetched_at=FETCHED_AT + HOUR)
    assert {(row["tweet_id"], row["impressions"], row["bookmarks"]) for row in read(tmp_path)} == {
        ("1", 6, 4),
        ("2", 7, None),
    }


def test_a_column_of_another_type_is_an_error(tmp_path: Path) -> None:
    schema = pyarrow.schema([("tweet_id", pyarrow.int64()), ("partition_date", pyarrow.date32())])
    DeltaTable.create(tmp_path, Schema.from_arrow(schema), partition_by=["partition_date"])
    with pytest.raises(IncompatibleTableError, match="its column tweet_id is int64, not string"):
        publish(tmp_path, hours("1", 5))


def test_a_table_with_another_partition_column_is_an_error(tmp_path: Path) -> None:
    DeltaTable.create(tmp_path, Schema.from_arrow(pyarrow.schema([("day", pyarrow.date32())])), partition_by=["day"])
    with pytest.raises(IncompatibleTableError, match=r"partitioned by \['day'\], not by partition_date"):
        publish(tmp_path, hours("1", 5))


def test_a_table_with_deletion_vectors_is_an_error(tmp_path: Path) -> None:
    publish(tmp_path, hours("1", 5))
    DeltaTable(tmp_path).alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    with pytest.raises(IncompatibleTableError, match="Disable deletion vectors"):
        publish(tmp_path, hours("1", 6))


def test_a_table_that_other_tools_compacted_and_tidied_is_merged_as_before(tmp_path: Path) -> None:
    for tweet_id in "123":
        publish(tmp_path, hours(tweet_id, 5))
    table = DeltaTable(tmp_path)
    table.optimize.z_order(["tweet_id"])
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    table.create_checkpoint()
    publish(tmp_path, hours("2", 6), fetched_at=FETCHED_AT + HOUR)
    assert counts_in(tmp_path) == hours("1", 5) | hours("2", 6) | hours("3", 5)


# Readers


def test_every_reader_sees_the_same_rows(tmp_path: Path) -> None:
    expected = hours("1", 5, days=2) | hours("2", 2**63 - 1) | hours("3", None)
    publish(tmp_path, expected)
    query = "SELECT tweet_id, period_start, impressions FROM rows ORDER BY tweet_id, period_start"

    rows = DeltaTable(tmp_path).to_pyarrow_dataset()  # noqa: F841 (DuckDB finds it by its name)
    by_duckdb = duckdb.sql("SET TimeZone = 'UTC'; " + query).fetchall()
    by_deltalake = pyarrow.table(QueryBuilder().register("rows", DeltaTable(tmp_path)).execute(query).read_all())
    by_polars = polars.scan_delta(str(tmp_path)).sort("tweet_id", "period_start").collect()

    ordered = [(tweet_id, hour, expected[tweet_id, hour]) for tweet_id, hour in sorted(expected)]
    assert by_duckdb == ordered
    assert [tuple(row.values()) for row in by_deltalake.to_pylist()] == ordered
    assert by_polars.select("tweet_id", "period_start", "impressions").rows() == ordered


def test_a_reader_that_filters_skips_files_by_their_statistics(tmp_path: Path) -> None:
    publish(tmp_path, hours("10", 5, days=2) | hours("2", None, days=2))
    actions = pyarrow.table(DeltaTable(tmp_path).get_add_actions(flatten=True)).sort_by("path").to_pylist()
    assert [
        (action["num_records"], action["min.tweet_id"], action["max.tweet_id"], action["null_count.impressions"])
        for action in actions
    ] == [(4, "10", "2", 2)] * 2
    assert [(action["min.period_start"], action["max.period_start"]) for action in actions] == [
        (DAY + 24 * day * HOUR + 6 * HOUR, DAY + 24 * day * HOUR + 23 * HOUR) for day in (0, 1)
    ]
    second_day = polars.scan_delta(str(tmp_path)).filter(polars.col("period_start") >= DAY + 24 * HOUR).collect()
    assert second_day.height == 4


@pytest.mark.parametrize(
    "reported", ["401 for https://store/?sig=can%2Fary", "SharedKey can/ary rejected", "refused\x1b[31m can/ary"]
)
def test_an_error_of_the_storage_shows_no_secret_and_has_no_cause(reported: str) -> None:
    options = {"azure_storage_sas_token": "can/ary", "aws_region": "eu-west-1"}

    with pytest.raises(StorageError) as raised, storage_errors("az://container/table", options):
        raise OSError(f"{reported} in eu-west-1")

    shown = "".join(traceback.format_exception(raised.value))
    assert not any(text in shown for text in ("can/ary", "can%2Fary", "\x1b"))
    assert "***" in str(raised.value)
    assert "eu-west-1" in str(raised.value)


def test_the_variables_of_functions_that_fail_on_a_storage_show_no_secret() -> None:
    options = StorageOptions(
        aws_access_key_id="canary-id",
        aws_secret_access_key="canary",
        aws_region="x",
        aws_endpoint_url="http://127.0.0.1:1",
        aws_allow_http="true",
        retry_timeout="1s",
    )
    with pytest.raises(StorageError) as caught:
        data_files("s3://bucket/table", options)
    frames = [
        frame for frame, _ in traceback.walk_tb(caught.value.__traceback__) if frame.f_code.co_filename != __file__
    ]
    assert len(frames) > 1
    assert "canary" not in "".join(repr(frame.f_locals) for frame in frames)
