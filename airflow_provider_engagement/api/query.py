"""What is wanted: a query that the API would not refuse, or an error before a request is spent."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from airflow_provider_engagement.api import catalogue
from airflow_provider_engagement.api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.api.tweet_id import LONGEST_ID, is_tweet_id
from airflow_provider_engagement.exceptions import InvalidQueryError

log = logging.getLogger(__name__)

Groupings = Mapping[str, tuple[Dimension, ...]]


class Granularity(StrEnum):
    """The time grain of a row of the dataset; also the name of the grouping that asks for it."""

    TOTAL = "total"
    DAY = "day"
    HOUR = "hour"
    HOUR_OF_DAY = "hour_of_day"


GRANULARITY_GROUPINGS: Mapping[Granularity, tuple[Dimension, ...]] = MappingProxyType(
    {
        Granularity.TOTAL: (Dimension.TWEET, Dimension.METRIC),
        Granularity.DAY: (Dimension.TWEET, Dimension.METRIC, Dimension.DAY),
        Granularity.HOUR: (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR),
        Granularity.HOUR_OF_DAY: (Dimension.TWEET, Dimension.METRIC, Dimension.HOUR),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What is wanted of the API, free of how many requests that takes.

    :param endpoint: which endpoint is asked.
    :param auth: as whom.
    :param tweet_ids: distinct Tweet ids, any number, at least one.
    :param metrics: distinct metric names of the catalogue, at least one.
    :param granularities: the rollups wanted as rows of the dataset.
    :param groupings: groupings wanted in the API's own nesting, by a name of the caller's choice.
    :param window: the span of engagement wanted, of any length; ``historical`` only.
    :raises InvalidQueryError: if the API would refuse it.
    """

    endpoint: Endpoint
    auth: Auth
    tweet_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    granularities: tuple[Granularity, ...] = (Granularity.TOTAL,)
    groupings: Groupings = field(default_factory=dict)
    window: TimeRange | None = None

    def __post_init__(self) -> None:
        _check_tweet_ids(self.tweet_ids)
        _check_metrics(self.metrics, self.endpoint, self.auth)
        _check_groupings(self.all_groupings(), self.endpoint)
        for name in self.made_of_hours:
            _check_groupings({name: self.groupings[name]}, self.endpoint)
        if (self.window is not None) != (self.endpoint is Endpoint.HISTORICAL):
            raise InvalidQueryError("window", f"belongs to {Endpoint.HISTORICAL} alone, and is needed there")

    def all_groupings(self) -> dict[str, tuple[Dimension, ...]]:
        """Return every grouping that each request carries, by name.

        A request has room for one grouping of four dimensions. Where counts by the hour are wanted as rows, that is
        theirs, and a grouping of the caller's own with four dimensions is made of them.
        """
        clash = sorted(set(self.groupings).intersection(Granularity))
        if clash:
            raise InvalidQueryError("groupings", f"the name {clash[0]!r} is taken", "Choose another name.")
        asked = {str(grain): GRANULARITY_GROUPINGS[grain] for grain in self.granularities}
        return {**asked, **{name: by for name, by in self.groupings.items() if name not in self.made_of_hours}}

    @property
    def made_of_hours(self) -> frozenset[str]:
        """The names of the caller's own groupings that are not asked for, being made of the counts by the hour."""
        if Granularity.HOUR not in self.granularities:
            return frozenset()
        return frozenset(name for name, group_by in self.groupings.items() if len(group_by) == 4)


def parse_tweet_ids(value: object) -> tuple[str, ...]:
    """Read Tweet ids from what a DAG may hold: trimmed, checked, without repetition, in the order given.

    :param value: a list (or other iterable) of strings or integers, or one string: ids separated by commas, spaces or
        line breaks, or the JSON or Python text of a list, as a rendered template leaves it.
    :raises InvalidQueryError: naming the first value that is no Tweet id.
    """
    return tuple(dict.fromkeys(_parse_tweet_id(item) for item in parse_list(value, field="tweet_ids")))


