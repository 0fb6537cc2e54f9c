"""What a pull asks for: a query that the API accepts, or an error before a request is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.http.credentials import Account
from airflow_provider_engagement.tweet_id import TweetIds, is_tweet_id

Groupings = Mapping[str, tuple[Dimension, ...]]

TOTAL_ROWS = ("total", (Dimension.TWEET, Dimension.METRIC))
HOURLY_ROWS = ("hour", (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR))


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What a pull asks for, independent of how many requests it takes.

    :param endpoint: the endpoint.
    :param auth: the kind of credentials.
    :param tweet_ids: Tweet ids without duplicates, at least one, with no upper bound.
    :param metrics: metric names of the catalogue without duplicates, at least one.
    :param groupings: groupings in the API's own nesting beside the rows, by name.
    :param interval: the time range of engagement, of any length; only for ``historical``, where it is required.
    :param owner: the id of the owner whose access token signs the requests; ``None`` for app credentials, and for an
        access token that does not say whose it is.
    :param too_old_for: metrics that the query leaves out, because the API no longer has them for Tweets of this age.
    :raises InvalidQueryError: if the API would reject the query.
    """

    endpoint: Endpoint
    auth: Auth
    tweet_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    groupings: Groupings = field(default_factory=dict)
    interval: TimeRange | None = None
    owner: str | None = None
    too_old_for: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_tweet_ids(self.tweet_ids)
        check_metrics(self.metrics, self.endpoint, self.auth)
        check_groupings(self.groupings, self.endpoint)
        if (self.interval is not None) != (self.endpoint is Endpoint.HISTORICAL):
            raise InvalidQueryError(
                "interval",
                f"{self.endpoint} {'requires' if self.interval is None else 'does not accept'} an interval",
                f"Pass an interval with {Endpoint.HISTORICAL} only.",
            )

    @property
    def account(self) -> Account:
        """Whose credentials sign the requests."""
        return self.auth, self.owner

    @property
    def rows_grouping(self) -> str:
        """The name of the grouping that the rows of the dataset come from: ``total`` or ``hour``."""
        return _rows_of(self.endpoint)[0]

    @property
    def groupings_of_hours(self) -> frozenset[str]:
        """The names of the groupings that are derived from the hourly rows.

        A request can hold one grouping of four dimensions. On the endpoints with hourly rows, the rows need it.
        """
        return _groupings_of_hours(self.groupings, self.endpoint)

    def requested_groupings(self) -> dict[str, tuple[Dimension, ...]]:
        """Return the groupings that each request carries, by name."""
        return _requested_groupings(self.groupings, self.endpoint)


def _check_tweet_ids(tweet_ids: Sequence[str]) -> None:
    if not tweet_ids:
        raise InvalidQueryError("tweets", "is empty", "Name at least one Tweet.")
    if isinstance(tweet_ids, TweetIds):
        return
    if not all(map(is_tweet_id, tweet_ids)) or len(set(tweet_ids)) < len(tweet_ids):
        raise InvalidQueryError(
            "tweets", "holds a duplicate or an invalid Tweet id", "Name each Tweet once, by an id of 1 to 20 digits."
        )


def check_metrics(metrics: Sequence[str], endpoint: Endpoint, auth: Auth) -> None:
    """Reject metrics that an endpoint does not have for a kind of credentials.

    :param metrics: the names of the metrics.
    :param endpoint: the endpoint.
    :param auth: the kind of credentials.
    :raises InvalidQueryError: with the first one.
    """
    allowed = catalogue.metrics_of(endpoint, auth)
    if not allowed:
        raise InvalidQueryError(
            "auth",
            f"{endpoint} does not accept app credentials",
            "Use a connection with an access token of the user who posted the Tweets.",
        )
    if not metrics:
        raise InvalidQueryError("metrics", "is empty", f"Choose from {', '.join(allowed)}.")
    if len(set(metrics)) < len(metrics):
        raise InvalidQueryError("metrics", "holds a duplicate", "Name each metric once.")
    for name in metrics:
        if name not in catalogue.METRICS:
            raise InvalidQueryError("metrics", f"{name!r} is not a metric", _closest_metrics(name, allowed))
        if name not in allowed:
            if endpoint not in catalogue.METRICS[name].endpoints:
                raise InvalidQueryError(
                    "metrics", f"{endpoint} does not support {name!r}", f"Choose from {', '.join(allowed)}."
                )
            raise InvalidQueryError(
                "metrics",
                f"{name!r} is not available with app credentials",
                "Use a connection with an access token of the user who posted the Tweets.",
            )


