"""One request over real HTTP, to the simulator and to servers that fail in other ways."""

from __future__ import annotations

import base64
import json
import logging
import random
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pytest
import requests
import responses

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.client import DEFAULT_ADDRESS, EngagementClient
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import Outcome, ParsedResponse
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    EndpointNotFoundError,
    EngagementError,
    ForbiddenMetricsError,
    ForbiddenTweetsError,
    InvalidConnectionError,
    InvalidQueryError,
    InvalidResponseError,
    NoResponseError,
    NotEntitledError,
    PeriodCapError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    WaitRequired,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import (
    App,
    Clock,
    Fault,
    Handle,
    SeededCounts,
    Simulator,
    Switches,
    Tweet,
    World,
)

TWEET, METRIC, DAY, HOUR = Dimension
NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
AUTHOR, OTHER, THIRD, PRIVATE = "7588892", "370773112", "18435372", "2265341844"
NEW, SECOND, OLD, VIDEO, ANCIENT, DELETED, FOREIGN, FOREIGN_TOO = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",  # more than 90 days
    "1070059276213702656",  # more than 1,800 days
    "20",  # older than snowflakes
    "2000000000000000003",
    "2000000000000000009",
    "2000000000000000010",
)
PROTECTED = "2000000000000000011"
OWN = (NEW, SECOND, OLD, VIDEO, ANCIENT, DELETED)
Connect = Callable[..., Any]
Make = Callable[..., Request]


def make_world() -> World:
    def handle(user_id: str) -> Handle:
        return Handle(
            user_id=user_id,
            screen_name=f"user_{user_id}",
            access_token=f"{user_id}-canaryAccessToken",
            access_token_secret=f"canaryAccessSecret of {user_id}",
        )

    return World(
        apps=[App(consumer_key="canaryKey", consumer_secret="canary & more", bearer_token="AAAA%2FcanaryBearer%3D")],
        handles=[handle(AUTHOR), handle(OTHER), replace(handle(PRIVATE), protected=True)],
        tweets=[
            *(Tweet(id=tweet_id, author_id=AUTHOR, video_id=f"9{tweet_id}") for tweet_id in OWN if tweet_id != DELETED),
            Tweet(id=DELETED, author_id=AUTHOR, deleted=True),
            Tweet(id=FOREIGN, author_id=OTHER),
            Tweet(id=FOREIGN_TOO, author_id=THIRD),
            Tweet(id=PROTECTED, author_id=PRIVATE),
        ],
        counts=SeededCounts(7),
    )


