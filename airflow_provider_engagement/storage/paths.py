"""Files that are written completely or not at all, on any storage that has paths."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, Self

from airflow_provider_engagement.exceptions import PathError


class StoragePath(Protocol):
    """The methods that this package uses of ``pathlib.Path`` and of Airflow's ``ObjectStoragePath``."""

    @property
    def name(self) -> str:
        """The last component."""

    @property
    def parent(self) -> Self:
        """The parent folder."""

    def __truediv__(self, other: str, /) -> Self:
        """Return a path below this one."""

    def open(self, mode: str, /) -> Any:
        """Open the file."""

    def exists(self) -> bool:
        """Return whether the file or folder exists."""

    def is_dir(self) -> bool:
        """Return whether the path is a folder."""

    def iterdir(self) -> Iterator[Self]:
        """Return the entries of the folder."""

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Create the folder."""

    def replace(self, target: Any, /) -> Any:
        """Move the file to another path, and replace what is there."""

    def unlink(self) -> None:
        """Remove the file."""


_LOCAL_PROTOCOLS = ("", "file", "local")

_PLAIN = re.compile(r"[A-Za-z0-9_]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def safe_name(*texts: object) -> str:
    """Return texts joined to one path component that every storage accepts."""
    return _UNSAFE.sub("-", ".".join(map(str, texts))).strip("-.")


def unique_name(*texts: object) -> str:
    """Return texts joined to one path component that no other texts produce."""
    name = safe_name(*texts)
    if all(_PLAIN.fullmatch(str(text)) for text in texts):
        return name
    digest = hashlib.sha256("\0".join(map(str, texts)).encode()).hexdigest()
    return f"{name}.{digest[:8]}"


def local_path(path: StoragePath) -> Path | None:
    """Return a path on a disk of this machine as such, or ``None`` if the path is on an object store."""
    if isinstance(path, Path):
        return path
    # An ``ObjectStoragePath`` has these attributes. This module does not import Airflow.
    is_local = getattr(path, "protocol", None) in _LOCAL_PROTOCOLS
    return Path(getattr(path, "path", "")) if is_local else None


def refuse_link(path: StoragePath) -> None:
    """Refuse a symbolic link in place of a file or folder that this package creates and deletes from.

    :param path: the path. An object store has no links.
    :raises PathError: if it is a link.
    """
    local = local_path(path)
    if local is not None and local.is_symlink():
        raise PathError(str(local), "it is a symbolic link. Files outside the dataset could be changed.")


def refuse_way_out(path: StoragePath, temporary: StoragePath) -> None:
    """Refuse a file that would be written outside the dataset, because a folder on its way is a symbolic link.

    :param path: the file's final path. An object store has no links.
    :param temporary: its path until then. The folder that has both is the dataset, which can be a link itself.
    :raises PathError: if the final path is elsewhere.
    """
    local, other = local_path(path), local_path(temporary)
    if local is None or other is None:
        return
    dataset = os.path.realpath(os.path.commonpath([local.parent.absolute(), other.parent.absolute()]))
    if os.path.commonpath([dataset, os.path.realpath(local.parent)]) != dataset:
        raise PathError(str(local.parent), "it is a symbolic link. Files outside the dataset could be changed.")


Locate = Callable[[StoragePath], tuple[str, Mapping[str, str]]]
"""Returns the address of a table, and the storage options that delta-rs needs to access it."""


def local_address(path: StoragePath) -> tuple[str, Mapping[str, str]]:
    """Return the address of a table on a disk of this machine. It needs no storage options.

    :raises ValueError: if the path is on an object store, whose credentials this package cannot know.
    """
    local = local_path(path)
    if local is None:
        raise ValueError(f"{path} is not a local path.")
    return str(local.absolute()), {}


@contextmanager
def write_atomically(path: StoragePath, temporary: StoragePath) -> Iterator[IO[bytes]]:
    """Open a file for writing, and move it to its path only if the block succeeds.

    Until then the file has a temporary path, so a reader never sees an incomplete file, and two concurrent writers do
    not mix. A killed writer leaves a temporary file, which no reader opens.

    :param path: the final path; its folder is created.
    :param temporary: the path until then, on the same file system.
    :raises PathError: if a link leads from the folder of both to another one.
    """
    refuse_way_out(path, temporary)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        # An error of the clean-up must not hide the original error.
        with suppress(OSError):
            if temporary.exists():
                temporary.unlink()
        raise
