"""Which failures are worth another attempt, and which are not."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from typing import Any

import pytest
import requests
import responses

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.client import DEFAULT_ADDRESS
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    ForbiddenMetricsError,
    InvalidConnectionError,
    InvalidResponseError,
    NoResponseError,
    NotEntitledError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import (
    Fault,
    World,
)

from ..engagement_client import AUTHOR, NEW, NOW, Connect, Make, MakeClient, counts_of

TRANSIENT_FAULTS = {
    "500": Fault(status=500, body={"errors": ["internal server error"]}),
    "502 in HTML": Fault.html(502),
    "503 in plain text": Fault.text(503),
    "504": Fault(status=504),
    "500 without a body": Fault(status=500),
    "200 in HTML": Fault.html(200),
    "200 without a body": Fault(status=200),
    "200 with half a body": Fault(status=200, body='{"total": {'),
    "200 with a list": Fault(status=200, body=["internal server error"]),
    "200 with null": Fault(status=200, body="null"),
    "200 with errors only": Fault(status=200, body={"errors": ["internal server error"]}),
    "200 with errors and a window only": Fault(
        status=200, body={"errors": ["internal server error"], "start": "2026-01-10T00:00:00Z"}
    ),
    "200 with an unreadable count": Fault(status=200, body={"total": {NEW: {"favorites": "five"}}}),
    "truncated gzip": Fault(truncate_gzip=True),
    "invalid gzip": Fault(status=200, body=b"{}", headers={"Content-Encoding": "deflate, gzip"}),
    "no response": Fault(drop="before_headers"),
    "half a response": Fault(drop="after_headers"),
    "a slow response": Fault(delay=0.5),
}


@pytest.mark.parametrize("fault", TRANSIENT_FAULTS.values(), ids=TRANSIENT_FAULTS)
def test_transient_faults_are_retried_and_nothing_is_lost(
    fault: Fault, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, address={"read_timeout": 0.3})
    one.simulator.faults.add(fault)
    response = one.client.fetch(totals(NEW, auth=Auth.USER)).response
    assert counts_of(response) == {(NEW, "favorites", None): one.simulator.total(NEW, "favorites")}
    assert one.client.requests_sent == 2
    (pause,) = one.slept
    assert 1 <= pause <= 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=500, body={"errors": ["internal server error"]}, times=None), ServerError),
        (Fault.html(502, times=None), ServerError),
        (Fault(status=200, body={"errors": ["internal server error"]}, times=None), ServerError),
        (Fault(status=200, times=None), InvalidResponseError),
        (Fault(truncate_gzip=True, times=None), InvalidResponseError),
        (Fault(drop="before_headers", times=None), NoResponseError),
    ],
)
def test_a_persistent_fault_fails_after_the_last_attempt(
    fault: Fault, error: type[EngagementError], world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, attempts=4)
    one.simulator.faults.add(fault)
    with pytest.raises(error, match="totals"):
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert one.client.requests_sent == 4
    assert [low <= pause <= low + 1 for low, pause in zip((1, 2, 4), one.slept, strict=True)] == [True] * 3


def test_waits_between_attempts_do_not_exceed_a_minute(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, attempts=10)
    one.simulator.faults.add(Fault.text(503, times=None))
    with pytest.raises(ServerError):
        one.client.fetch(totals(NEW))
    assert len(one.slept) == 9
    assert max(one.slept) <= 61
    assert one.client.limiter.waited_seconds == pytest.approx(sum(one.slept))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"errors": ["tweet_ids: size [0] is not between 1 and 250"]}, RequestRejectedError),
        (400, "<html>", RequestRejectedError),
        (401, {"errors": ["Your account could not be authenticated. Reason: X"]}, AuthenticationError),
        (401, "", AuthenticationError),
        (403, {"errors": [{"code": 220, "message": "Your credentials do not allow access"}]}, NotEntitledError),
        (403, {"errors": ["Forbidden to access metrics: retweets"]}, ForbiddenMetricsError),
        (403, {"errors": ["Sorry, your application id is not authorized."]}, NotEntitledError),
        (404, {"errors": [{"message": "Sorry, that page does not exist", "code": 34}]}, EndpointNotFoundError),
        (410, "", EndpointNotFoundError),
        (406, {"errors": ["This request requires gzip compression."]}, RequestRejectedError),
        (405, "", RequestRejectedError),
    ],
)
def test_permanent_errors_are_not_retried(
    status: int, body: Any, error: type[EngagementError], world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.faults.add(Fault(status=status, body=body, headers={"x-request-id": "r-17"}, times=None))
    with pytest.raises(error) as caught:
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert type(caught.value) is error
    assert "r-17" in str(caught.value)
    assert len(one.simulator.journal) == 1
    assert not one.slept


def test_an_incomplete_error_response_is_retried_because_its_text_decides(
    world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.faults.add(Fault(status=403, body='{"errors": ["Forbidden to access twe', times=1))
    one.client.fetch(totals(NEW, auth=Auth.USER))
    assert [entry.status for entry in one.simulator.journal] == [403, 200]


def test_a_redirect_is_not_followed(wire: Any, world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    for status in (301, 302, 303, 307, 308):
        one.simulator.journal.clear()
        one.simulator.faults.add(Fault.redirect(f"{wire.url}/elsewhere", status=status))
        with pytest.raises(EndpointNotFoundError, match="redirects"):
            one.client.fetch(totals(NEW, auth=Auth.USER))
        assert not wire.received
        assert len(one.simulator.journal) == 1


def test_an_address_without_a_server_is_named(totals: Make, make_client: MakeClient) -> None:
    address = replace(DEFAULT_ADDRESS, base_url="http://127.0.0.1:9", connect_timeout=0.5)
    slept: list[float] = []
    client = make_client(address, limiter=Limiter(RateLimit(), sleep=slept.append), attempts=2)
    with pytest.raises(NoResponseError, match=re.escape("http://127.0.0.1:9")):
        client.fetch(totals(NEW))
    assert len(slept) == 1


def test_an_invalid_certificate_is_not_retried(
    internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    url = "https://data-api.twitter.com/insights/engagement/totals"
    internet.post(url, body=requests.exceptions.SSLError("certificate verify failed"))
    with pytest.raises(InvalidConnectionError, match="certificate verify failed"):
        make_client(attempts=2).fetch(totals(NEW))
    assert len(internet.calls) == 1


def test_an_invalid_certificate_of_the_token_url_is_not_retried(
    internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    internet.post(
        "https://api.twitter.com/oauth2/token", body=requests.exceptions.SSLError("certificate verify failed")
    )
    with pytest.raises(InvalidConnectionError, match="certificate verify failed"):
        make_client(api_key="k", api_key_secret="s", attempts=2).fetch(totals(NEW))
    assert len(internet.calls) == 1


def test_a_request_that_cannot_be_sent_is_not_retried_and_its_error_has_no_secret(
    internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    problem = requests.exceptions.InvalidHeader("'Bearer canary\\n'")
    internet.post("https://data-api.twitter.com/insights/engagement/totals", body=problem)
    internet.post("https://api.twitter.com/oauth2/token", body=problem)
    for client in (make_client(attempts=2), make_client(api_key="k", api_key_secret="s", attempts=2)):
        with pytest.raises(InvalidConnectionError, match="InvalidHeader") as caught:
            client.fetch(totals(NEW))
        assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert len(internet.calls) == 2


@pytest.mark.parametrize(
    "problem",
    [
        requests.exceptions.ConnectionError("canary"),
        requests.exceptions.ConnectTimeout("canary"),
        requests.exceptions.ProxyError("canary"),
        requests.exceptions.ChunkedEncodingError("canary"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_failed_connection_is_retried(
    problem: Exception, internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    internet.post("https://data-api.twitter.com/insights/engagement/totals", body=problem)
    with pytest.raises(NoResponseError) as caught:
        make_client(attempts=2).fetch(totals(NEW))
    assert len(internet.calls) == 2
    assert "canary" not in "".join(traceback.format_exception(caught.value))