@pytest.fixture
def world() -> World:
    """A user with Tweets of every age, one of them deleted, and Tweets of other users, one of them protected."""
    return make_world()


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every client that a test makes."""
    made: list[EngagementClient] = []
    initialize = EngagementClient.__init__

    def noted(client: EngagementClient, *args: Any, **settings: Any) -> None:
        made.append(client)
        initialize(client, *args, **settings)

    monkeypatch.setattr(EngagementClient, "__init__", noted)
    yield
    for client in made:
        client.close()


def counts_of(response: ParsedResponse) -> dict[tuple[str, str, Any], int | None]:
    counts = response.counts
    cells = [(tweet_id, period) for tweet_id in counts.tweet_ids for period in counts.periods]
    return {
        (tweet_id, metric, period): count
        for metric, column in counts.by_metric.items()
        for (tweet_id, period), count in zip(cells, column, strict=True)
    }


def outcomes(response: ParsedResponse) -> dict[str, str]:
    return {tweet_id: str(status.outcome) for tweet_id, status in response.statuses.items()}


def as_integers(nested: Any) -> Any:
    return {key: as_integers(child) for key, child in nested.items()} if isinstance(nested, dict) else int(nested)


# Documented examples, end to end


def connected_to(golden: Mapping[str, Any], connect: Connect, **settings: Any) -> Any:
    rate_clock = golden.get("rate_clock")
    one = connect(
        World.from_json(golden["world"]),
        now=datetime.fromisoformat(golden["clock"]),
        user=golden["auth"].get("user_id"),
        switches=Switches(**golden["switches"]),
        rate_clock=Clock(datetime.fromisoformat(rate_clock)) if rate_clock else None,
        **settings,
    )
    one.simulator.set_limit(per_minute=golden.get("requests_per_minute"))
    return one


@pytest.mark.parametrize("name", ["G1", "G2", "G3", "G4", "G5", "G7", "G13", "G15"])
def test_documented_examples_are_fetched_number_by_number(
    name: str, golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden(name)
    one = connected_to(example, connect)
    for exchange in example["exchanges"]:
        sent = request_of(exchange, example["auth"]["mode"])
        response = one.client.fetch(sent).response
        expected = {grouping: as_integers(exchange["response"][grouping]) for grouping in sent.query.groupings}
        if name == "G2":  # quote_tweets, which is not requested
            for counts in expected["perTweetMetricsOwned"].values():
                del counts["quote_tweets"]
        if name == "G7":
            for tweet_id in exchange["response"]["unsupported_for_video_views_tweet_ids"]:
                expected["grouping name"][tweet_id]["video_views"] = None
                assert response.statuses[tweet_id].outcome is Outcome.UNSUPPORTED_VIDEO
        assert response.groupings == expected
        # A grouping with four dimensions is made of the hourly rows, so it is not requested.
        documented = exchange["body"]["groupings"].items()
        added = {grouping for grouping, group_by in documented if len(group_by["group_by"]) < 4}
        groupings = [entry.body for entry in one.simulator.journal][-1]["groupings"]
        assert groupings.keys() == added | {sent.query.rows_grouping}
        assert all(groupings[grouping] == group_by for grouping, group_by in documented if grouping in added)


def test_g6_hours_of_day_are_fetched(golden: Callable[[str], dict[str, Any]], connect: Connect) -> None:
    example = golden("G6")
    one = connected_to(example, connect)
    (exchange,) = example["exchanges"]
    window = TimeRange(datetime(2016, 1, 12, 20, tzinfo=UTC), datetime(2016, 2, 9, 19, tzinfo=UTC))
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=("695310089847111681",),
        metrics=("impressions",),
        groupings={"hourly_timeseries": (METRIC, TWEET, HOUR)},
        interval=window,
    )
    response = one.client.fetch(Request(query, query.tweet_ids, window)).response
    expected = {"hourly_timeseries": as_integers(exchange["response"]["hourly_timeseries"])}
    assert response.groupings == expected


def test_g8_tweets_of_other_users_make_the_request_fail(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("G8")
    one = connected_to(example, connect)
    with pytest.raises(ForbiddenTweetsError) as caught:
        one.client.fetch(request_of(example["exchanges"][0], "user"))
    assert caught.value.tweet_ids_by_author == {
        "1114564404": ("640022366307745792",),
        "18435372": ("640026211712786432", "640026277605339136", "640027450420756481"),
        "2265341844": ("640022312914407425",),
    }
    assert len(one.simulator.journal) == 1


def test_g9_time_dimensions_on_totals_are_rejected_before_sending(
    golden: Callable[[str], dict[str, Any]], request_of: Make, totals: Make, connect: Connect
) -> None:
    example = golden("G9")
    (exchange,) = example["exchanges"]
    with pytest.raises(InvalidQueryError, match="groupings"):
        request_of(exchange, "app")
    one = connected_to(example, connect)
    one.simulator.faults.add(Fault(status=400, body=exchange["response"]))
    with pytest.raises(RequestRejectedError, match="groupBys"):
        one.client.fetch(totals(NEW))


def test_g10_missing_gzip_is_not_retried(
    golden: Callable[[str], dict[str, Any]], totals: Make, connect: Connect
) -> None:
    example = golden("G10")
    one = connected_to(example, connect)
    assert one.client.fetch(totals(NEW)).response.statuses[NEW].outcome is Outcome.OK
    one.simulator.faults.add(Fault(status=406, body=example["exchanges"][0]["response"]))
    with pytest.raises(RequestRejectedError, match="gzip"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 2


@pytest.mark.parametrize("status", [400, 200])
def test_g11_a_response_without_available_tweets_succeeds_with_either_status(
    status: int, golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("G11")
    one = connected_to({**example, "switches": {"all_unavailable_status": status}}, connect)
    response = one.client.fetch(request_of(example["exchanges"][0], "app")).response
    assert outcomes(response) == dict.fromkeys(("2000000000000000003", "2000000000000000004"), "unavailable")
    assert len(one.simulator.journal) == 1


def test_g12_the_seventh_request_of_a_minute_waits_and_gets_no_429(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("G12")
    one = connected_to(example, connect)
    for exchange in example["exchanges"]:
        one.client.fetch(request_of(exchange, "app"))
    assert [entry.status for entry in one.simulator.journal] == [200] * 7
    assert 29 <= sum(one.slept) <= 35


def test_g14_unaligned_times_are_rejected_before_sending(
    golden: Callable[[str], dict[str, Any]], request_of: Make
) -> None:
    with pytest.raises(InvalidQueryError, match="whole hour"):
        request_of(golden("G14")["exchanges"][0], "user")


# How a request is sent


def test_every_attempt_has_a_new_signature(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.faults.add(Fault.text(503, times=3))
    one.client.fetch(totals(NEW, auth=Auth.USER))
    # The simulator rejects a nonce that it has seen before.
    assert [entry.signature for entry in one.simulator.journal] == ["valid"] * 4
    assert [entry.status for entry in one.simulator.journal] == [503, 503, 503, 200]


def on_the_wire(wire: Any, **credentials: str) -> EngagementClient:
    given = credentials or {
        "api_key": "canaryKey",
        "api_key_secret": "canarySecret",
        "access_token": "7-canaryToken",
        "access_token_secret": "canaryTokenSecret",
        "bearer_token": "AAAA%2FcanaryBearer%3D",
    }
    return EngagementClient(
        Credentials(**given),
        address=Address(base_url=wire.url, token_url=f"{wire.url}/oauth2/token"),
        limiter=Limiter(RateLimit(), sleep=lambda seconds: None),
        attempts=3,
        user_agent="tests",
    )


def test_attempts_have_different_nonces(wire: Any, totals: Make) -> None:
    with pytest.raises(ServerError):
        on_the_wire(wire).fetch(totals(NEW, auth=Auth.USER))
    nonces = [re.findall('oauth_nonce="([^"]+)"', headers["Authorization"]) for _, headers, _ in wire.received]
    assert len({nonce for found in nonces for nonce in found}) == 3


def test_the_request_is_as_documented(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, headers: (200, {}, {"total": {NEW: {"favorites": "5"}}})
    assert counts_of(on_the_wire(wire).fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}
    ((path, headers, body),) = wire.received
    assert path == "/insights/engagement/totals"
    assert headers["Authorization"] == "Bearer AAAA%2FcanaryBearer%3D"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "tests"
    assert "Content-Encoding" not in headers
    assert json.loads(body) == {
        "tweet_ids": [NEW],
        "engagement_types": ["favorites"],
        "groupings": {"total": {"group_by": ["tweet.id", "engagement.type"]}},
    }


def test_a_response_without_compression_is_parsed(wire: Any, totals: Make) -> None:
    body = {"total": {NEW: {"favorites": "5"}}}
    wire.reply = lambda path, headers: (200, {"Content-Encoding": "identity"}, body)
    assert counts_of(on_the_wire(wire).fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}


def test_no_cookie_is_kept(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, headers: (200, {"Set-Cookie": "a=b; Path=/"}, {"total": {NEW: {"favorites": "5"}}})
    client = on_the_wire(wire)
    for _ in range(2):
        client.fetch(totals(NEW))
    assert all("Cookie" not in headers for _, headers, _ in wire.received)


def test_fetched_at_is_the_time_of_the_successful_attempt(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    one.simulator.faults.add(Fault.text(503, delay=0.2))
    before = datetime.now(UTC)
    fetched = one.client.fetch(totals(NEW))
    assert before + timedelta(seconds=0.2) <= fetched.fetched_at <= datetime.now(UTC)
    assert fetched.fetched_at.utcoffset() == timedelta()


def test_a_client_closes_its_connections_at_the_end_of_the_block(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, headers: (200, {}, {"total": {NEW: {"favorites": "5"}}})
    with on_the_wire(wire) as client:
        client.fetch(totals(NEW))
        session = client._sessions.open(wire.url)
    assert client._sessions.open(wire.url) is not session


def test_threads_share_a_client(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    one.client.limiter = Limiter(RateLimit())
    with ThreadPoolExecutor(4) as threads:
        fetched = list(threads.map(one.client.fetch, [totals(NEW), totals(SECOND)] * 8))
    for result, tweet_id in zip(fetched, [NEW, SECOND] * 8, strict=True):
        truth = one.simulator.total(tweet_id, "favorites")
        assert counts_of(result.response) == {(tweet_id, "favorites", None): truth}
    assert one.client.requests_sent == len(one.simulator.journal) == 16


# Bearer tokens


def test_a_bearer_token_is_obtained_once(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    for _ in range(3):
        one.client.fetch(totals(NEW))
    assert [entry.path for entry in one.simulator.journal].count("/oauth2/token") == 1


def test_the_bearer_token_is_requested_as_documented(wire: Any, totals: Make) -> None:
    def reply(path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        if path == "/oauth2/token":
            return 200, {}, {"token_type": "bearer", "access_token": "AAAA%2Fobtained%3D"}
        return 200, {}, {"total": {NEW: {"favorites": "5"}}}

    wire.reply = reply
    on_the_wire(wire, api_key="key/1", api_key_secret="se cret").fetch(totals(NEW))
    (_, token_headers, form), (_, sent, _) = wire.received
    assert token_headers["Authorization"] == "Basic " + base64.b64encode(b"key%2F1:se%20cret").decode()
    assert token_headers["Content-Type"] == "application/x-www-form-urlencoded;charset=UTF-8"
    assert form == b"grant_type=client_credentials"
    assert sent["Authorization"] == "Bearer AAAA%2Fobtained%3D"


def invalidate(one: Any) -> None:
    app, url = one.simulator.world.app, one.simulator.token_url.replace("/token", "/invalidate_token")
    token = one.client.obtain_bearer_token()
    basic = (app.consumer_key, quote(app.consumer_secret, safe=""))
    assert requests.post(url, data={"access_token": token}, auth=basic, timeout=10).status_code == 200


def test_an_invalid_obtained_token_is_renewed_once(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    one.client.fetch(totals(NEW))
    invalidate(one)
    one.simulator.journal.clear()
    assert outcomes(one.client.fetch(totals(NEW)).response) == {NEW: "ok"}
    assert [(entry.path.rpartition("/")[2], entry.status) for entry in one.simulator.journal] == [
        ("totals", 401),
        ("token", 200),
        ("totals", 200),
    ]
    assert not one.slept


def test_a_renewed_token_that_is_rejected_again_fails(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    one.simulator.faults.add(Fault(status=401, body={"errors": ["no"]}, path="totals", times=None))
    with pytest.raises(AuthenticationError):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal.to("totals")) == 2


@pytest.mark.parametrize(("auth", "bearer"), [(Auth.APP, True), (Auth.USER, True), (Auth.USER, False)])
def test_credentials_of_the_connection_are_not_renewed(
    auth: Auth, bearer: bool, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, bearer=bearer)
    one.client.obtain_bearer_token()
    one.simulator.journal.clear()
    one.simulator.faults.add(Fault(status=401, body={"errors": ["no"]}, path="totals", times=None))
    with pytest.raises(AuthenticationError):
        one.client.fetch(totals(NEW, auth=auth))
    assert len(one.simulator.journal) == 1


def test_a_failing_token_url_is_retried(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    faults = [Fault.text(503), Fault.html(502), Fault(drop="before_headers"), Fault(status=200, body={})]
    one.simulator.faults.add(*faults)
    assert outcomes(one.client.fetch(totals(NEW)).response) == {NEW: "ok"}
    assert len(one.slept) == 4


def test_a_rejected_key_and_secret_are_not_retried(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, bearer=False)
    world.change_app("canaryKey", consumer_secret="another")
    with pytest.raises(AuthenticationError, match="api_key and api_key_secret"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 1


# Retries

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


def test_a_redirect_is_not_followed(wire: Any, world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    for status in (301, 302, 303, 307, 308):
        one.simulator.journal.clear()
        one.simulator.faults.add(Fault.redirect(f"{wire.url}/elsewhere", status=status))
        with pytest.raises(EndpointNotFoundError, match="redirects"):
            one.client.fetch(totals(NEW, auth=Auth.USER))
        assert not wire.received
        assert len(one.simulator.journal) == 1


def test_an_address_without_a_server_is_named(totals: Make) -> None:
    address = replace(DEFAULT_ADDRESS, base_url="http://127.0.0.1:9", connect_timeout=0.5)
    slept: list[float] = []
    client = EngagementClient(
        Credentials(bearer_token="canary"),
        address=address,
        limiter=Limiter(RateLimit(), sleep=slept.append),
        attempts=2,
    )
    with pytest.raises(NoResponseError, match=re.escape("http://127.0.0.1:9")):
        client.fetch(totals(NEW))
    assert len(slept) == 1


# The rate limit


def test_the_snapshot_has_the_rate_limit_of_the_headers(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    one.simulator.set_limit(per_minute=42)
    one.client.fetch(totals(NEW))
    snapshot = one.client.limiter.snapshot()
    assert (snapshot.limit, snapshot.remaining) == (42, 41)
    assert snapshot.resets_at is not None
    assert 0 < snapshot.resets_at - snapshot.observed_at <= 61


def test_the_headers_of_an_error_response_are_read_too(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.set_limit(per_minute=42)
    with pytest.raises(ForbiddenTweetsError):
        one.client.fetch(totals(FOREIGN, auth=Auth.USER))
    assert one.client.limiter.snapshot().remaining == 41


@pytest.mark.parametrize("body", [{"errors": ["Rate limit exceeded"]}, {"errors": [{"code": 88}]}, "", "<html>"])
def test_429_is_waited_for_and_does_not_count_as_an_attempt(
    body: Any, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, attempts=1)
    one.simulator.faults.add(Fault(status=429, body=body, headers={"Retry-After": "3"}, times=2))
    response = one.client.fetch(totals(NEW)).response
    assert counts_of(response) == {(NEW, "favorites", None): one.simulator.total(NEW, "favorites")}
    assert [entry.status for entry in one.simulator.journal] == [429, 429, 200]
    assert sum(one.slept) >= 3
    assert one.client.limiter.rate_limited_requests == 2


def test_429_after_the_longest_wait_is_a_transient_error(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, max_wait=0)
    one.simulator.faults.add(Fault(status=429, body={"errors": ["Rate limit exceeded"]}, times=None))
    with pytest.raises(RateLimitedError, match="Rate limit exceeded"):
        one.client.fetch(totals(NEW))


def test_a_limit_that_renews_far_in_the_future_is_not_waited_for(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    # The headers also have the reset of the minute, which is not when this limit renews.
    minute = {"x-per-minute-reset": str(int(datetime.now(UTC).timestamp()) + 30)}
    one.simulator.faults.add(Fault(status=429, headers={"Retry-After": "864000"} | minute, times=None))
    with pytest.raises(PeriodCapError) as caught:
        one.client.fetch(totals(NEW))
    assert abs(caught.value.renews_at - datetime.now(UTC) - timedelta(days=10)) < timedelta(minutes=1)
    assert not one.slept


def test_a_wait_longer_than_max_inline_wait_raises_wait_required(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, max_inline_wait=5.0)
    one.simulator.faults.add(Fault(status=429, headers={"Retry-After": "30"}))
    with pytest.raises(WaitRequired) as caught:
        one.client.fetch(totals(NEW))
    left = (caught.value.until - datetime.now(UTC)).total_seconds()
    assert 25 < left < 32
    assert not one.slept


# Tweets of other users


@pytest.mark.parametrize("form", Switches.choices()["forbidden_format"])
def test_tweets_of_other_users_make_the_request_fail_by_default(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(forbidden_format=form))
    with pytest.raises(ForbiddenTweetsError) as caught:
        one.client.fetch(totals(NEW, FOREIGN, FOREIGN_TOO, auth=Auth.USER))
    found = caught.value.tweet_ids_by_author
    if form == "by_author":
        assert found == {OTHER: (FOREIGN,), THIRD: (FOREIGN_TOO,)}
    else:
        assert found == {None: (FOREIGN, FOREIGN_TOO)}


@pytest.mark.parametrize("form", Switches.choices()["forbidden_format"])
def test_dropped_tweets_of_other_users_are_reported_with_their_authors(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(forbidden_format=form), drop_forbidden=True)
    fetched = one.client.fetch(totals(NEW, FOREIGN, SECOND, FOREIGN_TOO, auth=Auth.USER))
    assert list(fetched.response.statuses) == [NEW, FOREIGN, SECOND, FOREIGN_TOO]
    assert outcomes(fetched.response) == {NEW: "ok", FOREIGN: "forbidden", SECOND: "ok", FOREIGN_TOO: "forbidden"}
    assert fetched.response.statuses[FOREIGN].metrics_affected == ("favorites",)
    named = form == "by_author"
    assert fetched.authors == {FOREIGN: OTHER if named else None, FOREIGN_TOO: THIRD if named else None}
    assert {key[0] for key in counts_of(fetched.response)} == {NEW, SECOND}
    assert [entry.body["tweet_ids"] for entry in one.simulator.journal] == [
        [NEW, FOREIGN, SECOND, FOREIGN_TOO],
        [NEW, SECOND],
    ]


def test_if_all_tweets_are_dropped_no_other_request_is_sent(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    fetched = one.client.fetch(totals(FOREIGN, FOREIGN_TOO, auth=Auth.USER))
    assert outcomes(fetched.response) == {FOREIGN: "forbidden", FOREIGN_TOO: "forbidden"}
    assert counts_of(fetched.response) == {}
    assert len(one.simulator.journal) == 1


def test_tweets_that_are_named_in_several_responses_are_dropped_in_rounds(
    world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    for tweet_id in (SECOND, OLD):
        one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {tweet_id};"]}))
    fetched = one.client.fetch(totals(NEW, SECOND, OLD, auth=Auth.USER))
    assert outcomes(fetched.response) == {NEW: "ok", SECOND: "forbidden", OLD: "forbidden"}


def test_an_error_that_names_no_tweet_of_the_request_is_raised(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR, drop_forbidden=True)
    one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {OLD}"]}, times=None))
    with pytest.raises(ForbiddenTweetsError):
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert len(one.simulator.journal) == 1


# Unavailable Tweets


@pytest.mark.parametrize("status", [400, 200])
def test_a_request_that_is_rejected_for_some_unavailable_tweets_is_repeated_without_them(
    status: int, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW)
    body = {"errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [SECOND]}
    one.simulator.faults.add(Fault(status=status, body=body))
    fetched = one.client.fetch(totals(NEW, SECOND))
    assert outcomes(fetched.response) == {NEW: "ok", SECOND: "unavailable"}
    assert fetched.response.statuses[SECOND].metrics_affected == ("favorites",)
    assert fetched.authors == {}
    assert [entry.body["tweet_ids"] for entry in one.simulator.journal] == [[NEW, SECOND], [NEW]]


@pytest.mark.parametrize("status", [400, 200])
def test_a_response_without_available_tweets_succeeds_in_every_form(
    status: int, world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW)
    bodies: list[dict[str, Any]] = [
        {"errors": ["2 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [NEW, SECOND]},
        {"errors": ["2 Tweet ID(s) are unavailable"]},
        {"unavailable_tweet_ids": [NEW, SECOND]},
        {"unavailable_tweet_ids": f"{NEW}, {SECOND}"},
    ]
    for body in bodies:
        one.simulator.faults.add(Fault(status=status, body=body))
        response = one.client.fetch(totals(NEW, SECOND)).response
        assert outcomes(response) == {NEW: "unavailable", SECOND: "unavailable"}
        assert counts_of(response) == {}
    assert len(one.simulator.journal) == len(bodies)


def test_tweets_of_a_protected_user_are_unavailable(world: World, connect: Connect, totals: Make) -> None:
    world.change_handle(AUTHOR, protected=True)
    one = connect(world, now=NOW, user=AUTHOR)
    assert outcomes(one.client.fetch(totals(NEW, auth=Auth.USER)).response) == {NEW: "unavailable"}


def test_an_error_about_tweets_that_are_all_available_is_raised(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    one.simulator.faults.add(Fault(status=400, body={"errors": ["1 Tweet ID(s) are unavailable"]}))
    with pytest.raises(RequestRejectedError, match="unavailable"):
        one.client.fetch(totals(NEW, SECOND))


def test_data_next_to_errors_is_kept(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    body = {"errors": ["something minor"], "total": {NEW: {"favorites": "5"}}}
    one.simulator.faults.add(Fault(status=200, body=body))
    response = one.client.fetch(totals(NEW)).response
    assert (counts_of(response), response.messages) == ({(NEW, "favorites", None): 5}, ("something minor",))


# Secrets

CANARIES = ("canaryKey", "canarySecret", "canaryToken", "canaryTokenSecret", "canaryBearer", "canaryObtained")


def assert_no_canary(text: str) -> None:
    pairs = re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)
    decoded = [
        base64.b64decode(pair + "=" * (-len(pair) % 4)).decode("latin-1") for pair in pairs if len(pair) % 4 != 1
    ]
    for canary in CANARIES:
        assert canary not in text
        assert not any(canary in one for one in decoded)


ECHOES: dict[str, Callable[[str], Any]] = {
    "string": lambda header: {"errors": [f"unknown {header}"]},
    "object": lambda header: {"errors": [{"code": 32, "message": f"unknown {header}"}]},
    "object without message": lambda header: {"errors": [{"code": 32, "header": header}]},
    "bare list": lambda header: [header],
    "html": lambda header: f"<html>{header}</html>".encode(),
    "forbidden": lambda header: {"errors": [f"Forbidden to access metrics: {header}"]},
    "data": lambda header: {"errors": [header], "total": {NEW: {"favorites": "5"}}},
    "value": lambda header: {"total": {NEW: {"favorites": header}}},
    "values": lambda header: {"total": {NEW: {"favorites": [header]}}},
    "window": lambda header: {"start": header, "total": {NEW: {"favorites": "5"}}},
}


ECHOING_RESPONSES = [
    *((status, "string") for status in (307, 400, 403, 404, 406, 429, 500)),
    *((status, echo) for status in (200, 401) for echo in ECHOES),
]


@pytest.mark.parametrize("way", ["user", "given bearer", "obtained bearer", "token url"])
def test_no_secret_is_shown_even_if_the_server_returns_it(
    way: str, wire: Any, totals: Make, caplog: pytest.LogCaptureFixture
) -> None:
    app = {"api_key": "canaryKey", "api_key_secret": "canarySecret"}
    user = {"access_token": "7-canaryToken", "access_token_secret": "canaryTokenSecret"}
    bearer = {"bearer_token": "AAAA%2FcanaryBearer%3D"}
    credentials = {
        "user": app | user | bearer,
        "given bearer": bearer,
        "obtained bearer": app | user,
        "token url": app | user,
    }[way]
    for status, echo in ECHOING_RESPONSES:

        def reply(
            path: str, headers: Mapping[str, str], status: int = status, echo: str = echo
        ) -> tuple[int, Mapping[str, str], Any]:
            if path == "/oauth2/token" and way == "obtained bearer":
                return 200, {}, {"token_type": "bearer", "access_token": "AAAA%2FcanaryObtained%3D"}
            return status, {"Retry-After": "864000"}, ECHOES[echo](headers["Authorization"])

        wire.reply = reply
        wire.received.clear()
        caplog.clear()
        client = on_the_wire(wire, **credentials)
        shown = [repr(client), str(client), repr(client.credentials)]
        with caplog.at_level(logging.DEBUG):
            try:
                fetched = client.fetch(totals(NEW, auth=Auth.USER if way == "user" else Auth.APP))
            except EngagementError as error:
                shown += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
            else:
                shown.append(repr(fetched))
        assert wire.received
        assert_no_canary("\n".join([*shown, caplog.text, *(repr(vars(record)) for record in caplog.records)]))


def test_the_check_for_secrets_finds_a_leak() -> None:
    for leak in ("x canaryKey", base64.b64encode(b"canaryKey:canarySecret").decode()):
        with pytest.raises(AssertionError):
            assert_no_canary(leak)


# Addresses


def test_the_default_address_is_the_documented_one() -> None:
    address = DEFAULT_ADDRESS
    assert address.base_url == "https://data-api.twitter.com"
    assert address.token_url == "https://api.twitter.com/oauth2/token"


@pytest.mark.parametrize("name", ["base_url", "token_url"])
def test_invalid_addresses_are_rejected_without_showing_them(name: str) -> None:
    for url in (
        "",
        "data-api.twitter.com",
        "ftp://data-api.twitter.com",
        "https://",
        "https://user:canarySecret@data-api.twitter.com",
        "http://data-api.twitter.com",
        "http://10.0.0.1:8080",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://[::1",
        "https://data-api.twitter.com:port",
        "https://data-api.twitter.com:99999",
        "https://data-api.twitter.com:0",
        "http://127.0.0.1:0",
        "https://data-api.twitter.com?token=canarySecret",
        "https://data-api.twitter.com#canarySecret",
        "https://data-api.twitter.com?",
        "https://data-api.twitter.com/#",
        "http://localhost/?",
        "https://:@data-api.twitter.com",
        "https://@data-api.twitter.com",
        "https://data-api.twitter.com\\@example.com",
        "https://data-api.twitter.com\n.example.com",
        "https://data-api.twitter.com\t",
        "https://data-api.twitter.com /oauth2/token",
        "https://data-api.twitter.com\u200b",
        "https://user%3AcanarySecret%40data-api.twitter.com",
        "https://data-api.twitter.com/%3Ftoken=canarySecret",
        "https://data-api.twitter.com/%23",
    ):
        with pytest.raises(InvalidConnectionError, match=name) as caught:
            replace(DEFAULT_ADDRESS, **{name: url})
        assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_loopback_addresses_can_use_http_and_a_trailing_slash_is_removed() -> None:
    for url in (
        "http://localhost:8080",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080",
        "https://data-api.x.com/",
        "http://127.0.0.1:1",
        "https://data-api.x.com:65535",
    ):
        assert replace(DEFAULT_ADDRESS, base_url=url).base_url == url.rstrip("/")


def test_timeouts_must_be_above_zero() -> None:
    for name in ("connect_timeout", "read_timeout"):
        for seconds in (0, -1, float("nan")):
            with pytest.raises(InvalidConnectionError, match=name):
                replace(DEFAULT_ADDRESS, **{name: seconds})


# Addresses outside this machine


@pytest.fixture
def internet() -> Iterator[responses.RequestsMock]:
    """Respond to requests to other hosts within this process."""
    with responses.RequestsMock() as mock:
        yield mock


def without_sleep(address: Address | None = None, **credentials: str) -> EngagementClient:
    given = credentials or {"bearer_token": "canary"}
    return EngagementClient(
        Credentials(**given), address=address, limiter=Limiter(RateLimit(), sleep=lambda seconds: None), attempts=2
    )


@pytest.mark.parametrize("host", ["https://data-api.twitter.com", "https://data-api.x.com"])
def test_requests_go_to_the_documented_paths(host: str, internet: responses.RequestsMock, totals: Make) -> None:
    internet.post(f"{host}/insights/engagement/totals", json={"total": {NEW: {"favorites": "5"}}})
    address = None if host == "https://data-api.twitter.com" else replace(DEFAULT_ADDRESS, base_url=host)
    assert counts_of(without_sleep(address).fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}


def test_tokens_are_requested_from_the_documented_url_by_default(
    internet: responses.RequestsMock, totals: Make
) -> None:
    internet.post("https://api.twitter.com/oauth2/token", json={"token_type": "bearer", "access_token": "obtained"})
    internet.post(
        "https://data-api.twitter.com/insights/engagement/totals",
        json={"total": {NEW: {"favorites": "5"}}},
        match=[responses.matchers.header_matcher({"Authorization": "Bearer obtained"})],
    )
    client = without_sleep(api_key="k", api_key_secret="s")
    assert counts_of(client.fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}


def test_an_invalid_certificate_is_not_retried(internet: responses.RequestsMock, totals: Make) -> None:
    url = "https://data-api.twitter.com/insights/engagement/totals"
    internet.post(url, body=requests.exceptions.SSLError("certificate verify failed"))
    with pytest.raises(InvalidConnectionError, match="certificate verify failed"):
        without_sleep().fetch(totals(NEW))
    assert len(internet.calls) == 1


def test_an_invalid_certificate_of_the_token_url_is_not_retried(internet: responses.RequestsMock, totals: Make) -> None:
    internet.post(
        "https://api.twitter.com/oauth2/token", body=requests.exceptions.SSLError("certificate verify failed")
    )
    with pytest.raises(InvalidConnectionError, match="certificate verify failed"):
        without_sleep(api_key="k", api_key_secret="s").fetch(totals(NEW))
    assert len(internet.calls) == 1


def test_a_request_that_cannot_be_sent_is_not_retried_and_its_error_has_no_secret(
    internet: responses.RequestsMock, totals: Make
) -> None:
    problem = requests.exceptions.InvalidHeader("'Bearer canary\\n'")
    internet.post("https://data-api.twitter.com/insights/engagement/totals", body=problem)
    internet.post("https://api.twitter.com/oauth2/token", body=problem)
    for client in (without_sleep(), without_sleep(api_key="k", api_key_secret="s")):
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
def test_a_failed_connection_is_retried(problem: Exception, internet: responses.RequestsMock, totals: Make) -> None:
    internet.post("https://data-api.twitter.com/insights/engagement/totals", body=problem)
    with pytest.raises(NoResponseError) as caught:
        without_sleep().fetch(totals(NEW))
    assert len(internet.calls) == 2
    assert "canary" not in "".join(traceback.format_exception(caught.value))


# Every behavior that the documentation leaves open


@pytest.fixture(scope="module")
def api() -> Iterator[Simulator]:
    """One simulator for all combinations of switches."""
    with Simulator(make_world(), clock=Clock(NOW)) as simulator:
        yield simulator


def client_of(simulator: Simulator) -> EngagementClient:
    app, handle = simulator.world.app, simulator.world.handles[AUTHOR]
    return EngagementClient(
        Credentials(
            api_key=app.consumer_key,
            api_key_secret=app.consumer_secret,
            access_token=handle.access_token,
            access_token_secret=handle.access_token_secret,
            bearer_token=app.bearer_token,
        ),
        address=Address(base_url=simulator.base_url, token_url=simulator.token_url),
        limiter=Limiter(RateLimit(), sleep=lambda seconds: None),
        drop_forbidden=True,
    )


def every_pair_of_choices() -> list[Switches]:
    """Return switches in which every value of a switch occurs with every value of every other switch."""
    choices = Switches.choices()
    pairs = {
        (first, one, second, other)
        for first, second in combinations(choices, 2)
        for one in choices[first]
        for other in choices[second]
    }
    chance = random.Random(1)
    found = []
    while pairs:
        first, one, second, other = min(pairs, key=str)
        candidates = [
            {name: chance.choice(values) for name, values in choices.items()} | {first: one, second: other}
            for _ in range(30)
        ]
        covered = [
            {pair for pair in pairs if row[pair[0]] == pair[1] and row[pair[2]] == pair[3]} for row in candidates
        ]
        best = max(range(30), key=lambda number: len(covered[number]))
        pairs -= covered[best]
        found.append(Switches(**candidates[best]))
    return found


SWITCHES = every_pair_of_choices()


def expected_nulls(endpoint: Endpoint, switches: Switches, metrics: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return the pairs of Tweet and metric without a count, by the documented rules."""
    nulls = {(tweet_id, metric) for metric in metrics for tweet_id in (DELETED, PROTECTED)}
    if endpoint is Endpoint.TOTALS or switches.old_impressions_scope == "all":
        nulls |= {(tweet_id, metric) for tweet_id in (OLD, VIDEO, ANCIENT) for metric in ("impressions", "engagements")}
    nulls |= {(tweet_id, "video_views") for tweet_id in (VIDEO, ANCIENT)}
    return {(tweet_id, metric) for tweet_id, metric in nulls if metric in metrics}


