"""An Airflow connection -> a client of the Engagement API."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_engagement import __version__
from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.auth import Credentials
from airflow_provider_engagement.api.catalogue import Auth, Endpoint
from airflow_provider_engagement.api.client import Address, EngagementClient
from airflow_provider_engagement.api.limiter import Limiter
from airflow_provider_engagement.api.planner import Estimate, estimate, plan
from airflow_provider_engagement.api.query import (
    Granularity,
    Query,
    auth_for,
    parse_auth,
    parse_groupings,
    parse_metrics,
    parse_tweet_ids,
)
from airflow_provider_engagement.api.rate_limit import RateLimit, RateLimitSnapshot
from airflow_provider_engagement.api.response import ParsedResponse
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.exceptions import (
    EngagementError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    PeriodCapError,
    RateLimitedError,
    WaitRequired,
    airflow_failures,
)

log = logging.getLogger(__name__)

SECRETS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret", "bearer_token")
SETTINGS = ("token_url", "requests_per_minute", "quota_share", "connect_timeout", "read_timeout")

A_PUBLIC_TWEET = "20"
"""The oldest Tweet that can still be read; asked for when a connection is tested."""


class EngagementHook(BaseHook):
    """Makes a connection of type ``engagement`` into a client, and answers small questions directly.

    .. seealso:: ``docs/connection.md``

    :param engagement_conn_id: the connection to use.
    """

    conn_name_attr = "engagement_conn_id"
    default_conn_name = "engagement_default"
    conn_type = "engagement"
    hook_name = "Tweet Engagement"

    def __init__(self, engagement_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.engagement_conn_id = engagement_conn_id

    @cached_property
    def _settings(self) -> tuple[Credentials, Address, int | None, float]:
        """The connection's secrets, addresses, own ceiling in requests per minute and share of the contract."""
        connection = self.get_connection(self.engagement_conn_id)
        extra: Mapping[str, Any] = connection.extra_dejson
        unknown = sorted(set(extra).difference(SECRETS, SETTINGS))
        if unknown:
            log.debug("Connection %s: unknown extras are ignored: %s.", self.engagement_conn_id, ", ".join(unknown))
        secrets = {name: str(extra[name]).strip() for name in SECRETS if extra.get(name)}
        for secret in secrets.values():
            mask_secret(secret)
        try:
            return (
                Credentials(**secrets),
                Address(
                    base_url=_base_url(connection.host, connection.port),
                    token_url=str(extra.get("token_url") or catalogue.DEFAULT_TOKEN_URL),
                    **{
                        name: _positive(name, extra[name])
                        for name in ("connect_timeout", "read_timeout")
                        if extra.get(name) not in (None, "")
                    },
                ),
                _ceiling(extra.get("requests_per_minute")),
                _share(extra.get("quota_share")),
            )
        except InvalidConnectionError as error:
            raise InvalidConnectionError(f"Connection {self.engagement_conn_id}: {error}") from None

    @property
    def credentials(self) -> Credentials:
        """The connection's secrets.

        :raises InvalidConnectionError: if they are missing or do not belong together.
        """
        return self._settings[0]

    @property
    def identity(self) -> str:
        """A text that differs between addresses, apps and users, and that no secret can be read from."""
        return f"{self._settings[1].base_url} {self.credentials.identity}"

    @property
    def contract(self) -> str:
        """A text that differs between addresses and apps, which the rate limit belongs to; no secret stands in it."""
        credentials = self.credentials
        app = hashlib.sha256((credentials.consumer_key or credentials.bearer_token or "").encode()).hexdigest()
        return f"{self._settings[1].base_url} {app}"

    @property
    def requests_per_minute(self) -> int | None:
        """The connection's own ceiling, if it sets one."""
        return self._settings[2]

    def get_conn(
        self,
        *,
        max_inline_wait: float | None = None,
        max_wait: float = 3600.0,
        attempts: int = 6,
        drop_forbidden: bool = False,
        connections: int = 8,
        known: RateLimitSnapshot | None = None,
    ) -> EngagementClient:
        """Return a client.

        :param max_inline_wait: longest wait for the rate limit in seconds that is slept through in place; ``None`` for any.
        :param max_wait: seconds after which a request that is still refused for its rate fails.
        :param attempts: how often a request is sent that fails for reasons that may pass.
        :param drop_forbidden: whether other authors' Tweets are left out and the request repeated without them.
        :param connections: how many connections to keep open.
        :param known: what an earlier client learnt of the budget.
        """
        credentials, address, ceiling, share = self._settings
        budget = (
            RateLimit(requests_per_minute=ceiling, share=share)
            if known is None
            else RateLimit.resume(known, now=time.time(), requests_per_minute=ceiling, share=share)
        )
        return EngagementClient(
            credentials,
            address=address,
            pace=Limiter(budget, max_inline_wait=max_inline_wait),
            attempts=attempts,
            max_wait=max_wait,
            drop_forbidden=drop_forbidden,
            connections=connections,
            user_agent=f"airflow-provider-engagement/{__version__}",
        )

    def auth_for(self, endpoint: Endpoint, metrics: object) -> Auth:
        """Choose as whom to ask for metrics, from what the connection holds."""
        names = None if metrics is None else parse_metrics(metrics, endpoint=endpoint, auth=Auth.USER)
        return auth_for(endpoint, names, has_user=self.credentials.has_user, has_app=self.credentials.has_app)

    def query(
        self,
        endpoint: Endpoint,
        tweet_ids: object,
        *,
        metrics: object = None,
        auth: Auth | str | None = None,
        granularities: tuple[Granularity, ...] = (Granularity.TOTAL,),
        groupings: Mapping[str, Any] | str | None = None,
        window: TimeRange | None = None,
    ) -> Query:
        """Return a checked query, with whatever is not given chosen from what the connection holds.

        :param endpoint: which endpoint is asked.
        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all that can be had.
        :param auth: ``user`` or ``app``; by default ``app`` for public metrics and ``user`` for others.
        :param granularities: the rollups wanted as rows.
        :param groupings: groupings wanted in the API's own nesting; given alone they take the place of the rows.
        :param window: the span wanted, on ``historical``.
        :raises InvalidQueryError: if the API would refuse it.
        """
        chosen = parse_auth(auth) or self.auth_for(endpoint, metrics)
        return Query(
            endpoint=endpoint,
            auth=chosen,
            tweet_ids=parse_tweet_ids(tweet_ids),
            metrics=parse_metrics(metrics, endpoint=endpoint, auth=chosen),
            granularities=granularities,
            groupings=parse_groupings(groupings),
            window=window,
        )

    def answers(self, query: Query) -> Iterator[ParsedResponse]:
        """Ask what a query wants, one answer for each request, waiting in place for the rate limit.

        :param query: as :meth:`query` returns it.
        """
        with airflow_failures():
            client = self.get_conn()
            try:
                for request in plan(query):
                    yield client.fetch(request).answer
            finally:
                client.close()

    def totals(
        self, tweet_ids: object, *, metrics: object = None, auth: Auth | str | None = None
    ) -> Iterator[ParsedResponse]:
        """Ask for current totals, one answer for every 250 Tweets.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all that can be had.
        :param auth: ``user`` or ``app``; by default chosen from the metrics.
        """
        with airflow_failures():
            query = self.query(Endpoint.TOTALS, tweet_ids, metrics=metrics, auth=auth)
        return self.answers(query)

    def last_28_hours(self, tweet_ids: object, *, metrics: object = None) -> Iterator[ParsedResponse]:
        """Ask for the last 28 hours by the hour, one answer for every 25 Tweets.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param metrics: metric names; ``None`` for all that can be had.
        """
        with airflow_failures():
            query = self.query(
                Endpoint.LAST_28_HOURS,
                tweet_ids,
                metrics=metrics,
                auth=Auth.USER,
                granularities=(Granularity.HOUR,),
            )
        return self.answers(query)

    def historical(
        self, tweet_ids: object, *, start: datetime, end: datetime, metrics: object = None
    ) -> Iterator[ParsedResponse]:
        """Ask for a span of any length by the hour, one answer for every 25 Tweets and 28 days.

        :param tweet_ids: Tweet ids: a list, or a string of them.
        :param start: first hour, aware.
        :param end: first hour after it, aware.
        :param metrics: metric names; ``None`` for all that can be had.
        """
        with airflow_failures():
            query = self.query(
                Endpoint.HISTORICAL,
                tweet_ids,
                metrics=metrics,
                auth=Auth.USER,
                granularities=(Granularity.HOUR,),
                window=TimeRange(start, end),
            )
        return self.answers(query)

    def estimate(self, query: Query, *, requests_per_minute: float | None = None) -> Estimate:
        """Return what a pull would cost, without sending anything; for notebooks and for tasks that decide.

        :param query: what would be pulled, as :meth:`query` returns it.
        :param requests_per_minute: the contract's rate; by default the connection's own ceiling, if it sets one.
        """
        rate = requests_per_minute or self.requests_per_minute
        return estimate(query, rate, owners=int(query.auth is Auth.USER))

    def read_rate_limit(self) -> RateLimitSnapshot:
        """Ask one cheap thing to learn what is left of the rate limit, which every answer tells, a refusal too.

        :raises EngagementError: if no answer comes, or none that tells anything.
        """
        with airflow_failures():
            client = self.get_conn(attempts=1, max_inline_wait=0.0)
            try:
                client.fetch(plan(self._probe())[0])
            except (WaitRequired, ForbiddenTweetsError):
                # Refused for its rate, or for a Tweet that is not the user's: the headers tell all the same.
                pass
            finally:
                client.close()
            return client.pace.snapshot()

    def _probe(self) -> Query:
        """Return the cheapest query that the connection's credentials allow."""
        app = self.credentials.bearer_token is not None or not self.credentials.has_user
        return self.query(Endpoint.TOTALS, A_PUBLIC_TWEET, metrics="favorites", auth=Auth.APP if app else Auth.USER)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection with at most one cheap request, and say which credential failed."""
        try:
            credentials = self.credentials
            if not credentials.has_user and not credentials.bearer_token:
                self.get_conn(attempts=1).obtain_bearer_token()
                return True, "The app's key and secret are accepted. An author's own Tweets need a user's token too."
            auth = Auth.USER if credentials.has_user else Auth.APP
            what = f"The token of user {credentials.user_id}" if auth is Auth.USER else "The bearer token"
            query = self.query(Endpoint.TOTALS, A_PUBLIC_TWEET, metrics="favorites", auth=auth)
            try:
                self.get_conn(attempts=1, max_inline_wait=0.0, max_wait=0.0).fetch(plan(query)[0])
            except ForbiddenTweetsError:
                # The Tweet is not this user's, which the API can tell only of a user that it knows.
                pass
            except (RateLimitedError, PeriodCapError) as error:
                # The budget is that of an app, so that the API counts only what it has authenticated.
                return True, f"{what} is accepted, though the budget is used up for now. {error}"[:2000]
            except EngagementError as error:
                return False, f"{what} failed. {error}"[:2000]
            return True, f"{what} is accepted."
        except EngagementError as error:
            return False, str(error)[:2000]


def _base_url(host: str | None, port: int | None) -> str:
    url = (host or catalogue.DEFAULT_BASE_URL).strip()
    if "://" not in url:
        url = f"https://{url}"
    return f"{url}:{port}" if port else url


def _positive(name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise InvalidConnectionError(f"{name} is {value!r}, which is no positive number.")
    return number


def _share(value: object) -> float:
    if value in (None, ""):
        return 1.0
    share = _positive("quota_share", value)
    if share > 1:
        raise InvalidConnectionError(f"quota_share is {value!r}, which is more than the whole, 1.")
    return share


def _ceiling(value: object) -> int | None:
    if value in (None, ""):
        return None
    number = _positive("requests_per_minute", value)
    if not number.is_integer():
        raise InvalidConnectionError(f"requests_per_minute is {value!r}, which is no whole number.")
    return int(number)
