"""What an earlier attempt left is deleted, and no file that another pull still writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_engagement.exceptions import PathError
from airflow_provider_engagement.storage.layout import TEMPORARY_FOLDER
from airflow_provider_engagement.storage.paths import write_atomically
from airflow_provider_engagement.storage.temporary_files import LIFETIME_SECONDS, FileOrigin, TemporaryFiles

NOW = 1_770_000_000.0


@pytest.fixture(params=["pathlib", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "pathlib":
        return tmp_path / "a"
    attach(request.param, fs=fsspec.filesystem(request.param))
    return ObjectStoragePath(f"{request.param}://{tmp_path}/a")


def temporary_files(folder: Any, writer: str | None = None, *, now: float = NOW) -> TemporaryFiles:
    return TemporaryFiles(folder, writer=writer, clock=lambda: now)


def leave(folder: Any, writer: str | None = None, *, now: float = NOW) -> str:
    """Leave a file as a killed pull does, and return its name."""
    path = temporary_files(folder, writer, now=now).new()
    with path.open("wb") as file:
        file.write(b"half")
    return str(path.name)


def names_in(folder: Any) -> set[str]:
    return {path.name for path in (folder / TEMPORARY_FOLDER).iterdir()}


def test_a_later_attempt_deletes_what_an_earlier_one_left(folder: Any) -> None:
    leave(folder, "a")
    others = {leave(folder, "b"), leave(folder)}
    temporary_files(folder, "a").delete_leftovers()
    assert names_in(folder) == others


def test_files_of_any_pull_are_deleted_after_a_day(folder: Any) -> None:
    leave(folder, "b", now=NOW - LIFETIME_SECONDS - 1)
    kept = leave(folder, "b", now=NOW - LIFETIME_SECONDS + 1)
    temporary_files(folder, "a").delete_leftovers()
    assert names_in(folder) == {kept}


def test_files_with_other_names_are_kept(folder: Any) -> None:
    leave(folder, "a")
    (folder / TEMPORARY_FOLDER / "notes.tmp").open("wb").close()
    temporary_files(folder, "a").delete_leftovers()
    assert names_in(folder) == {"notes.tmp"}


def test_a_dataset_without_temporary_files_has_no_leftovers(folder: Any) -> None:
    temporary_files(folder, "a").delete_leftovers()
    assert not (folder / TEMPORARY_FOLDER).exists()


def test_a_file_is_complete_in_its_place_or_temporary(folder: Any) -> None:
    path = folder / "b" / "c.txt"
    with write_atomically(path, temporary_files(folder, "a").new()) as file:
        file.write(b"whole")
        assert not path.exists()
        assert [other.name for other in (folder / "b").iterdir()] == []
    assert names_in(folder) == set()
    with path.open("rb") as file:
        assert file.read() == b"whole"


def fail_to_write(path: Any, temporary: Any) -> None:
    with write_atomically(path, temporary) as file:
        file.write(b"half")
        raise ValueError("incomplete")


def test_a_block_that_fails_leaves_no_temporary_file(folder: Any) -> None:
    with pytest.raises(ValueError, match="incomplete"):
        fail_to_write(folder / "c.txt", temporary_files(folder, "a").new())
    assert names_in(folder) == set()


def test_a_name_contains_its_origin_and_occurs_once() -> None:
    origin = FileOrigin(NOW, "0123456789ab")
    names = {origin.new_name(".tmp") for _ in range(100)}
    assert len(names) == 100
    assert {FileOrigin.from_name(name) for name in names} == {origin}
    assert all(name.endswith(".tmp") for name in names)


@pytest.mark.parametrize("name", ["", "notes.tmp", f"{NOW:.0f}-a.tmp", "_1770000000-a-" + 32 * "0", "0"])
def test_other_names_have_no_origin(name: str) -> None:
    assert FileOrigin.from_name(name) is None


def test_a_link_in_place_of_the_folder_is_refused_and_nothing_is_deleted_behind_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / FileOrigin(0, "writer").new_name(".tmp")
    precious.touch()
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "_temporary").symlink_to(elsewhere)

    for use in (TemporaryFiles(dataset, writer="writer").delete_leftovers, TemporaryFiles(dataset).new):
        with pytest.raises(PathError, match="is a symbolic link"):
            use()

    assert precious.exists()


def test_whether_the_dataset_can_be_written_leaves_no_file(tmp_path: Path) -> None:
    TemporaryFiles(tmp_path).check_writable()

    assert list((tmp_path / "_temporary").iterdir()) == []


def test_another_attempt_can_delete_the_file_of_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new attempt of a task deletes what the one before it has written, which may still run."""
    unlink = Path.unlink

    def unlink_twice(path: Path) -> None:
        unlink(path)
        unlink(path)

    monkeypatch.setattr(Path, "unlink", unlink_twice)
    TemporaryFiles(tmp_path).check_writable()

    assert list((tmp_path / "_temporary").iterdir()) == []
