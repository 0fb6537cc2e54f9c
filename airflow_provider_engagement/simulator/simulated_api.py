"""Both simulated APIs without their sockets: hands a request to the API that serves it, and records the request."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.errors import (
    INTERNAL_ERROR,
    NO_SUCH_PAGE,
    RejectedRequest,
)
from airflow_provider_engagement.simulator.faults import Fault, Faults
from airflow_provider_engagement.simulator.http_messages import HttpRequest, HttpResponse
from airflow_provider_engagement.simulator.journal import Journal
from airflow_provider_engagement.simulator.json_values import decode
from airflow_provider_engagement.simulator.signature import CredentialsVerifier, Identity, InvalidCredentials
from airflow_provider_engagement.simulator.simulated_engagement_api import SimulatedEngagementApi
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.tokens import INVALIDATE_PATH, TOKEN_PATH, BearerTokens
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.problem_bodies import RejectedByXApi
from airflow_provider_engagement.simulator.x_api.simulated_x_api import SimulatedXApi
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

log = logging.getLogger(__name__)


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
        self.clock = clock
        self.rate_clock = rate_clock
        self.date_skew = date_skew
        self.latency = latency
        self.tokens = BearerTokens(world)
        self.faults = Faults()
        self.journal = Journal()
        self.engagement = SimulatedEngagementApi(world, switches=switches, clock=clock, rate_clock=rate_clock)
        self.x_api = SimulatedXApi(
            world,
            switches=x_switches,
            clock=clock,
            rate_clock=rate_clock,
            visible_counts=self.engagement.visible_counts,
        )
        self._verifier = CredentialsVerifier(
            world,
            clock=signature_clock,
            window=signature_window,
            app_with_bearer_token=self.tokens.app_with_token,
        )

    def reset(self) -> None:
        """Reset clocks, limits, switches, faults, tokens, nonces, ledger and journal. The world stays as it is."""
        self.engagement.reset()
        self.x_api.reset()
        self.clock.reset()
        self.rate_clock.reset()
        self.tokens.reset()
        self.faults.clear()
        self.journal.clear()
        self._verifier.forget_nonces()

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
        if request.problem is not None or not (is_x_api or self.engagement.serves(request.path)):
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
        """Return status and body of a response, and add what the API adds to its headers."""
        try:
            return 200, _encoded(self._answer(request, identity, headers))
        except RejectedRequest as rejected:
            return rejected.status, _encoded(rejected.body)
        except RejectedByXApi as rejected:
            headers.update(rejected.headers)
            return rejected.status, _encoded(rejected.body)
        except Exception:
            log.exception("The simulator failed on %s %s.", request.method, request.path)
            return 500, _encoded({"errors": [INTERNAL_ERROR]})

    def _answer(
        self, request: HttpRequest, identity: Identity | InvalidCredentials | None, headers: dict[str, str]
    ) -> Mapping[str, Any]:
        if request.problem is not None:
            raise request.problem
        if request.path in (TOKEN_PATH, INVALIDATE_PATH):
            return self.tokens.handle(request)
        if self.x_api.serves(request.path):
            return self.x_api.answer(request, identity, headers)
        if identity is None:
            raise RejectedRequest(404, NO_SUCH_PAGE)
        return self.engagement.answer(request, identity, headers)

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
    return (body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))).encode()


def _decoded(body: bytes) -> Any:
    try:
        return decode(body)
    except ValueError:
        return None
