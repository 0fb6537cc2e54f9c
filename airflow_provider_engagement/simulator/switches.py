"""How the simulator behaves where the documentation is silent or contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, kw_only=True, slots=True)
class Switches:
    """One choice for each open question about the API. The defaults are the likeliest answers.

    A client that is right works under every combination.

    :param hour_without_day: a grouping by hour without day adds up each hour of the day, or shows dates regardless.
    :param errors_in_partial: a partial answer explains itself under ``errors`` as well as in its id lists.
    :param all_unavailable_status: the status when no Tweet of a request is available.
    :param old_impressions: impressions and engagements of Tweets past the age limit are left out, or are zero.
    :param old_impressions_scope: where that limit applies: on totals alone, or on every endpoint.
    :param age_boundary: ages are compared to the second, or by UTC day.
    :param values: counts are strings, numbers, or now one and now the other.
    :param forbidden_format: how foreign Tweets are named: one error per author, or one error for all.
    :param history_floor: how far back historical reaches: 365 days, or to 2014-09-01.
    :param require_gzip: requests that do not accept gzip are refused.
    :param extra_metrics: answers hold a metric that was not asked for.
    :param key_order: the order of the keys of an answer: shuffled (the same way each time), or sorted.
    :param entitlement_status: the status for an app that may not use the product.
    :param app_on_series: a bearer token on 28hr and historical is refused for the metrics, or for its type.
    :param auth_errors: authentication errors are sentences, or objects with a code.
    :param rate_headers: which budgets the headers tell: of the minute, of the minute and the second, or none.
    :param reset_header: the headers tell when the budget is full again.
    :param rate_body: the body of a 429: sentences, objects with a code, or nothing.
    :param retry_after: a 429 carries ``Retry-After``: not at all, in seconds, or as an HTTP date.
    :param media_clicks_alias: the name of old for ``media_engagements`` is still understood.
    :param negative_counts: withdrawn likes and the like make some hours negative.
    :param restatement: the numbers of the most recent 48 hours are incomplete and still grow.
    """

    hour_without_day: Literal["hour_of_day", "dated"] = "hour_of_day"
    errors_in_partial: bool = True
    all_unavailable_status: Literal[400, 200] = 400
    old_impressions: Literal["omit", "zero"] = "omit"
    old_impressions_scope: Literal["totals", "all"] = "totals"
    age_boundary: Literal["second", "day"] = "second"
    values: Literal["string", "int", "mixed"] = "string"
    forbidden_format: Literal["by_author", "plain"] = "by_author"
    history_floor: Literal["365d", "2014"] = "365d"
    require_gzip: bool = True
    extra_metrics: bool = False
    key_order: Literal["shuffled", "sorted"] = "shuffled"
    entitlement_status: Literal[403, 401] = 403
    app_on_series: Literal["metrics", "type"] = "metrics"
    auth_errors: Literal["strings", "objects"] = "strings"
    rate_headers: Literal["minute", "minute+second", "none"] = "minute"
    reset_header: bool = True
    rate_body: Literal["strings", "objects", "empty"] = "strings"
    retry_after: Literal["off", "seconds", "date"] = "off"
    media_clicks_alias: bool = False
    negative_counts: bool = False
    restatement: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no switch has."""
        for name, allowed in Switches.choices().items():
            value = getattr(self, name)
            if not any(value is choice or (value == choice and type(value) is type(choice)) for choice in allowed):
                raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")

    @classmethod
    def choices(cls) -> dict[str, tuple[Any, ...]]:
        """Return every switch with the values it can take, the default first."""
        hints = get_type_hints(cls)
        allowed = {
            field.name: get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else (True, False)
            for field in fields(cls)
        }
        defaults = {field.name: field.default for field in fields(cls)}
        return {
            name: (defaults[name], *(value for value in values if value != defaults[name]))
            for name, values in allowed.items()
        }

    def changed(self, changes: Mapping[str, Any]) -> Switches:
        """Return a copy in which some switches differ.

        :param changes: names of switches and their new values.
        :raises ValueError: there is no such switch, or it has no such value.
        """
        unknown = sorted(set(changes) - set(Switches.choices()))
        if unknown:
            raise ValueError(f"there is no switch {', '.join(unknown)}; there are {', '.join(Switches.choices())}")
        return replace(self, **changes)
