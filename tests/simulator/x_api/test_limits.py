"""Rate limits in windows of 15 minutes, and the ledger of what was billed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_engagement.simulator import Clock, World

from .conftest import AUTHOR, DELETED, FOREIGN, NEW, NOW, OTHER, REPLY, VIDEO, XClient

Start = Callable[..., XClient]


@pytest.fixture
def x(start: Start, world: World) -> XClient:
    """A client of a simulator whose rate clock stands still."""
    return start(world, rate_clock=Clock(NOW))


def headers(response: Any) -> tuple[int, int, int]:
    """Return limit, remaining requests, and the seconds until the reset."""
    limit, remaining, reset = (
        int(response.headers[f"x-rate-limit-{name}"]) for name in ("limit", "remaining", "reset")
    )
    return limit, remaining, int(reset - NOW.timestamp())


@pytest.mark.parametrize(
    ("path", "query", "user", "limit"),
    [
        ("tweets", {"ids": NEW}, None, 3500),
        ("tweets", {"ids": NEW}, AUTHOR, 5000),
        (f"users/{AUTHOR}/tweets", {}, None, 10_000),
        (f"users/{AUTHOR}/tweets", {}, AUTHOR, 900),
        ("users/by", {"usernames": "acme"}, None, 300),
        ("users/by", {"usernames": "acme"}, AUTHOR, 900),
        ("users", {"ids": AUTHOR}, None, 300),
        ("users", {"ids": AUTHOR}, AUTHOR, 900),
        ("users/me", {}, AUTHOR, 75),
        ("usage/tweets", {}, None, 50),
    ],
)
def test_the_headers_have_the_documented_limit(
    x: XClient, path: str, query: dict[str, str], user: str | None, limit: int
) -> None:
    assert headers(x.get(path, user=user, **query)) == (limit, limit - 1, 900)


def test_each_user_has_a_window_of_15_minutes_that_begins_with_the_first_request(x: XClient) -> None:
    x.simulator.windows.set_limit("tweets", "user", 2)
    assert [x.get("tweets", ids=NEW, user=AUTHOR).status_code for _ in range(3)] == [200, 200, 429]
    assert x.get("tweets", ids=NEW, user=OTHER).status_code == 200
    assert x.get("tweets", ids=NEW).status_code == 200
    x.simulator.rate_clock.advance(timedelta(seconds=899))
    assert headers(x.get("tweets", ids=NEW, user=AUTHOR)) == (2, 0, 900)
    x.simulator.rate_clock.advance(timedelta(seconds=1))
    assert headers(x.get("tweets", ids=NEW, user=AUTHOR)) == (2, 1, 1800)


def test_both_kinds_of_user_credentials_use_one_window(x: XClient) -> None:
    x.simulator.windows.set_limit("me", "user", 2)
    assert [x.get("users/me", user=AUTHOR).status_code, x.get("users/me", oauth2=AUTHOR).status_code] == [200, 200]
    assert x.get("users/me", user=AUTHOR).status_code == 429


def test_each_endpoint_has_a_window_of_its_own(x: XClient) -> None:
    x.simulator.windows.set_limit("tweets", "app", 1)
    assert [x.get("tweets", ids=NEW).status_code for _ in range(2)] == [200, 429]
    assert x.get(f"users/{AUTHOR}/tweets").status_code == 200


def test_an_invalid_request_counts_and_one_without_credentials_does_not(x: XClient) -> None:
    assert headers(x.get("tweets", ids="x"))[1] == 3499
    x.get("tweets", ids=NEW, headers={})
    assert headers(x.get("tweets", ids=NEW))[1] == 3498


@pytest.mark.parametrize(
    ("choice", "body"),
    [
        (
            "problem",
            {
                "title": "Too Many Requests",
                "detail": "Too Many Requests",
                "type": "https://api.twitter.com/2/problems/rate-limit-exceeded",
                "status": 429,
            },
        ),
        ("code", {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}),
    ],
)
def test_the_body_of_a_429_has_one_of_two_forms(start: Start, world: World, choice: str, body: Any) -> None:
    x = start(world, rate_limited_body=choice)
    x.simulator.windows.set_limit("tweets", "app", 1)
    x.get("tweets", ids=NEW)
    assert x.get("tweets", ids=NEW).json() == body


@pytest.mark.parametrize(
    ("limit", "message"),
    [(("tweets", "app", 0), "too low"), (("weather", "app", 1), "no such limit"), (("me", "app", 1), "no such limit")],
)
def test_an_impossible_limit_raises_an_error(x: XClient, limit: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        x.simulator.windows.set_limit(*limit)


def billed(x: XClient) -> list[tuple[str, str]]:
    return [(read.resource, read.id) for read in x.simulator.ledger.reads]


def test_what_a_response_contains_is_billed_and_what_is_missing_is_free(x: XClient) -> None:
    x.tweets(NEW, DELETED, "20")
    x.tweets(FOREIGN, tweet__fields="organic_metrics", user=AUTHOR)
    x.get("tweets", ids="x")
    x.get("users/by", usernames="acme,nobody")
    x.get("usage/tweets")
    assert billed(x) == [("tweet", NEW), ("user", AUTHOR)]
    assert x.simulator.ledger.cost(x.simulator.world.app) == Decimal("0.015")


def test_an_app_pays_once_a_utc_day(x: XClient) -> None:
    x.tweets(NEW, VIDEO)
    x.tweets(NEW, user=AUTHOR)
    x.listed(AUTHOR, since_id=NEW, until_id=REPLY)
    assert billed(x) == [("tweet", NEW), ("tweet", VIDEO)]
    x.simulator.rate_clock.advance(timedelta(hours=14, minutes=30))
    x.tweets(NEW)
    assert billed(x)[2:] == [("tweet", NEW)]


@pytest.mark.parametrize(("choice", "number"), [(True, 1), (False, 3)])
def test_an_app_can_pay_every_time(start: Start, world: World, choice: bool, number: int) -> None:
    x = start(world, deduplicated=choice)
    for _ in range(3):
        x.tweets(NEW)
    assert billed(x) == [("tweet", NEW)] * number


@pytest.mark.parametrize(
    ("choice", "reads"),
    [(False, [("tweet", REPLY)]), (True, [("tweet", REPLY), ("tweet", FOREIGN), ("user", AUTHOR)])],
)
def test_what_is_included_can_be_billed(start: Start, world: World, choice: bool, reads: list[Any]) -> None:
    x = start(world, bill_includes=choice)
    x.tweets(REPLY, expansions="referenced_tweets.id,author_id")
    assert billed(x) == reads


def test_the_usage_is_that_of_the_ledger(x: XClient) -> None:
    x.tweets(NEW, VIDEO)
    x.simulator.rate_clock.advance(timedelta(days=1))
    x.tweets(NEW)
    days = [
        {"date": "2026-01-12T00:00:00.000Z", "usage": "2"},
        {"date": "2026-01-13T00:00:00.000Z", "usage": "1"},
    ]
    usage = x.get("usage/tweets").json()["data"]
    assert {name: usage[name] for name in ("cap_reset_day", "project_cap", "project_usage")} == {
        "cap_reset_day": 1,
        "project_cap": "3000000",
        "project_usage": "3",
    }
    fields = "daily_project_usage,daily_client_app_usage"
    daily = x.get("usage/tweets", usage__fields=fields).json()["data"]
    assert daily["daily_project_usage"]["usage"] == daily["daily_client_app_usage"][0]["usage"] == days
    only_today = x.get("usage/tweets", usage__fields=fields, days="1").json()["data"]
    assert only_today["daily_project_usage"]["usage"] == days[1:]
