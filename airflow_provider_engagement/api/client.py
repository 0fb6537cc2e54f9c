"""One request: sign, send, retry what is worth it, and read what comes back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tenacity

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.auth import Credentials, Signer
from airflow_provider_engagement.api.error_responses import refusal, unavailable_count
from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.rate_headers import ExceededLimit, read_headers
from airflow_provider_engagement.api.rate_limit import RateLimit
from airflow_provider_engagement.api.response import (
    Outcome,
    ParsedResponse,
    TweetStatus,
    all_unavailable,
    error_messages,
    listed_ids,
    parse_response,
)
from airflow_provider_engagement.exceptions import (
    ApiError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    PeriodCapError,
    RateLimitedError,
    ServerError,
)

if TYPE_CHECKING:
    from requests import Response, Session

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
REQUEST_ID_HEADERS = ("x-request-id", "x-transaction-id", "x-transaction")
ROUNDS_OF_REMOVAL = 5

_BACKOFF = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)
_WORTH_RETRYING = (ServerError, NoResponseError, InvalidResponseError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where the API is and how long to wait for it.

    :param base_url: scheme and host, ``https`` except on loopback.
    :param token_url: where a bearer token is obtained, likewise.
    :param connect_timeout: seconds until a connection must stand.
    :param read_timeout: seconds until the next bytes must come.
    """

    base_url: str = catalogue.DEFAULT_BASE_URL
    token_url: str = catalogue.DEFAULT_TOKEN_URL
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))
        for name in ("base_url", "token_url"):
            _check_url(name, getattr(self, name))
        for name in ("connect_timeout", "read_timeout"):
            if not getattr(self, name) > 0:
                raise InvalidConnectionError(f"{name} must be a positive number of seconds.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """An answer and what it took.

    :param answer: what came back.
    :param fetched_at: when the API was asked, in UTC.
    :param authors: for Tweets left out because another wrote them, that author's id where the API named it.
    """

    answer: ParsedResponse
    fetched_at: datetime
    authors: dict[str, str | None]


class EngagementClient:
    """Sends planned requests to the Engagement API. Its methods may be called by several threads at once.

    :param credentials: the secrets to sign with.
    :param address: where the API is.
    :param pace: holds requests back; by default until the API's own headers let them go.
    :param attempts: how often a request is sent that fails for reasons that may pass: errors of the server, broken
        connections, unreadable answers. Refusals for the rate do not count.
    :param max_wait: seconds after which a request that is still refused for its rate fails.
    :param drop_forbidden: whether Tweets that other authors wrote are left out and the request repeated without them.
    :param connections: how many connections to keep open.
    :param user_agent: how to introduce oneself.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        address: Address | None = None,
        pace: Limiter | None = None,
        attempts: int = 6,
        max_wait: float = 3600.0,
        drop_forbidden: bool = False,
        connections: int = 8,
        user_agent: str = "airflow-provider-engagement",
    ) -> None:
        self.credentials = credentials
        self.address = address or Address()
        self.pace = pace or Limiter(RateLimit())
        self.requests_sent = 0
        self._attempts = attempts
        self._max_wait = max_wait
        self._drop_forbidden = drop_forbidden
        self._connections = connections
        self._user_agent = user_agent
        self._signer = Signer(credentials, self._obtain_bearer_token)
        self._session_lock = threading.Lock()
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"EngagementClient({self.address.base_url!r}, {self.credentials!r})"

    def fetch(self, request: Request) -> Fetched:
        """Send a request until it is answered, and read the answer.

        :param request: what to ask.
        :raises ApiError: if the API refuses it, or fails as often as it is tried.
        :raises NoResponseError: if no answer comes as often as it is tried.
        :raises InvalidResponseError: if the answer makes no sense as often as it is tried.
        :raises WaitRequired: if it may go only later than the pace waits in place.
        """
        left_out: dict[str, TweetStatus] = {}
        authors: dict[str, str | None] = {}
        remaining = request
        for _ in range(ROUNDS_OF_REMOVAL):
            try:
                answer, fetched_at = self._retried(remaining)
                break
            except ForbiddenTweetsError as error:
                if not self._drop_forbidden:
                    raise
                removed = {tweet_id: author for author, ids in error.tweet_ids_by_author.items() for tweet_id in ids}
                last_error: ApiError = error
                status = TweetStatus(Outcome.FORBIDDEN, request.query.metrics, "written by another author")
            except _SomeUnavailableError as error:
                removed = dict.fromkeys(error.tweet_ids)
                last_error = error.refusal
                status = TweetStatus(Outcome.UNAVAILABLE, request.query.metrics, "deleted, or not public any more")
            removed = {tweet_id: author for tweet_id, author in removed.items() if tweet_id in remaining.tweet_ids}
            if not removed:
                raise last_error
            left_out |= dict.fromkeys(removed, status)
            authors |= {tweet_id: author for tweet_id, author in removed.items() if status.outcome is Outcome.FORBIDDEN}
            remaining = replace(remaining, tweet_ids=tuple(one for one in remaining.tweet_ids if one not in removed))
            if not remaining.tweet_ids:
                answer, fetched_at = parse_response(remaining, {}), datetime.now(UTC)
                break
        else:
            raise last_error
        statuses = {tweet_id: left_out.get(tweet_id) or answer.statuses[tweet_id] for tweet_id in request.tweet_ids}
        return Fetched(answer=replace(answer, statuses=statuses), fetched_at=fetched_at, authors=authors)

    def _retried(self, request: Request) -> tuple[ParsedResponse, datetime]:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_WORTH_RETRYING),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=_BACKOFF,
            sleep=self.pace.wait,
            reraise=True,
        )
        return retrying(self._attempt, request)

    def _attempt(self, request: Request) -> tuple[ParsedResponse, datetime]:
        """Send a request once, and again for as long as only its rate or an outdated bearer token is refused.

        :return: the answer, and when it was asked for.
        """
        started = self.pace.now()
        renewed = False
        while True:
            response = self._send(request)
            if response.status_code == 429:
                headers = read_headers(response.headers, received_at=self.pace.now())
                kind = self.pace.refused(headers)
                if kind is ExceededLimit.PERIOD or self.pace.now() - started > self._max_wait:
                    raise self._rate_error(request, response, kind)
                continue
            if response.status_code == 401 and not renewed and self._signer.renew(response.request):
                renewed = True
                continue
            return self._read(request, response), datetime.now(UTC) - response.elapsed

    def _send(self, request: Request) -> Response:
        """Send a request once, in its turn, and tell the pace what came of it."""
        import requests

        rule = catalogue.ENDPOINTS[request.query.endpoint]
        authorize = self._signer(request.query.auth)
        self.pace.enter()
        answered = False
        try:
            with self._session_lock:
                self.requests_sent += 1
            response = self._open_session().post(
                f"{self.address.base_url}{rule.path}",
                json=request.body(),
                auth=authorize,
                timeout=(self.address.connect_timeout, self.address.read_timeout),
                allow_redirects=False,
            )
            answered = True
        except requests.exceptions.SSLError as error:
            raise self._bad_certificate(self.address.base_url, error) from None
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise NoResponseError(
                f"{request.query.endpoint}: no answer from {self.address.base_url}: "
                f"{self._signer.redact(_reason(error))}"
            ) from None
        except requests.exceptions.ContentDecodingError:
            raise InvalidResponseError(f"{request.query.endpoint}: the answer's compression is broken.") from None
        finally:
            if not answered:
                self.pace.failed()
        if response.status_code != 429:
            self.pace.answered(read_headers(response.headers, received_at=self.pace.now()))
        return response

    def _read(self, request: Request, response: Response) -> ParsedResponse:
        endpoint = request.query.endpoint
        body = _decoded(response)
        messages = tuple(map(self._signer.redact, error_messages(body)))
        if response.status_code == 200:
            if not isinstance(body, dict):
                raise InvalidResponseError(f"{endpoint}: HTTP 200 with {self._described(response)} instead of JSON.")
            if not messages or _holds_data(request, body):
                try:
                    return replace(parse_response(request, body), messages=messages)
                except InvalidResponseError as error:
                    raise InvalidResponseError(f"{endpoint}: {self._signer.redact(str(error))}") from None
        if response.status_code in (200, 400) and isinstance(body, dict):
            unavailable = listed_ids(body, catalogue.UNAVAILABLE_KEY)
            asked = len(request.tweet_ids)
            if set(request.tweet_ids) <= set(unavailable) or unavailable_count(messages) == asked:
                return all_unavailable(request, messages)
            if unavailable:
                raise _SomeUnavailableError(unavailable, self._refusal(request, response, messages))
        if body is None and response.status_code in (400, 403) and response.content.lstrip()[:1] in (b"{", b"["):
            # What it says decides whether a repetition is worth it, so it is asked for once more.
            raise InvalidResponseError(f"{endpoint}: HTTP {response.status_code} with JSON that breaks off.")
        raise self._refusal(request, response, messages)

    def _refusal(self, request: Request, response: Response, messages: tuple[str, ...]) -> ApiError:
        if not messages:
            messages = (f"({self._described(response)})",)
        return refusal(
            endpoint=request.query.endpoint,
            status=response.status_code,
            body=list(messages),
            host=self.address.base_url,
            request_id=self._request_id(response),
        )

    def _rate_error(self, request: Request, response: Response, kind: ExceededLimit) -> ApiError:
        messages = tuple(map(self._signer.redact, error_messages(_decoded(response))))
        told: dict[str, Any] = {
            "endpoint": request.query.endpoint,
            "status": response.status_code,
            "messages": messages,
            "request_id": self._request_id(response),
        }
        if kind is ExceededLimit.PERIOD:
            headers = read_headers(response.headers, received_at=self.pace.now())
            renews_at = headers.reset_at or (headers.retry_after and self.pace.now() + headers.retry_after)
            moment = datetime.fromtimestamp(renews_at, UTC) if renews_at else None
            when = f"It renews at {moment.isoformat()}." if moment else "The API did not say when it renews."
            return PeriodCapError(f"A cap of the contract is used up. {when}", renews_at=moment, **told)
        return RateLimitedError(f"Refused for the rate for more than {self._max_wait:.0f} s.", **told)

    def _described(self, response: Response) -> str:
        kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
        return f"a body of {len(response.content)} bytes, {self._signer.redact(kind)}"

    def _request_id(self, response: Response) -> str | None:
        found = next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
        return found and self._signer.redact(found)

    def obtain_bearer_token(self) -> str:
        """Return the bearer token that requests as the app are sent with."""
        return self._signer.bearer_token()

    def _obtain_bearer_token(self, user: str, password: str) -> Response:
        import requests

        try:
            return self._open_session().post(
                self.address.token_url,
                data={"grant_type": "client_credentials"},
                headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
                auth=(user, password),
                timeout=(self.address.connect_timeout, self.address.read_timeout),
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise self._bad_certificate(self.address.token_url, error) from None
        except requests.exceptions.RequestException as error:
            raise NoResponseError(
                f"No bearer token: no answer from {self.address.token_url}: {self._signer.redact(_reason(error))}"
            ) from None

    def _bad_certificate(self, url: str, error: Exception) -> InvalidConnectionError:
        return InvalidConnectionError(f"{url} offers no valid certificate: {self._signer.redact(str(error))}")

    def _open_session(self) -> Session:
        with self._session_lock:
            if self._session is None:
                import http.cookiejar

                import requests

                session = requests.Session()
                adapter = requests.adapters.HTTPAdapter(
                    pool_connections=2, pool_maxsize=self._connections, max_retries=0
                )
                # What is on this machine is not behind a proxy, whatever the environment says of the rest.
                session.trust_env = urlsplit(self.address.base_url).hostname not in LOOPBACK_HOSTS
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                session.headers.update({"User-Agent": self._user_agent, "Accept-Encoding": "gzip"})
                # Threads share the session, whose cookie jar is its only state that answers would change.
                session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
                self._session = session
            return self._session

    def stop(self) -> None:
        """Wake all threads that wait, and let no further request go; those under way end by themselves."""
        self.pace.stop()

    def close(self) -> None:
        """Close the connections."""
        with self._session_lock:
            if self._session is not None:
                self._session.close()
                self._session = None


class _SomeUnavailableError(Exception):
    """A request was refused because some of its Tweets are unavailable, and the answer names them."""

    def __init__(self, tweet_ids: tuple[str, ...], refusal: ApiError) -> None:
        super().__init__(str(refusal))
        self.tweet_ids = tweet_ids
        self.refusal = refusal


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidConnectionError(f"{name} is no address: its host or its port cannot be read.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query or parts.fragment:
        raise InvalidConnectionError(f"{name} must be an address such as {catalogue.DEFAULT_BASE_URL}.")
    if parts.username or parts.password:
        raise InvalidConnectionError(f"{name} must not hold a user name or password.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise InvalidConnectionError(f"{name} must use https: only an address on loopback may do without.")


def _holds_data(request: Request, body: dict[str, Any]) -> bool:
    """Tell whether an answer with errors holds more than these."""
    groupings = request.query.all_groupings()
    return any(key in groupings or key.startswith(catalogue.UNSUPPORTED_PREFIX) for key in body)


def _decoded(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _reason(error: BaseException) -> str:
    """Return the innermost cause in words, without the address and the objects that wrap it."""
    while (inner := getattr(error, "reason", None) or next(iter(error.args), None)) and isinstance(inner, Exception):
        error = inner
    return f"{type(error).__name__}: {error}"
