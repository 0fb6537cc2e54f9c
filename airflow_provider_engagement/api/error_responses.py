"""An answer with an error status -> the exception it means.

The text decides where the API documents one, whatever the status, because for several errors nobody recorded the
status; then the status decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_engagement.api.response import error_messages
from airflow_provider_engagement.exceptions import (
    ApiError,
    AuthenticationError,
    EndpointNotFoundError,
    ForbiddenMetricsError,
    ForbiddenTweetsError,
    NotEntitledError,
    RequestRejectedError,
    ServerError,
)

_PASSING = (408, 425)
"""Statuses below 500 that say "later" and not "never"."""

_NOT_ENTITLED = "application id is not authorized"
_NOT_AUTHENTICATED = "could not be authenticated"
_FORBIDDEN_METRICS = "forbidden to access metrics"
_FORBIDDEN_TWEETS = re.compile(
    r"forbidden to access tweets(?: for author id (?P<author>[0-9]+))?:\s*(?P<ids>[0-9]+(?:\s*,\s*[0-9]+)*)\s*[,;]?\s*",
    re.IGNORECASE,
)
_UNAVAILABLE = re.compile(r"(?P<number>[0-9]+) Tweet ID\(s\) are unavailable", re.IGNORECASE)


def refusal(*, endpoint: str, status: int, body: Any, host: str, request_id: str | None = None) -> ApiError:
    """Return the exception that an error answer means.

    :param endpoint: the last part of the path that was asked.
    :param status: the HTTP status.
    :param body: the decoded JSON body, or ``None`` where there was none.
    :param host: the address that was asked, to name it where it may be wrong.
    :param request_id: the id that the API gave the request, if any.
    """
    messages = error_messages(body)
    told: dict[str, Any] = {"endpoint": endpoint, "status": status, "messages": messages, "request_id": request_id}
    text = " ".join(messages).lower()
    if _NOT_ENTITLED in text:
        return NotEntitledError("The app is not enabled for the Engagement API: ask X to enable its app id.", **told)
    forbidden = forbidden_tweets(messages)
    if forbidden:
        return ForbiddenTweetsError(forbidden_summary(forbidden), tweet_ids_by_author=forbidden, **told)
    if _FORBIDDEN_METRICS in text:
        return ForbiddenMetricsError("These credentials cannot read these metrics on this endpoint.", **told)
    if status == 401 or _NOT_AUTHENTICATED in text:
        return AuthenticationError(
            "The credentials were refused: check the connection's keys and tokens, and that the user has not revoked "
            "the app.",
            **told,
        )
    if status == 403:
        return NotEntitledError("The credentials do not allow this request.", **told)
    if status in (404, 410):
        return EndpointNotFoundError(
            f"{host} does not serve this endpoint: check the connection's host, and that the contract includes it.",
            **told,
        )
    if 300 <= status < 400:
        return EndpointNotFoundError(
            f"{host} redirects elsewhere, which a signed request must not follow: put the new address into the "
            "connection's host.",
            **told,
        )
    if status == 406:
        return RequestRejectedError("The API saw no offer of gzip: a proxy may strip Accept-Encoding.", **told)
    if 200 <= status < 300:
        return ServerError("The answer holds errors and no data.", **told)
    if status >= 500 or status in _PASSING:
        return ServerError("The API failed.", **told)
    return RequestRejectedError("The API refused the request.", **told)


def forbidden_tweets(messages: Sequence[str]) -> dict[str | None, tuple[str, ...]]:
    """Return the Tweets that the texts say are other authors', by author (``None`` where it is not named)."""
    found: dict[str | None, tuple[str, ...]] = {}
    for message in messages:
        match = _FORBIDDEN_TWEETS.fullmatch(message.strip())
        if match:
            ids = tuple(re.findall("[0-9]+", match["ids"]))
            found[match["author"]] = tuple(dict.fromkeys(found.get(match["author"], ()) + ids))
    return found


def unavailable_count(messages: Sequence[str]) -> int:
    """Return how many Tweets the texts say are unavailable."""
    return sum(int(match["number"]) for match in map(_UNAVAILABLE.search, messages) if match)


def forbidden_summary(forbidden: Mapping[str | None, tuple[str, ...]]) -> str:
    """Return in words whose Tweets were refused, and what to do about it.

    :param forbidden: the refused ids by author, or by ``None`` where the API did not name one.
    """
    number = sum(map(len, forbidden.values()))
    named = "; ".join(
        f"{f'author {author}' if author else 'author not named'}: {_few(ids)}" for author, ids in forbidden.items()
    )
    return (
        f"{number} Tweet(s) are not the token's own ({named}), and one such Tweet refuses the whole request: leave "
        "them out, use their author's token, ask for public metrics with a bearer token, or accept the outcome "
        "'forbidden' to have them dropped."
    )


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
