"""The counts that the API shows at a given time, which may still change later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from airflow_provider_engagement.simulator.counts import CountSource, hours_since_1970, mixed_bits
from airflow_provider_engagement.simulator.entities import Tweet
from airflow_provider_engagement.simulator.switches import Switches

RESTATED_HOURS: Final = 48
"""How many hours a count keeps growing if restatement is on."""

WITHDRAWABLE: Final = frozenset({"favorites", "retweets", "replies", "quote_tweets", "user_follows"})
"""The metrics that users can take back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisibleCounts:
    """The counts at a given time.

    :param source: the final counts.
    :param now: the time; later engagement is not visible.
    :param withdrawals: whether users take back some likes, follows and the like, so that hours can be negative.
    :param restatement: whether the last hours are incomplete, and grow as ``now`` advances.
    """

    source: CountSource
    now: datetime
    withdrawals: bool = False
    restatement: bool = False

    @classmethod
    def under(cls, switches: Switches, *, source: CountSource, now: datetime) -> VisibleCounts:
        """Return the counts at a given time under some switches."""
        return cls(source=source, now=now, withdrawals=switches.negative_counts, restatement=switches.restatement)

    def cumulative(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        """Return the visible cumulative counts of a Tweet at several times, by metric.

        :param tweet: the Tweet.
        :param metrics: the metrics.
        :param times: whole hours since 1970; those after ``now`` are taken as ``now``.
        """
        now = hours_since_1970(self.now)
        past = [min(time, now) for time in times]
        if not self.restatement:
            return self._after_withdrawals(tweet, metrics, past)
        settled = math.ceil(now) - RESTATED_HOURS
        recent = [*range(settled, math.floor(now) + 1)]
        if recent[-1] != now:
            recent.append(now)
        both = self._after_withdrawals(tweet, metrics, [*past, *recent])
        result = {}
        for metric, values in both.items():
            final = values[len(past) :]
            incomplete = [final[0]]
            for hour, before, after in zip(recent, final, final[1:], strict=False):
                incomplete.append(incomplete[-1] + int((after - before) * _visible_share(now - hour)))
            shown = dict(zip(recent, incomplete, strict=True))
            result[metric] = [
                shown[time] if time > settled else value for time, value in zip(past, values, strict=False)
            ]
        return result

    def count(self, tweet: Tweet, metric: str, start: datetime, end: datetime) -> int:
        """Return the visible count of a Tweet from ``start`` until ``end``."""
        before, after = self.cumulative(tweet, [metric], [hours_since_1970(start), hours_since_1970(end)])[metric]
        return after - before

    def total(self, tweet: Tweet, metric: str) -> int:
        """Return the visible total of a Tweet."""
        return self.totals(tweet, (metric,))[metric]

    def totals(self, tweet: Tweet, metrics: Sequence[str]) -> dict[str, int]:
        """Return the visible totals of a Tweet, by metric."""
        explicit = {metric: self.source.total(tweet, metric) for metric in metrics}
        missing = [metric for metric, total in explicit.items() if total is None]
        summed = self.cumulative(tweet, missing, [hours_since_1970(self.now)]) if missing else {}
        return {metric: summed[metric][0] if total is None else total for metric, total in explicit.items()}

    def _after_withdrawals(self, tweet: Tweet, metrics: Iterable[str], times: Sequence[float]) -> dict[str, list[int]]:
        counts = self.source.cumulative(tweet, metrics, times)
        if self.withdrawals:
            for metric in WITHDRAWABLE & counts.keys():
                counts[metric] = [
                    count - _withdrawn(tweet.id, metric, math.floor(time), count)
                    for time, count in zip(times, counts[metric], strict=True)
                ]
        return counts


def _visible_share(age: float) -> float:
    return min(1.0, 0.6 + 0.4 * age / RESTATED_HOURS)


def _withdrawn(tweet_id: str, metric: str, hour: int, count: int) -> int:
    bits = mixed_bits(int(tweet_id) * 31 + hour * 17 + len(metric) * 7919 + ord(metric[2]))
    return min(count, 1 + count // 500) if bits % 8 == 0 else 0
