"""Sends the requests whose parts are missing, several at a time, and keeps each answer as it comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.dataset.response_store import StoredResponse, part_of
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    ForbiddenMetricsError,
    InvalidConnectionError,
    NotEntitledError,
    PeriodCapError,
    StoppedError,
    TransientError,
    WaitRequired,
)

log = logging.getLogger(__name__)

CONCERNS_EVERY_REQUEST = (
    AuthenticationError,
    NotEntitledError,
    ForbiddenMetricsError,
    EndpointNotFoundError,
    PeriodCapError,
    InvalidConnectionError,
    StoppedError,
)
"""Errors after which no other request of a pull could succeed."""

FAILURES_IN_A_ROW = 5
"""After so many requests that the server failed one after the other, the rest of a pull is not asked for."""

SECONDS_BETWEEN_LINES = 10.0


class Parts(Protocol):
    """Where parts are kept."""

    def holds(self, request: Request) -> bool:
        """Tell whether a request need not be sent."""

    def write(self, request: Request, part: StoredResponse) -> None:
        """Keep the answer to a request."""

    def fetched_at(self, request: Request) -> datetime | None:
        """Return when the answer to a request was fetched, if it is there."""

    def read(self, request: Request) -> StoredResponse | None:
        """Return the answer to a request, if it is there."""


class PartsInMemory:
    """Keeps parts for as long as the process lives; for small pulls that write no files."""

    def __init__(self) -> None:
        self._parts: dict[str, StoredResponse] = {}

    def holds(self, request: Request) -> bool:
        """Tell whether a request need not be sent."""
        return _key(request) in self._parts

    def write(self, request: Request, part: StoredResponse) -> None:
        """Keep the answer to a request."""
        self._parts[_key(request)] = part

    def fetched_at(self, request: Request) -> datetime | None:
        """Return when the answer to a request was fetched, if it is there."""
        part = self.read(request)
        return None if part is None else part.fetched_at

    def read(self, request: Request) -> StoredResponse | None:
        """Return the answer to a request, if it is there."""
        return self._parts.get(_key(request))


@dataclass(slots=True)
class FetchResult:
    """What became of the requests of a plan.

    :param requests: the plan.
    :param reused: how many of its requests needed not be sent, because their parts were there.
    :param answered: how many were answered in this try, over all of its waits.
    :param failures: those that failed, with the error.
    :param given_up: whether the rest was not asked for after too many failures in a row.
    """

    requests: Sequence[Request]
    reused: int = 0
    answered: int = 0
    failures: list[tuple[Request, EngagementError]] = field(default_factory=list)
    given_up: bool = False

    def why_missing(self, request: Request) -> str:
        """Return why a request brought no answer."""
        return next(
            (str(error) for failed, error in self.failures if failed is request),
            "not asked for after too many failures in a row",
        )


def fetch_missing(
    requests: Sequence[Request],
    *,
    parts: Parts,
    fetch: Callable[[Request], Fetched],
    workers: int = 8,
    since: datetime | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FetchResult:
    """Send every request of a plan whose part is missing, and keep what comes back.

    A request that fails for reasons of its own does not keep the others from being sent; one that fails for reasons
    that concern them all does. Whatever happens, answers that came are kept.

    :param requests: the plan.
    :param parts: where parts are kept.
    :param fetch: sends one request; called by several threads at once.
    :param workers: how many requests are under way at once.
    :param since: when the try began: parts that are newer were answered in it, before it had to wait.
    :param clock: a monotonic clock in seconds, for the lines of progress.
    :raises WaitRequired: if the rate limit allows the next request only later than is waited for in place.
    :raises EngagementError: if a request failed for a reason that concerns them all.
    """
    missing = [request for request in requests if not parts.holds(request)]
    pulled = FetchResult(requests, reused=len(requests) - len(missing))
    if since is not None:
        earlier = {id(request) for request in missing}
        there = (parts.fetched_at(request) for request in requests if id(request) not in earlier)
        pulled.answered = sum(fetched_at is not None and fetched_at >= since for fetched_at in there)
        pulled.reused -= pulled.answered
    progress = _Progress(pulled, clock)
    stop: BaseException | None = None
    in_a_row = 0
    queue = iter(missing)
    under_way: dict[Future[None], Request] = {}

    def fetch_and_keep(request: Request) -> None:
        parts.write(request, part_of(fetch(request)))

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="engagement") as pool:
        while True:
            if stop is None and not pulled.given_up:
                for request in _first(queue, workers - len(under_way)):
                    under_way[pool.submit(fetch_and_keep, request)] = request
            if not under_way:
                break
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                request = under_way.pop(future)
                error = future.exception()
                if error is None:
                    pulled.answered += 1
                    in_a_row = 0
                elif isinstance(error, EngagementError) and not isinstance(
                    error, (WaitRequired, *CONCERNS_EVERY_REQUEST)
                ):
                    pulled.failures.append((request, error))
                    # What is wrong with one request says nothing of the next; a server that fails does.
                    in_a_row += isinstance(error, TransientError)
                    pulled.given_up |= in_a_row >= FAILURES_IN_A_ROW
                    log.warning("A request for %d Tweets failed: %s", len(request.tweet_ids), error)
                else:
                    stop = _graver(stop, error)
            progress.tell()
    if stop is not None:
        raise stop
    return pulled


def _key(request: Request) -> str:
    return repr(request.body())


def _graver(first: BaseException | None, second: BaseException) -> BaseException:
    """Return the error to raise of two: any but a mere wait, else the longer wait."""
    if first is None or (isinstance(first, WaitRequired) and not isinstance(second, WaitRequired)):
        return second
    if isinstance(first, WaitRequired) and isinstance(second, WaitRequired):
        return max(first, second, key=lambda required: required.until)
    return first


def _first(items: Iterable[Request], number: int) -> Iterable[Request]:
    for _, item in zip(range(number), items, strict=False):
        yield item


class _Progress:
    """Tells the log how far a pull is, every few seconds at most."""

    def __init__(self, pulled: FetchResult, clock: Callable[[], float]) -> None:
        self._pulled = pulled
        self._clock = clock
        self._told_at = clock()

    def tell(self) -> None:
        now = self._clock()
        if now - self._told_at >= SECONDS_BETWEEN_LINES:
            self._told_at = now
            pulled = self._pulled
            log.info(
                "%d of %d requests done: %d answered now, %d reused, %d failed.",
                pulled.answered + pulled.reused + len(pulled.failures),
                len(pulled.requests),
                pulled.answered,
                pulled.reused,
                len(pulled.failures),
            )