def assert_true_or_null_with_reason(
    response: ParsedResponse,
    nulls: set[tuple[str, str]],
    metrics: tuple[str, ...],
    truth: Callable[[str, str, Any], int],
    requested: tuple[str, ...] = OWN,
) -> None:
    read = counts_of(response)
    assert read
    for (tweet_id, metric, period), count in read.items():
        if (tweet_id, metric) in nulls:
            assert count is None
        else:
            assert count == truth(tweet_id, metric, period)
    assert {key[0] for key in read} == set(requested) - {DELETED, FOREIGN, PROTECTED}
    for tweet_id in requested:
        status = response.statuses[tweet_id]
        lacking = {metric for metric in metrics if (tweet_id, metric) in nulls}
        if tweet_id == FOREIGN:
            assert status.outcome is Outcome.FORBIDDEN
            lacking = set(metrics)
        assert set(status.metrics_affected) == lacking
        assert (status.outcome is Outcome.OK) == (not lacking)
        assert bool(status.message) == bool(lacking)


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda _: "")
def test_counts_are_true_or_null_with_a_reason_whatever_the_api_does(switches: Switches, api: Simulator) -> None:
    api.switches = switches
    _check_owned_totals(api)
    _check_public_totals(api)
    _check_historical(api)
    _check_last_28_hours(api)


