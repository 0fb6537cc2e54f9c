"""All exceptions of this package. The base classes state whether a retry can succeed.

A retry after a :class:`PermanentError` would fail in the same way. The hook and the operators convert it to Airflow's
``AirflowFailException``, so that Airflow does not retry the task. Airflow retries the task after every other error.

This module does not import Airflow, so that the ``api`` package also works in a notebook.

The docstring of an exception states what happened, and in a second paragraph what to do. The table of errors in the
documentation consists of these texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


class EngagementError(Exception):
    """Base class of all exceptions of this package."""


class PermanentError(EngagementError):
    """A retry fails in the same way. Something has to be changed first."""


class TransientError(EngagementError):
    """A retry may succeed, and continues from the responses that are stored."""


class InvalidQueryError(PermanentError):
    """A parameter has a value that the API or this package does not accept. No request is sent.

    Correct the parameter that the message names.

    :param field: the name of the parameter.
    :param problem: what is wrong, with the value.
    :param remedy: what to do about it.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class InvalidConnectionError(PermanentError):
    """The connection lacks a field or has a field with an invalid value. No request is sent.

    Correct the field of the connection that the message names.
    """


class UnknownConnectionError(InvalidConnectionError):
    """There is no connection of this id, or Airflow cannot read it. No request is sent.

    Create the connection, or correct the parameter that the message names.
    """


class OwnerTokenError(InvalidConnectionError):
    """There is no access token for an owner, or the token cannot be used. No request is sent for this owner.

    Add the owner's token to ``account_tokens`` of the connection, or to a connection of its own. The Tweets of other
    owners are pulled.

    :param owner: the owner; ``None`` for the user of the connection.
    :param problem: what is wrong.
    :param remedy: what to do about it.
    """

    def __init__(self, owner: str | None, problem: str, remedy: str) -> None:
        super().__init__(f"{problem if owner is None else f'Owner {owner}: {problem}'}. {remedy}")
        self.owner = owner


class BoundExceededError(PermanentError):
    """The pull is larger than the ``limits`` of its task. No request is sent, except that a listing can turn out to be
    larger while it is read.

    Raise the bound that the message names, or pull less.

    :param bound: the name of the bound.
    :param limit: its value.
    :param subject: what the pull needs, in words.
    :param consequence: what has happened until then.
    """

    def __init__(self, bound: str, limit: object, subject: str, *, consequence: str = "No request was sent.") -> None:
        super().__init__(f"{bound} is {limit}, but {subject}. Raise {bound}, or pull less. {consequence}")
        self.bound = bound


class IncompatibleTableError(PermanentError):
    """The dataset has a table that the pull cannot add rows to: another format, other types or another layout.

    Use the format of the dataset, or another ``dataset_path``.

    :param address: the path or URL of the table.
    :param problem: what is wrong with it.
    :param remedy: what to do about it.
    """

    def __init__(self, address: str, problem: str, remedy: str = "Use another dataset_path") -> None:
        super().__init__(f"The table {address} is not compatible: {problem}. {remedy}.")


class MaxWaitExceededError(PermanentError):
    """The task would have to wait for the rate limit longer than ``limits`` allows. The stored responses are kept.

    Clear the task to continue, raise ``wait`` of ``limits``, or pull fewer Tweets.
    """


class QuotaTooSmallError(PermanentError):
    """The sensor waits for more requests than the quota allows in a minute.

    Lower ``min_remaining``. A pull waits for the next minute of the quota by itself.
    """


