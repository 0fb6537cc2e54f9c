"""Send a request in rounds, each time without the Tweets because of which the API rejected it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.response import (
    UNAVAILABLE_MESSAGE,
    Outcome,
    ParsedResponse,
    TweetStatus,
    parse_response,
)
from airflow_provider_engagement.exceptions import ApiError, ForbiddenTweetsError

MAX_ROUNDS = 5
"""How often a request is sent, each time without the Tweets that the last error response named."""

Send = Callable[[Request], tuple[ParsedResponse, datetime]]
"""Sends a request, and returns the response and when the request was sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedResponse:
    """A response, and how it was fetched.

    :param response: the parsed response.
    :param fetched_at: when the request was sent, in UTC.
    :param authors: for each Tweet that was left out because another user posted it, the id of that user, or ``None`` if
        the API did not name the user.
    """

    response: ParsedResponse
    fetched_at: datetime
    authors: dict[str, str | None]


class UnavailableTweetsError(Exception):
    """The API rejected a request because some of its Tweets are unavailable.

    :param tweet_ids: the Tweets that it named; empty if it named none.
    :param original: the error to raise if no other request can be sent.
    """

    def __init__(self, tweet_ids: tuple[str, ...], original: ApiError) -> None:
        super().__init__(str(original))
        self.tweet_ids = tweet_ids
        self.original = original


class SpareRequests:
    """How many requests can be sent that are not in the plan. Threads share it.

    :param number: the number; ``None`` for any.
    """

    def __init__(self, number: int | None = None) -> None:
        self._number = number
        self._lock = threading.Lock()

    def take(self, number: int = 1) -> bool:
        """Return whether so many requests can be sent, and count them if they can."""
        with self._lock:
            if self._number is None:
                return True
            if number > self._number:
                return False
            self._number -= number
            return True


class UnavailableTweetSearch:
    """Finds the unavailable Tweets that the API does not name, by halving the Tweets of a request.

    A Tweet is unavailable if the API rejects it alone as well. What was found once is not searched again, because a
    Tweet is in a request for each window of an interval.

    :param spare_requests: what its requests are counted against. One Tweet among 25 takes about ten, and 25 of 25 take
        48.
    """

    def __init__(self, spare_requests: SpareRequests) -> None:
        self._spare_requests = spare_requests
        self._found: set[tuple[object, str]] = set()
        self._lock = threading.Lock()

    def found_before(self, request: Request) -> list[str]:
        """Return the Tweets of a request that an earlier search found."""
        with self._lock:
            return [tweet_id for tweet_id in request.tweet_ids if (request.query.account, tweet_id) in self._found]

    def find(self, request: Request, send: Send, original: ApiError) -> list[str]:
        """Return the unavailable Tweets of a request that the API rejected without naming them.

        :param request: the request.
        :param send: sends a request.
        :param original: the error to raise if no more requests can be sent.
        """

        def of_rejected(tweet_ids: tuple[str, ...]) -> list[str]:
            first, second = tweet_ids[: len(tweet_ids) // 2], tweet_ids[len(tweet_ids) // 2 :]
            found = of(first)
            # If the first half has none, the second has one. A single Tweet is sent alone in any case.
            if not found and len(second) > 1:
                return of_rejected(second)
            return found + of(second)

        def of(tweet_ids: tuple[str, ...]) -> list[str]:
            if not self._spare_requests.take():
                raise original
            try:
                response, _ = send(replace(request, tweet_ids=tweet_ids))
            except UnavailableTweetsError as error:
                return list(error.tweet_ids) or of_rejected(tweet_ids)
            except ForbiddenTweetsError:
                return []
            return [tweet_id for tweet_id in tweet_ids if response.statuses[tweet_id].outcome is Outcome.UNAVAILABLE]

        # One more request is sent without the Tweets that are found.
        if not self._spare_requests.take():
            raise original
        found = of_rejected(request.tweet_ids)
        with self._lock:
            self._found.update((request.query.account, tweet_id) for tweet_id in found)
        return found


def fetch_in_rounds(
    request: Request, *, send: Send, send_of_search: Send, search: UnavailableTweetSearch, drop_forbidden: bool
) -> FetchedResponse:
    """Send a request until a response has no Tweets to leave out.

    :param request: the request.
    :param send: sends a request.
    :param send_of_search: sends a request after a search has begun. If it is interrupted, the search begins anew.
    :param search: finds the unavailable Tweets that the API does not name.
    :param drop_forbidden: whether to leave out Tweets of other users.
    """
    statuses: dict[str, TweetStatus] = {}
    authors: dict[str, str | None] = {}
    remaining = request

    def leave_out(tweet_ids: list[str], outcome: Outcome, message: str) -> None:
        nonlocal remaining
        statuses.update(dict.fromkeys(tweet_ids, TweetStatus(outcome, request.query.metrics, message)))
        remaining = replace(
            remaining, tweet_ids=tuple(tweet_id for tweet_id in remaining.tweet_ids if tweet_id not in statuses)
        )

    leave_out(search.found_before(request), Outcome.UNAVAILABLE, UNAVAILABLE_MESSAGE)
    for number in itertools.count(1):
        if not remaining.tweet_ids:
            response, fetched_at = parse_response(remaining, {}), datetime.now(UTC)
            break
        try:
            response, fetched_at = send(remaining)
            break
        except ForbiddenTweetsError as error:
            if not drop_forbidden:
                raise
            original: ApiError = error
            named = {tweet_id: author for author, ids in error.tweet_ids_by_author.items() for tweet_id in ids}
            rejected = [tweet_id for tweet_id in remaining.tweet_ids if tweet_id in named]
            authors |= {tweet_id: named[tweet_id] for tweet_id in rejected}
            outcome, message = Outcome.FORBIDDEN, "posted by another user"
        except UnavailableTweetsError as error:
            original = error.original
            if error.tweet_ids:
                rejected = [tweet_id for tweet_id in remaining.tweet_ids if tweet_id in error.tweet_ids]
            else:
                send = send_of_search
                rejected = search.find(remaining, send, original)
            outcome, message = Outcome.UNAVAILABLE, UNAVAILABLE_MESSAGE
        leave_out(rejected, outcome, message)
        if not rejected or (remaining.tweet_ids and number == MAX_ROUNDS):
            raise original
    all_statuses = {tweet_id: statuses.get(tweet_id) or response.statuses[tweet_id] for tweet_id in request.tweet_ids}
    return FetchedResponse(response=replace(response, statuses=all_statuses), fetched_at=fetched_at, authors=authors)