def _check_owned_totals(api: Simulator) -> None:
    metrics = ("impressions", "engagements", "favorites", "video_views")
    named = (*OWN, FOREIGN)
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.USER, tweet_ids=named, metrics=metrics)
    response = client_of(api).fetch(Request(query, named, None)).response
    nulls = expected_nulls(Endpoint.TOTALS, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, lambda tweet, metric, _: api.total(tweet, metric), named)


def _check_public_totals(api: Simulator) -> None:
    metrics = metrics_of(Endpoint.TOTALS, Auth.APP)
    named = (*OWN, PROTECTED)
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=named, metrics=metrics)
    response = client_of(api).fetch(Request(query, named, None)).response
    nulls = expected_nulls(Endpoint.TOTALS, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, lambda tweet, metric, _: api.total(tweet, metric), named)


def _check_historical(api: Simulator) -> None:
    metrics = ("impressions", "favorites", "video_views")
    start = datetime(2026, 1, 11, 20, tzinfo=UTC)
    window = TimeRange(start, start + timedelta(hours=7))
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=OWN,
        metrics=metrics,
        groupings={"hours of day": (TWEET, METRIC, HOUR)},
        interval=window,
    )
    response = client_of(api).fetch(Request(query, OWN, window)).response

    def truth(tweet_id: str, metric: str, hour: Any) -> int:
        return api.count(tweet_id, metric, hour, hour + timedelta(hours=1))

    nulls = expected_nulls(Endpoint.HISTORICAL, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, truth)
    assert len(response.counts.periods) == 7
    by_hour = {f"{hour:%H}": hour for hour in response.counts.periods if hour is not None}
    for tweet_id, by_metric in response.groupings["hours of day"].items():
        for metric, hours in by_metric.items():
            if (tweet_id, metric) not in nulls:
                flat = {key: count for days in hours.values() for key, count in days.items()} if dated(hours) else hours
                assert flat == {key: truth(tweet_id, metric, hour) for key, hour in by_hour.items()}


