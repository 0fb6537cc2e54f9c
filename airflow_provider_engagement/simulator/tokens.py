"""The token endpoint: an app requests its bearer token, or invalidates it."""

from __future__ import annotations

import base64
import threading
from hashlib import sha256
from urllib.parse import parse_qs, unquote_plus

from airflow_provider_engagement.simulator.entities import App
from airflow_provider_engagement.simulator.errors import BAD_CREDENTIALS, RejectedRequest
from airflow_provider_engagement.simulator.http_messages import HttpRequest
from airflow_provider_engagement.simulator.world import World

TOKEN_PATH = "/oauth2/token"
INVALIDATE_PATH = "/oauth2/invalidate_token"


class BearerTokens:
    """The bearer tokens of all apps. Each app has one valid token at a time.

    :param world: the world with the apps.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._invalidated: dict[str, int] = {}

    def current(self, app: App) -> str:
        """Return the valid token of an app."""
        with self._lock:
            number = self._invalidated.get(app.consumer_key, 0)
        if number == 0:
            return app.bearer_token
        digest = sha256(f"{app.bearer_token} {number}".encode()).hexdigest()
        return f"AAAAAAAAAAAAAAAAAAAAA{digest[:30]}%2F{digest[30:]}%3D"

    def app_with_token(self, token: str) -> App | None:
        """Return the app whose valid token this is, if any."""
        return next((app for app in self._world.apps.values() if self.current(app) == token), None)

    def reset(self) -> None:
        """Make the first token of every app valid again."""
        with self._lock:
            self._invalidated.clear()

    def handle(self, request: HttpRequest) -> dict[str, str]:
        """Return the body of a response of the token endpoint.

        :param request: a request to ``TOKEN_PATH`` or ``INVALIDATE_PATH``.
        :raises RejectedRequest: the credentials, the grant or the token are wrong.
        """
        app = self._app_with_basic_credentials(request.headers.get("authorization", ""))
        text = request.body.decode("ascii", "replace")
        form = parse_qs(text)
        if request.method != "POST" or app is None:
            raise RejectedRequest(403, BAD_CREDENTIALS)
        token = self.current(app)
        if request.path == TOKEN_PATH:
            if form.get("grant_type") != ["client_credentials"]:
                raise RejectedRequest(403, BAD_CREDENTIALS)
            return {"token_type": "bearer", "access_token": token}
        # Some clients send the token as it is, others percent-encode it once more. Both forms are accepted.
        unencoded = {field.removeprefix("access_token=") for field in text.split("&")}
        if token not in unencoded and token not in form.get("access_token", []):
            raise RejectedRequest(403, BAD_CREDENTIALS)
        with self._lock:
            self._invalidated[app.consumer_key] = self._invalidated.get(app.consumer_key, 0) + 1
        return {"access_token": token}

    def _app_with_basic_credentials(self, authorization: str) -> App | None:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return None
        app = self._world.apps.get(unquote_plus(key))
        return app if app is not None and app.consumer_secret == unquote_plus(secret) else None
