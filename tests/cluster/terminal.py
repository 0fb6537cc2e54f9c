"""What the programs of a terminal share: they print lines and tables, and stop their programs when they are stopped."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """Print a text without buffering."""
    print(text, flush=True)


def show_table(lines: Sequence[Sequence[str]]) -> None:
    """Print a table whose first line is its header."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def exit_at_signals() -> None:
    """Raise ``SystemExit`` at a signal that ends the program, so that it stops the programs that it started."""
    for number in _SIGNALS:
        signal.signal(number, _exit)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _exit(*_: object) -> None:
    # Later signals must not interrupt the stopping of programs.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit("Stopped.")
