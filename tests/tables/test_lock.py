"""A lock lets one process at a time into a block, and a process that dies lets the next one in."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from airflow_provider_engagement.exceptions import PathError
from airflow_provider_engagement.tables import parquet_table
from airflow_provider_engagement.tables.parquet_table import locked

SECONDS = 60
"""How long a test waits for another process or thread before it fails."""


def test_a_thread_waits_until_another_leaves_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.lock"
    is_entered = threading.Event()

    def enter() -> None:
        with locked(path):
            is_entered.set()

    thread = threading.Thread(target=enter)
    with locked(path):
        thread.start()
        assert not is_entered.wait(0.1)
    assert is_entered.wait(SECONDS)
    thread.join(SECONDS)


def is_free(path: Path) -> bool:
    """Return whether a lock could be held now."""
    try:
        with FileLock(path, timeout=0):
            return True
    except Timeout:
        return False


def test_other_locks_are_free(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock"):
        assert not is_free(tmp_path / "a.lock")
        assert is_free(tmp_path / "b.lock")
        with locked(tmp_path / "b.lock"):
            assert not is_free(tmp_path / "b.lock")
    assert is_free(tmp_path / "a.lock")


def test_a_block_that_fails_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="incomplete"), locked(tmp_path / "a.lock"):
        raise ValueError("incomplete")
    assert is_free(tmp_path / "a.lock")


def hold(path: Path, is_held: Any) -> None:
    with locked(path):
        is_held.set()
        signal.pause()


class KillWhenLogged(logging.Handler):
    """Kills a process when a message is logged.

    :param process: the process.
    """

    def __init__(self, process: BaseProcess) -> None:
        super().__init__()
        self.process = process
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.process.kill()


def test_a_long_wait_is_logged_and_a_killed_process_releases_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=parquet_table.__name__)
    monkeypatch.setattr(parquet_table, "SECONDS_UNTIL_LOG", 0.1)
    fork = multiprocessing.get_context("fork")
    is_held = fork.Event()
    process = fork.Process(target=hold, args=(tmp_path / "a.lock", is_held), daemon=True)
    process.start()
    assert is_held.wait(SECONDS)
    handler = KillWhenLogged(process)
    parquet_table.log.addHandler(handler)
    try:
        with locked(tmp_path / "a.lock"):
            process.join(SECONDS)
    finally:
        parquet_table.log.removeHandler(handler)
    (message,) = handler.messages
    assert str(tmp_path / "a.lock") in message


@pytest.mark.parametrize("link", ["_locks", "_locks/day.lock"])
def test_a_link_in_place_of_a_lock_is_refused_and_its_target_is_untouched(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "day.lock").write_text("precious")
    place = tmp_path / "dataset" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere if link == "_locks" else elsewhere / "day.lock")

    with pytest.raises(PathError, match="is a symbolic link"), locked(tmp_path / "dataset" / "_locks" / "day.lock"):
        pass

    assert (elsewhere / "day.lock").read_text() == "precious"
