"""What the assembly of totals and of time series have in common: the result and the status of each Tweet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pyarrow

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.engagement_api.groupings import NestedCounts
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import EngagementError
from airflow_provider_engagement.http.credentials import Account
from airflow_provider_engagement.pull.completeness import OutcomeSummary, completeness_error
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import TWEET_STATUS

STATUS_ROWS_AT_ONCE = 50_000


@dataclass(slots=True)
class AssemblyResult:
    """What an assembly wrote.

    :param outcomes: the outcomes of all requested Tweets.
    :param groupings: counts in the API's nesting, merged over all responses.
    :param rows: rows by table.
    :param error: why the pull is not complete, if only the rows of some owners were written.
    """

    outcomes: OutcomeSummary = field(default_factory=OutcomeSummary)
    groupings: dict[str, NestedCounts] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    error: EngagementError | None = None


def record_outcomes(
    assembled: AssemblyResult, fetched: FetchResult, statuses: TweetStatuses, accepted: tuple[Outcome, ...]
) -> set[Account]:
    """Return the accounts whose rows are not written, because the task does not accept the outcome of a Tweet.

    An owner whose access token is rejected does not prevent the rows of other owners from being written. The rows of
    one owner are written completely or not at all.

    :param assembled: counts the outcomes, and keeps the error that fails the task afterwards.
    :param fetched: what happened to the requests.
    :param statuses: the status of each Tweet.
    :param accepted: the outcomes that do not fail the task.
    :raises EngagementError: if there is no account whose rows can be written.
    """
    assembled.outcomes.add(statuses.items())
    assembled.error = completeness_error(assembled.outcomes, accepted, fetched.failures, fetched.rejected)
    incomplete = statuses.incomplete_accounts(accepted)
    if assembled.error is not None and incomplete.issuperset(statuses.accounts.values()):
        raise assembled.error
    return incomplete


def status_tables(statuses: TweetStatuses, run: TaskRun, endpoint: Endpoint) -> Iterator[pyarrow.Table]:
    """Yield the rows of ``tweet_status``.

    :param statuses: the status of each Tweet.
    :param run: the run of the task.
    :param endpoint: the endpoint that was asked.
    """
    items = statuses.items()
    while chunk := dict(islice(items, STATUS_ROWS_AT_ONCE)):
        yield columns_to_table(
            TWEET_STATUS,
            {
                "tweet_id": list(chunk),
                "run_id": [run.run_id] * len(chunk),
                "task": [run.task] * len(chunk),
                "owner": [None if tweet_id in statuses.authors else statuses.owner_of(tweet_id) for tweet_id in chunk],
                "endpoint": [str(endpoint)] * len(chunk),
                "outcome": [str(status.outcome) for status in chunk.values()],
                "metrics_affected": [",".join(status.metrics_affected) or None for status in chunk.values()],
                "message": [status.message or None for status in chunk.values()],
                "author": [statuses.authors.get(tweet_id) for tweet_id in chunk],
                "checked_at": [statuses.checked.get(tweet_id) for tweet_id in chunk],
            },
        )
