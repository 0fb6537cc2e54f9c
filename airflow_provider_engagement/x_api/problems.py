"""Classify the problems that X API reports: about one Tweet, user or field in an answer, or about a whole request.

A problem has a type, which is a URL. Two hosts occur in it, so only the last segment of its path counts. The words of a
problem are shown behind ours: some of them name a cause that is not the cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_engagement.exceptions import (
    ApiError,
    AuthenticationError,
    CreditsDepletedError,
    EndpointNotFoundError,
    NotEntitledError,
    RequestRejectedError,
    ServerError,
    UsageCapError,
)

_TRANSIENT_STATUSES: Final = (408, 425)
"""Statuses below 500 after which a repetition may succeed."""

_LONGEST_LIST: Final = 3
"""How many ids of a list in X's words are shown. X repeats every id of a request that it rejects."""

_LISTED_IDS = re.compile(r"[0-9]{1,19}(?:\s{0,3},\s{0,3}[0-9]{1,19}){3,}")
_CREDITS = "creditsdepleted"


class ProblemType(StrEnum):
    """What a problem is about, by the last segment of its type."""

    NOT_FOUND = "resource-not-found"
    NOT_AUTHORIZED_FOR_RESOURCE = "not-authorized-for-resource"
    NOT_AUTHORIZED_FOR_FIELD = "not-authorized-for-field"
    FIELD_UNAUTHORIZED = "field-unauthorized"
    RESOURCE_UNAVAILABLE = "resource-unavailable"
    DISALLOWED_RESOURCE = "disallowed-resource"
    FIELD_HYDRATION_FAILURE = "field-hydration-failure"
    INTERNAL_ERROR = "internal-error"
    INVALID_REQUEST = "invalid-request"
    CLIENT_FORBIDDEN = "client-forbidden"
    UNSUPPORTED_AUTHENTICATION = "unsupported-authentication"
    CREDITS = "credits"
    USAGE_CAPPED = "usage-capped"
    RATE_LIMIT_EXCEEDED = "rate-limit-exceeded"
    OTHER = "about:blank"

    @classmethod
    def from_url(cls, url: object) -> ProblemType:
        """Return the type that a URL names, whatever its host. An unknown one is ``OTHER``."""
        segment = url.rstrip("/").rpartition("/")[2] if isinstance(url, str) else ""
        return cls(segment) if segment in list(cls) else cls.OTHER


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One problem of an answer.

    :param type: what it is about.
    :param resource_type: ``tweet`` or ``user``, if it is about one.
    :param resource_id: the id of that Tweet or user.
    :param value: what the request named. For handles, it is the handle.
    :param field: the field that is not there, such as ``organic_metrics.like_count``.
    :param is_included: whether it is about something beside the requested Tweets, such as an author.
    :param message: X's words.
    """

    type: ProblemType
    resource_type: str | None = None
    resource_id: str | None = None
    value: str | None = None
    field: str | None = None
    is_included: bool = False
    message: str = ""


def read_problems(body: Any) -> tuple[Problem, ...]:
    """Return the problems that a body reports: in a list of errors, or as the body itself.

    :param body: the decoded JSON.
    """
    if not isinstance(body, Mapping):
        return ()
    errors = body.get("errors")
    problems = tuple(_problem(error) for error in errors if error) if isinstance(errors, list) else ()
    if "title" in body or "type" in body:
        # A rejected request is one problem, whose errors say more.
        return (_problem(body), *problems)
    return problems


def words_of(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return X's words, each once, with long lists of ids cut.

    :param problems: the problems.
    """
    return tuple(dict.fromkeys(_without_long_lists(problem.message) for problem in problems if problem.message))


def error_for_problem(
    *,
    endpoint: str,
    status: int,
    body: Any,
    host: str,
    request_id: str | None = None,
    shown: Callable[[Sequence[str]], Sequence[str]] = tuple,
) -> ApiError:
    """Return the exception for an answer that is an error. HTTP 429 for a rate limit is not among them: see below.

    :param endpoint: the endpoint.
    :param status: the HTTP status.
    :param body: the decoded JSON, or ``None``.
    :param host: the address of the API.
    :param request_id: the id that the API gave the request, if any.
    :param shown: returns texts as the exception shows them.
    """
    problems = read_problems(body)
    details: Any = {
        "endpoint": endpoint,
        "status": status,
        "messages": shown(words_of(problems)),
        "request_id": request_id,
    }
    error, summary = _classify(status, {problem.type for problem in problems}, body, host)
    return error(summary, **details)


