"""One pull: everything that an execution of an operator does, decided before its first request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_engagement.engagement_api.planner import Request
    from airflow_provider_engagement.engagement_api.query import Query
    from airflow_provider_engagement.inputs.intervals import ResolvedInterval
    from airflow_provider_engagement.pull.assembly import AssembledTables
    from airflow_provider_engagement.pull.fetch import FetchResult
    from airflow_provider_engagement.pull.response_store import ResponseStore, ReuseRule
    from airflow_provider_engagement.pull.task_run import TaskRun
    from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
    from airflow_provider_engagement.tables.folder import DatasetFolder

    Assemble = Callable[[FetchResult, TweetStatuses, ResponseStore, DatasetFolder], AssembledTables]
    Plan = Callable[[Query], Sequence[Request]]

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pull:
    """Everything that one execution of a pull operator does.

    :param query: what to request.
    :param owners: the owner of each Tweet, as far as the list of ids or the task says it.
    :param queries: the query, divided by the credentials that read its Tweets.
    :param plan: returns the requests of one of these queries.
    :param run: the run of the task.
    :param attempt_start: when the attempt started.
    :param is_reusable: returns whether a stored response can be reused.
    :param assemble: writes the tables from the stored responses.
    :param estimated_rows: about how many rows the pull makes.
    :param as_of: the time of the run, if its stored responses belong to it; ``None`` if runs share them.
    :param last_start: until when an attempt must start to send a request; ``None`` if there is no limit.
    :param interval: the interval, for the manifest.
    :param snapshot_at: the time of the snapshot, for the manifest.
    """

    query: Query
    owners: Mapping[str, str | None]
    queries: Sequence[Query]
    plan: Plan
    run: TaskRun
    attempt_start: datetime
    is_reusable: ReuseRule
    assemble: Assemble
    estimated_rows: int
    as_of: datetime | None = None
    last_start: datetime | None = None
    interval: ResolvedInterval | None = None
    snapshot_at: datetime | None = None

    def requests_of(self, queries: Sequence[Query]) -> list[Request]:
        """Return the requests of queries. The oldest hours are first, because the API loses them first."""
        requests = [request for query in queries for request in self.plan(query)]
        return sorted(requests, key=lambda request: request.window.start if request.window else _ANY_TIME)
