"""The status of each Tweet of a pull, over all requests that name it, and the owners whose Tweets are complete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.response import Outcome, TweetStatus
from airflow_provider_engagement.http.credentials import Account
from airflow_provider_engagement.pull.fetch import AFFECTS_ACCOUNT, FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse

TOO_OLD = "the Tweet is too old for these metrics, so they were not requested"


@dataclass(slots=True)
class TweetStatuses:
    """The status of each Tweet.

    A Tweet belongs to the account that requested it last. If the API names the author of a Tweet, the author's account
    requests it after the account that was listed as its owner.

    :param by_tweet: the status of each Tweet.
    :param accounts: the account that each Tweet belongs to.
    :param authors: for each Tweet that was left out because another user posted it, the id of that user, or ``None`` if
        the API did not name the user.
    :param checked: when the last request that named a Tweet was sent, if it has a response.
    """

    by_tweet: dict[str, TweetStatus] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    authors: dict[str, str | None] = field(default_factory=dict)
    checked: dict[str, datetime] = field(default_factory=dict)
    _equal: dict[TweetStatus, TweetStatus] = field(default_factory=dict)

    @classmethod
    def from_responses(cls, fetched: FetchResult, store: ResponseStore) -> Self:
        """Return the statuses of the Tweets of one plan.

        :param fetched: what happened to the requests.
        :param store: where the responses are stored.
        """
        statuses = cls()
        statuses.add(fetched, store)
        return statuses

    def add(self, fetched: FetchResult, store: ResponseStore) -> None:
        """Add what the stored responses and the failures of a plan say.

        :param fetched: what happened to the requests.
        :param store: where the responses are stored.
        """
        failed = dict.fromkeys(id(request) for request, error in fetched.failures if isinstance(error, AFFECTS_ACCOUNT))
        for request in fetched.requests:
            stored = store.read_statuses(request)
            if stored is not None:
                self._add(request, stored.statuses, stored.authors, stored.fetched_at)
                continue
            is_rejected = id(request) in failed or request.query.account in fetched.rejected
            outcome = Outcome.UNAUTHORIZED if is_rejected else Outcome.FAILED
            missing = TweetStatus(outcome, request.query.metrics, fetched.reason_missing(request))
            self._add(request, dict.fromkeys(request.tweet_ids, missing), {}, None)

    def owner_of(self, tweet_id: str) -> str | None:
        """Return the owner whose access token read a Tweet; ``None`` with app credentials."""
        return self.accounts[tweet_id][1] if tweet_id in self.accounts else None

    def of_request(self, request: Request, response: StoredResponse | None) -> dict[str, TweetStatus]:
        """Return what a request found out about each Tweet, except Tweets that another account requested after it.

        :param request: the request.
        :param response: its response, if it has one.
        """
        found = self.by_tweet if response is None else response.statuses
        account = request.query.account
        return {tweet_id: found[tweet_id] for tweet_id in request.tweet_ids if self.accounts[tweet_id] == account}

    def incomplete_accounts(self, accepted: Collection[Outcome]) -> set[Account]:
        """Return the accounts of Tweets with an outcome that is not accepted."""
        complete = {Outcome.OK, *accepted}
        return {self.accounts[tweet_id] for tweet_id, status in self.by_tweet.items() if status.outcome not in complete}

    def by_author(self, has_token: Callable[[str], bool], *, except_for: Collection[str]) -> dict[str, list[str]]:
        """Return the Tweets that another owner's access token reads, by that owner.

        :param has_token: returns whether there is an access token of a user.
        :param except_for: Tweets to leave out.
        """
        readable: dict[str, list[str]] = {}
        for tweet_id, author in self.authors.items():
            if author is not None and tweet_id not in except_for and has_token(author):
                readable.setdefault(author, []).append(tweet_id)
        return readable

    def items(self) -> Iterator[tuple[str, TweetStatus]]:
        """Yield each Tweet with its status."""
        return iter(self.by_tweet.items())

    def add_not_requested(self, tweet_ids: Collection[str]) -> None:
        """Add the Tweets that no request names, because they were created after the interval."""
        status = TweetStatus(Outcome.OK, message="created after the interval")
        for tweet_id in tweet_ids:
            self.by_tweet.setdefault(tweet_id, status)

    def _add(
        self,
        request: Request,
        statuses: Mapping[str, TweetStatus],
        authors: Mapping[str, str | None],
        fetched_at: datetime | None,
    ) -> None:
        account, too_old_for = request.query.account, request.query.too_old_for
        for tweet_id, status in statuses.items():
            if too_old_for:
                status = status.joined(TweetStatus(Outcome.UNSUPPORTED_90D, too_old_for, TOO_OLD))
            if self.accounts.get(tweet_id) == account:
                status = self.by_tweet[tweet_id].joined(status)
            else:
                self.accounts[tweet_id] = account
                self.authors.pop(tweet_id, None)
                self.checked.pop(tweet_id, None)
            # Most Tweets of a large pull have equal statuses, which share one object.
            self.by_tweet[tweet_id] = self._equal.setdefault(status, status)
            if fetched_at is not None:
                self.checked[tweet_id] = fetched_at
        self.authors.update(authors)
