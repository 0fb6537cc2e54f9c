"""The errors of X API v2: those that replace a response, and those inside of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

NOT_ENROLLED_LIMIT: Final = 40_000
"""The limit that the headers announce to an app that is not enrolled."""

APP_AUTHENTICATION: Final = "OAuth 2.0 Application-Only"
USER_AUTHENTICATION: Final = ("OAuth 1.0a User Context", "OAuth 2.0 User Context")
"""How X calls the kinds of credentials."""

Problem = dict[str, Any]


class RejectedByXApi(Exception):
    """A request that receives an error response.

    :param status: the HTTP status.
    :param body: the body, before it is encoded.
    :param headers: headers of the response.
    """

    def __init__(self, status: int, body: Problem | bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Problems:
    """Builds problems.

    :param switches: the behavior of the API.
    """

    def __init__(self, switches: XApiSwitches) -> None:
        self._switches = switches

    def _type(self, name: str) -> str:
        return f"https://{self._switches.problem_host}/2/problems/{name}"

    def unauthorized(self) -> RejectedByXApi:
        """Return the response to invalid credentials."""
        return RejectedByXApi(401, _blank("Unauthorized", 401))

    def method_not_allowed(self) -> RejectedByXApi:
        """Return the response to another method than ``GET``."""
        return RejectedByXApi(405, _blank("Method Not Allowed", 405), {"Allow": "GET"})

    def not_enrolled(self, client_id: str, reset: int) -> RejectedByXApi:
        """Return the response to an app without a contract. Its text speaks of projects, whatever the reason."""
        body = {
            "client_id": client_id,
            "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from "
            "a Twitter developer App that is attached to a Project. You can create a project via the developer portal.",
            "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
            "title": "Client Forbidden",
            "required_enrollment": "Appropriate Level of API Access",
            "reason": "client-not-enrolled",
            "type": "https://api.twitter.com/2/problems/client-forbidden",
        }
        headers = {
            "x-rate-limit-limit": str(NOT_ENROLLED_LIMIT),
            "x-rate-limit-remaining": str(NOT_ENROLLED_LIMIT - 1),
            "x-rate-limit-reset": str(reset),
        }
        return RejectedByXApi(403, body, headers)

    def unsupported_authentication(self, used: str, supported: Sequence[str]) -> RejectedByXApi:
        """Return the response to credentials of a kind that an endpoint does not accept."""
        body = {
            "title": "Unsupported Authentication",
            "detail": f"Authenticating with {used} is forbidden for this endpoint.  Supported authentication types are "
            f"[{', '.join(supported)}].",
            "type": self._type("unsupported-authentication"),
            "status": 403,
        }
        return RejectedByXApi(403, body)

    def invalid_request(self, errors: Sequence[Problem]) -> RejectedByXApi:
        """Return the response to invalid parameters.

        :param errors: ``parameters`` and ``message`` of each.
        """
        body = {
            "errors": list(errors),
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": self._type("invalid-request"),
        }
        return RejectedByXApi(400, body)

    def rate_limited(self) -> RejectedByXApi:
        """Return the response to a request beyond the rate limit."""
        if self._switches.rate_limited_body == "code":
            return RejectedByXApi(429, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]})
        return RejectedByXApi(
            429,
            {
                "title": "Too Many Requests",
                "detail": "Too Many Requests",
                "type": self._type("rate-limit-exceeded"),
                "status": 429,
            },
        )

    def usage_capped(self, account_id: str) -> RejectedByXApi:
        """Return the response to an app that has read all Tweets of a month."""
        body = {
            "account_id": account_id,
            "product_name": "pay-per-use",
            "title": "UsageCapExceeded",
            "period": "Monthly",
            "scope": "Product",
            "detail": "Usage cap exceeded: Monthly product cap",
            "type": self._type("usage-capped"),
        }
        return RejectedByXApi(429, body)

    def credits_depleted(self, account_id: str) -> RejectedByXApi:
        """Return the response to an app without credit."""
        body = {
            "account_id": account_id,
            "title": "CreditsDepleted",
            "detail": f"Your enrolled account [{account_id}] does not have any credits to fulfill this request.",
            "type": self._type("credits"),
        }
        return RejectedByXApi(402, body)

    def not_found(self, resource: str, parameter: str, value: str) -> Problem:
        """Return the error for a Tweet or user that does not exist."""
        return {
            "value": value,
            "detail": f"Could not find {resource} with {parameter}: [{value}].",
            "title": "Not Found Error",
            "resource_type": resource,
            "parameter": parameter,
            "resource_id": value,
            "type": self._type("resource-not-found"),
        }

    def suspended(self, parameter: str, value: str) -> Problem:
        """Return the error for a suspended user."""
        return {
            **self.not_found("user", parameter, value),
            "detail": f"User has been suspended: [{value}].",
            "title": "Forbidden",
        }

    def not_visible(self, resource: str, parameter: str, value: str, *, section: str = "data") -> Problem:
        """Return the error for a Tweet or the Tweets of a user that the credentials cannot see."""
        shown = {"tweet": "Tweet"}.get(resource, resource)
        return {
            "resource_id": value,
            "parameter": parameter,
            "resource_type": resource,
            "section": section,
            "title": "Authorization Error",
            "value": value,
            "detail": f"Sorry, you are not authorized to see the {shown} with {parameter}: [{value}].",
            "type": self._type("not-authorized-for-resource"),
        }

    def forbidden_field(self, resource: str, field: str, parameter: str, value: str, *, section: str) -> Problem:
        """Return the error for one metric that the credentials cannot read."""
        shown = {"tweet": "Tweet"}.get(resource, resource)
        return {
            "resource_id": value,
            "parameter": parameter,
            "resource_type": resource,
            "field": field,
            "section": section,
            "title": "Field Authorization Error",
            "value": value,
            "detail": f"Sorry, you are not authorized to access '{field}' on the {shown} with {parameter} : [{value}].",
            "type": self._type("not-authorized-for-field"),
        }


def _blank(title: str, status: int) -> Problem:
    return {"title": title, "type": "about:blank", "status": status, "detail": title}
