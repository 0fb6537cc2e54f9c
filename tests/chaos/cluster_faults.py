"""The faults on a cluster. Each is a context: it begins with a fault and ends with the recovery."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from cluster.installation import COMPONENTS, OBJECT_STORE, Cluster
from cluster.programs import Program, Programs

from chaos.api_faults import API_FAULTS, ApiFault
from chaos.store_proxy import Mode, StoreProxy

REDIS = "redis"
WORKER, BROKER = "kill a worker", "kill Redis"


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the faults disturb.

    :param cluster: the running cluster.
    :param proxy: the proxy in front of the object store.
    :param redis: the Redis server of this cluster alone, named :data:`REDIS`; ``None`` if others use the server, too.
    :param chance: chooses workers.
    """

    cluster: Cluster
    proxy: StoreProxy
    redis: Programs | None
    chance: random.Random

    def allows(self, fault: str) -> bool:
        """Return whether a fault disturbs nobody else."""
        return fault != BROKER or self.redis is not None

    def running_tasks(self) -> list[int]:
        """Return the process ids of the tasks that are running."""
        return [task["pid"] for task in self.cluster.airflow.task_instances("running") if task["pid"]]

    def is_healthy(self) -> bool:
        """Return whether Airflow, the object store and Redis work. The workers are not included."""
        redis_runs = self.redis is None or self.redis.is_running(REDIS)
        return redis_runs and self.cluster.object_store.is_ready() and self.cluster.airflow.is_healthy()

    def busy_workers(self) -> list[str]:
        """Return the workers that run tasks."""
        starters = {self.cluster.programs.starter_of(process_id) for process_id in self.running_tasks()}
        return [name for name in self.cluster.worker_names if name in starters]


Fault = Callable[[Site, float], AbstractContextManager[None]]
"""Disturbs a site for some seconds."""


def redis_server(command: str, port: int, programs: Programs) -> Program:
    """Return a Redis server that loses all messages when it is killed."""
    return Program(
        command=(command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        folder=programs.logs,
        environment={},
    )


@contextmanager
def _killed(name: str, site: Site, seconds: float) -> Iterator[None]:
    site.cluster.kill(name)
    yield
    site.cluster.restart(name)


@contextmanager
def _killed_worker(site: Site, seconds: float) -> Iterator[None]:
    worker = site.chance.choice(site.busy_workers() or site.cluster.worker_names)
    with _killed(worker, site, seconds):
        yield


@contextmanager
def _killed_redis(site: Site, seconds: float) -> Iterator[None]:
    if site.redis is None:
        raise ValueError("This site has no Redis server of its own.")
    site.redis.kill(REDIS)
    yield
    site.redis.restart(REDIS)


@contextmanager
def _closed_database(site: Site, seconds: float) -> Iterator[None]:
    with site.cluster.database.closed():
        yield


@contextmanager
def _proxied(mode: Mode, site: Site, seconds: float) -> Iterator[None]:
    with site.proxy.mode(mode):
        yield


def _of_api(fault: ApiFault, site: Site, seconds: float) -> AbstractContextManager[None]:
    return fault(site.cluster.api, seconds)


FAULTS: Mapping[str, Fault] = {
    WORKER: _killed_worker,
    **{f"kill the {name}": partial(_killed, name) for name in (*COMPONENTS, OBJECT_STORE)},
    BROKER: _killed_redis,
    "close PostgreSQL": _closed_database,
    **{f"object store: {mode.value}": partial(_proxied, mode) for mode in Mode if mode is not Mode.PASS},
    **{name: partial(_of_api, fault) for name, fault in API_FAULTS.items()},
}
"""The faults, by name."""
