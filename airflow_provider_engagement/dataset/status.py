"""The table ``tweet_status``: what became of each Tweet of a run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.dataset.schema import TWEET_STATUS, columns_to_table

if TYPE_CHECKING:
    import pyarrow


def failed_statuses(request: Request, why: str) -> dict[str, TweetStatus]:
    """Return the statuses of the Tweets of a request that brought no answer."""
    return dict.fromkeys(request.tweet_ids, TweetStatus(Outcome.FAILED, request.query.metrics, why))


def status_rows(
    statuses: Mapping[str, TweetStatus],
    authors: Mapping[str, str | None],
    checked: Mapping[str, datetime],
    *,
    run: str,
    task: str,
    owner: str | None,
) -> pyarrow.Table:
    """Return statuses as rows of ``tweet_status``.

    :param statuses: by Tweet.
    :param authors: of the Tweets that other authors wrote, who, where the API named them.
    :param checked: when the API was last asked about a Tweet, where it answered.
    :param run: the run's id.
    :param task: the task's name, with its DAG's and its map index.
    :param owner: the id of the user as whom the API was asked, if any.
    """
    return columns_to_table(
        TWEET_STATUS,
        {
            "tweet_id": list(statuses),
            "run": [run] * len(statuses),
            "task": [task] * len(statuses),
            # A Tweet that was refused as another author's is not the owner's.
            "owner": [None if tweet_id in authors else owner for tweet_id in statuses],
            "outcome": [str(status.outcome) for status in statuses.values()],
            "metrics_affected": [",".join(status.metrics_affected) or None for status in statuses.values()],
            "message": [status.message or None for status in statuses.values()],
            "author": [authors.get(tweet_id) for tweet_id in statuses],
            "checked_at": [checked.get(tweet_id) for tweet_id in statuses],
        },
    )