def _closest_metrics(name: str, allowed: Sequence[str]) -> str:
    """Return what to do about a name that is not that of a metric."""
    key = re.sub(r"[\s_-]+", "_", name.strip().lower()).removesuffix("_count").removesuffix("s")
    close = [metric for metric in catalogue.OTHER_NAMES.get(key, ()) if metric in allowed]
    close = close or get_close_matches(name.strip().lower(), allowed, n=1, cutoff=0.75)
    choice = f"Choose from {', '.join(allowed)}."
    return f"Did you mean {' or '.join(close)}? {choice}" if close else choice


def _rows_of(endpoint: Endpoint) -> tuple[str, tuple[Dimension, ...]]:
    return TOTAL_ROWS if endpoint is Endpoint.TOTALS else HOURLY_ROWS


def _groupings_of_hours(groupings: Groupings, endpoint: Endpoint) -> frozenset[str]:
    if endpoint is Endpoint.TOTALS:
        return frozenset()
    return frozenset(name for name, group_by in groupings.items() if len(group_by) == 4)


def _requested_groupings(groupings: Groupings, endpoint: Endpoint) -> dict[str, tuple[Dimension, ...]]:
    name, group_by = _rows_of(endpoint)
    derived = _groupings_of_hours(groupings, endpoint)
    return {name: group_by} | {name: by for name, by in groupings.items() if name not in derived}


def check_groupings(groupings: Groupings, endpoint: Endpoint) -> None:
    """Reject groupings that a request cannot hold beside the rows.

    :param groupings: the groupings by name.
    :param endpoint: the endpoint.
    :raises InvalidQueryError: with the first one.
    """
    rows_name, _ = _rows_of(endpoint)
    if rows_name in groupings:
        raise InvalidQueryError("groupings", f"the name {rows_name!r} is reserved for the rows", "Choose another name.")
    _check_groupings(_requested_groupings(groupings, endpoint), endpoint)
    for name in _groupings_of_hours(groupings, endpoint):
        _check_groupings({name: groupings[name]}, endpoint)


def _check_groupings(groupings: Groupings, endpoint: Endpoint) -> None:
    if len(groupings) > catalogue.MAX_GROUPINGS:
        raise InvalidQueryError(
            "groupings",
            f"{len(groupings)} groupings are too many, the rows included",
            f"Use at most {catalogue.MAX_GROUPINGS - 1} beside the rows.",
        )
    legal = catalogue.ENDPOINTS[endpoint].dimensions
    for name, group_by in groupings.items():
        if not name or name in catalogue.RESERVED_GROUPING_NAMES or name.startswith(catalogue.UNSUPPORTED_PREFIX):
            raise InvalidQueryError("groupings", f"the name {name!r} is reserved", "Choose another name.")
        foreign = [dimension for dimension in group_by if dimension not in legal]
        if foreign:
            raise InvalidQueryError(
                "groupings", f"{name!r}: {endpoint} cannot group by {foreign[0]}", f"Choose from {', '.join(legal)}."
            )
        if len(set(group_by)) != len(group_by):
            raise InvalidQueryError("groupings", f"{name!r} repeats a dimension", "Name each dimension once.")
        if Dimension.METRIC not in group_by:
            raise InvalidQueryError(
                "groupings",
                f"{name!r} lacks {Dimension.METRIC}",
                f"Add {Dimension.METRIC}. Without it, the API sums counts of different metrics.",
            )
        if len(group_by) == 4 and group_by not in catalogue.FOUR_ITEM_ORDERS:
            orders = " or ".join(", ".join(order) for order in catalogue.FOUR_ITEM_ORDERS)
            raise InvalidQueryError("groupings", f"{name!r}: the API rejects this order", f"Use {orders}.")
    if sum(len(group_by) == 4 for group_by in groupings.values()) > 1:
        raise InvalidQueryError("groupings", "more than one grouping has four dimensions", "Use at most one.")
