"""Several datasets with the same keys in one schema end with the newest known count of each metric.

A dictionary is the model. It knows nothing of how files or tables are merged: it keeps each count with the time of its
read, and the greatest pair of time and count is the newest known one.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.storage.paths import local_address
from airflow_provider_engagement.warehouse.load import load_dataset
from airflow_provider_engagement.warehouse.source_partitions import table_names

DAY = datetime(2026, 1, 5, tzinfo=UTC)
READ = datetime(2026, 1, 12, 9, 30, 15, 250_000, tzinfo=UTC)
METRICS = ("impressions", "favorites")
"""In the order of the columns, which is the order in ``older_counts``."""
NAMES = ("first", "second", "third")
EXAMPLES = int(os.environ.get("ENGAGEMENT_EXAMPLES", "40"))

Key = tuple[str, datetime]
Counts = dict[str, tuple[datetime, int]]
Row = tuple[tuple[datetime, str], Counts]
"""The time and the owner of the newest read, and each count with the time of its read."""


def joined(one: Row | None, other: Row) -> Row:
    if one is None:
        return other
    counts = {
        metric: max(row[1][metric] for row in (one, other) if metric in row[1])
        for metric in METRICS
        if metric in one[1] or metric in other[1]
    }
    return max(one[0], other[0]), counts


class Dataset:
    """A dataset of few Tweets and hours.

    :param folder: its folder.
    :param write: writes rows to files.
    """

    def __init__(self, folder: Path, write: Callable[..., None]) -> None:
        self.folder = folder
        self._write = write
        self.rows: dict[Key, Row] = {}

    def read(self, rows: Mapping[Key, Row]) -> None:
        for key, row in rows.items():
            self.rows[key] = joined(self.rows.get(key), row)
        self._write(self.folder, as_rows(self.rows))


def as_rows(rows: Mapping[Key, Row]) -> list[dict[str, Any]]:
    """Return rows as a table has them."""
    found = []
    for (tweet_id, start), ((time, owner), counts) in rows.items():
        older = {metric: counts[metric][0] for metric in METRICS if metric in counts and counts[metric][0] < time}
        entries = ",".join(
            f'"{metric}":"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"' for metric, at in older.items()
        )
        found.append(
            {
                "tweet_id": tweet_id,
                "period_start": start,
                "period_end": start + timedelta(hours=1),
                "granularity": "hour",
                "time_zone": "UTC",
                "owner": owner,
                "endpoint": "historical",
                "fetched_at": time,
                "older_counts": f"{{{entries}}}" if entries else None,
                "is_final": True,
                **{metric: counts[metric][1] if metric in counts else None for metric in METRICS},
            }
        )
    return found


TIMES = st.integers(0, 3).map(lambda number: READ + timedelta(days=number, milliseconds=number * 7))
KEYS = st.tuples(st.sampled_from(("1", "2")), st.sampled_from((DAY, DAY + timedelta(hours=1), DAY + timedelta(days=1))))


@st.composite
def reads(draw: Any) -> dict[Key, Row]:
    """Rows of one read. Two reads of the same time can have different counts."""
    time = draw(TIMES)
    rows: dict[Key, Row] = {}
    for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
        counts: Counts = {}
        for metric in METRICS:
            if draw(st.booleans()):
                counts[metric] = (time, draw(st.integers(-2, 2)))
        rows[key] = (time, draw(st.sampled_from(("42", "43")))), counts
    return rows


def steps(*, with_edits: bool) -> Any:
    """Histories: reads, loads, full refreshes, and rows that are deleted or edited in the database."""
    kinds = [
        st.tuples(st.just("read"), st.sampled_from(NAMES), reads()),
        st.tuples(st.just("load"), st.sampled_from(NAMES), st.none()),
        st.tuples(st.just("refresh"), st.sampled_from(NAMES), st.none()),
    ]
    if with_edits:
        kinds += [st.tuples(st.sampled_from(("delete", "edit")), st.none(), st.none())]
    return st.lists(st.one_of(*kinds), min_size=2, max_size=10)


def play(database: Any, write: Callable[..., None], expected: Callable[..., Any], history: Sequence[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        datasets = {name: Dataset(Path(folder, name), write) for name in NAMES}
        model: dict[Key, Row] = {}
        # The datasets of which some loaded rows are not in the database any more.
        incomplete: set[str] = set()
        loaded: set[str] = set()
        # The datasets that have not been loaded since a full refresh of another one.
        not_merged: set[str] = set()
        are_gone = is_edited = False

        def load(name: str, *, full_refresh: bool = False) -> dict[str, Any] | None:
            path = datasets[name].folder
            if not path.exists():
                return None
            report = load_dataset(
                path,
                tables=table_names(path),
                target=database.target,
                address_of=local_address,
                lock_timeout=0.0,
                full_refresh=full_refresh,
            )
            return dict(report["tables"]["tweet_metrics"])

        for kind, name, rows in history:
            if kind == "read":
                datasets[name].read(rows)
            elif kind in ("load", "refresh") and load(name, full_refresh=kind == "refresh") is not None:
                not_merged = not_merged - {name} if kind == "load" else loaded - {name}
                incomplete |= loaded if are_gone else set()
                are_gone = False
                incomplete.discard(name)
                loaded.add(name)
                for key, row in datasets[name].rows.items():
                    model[key] = joined(model.get(key), row)
            elif kind == "delete" and model:
                database.query("DELETE FROM mart.tweet_metrics WHERE tweet_id = '1'")
                are_gone |= any(tweet_id == "1" for tweet_id, _ in model)
                model = {key: row for key, row in model.items() if key[0] != "1"}
            elif kind == "edit" and model:
                database.query("UPDATE mart.tweet_metrics SET favorites = -7, owner = '9' WHERE favorites IS NOT NULL")
                is_edited = True
            if model and not is_edited and not not_merged:
                assert database.rows() == expected(as_rows(model))

        for name in NAMES if is_edited else ():
            load(name, full_refresh=True)
        for name in NAMES:
            load(name)
            for key, row in datasets[name].rows.items():
                model[key] = joined(model.get(key), row)
        if model:
            assert database.rows() == expected(as_rows(model))
        for name in reversed(NAMES):
            report = load(name)
            assert report is None or (report["rows"], report["partitions"]["loaded"]) == (
                {"new": 0, "changed": 0, "unchanged": 0},
                0,
            )


OPTIONS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@OPTIONS
@given(history=steps(with_edits=False))
def test_each_metric_has_its_newest_known_count_whatever_the_order_of_reads_and_loads(
    make_duckdb, write_to, expected, history
) -> None:
    database = make_duckdb(os.urandom(8).hex())

    play(database, write_to, expected, history)


@OPTIONS
@given(history=steps(with_edits=True))
def test_rows_that_were_deleted_or_edited_in_the_database_come_back(make_duckdb, write_to, expected, history) -> None:
    database = make_duckdb(os.urandom(8).hex())

    play(database, write_to, expected, history)


@settings(OPTIONS, max_examples=max(3, EXAMPLES // 10))
@given(history=steps(with_edits=False))
def test_each_metric_has_its_newest_known_count_in_postgresql(make_postgres, write_to, expected, history) -> None:
    play(make_postgres(), write_to, expected, history)


@settings(OPTIONS, max_examples=max(3, EXAMPLES // 10))
@given(history=steps(with_edits=True))
def test_rows_that_were_deleted_or_edited_in_postgresql_come_back(make_postgres, write_to, expected, history) -> None:
    play(make_postgres(), write_to, expected, history)


@pytest.mark.system
@settings(OPTIONS, max_examples=5)
@given(history=steps(with_edits=False))
def test_each_metric_has_its_newest_known_count_in_a_database_of_dlt(
    with_dlt, make_duckdb, write_to, expected, history
) -> None:
    play(make_duckdb(os.urandom(8).hex()), write_to, expected, history)


def test_an_old_read_of_another_dataset_does_not_replace_a_new_one_and_a_null_no_count(
    database, hours, write_to, expected, tmp_path
) -> None:
    old = hours(DAY, fetched_at=READ)
    new = hours(DAY, added=1, fetched_at=READ + timedelta(days=1), favorites=None, impressions=7)
    for name, rows in (("old", old), ("new", new)):
        write_to(tmp_path / name, rows)
    rows = expected(new)
    for key, row in expected(old).items():
        rows[key]["favorites"] = row["favorites"]
        rows[key]["older_counts"] = '{"favorites":"2026-01-12T09:30:15.250Z"}'

    for names in (("old", "new", "old", "new"), ("new", "old", "new")):
        database.query("DROP SCHEMA IF EXISTS mart CASCADE")
        reports = [
            load_dataset(
                tmp_path / name,
                tables=["tweet_metrics"],
                target=database.target,
                address_of=local_address,
                lock_timeout=0.0,
            )
            for name in names
        ]

        assert database.rows() == rows
        assert all(report["tables"]["tweet_metrics"]["partitions"]["loaded"] == 0 for report in reports[2:])


WAYS = tuple((name, full_refresh) for name in ("less", "more") for full_refresh in (False, True))


@pytest.mark.parametrize("kind", ["duckdb", "postgres", pytest.param("duckdb with dlt", marks=pytest.mark.system)])
@pytest.mark.parametrize("ways", itertools.product(WAYS, WAYS), ids=str)
def test_of_two_equally_new_counts_the_greater_one_counts_in_every_order_and_way_of_loading(
    kind, hours, write_to, expected, tmp_path, request, ways
) -> None:
    if "dlt" in kind:
        request.getfixturevalue("with_dlt")
    database = request.getfixturevalue(f"make_{kind.split()[0]}")()
    less = hours(DAY, tweets=["20"], fetched_at=READ)
    more = [row | {"favorites": row["favorites"] + 1} for row in less]
    for name, rows in (("less", less), ("more", more)):
        write_to(tmp_path / name, rows)

    # A full refresh lets the other dataset be loaded again as a whole by its next load.
    for name, full_refresh in (*ways, ("more", False), ("less", False)):
        load_dataset(
            tmp_path / name,
            tables=["tweet_metrics"],
            target=database.target,
            address_of=local_address,
            lock_timeout=0.0,
            full_refresh=full_refresh,
        )

    assert database.rows() == expected(more)
