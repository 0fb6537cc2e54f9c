"""Slow and missing stores do not block the API server."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from airflow_provider_engagement.plugin.store_work import BusyError, RecentResults, StoreWork


def test_a_store_that_does_not_answer_ends_in_a_timeout_and_blocks_nothing() -> None:
    async def scenario() -> None:
        work = StoreWork(threads=1, max_waiting=1, timeout=0.05)
        answer = Event()
        with pytest.raises(TimeoutError):
            await work.run(answer.wait)
        # The thread is still busy. One more read can wait, and is given up.
        with pytest.raises(TimeoutError):
            await work.run(lambda: None)
        answer.set()
        free = StoreWork(threads=1, max_waiting=0, timeout=30)
        assert await free.run(lambda: 5) == 5

    asyncio.run(scenario())


def test_more_reads_than_may_wait_are_refused() -> None:
    async def scenario() -> None:
        work = StoreWork(threads=1, max_waiting=1, timeout=30)
        answer = Event()
        first, second = (asyncio.ensure_future(work.run(answer.wait)) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await work.run(lambda: None)
        answer.set()
        assert await asyncio.gather(first, second) == [True, True]
        assert await work.run(lambda: 1) == 1

    asyncio.run(scenario())


def test_an_error_of_a_read_frees_its_place() -> None:
    async def scenario() -> None:
        work = StoreWork(threads=1, max_waiting=0, timeout=30)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await work.run(lambda: 1 // 0)

    asyncio.run(scenario())


def test_results_are_kept_for_a_minute_and_only_a_few() -> None:
    now = [0.0]
    recent = RecentResults(clock=lambda: now[0])
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    assert [recent.get("a", lambda: make(1)), recent.get("a", lambda: make(2))] == [1, 1]
    now[0] = 61.0
    assert recent.get("a", lambda: make(3)) == 3
    for number in range(100):
        recent.get(number, lambda number=number: make(number))  # type: ignore[misc]
    assert recent.get("a", lambda: make(4)) == 4
