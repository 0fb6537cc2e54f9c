"""Sign requests: with OAuth 1.0a for a user, and with a bearer token for an app."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    InvalidConnectionError,
    InvalidResponseError,
    OwnerTokenError,
)
from airflow_provider_engagement.http.credentials import USER_FIELDS, Credentials
from airflow_provider_engagement.http.redaction import presentable, presentable_texts, problem_with_secret

if TYPE_CHECKING:
    from requests import PreparedRequest

    from airflow_provider_engagement.http.response_body import ReceivedResponse

SIGNING_LOGGERS = ("oauthlib.oauth1.rfc5849", "requests_oauthlib.oauth1_auth")

Signature = Callable[["PreparedRequest"], "PreparedRequest"]
"""Adds the ``Authorization`` header to a request."""

OwnerCredentials = Callable[[str], Credentials]
"""Returns the credentials with an owner's access token, or raises ``OwnerTokenError``."""

ErrorMessages = Callable[[Any], Sequence[str]]
"""Returns the error messages of a body."""


class Signer:
    """Adds the ``Authorization`` header to requests, a new one for each attempt.

    :param credentials: the secrets of the connection.
    :param of_owner: returns the credentials of an owner; by default those of the connection.
    :param post_for_bearer_token: sends a request for a bearer token, given what signs it, and returns the response.
    :param error_messages: returns the error messages in the body of such a response.
    :param on_obtained: is called with each bearer token that is obtained.
    """

    def __init__(
        self,
        credentials: Credentials,
        post_for_bearer_token: Callable[[Signature], ReceivedResponse],
        *,
        error_messages: ErrorMessages,
        of_owner: OwnerCredentials | None = None,
        on_obtained: Callable[[str], None] | None = None,
    ) -> None:
        self._credentials = credentials
        self._of_owner = of_owner
        self._used: dict[str, Credentials] = {}
        self._post_for_bearer_token = post_for_bearer_token
        self._error_messages = error_messages
        self._lock = threading.Lock()
        self._on_obtained = on_obtained
        self._obtained: str | None = None
        self._all_obtained: list[str] = []

    def as_app(self) -> Signature:
        """Return what signs one attempt with the bearer token, as ``requests`` accepts it."""
        return _bearer_signature(self.bearer_token())

    def as_user(self, owner: str | None = None) -> Signature:
        """Return what signs one attempt with an access token, as ``requests`` accepts it.

        :param owner: the owner whose access token signs; ``None`` for that of the connection.
        :raises OwnerTokenError: if there is no usable access token of the owner.
        """
        from requests_oauthlib import OAuth1

        for name in SIGNING_LOGGERS:
            # At DEBUG, these libraries log the header that they have just signed.
            logging.getLogger(name).addFilter(_is_above_debug)
        credentials = self._credentials_of(owner)
        if not credentials.has_user:
            raise OwnerTokenError(
                owner,
                "The request needs user credentials, but the connection has no access token",
                f"Set {', '.join(USER_FIELDS)}.",
            )
        signature: Signature = OAuth1(*(getattr(credentials, name) for name in USER_FIELDS))
        return signature

    def renew(self, rejected: PreparedRequest) -> bool:
        """Discard an obtained bearer token that the API rejected, so that the next attempt obtains another.

        :param rejected: the request that the API rejected.
        :return: whether a repetition may succeed. It cannot with the connection's own token, or with a signature.
        """
        authorization = str(rejected.headers.get("Authorization"))
        if self._credentials.bearer_token or not authorization.startswith("Bearer "):
            return False
        with self._lock:
            # If another thread has renewed the token already, keep the new one.
            if authorization == f"Bearer {self._obtained}":
                self._obtained = None
        return True

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that a request could have contained so far, including obtained bearer tokens."""
        used = (self._credentials, *tuple(self._used.values()))
        return (*(secret for credentials in used for secret in credentials.secrets), *self._all_obtained)

    def presentable(self, text: str) -> str:
        """Return a text of a server or a library, without secrets and fit to be shown."""
        return presentable(text, self.secrets)

    def presentable_texts(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the texts of a response, without secrets and fit to be shown."""
        return presentable_texts(texts, self.secrets)

    def bearer_token(self) -> str:
        """Return the bearer token of the connection, or one that is obtained with the app's key and secret."""
        if self._credentials.bearer_token:
            return self._credentials.bearer_token
        with self._lock:
            if self._obtained is None:
                self._obtained = self._obtain_bearer_token()
            return self._obtained

    def _credentials_of(self, owner: str | None) -> Credentials:
        if owner is None or self._of_owner is None:
            return self._credentials
        credentials = self._of_owner(owner)
        self._used[owner] = credentials
        return credentials

    def _obtain_bearer_token(self) -> str:
        """Exchange the app's key and secret for its bearer token (guide, application-only authentication).

        No variable of this function holds a secret, because some programs show the variables of a failed function.
        """
        if not self._credentials.api_key:
            raise InvalidConnectionError(
                "The request needs app credentials. Set bearer_token, or api_key and api_key_secret."
            )
        response = self._post_for_bearer_token(self._credentials.sign_token_request)
        if response.status in (400, 401, 403):
            raise AuthenticationError(
                "The API rejected api_key and api_key_secret in the request for a bearer token. Check both.",
                endpoint="oauth2/token",
                status=response.status,
                messages=self.presentable_texts(self._error_messages(response.body)),
            )
        if response.status != 200 or not _holds_token(response.body):
            reason = f": {self.presentable(response.json_error)}" if response.json_error else ""
            raise InvalidResponseError(
                f"The token URL returned HTTP {response.status} without a bearer token{reason}. Check token_url."
            )
        if problem := _problem_with_token(response.body):
            raise InvalidConnectionError(
                f"token_url: the bearer token that the token URL returned {problem}. Check it."
            )
        self._all_obtained.append(response.body["access_token"])
        if self._on_obtained is not None:
            self._on_obtained(self._all_obtained[-1])
        return self._all_obtained[-1]


def _bearer_signature(token: str) -> Signature:
    def sign(request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _holds_token(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("access_token"), str)
        and isinstance(body.get("token_type"), str)
        and body["token_type"].lower() == "bearer"
    )


def _problem_with_token(body: dict[str, str]) -> str | None:
    return problem_with_secret(body["access_token"]) if body["access_token"] else "is empty"


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
