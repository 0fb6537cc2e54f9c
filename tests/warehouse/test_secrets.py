"""A load leaves the password of its connection nowhere: not in a file, a table, a log line, a report or an error."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.exceptions import WarehouseError, WarehouseTableError
from airflow_provider_engagement.storage import worker_folder
from airflow_provider_engagement.warehouse.view_names import View

SECRET = "canary'word and more"
TRACES = ("canary", "word and more")


@pytest.fixture
def temporary_files(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The content of each file that a load has written on the worker, when it deletes them."""
    found: list[bytes] = []
    delete = worker_folder._delete

    def keep(path: Path, lock: Any) -> None:
        found.extend(file.read_bytes() + str(file).encode() for file in path.rglob("*") if file.is_file())
        delete(path, lock)

    monkeypatch.setattr(worker_folder, "_delete", keep)
    return found


def rows_of_all_tables(database: Any) -> str:
    tables = database.query(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 2
    rows = [database.query(f'SELECT found::text FROM "{schema}"."{table}" found') for schema, table in tables]
    return repr([*rows, *database.query("SELECT definition FROM pg_views WHERE schemaname = 'mart'")])


@pytest.mark.parametrize("way", ["in one transaction", pytest.param("with dlt", marks=pytest.mark.system)])
def test_a_load_leaves_the_password_nowhere(
    way: str,
    request: pytest.FixtureRequest,
    make_postgres: Callable[..., Any],
    write_day: Any,
    load: Any,
    temporary_files: list[bytes],
    dataset: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if way == "with dlt":
        request.getfixturevalue("with_dlt")
    database = make_postgres(password=SECRET)
    write_day()

    with caplog.at_level(logging.DEBUG):
        report = load(database, views=[View.ENGAGEMENT_BY_DAY])
        rows = rows_of_all_tables(database)
        database.query("DROP VIEW IF EXISTS mart.engagement_by_day")
        database.query("ALTER TABLE mart.tweet_metrics ALTER COLUMN favorites TYPE varchar")
        write_day(added=1)
        with pytest.raises((WarehouseError, WarehouseTableError)) as raised:
            load(database)

    assert temporary_files
    shown = [
        *(content.decode("latin-1") for content in temporary_files),
        *(path.read_bytes().decode("latin-1") for path in dataset.rglob("*") if path.is_file()),
        *traceback.format_exception(raised.value),
        *(repr(vars(record)) for record in caplog.records),
        *capfd.readouterr(),
        rows,
        repr(report),
        repr(database.target),
    ]
    assert not [text for text in shown if any(trace in text for trace in TRACES)]
