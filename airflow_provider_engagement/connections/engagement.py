"""A connection of type ``engagement``: its credentials, the client that sends with them, and its test."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypedDict

from airflow_provider_engagement import __version__
from airflow_provider_engagement.connections.accounts import OWNER, Accounts
from airflow_provider_engagement.connections.airflow_connections import mask
from airflow_provider_engagement.connections.connection_settings import (
    ConnectionSettings,
    read_owner_secrets,
    read_settings,
)
from airflow_provider_engagement.engagement_api.catalogue import ENDPOINTS, Auth, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import Estimate, estimate, plan
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import ParsedResponse
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    InvalidQueryError,
    OwnerTokenError,
    PeriodCapError,
    RateLimitedError,
    WaitRequired,
)
from airflow_provider_engagement.http.credentials import Account, Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit, RateLimitSnapshot
from airflow_provider_engagement.inputs.intervals import check_is_over
from airflow_provider_engagement.inputs.query_fields import choose_auth, parse_groupings, parse_metrics
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids
from airflow_provider_engagement.x_api.catalogue import RATE_WINDOW
from airflow_provider_engagement.x_api.client import XClient, XQuota

OWNER_FIELD = "{owner}"
"""What stands for the owner in ``owner_conn_id``."""

PUBLIC_TWEET = "20"
"""The oldest Tweet that still exists. The connection test requests it."""

MAX_MESSAGE_LENGTH = 2000


class ClientOptions(TypedDict, total=False):
    """The options of :meth:`EngagementConnection.open_client`."""

    max_inline_wait: float | None
    max_wait: float
    attempts: int
    drop_forbidden: bool
    spare_requests: int | None
    max_connections: int
    known_rate_limit: RateLimitSnapshot | None


class EngagementConnection:
    """The API, as a connection reaches it.

    :param conn_id: the id of the connection.
    :param owner_conn_id: the id of each owner's own connection, with ``{owner}`` in place of the owner.
    """

    def __init__(self, conn_id: str, *, owner_conn_id: str | None = None) -> None:
        self._conn_id = conn_id
        self._owner_conn_id = owner_conn_id

    @cached_property
    def _settings(self) -> ConnectionSettings:
        return read_settings(self._conn_id)

    @property
    def credentials(self) -> Credentials:
        """The secrets of the connection.

        :raises InvalidConnectionError: if a secret is missing.
        """
        return self._settings.credentials

    @cached_property
    def accounts(self) -> Accounts:
        """The access tokens of owners.

        :raises InvalidConnectionError: if ``account_tokens`` of the connection or ``owner_conn_id`` is invalid.
        """
        if self._owner_conn_id is not None and OWNER_FIELD not in self._owner_conn_id:
            raise InvalidQueryError(
                "owner_conn_id",
                f"{self._owner_conn_id!r} does not contain {OWNER_FIELD}",
                "Write, for example, 'engagement_{owner}'.",
            )
        look_up = None if self._owner_conn_id is None else self._secrets_of_owner
        return Accounts(self.credentials, self._settings.accounts, look_up=look_up)

    def _secrets_of_owner(self, owner: str) -> Mapping[str, str] | None:
        if not OWNER.fullmatch(owner):
            raise OwnerTokenError(
                repr(owner),
                "the name cannot be part of the id of a connection",
                "Name owners with letters, digits, _, . and -, at most 100 of them.",
            )
        try:
            return read_owner_secrets(str(self._owner_conn_id).replace(OWNER_FIELD, owner))
        except InvalidConnectionError as error:
            raise OwnerTokenError(owner, str(error).rstrip("."), "Correct the connection.") from None

    def identities(self, owners: Iterable[str | None]) -> dict[str | None, str]:
        """Return, for each owner, a text that identifies the address, the app and the user. It contains no secret.

        :param owners: the owners whose access tokens sign; ``None`` for that of the connection.
        """
        return {owner: f"{self.base_url} {self._identity_of(owner)}" for owner in owners}

    def _identity_of(self, owner: str | None) -> str:
        if owner is None:
            return self.credentials.identity
        if not self.accounts.has_token(owner):
            return f"{self.credentials.identity} without a token of {owner}"
        return self.accounts.credentials_of(owner).identity

    @property
    def base_url(self) -> str:
        """The base URL of the API."""
        return self._settings.address.base_url

    @property
    def quota_key(self) -> str:
        """Identifies the address and the app, which share a quota. It contains no secret."""
        credentials = self.credentials
        app = hashlib.sha256((credentials.api_key or credentials.bearer_token or "").encode()).hexdigest()
        return f"{self._settings.address.base_url} {app}"

    @property
    def requests_per_minute(self) -> int | None:
        """The connection's own limit of requests per minute, if it sets one."""
        return self._settings.requests_per_minute

    def open_client(
        self,
        *,
        max_inline_wait: float | None = None,
        max_wait: float = 3600.0,
        attempts: int = 6,
        drop_forbidden: bool = False,
        spare_requests: int | None = None,
        max_connections: int = 8,
        known_rate_limit: RateLimitSnapshot | None = None,
    ) -> EngagementClient:
        """Return a client. Use it as a context manager, so that its connections are closed.

        :param max_inline_wait: the longest wait for the rate limit, in seconds, that the client sleeps through;
            ``None`` for any. For a longer wait it raises ``WaitRequired``.
        :param max_wait: seconds after which a request that is still rate-limited fails.
        :param attempts: how often a request is sent before a transient error is raised.
        :param drop_forbidden: whether to leave out Tweets of other users and repeat the request.
        :param spare_requests: how many requests can be sent to find unavailable Tweets that the API does not name;
            ``None`` for as many as it takes.
        :param max_connections: how many connections to keep open.
        :param known_rate_limit: what an earlier client knew of the rate limit.
        """

        def mask_obtained(bearer_token: str) -> None:
            mask([bearer_token])

        settings = self._settings
        limits: Any = {"requests_per_minute": settings.requests_per_minute, "quota_share": settings.quota_share}
        if known_rate_limit is None:
            rate_limit = RateLimit(**limits)
        else:
            rate_limit = RateLimit.resume(known_rate_limit, now=time.time(), **limits)
        return EngagementClient(
            settings.credentials,
            of_owner=self.accounts.credentials_of,
            address=settings.address,
            limiter=Limiter(rate_limit, max_inline_wait=max_inline_wait),
            attempts=attempts,
            max_wait=max_wait,
            drop_forbidden=drop_forbidden,
            spare_requests=spare_requests,
            max_connections=max_connections,
            user_agent=f"airflow-provider-engagement/{__version__}",
            on_obtained=mask_obtained,
        )

    @property
    def x_base_url(self) -> str:
        """The base URL of X API v2."""
        return self._settings.x_address.base_url

    def x_identity_of(self, account: Account) -> str:
        """Return a text that identifies the address of X API v2 and the credentials of an account. It has no secret."""
        return f"{self.x_base_url} {self._identity_of(account[1])}"

    def open_x_client(
        self,
        *,
        max_inline_wait: float | None = None,
        max_wait: float = 3600.0,
        attempts: int = 6,
        max_connections: int = 8,
    ) -> XClient:
        """Return a client of X API v2, with the same app, keys and tokens. Use it as a context manager.

        :param max_inline_wait: the longest wait for a window of 15 minutes, in seconds, that the client sleeps through;
            ``None`` for any. For a longer wait it raises ``WaitRequired``.
        :param max_wait: seconds after which a request that is still rate-limited fails.
        :param attempts: how often a request is sent before a transient error is raised.
        :param max_connections: how many connections to keep open.
        """

        def mask_obtained(bearer_token: str) -> None:
            mask([bearer_token])

        def create_limiter(quota: XQuota) -> Limiter:
            rate_limit = RateLimit(quota_share=settings.quota_share, window_seconds=RATE_WINDOW.total_seconds())
            return Limiter(rate_limit, max_inline_wait=max_inline_wait)

        settings = self._settings
        return XClient(
            settings.credentials,
            of_owner=self.accounts.credentials_of,
            address=settings.x_address,
            create_limiter=create_limiter,
            attempts=attempts,
            max_wait=max_wait,
            max_connections=max_connections,
            user_agent=f"airflow-provider-engagement/{__version__}",
            on_obtained=mask_obtained,
        )

    def query(
        self,
        endpoint: Endpoint,
        tweet_ids: object,
        *,
        metrics: object = None,
        auth: Auth | str | None = None,
        groupings: Mapping[str, Any] | str | None = None,
        interval: TimeRange | None = None,
    ) -> Query:
        """Return a validated query. What you do not set is chosen by what the connection holds.

        :param endpoint: the endpoint.
        :param tweet_ids: Tweet ids: parsed, or in any form that can be parsed.
        :param metrics: metric names; ``None`` for all that the credentials can read.
        :param auth: ``user`` or ``app``; by default ``app`` for public metrics and ``user`` for others.
        :param groupings: groupings in the API's own nesting, beside the rows.
        :param interval: the time range, which must be over; only for ``historical``.
        :raises InvalidQueryError: if the API would reject the query.
        :raises InvalidConnectionError: if the connection has no credentials that read these metrics.
        """
        if interval is not None:
            check_is_over(interval.end, now=datetime.now(UTC))
        names = None if metrics is None else parse_metrics(metrics, endpoint=endpoint, auth=Auth.USER)
        chosen = choose_auth(
            auth,
            endpoint=endpoint,
            metrics=names,
            has_user=self.credentials.has_user or not self.accounts.is_empty,
            has_app=self.credentials.has_app,
        )
        self._check_credentials(endpoint, chosen, names)
        return Query(
            endpoint=endpoint,
            auth=chosen,
            tweet_ids=parse_tweet_ids(tweet_ids),
            metrics=parse_metrics(None, endpoint=endpoint, auth=chosen) if names is None else names,
            groupings=parse_groupings(groupings),
            interval=interval,
        )

    def _check_credentials(self, endpoint: Endpoint, auth: Auth, metrics: Sequence[str] | None) -> None:
        """Refuse a query for which the connection has no credentials."""
        if auth is Auth.APP and not self.credentials.has_app:
            problem, remedy = "a bearer token, or api_key and api_key_secret", "Set them."
        elif auth is Auth.USER and not self.credentials.has_user and self.accounts.is_empty:
            problem = "the access token of the user who posted the Tweets"
            remedy = "Set api_key, api_key_secret, access_token and access_token_secret."
            if Auth.APP in ENDPOINTS[endpoint].auths and self.credentials.has_app:
                remedy += f" With app credentials, only {', '.join(metrics_of(endpoint, Auth.APP))} can be read."
        else:
            return
        private = [name for name in metrics or () if name not in metrics_of(endpoint, Auth.APP)]
        subject = f"{', '.join(private)} of {endpoint}" if private else f"the endpoint {endpoint} with auth {auth}"
        raise InvalidConnectionError(
            f"Connection {self._conn_id}: {subject} needs {problem}, which the connection does not have. {remedy}"
        )

    def responses(self, query: Query) -> Iterator[ParsedResponse]:
        """Send the requests of a query, and wait in place for the rate limit."""
        with self.open_client() as client:
            for request in plan(query):
                yield client.fetch(request).response

    def estimate(self, query: Query, *, requests_per_minute: float | None = None) -> Estimate:
        """Return what a pull costs, without sending a request."""
        return estimate([query], plan(query), requests_per_minute=requests_per_minute or self.requests_per_minute)

    def read_rate_limit(self) -> RateLimitSnapshot:
        """Send one small request, and return what its response says about the rate limit.

        :raises EngagementError: if there is no response, or none with a rate limit.
        """
        with self.open_client(attempts=1, max_inline_wait=0.0) as client:
            app = self.credentials.bearer_token is not None or not self.credentials.has_user
            # A rate-limited response has the headers too, and so has one about a Tweet of another user.
            with suppress(WaitRequired, ForbiddenTweetsError):
                self._fetch_public_tweet(client, app=app)
            return client.limiter.snapshot()

    def test(self) -> tuple[bool, str]:
        """Test the connection with at most one small request, and say which credentials failed."""
        try:
            credentials = self.credentials
            with self.open_client(attempts=1, max_inline_wait=0.0, max_wait=0.0) as client:
                if not credentials.has_user and not credentials.bearer_token:
                    client.obtain_bearer_token()
                    return True, (
                        "The API accepts the API key and its secret. To read private metrics, add the access token "
                        "of the user who posted the Tweets."
                    )
                subject = (
                    f"The access token of user {credentials.user_id}" if credentials.has_user else "The bearer token"
                )
                try:
                    self._fetch_public_tweet(client, app=not credentials.has_user)
                except ForbiddenTweetsError:
                    # The API checks the owner of a Tweet only after it has accepted the user's token.
                    pass
                except (RateLimitedError, PeriodCapError) as error:
                    # No source says whether the API checks the credentials first, so the message says what was seen.
                    when = (
                        f"after {error.renews_at.isoformat()}" if isinstance(error, PeriodCapError) else "in a minute"
                    )
                    return True, f"{subject} was not rejected, but the quota is used up. Test again {when} to be sure."
                except EngagementError as error:
                    return False, f"{subject} failed. {error}"[:MAX_MESSAGE_LENGTH]
                return True, f"{subject} is valid."
        except EngagementError as error:
            return False, str(error)[:MAX_MESSAGE_LENGTH]
        except Exception as error:
            # Airflow would show the text of the error, which can quote a request.
            return False, f"The test failed with {type(error).__name__}. The log of the program that ran it says more."

    def _fetch_public_tweet(self, client: EngagementClient, *, app: bool) -> None:
        auth = Auth.APP if app else Auth.USER
        (request,) = plan(self.query(Endpoint.TOTALS, PUBLIC_TWEET, metrics="favorites", auth=auth))
        client.fetch(request)
