"""Everything that can go wrong, in one tree whose base classes say what a retry would do.

A :class:`PermanentError` would fail again the same way: the hook and the operators hand it to Airflow as an
``AirflowFailException``, so that no retry is spent on it. Every other error is left as it is and Airflow retries it.

This module imports nothing of Airflow, so that the ``api`` package works in a notebook too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime


class EngagementError(Exception):
    """Base of every error of this package."""


class PermanentError(EngagementError):
    """A retry would fail the same way: a person has to change something first."""


class TransientError(EngagementError):
    """A retry may succeed, and goes on from what has been fetched."""


class InvalidQueryError(PermanentError):
    """What was asked for is refused before a request is spent.

    :param field: the parameter that is wrong.
    :param problem: what is wrong with it.
    :param remedy: what to do about it.
    """

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{field}: {problem}." + (f" {remedy}" if remedy else ""))
        self.field = field
        self.problem = problem
        self.remedy = remedy


class InvalidConnectionError(PermanentError):
    """The connection lacks something or holds something that cannot be used."""


class MaxWaitExceededError(PermanentError):
    """A task would have to wait for the rate limit past its ``max_wait``."""


class NeverEnoughRoomError(PermanentError):
    """More requests are waited for than the contract allows in a minute."""


class ApiError(EngagementError):
    """The API answered with an error.

    :param summary: what happened and what to do about it.
    :param endpoint: the last part of the path, such as ``totals``.
    :param status: the HTTP status.
    :param messages: the texts the API gave.
    :param request_id: the id the API gave the request, if any.
    """

    def __init__(
        self,
        summary: str,
        *,
        endpoint: str,
        status: int,
        messages: Sequence[str] = (),
        request_id: str | None = None,
    ) -> None:
        said = f" The API said: {'; '.join(messages)}" if messages else ""
        named = f" (request {request_id})" if request_id else ""
        super().__init__(f"{endpoint}: HTTP {status}. {summary}{said}{named}")
        self.summary = summary
        self.endpoint = endpoint
        self.status = status
        self.messages = tuple(messages)
        self.request_id = request_id


class AuthenticationError(ApiError, PermanentError):
    """The credentials were refused (401)."""


class NotEntitledError(ApiError, PermanentError):
    """The app is not enabled for the Engagement API, or not for what was asked."""


class ForbiddenMetricsError(ApiError, PermanentError):
    """A metric cannot be had with these credentials on this endpoint."""


class ForbiddenTweetsError(ApiError, PermanentError):
    """Some Tweets are not authored by the user whose token signed the request.

    :param tweet_ids_by_author: the refused ids by their author's id, or by ``None`` where the API did not name it.
    """

    def __init__(
        self,
        summary: str,
        *,
        tweet_ids_by_author: Mapping[str | None, tuple[str, ...]],
        endpoint: str,
        status: int,
        messages: Sequence[str] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(summary, endpoint=endpoint, status=status, messages=messages, request_id=request_id)
        self.tweet_ids_by_author = dict(tweet_ids_by_author)


class RequestRejectedError(ApiError, PermanentError):
    """The API holds the request itself to be wrong (400, 406 and the like)."""


class EndpointNotFoundError(ApiError, PermanentError):
    """The address is not that of the Engagement API, or the contract does not include the endpoint (404, 410)."""


class PeriodCapError(ApiError, PermanentError):
    """A cap that renews far in the future is used up; waiting for it in a task is futile.

    :param renews_at: when the cap renews, if the API said so.
    """

    def __init__(
        self,
        summary: str,
        *,
        renews_at: datetime | None,
        endpoint: str,
        status: int,
        messages: Sequence[str] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(summary, endpoint=endpoint, status=status, messages=messages, request_id=request_id)
        self.renews_at = renews_at


class ServerError(ApiError, TransientError):
    """The API failed (5xx) as often as it was tried."""


class RateLimitedError(ApiError, TransientError):
    """The API refused the request for its rate (429) as often as it was tried."""


class NoResponseError(TransientError):
    """No answer came: the host cannot be reached, the connection broke or timed out."""


class InvalidResponseError(TransientError):
    """An answer came that cannot be read: broken compression, no JSON, or a shape nobody documents."""


class WaitRequired(TransientError):
    """The next request may go only later than the caller is willing to wait in place.

    :param until: the earliest moment at which to ask again, in UTC.
    """

    def __init__(self, until: datetime) -> None:
        super().__init__(f"The rate limit allows the next request at {until.isoformat()}.")
        self.until = until


class StoppedError(TransientError):
    """The pull was told to stop, as when its task is killed; a retry goes on from what was fetched."""


class IncompletePullError(TransientError):
    """Something that was asked for is missing for a reason that the completeness rule does not accept."""


class UnacceptedGapsError(PermanentError):
    """What the completeness rule does not accept is missing for good: the API said why, and would say so again."""


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Hand a :class:`PermanentError` to Airflow as an ``AirflowFailException``, which no retry is spent on."""
    try:
        yield
    except PermanentError as error:
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(str(error)) from error