def parse_metrics(value: object, *, endpoint: Endpoint, auth: Auth) -> tuple[str, ...]:
    """Read metric names, with names of old replaced by today's.

    :param value: a list of names, or a string of them; ``None`` for every metric that the endpoint gives.
    :param endpoint: the endpoint that is to be asked.
    :param auth: as whom.
    :raises InvalidQueryError: if a value is no string. Whether the API has the metric is for :class:`Query` to say.
    """
    if value is None:
        return catalogue.metrics_of(endpoint, auth)
    names = []
    for item in parse_list(value, field="metrics"):
        if not isinstance(item, str):
            raise InvalidQueryError("metrics", f"{item!r} is no metric name", "Give names as strings.")
        name = item.strip()
        renamed = catalogue.RENAMED_METRICS.get(name)
        if renamed is not None:
            log.warning(
                "Metric %s was replaced by %s on %s; asking for %s.", name, renamed.new, renamed.on, renamed.new
            )
            name = renamed.new
        names.append(name)
    return tuple(dict.fromkeys(names))


def parse_auth(value: Auth | str | None) -> Auth | None:
    """Read as whom to ask; ``None`` (or an empty text, as a template may leave it) for whoever the metrics need.

    :raises InvalidQueryError: if it is neither.
    """
    if not value:
        return None
    try:
        return Auth(value)
    except ValueError:
        raise InvalidQueryError("auth", f"{_shown(value)} is unknown", f"Choose from {', '.join(Auth)}.") from None


def parse_groupings(value: Mapping[str, Any] | str | None) -> dict[str, tuple[Dimension, ...]]:
    """Read groupings as the API's request body has them.

    :param value: ``{name: [dimension, …]}`` or ``{name: {"group_by": [dimension, …]}}``, or its JSON or Python text.
    :raises InvalidQueryError: if it has another shape or names an unknown dimension.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = _literal(value, field="groupings")
    if not isinstance(value, Mapping):
        raise InvalidQueryError("groupings", f"{value!r} is no mapping of names to dimensions")
    groupings = {}
    for name, group_by in value.items():
        if isinstance(group_by, Mapping):
            group_by = group_by.get("group_by")
        if isinstance(group_by, str) or not isinstance(group_by, Sequence):
            raise InvalidQueryError("groupings", f"{name!r} holds no list of dimensions")
        try:
            groupings[str(name)] = tuple(Dimension(dimension) for dimension in group_by)
        except ValueError:
            known = ", ".join(Dimension)
            raise InvalidQueryError(
                "groupings", f"{name!r} names an unknown dimension in {list(group_by)}", f"Known are {known}."
            ) from None
    return groupings


def auth_for(endpoint: Endpoint, metrics: Iterable[str] | None, *, has_user: bool, has_app: bool) -> Auth:
    """Choose as whom to ask.

    Public metrics are asked for with the app's bearer token, which reads any Tweet; anything else needs the author's
    token, which reads that author's Tweets alone (guide, authentication). With no metrics named, the kind that gives
    the most metrics is taken.

    :param endpoint: the endpoint that is to be asked.
    :param metrics: the metrics wanted, or ``None`` for all that can be had.
    :param has_user: whether a user's access token is at hand.
    :param has_app: whether a bearer token is at hand or can be obtained.
    """
    if Auth.APP not in catalogue.ENDPOINTS[endpoint].auths:
        return Auth.USER
    if metrics is None:
        return Auth.USER if has_user else Auth.APP
    public = set(metrics) <= set(catalogue.metrics_of(endpoint, Auth.APP))
    return Auth.APP if public and (has_app or not has_user) else Auth.USER


def parse_list(value: object, *, field: str) -> list[object]:
    """Read a list from what a DAG may hold.

    :param value: a list (or other iterable), or one string: values separated by commas, spaces or line breaks, or the
        JSON or Python text of a list, as a rendered template leaves it.
    :param field: the parameter that an error is to name.
    :raises InvalidQueryError: if it is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        value = _literal(text, field=field) if text[:1] in ("[", "(", "{") else re.split(r"[\s,;]+", text)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [item for item in value if item]
    if isinstance(value, Mapping) or not isinstance(value, Iterable) or isinstance(value, bytes):
        raise InvalidQueryError(field, f"{_shown(value)} is no list", "Give a list, or a string of values.")
    return list(value)