def is_usage_cap(body: Any) -> bool:
    """Return whether HTTP 429 is about the reads of a month, which waiting for the window does not renew.

    :param body: the decoded JSON.
    """
    return any(problem.type is ProblemType.USAGE_CAPPED for problem in read_problems(body))


def _classify(status: int, types: set[ProblemType], body: Any, host: str) -> tuple[type[ApiError], str]:
    title = str(body.get("title", "")) if isinstance(body, Mapping) else ""
    if status == 402 or ProblemType.CREDITS in types or title.lower() == _CREDITS:
        return CreditsDepletedError, (
            "The credits of the app are spent. Buy credits in X's developer console, or pull fewer Tweets."
        )
    if ProblemType.USAGE_CAPPED in types:
        return UsageCapError, (
            "The app has read as many Tweets as it may in this billing cycle. Waiting for the rate limit does not "
            "help. Raise the cap in X's developer console, or run the task again in the next cycle."
        )
    if ProblemType.CLIENT_FORBIDDEN in types or (isinstance(body, Mapping) and body.get("reason")):
        return NotEntitledError, _not_enrolled(body if isinstance(body, Mapping) else {})
    if ProblemType.UNSUPPORTED_AUTHENTICATION in types:
        return AuthenticationError, (
            "The endpoint does not accept this kind of credentials. Use a user's access token instead of the app's "
            "bearer token, or the other way round."
        )
    if status == 401:
        return AuthenticationError, (
            "X rejected the credentials. Check the keys and tokens, that the user has not revoked the app, and that a "
            "ready OAuth 2.0 token is less than two hours old."
        )
    if status == 403:
        return NotEntitledError, "X does not allow this request. Check what the app may use in X's developer console."
    if status in (404, 410):
        return EndpointNotFoundError, (
            f"{host} does not have this endpoint, or not for this app. Check the address, and what the app may use."
        )
    if 300 <= status < 400:
        return EndpointNotFoundError, (
            f"{host} redirects to another address, which a signed request cannot follow. Use the new address."
        )
    if 200 <= status < 300:
        return ServerError, "The answer has errors and nothing else."
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return ServerError, "X failed."
    return RequestRejectedError, "X rejected the request as invalid."


def _not_enrolled(body: Mapping[str, Any]) -> str:
    """Return the remedy for an app that cannot use an endpoint. X speaks of Projects, which are not the cause.

    The enrollment that X requires is the cause (measured).
    """
    required = body.get("required_enrollment")
    reason = body.get("reason")
    named = f" ({reason})" if isinstance(reason, str) and len(reason) <= 50 else ""
    level = f" X requires: {required}." if isinstance(required, str) and len(required) <= 100 else ""
    return (
        f"The app's level of access does not include this endpoint{named}.{level} Change the level in X's developer "
        "console. Attaching the app to a Project, as X's message says, does not help if other endpoints answer."
    )


def _problem(error: Any) -> Problem:
    if not isinstance(error, Mapping):
        return Problem(type=ProblemType.OTHER, message=_text(error) or "")
    messages = [_text(error.get(key)) for key in ("title", "detail", "message")]
    title, detail, message = messages
    words = ": ".join(text for text in (title, detail or message) if text)
    return Problem(
        type=ProblemType.from_url(error.get("type")),
        resource_type=_text(error.get("resource_type")),
        resource_id=_text(error.get("resource_id")) or None,
        value=_text(error.get("value")),
        field=_text(error.get("field")),
        is_included=error.get("section") == "includes" or "." in str(error.get("parameter", "")),
        message=words,
    )


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _without_long_lists(text: str) -> str:
    def cut(match: re.Match[str]) -> str:
        ids = match[0].split(",")
        return f"{','.join(ids[:_LONGEST_LIST])} and {len(ids) - _LONGEST_LIST} more"

    return _LISTED_IDS.sub(cut, text)