def dated(hours: Mapping[str, Any]) -> bool:
    return any(isinstance(child, dict) for child in hours.values())


def _check_last_28_hours(api: Simulator) -> None:
    metrics = ("impressions", "favorites")
    query = Query(endpoint=Endpoint.LAST_28_HOURS, auth=Auth.USER, tweet_ids=OWN, metrics=metrics)
    response = client_of(api).fetch(Request(query, OWN, None)).response
    nulls = expected_nulls(Endpoint.LAST_28_HOURS, api.switches, metrics)
    assert_true_or_null_with_reason(
        response,
        nulls,
        metrics,
        lambda tweet, metric, hour: api.count(tweet, metric, hour, hour + timedelta(hours=1)),
    )
    assert 28 <= len(response.counts.periods) <= 29


@pytest.mark.parametrize("status", Switches.choices()["all_unavailable_status"])
@pytest.mark.parametrize("errors", Switches.choices()["errors_in_partial"])
def test_a_response_without_available_tweets_succeeds_on_every_endpoint(
    status: int, errors: bool, api: Simulator, totals: Make, historical: Make
) -> None:
    api.switches = Switches(all_unavailable_status=status, errors_in_partial=errors)
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for request in (totals(DELETED), historical(DELETED, window=window)):
        response = client_of(api).fetch(request).response
        assert outcomes(response) == {DELETED: "unavailable"}
        assert not counts_of(response)


