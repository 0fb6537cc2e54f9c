"""Temporary folders on the worker. What a killed task leaves, the next task on the same worker deletes."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "airflow-engagement-"
LOCK = "in_use.lock"

SECONDS_UNTIL_ABANDONED = 60.0
"""Younger folders are kept, because a task may have created one, but not locked it yet."""


class WorkerFolder:
    """A temporary folder of a task, which is locked while the task runs.

    The operating system releases the lock if the process dies. So a folder whose lock is free has been abandoned. A new
    folder first deletes those. Only the user of the task can read the folder.
    """

    def __init__(self) -> None:
        delete_abandoned_folders()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(self.path / LOCK)
        lock.acquire()
        self._finalizer = weakref.finalize(self, _delete, self.path, lock)

    def delete(self) -> None:
        """Delete the folder."""
        self._finalizer()


def delete_abandoned_folders() -> None:
    """Delete the folders that killed tasks of this user left on this worker."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if not _is_own(path) or time.time() - path.lstat().st_mtime < SECONDS_UNTIL_ABANDONED:
                continue
            lock = FileLock(path / LOCK)
            with lock.acquire(timeout=0):
                shutil.rmtree(path, ignore_errors=True)
        except (Timeout, OSError):
            # The folder is in use, or another task has just deleted it.
            continue


def _is_own(folder: Path) -> bool:
    """Return whether a folder is one that a task of this user made, rather than a trap of another user of the machine.

    Everybody can create links in the folder of temporary files, and a lock would be taken on the target of a link.
    """
    found, lock = folder.lstat(), (folder / LOCK).lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return is_private and stat.S_ISREG(lock.st_mode) and found.st_uid == lock.st_uid == os.getuid()


def _delete(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
