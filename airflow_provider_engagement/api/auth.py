"""Who asks: credentials, OAuth 1.0a signatures, and bearer tokens, given or obtained."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from airflow_provider_engagement.api.catalogue import Auth
from airflow_provider_engagement.api.response import error_messages
from airflow_provider_engagement.exceptions import AuthenticationError, InvalidConnectionError, InvalidResponseError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

USER_FIELDS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
SIGNING_LOGGERS = ("oauthlib.oauth1.rfc5849", "requests_oauthlib.oauth1_auth")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Credentials:
    """The secrets of a connection. Its ``repr`` names those that are set and shows none.

    :param consumer_key: the app's key, also called API key.
    :param consumer_secret: the app's secret.
    :param access_token: a user's token: with it, that user's own Tweets can be read.
    :param access_token_secret: the secret that belongs to it.
    :param bearer_token: the app's token: with it, public metrics of any Tweet can be read.
    """

    consumer_key: str | None = None
    consumer_secret: str | None = None
    access_token: str | None = None
    access_token_secret: str | None = None
    bearer_token: str | None = None

    def __post_init__(self) -> None:
        given = self.given
        if bool(self.consumer_key) != bool(self.consumer_secret):
            raise InvalidConnectionError("consumer_key and consumer_secret belong together: one of them is missing.")
        if bool(self.access_token) != bool(self.access_token_secret):
            raise InvalidConnectionError(
                "access_token and access_token_secret belong together: one of them is missing."
            )
        if self.access_token and not self.consumer_key:
            raise InvalidConnectionError(
                "An access_token needs the app's consumer_key and consumer_secret to sign with."
            )
        if not given:
            raise InvalidConnectionError(
                "The connection holds no credentials: set a bearer_token, or consumer_key and consumer_secret, and for "
                "an author's own Tweets also access_token and access_token_secret."
            )

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}=***' for name in self.given)})"

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the secrets that are set."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))

    @property
    def has_user(self) -> bool:
        """Whether requests can be signed as a user."""
        return all(name in self.given for name in USER_FIELDS)

    @property
    def has_app(self) -> bool:
        """Whether a bearer token is given or can be obtained."""
        return bool(self.bearer_token or self.consumer_key)

    @property
    def user_id(self) -> str | None:
        """The id of the user whose access token this is, which the token begins with."""
        prefix, hyphen, _ = (self.access_token or "").partition("-")
        return prefix if hyphen and prefix.isdigit() else None

    @property
    def identity(self) -> str:
        """A text that differs between apps and users, and that no secret can be read from."""
        who = json.dumps([self.user_id or self.access_token, self.consumer_key, self.bearer_token])
        return hashlib.sha256(who.encode()).hexdigest()

    def redact(self, text: str) -> str:
        """Return a text with every secret in it blotted out, in whatever form a request carries it."""
        secrets = [getattr(self, name) for name in self.given]
        if self.consumer_key and self.consumer_secret:
            pair = f"{quote(self.consumer_key, safe='')}:{quote(self.consumer_secret, safe='')}"
            secrets += [b64encode(pair.encode()).decode()]
        return _redacted(text, secrets)


class Signer:
    """Adds the ``Authorization`` header to requests, anew for each attempt.

    :param credentials: the secrets to sign with.
    :param obtain: asks the token URL for a bearer token, with the user name and password of basic authentication that
        it is given, and returns the answer.
    """

    def __init__(self, credentials: Credentials, obtain: Callable[[str, str], Response]) -> None:
        self._credentials = credentials
        self._obtain = obtain
        self._lock = threading.Lock()
        self._obtained: str | None = None

    def __call__(self, auth: Auth) -> Callable[[PreparedRequest], PreparedRequest]:
        """Return what signs one attempt, as ``requests`` takes it."""
        if auth is Auth.USER:
            from requests_oauthlib import OAuth1

            for name in SIGNING_LOGGERS:
                # At DEBUG, these libraries log the header that they have just signed.
                logging.getLogger(name).addFilter(_is_no_debug_line)
            if not self._credentials.has_user:
                raise InvalidConnectionError(
                    "An author's own Tweets are asked for, but the connection has no access token of a user: set "
                    f"{', '.join(USER_FIELDS)}."
                )
            signature: Callable[[PreparedRequest], PreparedRequest] = OAuth1(
                *(getattr(self._credentials, name) for name in USER_FIELDS)
            )
            return signature
        return _Bearer(self.bearer_token())

    def renew(self, refused: PreparedRequest) -> bool:
        """Forget an obtained bearer token that was refused, so that the next attempt obtains another.

        :param refused: the request that was refused.
        :return: whether a repetition may succeed: not for a token that the connection gave, nor for a signature.
        """
        authorization = str(refused.headers.get("Authorization"))
        if self._credentials.bearer_token or not authorization.startswith("Bearer "):
            return False
        with self._lock:
            # Another thread may have renewed it already: then there is a new one to try.
            if authorization == f"Bearer {self._obtained}":
                self._obtained = None
        return True

    def redact(self, text: str) -> str:
        """Return a text with every secret in it blotted out, the obtained token included."""
        text = self._credentials.redact(text)
        return _redacted(text, [self._obtained]) if self._obtained else text

    def bearer_token(self) -> str:
        """Return the bearer token that the connection gave, or one obtained with the app's key and secret."""
        if self._credentials.bearer_token:
            return self._credentials.bearer_token
        with self._lock:
            if self._obtained is None:
                self._obtained = self._fetch_bearer_token()
            return self._obtained

    def _fetch_bearer_token(self) -> str:
        """Exchange the app's key and secret for its bearer token (vendor's guide, application-only authentication)."""
        key, secret = self._credentials.consumer_key, self._credentials.consumer_secret
        if not key or not secret:
            raise InvalidConnectionError(
                "Public metrics are asked for as the app: set bearer_token, or consumer_key and consumer_secret."
            )
        response = self._obtain(quote(key, safe=""), quote(secret, safe=""))
        body = _json_or_none(response)
        if response.status_code in (400, 401, 403):
            raise AuthenticationError(
                "The app's consumer_key and consumer_secret were refused when asking for a bearer token.",
                endpoint="oauth2/token",
                status=response.status_code,
                messages=tuple(map(self._credentials.redact, error_messages(body))),
            )
        token = body.get("access_token") if isinstance(body, dict) else None
        if response.status_code != 200 or not isinstance(token, str) or str(body.get("token_type")).lower() != "bearer":
            raise InvalidResponseError(
                f"The token URL answered HTTP {response.status_code} without a bearer token: check token_url."
            )
        return token


class _Bearer:
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _is_no_debug_line(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _redacted(text: str, secrets: Iterable[str]) -> str:
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), unquote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _json_or_none(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