@pytest.mark.parametrize("endpoint_status", Switches.choices()["entitlement_status"])
def test_an_app_without_access_is_not_entitled_with_either_status(
    endpoint_status: int, world: World, connect: Connect, totals: Make
) -> None:
    world.change_app("canaryKey", entitled=False)
    one = connect(world, now=NOW, switches=Switches(entitlement_status=endpoint_status))
    with pytest.raises(NotEntitledError, match="enable"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 1


def test_an_app_without_access_does_not_renew_its_token_in_vain(world: World, connect: Connect, totals: Make) -> None:
    world.change_app("canaryKey", entitled=False)
    one = connect(world, now=NOW, bearer=False, switches=Switches(entitlement_status=401))
    with pytest.raises(NotEntitledError):
        one.client.fetch(totals(NEW))
    assert [entry.path.rpartition("/")[2] for entry in one.simulator.journal] == ["token", "totals"]


@pytest.mark.parametrize("value", Switches.choices()["protected_tweets"])
def test_all_tweets_of_a_protected_owner_are_unavailable_in_every_form(
    value: str, world: World, connect: Connect, totals: Make, historical: Make
) -> None:
    world.change_handle(AUTHOR, protected=True)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(protected_tweets=value))
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for request in (totals(*OWN, auth=Auth.USER), historical(*OWN, window=window)):
        response = one.client.fetch(request).response
        assert outcomes(response) == dict.fromkeys(OWN, "unavailable")
        assert not counts_of(response)


