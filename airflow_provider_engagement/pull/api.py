"""What a pull needs of a connection: credentials to plan with, and a client that sends with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.tweet_id import TweetIds


class OwnerTokens(Protocol):
    """The access tokens of owners."""

    @property
    def is_empty(self) -> bool:
        """Whether there are no owners except the user of the connection."""

    def resolve(self, owner: str) -> str:
        """Return the user id of an owner, or the owner as it is if no token says the id."""

    def has_token(self, owner: str) -> bool:
        """Return whether there is a usable access token of an owner."""


class Api(Protocol):
    """The API, as a connection reaches it."""

    @property
    def credentials(self) -> Credentials:
        """The secrets of the connection."""

    @property
    def accounts(self) -> OwnerTokens:
        """The access tokens of owners."""

    @property
    def quota_key(self) -> str:
        """Identifies the address and the app, which share a quota."""

    @property
    def requests_per_minute(self) -> int | None:
        """The connection's own limit of requests per minute, if it sets one."""

    def identities(self, owners: Iterable[str | None]) -> Mapping[str | None, str]:
        """Return, for each owner, a text that identifies the address, the app and the user."""

    def query(
        self,
        endpoint: Endpoint,
        tweet_ids: TweetIds,
        *,
        metrics: object = None,
        auth: Auth | str | None = None,
        groupings: Mapping[str, Any] | str | None = None,
        interval: TimeRange | None = None,
    ) -> Query:
        """Return a validated query."""

    def open_client(
        self,
        *,
        max_inline_wait: float | None = None,
        max_wait: float = ...,
        drop_forbidden: bool = ...,
        spare_requests: int | None = None,
        max_connections: int = ...,
        known_rate_limit: RateLimitSnapshot | None = None,
    ) -> EngagementClient:
        """Return a client."""
