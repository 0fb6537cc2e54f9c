"""Send one request: sign it, wait for the rate limit, bound its response, and repeat it after transient errors."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Self, TypedDict, TypeVar

import tenacity

from airflow_provider_engagement.exceptions import (
    ApiError,
    EngagementError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PeriodCapError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.deadline import Deadline
from airflow_provider_engagement.http.limits.headers import (
    LONGEST_PERIOD,
    ExceededLimit,
    HeaderNames,
    RateHeaders,
    read_headers,
)
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.response_body import ReceivedResponse, receive
from airflow_provider_engagement.http.sessions import Sessions
from airflow_provider_engagement.http.signatures import OwnerCredentials, Signature, Signer

REQUEST_ID_HEADERS = ("x-request-id", "x-transaction-id", "x-transaction")
READ_TIMEOUTS = 10
"""How many times ``read_timeout`` a request and its response may take in total."""

_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)
_RETRIED = (ServerError, NoResponseError, InvalidResponseError)

Planned = TypeVar("Planned")
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request as it goes over the wire.

    :param endpoint: the name of the endpoint, for errors.
    :param method: ``GET`` or ``POST``.
    :param path: the path below the base URL.
    :param parameters: the parameters of the query, which a signature covers.
    :param body: what to send as JSON; ``None`` for no body.
    :param as_app: whether the app's bearer token authorizes the request; otherwise a user's signature does.
    :param owner: the owner whose access token signs; ``None`` for that of the connection.
    """

    endpoint: str
    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    as_app: bool = False
    owner: str | None = None


class ClientSettings(TypedDict, total=False):
    """The parameters that the clients of all APIs have in common."""

    of_owner: OwnerCredentials | None
    attempts: int
    max_wait: float
    max_connections: int
    user_agent: str
    on_obtained: Callable[[str], None] | None


