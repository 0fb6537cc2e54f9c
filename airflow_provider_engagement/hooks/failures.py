"""Hands permanent errors to Airflow, which then does not retry the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import PermanentError


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Raise a permanent error of the block as an ``AirflowFailException``; leave any other error as it is."""
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error
