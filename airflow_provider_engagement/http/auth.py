"""Credentials, OAuth 1.0a signatures, and bearer tokens."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.error_responses import error_messages
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    InvalidConnectionError,
    InvalidResponseError,
    OwnerTokenError,
)
from airflow_provider_engagement.http.redaction import (
    check_secret,
    presentable,
    presentable_texts,
    problem_with_secret,
)

if TYPE_CHECKING:
    from requests import PreparedRequest

    from airflow_provider_engagement.http.response_body import ReceivedResponse

USER_FIELDS = ("api_key", "api_key_secret", "access_token", "access_token_secret")
LONGEST_TOKEN = 8_000
"""How many characters an obtained bearer token can have. Servers refuse longer headers."""

SIGNING_LOGGERS = ("oauthlib.oauth1.rfc5849", "requests_oauthlib.oauth1_auth")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Credentials:
    """The secrets of a connection. The ``repr`` contains only the names of those that are set.

    :param api_key: the app's key, also called API key.
    :param api_key_secret: the app's secret.
    :param access_token: a user's token, which reads all metrics of Tweets that the user posted.
    :param access_token_secret: the secret of the access token.
    :param bearer_token: the app's token, which reads public metrics of any Tweet.
    :raises InvalidConnectionError: if a secret is missing, or cannot be part of a header.
    """

    api_key: str | None = None
    api_key_secret: str | None = None
    access_token: str | None = None
    access_token_secret: str | None = None
    bearer_token: str | None = None

    def __post_init__(self) -> None:
        for name in self.given:
            check_secret(name, getattr(self, name))
        for names in (("api_key", "api_key_secret"), ("access_token", "access_token_secret")):
            missing = [name for name in names if not getattr(self, name)]
            if len(missing) == 1:
                raise InvalidConnectionError(f"{missing[0]} is missing. Set both of {' and '.join(names)}, or neither.")
        if self.access_token and not self.api_key:
            raise InvalidConnectionError(
                "api_key and api_key_secret are missing. Set them: they sign requests with an access_token."
            )
        if not self.given:
            raise InvalidConnectionError(
                "The connection has no credentials. Set bearer_token, or api_key and api_key_secret. To read all "
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
        return bool(self.bearer_token or self.api_key)

    @property
    def user_id(self) -> str | None:
        """The id of the access token's user, with which the token begins."""
        prefix, hyphen, _ = (self.access_token or "").partition("-")
        return prefix if hyphen and prefix.isdigit() else None

    @property
    def identity(self) -> str:
        """A text that identifies the app and the user. It contains no secret."""
        names = json.dumps([self.user_id or self.access_token, self.api_key, self.bearer_token])
        return hashlib.sha256(names.encode()).hexdigest()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret, also in the form of the basic authentication of a request for a bearer token."""
        return (*(getattr(self, name) for name in self.given), *([self._basic] if self.api_key else []))

    @property
    def _basic(self) -> str:
        pair = f"{quote(self.api_key or '', safe='')}:{quote(self.api_key_secret or '', safe='')}"
        return b64encode(pair.encode()).decode()

    def sign_token_request(self, request: PreparedRequest) -> PreparedRequest:
        """Add the ``Authorization`` header of a request for a bearer token."""
        request.headers["Authorization"] = f"Basic {self._basic}"
        return request


Signature = Callable[["PreparedRequest"], "PreparedRequest"]
"""Adds the ``Authorization`` header to a request."""

OwnerCredentials = Callable[[str], Credentials]
"""Returns the credentials with an owner's access token, or raises ``OwnerTokenError``."""


class Signer:
    """Adds the ``Authorization`` header to requests, a new one for each attempt.

    :param credentials: the secrets of the connection.
    :param of_owner: returns the credentials of an owner; by default those of the connection.
    :param post_for_bearer_token: sends a request for a bearer token, given what signs it, and returns the response.
    :param on_obtained: is called with each bearer token that is obtained.
    """

    def __init__(
        self,
        credentials: Credentials,
        post_for_bearer_token: Callable[[Signature], ReceivedResponse],
        of_owner: OwnerCredentials | None = None,
        on_obtained: Callable[[str], None] | None = None,
    ) -> None:
        self._credentials = credentials
        self._of_owner = of_owner
        self._used: dict[str, Credentials] = {}
        self._post_for_bearer_token = post_for_bearer_token
        self._lock = threading.Lock()
        self._on_obtained = on_obtained
        self._obtained: str | None = None
        self._all_obtained: list[str] = []

    def __call__(self, auth: Auth, owner: str | None = None) -> Signature:
        """Return what signs one attempt, as ``requests`` accepts it.

        :param auth: the kind of credentials.
        :param owner: the owner whose access token signs; ``None`` for that of the connection.
        :raises OwnerTokenError: if there is no usable access token of the owner.
        """
        if auth is Auth.APP:
            return _bearer_signature(self.bearer_token())
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
                messages=presentable_texts(error_messages(response.body), self.secrets),
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
    if not body["access_token"]:
        return "is empty"
    if len(body["access_token"]) > LONGEST_TOKEN:
        return f"has more than {LONGEST_TOKEN:,} characters"
    return problem_with_secret(body["access_token"])


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
