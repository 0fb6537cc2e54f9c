"""The Engagement API without its sockets: applies its rules to a request, in order."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_engagement.engagement_api.catalogue import ENDPOINTS, Endpoint
from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.errors import (
    INVALID_TOKEN,
    NO_GZIP,
    NOT_ENTITLED,
    RATE_LIMIT,
    RejectedRequest,
    unauthenticated_message,
)
from airflow_provider_engagement.simulator.http_messages import JSON_TYPE, HttpRequest
from airflow_provider_engagement.simulator.quota import Quotas
from airflow_provider_engagement.simulator.responses import response_body
from airflow_provider_engagement.simulator.signature import Identity, InvalidCredentials
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.validation import parse_body, parse_request
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.simulator.world import World

_ENDPOINTS: Final = {rule.path: endpoint for endpoint, rule in ENDPOINTS.items()}
_RATE_LIMITED: Final[dict[str, tuple[str | dict[str, Any], ...]]] = {
    "strings": (RATE_LIMIT,),
    "objects": ({"code": 88, "message": RATE_LIMIT},),
    "empty": (),
}


class SimulatedEngagementApi:
    """The Engagement API.

    :param world: the data behind the API.
    :param switches: the behavior where the documentation leaves it open. You can assign others.
    :param clock: the data clock, which decides windows and ages.
    :param rate_clock: the clock of quotas.
    """

    def __init__(self, world: World, *, switches: Switches, clock: Clock, rate_clock: Clock) -> None:
        self.switches = switches
        self.quotas = Quotas(rate_clock)
        self._world = world
        self._clock = clock
        self._initial_switches = switches

    def reset(self) -> None:
        """Reset switches and quotas."""
        self.switches = self._initial_switches
        self.quotas.reset()

    def serves(self, path: str) -> bool:
        """Return whether a path is that of an endpoint."""
        return path in _ENDPOINTS

    def visible_counts(self) -> VisibleCounts:
        """Return the counts that the API shows now."""
        return VisibleCounts.under(self.switches, source=self._world.counts, now=self._clock.now())

    def answer(
        self, request: HttpRequest, identity: Identity | InvalidCredentials, headers: dict[str, str]
    ) -> dict[str, Any]:
        """Return the body of a successful response, and add the rate limit headers to ``headers``.

        The rules apply in the order in which the API applies them.

        :raises RejectedRequest: the API rejects the request.
        """
        switches, endpoint = self.switches, _ENDPOINTS[request.path]
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
            raise RejectedRequest(429, *_RATE_LIMITED[switches.rate_body])
        if not identity.app.entitled:
            raise RejectedRequest(switches.entitlement_status, NOT_ENTITLED)
        now = self._clock.now()
        # Finatra reads the body only if it is JSON. Otherwise every field is missing.
        body = parse_body(request.body) if request.media_type == JSON_TYPE else {}
        parsed = parse_request(endpoint, body, now=now, switches=switches)
        return response_body(parsed, identity, self._world, now=now, switches=switches)


def _part_of_quota(switches: Switches, endpoint: Endpoint, identity: Identity) -> tuple[str, ...]:
    """Return what distinguishes the quotas of an app, if it has several."""
    if switches.quota_scope == "endpoint":
        return (str(endpoint),)
    if switches.quota_scope == "token":
        return ("app" if identity.handle is None else identity.handle.user_id,)
    return ()
