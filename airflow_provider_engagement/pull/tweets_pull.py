"""A pull from X API v2: in steps of requests, since the answers to one step say what the next has to ask for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow

from airflow_provider_engagement.exceptions import EngagementError, IncompletePullError, UnacceptedGapsError
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.pull.answer_fetch import AnswerResult, Following
from airflow_provider_engagement.pull.answer_store import AnswerStore, StoredAnswer
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.tweet_rows import gone_rows, snapshot_rows, tweet_rows, user_rows
from airflow_provider_engagement.quantities import counted
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import TWEET_SNAPSHOTS, TWEET_STATUS, TWEETS, USERS
from airflow_provider_engagement.x_api.catalogue import PricedRead
from airflow_provider_engagement.x_api.outcomes import GONE, XOutcome, XStatus
from airflow_provider_engagement.x_api.planner import XRequest
from airflow_provider_engagement.x_api.prices import BilledReads, Cost
from airflow_provider_engagement.x_api.response import TweetObject, TweetsAnswer, UserObject

Step = Callable[[AnswerStore], Sequence[XRequest]]
"""Returns requests, given the answers to those of the steps before."""

_RETRIED = (XOutcome.FAILED, XOutcome.NO_DATA)


@dataclass(frozen=True, kw_only=True)
class TweetsPull(ABC):
    """What to ask X API v2 for, and which rows to make of it.

    :param run: the run of the task.
    :param auth: the kind of credentials for public metrics.
    :param has_token: returns whether there is an access token of a user.
    :param own_user: the user of the connection's access token, if it is known.
    :param private: whether to ask for private metrics of Tweets whose author's token there is.
    :param started: when the run began, the same in every attempt.
    :param snapshot_at: the time of the snapshot.
    :param accepted: the outcomes that do not fail the task. For Tweets, some more are accepted by default.
    """

    run: TaskRun
    auth: Auth
    has_token: Callable[[str], bool]
    own_user: str | None
    private: bool
    started: datetime
    snapshot_at: datetime
    accepted: Collection[XOutcome]

    @property
    def owner(self) -> str | None:
        """The owner whose token signs requests for public metrics; ``None`` with app credentials."""
        return self.own_user if self.auth is Auth.USER else None

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """Return the steps, in order."""

    def follower(self) -> Following:
        """Return what says which requests an answer leads to at once, such as the next page, for one execution."""
        return lambda request, answer: ()

    @abstractmethod
    def billed_as(self, request: XRequest) -> PricedRead:
        """Return what the objects that answer a request are billed as."""

    @abstractmethod
    def assemble(self, fetched: AnswerResult, store: AnswerStore, folder: DatasetFolder) -> AssembledTweets:
        """Write the tables from the stored answers.

        :param fetched: what happened to the requests.
        :param store: where the answers are stored.
        :param folder: where the tables are written.
        """


@dataclass(slots=True)
class AssembledTweets:
    """What an assembly wrote.

    :param outcomes: how many Tweets have each outcome.
    :param users: what is known about the list of each user.
    :param rows: rows by table.
    :param cost: what the answers cost.
    :param error: why the pull is not complete, if it is not.
    """

    outcomes: Counter[XOutcome] = field(default_factory=Counter)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    cost: Cost = field(default_factory=lambda: Cost({}))
    error: EngagementError | None = None


class TweetTables:
    """Writes the Tweets of a pull to its tables.

    :param pull: the pull.
    :param folder: where the tables are written.
    """

    def __init__(self, pull: TweetsPull, folder: DatasetFolder) -> None:
        self._pull, self._folder = pull, folder
        self._tweets = folder.open_merged(TWEETS, TWEETS.name, lambda time: f"created_month={time:%Y-%m}")
        self._users = folder.open_merged(USERS, USERS.name, lambda time: "part=all")
        self._snapshots = folder.open_merged(
            TWEET_SNAPSHOTS,
            TWEET_SNAPSHOTS.name,
            lambda time: f"snapshot_date={time:%Y-%m-%d}",
            file_of=lambda time: f"{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03}",
            time=pull.snapshot_at,
        )
        self._authors: dict[str, tuple[datetime, UserObject]] = {}
        self.statuses: dict[str, XStatus] = {}
        self._checked: dict[str, datetime] = {}
        self._owners: dict[str, str | None] = {}

    def add(
        self,
        answer: TweetsAnswer,
        statuses: Mapping[str, XStatus],
        private: Mapping[str, TweetObject],
        *,
        owner: str | None,
        fetched_at: datetime,
    ) -> None:
        """Add the Tweets of one answer that have no row yet.

        :param answer: the answer with public metrics.
        :param statuses: the status of each Tweet that the request is about.
        :param private: the Tweets of answers with private metrics.
        :param owner: the owner whose token signed the request.
        :param fetched_at: when it was sent.
        """
        tweets = [tweet for tweet in answer.tweets.values() if tweet.id not in self._checked]
        gone = {
            tweet_id: status.outcome
            for tweet_id, status in statuses.items()
            if status.outcome in GONE and tweet_id not in answer.tweets and tweet_id not in self._checked
        }
        for tweet_id, status in statuses.items():
            self.statuses[tweet_id] = status
            self._checked[tweet_id] = fetched_at
            self._owners[tweet_id] = owner
        self._stage(self._tweets, tweet_rows(tweets, answer.users, answer.media, fetched_at=fetched_at))
        self._stage(self._tweets, gone_rows(gone, fetched_at=fetched_at))
        joined = [tweet.joined(private[tweet.id]) if tweet.id in private else tweet for tweet in tweets]
        self._stage(
            self._snapshots,
            snapshot_rows(
                joined,
                run=self._pull.run,
                auth=str(self._pull.auth),
                snapshot_at=self._pull.snapshot_at,
                fetched_at=fetched_at,
            ),
        )
        self.add_users(answer.users.values(), fetched_at=fetched_at)

    def add_users(self, users: Iterable[UserObject], *, fetched_at: datetime) -> None:
        """Add users. Of one who is in several answers, the newest counts."""
        for user in users:
            known = self._authors.get(user.id)
            if known is None or known[0] <= fetched_at:
                self._authors[user.id] = (fetched_at, user)

    def add_missing(self, tweet_ids: Iterable[str], status: XStatus) -> None:
        """Add the status of Tweets whose request has no answer."""
        for tweet_id in tweet_ids:
            self.statuses.setdefault(tweet_id, status)

    def publish(self, assembled: AssembledTweets, *, endpoint: str) -> None:
        """Write all tables, and count the rows and outcomes.

        :param assembled: what was assembled.
        :param endpoint: the endpoint, for ``tweet_status``.
        """
        for fetched_at, user in self._authors.values():
            self._stage(self._users, user_rows([user], fetched_at=fetched_at))
        run = self._pull.run
        with self._folder.open({TWEET_STATUS: f"{TWEET_STATUS.name}/{run.file_path}"}) as files:
            files[TWEET_STATUS.name].append(self._status_rows(endpoint))
            assembled.rows[TWEET_STATUS.name] = files[TWEET_STATUS.name].rows
        missing = [tweet_id for tweet_id in self.statuses if tweet_id not in self._checked]
        self._snapshots.replace_rows_of(
            run.digest, self._pull.snapshot_at, keeps=pyarrow.array(missing, pyarrow.string())
        )
        published = {TWEETS.name: self._tweets, USERS.name: self._users, TWEET_SNAPSHOTS.name: self._snapshots}
        for name, table in published.items():
            table.publish()
            assembled.rows[name] = table.rows
        assembled.outcomes.update(status.outcome for status in self.statuses.values())

    def discard(self) -> None:
        """Delete the staged rows."""
        for table in (self._tweets, self._users, self._snapshots):
            table.discard()

    @staticmethod
    def _stage(table: Any, rows: pyarrow.Table) -> None:
        if rows.num_rows:
            table.stage(rows)

    def _status_rows(self, endpoint: str) -> pyarrow.Table:
        ids, run = list(self.statuses), self._pull.run
        statuses = list(self.statuses.values())
        return columns_to_table(
            TWEET_STATUS,
            {
                "tweet_id": ids,
                "run_id": [run.run_id] * len(ids),
                "task": [run.task] * len(ids),
                "owner": [self._owners.get(tweet_id) for tweet_id in ids],
                "endpoint": [endpoint] * len(ids),
                "outcome": [str(status.outcome) for status in statuses],
                "metrics_affected": [",".join(status.metrics_affected) or None for status in statuses],
                "message": [status.message or None for status in statuses],
                "checked_at": [self._checked.get(tweet_id) for tweet_id in ids],
            },
        )


def cost_of(pull: TweetsPull, requests: Iterable[XRequest], store: AnswerStore) -> Cost:
    """Return what the stored answers to requests cost.

    :param pull: the pull.
    :param requests: the requests.
    :param store: where the answers are stored.
    """
    reads = BilledReads()
    for request in requests:
        answer = store.read(request)
        if answer is not None:
            reads.add(pull.billed_as(request), ids_in(answer), at=answer.fetched_at)
    return reads.cost()


def ids_in(answer: StoredAnswer) -> list[str]:
    """Return the ids of the Tweets or users that an answer consists of."""
    data = answer.body.get("data")
    nodes = data if isinstance(data, list) else [data] if isinstance(data, dict) else []
    return [str(node["id"]) for node in nodes if isinstance(node, dict) and "id" in node]


def incompleteness(
    outcomes: Mapping[XOutcome, int], accepted: Collection[XOutcome], fetched: AnswerResult, noun: str = "Tweet"
) -> EngagementError | None:
    """Return the error of a pull with outcomes that the task does not accept, or ``None``.

    :param outcomes: how many Tweets or users have each outcome.
    :param accepted: the outcomes that the task accepts, beside ``ok``.
    :param fetched: what happened to the requests.
    :param noun: what has the outcomes.
    """
    gaps = {
        outcome: number
        for outcome, number in outcomes.items()
        if number and outcome is not XOutcome.OK and outcome not in accepted
    }
    if not gaps:
        return None
    if fetched.rejected:
        return next(iter(fetched.rejected.values()))
    text = ", ".join(f"{counted(number, noun)} {outcome}" for outcome, number in sorted(gaps.items()))
    if any(outcome in _RETRIED for outcome in gaps):
        first = f" The first error: {fetched.failures[0][1]}" if fetched.failures else ""
        return IncompletePullError(f"The pull is not complete: {text}. A retry sends the missing requests.{first}")
    return UnacceptedGapsError(
        f"The task does not accept these outcomes: {text}. Add them to accepted_outcomes, or leave the {noun}s out."
    )
