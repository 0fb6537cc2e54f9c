"""Files that appear whole or not at all, on any storage that has paths."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol, Self


class StoragePath(Protocol):
    """What is needed of a path: ``pathlib.Path`` and Airflow's ``ObjectStoragePath`` have it."""

    @property
    def name(self) -> str:
        """The last component."""

    @property
    def parent(self) -> Self:
        """The folder that holds it."""

    def __truediv__(self, other: str, /) -> Self:
        """Return a path below this one."""

    def open(self, mode: str, /) -> Any:
        """Open the file."""

    def exists(self) -> bool:
        """Tell whether it is there."""

    def iterdir(self) -> Iterator[Self]:
        """Return what a folder holds."""

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Make the folder."""

    def replace(self, target: Any, /) -> Any:
        """Move it into another's place."""

    def unlink(self) -> None:
        """Remove the file."""


_PLAIN = re.compile(r"[A-Za-z0-9_]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def safe_name(*texts: object) -> str:
    """Return texts joined into one component of a path that every storage takes."""
    return _UNSAFE.sub("-", ".".join(map(str, texts))).strip("-.")


def unique_name(*texts: object) -> str:
    """Return texts joined into one component of a path, such that other texts never give the same."""
    name = safe_name(*texts)
    if all(_PLAIN.fullmatch(str(text)) for text in texts):
        return name
    digest = hashlib.sha256("\0".join(map(str, texts)).encode()).hexdigest()
    return f"{name}.{digest[:8]}"


@contextmanager
def write_atomically(path: StoragePath) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its place only when the block ends well.

    Until then it bears another name beside its own, so that a reader never sees half of it and two writers at once do
    not mix; a writer that is killed leaves such a file behind, which nothing reads.

    :param path: where the file is to be; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"_{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        # The error that is under way tells more than one of tidying up after it.
        with suppress(OSError):
            if temporary.exists():
                temporary.unlink()
        raise
