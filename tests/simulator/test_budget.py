"""Windows of a minute and of a second, and what the headers tell about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_engagement.simulator import App, Clock, Switches, World

NEW, AUTHOR = "2000000000000000001", "7588892"
BEGUN = datetime(2026, 1, 11, 0, 0, 30, tzinfo=UTC)
NEXT_MINUTE = 1768089660


@pytest.fixture
def rate_clock() -> Clock:
    return Clock(BEGUN)


@pytest.fixture
def limited(start: Callable[..., Any], world: World, rate_clock: Clock) -> Any:
    client = start(world, rate_clock=rate_clock)
    client.simulator.set_limit(per_minute=3)
    return client


def statuses(client: Any, number: int) -> list[int]:
    return [client.totals(NEW).status_code for _ in range(number)]


def test_a_minute_holds_so_many_requests(limited: Any) -> None:
    assert statuses(limited, 5) == [200, 200, 200, 429, 429]


def test_the_window_begins_with_the_minute_of_the_clock(limited: Any, rate_clock: Clock) -> None:
    statuses(limited, 3)
    rate_clock.advance(timedelta(seconds=29))
    assert statuses(limited, 1) == [429]
    rate_clock.advance(timedelta(seconds=1))
    assert statuses(limited, 4) == [200, 200, 200, 429]


def test_the_headers_tell_what_is_left(limited: Any) -> None:
    told = [limited.totals(NEW).headers for _ in range(4)]
    assert [headers["x-per-minute-remaining"] for headers in told] == ["2", "1", "0", "0"]
    assert {headers["x-per-minute-limit"] for headers in told} == {"3"}
    assert {headers["x-per-minute-reset"] for headers in told} == {str(NEXT_MINUTE)}


def test_refused_requests_that_got_this_far_cost_budget(limited: Any) -> None:
    assert [limited.post("totals", {}).status_code for _ in range(4)] == [400, 400, 400, 429]


def test_users_and_the_app_share_one_budget(limited: Any) -> None:
    assert [limited.totals(NEW, user=user).status_code for user in (AUTHOR, None, "370773112", AUTHOR)] == [
        200,
        200,
        403,
        429,
    ]


def test_each_app_has_a_budget_of_its_own(start: Callable[..., Any], rate_clock: Clock) -> None:
    apps = [
        App(consumer_key=name, consumer_secret="", bearer_token=f"AAAA{name}", requests_per_minute=1) for name in "ab"
    ]
    client = start(World(apps=apps), rate_clock=rate_clock)
    told = [client.totals(NEW, headers={"Authorization": f"Bearer AAAA{name}"}).status_code for name in "aabb"]
    assert told == [400, 429, 400, 429]


def test_the_limit_can_change_within_a_minute(limited: Any) -> None:
    statuses(limited, 3)
    limited.simulator.set_limit(per_minute=5)
    assert statuses(limited, 3) == [200, 200, 429]
    limited.simulator.set_limit(per_minute=2)
    assert limited.totals(NEW).headers["x-per-minute-remaining"] == "0"


def test_a_second_can_be_limited_too(limited: Any, rate_clock: Clock) -> None:
    limited.simulator.switches = Switches(rate_headers="minute+second", retry_after="seconds")
    limited.simulator.set_limit(per_minute=10, per_second=1)
    assert limited.totals(NEW).headers["x-per-second-remaining"] == "0"
    refused = limited.totals(NEW)
    assert refused.status_code == 429
    assert refused.headers["x-per-minute-remaining"] == "9"
    assert refused.headers["x-per-second-reset"] == str(NEXT_MINUTE - 29)
    assert refused.headers["Retry-After"] == "1"
    rate_clock.advance(timedelta(seconds=1))
    assert statuses(limited, 1) == [200]


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_minute": -1}, {"per_second": -1}])
def test_an_impossible_limit_is_refused(limited: Any, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="budget"):
        limited.simulator.set_limit(**limits)


def test_headers_may_be_missing(limited: Any) -> None:
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
def test_a_429_may_say_so_in_three_ways(limited: Any, form: str, body: bytes) -> None:
    limited.simulator.switches = Switches(rate_body=form)
    statuses(limited, 3)
    refused = limited.totals(NEW)
    assert (refused.status_code, refused.content) == (429, body)


def test_retry_after_in_seconds_or_as_a_date(limited: Any) -> None:
    statuses(limited, 3)
    assert "Retry-After" not in limited.totals(NEW).headers
    limited.simulator.switches = Switches(retry_after="seconds")
    assert limited.totals(NEW).headers["Retry-After"] == "30"
    limited.simulator.switches = Switches(retry_after="date")
    assert parsedate_to_datetime(limited.totals(NEW).headers["Retry-After"]).timestamp() == NEXT_MINUTE


def test_a_closed_budget_refuses_everything_until_it_opens(limited: Any, rate_clock: Clock) -> None:
    reopening = BEGUN + timedelta(days=3)
    limited.simulator.budgets.close(reopening)
    refused = limited.totals(NEW)
    assert refused.status_code == 429
    assert refused.headers["x-per-minute-reset"] == str(round(reopening.timestamp()))
    rate_clock.set(reopening)
    assert statuses(limited, 1) == [200]


def test_every_answer_has_a_date_by_the_rate_clock(limited: Any) -> None:
    def date(response: Any) -> datetime:
        return parsedate_to_datetime(response.headers["Date"])

    assert date(limited.totals(NEW)) == date(limited.totals(NEW, headers={"Authorization": "Nobody"})) == BEGUN
    limited.simulator.date_skew = timedelta(minutes=-7)
    assert date(limited.totals(NEW)) == BEGUN - timedelta(minutes=7)
