"""Metrics, groupings and the choice of credentials, as a DAG author writes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_engagement.engagement_api import catalogue
from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.lists import parse_list, parse_literal, quoted

log = logging.getLogger(__name__)


def parse_metrics(value: object, *, endpoint: Endpoint, auth: Auth) -> tuple[str, ...]:
    """Parse metric names. A name that the API has replaced becomes the new one, with a warning.

    :param value: a list of names, or a string of them; ``None`` for every metric that the endpoint offers.
    :param endpoint: the endpoint of the query.
    :param auth: the kind of credentials of the query.
    :raises InvalidQueryError: if a value is not a string. Whether the API has the metric is checked by
        :class:`~airflow_provider_engagement.engagement_api.query.Query`.
    """
    if value is None:
        return catalogue.metrics_of(endpoint, auth)
    names = []
    for item in parse_list(value, field="metrics"):
        if not isinstance(item, str):
            raise InvalidQueryError("metrics", f"{quoted(item)} is not a metric name", "Pass names as strings.")
        name = item.strip()
        renamed = catalogue.RENAMED_METRICS.get(name)
        if renamed is not None:
            log.warning(
                "metrics: the API replaced %s with %s on %s. Requesting %s.", name, renamed.new, renamed.on, renamed.new
            )
            name = renamed.new
        names.append(name)
    return tuple(dict.fromkeys(names))


def parse_groupings(value: Mapping[str, Any] | str | None) -> dict[str, tuple[Dimension, ...]]:
    """Parse groupings in the form of the API's request body.

    :param value: ``{name: [dimension, …]}`` or ``{name: {"group_by": [dimension, …]}}``, or its JSON or Python text.
    :raises InvalidQueryError: if the value has another shape or names an unknown dimension.
    """
    field = "groupings"
    if value is None:
        return {}
    parsed = parse_literal(value, field=field) if isinstance(value, str) else value
    if not isinstance(parsed, Mapping):
        raise InvalidQueryError(
            field, f"{quoted(value)} does not map names to dimensions", "Pass {name: [dimension, …]}."
        )
    groupings = {}
    for name, group_by in parsed.items():
        if isinstance(group_by, Mapping):
            group_by = group_by.get("group_by")
        if isinstance(group_by, str) or not isinstance(group_by, Sequence):
            raise InvalidQueryError(
                field, f"{quoted(name)} does not hold a list of dimensions", "Pass {name: [dimension, …]}."
            )
        groupings[str(name)] = tuple(
            parse_choice(
                dimension, Dimension, field=field, problem=f"{quoted(name)} names the unknown dimension {{value}}"
            )
            for dimension in group_by
        )
    return groupings


def choose_auth(
    value: Auth | str | None,
    *,
    endpoint: Endpoint,
    metrics: Iterable[str] | None,
    has_user: bool,
    has_app: bool,
) -> Auth:
    """Choose the credentials of a query.

    App credentials read the public metrics of any Tweet. User credentials read all metrics, but only of Tweets that the
    user posted (guide, authentication). If you name no metrics, the credentials that read the most metrics are chosen.

    :param value: ``user`` or ``app``; ``None`` or an empty string to choose by endpoint and metrics.
    :param endpoint: the endpoint of the query.
    :param metrics: the requested metrics; ``None`` for all.
    :param has_user: whether the connection has an access token of a user.
    :param has_app: whether the connection has a bearer token, or the keys to obtain one.
    :raises InvalidQueryError: if the value is not a kind of credentials.
    """
    if value:
        return parse_choice(value, Auth, field="auth")
    if Auth.APP not in catalogue.ENDPOINTS[endpoint].auths:
        return Auth.USER
    if metrics is None:
        return Auth.USER if has_user else Auth.APP
    public = set(metrics) <= set(catalogue.metrics_of(endpoint, Auth.APP))
    return Auth.APP if public and (has_app or not has_user) else Auth.USER
