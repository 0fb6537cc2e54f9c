"""Staged files of a partition: complete rows of several runs, which any run can publish."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from airflow_provider_engagement.storage.paths import StoragePath, local_path, refuse_way_out
from airflow_provider_engagement.storage.temporary_files import SUFFIX as TEMPORARY_SUFFIX
from airflow_provider_engagement.storage.temporary_files import FileOrigin

STAGING_FOLDER = "_staged"

STAGED_FILE_LIFETIME_SECONDS = 86_400.0
"""How long an object store keeps a staged file. Other runs need it while a publication lasts, which is much less."""

_ROWS = ".staged"
_PUBLISHED = ".published"
"""The suffix of an empty file beside a staged file, which says that the rows are published."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """Rows that a run has staged.

    :param path: the file.
    :param origin: which run has staged it, and when.
    :param is_published: whether a run has published the rows.
    """

    path: StoragePath
    origin: FileOrigin
    is_published: bool

    @property
    def mark(self) -> StoragePath:
        """The path of the empty file that says that the rows are published."""
        return self.path.parent / f"{self.path.name.removesuffix(_ROWS)}{_PUBLISHED}"


class StagingFolder:
    """The staged files of one partition.

    :param folder: the folder of the files.
    """

    def __init__(self, folder: StoragePath) -> None:
        self._folder = folder

    def add(self, temporary: StoragePath) -> StoragePath:
        """Move a complete temporary file to the staged files, and return its new path."""
        path = self._folder / f"{temporary.name.removesuffix(TEMPORARY_SUFFIX)}{_ROWS}"
        refuse_way_out(path, temporary)
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        return path

    def list(self) -> list[StagedFile]:
        """Return the staged files, the oldest first."""
        if not self._folder.exists():
            return []
        paths = {path.name: path for path in self._folder.iterdir()}
        return [
            StagedFile(path, origin, is_published=f"{name.removesuffix(_ROWS)}{_PUBLISHED}" in paths)
            for name, path in sorted(paths.items())
            if name.endswith(_ROWS) and (origin := FileOrigin.of(name)) is not None
        ]

    def mark_published(self, files: Iterable[StagedFile], *, now: float) -> None:
        """Mark files whose rows are published, and delete those that no other run needs anymore.

        :param files: the files.
        :param now: the current time in epoch seconds.
        """
        for file in files:
            if now - file.origin.time > STAGED_FILE_LIFETIME_SECONDS:
                _delete(file.path)
                _delete(file.mark)
            elif not file.is_published:
                file.mark.open("wb").close()

    def delete(self, files: Iterable[StagedFile]) -> None:
        """Delete files whose rows are published, while no other run publishes to the partition.

        :param files: all staged files of the partition.
        """
        for file in files:
            _delete(file.path)
        folder = local_path(self._folder)
        if folder is not None:
            # A network file system may keep a file that is open elsewhere under another name.
            with suppress(OSError):
                folder.rmdir()


def _delete(path: StoragePath) -> None:
    # Another run may have deleted the file in the meantime.
    with suppress(FileNotFoundError):
        path.unlink()
