"""How the API says no: every message it is known to send, and those made up where nobody recorded one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Refusal(Exception):
    """A request that is not answered with data.

    :param status: the HTTP status.
    :param errors: the entries of ``errors``: sentences, or objects with a code.
    :param extra: what the body holds beside ``errors``.
    """

    def __init__(self, status: int, *errors: str | Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = errors
        self.extra = dict(extra or {})

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"errors": list(self.errors), **self.extra}


TOKEN_NOT_FOUND = "Access token not found"
UNKNOWN_AUTHORIZATION = "Unknown Authorization Type"
INTERNAL_ERROR = "internal server error"
RATE_LIMIT = "Rate limit exceeded"
NOT_ENTITLED = "Sorry, your application id is not authorized."
NO_GZIP = (
    "This request requires gzip compression. Retry the request after setting 'Accept-Encoding' header in the request "
    "to 'gzip'."
)
NO_SUCH_PAGE = {"message": "Sorry, that page does not exist", "code": 34}
BAD_CREDENTIALS = {
    "code": 99,
    "label": "authenticity_token_error",
    "message": "Unable to verify your credentials",
}


def unauthenticated(reason: str) -> str:
    """Return the message for credentials that do not hold."""
    return f"Your account could not be authenticated. Reason: {reason}"


def unavailable(number: int) -> str:
    """Return the message for Tweets that are deleted or not public."""
    return f"{number} Tweet ID(s) are unavailable"


def too_old(limit: str) -> str:
    """Return the message for impressions and engagements of Tweets past the age limit."""
    return f"Impressions & engagements for tweets older than 90 days ({limit}) are not supported"


def forbidden_metrics(metrics: Iterable[str]) -> str:
    """Return the message for metrics that this endpoint or authentication does not give."""
    return f"Forbidden to access metrics: {', '.join(metrics)}"


def forbidden_tweets(by_author: Mapping[str, Sequence[str]], *, plain: bool) -> list[str]:
    """Return the messages for Tweets of other authors: one per author, or a single plain one."""
    if plain:
        return [f"Forbidden to access tweets: {', '.join(tweet for ids in by_author.values() for tweet in ids)}"]
    return [f"Forbidden to access tweets for author id {author}: {', '.join(ids)}" for author, ids in by_author.items()]


def unsupported_dimensions(dimensions: Iterable[str]) -> str:
    """Return the message for something an endpoint cannot group by."""
    return (
        f"One or more of the groupBys you have specified are not supported: ({', '.join(dimensions)}). "
        "Please adjust your request and try again."
    )
