"""The API without its sockets: a request comes in, the answer goes out, every rule is applied in between."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from airflow_provider_engagement.api.catalogue import ENDPOINTS, Endpoint
from airflow_provider_engagement.simulator.answers import answer
from airflow_provider_engagement.simulator.budget import Budgets
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.counts import Sight
from airflow_provider_engagement.simulator.faults import Fault, Faults
from airflow_provider_engagement.simulator.journal import Journal
from airflow_provider_engagement.simulator.refusal import (
    BAD_CREDENTIALS,
    INTERNAL_ERROR,
    NO_GZIP,
    NO_SUCH_PAGE,
    NOT_ENTITLED,
    RATE_LIMIT,
    Refusal,
    unauthenticated,
)
from airflow_provider_engagement.simulator.signature import Identity, NotAuthenticated, Verifier
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.validation import read_body, validated
from airflow_provider_engagement.simulator.world import App, World, next_bearer_token

TOKEN_PATH = "/oauth2/token"
INVALIDATE_PATH = "/oauth2/invalidate_token"

log = logging.getLogger(__name__)

_ENDPOINTS = {rule.path: endpoint for endpoint, rule in ENDPOINTS.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A request as it came over the wire.

    :param method: the HTTP method.
    :param url: the URL the client called.
    :param headers: the headers, with lower-case names.
    :param body: the body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, without query."""
        return urlsplit(self.url).path

    @property
    def accepts_gzip(self) -> bool:
        """Whether the answer may be compressed."""
        offers = (offer.strip().lower() for offer in self.headers.get("accept-encoding", "").split(","))
        return any(offer.split(";")[0].strip() in ("gzip", "*") and not offer.endswith("q=0") for offer in offers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What goes over the wire.

    :param status: the HTTP status.
    :param headers: all headers but ``Content-Length``.
    :param body: the body, compressed if it shall be.
    :param delay: seconds to wait first.
    :param drop: where to end the connection, if before the end of the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0
    drop: str | None = None


@dataclass(slots=True)
class _Progress:
    """What is known of a request so far, for its journal entry."""

    auth: str = "none"
    consumer_key: str | None = None
    user_id: str | None = None
    signature: str = "not checked"
    headers: dict[str, str] = field(default_factory=dict)


class Service:
    """The API.

    :param world: who and what exists.
    :param switches: how it behaves where the documentation is silent.
    :param clock: the data clock: what time it is for windows and ages.
    :param rate_clock: the clock of budgets, of ``Date`` headers and of the journal.
    :param signature_clock: the clock OAuth timestamps are compared with. Clients sign with the real time.
    :param signature_window: how far such a timestamp may be off.
    :param date_skew: how far the ``Date`` header is ahead of the rate clock.
    :param latency: seconds each answer takes at least.
    """

    def __init__(
        self,
        world: World,
        *,
        switches: Switches,
        clock: Clock,
        rate_clock: Clock,
        signature_clock: Clock,
        signature_window: timedelta,
        date_skew: timedelta,
        latency: float,
    ) -> None:
        self.world = world
        self.switches = switches
        self.clock = clock
        self.rate_clock = rate_clock
        self.date_skew = date_skew
        self.latency = latency
        self.budgets = Budgets(rate_clock)
        self.faults = Faults()
        self.journal = Journal()
        self._initial_switches = switches
        self._invalidated: dict[str, int] = {}
        self._lock = threading.Lock()
        self._verifier = Verifier(
            world, clock=signature_clock, window=signature_window, app_of_bearer=self._app_of_bearer
        )

    def reset(self) -> None:
        """Return to the beginning: clocks, budgets, switches, faults, tokens, nonces and journal, not the world."""
        self.clock.reset()
        self.rate_clock.reset()
        self.budgets.reset()
        self.faults.clear()
        self.journal.clear()
        self._verifier.forget_nonces()
        self.switches = self._initial_switches
        with self._lock:
            self._invalidated.clear()

    def sight(self) -> Sight:
        """Return what can be seen of the counts at this moment."""
        return Sight(
            counts=self.world.counts,
            now=self.clock.now(),
            withdrawals=self.switches.negative_counts,
            restatement=self.switches.restatement,
        )

    def bearer_token(self, app: App) -> str:
        """Return the live application-only token of an app."""
        with self._lock:
            return next_bearer_token(app, self._invalidated.get(app.consumer_key, 0))

    def handle(self, received: Received) -> Reply:
        """Answer a request, and write it down."""
        at = self.rate_clock.now()
        progress = _Progress()
        fault = self.faults.take(received.path)
        identity = self._identity(received, progress)
        if fault is not None and fault.status is not None:
            status, body = fault.status, _encoded(fault.body)
        else:
            status, body = self._outcome(received, identity, progress)
        reply = self._reply(received, status, body, progress.headers, fault)
        self.journal.add(
            at=at,
            method=received.method,
            path=received.path,
            auth=progress.auth,
            consumer_key=progress.consumer_key,
            user_id=progress.user_id,
            signature=progress.signature,
            body=_decoded(received.body),
            status=None if reply.drop == "before_headers" else status,
            forced=fault is not None,
        )
        return reply

    def _identity(self, received: Received, progress: _Progress) -> Identity | NotAuthenticated | None:
        if received.path not in _ENDPOINTS:
            return None
        try:
            identity = self._verifier.identify(
                received.headers.get("authorization"),
                method=received.method,
                url=received.url,
                body=received.body,
                content_type=received.headers.get("content-type", ""),
            )
        except NotAuthenticated as problem:
            progress.auth, progress.user_id, progress.signature = problem.mode, problem.user_id, problem.reason
            return problem
        progress.auth = str(identity.auth)
        progress.consumer_key = identity.app.consumer_key
        progress.user_id = None if identity.handle is None else identity.handle.user_id
        progress.signature = "valid"
        return identity

    def _outcome(
        self, received: Received, identity: Identity | NotAuthenticated | None, progress: _Progress
    ) -> tuple[int, bytes]:
        try:
            if received.path in (TOKEN_PATH, INVALIDATE_PATH):
                return 200, _encoded(self._token(received))
            if identity is None:
                raise Refusal(404, NO_SUCH_PAGE)
            return 200, _encoded(self._engagement(_ENDPOINTS[received.path], received, identity, progress))
        except Refusal as refusal:
            empty = refusal.status == 429 and self.switches.rate_body == "empty"
            return refusal.status, b"" if empty else _encoded(refusal.body)
        except Exception:
            log.exception("the simulator failed on %s %s", received.method, received.path)
            return 500, _encoded({"errors": [INTERNAL_ERROR]})

    def _engagement(
        self, endpoint: Endpoint, received: Received, identity: Identity | NotAuthenticated, progress: _Progress
    ) -> dict[str, Any]:
        """Apply the rules in the order in which the API applies them."""
        switches = self.switches
        if received.method != "POST":
            raise Refusal(405, "Method not allowed; use POST")
        if switches.require_gzip and not received.accepts_gzip:
            raise Refusal(406, NO_GZIP)
        if isinstance(identity, NotAuthenticated):
            message = unauthenticated(identity.reason)
            raise Refusal(401, {"code": 89, "message": message} if switches.auth_errors == "objects" else message)
        standing = self.budgets.spend(identity.app)
        progress.headers.update(standing.headers(switches))
        if not standing.allowed:
            raise Refusal(429, {"code": 88, "message": RATE_LIMIT} if switches.rate_body == "objects" else RATE_LIMIT)
        if not identity.app.entitled:
            raise Refusal(switches.entitlement_status, NOT_ENTITLED)
        now = self.clock.now()
        asked = validated(endpoint, read_body(received.body), now=now, switches=switches)
        return answer(asked, identity, self.world, now=now, switches=switches)

    def _token(self, received: Received) -> dict[str, str]:
        app = self._app_of_basic(received.headers.get("authorization", ""))
        form = parse_qs(received.body.decode("ascii", "replace"))
        if received.method != "POST" or app is None:
            raise Refusal(403, BAD_CREDENTIALS)
        token = self.bearer_token(app)
        if received.path == TOKEN_PATH:
            if form.get("grant_type") != ["client_credentials"]:
                raise Refusal(403, BAD_CREDENTIALS)
            return {"token_type": "bearer", "access_token": token}
        # The token is sent as it is or percent-encoded once more: both are seen in the field.
        raw = {part.removeprefix("access_token=") for part in received.body.decode("ascii", "replace").split("&")}
        if token not in raw and token not in form.get("access_token", []):
            raise Refusal(403, BAD_CREDENTIALS)
        with self._lock:
            self._invalidated[app.consumer_key] = self._invalidated.get(app.consumer_key, 0) + 1
        return {"access_token": token}

    def _app_of_bearer(self, token: str) -> App | None:
        return next((app for app in self.world.apps.values() if self.bearer_token(app) == token), None)

    def _app_of_basic(self, authorization: str) -> App | None:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        app = self.world.apps.get(unquote_plus(key))
        return app if app is not None and app.consumer_secret == unquote_plus(secret) else None

    def _reply(
        self, received: Received, status: int, body: bytes, headers: Mapping[str, str], fault: Fault | None
    ) -> Reply:
        told = {
            "Date": format_datetime(self.rate_clock.now() + self.date_skew, usegmt=True),
            "Content-Type": "application/json;charset=utf-8",
            **headers,
        }
        if status == 405:
            told["Allow"] = "POST"
        if received.accepts_gzip and body:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            told["Content-Encoding"] = "gzip"
        reply = Reply(status=status, headers=told, body=body, delay=self.latency)
        if fault is None:
            return reply
        return replace(
            reply,
            headers={**told, **fault.headers},
            body=body[: len(body) // 2] if fault.truncate_gzip else body,
            delay=self.latency + fault.delay,
            drop=fault.drop,
        )


def _encoded(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
