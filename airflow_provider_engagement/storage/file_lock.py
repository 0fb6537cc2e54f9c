"""Locks between the processes of a machine, so that only one of them at a time publishes a partition."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from airflow_provider_engagement.storage.paths import refuse_link

log = logging.getLogger(__name__)

SECONDS_UNTIL_LOG = 10.0
"""How long a process waits for a lock before it logs that it waits."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs. Other processes and threads that want it wait.

    The operating system releases the lock if the process dies. A live process holds it for the time of one merge, so
    there is no limit of the waiting time.

    :param path: the file of the lock; its folder is created.
    :raises PathError: if the file or its folder is a link, which could lead out of the dataset.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_link(path.parent)
    refuse_link(path)
    lock = FileLock(path)
    try:
        held = lock.acquire(timeout=SECONDS_UNTIL_LOG)
    except Timeout:
        log.info("Another task publishes the same partition. Waiting for the lock %s.", path)
        held = lock.acquire()
    with held:
        yield
