"""Files are complete or absent, on local and on object storage."""

from __future__ import annotations

import threading
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import PathError
from airflow_provider_engagement.storage.paths import local_path, safe_name, unique_name, write_atomically
from airflow_provider_engagement.tables.staging import StagingFolder


class Interrupted(BaseException):
    """An error that ends a task from outside."""


@pytest.fixture(params=["pathlib", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "pathlib":
        return tmp_path / "a"
    # The memory file system behaves like an object store: it has no folders, and a move is a copy.
    attach(request.param, fs=fsspec.filesystem(request.param))
    return ObjectStoragePath(f"{request.param}://{tmp_path}/a")


def written(path: Any) -> AbstractContextManager[IO[bytes]]:
    """Open a file that has a temporary name in its own folder until it is complete."""
    return write_atomically(path, path.parent / f"_{uuid.uuid4().hex}.tmp")


def content_of(path: Any) -> bytes:
    with path.open("rb") as file:
        return bytes(file.read())


def fail_to_write(path: Any, error: BaseException) -> None:
    with written(path) as file:
        file.write(b"half")
        raise error


def names_in(folder: Any) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_in_place_when_the_block_ends(folder: Any) -> None:
    path = folder / "b" / "c.txt"
    with written(path) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
    assert content_of(path) == b"one two"
    assert names_in(folder / "b") == ["c.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
def test_a_block_that_fails_leaves_no_file(folder: Any, error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail_to_write(folder / "c.txt", error())
    assert names_in(folder) == []


def test_a_block_that_fails_keeps_the_previous_file(folder: Any) -> None:
    path = folder / "c.txt"
    with written(path) as file:
        file.write(b"whole")
    with pytest.raises(ValueError, match="incomplete"):
        fail_to_write(path, ValueError("incomplete"))
    assert content_of(path) == b"whole"
    assert names_in(folder) == ["c.txt"]


def test_a_shorter_file_replaces_a_longer_one_completely(folder: Any) -> None:
    path = folder / "c.txt"
    for content in (b"a long first content", b"short"):
        with written(path) as file:
            file.write(content)
    assert content_of(path) == b"short"


def test_the_last_of_two_concurrent_writers_replaces_the_file(folder: Any) -> None:
    path = folder / "c.txt"
    with written(path) as first:
        first.write(b"first ")
        with written(path) as second:
            second.write(b"second")
        assert content_of(path) == b"second"
        first.write(b"still first")
    assert content_of(path) == b"first still first"
    assert names_in(folder) == ["c.txt"]


def test_concurrent_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.txt"
    contents = {bytes([65 + number]) * 10_000 for number in range(8)}
    all_ready = threading.Barrier(len(contents))
    failures = []

    def write(content: bytes) -> None:
        try:
            all_ready.wait()
            with written(path) as file:
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


def test_a_file_that_cannot_be_put_in_place_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(OSError, match=r"c\.txt"), written(tmp_path / "c.txt") as file:
        file.write(b"whole")
    assert names_in(tmp_path) == ["c.txt"]


@pytest.mark.parametrize("link", ["table", "table/day"])
@pytest.mark.parametrize("kind", [Path, lambda path: ObjectStoragePath(f"file://{path}")])
def test_a_file_is_not_written_through_a_link_out_of_the_dataset(tmp_path: Path, link: str, kind: Any) -> None:
    (tmp_path / "other" / "day").mkdir(parents=True)
    (tmp_path / "dataset" / link).parent.mkdir(parents=True)
    (tmp_path / "dataset" / link).symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "dataset" / "_temporary").mkdir()
    temporary = kind(tmp_path / "dataset" / "_temporary" / "a.tmp")

    with (
        pytest.raises(PathError, match="is a symbolic link"),
        write_atomically(kind(tmp_path / "dataset" / "table" / "day" / "new" / "a.parquet"), temporary) as file,
    ):
        file.write(b"rows")
    temporary.open("wb").close()
    with pytest.raises(PathError, match="is a symbolic link"):
        StagingFolder(kind(tmp_path / "dataset" / "table" / "day")).add(temporary)

    assert [path.name for path in (tmp_path / "other").rglob("*")] == ["day"]


def test_a_dataset_can_be_a_link_and_have_links_within(tmp_path: Path) -> None:
    (tmp_path / "disk" / "table").mkdir(parents=True)
    (tmp_path / "disk" / "_temporary").mkdir()
    (tmp_path / "disk" / "alias").symlink_to(tmp_path / "disk" / "table", target_is_directory=True)
    (tmp_path / "dataset").symlink_to(tmp_path / "disk", target_is_directory=True)
    dataset = tmp_path / "dataset"

    with write_atomically(dataset / "alias" / "a.parquet", dataset / "_temporary" / "a.tmp") as file:
        file.write(b"rows")

    assert (tmp_path / "disk" / "table" / "a.parquet").read_bytes() == b"rows"


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_local_path_is_on_a_disk_of_this_machine(tmp_path: Path, prefix: str) -> None:
    assert local_path(ObjectStoragePath(f"{prefix}{tmp_path}/a b")) == tmp_path / "a b"
    assert local_path(tmp_path / "a b") == tmp_path / "a b"


def test_a_path_on_an_object_store_is_not_local(tmp_path: Path) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    assert local_path(ObjectStoragePath(f"memory://{tmp_path}")) is None


@settings(max_examples=50)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_a_safe_name_is_one_visible_path_component(texts: list[str]) -> None:
    name = safe_name(*texts)
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
    assert not name.startswith((".", "-"))


def test_a_safe_name_keeps_safe_characters() -> None:
    assert safe_name("my_dag", "pull-totals", 3) == "my_dag.pull-totals.3"
    assert safe_name("scheduled__2026-01-01T00:00:00+00:00") == "scheduled__2026-01-01T00-00-00+00-00"
    assert safe_name("../etc/passwd") == "etc-passwd"


def test_texts_with_the_same_safe_name_have_different_unique_names() -> None:
    assert unique_name("my_dag", "pull", 3) == "my_dag.pull.3"
    alike = [("a.b", "c"), ("a", "b.c"), ("a.b.c",), ("a-b", "c"), ("a b", "c"), ("a", "b", "c")]
    names = {unique_name(*texts) for texts in alike}
    assert len(names) == len(alike)
    assert all(name == safe_name(name) for name in names)
