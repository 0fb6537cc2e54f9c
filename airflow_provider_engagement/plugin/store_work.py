"""Reads datasets and the database in threads of its own, so that a slow store blocks neither Airflow nor others."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, TypeVar

THREADS = 8
"""How many stores are read at the same time."""

THREADS_PER_STORE = 2
"""How many threads read one store at most. A store that does not answer keeps no more than these."""

DATABASE_THREADS = 4
"""How many threads read Airflow's database at most."""

MAX_WAITING = 24
"""How many reads wait for a thread, for each store. More are rejected."""

MAX_ABANDONED = 64
"""How many threads are given up at most. If more stores than that do not answer, the others are no longer read."""

TIMEOUT = 20.0
"""After how many seconds the page stops to wait for a read."""

KEEP_SECONDS = 60.0
MAX_KEPT = 16

ResultT = TypeVar("ResultT")


class BusyError(Exception):
    """Too many reads are waiting."""


class UnreadableError(Exception):
    """What was read is not what this package writes, in a way that nobody has foreseen."""


@dataclass(eq=False, slots=True)
class _Read:
    """A read.

    :param function: what reads.
    :param store: what it reads.
    """

    function: Callable[[], Any]
    store: Hashable
    future: Future[Any] = field(default_factory=Future)
    is_abandoned: bool = False
    has_ended: bool = False


class StoreWork:
    """Runs reads in a bounded number of threads, with fewer for each store.

    A thread that reads a store which does not answer cannot be stopped. The page stops waiting for it, and it no longer
    counts as one of the threads, but only as one of its store.

    :param threads: how many reads run at the same time.
    :param threads_per_store: how many reads of one store run at the same time.
    :param max_waiting: how many more wait for a thread, for each store.
    :param timeout: after how many seconds a caller stops waiting.
    """

    def __init__(
        self,
        *,
        threads: int = THREADS,
        threads_per_store: int = THREADS_PER_STORE,
        max_waiting: int = MAX_WAITING,
        timeout: float = TIMEOUT,
    ) -> None:
        self._limit = threads
        self._limit_per_store = min(threads, threads_per_store)
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._lock = Lock()
        self._waiting: deque[_Read] = deque()
        self._running: Counter[Hashable] = Counter()
        self._active = 0
        self._abandoned = 0

    async def run(self, function: Callable[[], ResultT], *, store: Hashable = None, timeout: float = 0.0) -> ResultT:
        """Return the result of a function that reads a store.

        :param store: identifies the store.
        :param timeout: after how many seconds to stop waiting; that of all reads by default.
        :raises BusyError: if too many reads are waiting.
        :raises TimeoutError: if it takes too long. The thread is free again when the store answers.
        """
        read = _Read(function, store)
        with self._lock:
            free = min(self._limit - self._active, self._limit_per_store - self._running[store])
            waiting = sum(other.store == store for other in self._waiting)
            if waiting >= free + self._max_waiting:
                raise BusyError
            self._waiting.append(read)
            self._start()
        try:
            result: ResultT = await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(read.future)), timeout or self._timeout
            )
        except (TimeoutError, asyncio.CancelledError):
            self._give_up(read)
            raise
        return result

    def _start(self) -> None:
        """Start the reads that have a thread. The caller holds the lock."""
        for read in list(self._waiting):
            if self._active >= self._limit:
                return
            if self._running[read.store] < self._limit_per_store:
                self._waiting.remove(read)
                self._running[read.store] += 1
                self._active += 1
                # Airflow can stop without waiting for a store.
                Thread(target=self._execute, args=(read,), name="engagement", daemon=True).start()

    def _execute(self, read: _Read) -> None:
        try:
            result = read.function()
        except BaseException as error:
            self._end(read)
            # An extension module can raise what would end Airflow's event loop.
            read.future.set_exception(error if isinstance(error, Exception) else UnreadableError(repr(error)))
        else:
            self._end(read)
            read.future.set_result(result)

    def _end(self, read: _Read) -> None:
        with self._lock:
            read.has_ended = True
            self._running[read.store] -= 1
            if not self._running[read.store]:
                del self._running[read.store]
            if read.is_abandoned:
                self._abandoned -= 1
            else:
                self._active -= 1
            self._start()

    def _give_up(self, read: _Read) -> None:
        with self._lock:
            if read in self._waiting:
                self._waiting.remove(read)
            elif not read.has_ended and self._abandoned < MAX_ABANDONED:
                read.is_abandoned = True
                self._abandoned += 1
                self._active -= 1
                self._start()


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
