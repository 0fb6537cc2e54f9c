"""The quotas per minute and per second, and the headers that report them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_engagement.simulator import App, Clock, Switches, World

NEW, AUTHOR = "2000000000000000001", "7588892"
START = datetime(2026, 1, 11, 0, 0, 30, tzinfo=UTC)
NEXT_MINUTE = 1768089660


@pytest.fixture
def rate_clock() -> Clock:
    return Clock(START)


@pytest.fixture
def limited(start: Callable[..., Any], world: World, rate_clock: Clock) -> Any:
    client = start(world, rate_clock=rate_clock)
    client.simulator.set_limit(per_minute=3)
    return client


def statuses(client: Any, number: int) -> list[int]:
    return [client.totals(NEW).status_code for _ in range(number)]


def test_requests_beyond_the_quota_of_the_minute_are_rate_limited(limited: Any) -> None:
    assert statuses(limited, 5) == [200, 200, 200, 429, 429]


def test_the_quota_renews_with_the_minute_of_the_rate_clock(limited: Any, rate_clock: Clock) -> None:
    statuses(limited, 3)
    rate_clock.advance(timedelta(seconds=29))
    assert statuses(limited, 1) == [429]
    rate_clock.advance(timedelta(seconds=1))
    assert statuses(limited, 4) == [200, 200, 200, 429]


def test_headers_report_limit_remaining_requests_and_reset(limited: Any) -> None:
    responses = [limited.totals(NEW).headers for _ in range(4)]
    assert [headers["x-per-minute-remaining"] for headers in responses] == ["2", "1", "0", "0"]
    assert {headers["x-per-minute-limit"] for headers in responses} == {"3"}
    assert {headers["x-per-minute-reset"] for headers in responses} == {str(NEXT_MINUTE)}


def test_every_response_to_a_known_app_has_the_headers_and_only_some_requests_count(limited: Any) -> None:
    url = f"{limited.simulator.base_url}/insights/engagement/totals"
    bearer = {"Authorization": f"Bearer {limited.simulator.world.app.bearer_token}"}
    get = limited.session.get(url, headers=bearer)
    no_gzip = limited.totals(NEW, headers={"Accept-Encoding": "identity"})
    invalid = limited.post("totals", {})
    assert [(response.status_code, response.headers["x-per-minute-remaining"]) for response in (get, no_gzip)] == [
        (405, "3"),
        (406, "3"),
    ]
    assert (invalid.status_code, invalid.headers["x-per-minute-remaining"]) == (400, "2")


def test_a_response_to_an_unknown_app_has_no_headers(limited: Any) -> None:
    rejected = limited.totals(NEW, headers={"Authorization": "Bearer wrong"})
    assert rejected.status_code == 401
    assert not [name for name in rejected.headers if name.startswith("x-per")]


def test_requests_with_an_invalid_body_count_against_the_quota(limited: Any) -> None:
    assert [limited.post("totals", {}).status_code for _ in range(4)] == [400, 400, 400, 429]


def test_user_and_app_credentials_share_one_quota(limited: Any) -> None:
    credentials = (AUTHOR, None, "370773112", AUTHOR)
    assert [limited.totals(NEW, user=user).status_code for user in credentials] == [200, 200, 403, 429]


def test_each_app_has_a_separate_quota(start: Callable[..., Any], rate_clock: Clock) -> None:
    apps = [
        App(consumer_key=name, consumer_secret="", bearer_token=f"AAAA{name}", requests_per_minute=1) for name in "ab"
    ]
    client = start(World(apps=apps), rate_clock=rate_clock)
    tokens = [{"Authorization": f"Bearer AAAA{name}"} for name in "aabb"]
    assert [client.totals(NEW, headers=token).status_code for token in tokens] == [400, 429, 400, 429]


def test_a_changed_limit_applies_within_the_minute(limited: Any) -> None:
    statuses(limited, 3)
    limited.simulator.set_limit(per_minute=5)
    assert statuses(limited, 3) == [200, 200, 429]
    limited.simulator.set_limit(per_minute=2)
    assert limited.totals(NEW).headers["x-per-minute-remaining"] == "0"


def test_the_quota_can_be_limited_per_second_as_well(limited: Any, rate_clock: Clock) -> None:
    limited.simulator.switches = Switches(rate_headers="minute+second", retry_after="seconds")
    limited.simulator.set_limit(per_minute=10, per_second=1)
    assert limited.totals(NEW).headers["x-per-second-remaining"] == "0"
    rejected = limited.totals(NEW)
    assert rejected.status_code == 429
    assert rejected.headers["x-per-minute-remaining"] == "9"
    assert rejected.headers["x-per-second-reset"] == str(NEXT_MINUTE - 29)
    assert rejected.headers["Retry-After"] == "1"
    rate_clock.advance(timedelta(seconds=1))
    assert statuses(limited, 1) == [200]


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_minute": -1}, {"per_second": -1}])
def test_an_impossible_limit_raises_an_error(limited: Any, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        limited.simulator.set_limit(**limits)


def test_rate_limit_headers_can_be_switched_off(limited: Any) -> None:
    limited.simulator.switches = Switches(reset_header=False)
    assert "x-per-minute-reset" not in limited.totals(NEW).headers
    limited.simulator.switches = Switches(rate_headers="none")
    assert not [name for name in limited.totals(NEW).headers if name.startswith("x-per")]


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("strings", b'{"errors":["Rate limit exceeded"]}'),
        ("objects", b'{"errors":[{"code":88,"message":"Rate limit exceeded"}]}'),
        ("empty", b""),
    ],
)
def test_a_429_has_one_of_three_bodies(limited: Any, form: str, body: bytes) -> None:
    limited.simulator.switches = Switches(rate_body=form)
    statuses(limited, 3)
    rejected = limited.totals(NEW)
    assert (rejected.status_code, rejected.content) == (429, body)


def test_retry_after_can_be_in_seconds_or_a_date(limited: Any) -> None:
    statuses(limited, 3)
    assert "Retry-After" not in limited.totals(NEW).headers
    limited.simulator.switches = Switches(retry_after="seconds")
    assert limited.totals(NEW).headers["Retry-After"] == "30"
    limited.simulator.switches = Switches(retry_after="date")
    assert parsedate_to_datetime(limited.totals(NEW).headers["Retry-After"]).timestamp() == NEXT_MINUTE


def test_a_closed_quota_rate_limits_every_request_until_it_reopens(limited: Any, rate_clock: Clock) -> None:
    reopening = START + timedelta(days=3)
    limited.simulator.quotas.close(reopening)
    rejected = limited.totals(NEW)
    assert rejected.status_code == 429
    assert rejected.headers["x-per-minute-reset"] == str(round(reopening.timestamp()))
    rate_clock.set(reopening)
    assert statuses(limited, 1) == [200]


def test_every_response_has_the_date_of_the_rate_clock(limited: Any) -> None:
    def date(response: Any) -> datetime:
        return parsedate_to_datetime(response.headers["Date"])

    assert date(limited.totals(NEW)) == date(limited.totals(NEW, headers={"Authorization": "Nobody"})) == START
    limited.simulator.date_skew = timedelta(minutes=-7)
    assert date(limited.totals(NEW)) == START - timedelta(minutes=7)