class ApiClient(ABC, Generic[Planned, Parsed]):
    """Sends the requests of one API. Several threads can use it at once, and it is a context manager.

    A subclass says what to send for a request, how to read the response, and what an error response means.

    :param credentials: the secrets of the connection.
    :param address: where the API is.
    :param limiter: holds requests back.
    :param of_owner: returns the credentials of an owner; by default those of the connection.
    :param attempts: how often a request is sent before a transient error is raised: an error of the server, a broken
        connection or an invalid response. HTTP 429 does not count.
    :param max_wait: seconds after which a request that is still rate-limited fails.
    :param max_connections: how many connections to keep open.
    :param user_agent: the value of the ``User-Agent`` header.
    :param on_obtained: is called with each bearer token that is obtained, so that the caller can keep it out of logs.
    """

    rate_limit_headers: ClassVar[HeaderNames]
    """The headers with which the API states its rate limit."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        address: Address,
        limiter: Limiter,
        of_owner: OwnerCredentials | None = None,
        attempts: int = 6,
        max_wait: float = 3600.0,
        max_connections: int = 8,
        user_agent: str = "airflow-provider-engagement",
        on_obtained: Callable[[str], None] | None = None,
    ) -> None:
        self.credentials = credentials
        self.address = address
        self.limiter = limiter
        self.requests_sent = 0
        self._attempts = attempts
        self._max_wait = max_wait
        self._signer = Signer(
            credentials,
            self._post_for_bearer_token,
            error_messages=self.error_messages,
            of_owner=of_owner,
            on_obtained=on_obtained,
        )
        self._lock = threading.Lock()
        self._sessions = Sessions(max_connections=max_connections, user_agent=user_agent)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.base_url!r}, {self.credentials!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def call(self, request: Planned) -> Call:
        """Return what to send for a request."""

    @abstractmethod
    def parse(self, request: Planned, response: ReceivedResponse) -> Parsed:
        """Return the content of a response with any status but 429.

        :raises ApiError: if it is an error response.
        :raises InvalidResponseError: if it cannot be read. The text of the error may contain secrets.
        """

    @abstractmethod
    def error_messages(self, body: Any) -> Sequence[str]:
        """Return the error messages of a decoded body."""

    def rejects_token(self, response: ReceivedResponse) -> bool:
        """Return whether a response says that a bearer token is not valid, so that another may be."""
        return response.status == 401

    def is_rate_limited(self, response: ReceivedResponse) -> bool:
        """Return whether a response says that the request can be sent when the rate limit resets."""
        return response.status == 429

    def rate_limit_of(self, response: ReceivedResponse, *, received_at: float) -> RateHeaders:
        """Return what a response says about the rate limit.

        :param response: the response.
        :param received_at: when it arrived, in epoch seconds.
        """
        return read_headers(response.headers, self.rate_limit_headers, received_at=received_at)

    def limiter_of(self, request: Planned) -> Limiter:
        """Return what holds a request back. An API whose endpoints have limits of their own has several."""
        return self.limiter

    def send(self, request: Planned) -> tuple[Parsed, datetime]:
        """Send a request until there is a response.

        :return: the parsed response, and when the request was sent.
        :raises OwnerTokenError: if there is no usable access token of the owner.
        :raises ApiError: if the API rejects the request, or fails in every attempt.
        :raises NoResponseError: if there is no response in any attempt.
        :raises InvalidResponseError: if the response is invalid in every attempt.
        :raises ResponseTooLargeError: if the response is larger than the address allows.
        :raises WaitRequired: if the limiter allows the request only later than it sleeps.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_RETRIED),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_BACKOFF,
            sleep=self.limiter_of(request).wait,
            reraise=True,
        )
        return retrying(self._attempt, request)

    def obtain_bearer_token(self) -> str:
        """Return the bearer token that requests with app credentials have."""
        return self._signer.bearer_token()

    def stop(self) -> None:
        """End all waits, and send no further request. Requests in flight end by themselves."""
        self.limiter.stop()

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    def shown(self, messages: Sequence[str]) -> tuple[str, ...]:
        """Return texts of a response, without secrets and fit to be shown."""
        return self._signer.presentable_texts(messages)

    def describe(self, response: ReceivedResponse) -> str:
        """Return a text about the body of a response, for errors."""
        content_type = response.headers.get("Content-Type", "no content type").partition(";")[0]
        return f"a body of {response.size:,} bytes, {self._signer.presentable(content_type)}"

    def request_id(self, response: ReceivedResponse) -> str | None:
        """Return the id that the API gave a request, if any."""
        found = next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
        return found and self._signer.presentable(found)

    def _attempt(self, request: Planned) -> tuple[Parsed, datetime]:
        """Send a request, and repeat it only while it is rate-limited or after its bearer token was renewed."""
        call, limiter = self.call(request), self.limiter_of(request)
        started = limiter.now()
        renewed = False
        while True:
            response = self._send_once(call, limiter)
            headers = self.rate_limit_of(response, received_at=limiter.now())
            if self.is_rate_limited(response):
                exceeded = limiter.rate_limited(headers)
                if exceeded is ExceededLimit.PERIOD or limiter.now() - started > self._max_wait:
                    raise self._rate_limit_error(call, response, headers, exceeded, now=limiter.now())
                continue
            limiter.responded(headers)
            if not renewed and self.rejects_token(response) and self._signer.renew(response.request):
                renewed = True
                continue
            try:
                return self._parse(request, call, response), response.sent_at
            except EngagementError as error:
                # A server can return a secret. Some programs show the variables of a failed function.
                raise error.with_traceback(None) from None

    def _send_once(self, call: Call, limiter: Limiter) -> ReceivedResponse:
        """Send a request as soon as the limiter allows it."""
        signature = self._signer.as_app() if call.as_app else self._signer.as_user(call.owner)
        limiter.acquire()
        with self._lock:
            self.requests_sent += 1
        try:
            return self._exchange(
                call.endpoint,
                call.method,
                self.address.base_url,
                f"{self.address.base_url}{call.path}",
                params=call.parameters,
                json=call.body,
                auth=signature,
            )
        except BaseException:
            limiter.failed()
            raise

    def _parse(self, request: Planned, call: Call, response: ReceivedResponse) -> Parsed:
        try:
            return self.parse(request, response)
        except InvalidResponseError as error:
            raise InvalidResponseError(f"{call.endpoint}: {self._signer.presentable(str(error))}") from None

    def _post_for_bearer_token(self, signature: Signature) -> ReceivedResponse:
        return self._exchange(
            "oauth2/token",
            "POST",
            self.address.token_url,
            self.address.token_url,
            data={"grant_type": "client_credentials"},
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            auth=signature,
        )

    def _exchange(self, subject: str, method: str, address: str, url: str, **content: Any) -> ReceivedResponse:
        """Send a request once, and receive its response.

        :param subject: the name of the request, for errors.
        :param method: the HTTP method.
        :param address: the address to name in errors.
        :param url: the URL.
        :param content: the parameters, the body and the signature, as ``requests`` accepts them.
        """
        with Deadline(READ_TIMEOUTS * self.address.read_timeout, subject=subject):
            return self._receive(subject, method, address, url, **content)

    def _receive(self, subject: str, method: str, address: str, url: str, **content: Any) -> ReceivedResponse:
        from requests import exceptions
        from urllib3.exceptions import HTTPError

        try:
            # Leaving the block returns the connection to the pool, or closes it if the body was not read completely.
            with self._sessions.open(url).request(
                method,
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

    def _rate_limit_error(
        self, call: Call, response: ReceivedResponse, headers: RateHeaders, exceeded: ExceededLimit, *, now: float
    ) -> ApiError:
        details: dict[str, Any] = {
            "endpoint": call.endpoint,
            "status": response.status,
            "messages": self.shown(self.error_messages(response.body)),
            "request_id": self.request_id(response),
        }
        if exceeded is not ExceededLimit.PERIOD:
            summary = (
                f"The request was rate-limited for over {self._max_wait:.0f} s. Increase max_wait, or try again later."
                if self._max_wait
                else "The quota is used up. Try again later."
            )
            return RateLimitedError(summary, **details)
        # With a long Retry-After, the reset may still be that of the window.
        reset_at = min(max(headers.reset_at or 0.0, now + (headers.retry_after or 0.0)), now + LONGEST_PERIOD)
        renews_at = datetime.fromtimestamp(reset_at, UTC)
        return PeriodCapError(
            f"A limit of the contract is used up. It renews at {renews_at.isoformat()}. Run the task again after that.",
            renews_at=renews_at,
            **details,
        )
