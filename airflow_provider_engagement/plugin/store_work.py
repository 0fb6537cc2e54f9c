"""Reads datasets in threads of its own, so that a slow or missing store never blocks Airflow's API server."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

THREADS = 4
"""How many reads run at the same time."""

MAX_WAITING = 24
"""How many reads wait for a thread. More are rejected."""

TIMEOUT = 20.0
"""After how many seconds the page stops to wait for a read."""

KEEP_SECONDS = 60.0
MAX_KEPT = 16

ResultT = TypeVar("ResultT")


class BusyError(Exception):
    """Too many reads are waiting."""


class StoreWork:
    """Runs reads in a few threads.

    :param threads: how many reads run at the same time.
    :param max_waiting: how many more wait for a thread.
    :param timeout: after how many seconds a caller stops waiting.
    """

    def __init__(self, *, threads: int = THREADS, max_waiting: int = MAX_WAITING, timeout: float = TIMEOUT) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="engagement")
        self._limit = threads + max_waiting
        self._timeout = timeout
        self._running = 0
        self._lock = Lock()

    async def run(self, function: Callable[[], ResultT]) -> ResultT:
        """Return the result of a function that reads a store.

        :param function: the function.
        :raises BusyError: if too many reads are waiting.
        :raises TimeoutError: if it takes too long. The thread is free again when the store answers.
        """
        with self._lock:
            if self._running >= self._limit:
                raise BusyError
            self._running += 1
        future = self._threads.submit(self._counted, function)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), self._timeout)
        except (TimeoutError, asyncio.CancelledError):
            if future.cancel():
                self._end()
            raise

    def _counted(self, function: Callable[[], ResultT]) -> ResultT:
        try:
            return function()
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._running -= 1


class RecentResults:
    """Keeps what was made for a short time, since a page requests several figures of the same rows.

    :param clock: a clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], ResultT]) -> ResultT:
        """Return what was made for a key in the last minute, or make it.

        :param key: identifies the result.
        :param make: makes it, fast: it is called with a lock.
        """
        now = self._clock()
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] < now:
                kept = (now + KEEP_SECONDS, make())
                self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            result: ResultT = kept[1]
            return result
