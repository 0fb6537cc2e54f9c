"""Counts in the API's own nesting: parse them, put nulls in, find what is complete, and merge responses."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_engagement.engagement_api.catalogue import Dimension
from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.http.redaction import describe_value

Count = int | None
NestedCounts = dict[str, Any]
"""Objects by the values of one dimension after the other. The innermost values are counts, or null."""

_COUNT = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SIGNED_64_BIT = range(-(2**63), 2**63)


class CountParser(dict[Any, Count]):
    """Parses the counts of a grouping. It caches texts, because a response repeats most of them.

    :param name: the name of the grouping, for errors.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def parse(self, values: Iterable[Any]) -> list[Count]:
        """Return values as integers, and null as ``None``.

        :raises InvalidResponseError: if a value is not an integer of 64 bits.
        """
        try:
            return list(map(self.__getitem__, values))
        except TypeError:
            raise InvalidResponseError(f"Grouping {self._name!r} of the response has too many levels.") from None

    def __missing__(self, value: Any) -> Count:
        if value is None:
            return None
        if type(value) not in (str, int) or (type(value) is str and not _COUNT.fullmatch(value)):
            raise InvalidResponseError(
                f"Grouping {self._name!r} of the response contains {describe_value(value)}, which is not an integer."
            )
        count = int(value)
        if count not in _SIGNED_64_BIT:
            raise InvalidResponseError(f"Grouping {self._name!r} of the response contains a count above 64 bits.")
        if type(value) is str:  # A number is not cached, because true and 1.0 are equal to it and would be accepted.
            self[value] = count
        return count


@dataclass(frozen=True, slots=True)
class Grouping:
    """One grouping of a response.

    :param levels: the dimension of each level of nesting.
    :param counts: the counts.
    """

    levels: tuple[Dimension, ...]
    counts: NestedCounts

    @classmethod
    def parse(cls, node: Any, group_by: tuple[Dimension, ...], *, name: str, metrics: Container[str]) -> Self:
        """Return a grouping of a response body. It is empty if the body does not have it.

        :param node: what the body has under the grouping's name.
        :param group_by: the requested dimensions.
        :param name: the grouping's name, for errors.
        :param metrics: the requested metrics. An example of the documentation returns another one, which is left out.
        :raises InvalidResponseError: if a value is not a count, or at another level than requested.
        """
        levels = _levels(node, group_by)
        return cls(levels, _parse(node, levels, CountParser(name), metrics))

    def with_nulls(self, null_metrics: Mapping[str, Container[str]], unavailable: Collection[str]) -> Grouping:
        """Return the grouping with null for every count that the API reports as missing.

        A grouping without Tweets stays as it is, because its counts are sums over Tweets.

        :param null_metrics: the metrics that have no value, by Tweet.
        :param unavailable: the Tweets that are left out.
        """
        if not (null_metrics or unavailable) or Dimension.TWEET not in self.levels:
            return self

        def visit(node: Any, levels: Sequence[Dimension], tweet_id: str | None, metric: str | None) -> Any:
            if tweet_id is not None and metric is not None:
                return _all_null(node) if metric in null_metrics[tweet_id] else node
            kept = {}
            for key, child in node.items():
                if levels[0] is Dimension.TWEET:
                    if key in unavailable:
                        continue
                    kept[key] = visit(child, levels[1:], key, metric) if key in null_metrics else child
                elif levels[0] is Dimension.METRIC:
                    kept[key] = visit(child, levels[1:], tweet_id, key)
                else:
                    kept[key] = visit(child, levels[1:], tweet_id, metric)
            return kept

        return Grouping(self.levels, visit(self.counts, self.levels, None, None))

    def complete_cells(self) -> set[tuple[str | None, str]]:
        """Return the pairs of Tweet and metric that have all counts; the Tweet is ``None`` for sums over Tweets."""
        return _complete_cells(self.counts, self.levels)


def from_hourly_rows(rows: Any, group_by: Sequence[Dimension]) -> Any:
    """Return a grouping with four dimensions from another one, by Tweet, metric, day and hour.

    :param rows: the grouping in the response body.
    :param group_by: the dimensions to return; the first is the Tweet or the metric.
    """
    if group_by[0] is Dimension.TWEET or not isinstance(rows, Mapping):
        return rows
    by_metric: dict[str, dict[str, Any]] = {}
    for tweet_id, metrics in rows.items():
        for metric, days in metrics.items() if isinstance(metrics, Mapping) else ():
            by_metric.setdefault(metric, {})[tweet_id] = days
    return by_metric


def as_object(node: Any) -> Mapping[Any, Any]:
    """Return a part of a body that must be an object; an empty one for null.

    :raises InvalidResponseError: if it is something else.
    """
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        raise InvalidResponseError(f"The response contains {describe_value(node)} in place of an object.")
    return node


def merge_groupings(first: Mapping[str, Any], second: Mapping[str, Any]) -> NestedCounts:
    """Return the sum of the counts of two responses. A sum with an unknown count (null) is unknown.

    :param first: counts by the name of the grouping, from one response.
    :param second: the same from the other response.
    """
    result = dict(first)
    for key, value in second.items():
        if key not in result:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(result[key], Mapping):
            result[key] = merge_groupings(result[key], value)
        else:
            result[key] = None if value is None or result[key] is None else result[key] + value
    return result


def _levels(node: Any, group_by: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """Return the dimension of each level of a node.

    For a grouping by hour without day, the documentation shows two shapes: with a level of days, and without.
    """
    if Dimension.HOUR not in group_by or Dimension.DAY in group_by:
        return group_by
    depth = group_by.index(Dimension.HOUR)
    for _ in range(depth):
        node = next((child for child in node.values() if child), None) if isinstance(node, Mapping) else None
    has_days = isinstance(node, Mapping) and node and all(map(_DAY.fullmatch, node))
    return (*group_by[:depth], Dimension.DAY, *group_by[depth:]) if has_days else group_by


def _parse(node: Any, levels: Sequence[Dimension], parser: CountParser, metrics: Container[str]) -> NestedCounts:
    children = as_object(node)
    if levels[0] is Dimension.METRIC:
        children = {key: child for key, child in children.items() if key in metrics}
    if len(levels) > 1:
        return {key: _parse(child, levels[1:], parser, metrics) for key, child in children.items()}
    return dict(zip(children, parser.parse(children.values()), strict=True))


def _all_null(node: Any) -> Any:
    return {key: _all_null(child) for key, child in node.items()} if isinstance(node, dict) else None


def _complete_cells(
    node: Any, levels: Sequence[Dimension], tweet_id: str | None = None, metric: str | None = None
) -> set[tuple[str | None, str]]:
    if metric is not None and (tweet_id is not None or Dimension.TWEET not in levels):
        return {(tweet_id, metric)} if _is_complete(node) else set()
    here, below = levels[0], levels[1:]
    if here is Dimension.TWEET:
        found = [_complete_cells(child, below, key, metric) for key, child in node.items()]
    elif here is Dimension.METRIC:
        found = [_complete_cells(child, below, tweet_id, key) for key, child in node.items()]
    else:
        found = [_complete_cells(child, below, tweet_id, metric) for child in node.values()]
        return set.intersection(*found) if found else set()
    return set().union(*found)


def _is_complete(node: Any) -> bool:
    """Return whether a node contains counts, and no null."""
    if not isinstance(node, dict):
        return node is not None
    return bool(node) and None not in node.values() and all(map(_is_complete, node.values()))
