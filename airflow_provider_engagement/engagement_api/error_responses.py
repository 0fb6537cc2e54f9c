"""Map error responses to exceptions.

A documented text has precedence over the status, because the status of several errors is not documented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import ERRORS_KEY
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

_TRANSIENT_STATUSES = (408, 425)
"""Statuses below 500 after which a repetition may succeed."""

_NOT_ENTITLED = "application id is not authorized"
_NOT_AUTHENTICATED = "could not be authenticated"
_FORBIDDEN_METRICS = "forbidden to access metrics"
# A server chooses these texts, so every repetition of a pattern that can overlap with another has a bound.
_FORBIDDEN_TWEETS = re.compile(
    r"forbidden to access tweets(?: for author id (?P<author>[0-9]{1,19}))?:\s*"
    r"(?P<ids>[0-9]{1,19}(?:\s*,\s*[0-9]{1,19})*)",
    re.IGNORECASE,
)
_SEPARATORS = " \t\r\n,;"
_UNSUPPORTED_GROUPING = "groupbys you have specified are not supported"
_UNAVAILABLE = re.compile(
    r"(?:(?<![0-9])(?P<number>[0-9]{1,9})\s{1,9})?Tweet IDs?(?:\(s\))?\s{1,9}(?:is|are)\s{1,9}unavailable",
    re.IGNORECASE,
)


def error_for_response(
    *,
    endpoint: str,
    status: int,
    messages: Sequence[str],
    host: str,
    request_id: str | None = None,
    shown: Callable[[Sequence[str]], Sequence[str]] = tuple,
) -> ApiError:
    """Return the exception for an error response.

    :param endpoint: the last part of the endpoint's path.
    :param status: the HTTP status.
    :param messages: the texts of the response, from :func:`error_messages`.
    :param host: the address of the API.
    :param request_id: the id that the API gave the request, if any.
    :param shown: returns the texts as the exception shows them.
    """
    details: Any = {"endpoint": endpoint, "status": status, "messages": shown(messages), "request_id": request_id}
    text = " ".join(messages).lower()
    forbidden = forbidden_tweets(messages)
    if forbidden and _NOT_ENTITLED not in text:
        return ForbiddenTweetsError(forbidden_summary(forbidden), tweet_ids_by_author=forbidden, **details)
    error, summary = _classify(status, text, host)
    return error(summary, **details)


def _classify(status: int, text: str, host: str) -> tuple[type[ApiError], str]:
    if _NOT_ENTITLED in text:
        return NotEntitledError, "The app has no access to the Engagement API. Ask X to enable its app id."
    if _FORBIDDEN_METRICS in text:
        return ForbiddenMetricsError, (
            "These credentials cannot read these metrics on this endpoint. Request other metrics, or use the access "
            "token of the user who posted the Tweets."
        )
    if _UNAVAILABLE.search(text):
        return RequestRejectedError, (
            "The API rejected the request because Tweets in it are unavailable, and does not say which. Increase "
            "limits.requests, so that they can be found, or leave them out."
        )
    if _UNSUPPORTED_GROUPING in text:
        return RequestRejectedError, "The endpoint does not support a dimension of the groupings. Leave it out."
    if status == 401 or _NOT_AUTHENTICATED in text:
        return AuthenticationError, (
            "The API rejected the credentials. Check the keys and tokens, and that the user has not revoked the app."
        )
    if status == 403:
        return NotEntitledError, "The credentials do not allow this request. Check that the contract includes it."
    if status in (404, 410):
        return EndpointNotFoundError, (
            f"{host} does not have this endpoint. Check the host, and that the contract includes the endpoint."
        )
    if 300 <= status < 400:
        return EndpointNotFoundError, (
            f"{host} redirects to another address, which a signed request cannot follow. Use the new address as host."
        )
    if status == 406:
        return RequestRejectedError, (
            "The API requires gzip, but the request arrived without Accept-Encoding. Check the proxy."
        )
    if 200 <= status < 300:
        return ServerError, "The response has errors and no data."
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return ServerError, "The API failed."
    return RequestRejectedError, "The API rejected the request as invalid."


def error_messages(body: Any) -> tuple[str, ...]:
    """Return the error messages of a body: strings, or objects with a ``message``, under ``errors`` or without it."""
    errors = body.get(ERRORS_KEY) if isinstance(body, Mapping) else body
    if isinstance(errors, (str, Mapping)):
        errors = [errors]
    if not isinstance(errors, Sequence):
        return ()
    return tuple(map(_message, filter(None, errors)))


def _message(error: Any) -> str:
    try:
        return str(error.get("message", error)) if isinstance(error, Mapping) else str(error)
    except RecursionError:
        return "(an error that is nested too deeply)"


def forbidden_tweets(messages: Sequence[str]) -> dict[str | None, tuple[str, ...]]:
    """Return the Tweets of other users that error messages name, by user (``None`` if the user is not named)."""
    by_author: dict[str | None, dict[str, None]] = {}
    for message in messages:
        match = _FORBIDDEN_TWEETS.fullmatch(message.strip(_SEPARATORS))
        if match:
            by_author.setdefault(match["author"], {}).update(dict.fromkeys(re.findall("[0-9]+", match["ids"])))
    return {author: tuple(ids) for author, ids in by_author.items()}


def lacks_entitlement(messages: Sequence[str]) -> bool:
    """Return whether error messages say that the app has no access, so that no other token would help."""
    return _NOT_ENTITLED in " ".join(messages).lower()


def unavailable_count(messages: Sequence[str]) -> int:
    """Return how many Tweets error messages report as unavailable, as far as they have a number."""
    return sum(int(match["number"] or 0) for match in map(_UNAVAILABLE.search, messages) if match)


def reports_unavailable_tweets(messages: Sequence[str]) -> bool:
    """Return whether error messages report unavailable Tweets, with or without a number, and nothing else.

    The documentation of protected accounts has the text without a number, and names no list (guide).
    """
    return bool(messages) and all(map(_UNAVAILABLE.search, messages))


def is_about_every_tweet(tweet_ids: Collection[str], listed: Collection[str], messages: Sequence[str]) -> bool:
    """Return whether an error response reports every Tweet of a request as unavailable.

    :param tweet_ids: the Tweets of the request, at least one.
    :param listed: the unavailable Tweets that the response lists.
    :param messages: its texts. A text about a single Tweet needs no number.
    """
    if set(tweet_ids) <= set(listed):
        return True
    is_only_tweet = len(tweet_ids) == 1 and not listed and reports_unavailable_tweets(messages)
    return is_only_tweet or unavailable_count(messages) == len(tweet_ids)


def forbidden_summary(forbidden: Mapping[str | None, tuple[str, ...]]) -> str:
    """Return a text that names Tweets of other users, and says what to do about them.

    :param forbidden: the Tweet ids by user, or by ``None`` if the API did not name the user.
    """
    number = sum(map(len, forbidden.values()))
    named = [
        f"{f'user {author}' if author else 'unknown user'}: {_abbreviated(ids)}" for author, ids in forbidden.items()
    ]
    users = "; ".join(named[:5]) + (f"; and Tweets of {len(named) - 5:,} more users" if len(named) > 5 else "")
    return (
        f"The user of the access token did not post {number} of the Tweets ({users}), and the API rejects a request "
        "that names one of them. Leave them out, use the access token of the user who posted them, request public "
        "metrics with app credentials, or accept the outcome 'forbidden'."
    )


def _abbreviated(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
