"""What is missing is sent, several at a time; what comes is kept, whatever happens to the others."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.dataset.fetch import PartsInMemory, fetch_missing
from airflow_provider_engagement.dataset.response_store import ResponseStore, StoredResponse, part_of
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    ForbiddenMetricsError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    NotEntitledError,
    PeriodCapError,
    RequestRejectedError,
    ServerError,
    WaitRequired,
)

MakeRequest = Callable[..., Request]
ParsedResponse = Callable[..., Fetched]

SECONDS = 10
"""How long a thread waits for another before a test has failed."""

TOLD: dict[str, Any] = {"endpoint": "totals", "status": 500}
NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)


class Server:
    """Answers requests, but for those that it was told to fail; and remembers which it was sent."""

    def __init__(self, answer: ParsedResponse, **errors: BaseException) -> None:
        self._answer = answer
        self._errors = {tweet_id.removeprefix("t"): error for tweet_id, error in errors.items()}
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Fetched:
        self.asked.append(request.tweet_ids[0])
        if request.tweet_ids[0] in self._errors:
            raise self._errors[request.tweet_ids[0]]
        return self._answer(request)


@pytest.fixture
def plan(request_for: MakeRequest) -> Callable[[int], list[Request]]:
    """Make so many requests for one Tweet each: 1, 2, 3 and so on."""
    return lambda number: [request_for(str(tweet_id)) for tweet_id in range(1, number + 1)]


def test_every_request_is_sent_once_and_its_answer_kept(plan: Any, answer_to: ParsedResponse) -> None:
    requests, server, parts = plan(20), Server(answer_to), PartsInMemory()
    pulled = fetch_missing(requests, parts=parts, fetch=server, workers=4)
    assert sorted(server.asked, key=int) == [str(tweet_id) for tweet_id in range(1, 21)]
    assert (pulled.answered, pulled.reused, pulled.failures, pulled.given_up) == (20, 0, [], False)
    for request in requests:
        part = parts.read(request)
        assert part is not None
        assert part.counts["tweet_id"].to_pylist() == list(request.tweet_ids)


def test_an_empty_plan_sends_nothing(answer_to: ParsedResponse) -> None:
    server = Server(answer_to)
    pulled = fetch_missing([], parts=PartsInMemory(), fetch=server)
    assert (server.asked, pulled.answered, pulled.reused) == ([], 0, 0)


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_what_is_kept_is_not_asked_again(plan: Any, answer_to: ParsedResponse, tmp_path: Path, where: str) -> None:
    parts = PartsInMemory() if where == "memory" else ResponseStore(tmp_path, identity="7@key")
    requests = plan(6)
    for request in requests[1:4]:
        parts.write(request, part_of(answer_to(request)))
    server = Server(answer_to)
    again = parts if where == "memory" else ResponseStore(tmp_path, identity="7@key")
    pulled = fetch_missing(requests, parts=again, fetch=server, workers=2)
    assert sorted(server.asked) == ["1", "5", "6"]
    assert (pulled.answered, pulled.reused) == (3, 3)
    assert all(again.read(request) for request in requests)


@pytest.mark.parametrize(
    "error",
    [
        ServerError("The API failed.", **TOLD),
        NoResponseError("no answer"),
        InvalidResponseError("no JSON"),
        RequestRejectedError("The API refused the request.", **TOLD),
        ForbiddenTweetsError("not yours", tweet_ids_by_author={"9": ("2",)}, **TOLD),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_request_that_fails_for_reasons_of_its_own_stops_no_other(
    plan: Any, answer_to: ParsedResponse, error: EngagementError
) -> None:
    requests, parts = plan(10), PartsInMemory()
    server = Server(answer_to, t2=error)
    pulled = fetch_missing(requests, parts=parts, fetch=server, workers=1)
    assert len(server.asked) == 10
    assert pulled.failures == [(requests[1], error)]
    assert pulled.answered == 9
    assert not pulled.given_up
    assert pulled.why_missing(requests[1]) == str(error)
    assert [parts.read(request) is None for request in requests] == [number == 1 for number in range(10)]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("refused", **TOLD),
        NotEntitledError("not enabled", **TOLD),
        ForbiddenMetricsError("not these", **TOLD),
        EndpointNotFoundError("not here", **TOLD),
        PeriodCapError("used up", renews_at=None, **TOLD),
        InvalidConnectionError("no token"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_concerns_every_request_stops_at_once(
    plan: Any, answer_to: ParsedResponse, error: EngagementError
) -> None:
    requests, parts = plan(10), PartsInMemory()
    server = Server(answer_to, t3=error)
    with pytest.raises(type(error)) as raised:
        fetch_missing(requests, parts=parts, fetch=server, workers=1)
    assert raised.value is error
    assert server.asked == ["1", "2", "3"]
    assert [parts.holds(request) for request in requests[:3]] == [True, True, False]


def test_five_failures_in_a_row_are_enough(plan: Any, answer_to: ParsedResponse) -> None:
    requests, parts = plan(12), PartsInMemory()
    server = Server(answer_to, **{f"t{number}": NoResponseError(f"silence {number}") for number in range(3, 13)})
    pulled = fetch_missing(requests, parts=parts, fetch=server, workers=1)
    assert server.asked == [str(tweet_id) for tweet_id in range(1, 8)]
    assert pulled.given_up
    assert len(pulled.failures) == 5
    assert pulled.why_missing(requests[2]) == "silence 3"
    assert "too many failures in a row" in pulled.why_missing(requests[11])
    assert parts.holds(requests[0])
    assert parts.holds(requests[1])


def test_a_success_begins_the_count_of_failures_anew(plan: Any, answer_to: ParsedResponse) -> None:
    failing = {f"t{number}": NoResponseError("silence") for number in range(1, 24) if number % 5}
    server = Server(answer_to, **failing)
    pulled = fetch_missing(plan(24), parts=PartsInMemory(), fetch=server, workers=1)
    assert len(server.asked) == 24
    assert not pulled.given_up
    assert len(pulled.failures) == len(failing)


def test_a_required_wait_lets_what_is_under_way_come_home_and_sends_no_more(
    plan: Any, answer_to: ParsedResponse
) -> None:
    requests, parts = plan(10), PartsInMemory()
    under_way = threading.Barrier(3)
    asked: list[str] = []
    refused = threading.Event()

    def fetch(request: Request) -> Fetched:
        asked.append(request.tweet_ids[0])
        under_way.wait(timeout=SECONDS)
        if request.tweet_ids[0] == "1":
            refused.set()
            raise WaitRequired(NOON)
        assert refused.wait(timeout=SECONDS)
        return answer_to(request)

    with pytest.raises(WaitRequired) as raised:
        fetch_missing(requests, parts=parts, fetch=fetch, workers=3)
    assert raised.value.until == NOON
    assert sorted(asked) == ["1", "2", "3"]
    assert [parts.holds(request) for request in requests[:4]] == [False, True, True, False]


def test_of_two_waits_the_longer_counts(plan: Any) -> None:
    both = threading.Barrier(2)

    def fetch(request: Request) -> Fetched:
        both.wait(timeout=SECONDS)
        raise WaitRequired(NOON + timedelta(minutes=int(request.tweet_ids[0])))

    with pytest.raises(WaitRequired) as raised:
        fetch_missing(plan(2), parts=PartsInMemory(), fetch=fetch, workers=2)
    assert raised.value.until == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("first", ["wait", "refusal"])
def test_an_error_that_concerns_every_request_outweighs_a_wait(plan: Any, first: str) -> None:
    both = threading.Barrier(2)
    refusal = AuthenticationError("refused", **TOLD)

    def fetch(request: Request) -> Fetched:
        both.wait(timeout=SECONDS)
        raise WaitRequired(NOON) if (request.tweet_ids[0] == "1") == (first == "wait") else refusal

    with pytest.raises(AuthenticationError):
        fetch_missing(plan(2), parts=PartsInMemory(), fetch=fetch, workers=2)


def test_a_failure_among_those_under_way_does_not_hide_a_required_wait(plan: Any, answer_to: ParsedResponse) -> None:
    server = Server(answer_to, t1=NoResponseError("silence"), t2=WaitRequired(NOON))
    with pytest.raises(WaitRequired):
        fetch_missing(plan(5), parts=PartsInMemory(), fetch=server, workers=1)
    assert server.asked == ["1", "2"]


def test_an_answer_that_cannot_be_kept_fails_the_pull(plan: Any, answer_to: ParsedResponse) -> None:
    class FullDisk(PartsInMemory):
        def write(self, request: Request, part: StoredResponse) -> None:
            if request.tweet_ids == ("2",):
                raise OSError("No space left on device")
            super().write(request, part)

    requests, parts, server = plan(5), FullDisk(), Server(answer_to)
    with pytest.raises(OSError, match="No space left"):
        fetch_missing(requests, parts=parts, fetch=server, workers=1)
    assert server.asked == ["1", "2"]
    assert parts.holds(requests[0])


def test_no_more_than_so_many_requests_are_under_way(plan: Any, answer_to: ParsedResponse) -> None:
    lock = threading.Lock()
    now, most = 0, 0
    three = threading.Barrier(3)

    def fetch(request: Request) -> Fetched:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        three.wait(timeout=SECONDS)
        with lock:
            now -= 1
        return answer_to(request)

    fetch_missing(plan(12), parts=PartsInMemory(), fetch=fetch, workers=3)
    assert most == 3


def test_progress_is_told_every_ten_seconds_at_most(
    plan: Any, answer_to: ParsedResponse, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = itertools.count()
    told: list[int] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(last)

    last = 0

    def clock() -> float:
        nonlocal last
        last = next(seconds)
        return float(last)

    caplog.set_level(logging.INFO)
    log = logging.getLogger("airflow_provider_engagement.dataset.fetch")
    watch = Watch()
    log.addHandler(watch)
    try:
        parts, requests = PartsInMemory(), plan(50)
        parts.write(requests[0], part_of(answer_to(requests[0])))
        fetch_missing(requests, parts=parts, fetch=Server(answer_to), workers=1, clock=clock)
    finally:
        log.removeHandler(watch)
    assert told == [10, 20, 30, 40]
    lines = [record.getMessage() for record in caplog.records if record.name == log.name]
    assert lines[0] == "11 of 50 requests done: 10 answered now, 1 reused, 0 failed."


def test_a_quick_pull_tells_no_progress(plan: Any, answer_to: ParsedResponse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fetch_missing(plan(50), parts=PartsInMemory(), fetch=Server(answer_to), workers=1, clock=lambda: 5.0)
    assert [record for record in caplog.records if "requests done" in record.getMessage()] == []


def test_each_failure_is_told_when_it_happens(
    plan: Any, answer_to: ParsedResponse, caplog: pytest.LogCaptureFixture
) -> None:
    fetch_missing(plan(3), parts=PartsInMemory(), fetch=Server(answer_to, t2=NoResponseError("silence")), workers=1)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "silence" in warning.getMessage()
