"""The hourly counts that a dataset must contain, computed from the simulator's world without the code under test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_engagement.simulator import Tweet, World

HOUR = timedelta(hours=1)
VIDEO_AGE_LIMIT = timedelta(days=1800)

Counts = tuple[int | None, ...]
"""The counts of a row, in the order of its metrics."""

Cells = dict[tuple[str, datetime], Counts]
"""The counts of each Tweet and hour."""


def floor_to_hour(time: datetime) -> datetime:
    """Return the start of the hour."""
    return time.replace(minute=0, second=0, microsecond=0)


def hours_between(start: datetime, end: datetime) -> list[datetime]:
    """Return the start of each hour of an interval."""
    return [start + number * HOUR for number in range((end - start) // HOUR)]


def hours_of_tweet(world: World, tweet_id: str, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the hours of an interval in which a Tweet existed. An id without a time has always existed."""
    created = world.tweets[tweet_id].created_at
    return (start if created is None else max(start, floor_to_hour(created))), end


def has_no_video_views(tweet: Tweet, now: datetime) -> bool:
    """Return whether a Tweet is too old for the API to count the views of its videos."""
    return tweet.created_at is None or now - tweet.created_at > VIDEO_AGE_LIMIT


def hourly_truth(
    world: World, tweet_ids: Iterable[str], start: datetime, end: datetime, *, metrics: Sequence[str], now: datetime
) -> Cells:
    """Return the counts of the hours of all Tweets that the API can return; ``None`` where it has no count."""
    expected: Cells = {}
    for tweet_id in dict.fromkeys(tweet_ids):
        tweet = world.tweets[tweet_id]
        first, last = hours_of_tweet(world, tweet_id, start, end)
        if tweet.deleted or world.handles[tweet.author_id].protected or first >= last:
            continue
        hours = hours_between(first, last)
        edges = [hour.timestamp() / 3600 for hour in (*hours, last)]
        sums = world.counts.cumulative(tweet, metrics, edges)
        columns: list[Sequence[int | None]] = [
            [None] * len(hours)
            if metric == "video_views" and has_no_video_views(tweet, now)
            else [after - before for before, after in zip(sums[metric], sums[metric][1:], strict=False)]
            for metric in metrics
        ]
        rows = zip(*columns, strict=True)
        expected |= {(tweet_id, hour.astimezone(UTC)): row for hour, row in zip(hours, rows, strict=True)}
    return expected


def summed(hourly: Cells, group: Callable[[datetime], Any]) -> dict[tuple[str, Any], Counts]:
    """Sum hours to groups of hours. A sum of which an hour is not known is not known."""
    groups = defaultdict(list)
    for (tweet_id, hour), row in hourly.items():
        groups[tweet_id, group(hour)].append(row)
    return {
        key: tuple(None if None in column else sum(column) for column in zip(*values, strict=True))
        for key, values in groups.items()
    }