@pytest.mark.parametrize("scope", Switches.choices()["quota_scope"])
def test_every_scope_of_the_quota_is_kept(
    scope: str, world: World, connect: Connect, totals: Make, historical: Make
) -> None:
    rate_clock = Clock(NOW)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(quota_scope=scope), rate_clock=rate_clock)
    one.simulator.set_limit(per_minute=3)
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for _ in range(4):
        for request in (totals(NEW), totals(NEW, auth=Auth.USER), historical(NEW, window=window)):
            assert outcomes(one.client.fetch(request).response) == {NEW: "ok"}
    assert sum(entry.status == 200 for entry in one.simulator.journal) == 12


@pytest.mark.parametrize("form", Switches.choices()["auth_errors"])
def test_a_revoked_user_is_an_authentication_error_in_both_formats(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    world.change_handle(AUTHOR, revoked=True)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(auth_errors=form))
    with pytest.raises(AuthenticationError, match=r"revoked|expired token"):
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert len(one.simulator.journal) == 1


def test_the_check_of_counts_finds_a_wrong_count(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    truth = one.simulator.total(NEW, "favorites")
    one.simulator.faults.add(Fault(status=200, body={"total": {NEW: {"favorites": str(truth + 1)}}}))
    with pytest.raises(AssertionError):
        assert_true_or_null_with_reason(
            one.client.fetch(totals(NEW)).response,
            set(),
            ("favorites",),
            lambda tweet, metric, _: one.simulator.total(tweet, metric),
            (NEW,),
        )


def test_an_incomplete_error_response_is_retried_because_its_text_decides(
    world: World, connect: Connect, totals: Make
) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.faults.add(Fault(status=403, body='{"errors": ["Forbidden to access twe', times=1))
    one.client.fetch(totals(NEW, auth=Auth.USER))
    assert [entry.status for entry in one.simulator.journal] == [403, 200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "99999999999999999"},
        {"Retry-After": "1e308"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"Retry-After": "9" * 400},
        {"x-per-minute-reset": "9999999999", "Date": "Mon, 01 Jan 0001 00:00:00 GMT"},
        {"x-per-minute-reset": "9" * 300},
    ],
)
def test_no_time_of_a_server_is_too_large(headers: dict[str, str], wire: Any, totals: Make) -> None:
    wire.reply = lambda path, sent: (429, headers, {"errors": ["too many"]})
    client = EngagementClient(
        Credentials(bearer_token="token"),
        address=replace(DEFAULT_ADDRESS, base_url=wire.url),
        limiter=Limiter(RateLimit(), max_inline_wait=0.0),
        max_wait=0.0,
    )
    with pytest.raises((PeriodCapError, RateLimitedError, WaitRequired)) as caught:
        client.fetch(totals(NEW))
    renews_at = getattr(caught.value, "renews_at", None)
    assert renews_at is None or renews_at < datetime.now(UTC) + timedelta(days=367)


def test_a_token_on_this_machine_is_not_requested_through_a_proxy(
    wire: Any, totals: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    wire.reply = lambda path, headers: (200, {}, {"token_type": "bearer", "access_token": "obtained"})
    client = EngagementClient(
        Credentials(api_key="k", api_key_secret="s"),
        address=Address(base_url="https://data-api.example.invalid", token_url=f"{wire.url}/oauth2/token"),
    )
    assert client.obtain_bearer_token() == "obtained"


def test_messages_of_a_server_are_bounded_and_have_no_control_characters(wire: Any, totals: Make) -> None:
    wire.reply = lambda path, headers: (400, {}, {"errors": ["a\n\x1b[2Jb" + "x" * 100_000] * 30})
    with pytest.raises(RequestRejectedError) as caught:
        on_the_wire(wire, bearer_token="token").fetch(totals(NEW))
    assert len(str(caught.value)) < 6_000
    assert "a [2Jbxxx" in str(caught.value)
    assert "(and 20 more)" in str(caught.value)
    assert str(caught.value).isprintable()
