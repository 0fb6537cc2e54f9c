"""Verifies the credentials of requests, with real OAuth 1.0a signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.entities import App, Handle
from airflow_provider_engagement.simulator.errors import TOKEN_NOT_FOUND, UNKNOWN_AUTHORIZATION
from airflow_provider_engagement.simulator.world import World

_TIMESTAMP_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Identity:
    """The app that sent a request and, with user credentials, the user.

    :param app: the app.
    :param handle: the user, if the credentials are those of one.
    :param scheme: how X calls the kind of user credentials.
    """

    app: App
    handle: Handle | None = None
    scheme: str = "OAuth 1.0a User Context"

    @property
    def auth(self) -> Auth:
        """The kind of credentials."""
        return Auth.APP if self.handle is None else Auth.USER


class InvalidCredentials(Exception):
    """Credentials that the API rejects.

    :param reason: the reason in the error response.
    :param auth: the kind of credentials: ``user``, ``app`` or ``none``.
    :param user_id: the user of the access token, if it is known.
    """

    def __init__(self, reason: str, auth: str, user_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.auth = auth
        self.user_id = user_id


class CredentialsVerifier:
    """Verifies ``Authorization`` headers, and remembers nonces.

    :param world: the world with the apps and users.
    :param clock: the clock that timestamps are compared with.
    :param window: how far a timestamp may differ from the clock (invented; no source documents it).
    :param app_with_bearer_token: a function that returns the app with a valid bearer token.
    """

    def __init__(
        self, world: World, *, clock: Clock, window: timedelta, app_with_bearer_token: Callable[[str], App | None]
    ) -> None:
        self._world = world
        self._clock = clock
        self._window = window.total_seconds()
        self._app_with_bearer_token = app_with_bearer_token
        self._nonces: dict[tuple[str, str, str, str], float] = {}
        self._lock = threading.Lock()

    def verify(
        self,
        authorization: str | None,
        *,
        method: str,
        url: str,
        body: bytes,
        content_type: str,
        oauth2_users: bool = False,
    ) -> Identity:
        """Return the app and the user of a request.

        :param authorization: the header, as the server received it.
        :param method: the HTTP method.
        :param url: the URL the client called, as its ``Host`` header shows it.
        :param body: the body; the signature covers it only if it is a form.
        :param content_type: the content type of the body, without parameters.
        :param oauth2_users: whether a bearer token can be the OAuth 2.0 token of a user.
        :raises InvalidCredentials: the credentials are missing or wrong.
        """
        if not authorization:
            raise InvalidCredentials(TOKEN_NOT_FOUND, "none")
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "bearer":
            if oauth2_users and (identity := self._user_of_oauth2_token(rest.strip())) is not None:
                return identity
            app = self._app_with_bearer_token(rest.strip())
            if app is None:
                raise InvalidCredentials("Invalid or expired token" if rest.strip() else TOKEN_NOT_FOUND, "app")
            return Identity(app)
        if scheme.lower() == "oauth":
            return self._verify_signature(authorization, method, url, body, content_type)
        raise InvalidCredentials(UNKNOWN_AUTHORIZATION, "none")

    def _user_of_oauth2_token(self, token: str) -> Identity | None:
        handle = self._world.handle_with_oauth2_token(token)
        app = None if handle is None else self._world.app_of(handle)
        if handle is None or app is None:
            return None
        if handle.revoked:
            raise InvalidCredentials("Access token revoked", "user", handle.user_id)
        return Identity(app, handle, "OAuth 2.0 User Context")

    def forget_nonces(self) -> None:
        """Accept every nonce again."""
        with self._lock:
            self._nonces.clear()

    def _verify_signature(self, authorization: str, method: str, url: str, body: bytes, content_type: str) -> Identity:
        from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

        try:
            parameters = {name: unquote(value) for name, value in parse_authorization_header(authorization)}
        except ValueError:
            raise InvalidCredentials(UNKNOWN_AUTHORIZATION, "none") from None
        token = parameters.get("oauth_token", "")
        auth = "user" if token else "app"
        handle = self._world.handle_with_token(token) if token else None
        user_id = handle.user_id if handle else None

        def invalid(reason: str) -> InvalidCredentials:
            return InvalidCredentials(reason, auth, user_id)

        if parameters.get("oauth_signature_method") != "HMAC-SHA1":
            raise invalid("Unsupported signature method")
        if parameters.get("oauth_version", "1.0") != "1.0":
            raise invalid("Unsupported OAuth version")
        timestamp, nonce = parameters.get("oauth_timestamp", ""), parameters.get("oauth_nonce", "")
        if not (timestamp.isascii() and timestamp.isdecimal()) or not nonce:
            raise invalid("Timestamp or nonce missing")
        if len(timestamp) > _TIMESTAMP_DIGITS:
            raise invalid("Timestamp out of bounds")
        app = self._world.apps.get(parameters.get("oauth_consumer_key", ""))
        if app is None:
            raise invalid("Consumer key not found")
        if token and (handle is None or self._world.app_of(handle) != app):
            raise invalid(TOKEN_NOT_FOUND)
        secret = handle.access_token_secret if handle else ""
        form = body.decode("ascii", "replace") if content_type == "application/x-www-form-urlencoded" else ""
        try:
            expected = signature(authorization, method, url, app.consumer_secret, secret, form=form)
        except ValueError:
            raise invalid("Signature invalid") from None
        if not hmac.compare_digest(expected.encode(), parameters.get("oauth_signature", "").encode()):
            raise invalid("Signature invalid")
        body_hash = parameters.get("oauth_body_hash")
        if body_hash is not None and not hmac.compare_digest(_body_hash(body).encode(), body_hash.encode()):
            raise invalid("Body hash invalid")
        if handle is not None and handle.revoked:
            raise invalid("Access token revoked")
        now = self._clock.now().timestamp()
        if abs(now - int(timestamp)) > self._window:
            raise invalid("Timestamp out of bounds")
        if not self._is_new((app.consumer_key, token, timestamp, nonce), now):
            raise invalid("Nonce already used")
        return Identity(app, handle)

    def _is_new(self, nonce: tuple[str, str, str, str], now: float) -> bool:
        """Remember a nonce, and return whether it was new. Nonces whose timestamp has expired are dropped."""
        with self._lock:
            while self._nonces and now - next(iter(self._nonces.values())) > 2 * self._window:
                del self._nonces[next(iter(self._nonces))]
            if nonce in self._nonces:
                return False
            self._nonces[nonce] = now
            return True


def signature(
    authorization: str, method: str, url: str, consumer_secret: str, token_secret: str, *, form: str = ""
) -> str:
    """Return the HMAC-SHA1 signature of a request, in base64.

    :param authorization: an ``OAuth …`` header, with or without a signature.
    :param method: the HTTP method.
    :param url: the URL, including its query.
    :param consumer_secret: the app's secret.
    :param token_secret: the user's secret; empty without a user.
    :param form: the body, if it is a form. The signature does not cover other bodies.
    """
    from oauthlib.oauth1.rfc5849.signature import (
        base_string_uri,
        collect_parameters,
        normalize_parameters,
        signature_base_string,
    )

    parameters = collect_parameters(
        uri_query=urlsplit(url).query, body=form, headers={"Authorization": authorization}, exclude_oauth_signature=True
    )
    text = signature_base_string(method, base_string_uri(url), normalize_parameters(parameters))
    key = f"{quote(consumer_secret, safe='-._~')}&{quote(token_secret, safe='-._~')}"
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _body_hash(body: bytes) -> str:
    return base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
