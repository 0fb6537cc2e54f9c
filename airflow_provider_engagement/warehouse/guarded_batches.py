"""Batches of rows on their way through the client of a database: counted, and with errors of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import pyarrow

Batch = TypeVar("Batch", pyarrow.Table, pyarrow.RecordBatch)


class CountedBatches:
    """Batches of rows, which are counted as they pass.

    :param batches: the batches.
    """

    def __init__(self, batches: Iterable[pyarrow.Table]) -> None:
        self._batches = batches
        self.number = 0

    def __iter__(self) -> Iterator[pyarrow.Table]:
        for batch in self._batches:
            self.number += batch.num_rows
            yield batch


class GuardedBatches(Generic[Batch]):
    """Batches that keep their error, since the clients of databases replace an error of the rows that they read.

    :param batches: the batches.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Batch]:
        try:
            yield from self._batches
        except Exception as error:
            self._error = error
            raise

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise the error of the batches instead of the one of the client."""
        try:
            yield
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise
