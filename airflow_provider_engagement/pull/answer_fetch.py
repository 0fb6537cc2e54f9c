"""Send requests of X API v2 whose answers are not stored, and follow the pages of listings to their end."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    BoundExceededError,
    CreditsDepletedError,
    EndpointNotFoundError,
    EngagementError,
    InvalidConnectionError,
    NotEntitledError,
    OwnerTokenError,
    PeriodCapError,
    StoppedError,
    TransientError,
    UsageCapError,
    WaitRequired,
)
from airflow_provider_engagement.http.credentials import Account, describe_account
from airflow_provider_engagement.pull.answer_store import AnswerStore, StoredAnswer
from airflow_provider_engagement.pull.progress import Progress, ReportProgress
from airflow_provider_engagement.x_api.catalogue import XEndpoint
from airflow_provider_engagement.x_api.planner import XRequest

log = logging.getLogger(__name__)

ENDS_ACCOUNT = (AuthenticationError, NotEntitledError, OwnerTokenError)
"""Errors after which no other request with the same credentials can succeed."""

ENDS_PULL = (
    BoundExceededError,
    CreditsDepletedError,
    UsageCapError,
    EndpointNotFoundError,
    PeriodCapError,
    InvalidConnectionError,
    StoppedError,
)
"""Errors after which no other request of a pull can succeed."""

MOST_FAILURES_IN_A_ROW = 5

Following = Callable[[XRequest, StoredAnswer], Iterable[XRequest]]
"""Returns the requests that the answer to a request leads to, such as the next page."""

Send = Callable[[XRequest], tuple[dict[str, Any], datetime]]
"""Sends a request, and returns the body of the answer and when the request was sent."""

Quota = tuple[XEndpoint, Account]


@dataclass(slots=True)
class AnswerResult:
    """What happened to requests.

    :param requests: the requests, with those that followed from answers.
    :param reused: how many were not sent, because their answers were stored.
    :param succeeded: how many got an answer.
    :param failures: the requests that failed, with the error.
    :param rejected: the accounts whose other requests were not sent, with the error.
    """

    requests: list[XRequest] = field(default_factory=list)
    reused: int = 0
    succeeded: int = 0
    failures: list[tuple[XRequest, EngagementError]] = field(default_factory=list)
    rejected: dict[Account, EngagementError] = field(default_factory=dict)

    @property
    def progress(self) -> Progress:
        """How far the requests are."""
        return Progress(
            planned=len(self.requests), succeeded=self.succeeded, reused=self.reused, failed=len(self.failures)
        )


def fetch_answers(
    first: Sequence[XRequest],
    *,
    store: AnswerStore,
    send: Send,
    following: Following,
    result: AnswerResult,
    concurrent_requests: int,
    report: ReportProgress,
) -> None:
    """Send requests, and those that follow from their answers, and store the answers as they arrive.

    A rate limit that is used up holds back only the requests of its endpoint and user. The others are sent first.

    :param first: the requests to begin with.
    :param store: where answers are stored.
    :param send: sends one request; several threads call it at once.
    :param following: returns what follows from an answer, stored or new.
    :param result: what happened before. What happens now is added.
    :param concurrent_requests: how many requests are in flight at once.
    :param report: is called with the progress.
    :raises WaitRequired: if only requests are left whose rate limits are used up for longer than the client waits.
    :raises EngagementError: if an error affects every request.
    """
    queue = deque(first)
    result.requests += first
    waits: dict[Quota, WaitRequired] = {}
    stop: BaseException | None = None
    in_a_row = 0
    in_flight: dict[Future[StoredAnswer], XRequest] = {}

    def fetch(request: XRequest) -> StoredAnswer:
        answer = StoredAnswer(*send(request))
        store.write(request, answer)
        return answer

    def follow(request: XRequest, answer: StoredAnswer) -> None:
        more = list(following(request, answer))
        result.requests.extend(more)
        queue.extend(more)

    with ThreadPoolExecutor(max_workers=concurrent_requests, thread_name_prefix="x_api") as pool:
        while True:
            while queue and stop is None and len(in_flight) < concurrent_requests:
                request = queue.popleft()
                if (stored := store.read(request)) is not None:
                    result.reused += 1
                    try:
                        follow(request, stored)
                    except EngagementError as error:
                        stop = error
                elif request.account not in result.rejected and (request.endpoint, request.account) not in waits:
                    in_flight[pool.submit(fetch, request)] = request
            if not in_flight:
                break
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                request = in_flight.pop(future)
                try:
                    answer = future.result()
                    result.succeeded += 1
                    in_a_row = 0
                    follow(request, answer)
                except WaitRequired as required:
                    waits[request.endpoint, request.account] = required
                except ENDS_ACCOUNT as error:
                    result.failures.append((request, error))
                    if request.account not in result.rejected:
                        result.rejected[request.account] = error
                        log.warning("No more requests for %s: %s", describe_account(request.account), error)
                except ENDS_PULL as error:
                    stop = stop or error
                except EngagementError as error:
                    result.failures.append((request, error))
                    in_a_row += isinstance(error, TransientError)
                    log.warning("Request on %s failed: %s", request.endpoint, error)
                    if in_a_row >= MOST_FAILURES_IN_A_ROW:
                        stop = error
            report(result.progress)
    if stop is not None:
        raise stop
    waits = {quota: required for quota, required in waits.items() if quota[1] not in result.rejected}
    if waits:
        raise min(waits.values(), key=lambda required: required.until)
