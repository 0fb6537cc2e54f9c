"""Temporary files of a dataset: their names say who writes them and since when, so that leftovers can be deleted.

A file is written here, and then moved to its place. All temporary files are in one folder, so one listing finds
everything that a killed pull left, wherever it was about to be put in place.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from airflow_provider_engagement.storage.layout import TEMPORARY_FOLDER
from airflow_provider_engagement.storage.paths import StoragePath, refuse_link

SUFFIX = ".tmp"

LIFETIME_SECONDS = 86_400.0
"""After this time no pull still writes a temporary file."""

_STEM = re.compile(r"(\d+)-([0-9a-z]+)-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """Who created a file, and when.

    :param time: when the file was created, in epoch seconds.
    :param writer: identifies the run of the task, the same in every attempt.
    """

    time: float
    writer: str

    @classmethod
    def from_name(cls, name: str) -> Self | None:
        """Return the origin of a file from its name, or ``None`` if the name does not contain it."""
        match = _STEM.match(name)
        return cls(float(match[1]), match[2]) if match else None

    def new_name(self, suffix: str) -> str:
        """Return a name that no other file has."""
        return f"{self.time:.0f}-{self.writer}-{uuid.uuid4().hex}{suffix}"


class TemporaryFiles:
    """The temporary files of one pull.

    :param dataset: the dataset's folder.
    :param writer: identifies the run of the task, the same in every attempt; ``None`` if there is no later attempt.
    :param clock: the wall clock in epoch seconds.
    """

    def __init__(
        self, dataset: StoragePath, *, writer: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = dataset / TEMPORARY_FOLDER
        self._clock = clock
        self._has_folder = False
        self.writer = writer or uuid.uuid4().hex

    def new(self) -> StoragePath:
        """Return the path of a file that does not exist yet. Its folder is created.

        :raises PathError: if the folder is a link.
        """
        if not self._has_folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            refuse_link(self._folder)
            self._has_folder = True
        return self._folder / FileOrigin(self._clock(), self.writer).new_name(SUFFIX)

    def check_writable(self) -> None:
        """Write and delete a file, so that a pull without the right to write sends no request.

        :raises OSError: if the storage refuses it.
        """
        path = self.new()
        with path.open("wb"):
            pass
        # A new attempt of the task may have deleted the file in the meantime.
        with suppress(FileNotFoundError):
            path.unlink()

    def delete_leftovers(self) -> None:
        """Delete what earlier attempts of this task left, and files of any task that are more than a day old.

        Call this before the pull writes its first file. Two attempts of a task never run at the same time, except one
        that Airflow has given up and is about to kill. If that attempt still writes a file, it fails.
        """
        if not self._folder.exists():
            return
        refuse_link(self._folder)
        expired = self._clock() - LIFETIME_SECONDS
        for path in list(self._folder.iterdir()):
            origin = FileOrigin.from_name(path.name)
            if origin is not None and (origin.writer == self.writer or origin.time < expired):
                # Another pull may have deleted an expired file in the meantime.
                with suppress(FileNotFoundError):
                    path.unlink()
