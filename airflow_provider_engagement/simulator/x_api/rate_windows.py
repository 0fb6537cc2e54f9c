"""The rate limits of X API v2: windows of 15 minutes for each endpoint, of each app and of each user."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.signature import Identity
from airflow_provider_engagement.simulator.x_api.routes import ROUTES, Route

WINDOW: Final = timedelta(minutes=15)

Scope = Literal["app", "user"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowState:
    """A window after a request.

    :param allowed: whether the request was within the limit.
    :param limit: requests in a window.
    :param remaining: requests left in this window.
    :param reset: when the window ends, in Unix seconds.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The rate limit headers of the response."""
        return {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(self.remaining),
            "x-rate-limit-reset": str(self.reset),
        }


@dataclass(slots=True)
class _Window:
    reset: int
    used: int = 0


class RateWindows:
    """The windows of all apps and users. Each begins with the first request after the one before (invented).

    :param clock: the rate clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[tuple[str, Scope], int] = {}
        self._windows: dict[tuple[str, str, str | None], _Window] = {}

    def set_limit(self, endpoint: str, scope: Scope, requests: int) -> None:
        """Change a limit, from the next request on.

        :param endpoint: the name of the endpoint, such as ``user_tweets``.
        :param scope: whether it is the limit of each app or of each user.
        :param requests: requests in a window.
        :raises ValueError: there is no such endpoint or scope, or ``requests`` is below 1.
        """
        if (endpoint, scope) not in self._documented():
            known = ", ".join(f"{name} {kind}" for name, kind in self._documented())
            raise ValueError(f"{endpoint} {scope}: no such limit. Choose one of {known}.")
        if requests < 1:
            raise ValueError(f"{endpoint} {scope}: {requests} is too low. Give at least 1 request in 15 minutes.")
        with self._lock:
            self._limits[endpoint, scope] = requests

    def limits(self) -> Mapping[str, Mapping[str, int]]:
        """Return the limits, by endpoint and scope."""
        result: dict[str, dict[str, int]] = {}
        for (endpoint, scope), requests in {**self._documented(), **self._limits}.items():
            result.setdefault(endpoint, {})[scope] = requests
        return result

    def spend(self, route: Route, identity: Identity) -> WindowState:
        """Count one request, if the limit allows it. A rate-limited request is not counted.

        :param route: the endpoint.
        :param identity: who sent it. A user's requests count against the user's window, others against the app's.
        """
        user_id = None if identity.handle is None else identity.handle.user_id
        scope: Scope = "app" if user_id is None else "user"
        limit = self._limits.get((route.name, scope)) or self._documented()[route.name, scope]
        now = self._clock.now().timestamp()
        key = (route.name, identity.app.consumer_key, user_id)
        with self._lock:
            window = self._windows.get(key)
            if window is None or now >= window.reset:
                window = self._windows[key] = _Window(math.ceil(now + WINDOW.total_seconds()))
            allowed = window.used < limit
            window.used += allowed
            return WindowState(allowed=allowed, limit=limit, remaining=max(0, limit - window.used), reset=window.reset)

    def end_of_window(self) -> int:
        """Return when a window would end that begins now, in Unix seconds."""
        return math.ceil(self._clock.now().timestamp() + WINDOW.total_seconds())

    def reset(self) -> None:
        """Return to the documented limits, with no request used."""
        with self._lock:
            self._limits.clear()
            self._windows.clear()

    @staticmethod
    def _documented() -> dict[tuple[str, Scope], int]:
        limits: dict[tuple[str, Scope], int] = {}
        for route in ROUTES:
            if route.per_app is not None:
                limits[route.name, "app"] = route.per_app
            if route.per_user is not None:
                limits[route.name, "user"] = route.per_user
        return limits
