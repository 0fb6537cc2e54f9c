"""A plan asks for everything that can be read, in the fewest requests that the API accepts. Bounds are counted here."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import InvalidResponseError
from airflow_provider_engagement.http.credentials import Auth
from airflow_provider_engagement.x_api.catalogue import Excluded, FieldGroup
from airflow_provider_engagement.x_api.planner import (
    LookupRequest,
    PageRequest,
    has_private_metrics,
    next_page,
    plan_listing,
    plan_private,
    plan_public,
    plan_refused,
    plan_users,
)
from airflow_provider_engagement.x_api.query import ListingQuery, UserQuery

NOW = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)


def tweet_at(time: datetime, low_bits: int = 0) -> str:
    """Return a Tweet id by the published formula."""
    milliseconds = round((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return str(((milliseconds - 1288834974657) << 22) + low_bits)


def listing(**parameters: object) -> ListingQuery:
    return ListingQuery(**{"user_id": "42", "auth": Auth.USER, **parameters})  # type: ignore[arg-type]


WORLDS = st.lists(
    st.tuples(st.integers(0, 60 * 24), st.sampled_from([None, "1", "2", "3"])), min_size=1, max_size=700
).map(
    lambda drawn: {
        tweet_at(NOW - hours * timedelta(hours=1), number): author for number, (hours, author) in enumerate(drawn)
    }
)
"""Tweets of up to 60 days, and the author of each, as far as it is known."""

WITH_TOKEN = {"1", "2"}


def age_in_days(tweet_id: str) -> float:
    created = ((int(tweet_id) >> 22) + 1288834974657) / 1000
    return (NOW.timestamp() - created) / 86400


@given(WORLDS)
def test_the_public_metrics_of_all_tweets_take_the_fewest_requests(authors: dict[str, str | None]) -> None:
    requests = plan_public(list(authors), auth=Auth.APP)

    named = Counter(tweet_id for request in requests for tweet_id in request.parameters()["ids"].split(","))
    assert named == Counter(dict.fromkeys(authors, 1))
    # A request names at most 100 Tweets, whoever posted them.
    assert len(requests) == math.ceil(len(authors) / 100)
    assert all("private" not in request.parameters()["tweet.fields"] for request in requests)
    assert all("organic_metrics" not in request.parameters()["tweet.fields"] for request in requests)


@given(WORLDS)
def test_private_metrics_are_asked_of_young_tweets_alone_with_the_token_of_their_author(
    authors: dict[str, str | None],
) -> None:
    requests = plan_private(authors, has_token=WITH_TOKEN.__contains__, now=NOW)

    wanted = defaultdict(set)
    for tweet_id, author in authors.items():
        if author in WITH_TOKEN and age_in_days(tweet_id) < 29:
            wanted[author].add(tweet_id)
    asked = defaultdict(list)
    for request in requests:
        assert request.account[0] is Auth.USER
        asked[request.account[1]] += request.parameters()["ids"].split(",")
    assert {owner: Counter(ids) for owner, ids in asked.items()} == {
        owner: Counter(dict.fromkeys(ids, 1)) for owner, ids in wanted.items()
    }
    # A request is signed with one token, and names at most 100 Tweets.
    assert len(requests) == sum(math.ceil(len(ids) / 100) for ids in wanted.values())
    assert {request.parameters()["tweet.fields"] for request in requests} <= {"non_public_metrics,organic_metrics"}


@given(WORLDS, st.data())
def test_tweets_that_the_connection_may_not_see_are_asked_for_by_their_owners(
    owners: dict[str, str | None], data: st.DataObject
) -> None:
    refused = data.draw(st.lists(st.sampled_from(sorted(owners)), unique=True))

    requests = plan_refused(refused, owners, has_token=WITH_TOKEN.__contains__)

    by_owner = Counter(owners[tweet_id] for tweet_id in refused if owners[tweet_id] in WITH_TOKEN)
    assert len(requests) == sum(math.ceil(number / 100) for number in by_owner.values())
    for request in requests:
        assert {owners[tweet_id] for tweet_id in request.tweet_ids} == {request.account[1]}
        assert "public_metrics" in request.parameters()["tweet.fields"].split(",")


@given(WORLDS, st.randoms())
def test_the_order_of_the_tweets_does_not_change_the_requests(authors: dict[str, str | None], order: object) -> None:
    shuffled = list(authors)
    order.shuffle(shuffled)  # type: ignore[attr-defined]

    assert (
        plan_public(shuffled, auth=Auth.APP)[0].parameters()
        == plan_public(list(authors), auth=Auth.APP)[0].parameters()
    )


def test_no_tweets_are_no_request() -> None:
    assert plan_public([], auth=Auth.APP) == []


def test_an_id_without_a_time_has_no_private_metrics() -> None:
    assert not has_private_metrics("20", now=NOW)


@pytest.mark.parametrize(("age", "expected"), [(timedelta(days=28, hours=23), True), (29 * DAY, False)])
def test_private_metrics_are_asked_for_until_a_day_before_they_end(age: timedelta, expected: bool) -> None:
    assert has_private_metrics(tweet_at(NOW - age), now=NOW) is expected


def test_a_lookup_asks_for_authors_and_media_but_not_for_referenced_tweets() -> None:
    (request,) = plan_public(["20"], auth=Auth.USER)

    assert request.path == "/2/tweets"
    assert request.account == (Auth.USER, None)
    assert request.parameters() == {
        "ids": "20",
        "tweet.fields": "created_at,author_id,lang,conversation_id,in_reply_to_user_id,referenced_tweets,attachments,"
        "note_tweet,public_metrics",
        "expansions": "author_id,attachments.media_keys",
        "user.fields": "created_at,name,username,protected,public_metrics",
        "media.fields": "media_key,type",
    }


@given(st.sets(st.from_regex(r"[a-z0-9_]{1,15}", fullmatch=True), min_size=1, max_size=450))
def test_handles_are_resolved_a_hundred_at_a_time(handles: set[str]) -> None:
    requests = plan_users(UserQuery(handles=tuple(handles), auth=Auth.APP))

    assert {request.path for request in requests} == {"/2/users/by"}
    named = [handle for request in requests for handle in request.parameters()["usernames"].split(",")]
    assert sorted(named) == sorted(handles)
    assert len(requests) == math.ceil(len(handles) / 100)


def test_ids_of_users_are_looked_up_elsewhere() -> None:
    (request,) = plan_users(UserQuery(user_ids=("43", "5"), auth=Auth.APP))

    assert (request.path, request.parameters()["ids"]) == ("/2/users", "5,43")


def test_a_listing_asks_for_whole_pages_of_its_interval() -> None:
    query = listing(
        start=datetime(2026, 1, 1, tzinfo=UTC),
        end=datetime(2026, 2, 1, 0, 0, 5, tzinfo=UTC),
        excluded=(Excluded.RETWEETS, Excluded.REPLIES),
    )

    (request,) = plan_listing(query, private=False, now=NOW)

    assert request.path == "/2/users/42/tweets"
    parameters = request.parameters()
    assert parameters["max_results"] == "100"
    assert parameters["start_time"] == "2026-01-01T00:00:00Z"
    assert parameters["end_time"] == "2026-02-01T00:00:05Z"
    assert parameters["exclude"] == "replies,retweets"
    assert "pagination_token" not in parameters


def test_private_metrics_are_a_list_of_their_own_over_the_days_that_have_them() -> None:
    public, private = plan_listing(listing(), private=True, now=NOW)

    assert public.query.start is None
    assert private.parameters() == {
        "max_results": "100",
        "start_time": "2026-11-01T12:00:01Z",
        "exclude": "retweets",
        "tweet.fields": "non_public_metrics,organic_metrics",
    }


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (NOW - 400 * DAY, NOW - 30 * DAY, None),
        (NOW - 400 * DAY, NOW - 20 * DAY, "2026-11-01T12:00:01Z"),
        (NOW - 5 * DAY, NOW, "2026-11-25T12:00:00Z"),
    ],
)
def test_the_private_list_covers_no_day_outside_the_interval(
    start: datetime, end: datetime, expected: str | None
) -> None:
    query = listing(start=start.replace(microsecond=0), end=end.replace(microsecond=0))

    _, *private = plan_listing(query, private=True, now=NOW)

    assert [request.parameters()["start_time"] for request in private] == ([expected] if expected else [])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_pages_are_read_to_the_end_also_if_some_are_empty(sizes: list[int]) -> None:
    tokens = [f"page{number}" for number in range(1, len(sizes))] + [None]
    request: PageRequest | None = PageRequest(listing())
    sent: list[str | None] = []

    while request is not None:
        token = tokens[len(sent)]
        sent.append(request.parameters().get("pagination_token"))
        request = next_page(request, token, seen=[one for one in sent if one])

    assert sent == [None, *tokens[:-1]]


def test_a_list_that_comes_back_to_a_page_is_an_error() -> None:
    request = PageRequest(listing(), token="b")

    with pytest.raises(InvalidResponseError, match="user 42 has no end"):
        next_page(request, "a", seen=["a"])
    with pytest.raises(InvalidResponseError, match="user 42 has no end"):
        next_page(request, "b")


def test_every_parameter_is_within_the_bounds_of_the_specification() -> None:
    ids = [tweet_at(NOW - number * timedelta(minutes=1), number) for number in range(1234)]
    for request in plan_public(ids, auth=Auth.APP):
        assert isinstance(request, LookupRequest)
        assert 1 <= len(request.tweet_ids) <= 100
        assert all(re.fullmatch("[0-9]{1,19}", tweet_id) for tweet_id in request.tweet_ids)


def test_private_groups_are_those_that_only_an_author_reads() -> None:
    assert [group.field for group in FieldGroup if group.is_private] == ["non_public_metrics", "organic_metrics"]
