"""The error responses of the API: the documented messages, and invented ones where no source records a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class RejectedRequest(Exception):
    """A request that receives an error response.

    :param status: the HTTP status.
    :param errors: the entries of ``errors`` in the body: sentences, or objects with a code. Without any, the body is
        empty.
    :param extra: further fields of the body.
    """

    def __init__(self, status: int, *errors: str | Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = errors
        self.extra = dict(extra or {})

    @property
    def body(self) -> dict[str, Any] | bytes:
        """The body of the response, before it is encoded."""
        return {"errors": list(self.errors), **self.extra} if self.errors else b""


TOKEN_NOT_FOUND = "Access token not found"
UNKNOWN_AUTHORIZATION = "Unknown Authorization Type"
INTERNAL_ERROR = "internal server error"
RATE_LIMIT = "Rate limit exceeded"
NOT_ENTITLED = "Sorry, your application id is not authorized."
UNAVAILABLE = "Tweet ID(s) are unavailable"
"""The message for protected accounts, as the guide has it: without a number."""

NO_GZIP = (
    "This request requires gzip compression. Retry the request after setting 'Accept-Encoding' header in the request "
    "to 'gzip'."
)
INVALID_TOKEN = {"code": 89, "message": "Invalid or expired token"}
NO_USER = {"code": 220, "message": "Your credentials do not allow access to this resource"}
NO_SUCH_PAGE = {"message": "Sorry, that page does not exist", "code": 34}
BAD_CREDENTIALS = {
    "code": 99,
    "label": "authenticity_token_error",
    "message": "Unable to verify your credentials",
}


def unauthenticated_message(reason: str) -> str:
    """Return the message for invalid credentials."""
    return f"Your account could not be authenticated. Reason: {reason}"


def unavailable_message(number: int) -> str:
    """Return the message for Tweets that are deleted or not public."""
    return f"{number} {UNAVAILABLE}"


def age_limit_message(limit: str) -> str:
    """Return the message for impressions and engagements of Tweets past the age limit."""
    return f"Impressions & engagements for tweets older than 90 days ({limit}) are not supported"


def forbidden_metrics_message(metrics: Iterable[str]) -> str:
    """Return the message for metrics that the endpoint does not return for these credentials."""
    return f"Forbidden to access metrics: {', '.join(metrics)}"


def forbidden_tweets_messages(by_author: Mapping[str, Sequence[str]], *, plain: bool) -> list[str]:
    """Return the messages for Tweets of other authors.

    :param by_author: the Tweet ids, by author id.
    :param plain: whether one message names all Tweets; otherwise there is one message per author.
    """
    if plain:
        return [f"Forbidden to access tweets: {', '.join(tweet for ids in by_author.values() for tweet in ids)}"]
    return [f"Forbidden to access tweets for author id {author}: {', '.join(ids)}" for author, ids in by_author.items()]


def unsupported_dimensions_message(dimensions: Iterable[str]) -> str:
    """Return the message for dimensions by which an endpoint cannot group."""
    return (
        f"One or more of the groupBys you have specified are not supported: ({', '.join(dimensions)}). "
        "Please adjust your request and try again."
    )
