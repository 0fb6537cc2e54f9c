"""One pull: everything that an execution of a task does, decided before its first request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_engagement.engagement_api.planner import Request, plan
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.inputs.intervals import ResolvedInterval
from airflow_provider_engagement.inputs.settings import PullSettings
from airflow_provider_engagement.pull.assembly import AssemblyResult
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, ReuseRule, always_reuse
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.folder import DatasetFolder

TweetOwners = Mapping[str, str | None]
"""The Tweets of a pull, each with its owner, or ``None`` if neither the list of ids nor the task names one."""

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Pull(ABC):
    """What to request, and which rows to make of it. There is one subclass for each kind of rows.

    :param settings: what the DAG sets.
    :param query: what to request.
    :param owners: the Tweets with their owners.
    :param queries: the query, divided by the credentials that read its Tweets.
    :param run: the run of the task.
    :param attempt_start: when the attempt started.
    :param is_reusable: returns whether a stored response can be reused.
    :param as_of: the time of the run, if its stored responses belong to it; ``None`` if runs share them.
    :param last_start: until when an attempt must start to send a request; ``None`` if there is no limit.
    :param interval: the interval, for the manifest.
    :param snapshot_at: the time of the snapshot, for the manifest.
    """

    settings: PullSettings
    query: Query
    owners: TweetOwners
    queries: Sequence[Query]
    run: TaskRun
    attempt_start: datetime
    is_reusable: ReuseRule = always_reuse
    as_of: datetime | None = None
    last_start: datetime | None = None
    interval: ResolvedInterval | None = None
    snapshot_at: datetime | None = None

    @property
    @abstractmethod
    def estimated_rows(self) -> int:
        """About how many rows the pull makes."""

    def requests(self, queries: Sequence[Query] | None = None) -> list[Request]:
        """Return the requests. The oldest hours are first, because the API loses them first.

        :param queries: parts of the query; by default, all of it.
        """
        requests = [request for query in queries or self.queries for request in self.plan(query)]
        return sorted(requests, key=lambda request: request.window.start if request.window else _ANY_TIME)

    def plan(self, query: Query) -> Sequence[Request]:
        """Return the requests of a part of the query."""
        return plan(query)

    @abstractmethod
    def assemble(
        self, fetched: FetchResult, statuses: TweetStatuses, store: ResponseStore, folder: DatasetFolder
    ) -> AssemblyResult:
        """Write the tables from the stored responses.

        :param fetched: what happened to the requests.
        :param statuses: the status of each Tweet.
        :param store: where the responses are stored.
        :param folder: where the tables are written.
        :raises EngagementError: if no owner's Tweets are complete. Only ``tweet_status`` is written then.
        """
