"""Requests wait for the rate limit that responses state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth
from airflow_provider_engagement.engagement_api.client import DEFAULT_ADDRESS
from airflow_provider_engagement.exceptions import (
    ForbiddenTweetsError,
    PeriodCapError,
    RateLimitedError,
    WaitRequired,
)
from airflow_provider_engagement.http.limits.limiter import Limiter
from airflow_provider_engagement.http.limits.rate_limit import RateLimit
from airflow_provider_engagement.simulator import (
    Fault,
    World,
)

from ..engagement_client import AUTHOR, FOREIGN, NEW, NOW, Connect, Make, MakeClient, counts_of


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
def test_no_time_of_a_server_is_too_large(
    headers: dict[str, str], wire: Any, totals: Make, make_client: MakeClient
) -> None:
    wire.reply = lambda path, sent: (429, headers, {"errors": ["too many"]})
    limiter = Limiter(RateLimit(), max_inline_wait=0.0)
    client = make_client(replace(DEFAULT_ADDRESS, base_url=wire.url), limiter=limiter, max_wait=0.0)
    with pytest.raises((PeriodCapError, RateLimitedError, WaitRequired)) as caught:
        client.fetch(totals(NEW))
    renews_at = getattr(caught.value, "renews_at", None)
    assert renews_at is None or renews_at < datetime.now(UTC) + timedelta(days=367)