class ApiError(EngagementError):
    """The API returned an error response.

    :param summary: what happened, and what to do about it.
    :param endpoint: the last part of the endpoint's path, such as ``totals``.
    :param status: the HTTP status.
    :param messages: the error messages of the response.
    :param request_id: the id that the API gave the request, if any.
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
        message = f" The API's message: {'; '.join(messages)}" if messages else ""
        request = f" (request {request_id})" if request_id else ""
        super().__init__(f"{endpoint}: HTTP {status}. {summary}{message}{request}")
        self.summary = summary
        self.endpoint = endpoint
        self.status = status
        self.messages = tuple(messages)
        self.request_id = request_id


class AuthenticationError(ApiError, PermanentError):
    """The API rejected the credentials (HTTP 401, or 400 or 403 from the token URL).

    Check the keys and tokens. The user may have revoked the app or changed the password. A clock that is minutes off
    makes signatures invalid.
    """


class NotEntitledError(ApiError, PermanentError):
    """The app is not enabled for the Engagement API, or not for this request (HTTP 403 or 401).

    Ask X to enable the app id for the Engagement API.
    """


class ForbiddenMetricsError(ApiError, PermanentError):
    """The credentials cannot read some of the metrics on this endpoint (HTTP 403).

    Remove these metrics from ``metrics``, or use other credentials.
    """


class ForbiddenTweetsError(ApiError, PermanentError):
    """Other users posted some of the Tweets (HTTP 403). ``tweet_ids_by_author`` lists them.

    Use the token of their author, use ``auth="app"`` for public metrics, or add ``forbidden`` to ``accepted_outcomes``
    to leave them out.

    :param tweet_ids_by_author: these Tweets by the user who posted them, or by ``None`` if the API names no user.
    :param details: the parameters of :class:`ApiError`.
    """

    def __init__(
        self, summary: str, *, tweet_ids_by_author: Mapping[str | None, tuple[str, ...]], **details: Any
    ) -> None:
        super().__init__(summary, **details)
        self.tweet_ids_by_author = dict(tweet_ids_by_author)


class RequestRejectedError(ApiError, PermanentError):
    """The API rejected the request as invalid (HTTP 400, 406 or another 4xx).

    Read the API's message. HTTP 406 means that a proxy removes the ``Accept-Encoding`` header. If the request looks
    right, report it as a bug.
    """


class EndpointNotFoundError(ApiError, PermanentError):
    """The host does not have the endpoint, or redirects to another address (HTTP 404, 410 or 3xx).

    Check the host of the connection, and ask X whether the contract includes the endpoint.
    """


class PeriodCapError(ApiError, PermanentError):
    """A limit that renews far in the future is used up (HTTP 429). ``renews_at`` is the time.

    Run the task again after that time.

    :param renews_at: when the limit renews.
    :param details: the parameters of :class:`ApiError`.
    """

    def __init__(self, summary: str, *, renews_at: datetime, **details: Any) -> None:
        super().__init__(summary, **details)
        self.renews_at = renews_at


class CreditsDepletedError(ApiError, PermanentError):
    """The app pays by use, and its credits are spent (HTTP 402).

    Buy credits in X's developer console, or pull fewer Tweets.
    """


class UsageCapError(ApiError, PermanentError):
    """The app has read as many Tweets as it may in this billing cycle (HTTP 429). It is no rate limit.

    Raise the cap in X's developer console, or run the task again in the next cycle.
    """


class ServerError(ApiError, TransientError):
    """The API failed on every attempt (HTTP 5xx, 408 or 425, or errors without data).

    Usually no action is needed: the retry sends the missing requests.
    """


class RateLimitedError(ApiError, TransientError):
    """The API rejected the request with HTTP 429 until ``max_wait`` was over.

    Find out which other clients use the quota, or let tasks run one after the other in a pool.
    """


class NoResponseError(TransientError):
    """The API sent no response: the host is unreachable, or the connection broke or timed out on every attempt.

    Check the host, and the proxy and firewall of the worker. Raise ``read_timeout`` if responses are large.
    """


class ResponseTooLargeError(PermanentError):
    """The response is larger than ``max_response_megabytes`` of the connection. The rest of it was not read.

    Check the host and the proxy: a full response has about 3 MB. If the response is right, increase
    ``max_response_megabytes``, or request fewer Tweets, metrics or groupings. The same request is not repeated, because
    its response would be as large again.
    """


class InvalidResponseError(TransientError):
    """The response cannot be read: broken compression, no JSON, a repeated key, or an undocumented structure.

    If it persists, a proxy changes the responses or the API has changed. Report it as a bug.
    """


class StorageError(TransientError):
    """The storage of a Delta table failed. The stored responses are kept.

    Check that the storage is available, and that the connection may read and write there.

    :param address: the path or URL of the table.
    :param problem: what failed.
    """

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"The table {address} cannot be read or written: {problem}. Check the storage.")


class TweetIdQueryError(TransientError):
    """The database failed to answer the query of ``tweets``. No request is sent.

    Usually no action is needed: the retry runs the query again. If the error persists, read the message of the
    database.

    :param conn_id: the connection of the database.
    :param problem: what the database reports.
    """

    def __init__(self, conn_id: str, problem: str) -> None:
        super().__init__(f"tweets: the database of the connection {conn_id} failed: {_sentence(problem)}")


class PathError(PermanentError):
    """The task cannot read or write a path: its rights do not suffice, or a file is where a folder has to be.

    Correct the path, or the rights of the user whom the worker runs as.

    :param path: the path; empty if it is not known.
    :param problem: what the storage reports.
    """

    def __init__(self, path: str, problem: str) -> None:
        place = f"The path {path}" if path else "A path of the task"
        super().__init__(
            f"{place} cannot be read or written: {_sentence(problem)} Correct the path, or the rights of the user whom "
            "the worker runs as."
        )


class MissingExtraError(PermanentError):
    """A package that this task needs is not installed.

    Install the package that the message names on the workers.

    :param purpose: what needs the package.
    :param package: what to install.
    :param problem: the error of the import.
    """

    def __init__(self, purpose: str, package: str, problem: str) -> None:
        super().__init__(f"{purpose} needs a package that is not installed: {problem}. Run pip install '{package}'.")


class WarehouseTableError(PermanentError):
    """A table in the database has another shape than the rows that would be loaded into it. No row is changed.

    Use another ``schema``, or rename the table in the database.

    :param place: the database, schema and table.
    :param problem: what is wrong with it.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(
            f"{place} cannot hold the rows: {_sentence(problem)} No row of the table is changed. Use another schema, "
            "or rename the table."
        )


