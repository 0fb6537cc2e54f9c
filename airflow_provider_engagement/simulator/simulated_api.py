"""Both simulated APIs without their sockets: applies the rules of an API to a request, and returns the response."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import ENDPOINTS, Endpoint
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.errors import (
    INTERNAL_ERROR,
    INVALID_TOKEN,
    NO_GZIP,
    NO_SUCH_PAGE,
    NOT_ENTITLED,
    RATE_LIMIT,
    RejectedRequest,
    unauthenticated_message,
)
from airflow_provider_engagement.simulator.faults import Fault, Faults
from airflow_provider_engagement.simulator.http_messages import JSON_TYPE, HttpRequest, HttpResponse
from airflow_provider_engagement.simulator.journal import Journal
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.quota import Quotas
from airflow_provider_engagement.simulator.responses import response_body
from airflow_provider_engagement.simulator.signature import CredentialsVerifier, Identity, InvalidCredentials
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.tokens import INVALIDATE_PATH, TOKEN_PATH, BearerTokens
from airflow_provider_engagement.simulator.validation import parse_body, parse_request
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.simulated_x_api import SimulatedXApi
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

log = logging.getLogger(__name__)

_ENDPOINTS = {rule.path: endpoint for endpoint, rule in ENDPOINTS.items()}


class SimulatedApi:
    """The Engagement API, X API v2 and the token endpoint of both.

    :param world: the data behind the APIs.
    :param switches: the behavior of the Engagement API where the documentation leaves it open.
    :param x_switches: the behavior of X API v2 where the documentation leaves it open.
    :param clock: the data clock, which decides windows and ages.
    :param rate_clock: the clock of quotas, ``Date`` headers and the journal.
    :param signature_clock: the clock that OAuth timestamps are compared with. Clients sign with the real time.
    :param signature_window: how far an OAuth timestamp may differ from that clock.
    :param date_skew: how far the ``Date`` header is ahead of the rate clock.
    :param latency: minimum seconds per response.
    """

    def __init__(
        self,
        world: World,
        *,
        switches: Switches,
        x_switches: XApiSwitches,
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
        self.quotas = Quotas(rate_clock)
        self.tokens = BearerTokens(world)
        self.faults = Faults()
        self.journal = Journal()
        self.x_api = SimulatedXApi(
            world, switches=x_switches, clock=clock, rate_clock=rate_clock, visible_counts=self.visible_counts
        )
        self._initial_switches = switches
        self._verifier = CredentialsVerifier(
            world,
            clock=signature_clock,
            window=signature_window,
            app_with_bearer_token=self.tokens.app_with_token,
        )

    def reset(self) -> None:
        """Reset clocks, limits, switches, faults, tokens, nonces, ledger and journal. The world stays as it is."""
        self.x_api.reset()
        self.clock.reset()
        self.rate_clock.reset()
        self.quotas.reset()
        self.tokens.reset()
        self.faults.clear()
        self.journal.clear()
        self._verifier.forget_nonces()
        self.switches = self._initial_switches

    def visible_counts(self) -> VisibleCounts:
        """Return the counts that the API shows now."""
        return VisibleCounts.under(self.switches, source=self.world.counts, now=self.clock.now())

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request, and add the request to the journal."""
        received_at = self.rate_clock.now()
        fault = self.faults.take(request.path)
        identity = self._verify_credentials(request)
        headers: dict[str, str] = {}
        if fault is not None and fault.status is not None:
            status, body = fault.status, _encoded(fault.body)
        else:
            status, body = self._status_and_body(request, identity, headers)
        response = self._response(request, status, headers, body, fault)
        self.journal.add(
            at=received_at,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            body=_decoded(request.body),
            status=None if response.drop == "before_headers" else status,
            forced=fault is not None,
            **_journal_fields(identity),
        )
        return response

    def _verify_credentials(self, request: HttpRequest) -> Identity | InvalidCredentials | None:
        """Return who sent a request, or why that is unknown; ``None`` if its path or the request itself is wrong."""
        is_x_api = self.x_api.serves(request.path)
        if request.problem is not None or not (is_x_api or request.path in _ENDPOINTS):
            return None
        try:
            return self._verifier.verify(
                request.headers.get("authorization"),
                method=request.method,
                url=request.url,
                body=request.body,
                content_type=request.media_type,
                oauth2_users=is_x_api,
            )
        except InvalidCredentials as problem:
            return problem

    def _status_and_body(
        self, request: HttpRequest, identity: Identity | InvalidCredentials | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Return status and body of a response, and add its rate limit headers to ``headers``."""
        try:
            if request.problem is not None:
                raise request.problem
            if request.path in (TOKEN_PATH, INVALIDATE_PATH):
                return 200, _encoded(self.tokens.handle(request))
            if self.x_api.serves(request.path):
                status, more_headers, body = self.x_api.respond(request, identity)
                headers.update(more_headers)
                return status, body
            if identity is None:
                raise RejectedRequest(404, NO_SUCH_PAGE)
            return 200, _encoded(self._engagement(_ENDPOINTS[request.path], request, identity, headers))
        except RejectedRequest as rejected:
            empty = rejected.status == 429 and self.switches.rate_body == "empty"
            return rejected.status, b"" if empty else _encoded(rejected.body)
        except Exception:
            log.exception("The simulator failed on %s %s.", request.method, request.path)
            return 500, _encoded({"errors": [INTERNAL_ERROR]})

    def _engagement(
        self, endpoint: Endpoint, request: HttpRequest, identity: Identity | InvalidCredentials, headers: dict[str, str]
    ) -> dict[str, Any]:
        """Apply the rules in the order in which the API applies them."""
        switches = self.switches
        if isinstance(identity, Identity):
            part = _part_of_quota(switches, endpoint, identity)
            headers.update(self.quotas.state(identity.app, *part).headers(switches))
        if request.method != "POST":
            headers["Allow"] = "POST"
            raise RejectedRequest(405, "Method not allowed; use POST")
        if switches.require_gzip and not request.accepts_gzip:
            raise RejectedRequest(406, NO_GZIP)
        if isinstance(identity, InvalidCredentials):
            message = unauthenticated_message(identity.reason)
            raise RejectedRequest(401, INVALID_TOKEN if switches.auth_errors == "objects" else message)
        quota = self.quotas.spend(identity.app, *part)
        headers.update(quota.headers(switches))
        if not quota.allowed:
            error = {"code": 88, "message": RATE_LIMIT} if switches.rate_body == "objects" else RATE_LIMIT
            raise RejectedRequest(429, error)
        if not identity.app.entitled:
            raise RejectedRequest(switches.entitlement_status, NOT_ENTITLED)
        now = self.clock.now()
        # Finatra reads the body only if it is JSON. Otherwise every field is missing.
        body = parse_body(request.body) if request.media_type == JSON_TYPE else {}
        parsed = parse_request(endpoint, body, now=now, switches=switches)
        return response_body(parsed, identity, self.world, now=now, switches=switches)

    def _response(
        self, request: HttpRequest, status: int, headers: Mapping[str, str], body: bytes, fault: Fault | None
    ) -> HttpResponse:
        all_headers = {
            "Date": format_datetime(self.rate_clock.now() + self.date_skew, usegmt=True),
            "Content-Type": "application/json;charset=utf-8",
            **headers,
        }
        if request.accepts_gzip and body:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            all_headers["Content-Encoding"] = "gzip"
        response = HttpResponse(status=status, headers=all_headers, body=body, delay=self.latency)
        if fault is None:
            return response
        return replace(
            response,
            headers={**all_headers, **fault.headers},
            body=body[: len(body) // 2] if fault.truncate_gzip else body,
            delay=self.latency + fault.delay,
            drop=fault.drop,
        )


def _part_of_quota(switches: Switches, endpoint: Endpoint, identity: Identity) -> tuple[str, ...]:
    """Return what distinguishes the quotas of an app, if it has several."""
    if switches.quota_scope == "endpoint":
        return (str(endpoint),)
    if switches.quota_scope == "token":
        return ("app" if identity.handle is None else identity.handle.user_id,)
    return ()


def _journal_fields(identity: Identity | InvalidCredentials | None) -> dict[str, str | None]:
    if identity is None:
        return {"auth": "none", "consumer_key": None, "user_id": None, "signature": "not checked"}
    if isinstance(identity, InvalidCredentials):
        return {
            "auth": identity.auth,
            "consumer_key": None,
            "user_id": identity.user_id,
            "signature": identity.reason,
        }
    return {
        "auth": str(identity.auth),
        "consumer_key": identity.app.consumer_key,
        "user_id": None if identity.handle is None else identity.handle.user_id,
        "signature": "valid",
    }


def _encoded(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()


def _decoded(body: bytes) -> Any:
    try:
        return decode(body)
    except ValueError:
        return None
