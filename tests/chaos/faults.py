"""The faults on one machine. Each disturbs the pulls of one day; the pulls are repeated until all of them succeed."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from chaos.api_faults import API_FAULTS, ApiFault
from chaos.machine import Machine, Reader, run_all
from chaos.pulls import COMMITTED, COMMITTING, CONCURRENT_REQUESTS, Ended, Moment

SECONDS_OF_COMMIT = 0.01

ANYWHERE = "at any step"
NOT_KILLED = "over before"

COMMIT_MOMENTS: Mapping[str, Callable[[random.Random], Moment]] = {
    "before the log entry": lambda chance: Moment(phase=COMMITTING),
    "within the commit": lambda chance: Moment(phase=COMMITTING, later=chance.uniform(1e-4, SECONDS_OF_COMMIT)),
    "after the log entry": lambda chance: Moment(phase=COMMITTED),
}
"""Moments of a commit to a Delta table, by name. Before its log entry, all data files are written. After it, the
manifest is missing."""

SECONDS_UNTIL_SUCCESS = 120.0
"""How long the pulls of a day may be repeated after the end of the fault."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fault caused.

    :param fault: the fault.
    :param phase: what the disturbed pull was doing, if the fault was at one point of time.
    :param attempts: how often the pulls ran until all of them succeeded.
    :param repeated: how many requests were sent more often than without the fault.
    :param in_flight: how many requests could be in flight at the fault, and so may be repeated; ``None`` if the fault
        itself loses responses.
    :param wrong_cells: how many cells differ from the truth.
    :param duplicates: how many keys occur twice.
    :param polls: how often a reader read the partition.
    :param vanished: how many keys a reader saw vanish.
    :param leftovers: how many temporary files are left.
    :param problem: why the pulls did not succeed, if they did not.
    """

    fault: str
    phase: str = ""
    attempts: int
    repeated: int
    in_flight: int | None
    wrong_cells: int
    duplicates: int
    polls: int
    vanished: int
    leftovers: int
    problem: str = ""

    @property
    def is_harmless(self) -> bool:
        """Whether nothing was lost, invented, left, or requested more often than necessary."""
        counts = (self.wrong_cells, self.duplicates, self.vanished, self.leftovers)
        may_repeat = self.in_flight is None or self.repeated <= self.in_flight
        return may_repeat and not self.problem and not any(counts)


def kill(machine: Machine, reader: Reader, day: int, where: str, steps: int, chance: random.Random) -> Outcome:
    """Kill one of the pulls of a day, and run it again.

    :param machine: the machine.
    :param reader: the reader.
    :param day: the number of the day.
    :param where: the name of the moment in :data:`COMMIT_MOMENTS`, or :data:`ANYWHERE`.
    :param steps: how many steps an undisturbed pull has.
    :param chance: chooses the pull and the step.
    """
    victim = chance.randrange(len(machine.pulls(day)))
    moment = Moment(step=chance.randint(1, steps)) if where == ANYWHERE else COMMIT_MOMENTS[where](chance)
    outcome = _run(
        machine, reader, day, "kill -9", kill_at={victim: moment}, victim=victim, in_flight=CONCURRENT_REQUESTS
    )
    return outcome if where == ANYWHERE or outcome.phase == NOT_KILLED else replace(outcome, phase=where)


def disturb(machine: Machine, reader: Reader, day: int, name: str, seconds: float) -> Outcome:
    """Run the pulls of a day while something that they depend on does not work.

    :param machine: the machine.
    :param reader: the reader.
    :param day: the number of the day.
    :param name: the name of the fault in :data:`FAULTS`.
    :param seconds: how long the fault lasts.
    """
    with FAULTS[name](machine, seconds):
        return _run(machine, reader, day, name, in_flight=None, seconds=seconds)


def _run(
    machine: Machine,
    reader: Reader,
    day: int,
    fault: str,
    *,
    in_flight: int | None,
    seconds: float = 0.0,
    victim: int | None = None,
    **options: Any,
) -> Outcome:
    pulls = machine.pulls(day)
    before = machine.requests()
    reader.turn_to(day)
    polls_before, vanished_before = reader.counts()
    ended = run_all(pulls, **options)
    phase = "" if victim is None else NOT_KILLED if ended[victim].succeeded else ended[victim].last_phase
    attempts, waiting = 1, [index for index, one in enumerate(ended) if not one.succeeded]
    problem = _problem(ended)
    deadline = time.monotonic() + seconds + SECONDS_UNTIL_SUCCESS
    while waiting and time.monotonic() < deadline:
        attempts += 1
        ended = run_all([pulls[index] for index in waiting])
        waiting = [index for index, one in zip(waiting, ended, strict=True) if not one.succeeded]
        problem = _problem(ended)
        if waiting:
            time.sleep(1)
    wrong, duplicates = machine.wrong_cells([day])
    polls, vanished = reader.counts()
    least = sum(-(-len(pull.tweet_ids) // 25) for pull in pulls)
    return Outcome(
        fault=fault,
        phase=phase,
        attempts=attempts,
        repeated=max(0, machine.requests() - before - least),
        in_flight=in_flight,
        wrong_cells=wrong,
        duplicates=duplicates,
        polls=polls - polls_before,
        vanished=vanished - vanished_before,
        leftovers=machine.leftovers(),
        problem=problem if waiting else "",
    )


def _problem(ended: list[Ended]) -> str:
    return next((one.problem for one in ended if one.problem), "")


@contextmanager
def _full_disk(machine: Machine, seconds: float) -> Iterator[None]:
    """No file can grow beyond a few kilobytes, as on a disk that is full, until the time is over."""
    # Python ignores SIGXFSZ, so a write fails with an error.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    def end(*_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    previous = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        end()


def _of_api(fault: ApiFault, machine: Machine, seconds: float) -> AbstractContextManager[None]:
    return fault(machine.api, seconds)


FAULTS: dict[str, Callable[[Machine, float], AbstractContextManager[None]]] = {
    "disk full": _full_disk,
    **{name: partial(_of_api, fault) for name, fault in API_FAULTS.items()},
}
"""What does not work, by name. Each lasts some seconds, or for some responses."""
