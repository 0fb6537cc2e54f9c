"""Only missing responses are requested, several at a time. Each response is stored, whatever happens to the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
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
    OwnerTokenError,
    PeriodCapError,
    RequestRejectedError,
    ServerError,
    StoppedError,
    WaitRequired,
)
from airflow_provider_engagement.pull import progress
from airflow_provider_engagement.pull.fetch import fetch_missing
from airflow_provider_engagement.pull.progress import Progress
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse

IDENTITIES = {None: "7@key", "7": "7@key", "8": "8@key"}

Plan = Callable[[int], list[Request]]
Respond = Callable[..., FetchedResponse]

SECONDS = 10
"""How long a thread waits for another one before the test fails."""

HTTP_500: dict[str, Any] = {"endpoint": "totals", "status": 500}
NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)


class Server:
    """Responds to requests, or raises the error of their Tweet. It keeps the ids that were requested.

    :param respond: returns the response to a request.
    :param errors: errors by Tweet id with the prefix ``t``.
    """

    def __init__(self, respond: Respond, **errors: BaseException) -> None:
        self._respond = respond
        self._errors = {tweet_id.removeprefix("t"): error for tweet_id, error in errors.items()}
        self.requested: list[str] = []

    def __call__(self, request: Request) -> FetchedResponse:
        self.requested.append(request.tweet_ids[0])
        if request.tweet_ids[0] in self._errors:
            raise self._errors[request.tweet_ids[0]]
        return self._respond(request)


@pytest.fixture
def plan(request_for: Callable[..., Request]) -> Plan:
    """Return a number of requests for one Tweet each, with the ids 1, 2, 3 and so on."""
    return lambda number: [request_for(str(tweet_id)) for tweet_id in range(1, number + 1)]


@pytest.fixture
def store(tmp_path: Path) -> ResponseStore:
    return ResponseStore(tmp_path, identities=IDENTITIES)


def test_every_request_is_sent_once_and_its_response_stored(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    requests, server = plan(20), Server(response_to)
    result = fetch_missing(requests, store=store, fetch=server, concurrent_requests=4)
    assert sorted(server.requested, key=int) == [str(tweet_id) for tweet_id in range(1, 21)]
    assert (result.succeeded, result.reused, result.failures, result.stopped_early) == (20, 0, [], False)
    for request in requests:
        response = store.read(request)
        assert response is not None
        assert response.counts["tweet_id"].to_pylist() == list(request.tweet_ids)


def test_an_empty_plan_sends_nothing(store: ResponseStore, response_to: Respond) -> None:
    server = Server(response_to)
    result = fetch_missing([], store=store, fetch=server)
    assert (server.requested, result.succeeded, result.reused) == ([], 0, 0)


def test_a_stored_response_is_not_requested_again(
    plan: Plan, store: ResponseStore, response_to: Respond, tmp_path: Path
) -> None:
    requests, server = plan(6), Server(response_to)
    for request in requests[1:4]:
        store.write(request, StoredResponse.from_fetched(response_to(request)))
    reopened = ResponseStore(tmp_path, identities=IDENTITIES)
    result = fetch_missing(requests, store=reopened, fetch=server, concurrent_requests=2)
    assert sorted(server.requested) == ["1", "5", "6"]
    assert (result.succeeded, result.reused) == (3, 3)
    assert all(reopened.read(request) for request in requests)


def test_a_response_of_the_same_attempt_counts_as_succeeded_and_an_older_one_as_reused(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    requests = plan(3)
    for request in requests[:2]:
        store.write(request, StoredResponse.from_fetched(response_to(request)))
    stored_at = store.fetched_at(requests[0])
    assert stored_at is not None
    for since, expected in ((stored_at, (3, 0)), (stored_at + timedelta(seconds=1), (0, 3))):
        result = fetch_missing(requests, store=store, fetch=Server(response_to), since=since)
        # The third response is stored by the first call, with the same time.
        assert (result.succeeded, result.reused) == expected


@pytest.mark.parametrize(
    "error",
    [
        ServerError("The API failed.", **HTTP_500),
        NoResponseError("timeout"),
        InvalidResponseError("no JSON"),
        RequestRejectedError("The API rejected the request.", **HTTP_500),
        ForbiddenTweetsError("not yours", tweet_ids_by_author={"9": ("2",)}, **HTTP_500),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_one_request_does_not_stop_the_others(
    plan: Plan, store: ResponseStore, response_to: Respond, error: EngagementError
) -> None:
    requests, server = plan(10), Server(response_to, t2=error)
    result = fetch_missing(requests, store=store, fetch=server, concurrent_requests=1)
    assert len(server.requested) == 10
    assert result.failures == [(requests[1], error)]
    assert result.succeeded == 9
    assert not result.stopped_early
    assert result.reason_missing(requests[1]) == str(error)
    assert [store.read(request) is None for request in requests] == [number == 1 for number in range(10)]


@pytest.mark.parametrize(
    "error",
    [
        EndpointNotFoundError("not here", **HTTP_500),
        PeriodCapError("used up", renews_at=NOON, **HTTP_500),
        InvalidConnectionError("no token"),
        StoppedError("stopped"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_affects_every_request_stops_the_pull(
    plan: Plan, store: ResponseStore, response_to: Respond, error: EngagementError
) -> None:
    requests, server = plan(10), Server(response_to, t3=error)
    with pytest.raises(type(error)) as raised:
        fetch_missing(requests, store=store, fetch=server, concurrent_requests=1)
    assert raised.value is error
    assert server.requested == ["1", "2", "3"]
    assert [store.contains(request) for request in requests[:3]] == [True, True, False]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("rejected", **HTTP_500),
        NotEntitledError("not enabled", **HTTP_500),
        ForbiddenMetricsError("not these", **HTTP_500),
        OwnerTokenError("7", "no token", "Add it."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_rejected_credentials_stop_the_requests_that_they_sign(
    plan: Plan, store: ResponseStore, response_to: Respond, error: EngagementError, caplog: pytest.LogCaptureFixture
) -> None:
    mine = plan(10)
    others = [replace(request, query=replace(request.query, auth=Auth.USER, owner="8")) for request in mine[:2]]
    server = Server(response_to, t3=error)

    result = fetch_missing([*mine, *others], store=store, fetch=server, concurrent_requests=1)

    assert server.requested == ["1", "2", "3", "1", "2"]
    assert result.rejected == {mine[0].query.account: error}
    assert {result.reason_missing(request) for request in mine[2:]} == {str(error)}
    assert caplog.text.count("No more requests") == 1


def test_five_consecutive_failures_stop_the_pull(plan: Plan, store: ResponseStore, response_to: Respond) -> None:
    requests = plan(12)
    server = Server(response_to, **{f"t{number}": NoResponseError(f"timeout {number}") for number in range(3, 13)})
    result = fetch_missing(requests, store=store, fetch=server, concurrent_requests=1)
    assert server.requested == [str(tweet_id) for tweet_id in range(1, 8)]
    assert result.stopped_early
    assert len(result.failures) == 5
    assert result.reason_missing(requests[2]) == "timeout 3"
    assert result.reason_missing(requests[11]) == "not sent after 5 consecutive failures"
    assert store.contains(requests[0])
    assert store.contains(requests[1])


def test_a_success_resets_the_number_of_consecutive_failures(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    errors = {f"t{number}": NoResponseError("timeout") for number in range(1, 24) if number % 5}
    server = Server(response_to, **errors)
    result = fetch_missing(plan(24), store=store, fetch=server, concurrent_requests=1)
    assert len(server.requested) == 24
    assert not result.stopped_early
    assert len(result.failures) == len(errors)


def test_permanent_errors_are_not_consecutive_failures(plan: Plan, store: ResponseStore, response_to: Respond) -> None:
    rejected = RequestRejectedError("The API rejected the request.", endpoint="totals", status=400)
    server = Server(response_to, **{f"t{number}": rejected for number in range(1, 9)})
    result = fetch_missing(plan(9), store=store, fetch=server, concurrent_requests=1)
    assert (len(result.failures), result.succeeded, result.stopped_early) == (8, 1, False)


def test_a_required_wait_stops_new_requests_and_stores_the_responses_of_those_in_flight(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    requests = plan(10)
    in_flight = threading.Barrier(3)
    requested: list[str] = []
    rate_limited = threading.Event()

    def fetch(request: Request) -> FetchedResponse:
        requested.append(request.tweet_ids[0])
        in_flight.wait(timeout=SECONDS)
        if request.tweet_ids[0] == "1":
            rate_limited.set()
            raise WaitRequired(NOON)
        assert rate_limited.wait(timeout=SECONDS)
        return response_to(request)

    with pytest.raises(WaitRequired) as raised:
        fetch_missing(requests, store=store, fetch=fetch, concurrent_requests=3)
    assert raised.value.until == NOON
    assert sorted(requested) == ["1", "2", "3"]
    assert [store.contains(request) for request in requests[:4]] == [False, True, True, False]


def test_the_longer_of_two_waits_is_required(plan: Plan, store: ResponseStore) -> None:
    both = threading.Barrier(2)

    def fetch(request: Request) -> FetchedResponse:
        both.wait(timeout=SECONDS)
        raise WaitRequired(NOON + timedelta(minutes=int(request.tweet_ids[0])))

    with pytest.raises(WaitRequired) as raised:
        fetch_missing(plan(2), store=store, fetch=fetch, concurrent_requests=2)
    assert raised.value.until == NOON + timedelta(minutes=2)


@pytest.mark.parametrize("first", ["wait", "error"])
def test_nothing_waits_for_requests_whose_credentials_are_rejected(
    plan: Plan, store: ResponseStore, first: str
) -> None:
    both = threading.Barrier(2)

    def fetch(request: Request) -> FetchedResponse:
        both.wait(timeout=SECONDS)
        if (request.tweet_ids[0] == "1") == (first == "wait"):
            raise WaitRequired(NOON)
        raise AuthenticationError("rejected", **HTTP_500)

    result = fetch_missing(plan(2), store=store, fetch=fetch, concurrent_requests=2)

    assert [type(error) for error in result.rejected.values()] == [AuthenticationError]


def test_a_failed_request_does_not_hide_a_required_wait(plan: Plan, store: ResponseStore, response_to: Respond) -> None:
    server = Server(response_to, t1=NoResponseError("timeout"), t2=WaitRequired(NOON))
    with pytest.raises(WaitRequired):
        fetch_missing(plan(5), store=store, fetch=server, concurrent_requests=1)
    assert server.requested == ["1", "2"]


def test_a_response_that_cannot_be_stored_fails_the_pull(plan: Plan, response_to: Respond, tmp_path: Path) -> None:
    class FullDisk(ResponseStore):
        def write(self, request: Request, response: StoredResponse) -> None:
            if request.tweet_ids == ("2",):
                raise OSError("No space left on device")
            super().write(request, response)

    requests, server, store = (
        plan(5),
        Server(response_to),
        FullDisk(tmp_path, identities=IDENTITIES),
    )
    with pytest.raises(OSError, match="No space left"):
        fetch_missing(requests, store=store, fetch=server, concurrent_requests=1)
    assert server.requested == ["1", "2"]
    assert store.contains(requests[0])


def test_as_many_requests_are_in_flight_as_the_pull_allows(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    lock = threading.Lock()
    now, most = 0, 0
    three = threading.Barrier(3)

    def fetch(request: Request) -> FetchedResponse:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        three.wait(timeout=SECONDS)
        with lock:
            now -= 1
        return response_to(request)

    fetch_missing(plan(12), store=store, fetch=fetch, concurrent_requests=3)
    assert most == 3


def test_progress_is_reported_at_the_start_and_after_each_response(
    plan: Plan, store: ResponseStore, response_to: Respond
) -> None:
    requests = plan(4)
    store.write(requests[0], StoredResponse.from_fetched(response_to(requests[0])))
    reported: list[Progress] = []

    server = Server(response_to, t2=NoResponseError("timeout"))
    fetch_missing(requests, store=store, fetch=server, concurrent_requests=1, report=reported.append)

    assert [(each.reused, each.succeeded, each.failed, each.planned) for each in reported] == [
        (1, 0, 0, 4),
        (1, 0, 1, 4),
        (1, 1, 1, 4),
        (1, 2, 1, 4),
    ]


def test_a_quick_pull_logs_no_progress(
    plan: Plan, store: ResponseStore, response_to: Respond, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fetch_missing(plan(50), store=store, fetch=Server(response_to), concurrent_requests=1)
    assert [record for record in caplog.records if "done" in record.getMessage()] == []


def test_a_long_pull_logs_its_progress(
    plan: Plan,
    store: ResponseStore,
    response_to: Respond,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "MIN_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    fetch_missing(plan(4), store=store, fetch=Server(response_to), concurrent_requests=1)
    lines = [record.getMessage() for record in caplog.records if "done" in record.getMessage()]
    assert len(lines) == 4
    assert lines[0] == "25% done: 1 of 4 requests (1 succeeded, 0 reused, 0 failed). 3 left."


def test_each_failure_is_logged_when_it_happens(
    plan: Plan, store: ResponseStore, response_to: Respond, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(response_to, t2=NoResponseError("timeout"))
    fetch_missing(plan(3), store=store, fetch=server, concurrent_requests=1)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "timeout" in warning.getMessage()
