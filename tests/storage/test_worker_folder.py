"""Temporary folders on the worker: deleted at the end, and by the next task if a kill left them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.storage.worker_folder import PREFIX, SECONDS_UNTIL_ABANDONED, WorkerFolder

PROGRAM = """
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
folder = WorkerFolder()
(folder.path / "rows.parquet").write_text("rows")
print(folder.path, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files of this test and of the programs that it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def make_older(path: Path) -> None:
    past = time.time() - SECONDS_UNTIL_ABANDONED - 1
    os.utime(path, (past, past))


def test_a_folder_is_deleted_at_the_end(temporary: Path) -> None:
    folder = WorkerFolder()
    (folder.path / "rows.parquet").write_text("rows")
    folder.delete()
    folder.delete()

    assert list(temporary.iterdir()) == []


def test_a_folder_that_nobody_deletes_goes_with_its_object(temporary: Path) -> None:
    folder = WorkerFolder()
    del folder

    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_killed_task_is_deleted_by_the_next_one_and_that_of_a_live_task_is_not(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        left = Path(program.stdout.readline().strip())
        make_older(left)
        WorkerFolder().delete()
        assert left.exists()

        program.send_signal(signal.SIGKILL)
        program.wait()

    WorkerFolder().delete()
    assert not left.exists()


def test_a_new_folder_and_those_of_other_programs_are_kept(temporary: Path) -> None:
    new, other = temporary / f"{PREFIX}new", temporary / f"{PREFIX}other"
    for path in (new, other):
        path.mkdir(mode=0o700)
    (new / "in_use.lock").touch()
    make_older(other)

    WorkerFolder().delete()

    assert sorted(temporary.iterdir()) == [new, other]


def abandoned(temporary: Path, name: str) -> Path:
    folder = temporary / f"{PREFIX}{name}"
    folder.mkdir(mode=0o700)
    (folder / "in_use.lock").touch()
    return folder


def test_links_and_folders_that_others_can_write_are_left_alone(temporary: Path, tmp_path_factory: Any) -> None:
    target = tmp_path_factory.mktemp("elsewhere")
    (target / "precious").write_text("precious")
    (target / "in_use.lock").touch()
    make_older(target)
    (temporary / f"{PREFIX}link").symlink_to(target)
    trap = temporary / f"{PREFIX}trap"
    trap.mkdir(mode=0o700)
    (trap / "in_use.lock").symlink_to(target / "precious")
    shared = abandoned(temporary, "shared")
    shared.chmod(0o777)
    for folder in (trap, shared):
        make_older(folder)

    WorkerFolder().delete()

    assert (target / "precious").read_text() == "precious"
    assert trap.exists()
    assert shared.exists()


def test_a_folder_of_another_user_is_left_alone(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = abandoned(temporary, "theirs")
    make_older(theirs)
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)

    WorkerFolder().delete()

    assert theirs.exists()


def test_only_the_user_of_the_task_can_read_the_folder() -> None:
    folder = WorkerFolder()

    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.delete()
