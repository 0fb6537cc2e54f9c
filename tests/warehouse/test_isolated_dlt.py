"""dlt finds nothing but what this package gives it, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext
from dlt.common.runtime import telemetry

from airflow_provider_engagement.exceptions import WarehouseError
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
from airflow_provider_engagement.warehouse import dlt_database


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings that would load into another database, in all the places that dlt reads by default."""
    elsewhere = tmp_path / "elsewhere.duckdb"
    values = {
        "DESTINATION__CREDENTIALS": str(elsewhere),
        "DESTINATION__DUCKDB__CREDENTIALS": str(elsewhere),
        "DESTINATION__POSTGRES__CREDENTIALS": "postgresql://intruder:canary@127.0.0.1:1/elsewhere",
        "DESTINATION__POSTGRES__CREDENTIALS__HOST": "127.0.0.2",
        "DESTINATION__POSTGRES__CREDENTIALS__DATABASE": "elsewhere",
        "CREDENTIALS": str(elsewhere),
        "DATASET_NAME": "elsewhere",
        "PIPELINES__DATASET_NAME": "elsewhere",
        "SCHEMA__NAMING": "sql_cs_v1",
        "DESTINATION__DUCKDB__STAGING_DATASET_NAME_LAYOUT": "elsewhere",
        "LOAD__WORKERS": "none",
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "false",
        "RUNTIME__DLTHUB_TELEMETRY": "true",
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "RUNTIME__SLACK_INCOMING_HOOK": "http://127.0.0.1:1/hook",
        "DLT_DATA_DIR": str(tmp_path / "data"),
        "DLT_PROJECT_DIR": str(tmp_path / "project"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    working = tmp_path / "working"
    (working / ".dlt").mkdir(parents=True)
    secrets = f'[destination]\ncredentials = "{elsewhere}"\n[destination.duckdb]\ncredentials = "{elsewhere}"\n'
    secrets += '[destination.postgres.credentials]\nhost = "127.0.0.2"\n[normalize]\nworkers = "none"\n'
    for name in ("secrets.toml", "config.toml"):
        (working / ".dlt" / name).write_text(secrets)
    monkeypatch.chdir(working)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return elsewhere


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
@pytest.mark.parametrize("uses_dlt", [False, True])
def test_settings_from_elsewhere_do_not_override_the_connection(
    hostile, kind, uses_dlt, write_day, load, expected, tmp_path, request
) -> None:
    if uses_dlt:
        request.getfixturevalue("with_dlt")
    database = request.getfixturevalue(f"make_{kind}")()
    rows = write_day()

    load(database)

    assert database.rows() == expected(rows)
    schemas = {name for (name,) in database.query("SELECT table_schema FROM information_schema.tables")}
    assert {name for name in schemas if "mart" in name or "elsewhere" in name} == {"mart"}
    assert not hostile.exists()
    assert not any((tmp_path / name).exists() for name in ("data", "project", "home"))


def test_nothing_is_left_behind_after_a_load(with_dlt, make_duckdb, write_day, load, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    logger = logging.getLogger("dlt")
    before = (dict(os.environ), {thread.name for thread in threading.enumerate()}, list(logger.handlers))
    contexts = {number: dict(context) for number, (context, _) in Container().thread_contexts.items()}
    write_day()

    load(make_duckdb())

    assert (dict(os.environ), {thread.name for thread in threading.enumerate()}, list(logger.handlers)) == before
    assert {
        number: context
        for number, (found, _) in Container().thread_contexts.items()
        if (context := dict(found)) != contexts.get(number, {})
    } == {}
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_pipeline_of_the_same_process_stays_active(with_dlt, make_duckdb, write_day, load, tmp_path) -> None:
    theirs = dlt.pipeline("theirs", pipelines_dir=str(tmp_path / "theirs"), destination="duckdb", dataset_name="d")
    try:
        write_day()

        load(make_duckdb())

        assert Container()[PipelineContext].pipeline() is theirs
    finally:
        theirs.deactivate()


def test_the_staged_rows_of_killed_loads_are_dropped_after_a_day_and_those_of_others_are_not(
    with_dlt, make_duckdb, write_day, load
) -> None:
    database = make_duckdb()
    now = int(time.time())
    left = f"mart_engagement_staging_{now - 90_000}_0a1b2c3d"
    kept = {f"mart_engagement_staging_{now - 60}_0a1b2c3d", "mart_engagement_staging_of_mine", "mart2"}
    for schema in (left, *kept):
        database.query(f"CREATE SCHEMA {schema}")
    write_day()

    load(database)

    schemas = {name for (name,) in database.query("SELECT schema_name FROM information_schema.schemata")}
    assert {name for name in schemas if name.startswith("mart")} == {"mart", *kept}


def test_a_merge_of_dlt_that_writes_fewer_rows_than_were_read_is_not_recorded(
    with_dlt, make_duckdb, write_day, load, expected, monkeypatch
) -> None:
    database = make_duckdb()
    rows = write_day()
    spooled = dlt_database._Spool.batches

    def fewer(spool):
        for batch in spooled(spool):
            yield batch.slice(1)

    with monkeypatch.context() as patch:
        patch.setattr(dlt_database._Spool, "batches", fewer)
        with pytest.raises(WarehouseError, match=r"71 of 72 rows arrived in the table mart\.tweet_metrics"):
            load(database)
    load(database)

    assert database.rows() == expected(rows)


def test_no_telemetry_is_sent(with_dlt, make_duckdb, write_day, load, monkeypatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(telemetry, "start_telemetry", started.append)
    monkeypatch.setattr("dlt.common.runtime.anon_tracker._send_event", lambda *args: started.append(args))
    write_day()

    load(make_duckdb())

    assert started == []


@pytest.mark.parametrize("uses_dlt", [False, True])
def test_a_password_is_in_no_file_log_or_report(
    uses_dlt, make_postgres, write_day, load, monkeypatch, caplog, request
) -> None:
    if uses_dlt:
        request.getfixturevalue("with_dlt")
    password = "canary-7c1f-password"
    database = make_postgres(password=password)
    contents: list[bytes] = []
    delete = WorkerFolder.delete

    def kept(folder: WorkerFolder) -> None:
        contents.extend(path.read_bytes() for path in folder.path.rglob("*") if path.is_file())
        delete(folder)

    monkeypatch.setattr(WorkerFolder, "delete", kept)
    write_day()

    with caplog.at_level(logging.DEBUG):
        report = load(database)

    assert len(contents) > (5 if uses_dlt else 0)
    assert not any(password.encode() in content for content in contents)
    assert password not in caplog.text
    assert password not in str(report)
    assert password not in repr(database.target)
    for (table,) in database.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'mart'"):
        assert password not in str(database.query(f'SELECT * FROM mart."{table}"'))
