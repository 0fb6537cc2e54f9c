"""Send the requests whose responses are not stored, several at a time, and store each response as it arrives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    ForbiddenMetricsError,
    InvalidConnectionError,
    NotEntitledError,
    OwnerTokenError,
    PeriodCapError,
    StoppedError,
    TransientError,
    WaitRequired,
)
from airflow_provider_engagement.http.credentials import Account, describe_account
from airflow_provider_engagement.pull.progress import Progress, ProgressSteps, ReportProgress
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.quantities import counted

log = logging.getLogger(__name__)

AFFECTS_ACCOUNT = (AuthenticationError, NotEntitledError, ForbiddenMetricsError, OwnerTokenError)
"""Errors after which no other request with the same credentials can succeed."""

AFFECTS_EVERY_REQUEST = (EndpointNotFoundError, PeriodCapError, InvalidConnectionError, StoppedError)
"""Errors after which no other request of a pull can succeed."""

MAX_CONSECUTIVE_FAILURES = 5
"""After this many consecutive failures of the server, the remaining requests of a pull are not sent."""


@dataclass(slots=True)
class FetchResult:
    """What happened to the requests of a plan.

    :param requests: the plan.
    :param reused: how many requests were not sent, because their responses were stored.
    :param succeeded: how many requests got a response in this attempt, before and after its waits.
    :param failures: the requests that failed, with the error.
    :param rejected: the accounts whose remaining requests were not sent, with the error.
    :param stopped_early: whether the remaining requests were not sent after too many consecutive failures.
    """

    requests: Sequence[Request]
    reused: int = 0
    succeeded: int = 0
    failures: list[tuple[Request, EngagementError]] = field(default_factory=list)
    rejected: dict[Account, EngagementError] = field(default_factory=dict)
    stopped_early: bool = False

    @property
    def progress(self) -> Progress:
        """How far the requests are."""
        return Progress(
            planned=len(self.requests), succeeded=self.succeeded, reused=self.reused, failed=len(self.failures)
        )

    def reason_missing(self, request: Request) -> str:
        """Return why a request has no response."""
        for failed, error in self.failures:
            if failed is request:
                return str(error)
        if request.query.account in self.rejected:
            return str(self.rejected[request.query.account])
        return f"not sent after {MAX_CONSECUTIVE_FAILURES} consecutive failures"

    def combined_with(self, later: FetchResult) -> FetchResult:
        """Return what happened to the requests of this plan and of one that was sent after it."""
        return FetchResult(
            requests=[*self.requests, *later.requests],
            reused=self.reused + later.reused,
            succeeded=self.succeeded + later.succeeded,
            failures=[*self.failures, *later.failures],
            rejected={**self.rejected, **later.rejected},
            stopped_early=self.stopped_early or later.stopped_early,
        )


def fetch_missing(
    requests: Sequence[Request],
    *,
    store: ResponseStore,
    fetch: Callable[[Request], FetchedResponse],
    concurrent_requests: int = 8,
    since: datetime | None = None,
    report: ReportProgress | None = None,
) -> FetchResult:
    """Send every request of a plan whose response is not stored, and store the responses.

    A failed request does not stop the others, unless its error affects them too. If the API rejects the credentials of
    one account, the requests of the other accounts are sent. Responses that arrived are stored whatever happens.

    :param requests: the plan.
    :param store: where responses are stored.
    :param fetch: sends one request; several threads call it at once.
    :param concurrent_requests: how many requests are in flight at once.
    :param since: when the attempt began. Newer stored responses count as succeeded, not as reused: the attempt fetched
        them before it waited.
    :param report: is called with the progress, at the start and when requests have ended. By default, the progress is
        logged, at most every ten seconds.
    :raises WaitRequired: if the rate limit allows the next request only later than the client waits in place.
    :raises EngagementError: if an error affects every request, such as a limit of the contract that is used up.
    """
    missing = [request for request in requests if not store.contains(request)]
    result = FetchResult(requests, reused=len(requests) - len(missing))
    if since is not None:
        missing_ids = {id(request) for request in missing}
        stored_at = (store.fetched_at(request) for request in requests if id(request) not in missing_ids)
        result.succeeded = sum(fetched_at is not None and fetched_at >= since for fetched_at in stored_at)
        result.reused -= result.succeeded
    report = report or ProgressSteps(_log_progress).update
    report(result.progress)
    stop: BaseException | None = None
    consecutive_failures = 0
    queue = (request for request in missing if request.query.account not in result.rejected)
    waiting: set[Account] = set()
    in_flight: dict[Future[None], Request] = {}

    def fetch_and_store(request: Request) -> None:
        store.write(request, StoredResponse.from_fetched(fetch(request)))

    with ThreadPoolExecutor(max_workers=concurrent_requests, thread_name_prefix="engagement") as pool:
        while True:
            if stop is None and not result.stopped_early:
                for request in islice(queue, concurrent_requests - len(in_flight)):
                    in_flight[pool.submit(fetch_and_store, request)] = request
            if not in_flight:
                break
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                request = in_flight.pop(future)
                error = future.exception()
                if error is None:
                    result.succeeded += 1
                    consecutive_failures = 0
                elif isinstance(error, AFFECTS_ACCOUNT):
                    result.failures.append((request, error))
                    account = request.query.account
                    if account not in result.rejected:
                        result.rejected[account] = error
                        log.warning("No more requests for %s: %s", describe_account(account), error)
                elif isinstance(error, EngagementError) and not isinstance(
                    error, (WaitRequired, *AFFECTS_EVERY_REQUEST)
                ):
                    result.failures.append((request, error))
                    # A permanent error is about one request; a transient one is likely to hit the next request too.
                    consecutive_failures += isinstance(error, TransientError)
                    result.stopped_early |= consecutive_failures >= MAX_CONSECUTIVE_FAILURES
                    log.warning("Request for %s failed: %s", counted(len(request.tweet_ids), "Tweet"), error)
                else:
                    stop = _more_severe(stop, error)
                    waiting.add(request.query.account)
            report(result.progress)
    # There is nothing to wait for if the credentials of all requests that wait are rejected.
    if stop is not None and not (isinstance(stop, WaitRequired) and waiting <= result.rejected.keys()):
        raise stop
    return result


def _log_progress(progress: Progress) -> None:
    log.info("%s", progress)


def _more_severe(first: BaseException | None, second: BaseException) -> BaseException:
    """Return the error to raise: any other error before a wait, and of two waits the longer."""
    if first is None or (isinstance(first, WaitRequired) and not isinstance(second, WaitRequired)):
        return second
    if isinstance(first, WaitRequired) and isinstance(second, WaitRequired):
        return max(first, second, key=lambda required: required.until)
    return first
