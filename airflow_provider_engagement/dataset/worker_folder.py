"""Temporary folders on the worker. What a killed task leaves, the next task on the same worker deletes."""

from __future__ import annotations

import shutil
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
    folder first deletes those.
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
    """Delete the folders that killed tasks left on this worker."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime < SECONDS_UNTIL_ABANDONED or not (path / LOCK).exists():
                continue
            lock = FileLock(path / LOCK)
            with lock.acquire(timeout=0):
                shutil.rmtree(path, ignore_errors=True)
        except (Timeout, OSError):
            # The folder is in use, belongs to another user, or another task has just deleted it.
            continue


def _delete(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
