"""How a request is sent."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.client import DEFAULT_ADDRESS
from airflow_provider_engagement.exceptions import (
    ServerError,
)
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import (
    Fault,
    World,
)

from ..engagement_client import AUTHOR, NEW, NOW, SECOND, Connect, Make, MakeClient, counts_of


def test_every_attempt_has_a_new_signature(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW, user=AUTHOR)
    one.simulator.faults.add(Fault.text(503, times=3))
    one.client.fetch(totals(NEW, auth=Auth.USER))
    # The simulator rejects a nonce that it has seen before.
    assert [entry.signature for entry in one.simulator.journal] == ["valid"] * 4
    assert [entry.status for entry in one.simulator.journal] == [503, 503, 503, 200]


def test_attempts_have_different_nonces(wire: Any, totals: Make, on_the_wire: MakeClient) -> None:
    with pytest.raises(ServerError):
        on_the_wire().fetch(totals(NEW, auth=Auth.USER))
    nonces = [re.findall('oauth_nonce="([^"]+)"', headers["Authorization"]) for _, headers, _ in wire.received]
    assert len({nonce for found in nonces for nonce in found}) == 3


def test_the_request_is_as_documented(wire: Any, totals: Make, on_the_wire: MakeClient) -> None:
    wire.reply = lambda path, headers: (200, {}, {"total": {NEW: {"favorites": "5"}}})
    assert counts_of(on_the_wire().fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}
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


def test_a_response_without_compression_is_parsed(wire: Any, totals: Make, on_the_wire: MakeClient) -> None:
    body = {"total": {NEW: {"favorites": "5"}}}
    wire.reply = lambda path, headers: (200, {"Content-Encoding": "identity"}, body)
    assert counts_of(on_the_wire().fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}


def test_data_next_to_errors_is_kept(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    body = {"errors": ["something minor"], "total": {NEW: {"favorites": "5"}}}
    one.simulator.faults.add(Fault(status=200, body=body))
    response = one.client.fetch(totals(NEW)).response
    assert (counts_of(response), response.messages) == ({(NEW, "favorites", None): 5}, ("something minor",))


def test_no_cookie_is_kept(wire: Any, totals: Make, on_the_wire: MakeClient) -> None:
    wire.reply = lambda path, headers: (200, {"Set-Cookie": "a=b; Path=/"}, {"total": {NEW: {"favorites": "5"}}})
    client = on_the_wire()
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


def test_a_client_closes_its_connections_at_the_end_of_the_block(
    wire: Any, totals: Make, on_the_wire: MakeClient
) -> None:
    wire.reply = lambda path, headers: (200, {}, {"total": {NEW: {"favorites": "5"}}})
    with on_the_wire() as client:
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


# Where it is sent


def test_the_default_address_is_the_documented_one() -> None:
    address = DEFAULT_ADDRESS
    assert address.base_url == "https://data-api.twitter.com"
    assert address.token_url == "https://api.twitter.com/oauth2/token"


@pytest.mark.parametrize("host", ["https://data-api.twitter.com", "https://data-api.x.com"])
def test_requests_go_to_the_documented_paths(
    host: str, internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    internet.post(f"{host}/insights/engagement/totals", json={"total": {NEW: {"favorites": "5"}}})
    address = replace(DEFAULT_ADDRESS, base_url=host)
    assert counts_of(make_client(address, attempts=2).fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}


def test_tokens_are_requested_from_the_documented_url_by_default(
    internet: responses.RequestsMock, totals: Make, make_client: MakeClient
) -> None:
    internet.post("https://api.twitter.com/oauth2/token", json={"token_type": "bearer", "access_token": "obtained"})
    internet.post(
        "https://data-api.twitter.com/insights/engagement/totals",
        json={"total": {NEW: {"favorites": "5"}}},
        match=[responses.matchers.header_matcher({"Authorization": "Bearer obtained"})],
    )
    client = make_client(api_key="k", api_key_secret="s", attempts=2)
    assert counts_of(client.fetch(totals(NEW)).response) == {(NEW, "favorites", None): 5}
