"""How figures are taken and printed."""

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
    """Keep standard output for figures: whatever else is written to it from now on goes to standard error."""
    global _output
    _output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def figure(name: str, value: float, unit: str, goal: str | None = None) -> None:
    """Print a figure as a line of JSON.

    :param name: what was measured.
    :param value: the figure, printed to four significant digits, or all of those before the point.
    :param unit: its unit.
    :param goal: what it should be, such as ``>= 0.98``.
    """
    rounded = round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
    print(json.dumps({"name": name, "value": rounded, "unit": unit, "goal": goal}), file=_output, flush=True)


def peak_memory() -> int:
    """Return the most memory, in bytes, that this process ever held.

    Linux hands ``ru_maxrss`` of a process down to those it starts, so that its own account is taken where there is one.
    """
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of a module returns, called in a fresh process: with memory and imports of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@dataclass
class Spent:
    """What a block of code took.

    :param seconds: by the clock.
    :param processor_seconds: of all cores together.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0


@contextmanager
def timed(spent: Spent | None = None) -> Iterator[Spent]:
    """Measure a block; what a given account holds already is added to."""
    spent = spent or Spent()
    clock, processor = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.seconds += time.perf_counter() - clock
        spent.processor_seconds += time.process_time() - processor
