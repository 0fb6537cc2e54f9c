"""Send one request: sign it, wait for the rate limit, repeat it after transient errors, and parse the response."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import tenacity

from airflow_provider_engagement.engagement_api import catalogue
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
from airflow_provider_engagement.exceptions import (
    ApiError,
    EngagementError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PeriodCapError,
    RateLimitedError,
    ServerError,
    WaitRequired,
)
from airflow_provider_engagement.http.address import Address, is_loopback
from airflow_provider_engagement.http.auth import Credentials, OwnerCredentials, Signature, Signer
from airflow_provider_engagement.http.limits.headers import LONGEST_PERIOD, ExceededLimit, read_headers
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.http.redaction import presentable_texts
from airflow_provider_engagement.http.response_body import ReceivedResponse, receive

if TYPE_CHECKING:
    from requests import Session

REQUEST_ID_HEADERS = ("x-request-id", "x-transaction-id", "x-transaction")

LONGEST_WAIT_IN_SEARCH = 90.0
"""How many seconds are slept through while unavailable Tweets are searched, whatever ``max_inline_wait`` is.

A search that waits elsewhere begins anew, so with a small quota it would never end.
"""
READ_TIMEOUTS = 10
"""How many times ``read_timeout`` a request and its response may take in total."""

_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)
_RETRIED = (ServerError, NoResponseError, InvalidResponseError)


class EngagementClient:
    """Sends requests to the Engagement API. Several threads can use it at once, and it is a context manager.

    :param credentials: the secrets of the connection.
    :param of_owner: returns the credentials of an owner; by default those of the connection.
    :param address: where the API is.
    :param limiter: holds requests back; by default as the API's headers require.
    :param attempts: how often a request is sent before a transient error is raised: an error of the server, a broken
        connection or an invalid response. HTTP 429 does not count.
    :param max_wait: seconds after which a request that is still rate-limited fails.
    :param drop_forbidden: whether to leave out Tweets of other users and repeat the request.
    :param spare_requests: how many requests can be sent to find unavailable Tweets that the API does not name; ``None``
        for as many as it takes.
    :param max_connections: how many connections to keep open.
    :param user_agent: the value of the ``User-Agent`` header.
    :param on_obtained: is called with each bearer token that is obtained, so that the caller can keep it out of logs.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        of_owner: OwnerCredentials | None = None,
        address: Address | None = None,
        limiter: Limiter | None = None,
        attempts: int = 6,
        max_wait: float = 3600.0,
        drop_forbidden: bool = False,
        spare_requests: int | None = None,
        max_connections: int = 8,
        user_agent: str = "airflow-provider-engagement",
        on_obtained: Callable[[str], None] | None = None,
    ) -> None:
        self.credentials = credentials
        self.address = address or Address()
        self.limiter = limiter or Limiter(RateLimit())
        self.requests_sent = 0
        self.spare_requests = SpareRequests(spare_requests)
        self._search = UnavailableTweetSearch(self.spare_requests)
        self._attempts = attempts
        self._max_wait = max_wait
        self._drop_forbidden = drop_forbidden
        self._max_connections = max_connections
        self._user_agent = user_agent
        self._signer = Signer(credentials, self._post_for_bearer_token, of_owner, on_obtained)
        self._session_lock = threading.Lock()
        self._sessions: dict[bool, Session] = {}

    def __repr__(self) -> str:
        return f"EngagementClient({self.address.base_url!r}, {self.credentials!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, request: Request) -> FetchedResponse:
        """Send a request until there is a response, and parse it.

        :param request: the request.
        :raises OwnerTokenError: if there is no usable access token of the owner.
        :raises ApiError: if the API rejects the request, or fails in every attempt.
        :raises NoResponseError: if there is no response in any attempt.
        :raises InvalidResponseError: if the response is invalid in every attempt.
        :raises ResponseTooLargeError: if the response is larger than the address allows.
        :raises WaitRequired: if the limiter allows the request only later than it sleeps.
        """
        return fetch_in_rounds(
            request,
            send=self._send_with_retries,
            send_of_search=self._send_without_interruption,
            search=self._search,
            drop_forbidden=self._drop_forbidden,
        )

    def obtain_bearer_token(self) -> str:
        """Return the bearer token that requests with app credentials have."""
        return self._signer.bearer_token()

    def stop(self) -> None:
        """End all waits, and send no further request. Requests in flight end by themselves."""
        self.limiter.stop()

    def close(self) -> None:
        """Close the connections."""
        with self._session_lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _send_with_retries(self, request: Request) -> tuple[ParsedResponse, datetime]:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RETRIED),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_BACKOFF,
            sleep=self.limiter.wait,
            reraise=True,
        )
        return retrying(self._attempt, request)

    def _send_without_interruption(self, request: Request) -> tuple[ParsedResponse, datetime]:
        while True:
            try:
                return self._send_with_retries(request)
            except WaitRequired as required:
                seconds = required.until.timestamp() - self.limiter.now()
                if seconds > LONGEST_WAIT_IN_SEARCH:
                    raise
                self.limiter.wait(max(0.0, seconds))

    def _attempt(self, request: Request) -> tuple[ParsedResponse, datetime]:
        """Send a request, and repeat it only while it is rate-limited or after its bearer token was renewed.

        :return: the response, and when the request was sent.
        """
        started = self.limiter.now()
        renewed = False
        while True:
            response = self._send(request)
            if response.status == 429:
                headers = read_headers(response.headers, received_at=self.limiter.now())
                exceeded = self.limiter.rate_limited(headers)
                if exceeded is ExceededLimit.PERIOD or self.limiter.now() - started > self._max_wait:
                    raise self._rate_limit_error(request, response, exceeded)
                continue
            is_token_rejected = response.status == 401 and not lacks_entitlement(error_messages(response.body))
            if is_token_rejected and not renewed and self._signer.renew(response.request):
                renewed = True
                continue
            try:
                return self._parse(request, response), response.sent_at
            except EngagementError as error:
                # A server can return a secret. Some programs show the variables of a failed function.
                raise error.with_traceback(None) from None

    def _send(self, request: Request) -> ReceivedResponse:
        """Send a request once, as soon as the limiter allows it, and report the result to the limiter."""
        endpoint = request.query.endpoint
        authorize = self._signer(*request.query.account)
        self.limiter.acquire()
        with self._session_lock:
            self.requests_sent += 1
        url = f"{self.address.base_url}{catalogue.ENDPOINTS[endpoint].path}"
        try:
            response = self._post(endpoint, self.address.base_url, url, json=request.body(), auth=authorize)
        except BaseException:
            self.limiter.failed()
            raise
        if response.status != 429:
            self.limiter.responded(read_headers(response.headers, received_at=self.limiter.now()))
        return response

    def _post(self, subject: str, address: str, url: str, **content: Any) -> ReceivedResponse:
        """Send a POST request, and receive its response.

        :param subject: the name of the request, for errors.
        :param address: the address to name in errors.
        :param url: the URL.
        :param content: the body and the authentication, as ``requests`` accepts them.
        """
        from airflow_provider_engagement.http.deadline import Deadline

        with Deadline(READ_TIMEOUTS * self.address.read_timeout, subject=subject):
            return self._receive(subject, address, url, **content)

    def _receive(self, subject: str, address: str, url: str, **content: Any) -> ReceivedResponse:
        from requests import exceptions
        from urllib3.exceptions import HTTPError

        try:
            # Leaving the block returns the connection to the pool, or closes it if the body was not read completely.
            with self._open_session(url).post(
                url,
                timeout=(self.address.connect_timeout, self.address.read_timeout),
                allow_redirects=False,
                stream=True,
                **content,
            ) as response:
                return receive(response, subject=subject, max_megabytes=self.address.max_response_megabytes)
        except exceptions.SSLError as error:
            raise InvalidConnectionError(
                f"{address} has no valid certificate: {self._redacted(error)}. Check the host, and which certificates "
                "the worker trusts."
            ) from None
        except (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError, HTTPError) as error:
            raise NoResponseError(
                f"{subject}: no response from {address}: {self._redacted(error)}. Check the host, the proxy and the "
                "firewall."
            ) from None
        except InvalidResponseError as error:
            raise InvalidResponseError(self._signer.presentable(str(error))) from None
        except (exceptions.RequestException, OSError, ValueError, TypeError, OverflowError) as error:
            # The text of the error is left out, because it can quote a header that contains a secret.
            raise InvalidConnectionError(
                f"{subject}: the request cannot be sent to {address} ({type(error).__name__}). Check the URLs and the "
                "secrets of the connection, and the certificates and proxies that the environment of the worker names."
            ) from None

    def _redacted(self, error: BaseException) -> str:
        """Return the innermost cause as text, without the address and the objects around it."""
        while (inner := getattr(error, "reason", None) or next(iter(error.args), None)) and isinstance(
            inner, Exception
        ):
            error = inner
        return self._signer.presentable(f"{type(error).__name__}: {error}")

    def _parse(self, request: Request, response: ReceivedResponse) -> ParsedResponse:
        try:
            return self._parse_body(request, response)
        except InvalidResponseError as error:
            raise InvalidResponseError(f"{request.query.endpoint}: {self._signer.presentable(str(error))}") from None

    def _parse_body(self, request: Request, response: ReceivedResponse) -> ParsedResponse:
        status, body = response.status, response.body
        if response.json_error and status in (200, 400, 403):
            # With these statuses, only the body says what happened and whether a repetition can succeed.
            raise InvalidResponseError(f"HTTP {status} with invalid JSON: {response.json_error}.")
        messages = error_messages(body)
        if status == 200 and not isinstance(body, dict):
            raise InvalidResponseError(f"HTTP 200 with {self._describe(response)} instead of JSON.")
        if status == 200 and not messages:
            return self._parse_counts(request, body)
        if status not in (200, 400):
            raise self._error_for(request, response)
        # Beside errors, an empty grouping is no data. With 400, only protected Tweets are documented, without a list.
        content = {key: value for key, value in body.items() if value} if isinstance(body, dict) else {}
        unavailable = listed_ids(content, catalogue.UNAVAILABLE_KEY)
        if is_about_every_tweet(request.tweet_ids, unavailable, messages):
            return all_unavailable(request, self._shown(messages))
        if unavailable and request.query.rows_grouping not in content:
            raise UnavailableTweetsError(unavailable, self._error_for(request, response))
        if _has_data(request, content):
            return self._parse_counts(request, content)
        if reports_unavailable_tweets(messages):
            raise UnavailableTweetsError((), self._error_for(request, response))
        raise self._error_for(request, response)

    def _parse_counts(self, request: Request, body: Mapping[str, Any]) -> ParsedResponse:
        parsed = parse_response(request, body)
        return replace(parsed, messages=self._shown(parsed.messages))

    def _error_for(self, request: Request, response: ReceivedResponse) -> ApiError:
        return error_for_response(
            endpoint=request.query.endpoint,
            status=response.status,
            messages=error_messages(response.body) or (f"({self._describe(response)})",),
            host=self.address.base_url,
            request_id=self._request_id(response),
            shown=self._shown,
        )

    def _shown(self, messages: Sequence[str]) -> tuple[str, ...]:
        return presentable_texts(messages, self._signer.secrets)

    def _rate_limit_error(self, request: Request, response: ReceivedResponse, exceeded: ExceededLimit) -> ApiError:
        details: dict[str, Any] = {
            "endpoint": request.query.endpoint,
            "status": response.status,
            "messages": self._shown(error_messages(response.body)),
            "request_id": self._request_id(response),
        }
        if exceeded is not ExceededLimit.PERIOD:
            summary = (
                f"The request was rate-limited for over {self._max_wait:.0f} s. Increase max_wait, or try again later."
                if self._max_wait
                else "The quota is used up. Try again later."
            )
            return RateLimitedError(summary, **details)
        headers = read_headers(response.headers, received_at=self.limiter.now())
        # With a long Retry-After, the reset may still be that of the minute.
        now = self.limiter.now()
        reset_at = min(max(headers.reset_at or 0.0, now + (headers.retry_after or 0.0)), now + LONGEST_PERIOD)
        renews_at = datetime.fromtimestamp(reset_at, UTC)
        return PeriodCapError(
            f"A limit of the contract is used up. It renews at {renews_at.isoformat()}. Run the task again after that.",
            renews_at=renews_at,
            **details,
        )

    def _describe(self, response: ReceivedResponse) -> str:
        content_type = response.headers.get("Content-Type", "no content type").partition(";")[0]
        return f"a body of {response.size:,} bytes, {self._signer.presentable(content_type)}"

    def _request_id(self, response: ReceivedResponse) -> str | None:
        found = next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
        return found and self._signer.presentable(found)

    def _post_for_bearer_token(self, sign: Signature) -> ReceivedResponse:
        return self._post(
            "oauth2/token",
            self.address.token_url,
            self.address.token_url,
            data={"grant_type": "client_credentials"},
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            auth=sign,
        )

    def _open_session(self, url: str) -> Session:
        """Return the session for a URL. A proxy in the environment does not apply to this machine."""
        with self._session_lock:
            uses_environment = not is_loopback(url)
            if uses_environment not in self._sessions:
                import http.cookiejar

                import requests

                from airflow_provider_engagement.http.deadline import DeadlineAdapter

                session = requests.Session()
                adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=self._max_connections, max_retries=0)
                session.trust_env = uses_environment
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                session.headers.update({"User-Agent": self._user_agent, "Accept-Encoding": "gzip"})
                # Threads share the session. Its cookie jar is the only state that responses would change.
                session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
                # Even if redirects are not followed, the library reads the body of a redirect, and without a bound.
                session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
                self._sessions[uses_environment] = session
            return self._sessions[uses_environment]


def _has_data(request: Request, body: Mapping[str, Any]) -> bool:
    """Return whether a body with errors has data too."""
    groupings = request.query.requested_groupings()
    return any(key in groupings or key.startswith(catalogue.UNSUPPORTED_PREFIX) for key in body)
