"""The hook: a client of the Engagement API from an Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from airflow.sdk import BaseHook

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.hooks.failures import airflow_failures

if TYPE_CHECKING:
    from airflow_provider_engagement.connections.accounts import Accounts
    from airflow_provider_engagement.connections.engagement import ClientOptions, EngagementConnection
    from airflow_provider_engagement.engagement_api.client import EngagementClient
    from airflow_provider_engagement.engagement_api.planner import Estimate
    from airflow_provider_engagement.engagement_api.query import Query
    from airflow_provider_engagement.engagement_api.response import ParsedResponse
    from airflow_provider_engagement.http.credentials import Credentials
    from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
    from airflow_provider_engagement.x_api.client import XClient


class EngagementHook(BaseHook):
    """Makes a client from a connection of type ``engagement``, and sends small queries directly.

    .. seealso:: ``docs/connection.md``

    :param engagement_conn_id: the connection.
    :param owner_conn_id: the id of each owner's own connection, with ``{owner}`` in place of the owner; ``None`` if the
        owners have no connections of their own.
    """

    conn_name_attr = "engagement_conn_id"
    default_conn_name = "engagement_default"
    conn_type = "engagement"
    hook_name = "Tweet Engagement"

    def __init__(self, engagement_conn_id: str = default_conn_name, *, owner_conn_id: str | None = None) -> None:
        super().__init__()
        self.engagement_conn_id = engagement_conn_id
        self.owner_conn_id = owner_conn_id

    @cached_property
    def connection(self) -> EngagementConnection:
        """What the connection holds, and what is done with it."""
        from airflow_provider_engagement.connections.engagement import EngagementConnection

        return EngagementConnection(self.engagement_conn_id, owner_conn_id=self.owner_conn_id)

    @property
    def credentials(self) -> Credentials:
        """The secrets of the connection.

        :raises InvalidConnectionError: if a secret is missing.
        """
        return self.connection.credentials

    @property
    def accounts(self) -> Accounts:
        """The access tokens of owners.

        :raises InvalidConnectionError: if ``account_tokens`` of the connection or ``owner_conn_id`` is invalid.
        """
        return self.connection.accounts

    def get_conn(self, **options: Unpack[ClientOptions]) -> EngagementClient:
        """Return a client. Use it as a context manager, so that its connections are closed.

        :param options: the options of
            :meth:`~airflow_provider_engagement.connections.engagement.EngagementConnection.open_client`.
        """
        return self.connection.open_client(**options)

    def get_x_conn(self, *, max_inline_wait: float | None = None, attempts: int = 6) -> XClient:
        """Return a client of X API v2, with the same app, keys and tokens. Use it as a context manager.

        :param max_inline_wait: the longest wait for a window of 15 minutes, in seconds, that the client sleeps through;
            ``None`` for any. For a longer wait it raises ``WaitRequired``.
        :param attempts: how often a request is sent before a transient error is raised.
        """
        return self.connection.open_x_client(max_inline_wait=max_inline_wait, attempts=attempts)

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
        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all that the credentials can read.
        :param auth: ``user`` or ``app``; by default ``app`` for public metrics and ``user`` for others.
        :param groupings: groupings in the API's own nesting, beside the rows.
        :param interval: the time range, which must be over; only for ``historical``.
        :raises InvalidQueryError: if the API would reject the query.
        :raises InvalidConnectionError: if the connection has no credentials that read these metrics.
        """
        return self.connection.query(
            endpoint, tweet_ids, metrics=metrics, auth=auth, groupings=groupings, interval=interval
        )

    def responses(self, query: Query) -> Iterator[ParsedResponse]:
        """Send the requests of a query, and wait in place for the rate limit.

        :param query: a query, from :meth:`query`.
        :return: one response for each request.
        """
        with airflow_failures():
            yield from self.connection.responses(query)

    def totals(
        self, tweet_ids: object, *, metrics: object = None, auth: Auth | str | None = None
    ) -> Iterator[ParsedResponse]:
        """Request current totals.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all that the credentials can read.
        :param auth: ``user`` or ``app``; by default chosen by the metrics.
        :return: one response for every 250 Tweets.
        """
        with airflow_failures():
            query = self.query(Endpoint.TOTALS, tweet_ids, metrics=metrics, auth=auth)
        return self.responses(query)

    def last_28_hours(self, tweet_ids: object, *, metrics: object = None) -> Iterator[ParsedResponse]:
        """Request hourly counts of the last 28 hours.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all.
        :return: one response for every 25 Tweets.
        """
        with airflow_failures():
            query = self.query(Endpoint.LAST_28_HOURS, tweet_ids, metrics=metrics)
        return self.responses(query)

    def historical(
        self, tweet_ids: object, *, start: datetime, end: datetime, metrics: object = None
    ) -> Iterator[ParsedResponse]:
        """Request hourly counts of an interval of any length.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param start: first hour, aware.
        :param end: end of the last hour, aware. It cannot be later than the start of the running hour.
        :param metrics: metric names; ``None`` for all.
        :return: one response for every 25 Tweets and 28 days.
        """
        with airflow_failures():
            query = self.query(Endpoint.HISTORICAL, tweet_ids, metrics=metrics, interval=TimeRange(start, end))
        return self.responses(query)

    def estimate(self, query: Query, *, requests_per_minute: float | None = None) -> Estimate:
        """Return what a pull costs, without sending a request.

        :param query: a query, from :meth:`query`.
        :param requests_per_minute: the quota; by default the connection's own limit, if it sets one.
        """
        return self.connection.estimate(query, requests_per_minute=requests_per_minute)

    def read_rate_limit(self) -> RateLimitSnapshot:
        """Send one small request, and return what its response says about the rate limit.

        :raises EngagementError: if there is no response, or none with a rate limit.
        """
        with airflow_failures():
            return self.connection.read_rate_limit()

    def test_connection(self) -> tuple[bool, str]:
        """Test the connection with at most one small request, and say which credentials failed."""
        return self.connection.test()
