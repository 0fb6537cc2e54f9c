"""Look up Tweets by id, with the private metrics of those whose author's token the connection has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_engagement.pull.answer_fetch import AnswerResult
from airflow_provider_engagement.pull.answer_store import AnswerStore
from airflow_provider_engagement.pull.tweets_pull import (
    AssembledTweets,
    Step,
    TweetsPull,
    TweetTables,
    cost_of,
    incompleteness,
)
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.x_api.catalogue import PricedRead, TweetKind, XEndpoint, metrics_in
from airflow_provider_engagement.x_api.outcomes import (
    GONE,
    X_ACCEPTED_BY_DEFAULT,
    XOutcome,
    XStatus,
    status_without_private,
    statuses_of_lookup,
)
from airflow_provider_engagement.x_api.planner import (
    LookupRequest,
    XRequest,
    plan_private,
    plan_public,
    plan_refused,
)
from airflow_provider_engagement.x_api.query import PRIVATE, PUBLIC_ONLY
from airflow_provider_engagement.x_api.response import TweetObject, TweetsAnswer, parse_tweets


@dataclass(frozen=True, kw_only=True)
class TweetLookup(TweetsPull):
    """A pull of Tweets by id.

    :param tweets: the Tweets, each with its owner as far as it is known.
    """

    tweets: Mapping[str, str | None]

    def steps(self) -> Sequence[Step]:
        """Return the steps: public metrics, those that only an owner sees, private metrics."""
        return (self._public, self._refused, self._private) if self.private else (self._public, self._refused)

    def billed_as(self, request: XRequest) -> PricedRead:
        """Return what the objects that answer a request are billed as: a look-up has one price."""
        return PricedRead.TWEET

    def assemble(self, fetched: AnswerResult, store: AnswerStore, folder: DatasetFolder) -> AssembledTweets:
        """Write the tables from the stored answers."""
        assembled = AssembledTweets(cost=cost_of(self, fetched.requests, store))
        private, private_statuses = self._private_answers(fetched, store)
        tables = TweetTables(self, folder)
        public = tuple(metric.column for metric in metrics_in(*PUBLIC_ONLY))
        requests = [request for request in _lookups(fetched) if request.query.groups == PUBLIC_ONLY]
        # What an owner's token sees replaces what the connection's own credentials do not.
        for request in reversed(requests):
            answer = store.read(request)
            if answer is None:
                reason = _reason_missing(request, fetched)
                tables.add_missing(request.tweet_ids, XStatus(XOutcome.FAILED, public, reason))
                continue
            parsed = parse_tweets(answer.body, groups=PUBLIC_ONLY)
            statuses = statuses_of_lookup(request.tweet_ids, parsed, groups=PUBLIC_ONLY)
            statuses = {
                tweet_id: self._with_private(status, parsed.tweets.get(tweet_id), private_statuses)
                for tweet_id, status in statuses.items()
                if tweet_id not in tables.statuses
            }
            tables.add(parsed, statuses, private, owner=request.query.owner, fetched_at=answer.fetched_at)
        tables.publish(assembled, endpoint=str(XEndpoint.TWEETS))
        assembled.error = incompleteness(assembled.outcomes, (*X_ACCEPTED_BY_DEFAULT, *self.accepted), fetched)
        return assembled

    def _public(self, store: AnswerStore) -> list[LookupRequest]:
        return plan_public(self.tweets, auth=self.auth, owner=self.owner)

    def _refused(self, store: AnswerStore) -> list[LookupRequest]:
        refused = []
        for request in self._public(store):
            if (parsed := _parsed(request, store)) is not None:
                statuses = statuses_of_lookup(request.tweet_ids, parsed, groups=PUBLIC_ONLY)
                refused += [id_ for id_, status in statuses.items() if status.outcome is XOutcome.PROTECTED]
        others = {tweet_id: owner for tweet_id, owner in self.tweets.items() if owner != self.owner}
        return plan_refused(refused, others, has_token=self.has_token)

    def _private(self, store: AnswerStore) -> list[LookupRequest]:
        authors: dict[str, str | None] = {}
        for request in [*self._public(store), *self._refused(store)]:
            if (parsed := _parsed(request, store)) is not None:
                authors |= {
                    tweet.id: tweet.author_id
                    for tweet in parsed.tweets.values()
                    # The API refuses the private metrics of a Retweet, which are those of another Tweet.
                    if tweet.kind is not TweetKind.RETWEET
                }
        return plan_private(authors, has_token=self.has_token, now=self.started)

    def _private_answers(
        self, fetched: AnswerResult, store: AnswerStore
    ) -> tuple[dict[str, TweetObject], dict[str, XStatus]]:
        tweets: dict[str, TweetObject] = {}
        statuses: dict[str, XStatus] = {}
        columns = tuple(metric.column for metric in metrics_in(*PRIVATE))
        for request in _lookups(fetched):
            if request.query.groups != PRIVATE:
                continue
            if (parsed := _parsed(request, store)) is None:
                is_rejected = request.account in fetched.rejected
                outcome = XOutcome.UNAUTHORIZED if is_rejected else XOutcome.FAILED
                status = XStatus(outcome, columns, _reason_missing(request, fetched))
                statuses |= dict.fromkeys(request.tweet_ids, status)
                continue
            tweets |= parsed.tweets
            statuses |= statuses_of_lookup(request.tweet_ids, parsed, groups=PRIVATE)
        return tweets, statuses

    def _with_private(self, status: XStatus, tweet: TweetObject | None, private: Mapping[str, XStatus]) -> XStatus:
        if not self.private or tweet is None or status.outcome in GONE:
            return status
        found = private.get(tweet.id)
        if found is None:
            has_token = tweet.author_id is not None and self.has_token(tweet.author_id)
            found = status_without_private(tweet, has_token=has_token, now=self.started)
        return status.joined(found)


def _lookups(fetched: AnswerResult) -> list[LookupRequest]:
    return [request for request in fetched.requests if isinstance(request, LookupRequest)]


def _parsed(request: LookupRequest, store: AnswerStore) -> TweetsAnswer | None:
    answer = store.read(request)
    return None if answer is None else parse_tweets(answer.body, groups=request.query.groups)


def _reason_missing(request: XRequest, fetched: AnswerResult) -> str:
    for failed, error in fetched.failures:
        if failed == request:
            return str(error)
    rejection = fetched.rejected.get(request.account)
    return str(rejection) if rejection is not None else "not sent after other requests failed"
