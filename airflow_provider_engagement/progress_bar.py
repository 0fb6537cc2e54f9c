"""A progress bar for commands on a terminal, such as ``airflow dags test``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Move = Callable[[int, int], None]
"""Moves the bar, given how much is done and how much there is."""


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Move | None]:
    """Show a progress bar on the standard error stream while the block runs.

    Yields the function that moves the bar, or ``None`` if the stream is not a terminal.

    :param what: what makes progress, such as the id of a task.
    :param unit: what is counted, such as ``requests``.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def move(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield move
