"""Measure and print figures."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000
_STATUS = Path("/proc/self/status")

_output = sys.stdout


def keep_standard_output() -> None:
    """Print only figures to standard output. All other output goes to standard error from now on."""
    global _output
    _output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def figure(name: str, value: float, unit: str, goal: str | None = None) -> None:
    """Print a figure as a line of JSON.

    :param name: what was measured.
    :param value: the figure. It is printed with four significant digits, and from 1,000 on as an integer.
    :param unit: the unit of the figure.
    :param goal: the goal, such as ``>= 0.98``, if there is one.
    """
    rounded = round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
    print(json.dumps({"name": name, "value": rounded, "unit": unit, "goal": goal}), file=_output, flush=True)


def peak_memory() -> int:
    """Return the peak memory of this process in bytes.

    On Linux, a process inherits ``ru_maxrss`` of the process that started it, so the value in ``/proc`` is used.
    """
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process, so that its memory and imports are measured alone, and return its result."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@dataclass
class Spent:
    """The time that a block of code takes.

    :param seconds: the elapsed time.
    :param processor_seconds: the processor time of all threads.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0


@contextmanager
def timed(spent: Spent | None = None) -> Iterator[Spent]:
    """Measure a block.

    :param spent: the times to add to; by default new ones.
    """
    spent = spent or Spent()
    clock, processor = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.seconds += time.perf_counter() - clock
        spent.processor_seconds += time.process_time() - processor