class WarehouseViewError(PermanentError):
    """A view cannot be made: a table or view of yours has its name, or the database rejects it, for example because
    other views depend on it. The message says whether the rows are loaded.

    Rename or drop what has the name of the view, or leave the view out of ``views``.

    :param place: the database, schema and view.
    :param problem: why the view cannot be made.
    :param rows_are_loaded: whether the rows were loaded before.
    """

    def __init__(self, place: str, problem: str, *, rows_are_loaded: bool) -> None:
        rows = "The rows are loaded, and the view is as it was before." if rows_are_loaded else "No row is loaded."
        super().__init__(
            f"{place} cannot be made: {_sentence(problem)} {rows} Rename or drop what is in its way, or leave the view "
            "out of views."
        )


class WarehouseAccessError(PermanentError):
    """The database rejects the credentials, or does not allow the task to write. No row is changed.

    Check the connection, and grant the right to create schemas and tables. Check that the file of a DuckDB database can
    be written.

    :param place: the database.
    :param problem: what the database reports.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(
            f"{place} does not let the task write: {_sentence(problem)} Check the connection and its rights."
        )


class WarehouseError(TransientError):
    """The load into the database failed, or another task has locked the database for a long time. Each table has its
    old rows or the new ones.

    Usually no action is needed: the retry loads the same rows again. If the error persists, read the message of the
    database.

    :param place: the database.
    :param problem: what the database reports.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"The load into {place} failed: {_sentence(problem)} A retry loads the same rows again.")


class ConflictError(TransientError):
    """Other writers committed to a Delta table again and again, so that this pull could not.

    Usually no action is needed: the retry publishes the stored responses. Otherwise run fewer writers at a time.
    """


class WaitRequired(TransientError):
    """The rate limit allows the next request only later than the caller waits in place.

    No action is needed: an operator waits until then. With ``RateLimitRetryPolicy``, Airflow retries the task then.

    :param until: when to try again, in UTC.
    """

    def __init__(self, until: datetime) -> None:
        super().__init__(f"The rate limit allows the next request at {until.isoformat()}.")
        self.until = until


class StoppedError(TransientError):
    """The pull was stopped, for example because its task was killed. The stored responses are kept.

    No action is needed: a retry sends the missing requests.
    """


class IncompletePullError(TransientError):
    """Counts are missing that a retry may bring.

    No action is needed at first: the retry sends the missing requests. If the outcome ``no_data`` persists, add it to
    ``accepted_outcomes``.
    """


class UnacceptedGapsError(PermanentError):
    """Counts are missing permanently, with an outcome that ``accepted_outcomes`` does not include.

    Add the outcome to ``accepted_outcomes``, or remove the Tweets.
    """


def _sentence(text: str) -> str:
    """Return what another program reports, with a full stop if it has no punctuation mark at its end."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
