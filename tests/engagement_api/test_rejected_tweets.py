"""Unavailable Tweets that the API does not name are found by halving, and nothing else is lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.catalogue import Auth, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import (
    FetchedResponse,
    SpareRequests,
    UnavailableTweetSearch,
    UnavailableTweetsError,
    fetch_in_rounds,
)
from airflow_provider_engagement.engagement_api.response import Outcome, ParsedResponse, all_unavailable, parse_response
from airflow_provider_engagement.exceptions import ForbiddenTweetsError, RequestRejectedError
from airflow_provider_engagement.simulator import App, Clock, Fault, Handle, SeededCounts, Switches, Tweet, World

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
TEXT = "Tweet ID(s) are unavailable"
Make = Callable[..., Request]


def request_for(number: int) -> Request:
    tweet_ids = tuple(str(2 * 10**18 + n) for n in range(number))
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=tweet_ids, metrics=("favorites",))
    return Request(query, tweet_ids, None)


class Api:
    """Rejects a request without a list, if one of its Tweets is unavailable, or if all are."""

    def __init__(self, unavailable: set[str], *, only_if_all: bool = False) -> None:
        self.unavailable = unavailable
        self.only_if_all = only_if_all
        self.requests: list[tuple[str, ...]] = []

    def __call__(self, request: Request) -> tuple[ParsedResponse, datetime]:
        self.requests.append(request.tweet_ids)
        named = [tweet_id for tweet_id in request.tweet_ids if tweet_id in self.unavailable]
        if named and (not self.only_if_all or len(named) == len(request.tweet_ids)):
            if len(named) == len(request.tweet_ids) == 1:
                return all_unavailable(request, (TEXT,)), NOW
            error = RequestRejectedError(TEXT, endpoint="totals", status=400, messages=(TEXT,), request_id=None)
            raise UnavailableTweetsError((), error)
        rows = {one: {"favorites": one[-4:].lstrip("0") or "0"} for one in request.tweet_ids if one not in named}
        return parse_response(request, {"unavailable_tweet_ids": named, "total": rows}), NOW

    def fetch(self, request: Request, search: UnavailableTweetSearch | None = None) -> FetchedResponse:
        search = search or UnavailableTweetSearch(SpareRequests())
        return fetch_in_rounds(request, send=self, send_of_search=self, search=search, drop_forbidden=False)


def assert_right(fetched: FetchedResponse, request: Request, unavailable: set[str]) -> None:
    response = fetched.response
    assert {one for one, status in response.statuses.items() if status.outcome is Outcome.UNAVAILABLE} == unavailable
    available = [one for one in request.tweet_ids if one not in unavailable]
    assert list(response.counts.tweet_ids) == available
    assert response.counts.by_metric["favorites"] == [int(one[-4:]) for one in available]
    assert {response.statuses[one].outcome for one in available} <= {Outcome.OK}


@settings(max_examples=200, deadline=None)
@given(number=st.integers(1, 60), only_if_all=st.booleans(), data=st.data())
def test_exactly_the_unavailable_tweets_are_found_whichever_they_are(
    number: int, only_if_all: bool, data: st.DataObject
) -> None:
    request = request_for(number)
    unavailable = data.draw(st.sets(st.sampled_from(request.tweet_ids)))
    api = Api(unavailable, only_if_all=only_if_all)
    assert_right(api.fetch(request), request, unavailable)
    # The first request, a request for each half, and the last one without the Tweets that were found.
    assert len(api.requests) <= 2 * number
    depth = math.ceil(math.log2(number)) if number > 1 else 0
    assert len(api.requests) <= 2 + 2 * depth * len(unavailable)


@pytest.mark.parametrize("position", range(25))
def test_one_tweet_among_25_is_found_with_at_most_ten_requests(position: int) -> None:
    request = request_for(25)
    unavailable = {request.tweet_ids[position]}
    api = Api(unavailable)
    assert_right(api.fetch(request), request, unavailable)
    assert len(api.requests) <= 2 + 10
    assert (request.tweet_ids[position],) in api.requests


def test_a_tweet_that_was_found_is_not_searched_again() -> None:
    request = request_for(25)
    unavailable = set(request.tweet_ids[3:9])
    api, search = Api(unavailable), UnavailableTweetSearch(SpareRequests())
    api.fetch(request, search)
    sent = len(api.requests)
    assert_right(api.fetch(request, search), request, unavailable)
    assert len(api.requests) == sent + 1


def test_a_request_whose_tweets_were_all_found_is_not_sent_again() -> None:
    request = request_for(4)
    api, search = Api(set(request.tweet_ids)), UnavailableTweetSearch(SpareRequests())
    api.fetch(request, search)
    sent = len(api.requests)
    assert_right(api.fetch(request, search), request, set(request.tweet_ids))
    assert len(api.requests) == sent


def test_what_was_found_with_other_credentials_is_searched_again() -> None:
    request = request_for(4)
    api, search = Api({request.tweet_ids[0]}), UnavailableTweetSearch(SpareRequests())
    api.fetch(request, search)
    query = Query(
        endpoint=Endpoint.TOTALS, auth=Auth.USER, tweet_ids=request.tweet_ids, metrics=("favorites",), owner="1"
    )
    sent = len(api.requests)
    api.fetch(Request(query, request.tweet_ids, None), search)
    assert len(api.requests) > sent + 1


@pytest.mark.parametrize("spare", range(9))
def test_a_search_sends_no_more_than_the_spare_requests(spare: int) -> None:
    request = request_for(25)
    api = Api({request.tweet_ids[0]})
    api.fetch(request)
    needed = len(api.requests) - 2
    assert needed == 8
    api.requests.clear()
    with pytest.raises(RequestRejectedError, match="are unavailable"):
        api.fetch(request, UnavailableTweetSearch(SpareRequests(spare)))
    assert len(api.requests) == max(1, spare)


def test_a_search_needs_no_more_spare_requests_than_it_sends() -> None:
    request = request_for(25)
    api = Api({request.tweet_ids[0]})
    assert_right(api.fetch(request, UnavailableTweetSearch(SpareRequests(9))), request, {request.tweet_ids[0]})


def test_a_list_in_a_response_of_the_search_ends_it_for_these_tweets() -> None:
    request = request_for(16)
    unavailable = set(request.tweet_ids[:8])

    class Naming(Api):
        def __call__(self, request: Request) -> tuple[ParsedResponse, datetime]:
            try:
                return super().__call__(request)
            except UnavailableTweetsError as error:
                if len(request.tweet_ids) > 8:
                    raise
                named = tuple(tweet_id for tweet_id in request.tweet_ids if tweet_id in unavailable)
                raise UnavailableTweetsError(named, error.original) from None

    api = Naming(unavailable)
    assert_right(api.fetch(request), request, unavailable)
    assert [len(tweet_ids) for tweet_ids in api.requests] == [16, 8, 8, 8]


def test_a_request_is_sent_in_five_rounds_at_most(world: World, connect: Callable[..., Any], totals: Make) -> None:
    one = connect(world, now=NOW, drop_forbidden=True, user="1")
    ids = world.tweets_of("1")[:8]
    for tweet_id in ids:
        one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {tweet_id}"]}))
    with pytest.raises(ForbiddenTweetsError):
        one.client.fetch(totals(*ids, auth=Auth.USER))
    assert len(one.simulator.journal) == 5


def test_a_request_whose_last_tweet_is_rejected_in_the_fifth_round_has_a_response(
    world: World, connect: Callable[..., Any], totals: Make
) -> None:
    one = connect(world, now=NOW, drop_forbidden=True, user="1")
    ids = world.tweets_of("1")[:5]
    for tweet_id in ids:
        one.simulator.faults.add(Fault(status=403, body={"errors": [f"Forbidden to access tweets: {tweet_id}"]}))
    fetched = one.client.fetch(totals(*ids, auth=Auth.USER))
    assert {status.outcome for status in fetched.response.statuses.values()} == {Outcome.FORBIDDEN}


def test_spare_requests_are_taken_together_or_not_at_all() -> None:
    spare = SpareRequests(3)
    assert [spare.take(2), spare.take(2), spare.take(1), spare.take(0), spare.take(1)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert SpareRequests().take(10**9)


# Over HTTP


@pytest.fixture
def world() -> World:
    """Two users with 20 Tweets each, of whom the second is protected."""
    handles = [
        Handle(user_id=user, screen_name=f"user_{user}", access_token=f"{user}-t", access_token_secret="s")
        for user in ("1", "2")
    ]
    world = World(
        apps=[App(consumer_key="key", consumer_secret="secret", bearer_token="AAAA")],
        handles=handles,
        tweets=[Tweet(id=str(2 * 10**18 + n), author_id="12"[n % 2]) for n in range(40)],
        counts=SeededCounts(3),
    )
    world.change_handle("2", protected=True)
    return world


@pytest.mark.parametrize("value", Switches.choices()["protected_tweets"])
def test_the_tweets_of_a_protected_account_are_unavailable_and_all_others_have_counts(
    value: str, world: World, connect: Callable[..., Any], totals: Make
) -> None:
    one = connect(world, now=NOW, switches=Switches(protected_tweets=value))
    response = one.client.fetch(totals(*world.tweets)).response
    assert {tweet_id for tweet_id, status in response.statuses.items() if status.outcome is Outcome.UNAVAILABLE} == set(
        world.tweets_of("2")
    )
    counts = dict(zip(response.counts.tweet_ids, response.counts.by_metric["favorites"], strict=True))
    assert counts == {tweet_id: one.simulator.total(tweet_id, "favorites") for tweet_id in world.tweets_of("1")}


FORMS: list[Any] = [
    {"errors": [TEXT]},
    {"errors": [{"message": TEXT}]},
    {"errors": TEXT},
    {"errors": [f"{TEXT}."], "total": {}},
    {"errors": [TEXT], "unavailable_tweet_ids": []},
    {"errors": [TEXT.lower()]},
]


@pytest.mark.parametrize(
    ("status", "body"), [(400, [TEXT]), *((status, form) for status in (400, 200) for form in FORMS)]
)
def test_one_tweet_is_unavailable_at_once_in_every_form_of_the_text(
    status: int, body: Any, world: World, connect: Callable[..., Any], totals: Make
) -> None:
    one = connect(world, now=NOW)
    one.simulator.faults.add(Fault(status=status, body=body))
    (tweet_id, *_) = world.tweets_of("1")
    response = one.client.fetch(totals(tweet_id)).response
    assert response.statuses[tweet_id].outcome is Outcome.UNAVAILABLE
    assert response.counts.tweet_ids == ()
    assert len(one.simulator.journal) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(400, [TEXT]), *((status, form) for status in (400, 200) for form in FORMS)]
)
def test_of_several_tweets_the_unavailable_ones_are_found_in_every_form_of_the_text(
    status: int, body: Any, world: World, connect: Callable[..., Any], totals: Make
) -> None:
    one = connect(world, now=NOW)
    ids = world.tweets_of("1")[:3]
    # The first request and the first half of it are rejected, and all others have counts.
    one.simulator.faults.add(Fault(status=status, body=body, times=2))
    response = one.client.fetch(totals(*ids)).response
    assert [str(response.statuses[tweet_id].outcome) for tweet_id in ids] == ["unavailable", "ok", "ok"]
    assert response.counts.by_metric["favorites"] == [
        one.simulator.total(tweet_id, "favorites") for tweet_id in ids[1:]
    ]


def test_counts_beside_a_list_of_unavailable_tweets_are_kept_with_either_status(
    world: World, connect: Callable[..., Any], totals: Make
) -> None:
    first, second, *_ = world.tweets_of("1")
    for status in (200, 400):
        one = connect(world, now=NOW)
        body = {"errors": [f"1 {TEXT}"], "unavailable_tweet_ids": [first], "total": {second: {"favorites": "5"}}}
        one.simulator.faults.add(Fault(status=status, body=body))
        response = one.client.fetch(totals(first, second)).response
        assert response.counts.by_metric["favorites"] == [5]
        assert [str(response.statuses[tweet_id].outcome) for tweet_id in (first, second)] == ["unavailable", "ok"]
        assert len(one.simulator.journal) == 1


def test_a_search_that_would_wait_longer_than_the_task_sleeps_is_not_begun_anew(
    world: World, connect: Callable[..., Any], totals: Make
) -> None:
    rate_clock = Clock(NOW)
    one = connect(
        world,
        now=NOW,
        switches=Switches(protected_tweets="unnamed"),
        rate_clock=rate_clock,
        max_inline_wait=5.0,
    )
    one.simulator.set_limit(per_minute=4)
    ids = [*world.tweets_of("1")[:12], *world.tweets_of("2")[:3]]
    response = one.client.fetch(totals(*ids)).response
    assert sum(status.outcome is Outcome.UNAVAILABLE for status in response.statuses.values()) == 3
    assert rate_clock.now() - NOW >= timedelta(minutes=1)
    bodies = [tuple(entry.body["tweet_ids"]) for entry in one.simulator.journal if entry.status != 429]
    assert len(bodies) == len(set(bodies))


# Lists of unsupported Tweets in an error response

OLD, NEW = "1850000000000000001", "2000000000000000001"
UNSUPPORTED = {
    "errors": ["Impressions & engagements for tweets older than 90 days (2025-10-14T09:30:00Z) are not supported"],
    "unsupported_for_impressions_engagements_tweet_ids": [OLD],
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("rows", "favorites", "outcome"),
    [
        ({OLD: {"favorites": "5"}, NEW: {"favorites": "6", "impressions": "7"}}, [5, 6], Outcome.OK),
        ({}, [], Outcome.NO_DATA),
    ],
)
def test_an_unsupported_list_is_read_with_either_status(
    status: int,
    rows: dict[str, Any],
    favorites: list[int],
    outcome: Outcome,
    world: World,
    connect: Callable[..., Any],
    totals: Make,
) -> None:
    one = connect(world, now=NOW, user="1")
    one.simulator.faults.add(Fault(status=status, body={**UNSUPPORTED, "total": rows}))
    request = totals(OLD, NEW, metrics=("impressions", "favorites"), auth=Auth.USER)
    response = one.client.fetch(request).response
    assert response.counts.by_metric["favorites"] == favorites
    assert response.statuses[NEW].outcome is outcome
    assert "impressions" in response.statuses[OLD].metrics_affected
    assert "more than 90 days old" in response.statuses[OLD].message


def test_unavailable_tweets_are_left_out_before_an_unsupported_list_without_counts_is_read(
    world: World, connect: Callable[..., Any], totals: Make
) -> None:
    one = connect(world, now=NOW, user="1")
    first, second, *_ = world.tweets_of("1")
    one.simulator.faults.add(Fault(status=400, body={**UNSUPPORTED, "unavailable_tweet_ids": [first]}))
    response = one.client.fetch(totals(first, second, auth=Auth.USER)).response
    assert response.statuses[first].outcome is Outcome.UNAVAILABLE
    assert response.counts.by_metric["favorites"] == [one.simulator.total(second, "favorites")]
