"""What the assembly of totals and of time series have in common: the run, the result and the status of each Tweet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow

from airflow_provider_engagement.api.groupings import NestedCounts
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome, TweetStatus
from airflow_provider_engagement.dataset.completeness import OutcomeSummary
from airflow_provider_engagement.dataset.schema import TWEET_STATUS, columns_to_table


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """The run of a task that a pull belongs to.

    :param run_id: the id of the DAG run.
    :param task: a name that is unique among tasks and map indexes, and the same in every attempt.
    :param owner: the id of the user whose access token signs the requests, if any.
    :param accepted: the outcomes that do not fail the task.
    """

    run_id: str
    task: str
    owner: str | None
    accepted: tuple[Outcome, ...]

    @property
    def writer(self) -> str:
        """Identifies this run of the task in the names of temporary and staged files, the same in every attempt."""
        return hashlib.sha256(f"{self.task}\0{self.run_id}".encode()).hexdigest()[:12]


@dataclass(slots=True)
class AssembledTables:
    """What an assembly wrote.

    :param outcomes: the outcomes of all requested Tweets.
    :param groupings: counts in the API's nesting, merged over all responses.
    :param rows: rows by table.
    """

    outcomes: OutcomeSummary = field(default_factory=OutcomeSummary)
    groupings: dict[str, NestedCounts] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def failed_statuses(request: Request, reason: str) -> dict[str, TweetStatus]:
    """Return the statuses of the Tweets of a request that has no response."""
    return dict.fromkeys(request.tweet_ids, TweetStatus(Outcome.FAILED, request.query.metrics, reason))


def status_rows(
    statuses: Mapping[str, TweetStatus],
    authors: Mapping[str, str | None],
    checked: Mapping[str, datetime],
    run: TaskRun,
) -> pyarrow.Table:
    """Return rows of ``tweet_status``.

    :param statuses: the status of each Tweet.
    :param authors: for each Tweet of another user, the id of that user if the API named it.
    :param checked: when the last request that named a Tweet was sent, if it has a response.
    :param run: the run of the task.
    """
    return columns_to_table(
        TWEET_STATUS,
        {
            "tweet_id": list(statuses),
            "run_id": [run.run_id] * len(statuses),
            "task": [run.task] * len(statuses),
            "owner": [None if tweet_id in authors else run.owner for tweet_id in statuses],
            "outcome": [str(status.outcome) for status in statuses.values()],
            "metrics_affected": [",".join(status.metrics_affected) or None for status in statuses.values()],
            "message": [status.message or None for status in statuses.values()],
            "author": [authors.get(tweet_id) for tweet_id in statuses],
            "checked_at": [checked.get(tweet_id) for tweet_id in statuses],
        },
    )
