"""The client of the Engagement API: what a request sends, what its response says, and which Tweets it rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Unpack

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.error_responses import (
    error_for_response,
    error_messages,
    is_about_every_tweet,
    lacks_entitlement,
    reports_unavailable_tweets,
)
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import (
    FetchedResponse,
    SpareRequests,
    UnavailableTweetSearch,
    UnavailableTweetsError,
    fetch_in_rounds,
)
from airflow_provider_engagement.engagement_api.response import (
    ParsedResponse,
    all_unavailable,
    listed_ids,
    parse_response,
)
from airflow_provider_engagement.exceptions import ApiError, InvalidResponseError, WaitRequired
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.client import ApiClient, Call, ClientSettings
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.headers import HeaderNames
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.http.response_body import ReceivedResponse

DEFAULT_ADDRESS: Final = Address(base_url=catalogue.DEFAULT_BASE_URL, token_url=catalogue.DEFAULT_TOKEN_URL)

RATE_LIMIT_HEADERS: Final = HeaderNames(window="x-per-minute", second="x-per-second")

LONGEST_WAIT_IN_SEARCH = 90.0
"""How many seconds are slept through while unavailable Tweets are searched, whatever ``max_inline_wait`` is.

A search that waits elsewhere begins anew, so with a small quota it would never end.
"""


class EngagementClient(ApiClient[Request, ParsedResponse]):
    """Sends requests to the Engagement API. Several threads can use it at once, and it is a context manager.

    :param credentials: the secrets of the connection.
    :param address: where the API is.
    :param limiter: holds requests back; by default as the API's headers require.
    :param drop_forbidden: whether to leave out Tweets of other users and repeat the request.
    :param spare_requests: how many requests can be sent to find unavailable Tweets that the API does not name; ``None``
        for as many as it takes.
    :param settings: the other parameters of :class:`~airflow_provider_engagement.http.client.ApiClient`.
    """

    rate_limit_headers = RATE_LIMIT_HEADERS

    def __init__(
        self,
        credentials: Credentials,
        *,
        address: Address | None = None,
        limiter: Limiter | None = None,
        drop_forbidden: bool = False,
        spare_requests: int | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        super().__init__(
            credentials, address=address or DEFAULT_ADDRESS, limiter=limiter or Limiter(RateLimit()), **settings
        )
        self.spare_requests = SpareRequests(spare_requests)
        self._search = UnavailableTweetSearch(self.spare_requests)
        self._drop_forbidden = drop_forbidden

    def fetch(self, request: Request) -> FetchedResponse:
        """Send a request until there is a response, and leave out the Tweets because of which the API rejects it.

        :param request: the request.
        :raises EngagementError: as :meth:`~airflow_provider_engagement.http.client.ApiClient.send` does.
        """
        return fetch_in_rounds(
            request,
            send=self.send,
            send_of_search=self._send_without_interruption,
            search=self._search,
            drop_forbidden=self._drop_forbidden,
        )

    def call(self, request: Request) -> Call:
        """Return what to send for a request."""
        auth, owner = request.query.account
        return Call(
            endpoint=request.query.endpoint,
            method="POST",
            path=catalogue.ENDPOINTS[request.query.endpoint].path,
            body=request.body(),
            as_app=auth is Auth.APP,
            owner=owner,
        )

    def error_messages(self, body: Any) -> tuple[str, ...]:
        """Return the error messages of a decoded body."""
        return error_messages(body)

    def rejects_token(self, response: ReceivedResponse) -> bool:
        """Return whether a response rejects a bearer token. No other token helps an app that has no access."""
        return response.status == 401 and not lacks_entitlement(error_messages(response.body))

    def parse(self, request: Request, response: ReceivedResponse) -> ParsedResponse:
        """Return the content of a response, or raise what its errors mean."""
        status, body = response.status, response.body
        if response.json_error and status in (200, 400, 403):
            # With these statuses, only the body says what happened and whether a repetition can succeed.
            raise InvalidResponseError(f"HTTP {status} with invalid JSON: {response.json_error}.")
        messages = error_messages(body)
        if status == 200 and not isinstance(body, dict):
            raise InvalidResponseError(f"HTTP 200 with {self.describe(response)} instead of JSON.")
        if status == 200 and not messages:
            return self._parse_counts(request, body)
        if status not in (200, 400):
            raise self._error_for(request, response)
        # Beside errors, an empty grouping is no data. With 400, only protected Tweets are documented, without a list.
        content = {key: value for key, value in body.items() if value} if isinstance(body, dict) else {}
        unavailable = listed_ids(content, catalogue.UNAVAILABLE_KEY)
        if is_about_every_tweet(request.tweet_ids, unavailable, messages):
            return all_unavailable(request, self.shown(messages))
        if unavailable and request.query.rows_grouping not in content:
            raise UnavailableTweetsError(unavailable, self._error_for(request, response))
        if _has_data(request, content):
            return self._parse_counts(request, content)
        if reports_unavailable_tweets(messages):
            raise UnavailableTweetsError((), self._error_for(request, response))
        raise self._error_for(request, response)

    def _parse_counts(self, request: Request, body: Mapping[str, Any]) -> ParsedResponse:
        parsed = parse_response(request, body)
        return replace(parsed, messages=self.shown(parsed.messages))

    def _error_for(self, request: Request, response: ReceivedResponse) -> ApiError:
        return error_for_response(
            endpoint=request.query.endpoint,
            status=response.status,
            messages=error_messages(response.body) or (f"({self.describe(response)})",),
            host=self.address.base_url,
            request_id=self.request_id(response),
            shown=self.shown,
        )

    def _send_without_interruption(self, request: Request) -> tuple[ParsedResponse, datetime]:
        while True:
            try:
                return self.send(request)
            except WaitRequired as required:
                seconds = required.until.timestamp() - self.limiter.now()
                if seconds > LONGEST_WAIT_IN_SEARCH:
                    raise
                self.limiter.wait(max(0.0, seconds))


def _has_data(request: Request, body: Mapping[str, Any]) -> bool:
    """Return whether a body with errors has data too."""
    groupings = request.query.requested_groupings()
    return any(key in groupings or key.startswith(catalogue.UNSUPPORTED_PREFIX) for key in body)