def _literal(text: str, *, field: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise InvalidQueryError(field, f"{_shown(text)} is neither JSON nor a Python literal")


def _parse_tweet_id(value: object) -> str:
    if isinstance(value, float):
        raise InvalidQueryError(
            "tweet_ids", f"{value!r} is a float, which cannot hold an id exactly", "Give ids as strings."
        )
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidQueryError("tweet_ids", f"{_shown(value)} is no Tweet id", "Give ids as strings.")
    # Python refuses to write out integers of thousands of digits.
    text = value.strip() if isinstance(value, str) else str(value) if abs(value) < 10**LONGEST_ID else "of more digits"
    if not is_tweet_id(text):
        raise InvalidQueryError("tweet_ids", f"{_shown(text)} is no Tweet id", f"An id has 1 to {LONGEST_ID} digits.")
    return str(int(text))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_tweet_ids(tweet_ids: Sequence[str]) -> None:
    if not tweet_ids:
        raise InvalidQueryError("tweet_ids", "is empty", "Name at least one Tweet.")
    if not all(map(is_tweet_id, tweet_ids)) or len(set(tweet_ids)) < len(tweet_ids):
        raise InvalidQueryError("tweet_ids", "holds repeated ids or what is no Tweet id", "Use parse_tweet_ids.")


def _check_metrics(metrics: Sequence[str], endpoint: Endpoint, auth: Auth) -> None:
    allowed = catalogue.metrics_of(endpoint, auth)
    if not allowed:
        raise InvalidQueryError(
            "auth",
            f"{endpoint} cannot be asked with a bearer token",
            "It gives an author's own Tweets: use a connection with that author's access token.",
        )
    if not metrics:
        raise InvalidQueryError("metrics", "is empty", f"Choose from {', '.join(allowed)}.")
    if len(set(metrics)) < len(metrics):
        raise InvalidQueryError("metrics", "names a metric twice", "Name each once.")
    for name in metrics:
        if name not in catalogue.METRICS:
            raise InvalidQueryError("metrics", f"{name!r} is unknown", f"Choose from {', '.join(allowed)}.")
        if name not in allowed:
            if endpoint not in catalogue.METRICS[name].endpoints:
                raise InvalidQueryError(
                    "metrics", f"{endpoint} does not give {name!r}", f"It gives {', '.join(allowed)}."
                )
            raise InvalidQueryError(
                "metrics",
                f"{name!r} cannot be had with a bearer token",
                "It is given for an author's own Tweets: use a connection with that author's access token.",
            )


def _check_groupings(groupings: Groupings, endpoint: Endpoint) -> None:
    if not 1 <= len(groupings) <= catalogue.MAX_GROUPINGS:
        raise InvalidQueryError(
            "groupings", f"{len(groupings)} were asked for", f"A request carries 1 to {catalogue.MAX_GROUPINGS}."
        )
    legal = catalogue.ENDPOINTS[endpoint].dimensions
    for name, group_by in groupings.items():
        if not name or name in catalogue.RESERVED_GROUPING_NAMES or name.startswith(catalogue.UNSUPPORTED_PREFIX):
            raise InvalidQueryError("groupings", f"the name {name!r} is reserved", "Choose another name.")
        foreign = [dimension for dimension in group_by if dimension not in legal]
        if foreign:
            raise InvalidQueryError(
                "groupings", f"{name!r}: {endpoint} cannot group by {foreign[0]}", f"It groups by {', '.join(legal)}."
            )
        if len(set(group_by)) != len(group_by):
            raise InvalidQueryError("groupings", f"{name!r} repeats a dimension")
        if Dimension.METRIC not in group_by:
            raise InvalidQueryError(
                "groupings",
                f"{name!r} lacks {Dimension.METRIC}",
                "Without it, counts of different metrics would be added up.",
            )
        if len(group_by) == 4 and group_by not in catalogue.FOUR_ITEM_ORDERS:
            orders = " or ".join(", ".join(order) for order in catalogue.FOUR_ITEM_ORDERS)
            raise InvalidQueryError("groupings", f"{name!r}: the API refuses this order", f"Legal are {orders}.")
    if sum(len(group_by) == 4 for group_by in groupings.values()) > 1:
        raise InvalidQueryError("groupings", "only one grouping of a request may have four dimensions")
