"""Pulls of the totals of the author's Tweets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.operators.engagement import EngagementTotalsOperator
from airflow_provider_engagement.simulator import Handle, Simulator, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
OWNED = ("impressions", "engagements", "favorites", "retweets", "replies", "quote_tweets", "video_views")
PUBLIC = ("favorites", "retweets", "replies", "quote_tweets", "video_views")
AGE_LIMITS = {
    "impressions": timedelta(days=90),
    "engagements": timedelta(days=90),
    "video_views": timedelta(days=1800),
}

Connect = Callable[..., str]
Execute = Callable[..., Any]
Row = dict[str, Any]


def truth(simulator: Simulator, tweet_id: str, metrics: tuple[str, ...]) -> dict[str, int | None] | None:
    """Return the counts of a Tweet that the API can return; ``None`` for a Tweet that it cannot return."""
    world = simulator.world
    tweet = world.tweets[tweet_id]
    if tweet.deleted or world.handles[tweet.author_id].protected:
        return None
    age = timedelta.max if tweet.created_at is None else NOW - tweet.created_at
    return {
        metric: None if age > AGE_LIMITS.get(metric, timedelta.max) else simulator.total(tweet_id, metric)
        for metric in metrics
    }


def truths(simulator: Simulator, tweet_ids: list[str], metrics: tuple[str, ...]) -> dict[str, dict[str, int | None]]:
    known = {tweet_id: truth(simulator, tweet_id, metrics) for tweet_id in tweet_ids}
    return {tweet_id: counts for tweet_id, counts in known.items() if counts is not None}


def table(path: str) -> list[Row]:
    rows: list[Row] = parquet.ParquetFile(path).read().to_pylist()
    return rows


def counted(rows: list[Row], metrics: tuple[str, ...]) -> dict[str, dict[str, int | None]]:
    assert len({row["tweet_id"] for row in rows}) == len(rows)
    return {row["tweet_id"]: {metric: row[metric] for metric in metrics} for row in rows}


def files(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file())


def tables(folder: Path) -> list[str]:
    return [path for path in files(folder) if path.startswith("tweet_")]


def requested_ids(simulator: Simulator) -> list[str]:
    """Return the ids of all requests in one list."""
    return [tweet_id for entry in simulator.journal.to("totals") for tweet_id in entry.body["tweet_ids"]]


@pytest.fixture
def mine(world: World, author: Handle) -> list[str]:
    return world.tweets_of(author.user_id)


@pytest.fixture
def pull(tmp_path: Path, connect: Connect, author: Handle, mine: list[str]) -> Callable[..., EngagementTotalsOperator]:
    """Return an operator that pulls the author's Tweets into a folder, with further arguments."""
    connect(author)

    def made(**arguments: Any) -> EngagementTotalsOperator:
        # Airflow would render each id of a list.
        arguments.setdefault("tweets", " ".join(mine))
        return EngagementTotalsOperator(**{"task_id": "totals", "dataset_path": str(tmp_path), **arguments})

    return made


Pull = Callable[..., EngagementTotalsOperator]
