"""Groups counts by Tweet, metric, day and hour, and nests them as a response does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_engagement.engagement_api.catalogue import METRICS, Dimension
from airflow_provider_engagement.simulator.counts import hours_since_1970
from airflow_provider_engagement.simulator.switches import Switches
from airflow_provider_engagement.simulator.validation import RequestedWindow, present_name

_TIME_DIMENSIONS = (Dimension.DAY, Dimension.HOUR)

TimeBuckets = dict[str, Any] | Sequence[int] | int
"""The hours that one count sums, as indexes into a series. Dictionaries nest them by day, hour or both."""


class GroupedCounts:
    """The counts of a response, ready for any grouping.

    :param series: the counts by Tweet id and metric: one per hour of the window, or a single total.
    :param metrics: the metrics of the response.
    :param window: the window of the series; ``None`` if each series is a single total.
    :param shuffler: shuffles the keys; ``None`` leaves them sorted.
    :param switches: the behavior of the API.
    """

    def __init__(
        self,
        series: Mapping[str, Mapping[str, Sequence[int]]],
        metrics: Sequence[str],
        window: RequestedWindow | None,
        shuffler: random.Random | None,
        switches: Switches,
    ) -> None:
        self._series = series
        self._metrics = metrics
        self._shuffler = shuffler
        self._switches = switches
        self._all_hours: Sequence[int] = (0,)
        days: dict[str, list[tuple[str, int]]] = {}
        if window is not None:
            first, last = (round(hours_since_1970(time)) for time in (window.start, window.end))
            self._all_hours = range(last - first)
            for index in self._all_hours:
                time = datetime.fromtimestamp((first + index) * 3600, UTC)
                days.setdefault(f"{time:%Y-%m-%d}", []).append((f"{time:%H}", index))
        self._days = {day: in_key_order(hours, shuffler) for day, hours in in_key_order(days.items(), shuffler)}

    def by(self, group_by: tuple[Dimension, ...]) -> dict[str, Any]:
        """Return the counts nested by some dimensions, the first outermost."""
        if Dimension.HOUR in group_by and Dimension.DAY not in group_by and self._switches.hour_without_day == "dated":
            hour = group_by.index(Dimension.HOUR)
            group_by = (*group_by[:hour], Dimension.DAY, *group_by[hour:])
        times = tuple(dimension for dimension in group_by if dimension in _TIME_DIMENSIONS)
        others = tuple(dimension for dimension in group_by if dimension not in _TIME_DIMENSIONS)
        buckets = self._time_buckets(times)
        nested: dict[str, Any] = {}
        for keys, metric, counts in self._rows(others):
            to_json = self._number_type(metric)
            if group_by == others + times:
                _insert(nested, keys, _sums(buckets, counts, to_json))
                continue
            for time_keys, hours in _flattened(buckets):
                key_of = dict(zip(others + times, keys + time_keys, strict=True))
                _insert(nested, [key_of[dimension] for dimension in group_by], _sums(hours, counts, to_json))
        return nested

    def _rows(self, dimensions: tuple[Dimension, ...]) -> Iterator[tuple[tuple[str, ...], str, Sequence[int]]]:
        """Yield keys, metric and counts: of each metric of each Tweet, or of each metric summed over the Tweets."""
        if Dimension.TWEET in dimensions:
            for tweet_id in in_key_order(self._series, self._shuffler):
                for metric in in_key_order(self._series[tweet_id], self._shuffler):
                    key_of = {Dimension.TWEET: tweet_id, Dimension.METRIC: metric}
                    yield tuple(key_of[item] for item in dimensions), metric, self._series[tweet_id][metric]
            return
        for metric in in_key_order(self._metrics, self._shuffler):
            of_tweets = [by_metric[metric] for by_metric in self._series.values() if metric in by_metric]
            if of_tweets:
                yield (metric,), metric, [sum(counts) for counts in zip(*of_tweets, strict=True)]

    def _time_buckets(self, times: tuple[Dimension, ...]) -> TimeBuckets:
        if not times:
            return self._all_hours
        if times == (Dimension.DAY,):
            return {day: [index for _, index in hours] for day, hours in self._days.items()}
        if times == (Dimension.DAY, Dimension.HOUR):
            return {day: dict(hours) for day, hours in self._days.items()}
        by_hour: dict[str, dict[str, int]] = {}
        for day, hours in self._days.items():
            for hour, index in hours:
                by_hour.setdefault(hour, {})[day] = index
        if times == (Dimension.HOUR, Dimension.DAY):
            return by_hour
        return {hour: list(days.values()) for hour, days in by_hour.items()}

    def _number_type(self, metric: str) -> Callable[[int], Any]:
        if self._switches.values == "mixed":
            return int if list(METRICS).index(present_name(metric)) % 2 else str
        return str if self._switches.values == "string" else int


def in_key_order(items: Iterable[Any], shuffler: random.Random | None) -> list[Any]:
    """Return keys, or pairs of key and value, in the order of a response.

    :param items: the keys or pairs.
    :param shuffler: shuffles them; ``None`` leaves them sorted.
    """
    ordered = sorted(items, key=lambda item: item if isinstance(item, str) else item[0])
    if shuffler is not None:
        shuffler.shuffle(ordered)
    return ordered


def _sums(buckets: TimeBuckets, counts: Sequence[int], to_json: Callable[[int], Any]) -> Any:
    if isinstance(buckets, int):
        return to_json(counts[buckets])
    if isinstance(buckets, dict):
        return {key: _sums(inner, counts, to_json) for key, inner in buckets.items()}
    return to_json(sum([counts[index] for index in buckets]))


def _flattened(buckets: TimeBuckets) -> Iterator[tuple[tuple[str, ...], Sequence[int] | int]]:
    if isinstance(buckets, dict):
        for key, inner in buckets.items():
            for keys, hours in _flattened(inner):
                yield (key, *keys), hours
    else:
        yield (), buckets


def _insert(nested: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        nested = nested.setdefault(key, {})
    nested[keys[-1]] = value
