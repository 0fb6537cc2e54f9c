"""The client of X API v2: what a request sends, what its answer says, and which rate limit it counts against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Unpack

from airflow_provider_engagement.exceptions import ApiError, InvalidResponseError
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.client import ApiClient, Call, ClientSettings
from airflow_provider_engagement.http.credentials import Account, Auth, Credentials
from airflow_provider_engagement.http.limits.headers import HeaderNames, RateHeaders
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.limiters import Limiters
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.http.response_body import ReceivedResponse
from airflow_provider_engagement.x_api.catalogue import (
    DEFAULT_X_BASE_URL,
    DEFAULT_X_TOKEN_URL,
    RATE_WINDOW,
    XEndpoint,
)
from airflow_provider_engagement.x_api.planner import XRequest
from airflow_provider_engagement.x_api.problems import error_for_problem, is_usage_cap, read_problems, words_of

XQuota = tuple[XEndpoint, Account]
"""What a rate limit is for: an endpoint, and the app or the user whose credentials sign."""

Body = dict[str, Any]

DEFAULT_X_ADDRESS: Final = Address(base_url=DEFAULT_X_BASE_URL, token_url=DEFAULT_X_TOKEN_URL)

X_RATE_LIMIT_HEADERS: Final = HeaderNames(window="x-rate-limit")


def new_limiter(quota: XQuota) -> Limiter:
    """Return a limiter that knows nothing yet about a rate limit, and sleeps through any wait."""
    return Limiter(RateLimit(window_seconds=RATE_WINDOW.total_seconds()))


class XClient(ApiClient[XRequest, Body]):
    """Sends requests to X API v2. Several threads can use it at once, and it is a context manager.

    ``send`` returns the body of an answer as the API has sent it, so that it can be stored. ``parse_tweets`` and
    ``parse_users`` read it. Each endpoint has a window of 15 minutes for the app and for each user, so a request waits
    only for those of its own quota.

    :param credentials: the secrets of the connection.
    :param address: where the API is.
    :param create_limiter: returns what holds back the requests of one quota; by default as the API's headers require.
    :param settings: the other parameters of :class:`~airflow_provider_engagement.http.client.ApiClient`.
    """

    rate_limit_headers = X_RATE_LIMIT_HEADERS

    def __init__(
        self,
        credentials: Credentials,
        *,
        address: Address = DEFAULT_X_ADDRESS,
        create_limiter: Callable[[XQuota], Limiter] = new_limiter,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self.limiters = Limiters(create_limiter)
        super().__init__(
            credentials, address=address, limiter=self.limiters.of((XEndpoint.TWEETS, (Auth.APP, None))), **settings
        )

    def call(self, request: XRequest) -> Call:
        """Return what to send for a request."""
        auth, owner = request.account
        return Call(
            endpoint=request.endpoint,
            method="GET",
            path=request.path,
            parameters=request.parameters(),
            as_app=auth is Auth.APP,
            owner=owner,
        )

    def parse(self, request: XRequest, response: ReceivedResponse) -> Body:
        """Return the body of an answer, or raise what it means."""
        status, body = response.status, response.body
        if response.json_error and status in (200, 400, 403, 429):
            # With these statuses, only the body says what happened and whether a repetition can succeed.
            raise InvalidResponseError(f"HTTP {status} with invalid JSON: {response.json_error}.")
        if status == 200 and isinstance(body, dict):
            return body
        if status == 200:
            raise InvalidResponseError(f"HTTP 200 with {self.describe(response)} instead of JSON.")
        raise self._error_for(request, response)

    def error_messages(self, body: Any) -> tuple[str, ...]:
        """Return the words of the problems in a decoded body."""
        return words_of(read_problems(body))

    def is_rate_limited(self, response: ReceivedResponse) -> bool:
        """Return whether the request can be sent in the next window. A cap of the month has the same status."""
        return response.status == 429 and not is_usage_cap(response.body)

    def rate_limit_of(self, response: ReceivedResponse, *, received_at: float) -> RateHeaders:
        """Return what a response says about the window. A rejected app is told a limit that is not its own (measured).

        :param response: the response.
        :param received_at: when it arrived, in epoch seconds.
        """
        if response.status in (401, 402, 403) or (response.status == 429 and not self.is_rate_limited(response)):
            return RateHeaders()
        return super().rate_limit_of(response, received_at=received_at)

    def limiter_of(self, request: XRequest) -> Limiter:
        """Return what holds a request back: the window of its endpoint and of who signs it."""
        return self.limiters.of((request.endpoint, request.account))

    def stop(self) -> None:
        """End all waits, and send no further request. Requests in flight end by themselves."""
        super().stop()
        self.limiters.stop()

    def _error_for(self, request: XRequest, response: ReceivedResponse) -> ApiError:
        return error_for_problem(
            endpoint=request.endpoint,
            status=response.status,
            body=response.body,
            host=self.address.base_url,
            request_id=self.request_id(response),
            shown=self.shown,
        )
