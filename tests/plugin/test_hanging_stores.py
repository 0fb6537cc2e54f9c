"""A store that does not answer blocks nobody who reads another one."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_provider_engagement.plugin.airflow_plugin import EngagementPlugin
from airflow_provider_engagement.plugin.application import make_application
from airflow_provider_engagement.plugin.store_work import BusyError, StoreWork

from .conftest import Pulled
from .forged_pulls import Forger, write_manifest
from .test_application import records

READERS = 20
TIMEOUT = 1.0


@pytest.fixture
def impatient(login: Callable[[str], TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the page wait only a second for a store."""
    (application,) = EngagementPlugin.fastapi_apps
    monkeypatch.setattr(application["app"], "_application", make_application(StoreWork(timeout=TIMEOUT)))
    monkeypatch.setattr("airflow_provider_engagement.plugin.rate_limit_routes.TIMEOUT_OF_STORE", TIMEOUT)


@pytest.fixture
def hanging(pulled: Pulled, tmp_path: Path) -> Iterator[str]:
    """The path of a dataset whose files are pipes into which nobody writes, until the test ends."""
    folder = Path(shutil.copytree(pulled.folder, tmp_path / "hanging"))
    forger = Forger(pulled)
    manifest = forger.manifest(folder)
    write_manifest(manifest)
    pipes = [*(folder / "tweet_metrics").rglob("*.parquet"), *(folder / "_rate_limit").glob("*.json")]
    for pipe in pipes:
        pipe.unlink()
        os.mkfifo(pipe)
    yield forger.push(manifest, folder)
    forger.withdraw()
    # A reader that waits for a pipe gets its end now, and ends.
    while readers():
        for pipe in pipes:
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        time.sleep(0.01)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "engagement"]


def test_a_dataset_that_hangs_blocks_only_itself(
    login: Callable[[str], TestClient], impatient: None, hanging: str, pulled: Pulled
) -> None:
    with ThreadPoolExecutor(READERS) as pool:
        stuck = [
            pool.submit(login("alice").get, f"{hanging}/series", params={"tweet_ids": str(number + 100)})
            for number in range(READERS)
        ]
        other = next(
            dataset
            for dataset in login("victor").get("data/datasets").json()["datasets"]
            if dataset["folder"].removeprefix("file://") == pulled.folder
        )
        path = f"data/dags/{other['dag_id']}/datasets/{other['dataset']}"
        healthy = [login("victor").get(f"{path}/{name}").status_code for name in ("series", "top", "outcomes")]
        assert not all(future.done() for future in stuck), "The others were answered while these waited."
        statuses = {future.result().status_code for future in stuck}

    assert healthy == [200, 200, 200]
    assert statuses == {504}
    assert 1 <= len(readers()) <= 2


def test_a_dataset_that_hangs_does_not_hide_the_rate_limit_of_others(
    login: Callable[[str], TestClient], impatient: None, hanging: str, pulled: Pulled
) -> None:
    saved = login("alice").get("data/rate_limit/saved")

    assert [row["dataset"].removeprefix("file://") for row in records(saved.json())] == [pulled.folder]
    assert saved.json()["notes"] == ["Datasets that cannot be read: 1. The log of the API server has the reason."]


def test_stores_that_hang_give_their_threads_to_others() -> None:
    async def scenario() -> None:
        work = StoreWork(threads=4, threads_per_store=2, max_waiting=10, timeout=0.05)
        answer = threading.Event()
        stuck = [work.run(answer.wait, store=number) for number in range(8) for _ in range(2)]
        assert {type(result) for result in await asyncio.gather(*stuck, return_exceptions=True)} == {TimeoutError}
        # All of these stores keep their two threads, and another store has all threads to itself.
        assert await asyncio.gather(*(work.run(lambda: 1, store="other") for _ in range(8))) == [1] * 8
        with pytest.raises(TimeoutError):
            await work.run(lambda: 1, store=0)
        answer.set()
        # The threads end by themselves, and their stores are read again.
        await asyncio.to_thread(lambda: [thread.join() for thread in readers()])
        assert await work.run(lambda: 1, store=0) == 1

    asyncio.run(scenario())


def test_readers_of_one_store_do_not_take_the_places_of_others() -> None:
    async def scenario() -> None:
        work = StoreWork(threads=4, threads_per_store=2, max_waiting=3, timeout=30)
        answer = threading.Event()
        waiting = [asyncio.ensure_future(work.run(answer.wait, store="slow")) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await work.run(lambda: 1, store="slow")
        assert await work.run(lambda: 1, store="fast") == 1
        answer.set()
        assert await asyncio.gather(*waiting) == [True] * 5

    asyncio.run(scenario())


def test_an_error_that_would_end_the_event_loop_is_only_an_error() -> None:
    def fail() -> None:
        raise SystemExit

    async def scenario() -> Any:
        return await asyncio.gather(StoreWork().run(fail), return_exceptions=True)

    (error,) = asyncio.run(scenario())
    assert isinstance(error, Exception)


def test_a_user_with_many_open_requests_waits_and_others_do_not(
    login: Callable[[str], TestClient], impatient: None, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_engagement.plugin.access.REQUESTS_PER_USER", 3)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: login("alice").get(f"{hanging}/top").status_code, range(12)))
        other = login("victor").get("data/datasets").status_code

    assert 429 in answers
    assert answers.count(504) >= 3
    assert other == 200
    assert login("alice").get("data/datasets").status_code == 200
