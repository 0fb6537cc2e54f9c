"""Checks who signed a request, with real OAuth 1.0a signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit

from airflow_provider_engagement.api.catalogue import Auth
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.refusal import (
    TOKEN_NOT_FOUND,
    UNKNOWN_AUTHORIZATION,
)
from airflow_provider_engagement.simulator.world import App, Handle, World


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from: an app, for itself or for one of its users."""

    app: App
    handle: Handle | None = None

    @property
    def auth(self) -> Auth:
        """How the request is authenticated."""
        return Auth.APP if self.handle is None else Auth.USER


class NotAuthenticated(Exception):
    """Credentials that do not hold.

    :param reason: what the API says about it.
    :param mode: ``user``, ``app`` or ``none``: what the request tried.
    :param user_id: whom the access token names, if it is known.
    """

    def __init__(self, reason: str, mode: str, user_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mode = mode
        self.user_id = user_id


class Verifier:
    """Verifies ``Authorization`` headers, and remembers nonces.

    :param world: who exists.
    :param clock: what timestamps are compared with.
    :param window: how far a timestamp may be off (not documented; invented).
    :param app_of_bearer: finds the app a bearer token is live for.
    """

    def __init__(
        self, world: World, *, clock: Clock, window: timedelta, app_of_bearer: Callable[[str], App | None]
    ) -> None:
        self._world = world
        self._clock = clock
        self._window = window.total_seconds()
        self._app_of_bearer = app_of_bearer
        self._nonces: dict[tuple[str, str, str, str], float] = {}
        self._lock = threading.Lock()

    def identify(self, authorization: str | None, *, method: str, url: str, body: bytes, content_type: str) -> Identity:
        """Return who signed a request.

        :param authorization: the header, as it was received.
        :param url: the URL the client called, rebuilt from its ``Host`` header.
        :param body: signed only if it is a form.
        :raises NotAuthenticated: nobody we know did.
        """
        if not authorization:
            raise NotAuthenticated(TOKEN_NOT_FOUND, "none")
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "bearer":
            app = self._app_of_bearer(rest.strip())
            if app is None:
                raise NotAuthenticated("Invalid or expired token" if rest.strip() else TOKEN_NOT_FOUND, "app")
            return Identity(app)
        if scheme.lower() == "oauth":
            return self._signed(authorization, method, url, body, content_type)
        raise NotAuthenticated(UNKNOWN_AUTHORIZATION, "none")

    def forget_nonces(self) -> None:
        """Accept every nonce again."""
        with self._lock:
            self._nonces.clear()

    def _signed(self, authorization: str, method: str, url: str, body: bytes, content_type: str) -> Identity:
        from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

        try:
            given = {name: unquote(value) for name, value in parse_authorization_header(authorization)}
        except ValueError:
            raise NotAuthenticated(UNKNOWN_AUTHORIZATION, "none") from None
        token = given.get("oauth_token", "")
        mode = "user" if token else "app"
        handle = self._world.handle_with_token(token) if token else None
        user_id = handle.user_id if handle else None

        def refuse(reason: str) -> NotAuthenticated:
            return NotAuthenticated(reason, mode, user_id)

        if given.get("oauth_signature_method") != "HMAC-SHA1":
            raise refuse("Unsupported signature method")
        if given.get("oauth_version", "1.0") != "1.0":
            raise refuse("Unsupported OAuth version")
        timestamp, nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
        if not (timestamp.isascii() and timestamp.isdecimal()) or not nonce:
            raise refuse("Timestamp or nonce missing")
        app = self._world.apps.get(given.get("oauth_consumer_key", ""))
        if app is None:
            raise refuse("Consumer key not found")
        if token and handle is None:
            raise refuse(TOKEN_NOT_FOUND)
        secret = handle.access_token_secret if handle else ""
        form = body.decode("ascii", "replace") if content_type.startswith("application/x-www-form-urlencoded") else ""
        expected = signature(authorization, method, url, app.consumer_secret, secret, form=form)
        if not hmac.compare_digest(expected.encode(), given.get("oauth_signature", "").encode()):
            raise refuse("Signature invalid")
        body_hash = given.get("oauth_body_hash")
        if body_hash is not None and not hmac.compare_digest(_body_hash(body).encode(), body_hash.encode()):
            raise refuse("Body hash invalid")
        if handle is not None and handle.revoked:
            raise refuse("Access token revoked")
        now = self._clock.now().timestamp()
        if abs(now - int(timestamp)) > self._window:
            raise refuse("Timestamp out of bounds")
        if not self._fresh((app.consumer_key, token, timestamp, nonce), now):
            raise refuse("Nonce already used")
        return Identity(app, handle)

    def _fresh(self, use: tuple[str, str, str, str], now: float) -> bool:
        """Note a nonce, and tell whether it is new. What the time window refuses anyway is forgotten."""
        with self._lock:
            while self._nonces and now - next(iter(self._nonces.values())) > 2 * self._window:
                del self._nonces[next(iter(self._nonces))]
            if use in self._nonces:
                return False
            self._nonces[use] = now
            return True


def signature(
    authorization: str, method: str, url: str, consumer_secret: str, token_secret: str, *, form: str = ""
) -> str:
    """Return the HMAC-SHA1 signature that belongs to the other parameters of a header, in base64.

    :param authorization: an ``OAuth …`` header, with or without a signature.
    :param url: the URL, with its query if it has one.
    :param form: the body, if it is a form; other bodies are not signed.
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
