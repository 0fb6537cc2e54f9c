"""Files that appear whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.dataset.storage import safe_name, write_atomically


class Interrupted(BaseException):
    """Stands for what ends a task from outside."""


@pytest.fixture(params=["pathlib", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "pathlib":
        return tmp_path / "a"
    # Memory behaves as object stores do: no folders, and a move is a copy.
    attach(request.param, fs=fsspec.filesystem(request.param))
    return ObjectStoragePath(f"{request.param}://{tmp_path}/a")


def content_of(path: Any) -> bytes:
    with path.open("rb") as file:
        return bytes(file.read())


def tear(path: Any, error: BaseException) -> None:
    with write_atomically(path) as file:
        file.write(b"half")
        raise error


def names_in(folder: Any) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_the_block_ends(folder: Any) -> None:
    path = folder / "b" / "c.txt"
    with write_atomically(path) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
    assert content_of(path) == b"one two"
    assert names_in(folder / "b") == ["c.txt"]


def test_what_is_not_yet_in_its_place_is_passed_over_by_readers_of_folders(folder: Any) -> None:
    with write_atomically(folder / "c.parquet") as file:
        file.write(b"half")
        assert all(name.startswith("_") and not name.endswith(".parquet") for name in names_in(folder))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
def test_a_block_that_fails_leaves_nothing(folder: Any, error: type[BaseException]) -> None:
    with pytest.raises(error):
        tear(folder / "c.txt", error())
    assert names_in(folder) == []


def test_a_block_that_fails_leaves_the_file_of_before(folder: Any) -> None:
    path = folder / "c.txt"
    with write_atomically(path) as file:
        file.write(b"whole")
    with pytest.raises(ValueError, match="torn"):
        tear(path, ValueError("torn"))
    assert content_of(path) == b"whole"
    assert names_in(folder) == ["c.txt"]


def test_a_file_is_replaced_as_a_whole(folder: Any) -> None:
    path = folder / "c.txt"
    for content in (b"a long first content", b"short"):
        with write_atomically(path) as file:
            file.write(content)
    assert content_of(path) == b"short"


def test_of_two_writers_at_once_the_last_to_end_has_its_file_whole(folder: Any) -> None:
    path = folder / "c.txt"
    with write_atomically(path) as first:
        first.write(b"first ")
        with write_atomically(path) as second:
            second.write(b"second")
        assert content_of(path) == b"second"
        first.write(b"still first")
    assert content_of(path) == b"first still first"
    assert names_in(folder) == ["c.txt"]


def test_writers_in_many_threads_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.txt"
    contents = {bytes([65 + number]) * 10_000 for number in range(8)}
    together = threading.Barrier(len(contents))
    failures = []

    def write(content: bytes) -> None:
        try:
            together.wait()
            with write_atomically(path) as file:
                for start in range(0, len(content), 100):
                    file.write(content[start : start + 100])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in contents
    assert names_in(path.parent) == ["c.txt"]


def test_a_file_that_cannot_take_its_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(OSError, match=r"c\.txt"), write_atomically(tmp_path / "c.txt") as file:
        file.write(b"whole")
    assert names_in(tmp_path) == ["c.txt"]


# Names


@given(st.lists(st.text(), min_size=1))
def test_a_safe_name_is_one_component_that_is_not_hidden(texts: list[str]) -> None:
    name = safe_name(*texts)
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
    assert not name.startswith((".", "-"))


def test_a_safe_name_keeps_what_is_safe() -> None:
    assert safe_name("my_dag", "pull-totals", 3) == "my_dag.pull-totals.3"
    assert safe_name("scheduled__2026-01-01T00:00:00+00:00") == "scheduled__2026-01-01T00-00-00+00-00"
    assert safe_name("../etc/passwd") == "etc-passwd"
