"""Credentials, OAuth 1.0a signatures, and bearer tokens."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from airflow_provider_engagement.api.catalogue import Auth
from airflow_provider_engagement.api.error_responses import error_messages
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    InvalidConnectionError,
    InvalidResponseError,
    OwnerTokenError,
)

if TYPE_CHECKING:
    from requests import PreparedRequest

    from airflow_provider_engagement.api.response_body import ReceivedResponse

USER_FIELDS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
SIGNING_LOGGERS = ("oauthlib.oauth1.rfc5849", "requests_oauthlib.oauth1_auth")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Credentials:
    """The secrets of a connection. The ``repr`` contains only the names of those that are set.

    :param consumer_key: the app's key, also called API key.
    :param consumer_secret: the app's secret.
    :param access_token: a user's token, which reads all metrics of Tweets that the user posted.
    :param access_token_secret: the secret of the access token.
    :param bearer_token: the app's token, which reads public metrics of any Tweet.
    :raises InvalidConnectionError: if a secret is missing.
    """

    consumer_key: str | None = None
    consumer_secret: str | None = None
    access_token: str | None = None
    access_token_secret: str | None = None
    bearer_token: str | None = None

    def __post_init__(self) -> None:
        for names in (("consumer_key", "consumer_secret"), ("access_token", "access_token_secret")):
            missing = [name for name in names if not getattr(self, name)]
            if len(missing) == 1:
                raise InvalidConnectionError(f"{missing[0]} is missing. Set both of {' and '.join(names)}, or neither.")
        if self.access_token and not self.consumer_key:
            raise InvalidConnectionError(
                "consumer_key and consumer_secret are missing. Set them: they sign requests with an access_token."
            )
        if not self.given:
            raise InvalidConnectionError(
                "The connection has no credentials. Set bearer_token, or consumer_key and consumer_secret. To read all "
                "metrics of a user's Tweets, also set access_token and access_token_secret."
            )

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}=***' for name in self.given)})"

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the secrets that are set."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))

    @property
    def has_user(self) -> bool:
        """Whether requests can be signed with user credentials."""
        return all(name in self.given for name in USER_FIELDS)

    @property
    def has_app(self) -> bool:
        """Whether there is a bearer token, or the keys to obtain one."""
        return bool(self.bearer_token or self.consumer_key)

    @property
    def user_id(self) -> str | None:
        """The id of the access token's user, with which the token begins."""
        prefix, hyphen, _ = (self.access_token or "").partition("-")
        return prefix if hyphen and prefix.isdigit() else None

    @property
    def identity(self) -> str:
        """A text that identifies the app and the user. It contains no secret."""
        names = json.dumps([self.user_id or self.access_token, self.consumer_key, self.bearer_token])
        return hashlib.sha256(names.encode()).hexdigest()

    def redact(self, text: str) -> str:
        """Return a text with every secret in it replaced, in every form that a request contains."""
        secrets = [getattr(self, name) for name in self.given]
        if self.consumer_key and self.consumer_secret:
            pair = f"{quote(self.consumer_key, safe='')}:{quote(self.consumer_secret, safe='')}"
            secrets.append(b64encode(pair.encode()).decode())
        return _redact(text, secrets)


OwnerCredentials = Callable[[str], Credentials]
"""Returns the credentials with an owner's access token, or raises ``OwnerTokenError``."""


class Signer:
    """Adds the ``Authorization`` header to requests, a new one for each attempt.

    :param credentials: the secrets of the connection.
    :param of_owner: returns the credentials of an owner; by default those of the connection.
    :param post_for_bearer_token: sends a request for a bearer token, given the user name and password of its basic
        authentication, and returns the response.
    """

    def __init__(
        self,
        credentials: Credentials,
        post_for_bearer_token: Callable[[str, str], ReceivedResponse],
        of_owner: OwnerCredentials | None = None,
    ) -> None:
        self._credentials = credentials
        self._of_owner = of_owner
        self._used: dict[str, Credentials] = {}
        self._post_for_bearer_token = post_for_bearer_token
        self._lock = threading.Lock()
        self._obtained: str | None = None

    def __call__(self, auth: Auth, owner: str | None = None) -> Callable[[PreparedRequest], PreparedRequest]:
        """Return what signs one attempt, as ``requests`` accepts it.

        :param auth: the kind of credentials.
        :param owner: the owner whose access token signs; ``None`` for that of the connection.
        :raises OwnerTokenError: if there is no usable access token of the owner.
        """
        if auth is Auth.APP:
            token = self.bearer_token()

            def add_token(request: PreparedRequest) -> PreparedRequest:
                request.headers["Authorization"] = f"Bearer {token}"
                return request

            return add_token
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
        signature: Callable[[PreparedRequest], PreparedRequest] = OAuth1(
            *(getattr(credentials, name) for name in USER_FIELDS)
        )
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

    def redact(self, text: str) -> str:
        """Return a text with every secret in it replaced, including the obtained bearer token."""
        for credentials in (self._credentials, *tuple(self._used.values())):
            text = credentials.redact(text)
        return _redact(text, [self._obtained]) if self._obtained else text

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
        """Exchange the app's key and secret for its bearer token (guide, application-only authentication)."""
        key, secret = self._credentials.consumer_key, self._credentials.consumer_secret
        if not key or not secret:
            raise InvalidConnectionError(
                "The request needs app credentials. Set bearer_token, or consumer_key and consumer_secret."
            )
        response = self._post_for_bearer_token(quote(key, safe=""), quote(secret, safe=""))
        body = response.body
        if response.status in (400, 401, 403):
            raise AuthenticationError(
                "The API rejected consumer_key and consumer_secret in the request for a bearer token. Check both.",
                endpoint="oauth2/token",
                status=response.status,
                messages=tuple(map(self._credentials.redact, error_messages(body))),
            )
        token = body.get("access_token") if isinstance(body, dict) else None
        if response.status != 200 or not isinstance(token, str) or str(body.get("token_type")).lower() != "bearer":
            reason = f": {self._credentials.redact(response.json_error)}" if response.json_error else ""
            raise InvalidResponseError(
                f"The token URL returned HTTP {response.status} without a bearer token{reason}. Check token_url."
            )
        return token


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _redact(text: str, secrets: Iterable[str]) -> str:
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), unquote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
