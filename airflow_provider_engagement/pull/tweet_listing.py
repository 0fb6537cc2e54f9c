"""List the Tweets of users, with the private metrics of those whose token the connection has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.pull.answer_fetch import AnswerResult, Following
from airflow_provider_engagement.pull.answer_store import AnswerStore, StoredAnswer
from airflow_provider_engagement.pull.budget import Budget, Spending
from airflow_provider_engagement.pull.tweet_rows import user_snapshot_rows
from airflow_provider_engagement.pull.tweets_pull import (
    AssembledTweets,
    Step,
    TweetsPull,
    TweetTables,
    cost_of,
    ids_in,
    incompleteness,
)
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import USER_SNAPSHOTS, USER_STATUS
from airflow_provider_engagement.x_api.catalogue import Excluded, PricedRead, XEndpoint
from airflow_provider_engagement.x_api.outcomes import (
    X_ACCEPTED_BY_DEFAULT,
    XOutcome,
    XStatus,
    outcome_of_user,
    status_of_tweet,
    status_without_private,
    statuses_of_page,
)
from airflow_provider_engagement.x_api.planner import (
    PageRequest,
    UsersRequest,
    XRequest,
    next_page,
    plan_listing,
    plan_users,
)
from airflow_provider_engagement.x_api.query import PRIVATE, PUBLIC_ONLY, ListingQuery, UserQuery
from airflow_provider_engagement.x_api.reach import complete_from, is_complete, plan_probe
from airflow_provider_engagement.x_api.response import TweetObject, UserObject, parse_tweets, parse_users


@dataclass(frozen=True, kw_only=True)
class TweetListing(TweetsPull):
    """A pull of the Tweets of users.

    :param handles: the users who are named by handle, without the @.
    :param user_ids: the users who are named by id.
    :param start: the time of the oldest Tweets; ``None`` for as far back as X lists.
    :param end: the time before which the Tweets were created; ``None`` for now.
    :param excluded: the kinds of Tweets to leave out.
    :param budget: what the pull may read.
    """

    handles: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    excluded: tuple[Excluded, ...] = ()
    budget: Budget = field(default_factory=Budget)

    def steps(self) -> Sequence[Step]:
        """Return the steps: the users, their Tweets, and whether X lists older ones."""
        return (self._users, self._first_pages, self._probes)

    def follower(self) -> Following:
        """Return what follows the pages of each list, and stops the pull if it exceeds its budget."""
        spending = Spending(self.budget)
        seen: dict[ListingQuery, set[str]] = {}

        def follow(request: XRequest, answer: StoredAnswer) -> list[XRequest]:
            spending.add(self.billed_as(request), ids_in(answer), at=answer.fetched_at)
            if not isinstance(request, PageRequest) or self._is_probe(request):
                return []
            token = parse_tweets(answer.body, groups=request.query.groups).next_token
            read = seen.setdefault(request.query, set())
            more = next_page(request, token, seen=read)
            read.add(request.token or "")
            return [] if more is None else [more]

        return follow

    def billed_as(self, request: XRequest) -> PricedRead:
        """Return what the objects that answer a request are billed as."""
        if isinstance(request, UsersRequest):
            return PricedRead.USER
        is_own = isinstance(request, PageRequest) and request.query.user_id == self.own_user == request.account[1]
        return PricedRead.OWN_TWEET if is_own else PricedRead.TWEET

    def assemble(self, fetched: AnswerResult, store: AnswerStore, folder: DatasetFolder) -> AssembledTweets:
        """Write the tables from the stored answers."""
        assembled = AssembledTweets(cost=cost_of(self, fetched.requests, store))
        tables = TweetTables(self, folder)
        found, named = self._resolved(store)
        outcomes: Counter[XOutcome] = Counter()
        for name, status in named.items():
            user = found.get(name)
            about: dict[str, Any] = {"user_id": user.id if user else None, "outcome": status.outcome, "listed": None}
            about |= {"complete_from": None, "message": status.message, "checked_at": None}
            if user is not None and status.outcome is XOutcome.OK:
                about |= self._add_user(user, tables, store, fetched)
            outcomes[about["outcome"]] += 1
            assembled.users[name] = about
        self._write_users(assembled, folder, store)
        tables.publish(assembled, endpoint=str(XEndpoint.USER_TWEETS))
        assembled.error = incompleteness(outcomes, self.accepted, fetched, "user") or incompleteness(
            assembled.outcomes, (*X_ACCEPTED_BY_DEFAULT, *self.accepted), fetched
        )
        return assembled

    def _add_user(
        self, user: UserObject, tables: TweetTables, store: AnswerStore, fetched: AnswerResult
    ) -> dict[str, Any]:
        """Add the Tweets of a user to the tables, and return what is known about the list."""
        pages = self._first_pages_of(user)
        private: dict[str, TweetObject] = {}
        outcome, message = XOutcome.OK, ""
        for request in pages[1:]:
            for one, answer in _chain(request, store):
                if answer is None:
                    outcome, message = _outcome_missing(one, fetched)
                else:
                    private |= parse_tweets(answer.body, groups=one.query.groups).tweets
        listed, oldest, checked_at = 0, None, None
        for one, answer in _chain(pages[0], store):
            if answer is None:
                outcome, message = _outcome_missing(one, fetched)
                continue
            parsed = parse_tweets(answer.body, groups=PUBLIC_ONLY)
            checked_at = checked_at or answer.fetched_at
            listed += len(parsed.tweets)
            times = [tweet.created_at for tweet in parsed.tweets.values() if tweet.created_at]
            oldest = min([*times, *([oldest] if oldest else [])], default=None)
            statuses = {
                tweet_id: self._with_private(status, parsed.tweets[tweet_id], private)
                for tweet_id, status in statuses_of_page(parsed, groups=PUBLIC_ONLY).items()
            }
            tables.add(parsed, statuses, private, owner=one.query.owner, fetched_at=answer.fetched_at)
            refused = outcome_of_user(parsed.problems)
            if refused is not None:
                outcome, message = refused.outcome, refused.message
        known = self._is_complete(user, store, listed=listed, now=checked_at or self.started)
        since = complete_from(pages[0].query, is_complete=known, oldest_listed=oldest, now=checked_at or self.started)
        if outcome is not XOutcome.OK:
            since = None
        return {
            "outcome": outcome,
            "message": message,
            "listed": listed,
            "complete_from": since,
            "checked_at": checked_at,
        }

    def _with_private(self, status: XStatus, tweet: TweetObject, private: dict[str, TweetObject]) -> XStatus:
        if not self.private:
            return status
        if tweet.id in private:
            return status.joined(status_of_tweet(private[tweet.id], groups=PRIVATE))
        has_token = tweet.author_id is not None and self.has_token(tweet.author_id)
        return status.joined(status_without_private(tweet, has_token=has_token, now=self.started))

    def _users(self, store: AnswerStore) -> list[UsersRequest]:
        return plan_users(UserQuery(handles=self.handles, user_ids=self.user_ids, auth=self.auth, owner=self.owner))

    def _first_pages(self, store: AnswerStore) -> list[PageRequest]:
        found, _ = self._resolved(store)
        return [
            page for user in {user.id: user for user in found.values()}.values() for page in self._first_pages_of(user)
        ]

    def _first_pages_of(self, user: UserObject) -> list[PageRequest]:
        is_owner = self.auth is Auth.USER and self.has_token(user.id)
        query = ListingQuery(
            user_id=user.id,
            start=self.start,
            end=self.end,
            excluded=self.excluded,
            auth=self.auth,
            owner=user.id if is_owner else self.owner,
        )
        return plan_listing(query, private=is_owner and self.private, now=self.started)

    def _probes(self, store: AnswerStore) -> list[PageRequest]:
        found, _ = self._resolved(store)
        probes = []
        for user in {user.id: user for user in found.values()}.values():
            first = self._first_pages_of(user)[0]
            answers = [answer for _, answer in _chain(first, store)]
            read = [answer for answer in answers if answer is not None]
            if len(read) < len(answers):
                continue
            listed = sum(len(ids_in(answer)) for answer in read)
            count = user.counts.get("tweet_count")
            probe = plan_probe(first.query)
            if probe and not is_complete(first.query, listed=listed, tweet_count=count, now=read[0].fetched_at):
                probes.append(probe)
        return probes

    def _is_probe(self, request: PageRequest) -> bool:
        return request.token is None and self.start is not None and request.query.start is None

    def _is_complete(self, user: UserObject, store: AnswerStore, *, listed: int, now: datetime) -> bool:
        query = self._first_pages_of(user)[0].query
        if is_complete(query, listed=listed, tweet_count=user.counts.get("tweet_count"), now=now):
            return True
        probe = plan_probe(query)
        answer = store.read(probe) if probe else None
        if answer is None:
            return False
        return bool(ids_in(answer)) or parse_tweets(answer.body, groups=PUBLIC_ONLY).next_token is not None

    def _resolved(self, store: AnswerStore) -> tuple[dict[str, UserObject], dict[str, XStatus]]:
        """Return the users by the name that the task gives them, and the status of each name."""
        found: dict[str, UserObject] = {}
        named: dict[str, XStatus] = {}
        for request in self._users(store):
            answer = store.read(request)
            names = request.handles or request.user_ids
            if answer is None:
                named |= dict.fromkeys(names, XStatus(XOutcome.FAILED, (), "the request for the user has no answer"))
                continue
            parsed = parse_users(answer.body)
            by_name = {
                (user.handle or "").lower() if request.handles else user.id: user for user in parsed.users.values()
            }
            reasons = {
                (problem.value or problem.resource_id or "").lower(): outcome_of_user([problem])
                for problem in parsed.problems
            }
            for name in names:
                key = name.lower() if request.handles else name
                if key in by_name:
                    found[name] = by_name[key]
                    named[name] = XStatus(XOutcome.OK)
                else:
                    named[name] = reasons.get(key.lower()) or XStatus(
                        XOutcome.NO_DATA, (), "the API said nothing about the user"
                    )
        return found, named

    def _write_users(self, assembled: AssembledTweets, folder: DatasetFolder, store: AnswerStore) -> None:
        run, users = self.run, assembled.users
        with folder.open({USER_STATUS: f"{USER_STATUS.name}/{run.file_path}"}) as files:
            files[USER_STATUS.name].append(
                columns_to_table(
                    USER_STATUS,
                    {
                        "user": list(users),
                        "run_id": [run.run_id] * len(users),
                        "task": [run.task] * len(users),
                        **{
                            column: [None if about[column] == "" else about[column] for about in users.values()]
                            for column in USER_STATUS.columns
                        },
                    },
                )
            )
            assembled.rows[USER_STATUS.name] = files[USER_STATUS.name].rows
        with folder.open({USER_SNAPSHOTS: f"{USER_SNAPSHOTS.name}/{run.file_path}"}) as files:
            for request in self._users(store):
                answer = store.read(request)
                if answer is not None:
                    rows = user_snapshot_rows(
                        parse_users(answer.body).users.values(),
                        run=run,
                        snapshot_at=self.snapshot_at,
                        fetched_at=answer.fetched_at,
                    )
                    files[USER_SNAPSHOTS.name].append(rows)
            assembled.rows[USER_SNAPSHOTS.name] = files[USER_SNAPSHOTS.name].rows


def _chain(first: PageRequest, store: AnswerStore) -> Iterator[tuple[PageRequest, StoredAnswer | None]]:
    """Yield the pages of a list with their stored answers; a missing answer ends the list."""
    request: PageRequest | None = first
    seen: set[str] = set()
    while request is not None:
        answer = store.read(request)
        yield request, answer
        if answer is None:
            return
        seen.add(request.token or "")
        token = parse_tweets(answer.body, groups=request.query.groups).next_token
        request = next_page(request, token, seen=seen)


def _outcome_missing(request: XRequest, fetched: AnswerResult) -> tuple[XOutcome, str]:
    if request.account in fetched.rejected:
        return XOutcome.UNAUTHORIZED, str(fetched.rejected[request.account])
    for failed, error in fetched.failures:
        if failed == request:
            return XOutcome.FAILED, str(error)
    return XOutcome.FAILED, "not sent after other requests failed"
