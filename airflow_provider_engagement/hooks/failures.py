"""Hands permanent errors to Airflow, which then does not retry the task."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.exceptions import (
    ApiError,
    EngagementError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PathError,
    PermanentError,
    ResponseTooLargeError,
    WaitRequired,
)

log = logging.getLogger(__name__)

_MISTAKES = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""What the operating system reports about a path that a retry cannot read or write either."""

_ABOUT_A_CONNECTION = (ApiError, InvalidConnectionError, InvalidResponseError, NoResponseError, ResponseTooLargeError)
"""Errors that another connection may not have."""


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Raise a permanent error of the block as an ``AirflowFailException``; leave any other error as it is."""
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(str(error)) from error


@contextmanager
def task_failures(conn_id: str | None = None) -> Iterator[None]:
    """Log an error of the block as one line that holds the whole message, and let Airflow not retry a permanent one.

    :param conn_id: the connection that requests are sent with.
    """
    try:
        yield
    except WaitRequired:
        # The task waits, and has not failed.
        raise
    except EngagementError as error:
        message = _one_line(error, conn_id)
        log.error("%s", message)
        if isinstance(error, PermanentError):
            raise AirflowFailException(message) from error
        raise
    except AirflowFailException as failure:
        log.error("%s", _one_line(failure, None))
        raise
    except OSError as error:
        if error.errno not in _MISTAKES:
            raise
        message = _one_line(PathError(str(error.filename or ""), error.strerror or str(error)), None)
        log.error("%s", message)
        raise AirflowFailException(message) from None


def _one_line(error: Exception, conn_id: str | None) -> str:
    message = " ".join(str(error).split())
    if conn_id and isinstance(error, _ABOUT_A_CONNECTION) and not message.startswith("Connection "):
        return f"Connection {conn_id}: {message}"
    return message
