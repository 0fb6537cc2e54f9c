"""Send one request: sign it, wait for the rate limit, repeat it after transient errors, and parse the response."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import tenacity

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.address import Address, is_loopback
from airflow_provider_engagement.api.auth import Credentials, OwnerCredentials, Signature, Signer
from airflow_provider_engagement.api.error_responses import (
    error_for_response,
    error_messages,
    unavailable_count,
)
from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.rate_headers import LONGEST_PERIOD, ExceededLimit, read_headers
from airflow_provider_engagement.api.rate_limit import RateLimit
from airflow_provider_engagement.api.redaction import presentable_texts
from airflow_provider_engagement.api.response import (
    UNAVAILABLE_MESSAGE,
    Outcome,
    ParsedResponse,
    TweetStatus,
    all_unavailable,
    listed_ids,
    parse_response,
)
from airflow_provider_engagement.api.response_body import ReceivedResponse, receive
from airflow_provider_engagement.exceptions import (
    ApiError,
    EngagementError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PeriodCapError,
    RateLimitedError,
    ServerError,
)

if TYPE_CHECKING:
    from requests import Session

REQUEST_ID_HEADERS = ("x-request-id", "x-transaction-id", "x-transaction")

READ_TIMEOUTS = 10
"""How many times ``read_timeout`` the body of a response may take in total."""

MAX_ROUNDS = 5
"""How often a request is sent, each time without the Tweets that the last error response named."""

_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)
_RETRIED = (ServerError, NoResponseError, InvalidResponseError)


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedResponse:
    """A response, and how it was fetched.

    :param response: the parsed response.
    :param fetched_at: when the request was sent, in UTC.
    :param authors: for each Tweet that was left out because another user posted it, the id of that user, or ``None`` if
        the API did not name the user.
    """

    response: ParsedResponse
    fetched_at: datetime
    authors: dict[str, str | None]


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
        max_connections: int = 8,
        user_agent: str = "airflow-provider-engagement",
        on_obtained: Callable[[str], None] | None = None,
    ) -> None:
        self.credentials = credentials
        self.address = address or Address()
        self.limiter = limiter or Limiter(RateLimit())
        self.requests_sent = 0
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
        removed: dict[str, TweetStatus] = {}
        authors: dict[str, str | None] = {}
        remaining = request
        for _ in range(MAX_ROUNDS):
            try:
                response, fetched_at = self._send_with_retries(remaining)
                break
            except ForbiddenTweetsError as error:
                if not self._drop_forbidden:
                    raise
                named = {tweet_id: author for author, ids in error.tweet_ids_by_author.items() for tweet_id in ids}
                status = TweetStatus(Outcome.FORBIDDEN, request.query.metrics, "posted by another user")
                original: ApiError = error
            except _UnavailableTweetsError as error:
                named = dict.fromkeys(error.tweet_ids)
                status = TweetStatus(Outcome.UNAVAILABLE, request.query.metrics, UNAVAILABLE_MESSAGE)
                original = error.original
            named = {tweet_id: author for tweet_id, author in named.items() if tweet_id in remaining.tweet_ids}
            if not named:
                raise original
            removed |= dict.fromkeys(named, status)
            if status.outcome is Outcome.FORBIDDEN:
                authors |= named
            remaining = replace(remaining, tweet_ids=tuple(one for one in remaining.tweet_ids if one not in named))
            if not remaining.tweet_ids:
                response, fetched_at = parse_response(remaining, {}), datetime.now(UTC)
                break
        else:
            raise original
        statuses = {tweet_id: removed.get(tweet_id) or response.statuses[tweet_id] for tweet_id in request.tweet_ids}
        return FetchedResponse(response=replace(response, statuses=statuses), fetched_at=fetched_at, authors=authors)

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
            if response.status == 401 and not renewed and self._signer.renew(response.request):
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
                return receive(
                    response,
                    subject=subject,
                    max_megabytes=self.address.max_response_megabytes,
                    max_seconds=READ_TIMEOUTS * self.address.read_timeout,
                )
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
        except (exceptions.RequestException, OSError, ValueError, TypeError) as error:
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
        endpoint, status, body = request.query.endpoint, response.status, response.body
        if response.json_error and status in (200, 400, 403):
            # With these statuses, only the body says what happened and whether a repetition can succeed.
            reason = self._signer.presentable(response.json_error)
            raise InvalidResponseError(f"{endpoint}: HTTP {status} with invalid JSON: {reason}.")
        # A short secret could occur in a message by chance. So only what is shown is masked, after it is understood.
        messages = error_messages(body)
        if status == 200:
            if not isinstance(body, dict):
                raise InvalidResponseError(f"{endpoint}: HTTP 200 with {self._describe(response)} instead of JSON.")
            if not messages or _has_data(request, body):
                try:
                    return replace(parse_response(request, body), messages=self._shown(messages))
                except InvalidResponseError as error:
                    raise InvalidResponseError(f"{endpoint}: {self._signer.presentable(str(error))}") from None
        if status in (200, 400) and isinstance(body, dict):
            unavailable = listed_ids(body, catalogue.UNAVAILABLE_KEY)
            if set(request.tweet_ids) <= set(unavailable) or unavailable_count(messages) == len(request.tweet_ids):
                return all_unavailable(request, self._shown(messages))
            if unavailable:
                raise _UnavailableTweetsError(unavailable, self._error_for(request, response, messages))
        raise self._error_for(request, response, messages)

    def _error_for(self, request: Request, response: ReceivedResponse, messages: tuple[str, ...]) -> ApiError:
        return error_for_response(
            endpoint=request.query.endpoint,
            status=response.status,
            messages=messages or (f"({self._describe(response)})",),
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

                session = requests.Session()
                adapter = requests.adapters.HTTPAdapter(
                    pool_connections=2, pool_maxsize=self._max_connections, max_retries=0
                )
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


class _UnavailableTweetsError(Exception):
    """The API rejected a request because some of its Tweets are unavailable, and named them.

    :param tweet_ids: the unavailable Tweets.
    :param original: the error to raise if no other request can be sent.
    """

    def __init__(self, tweet_ids: tuple[str, ...], original: ApiError) -> None:
        super().__init__(str(original))
        self.tweet_ids = tweet_ids
        self.original = original


def _has_data(request: Request, body: dict[str, Any]) -> bool:
    """Return whether a body with errors has data too."""
    groupings = request.query.requested_groupings()
    return any(key in groupings or key.startswith(catalogue.UNSUPPORTED_PREFIX) for key in body)
