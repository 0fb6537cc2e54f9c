"""A plan fetches everything that is wanted, in few valid requests. The tests derive this from the documentation."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import (
    Request,
    estimate,
    lower_bound,
    plan,
    plan_after_post,
    plan_shared,
    split,
    wanted_hours,
)
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange, whole_days_within

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 7, 1, 2, 17, tzinfo=UTC)
END = datetime(2026, 7, 1, tzinfo=UTC)
YEAR = TimeRange(END - 365 * DAY, END)

HourOfTweet = tuple[str, datetime]


def tweet_at(time: datetime, low_bits: int = 0) -> str:
    """Return a Tweet id by the published formula."""
    milliseconds = round((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return str(((milliseconds - 1288834974657) << 22) + low_bits)


def creation_hour(tweet_id: str) -> datetime | None:
    """Return the hour of creation by the published formula."""
    number = int(tweet_id)
    if number < 29700859247:
        return None
    seconds = ((number >> 22) + 1288834974657) // 1000
    return datetime.fromtimestamp(seconds - seconds % 3600, UTC)


def historical(tweet_ids: Iterable[str], interval: TimeRange, **groupings: tuple[Dimension, ...]) -> Query:
    return Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=tuple(tweet_ids),
        metrics=("impressions", "url_clicks"),
        groupings=groupings,
        interval=interval,
    )


def without_interval(endpoint: Endpoint, tweet_ids: Iterable[str]) -> Query:
    return Query(endpoint=endpoint, auth=Auth.USER, tweet_ids=tuple(tweet_ids), metrics=("favorites",))


def spread(count: int, days: int, end: datetime = END) -> list[str]:
    """Return Tweets that are posted at regular intervals over the days before ``end``."""
    return [tweet_at(end - days * DAY * (index + 0.5) / count, index) for index in range(count)]


def hours(time_range: TimeRange) -> list[datetime]:
    return [time_range.start + index * HOUR for index in range((time_range.end - time_range.start) // HOUR)]


def requested(requests: Iterable[Request]) -> Counter[HourOfTweet]:
    return Counter(
        (tweet_id, hour)
        for request in requests
        if request.window is not None
        for hour in hours(request.window)
        for tweet_id in request.tweet_ids
    )


def wanted(tweet_ids: Iterable[str], interval: TimeRange) -> set[HourOfTweet]:
    found = set()
    for tweet_id in tweet_ids:
        created = creation_hour(tweet_id)
        found |= {(tweet_id, hour) for hour in hours(interval) if created is None or hour >= created}
    return found


def violations(request: Request, *, now: datetime) -> list[str]:
    """Return the rules of the reference that a request violates. No code of the package is used."""
    body = json.loads(json.dumps(request.body()))
    endpoint = request.query.endpoint.value
    limit = {"totals": 250, "28hr": 25, "historical": 25}[endpoint]
    valid = {"tweet.id", "engagement.type"} | (set() if endpoint == "totals" else {"engagement.day", "engagement.hour"})
    found = []
    ids = body["tweet_ids"]
    if not 1 <= len(ids) <= limit:
        found.append(f"{len(ids)} ids")
    if len(set(ids)) != len(ids) or not all(isinstance(one, str) and re.fullmatch("[0-9]{1,19}", one) for one in ids):
        found.append("ids")
    if not body["engagement_types"] or len(set(body["engagement_types"])) != len(body["engagement_types"]):
        found.append("metrics")
    if not 1 <= len(body["groupings"]) <= 3:
        found.append("groupings")
    for name, grouping in body["groupings"].items():
        group_by = grouping["group_by"]
        if list(grouping) != ["group_by"] or not 1 <= len(group_by) <= 4 or not set(group_by) <= valid:
            found.append(f"grouping {name}")
        if name in ("start", "end", "errors", "unavailable_tweet_ids") or name.startswith("unsupported_for_"):
            found.append(f"name {name}")
    if not set(body) <= {"tweet_ids", "engagement_types", "groupings", "start", "end"}:
        found.append("unknown keys")
    if ("start" in body or "end" in body) != (endpoint == "historical"):
        found.append("start and end")
    if "start" in body:
        start, end = (
            datetime.strptime(body[edge], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for edge in ("start", "end")
        )
        if start >= end or end - start > timedelta(hours=672):
            found.append("length")
        if any((edge.minute, edge.second) != (0, 0) for edge in (start, end)):
            found.append("unaligned")
        if end > now or start < now - timedelta(days=365):
            found.append("out of range")
    return found


def assert_valid(requests: Iterable[Request]) -> None:
    for request in requests:
        assert violations(request, now=NOW) == []


@st.composite
def tweet_ids_around(draw: st.DrawFn, interval: TimeRange, *, at_most: int = 80) -> list[str]:
    """Tweets before, in and after an interval, at its edges and a millisecond before them, and some from 2007."""
    times = st.one_of(
        st.datetimes(
            (interval.start - 40 * DAY).replace(tzinfo=None),
            (interval.end + 3 * DAY).replace(tzinfo=None),
            timezones=st.just(UTC),
        ),
        st.sampled_from([interval.start, interval.end]).flatmap(
            lambda edge: st.sampled_from([-HOUR, -timedelta(milliseconds=1), timedelta(0), HOUR]).map(
                lambda by: edge + by
            )
        ),
    )
    ids = st.one_of(
        st.builds(tweet_at, times, st.integers(0, 2**22 - 1)),
        st.integers(1, 29700859246).map(str),
    )
    return draw(st.lists(ids, min_size=1, max_size=at_most, unique=True))


@st.composite
def historical_queries(draw: st.DrawFn, *, most_hours: int = 2100, most_tweets: int = 60) -> Query:
    end = END - draw(st.integers(0, 100)) * HOUR
    interval = TimeRange(end - draw(st.integers(1, most_hours)) * HOUR, end)
    return historical(draw(tweet_ids_around(interval, at_most=most_tweets)), interval)


def interval_of(query: Query) -> TimeRange:
    assert query.interval is not None
    return query.interval


# Requests


def test_the_body_has_the_shape_of_the_reference() -> None:
    query = historical(
        ["2000000000000000001"],
        TimeRange(datetime(2026, 1, 10, 22, tzinfo=UTC), datetime(2026, 1, 11, 2, tzinfo=UTC)),
        all=(Dimension.METRIC,),
    )

    [request] = plan(query)

    assert request.body() == {
        "start": "2026-01-10T22:00:00Z",
        "end": "2026-01-11T02:00:00Z",
        "tweet_ids": ["2000000000000000001"],
        "engagement_types": ["impressions", "url_clicks"],
        "groupings": {
            "hour": {"group_by": ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"]},
            "all": {"group_by": ["engagement.type"]},
        },
    }


@pytest.mark.parametrize(
    ("endpoint", "count", "sizes"),
    [
        (Endpoint.TOTALS, 250, [250]),
        (Endpoint.TOTALS, 501, [250, 250, 1]),
        (Endpoint.LAST_28_HOURS, 25, [25]),
        (Endpoint.LAST_28_HOURS, 51, [25, 25, 1]),
    ],
)
def test_requests_without_a_window_name_as_many_tweets_as_the_api_accepts(
    endpoint: Endpoint, count: int, sizes: list[int]
) -> None:
    query = without_interval(endpoint, spread(count, 30))

    requests = plan(query)

    assert [len(request.tweet_ids) for request in requests] == sizes
    assert lower_bound(query) == len(requests)
    assert sorted(requests[0].body()) == ["engagement_types", "groupings", "tweet_ids"]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([Endpoint.TOTALS, Endpoint.LAST_28_HOURS]),
    st.lists(st.integers(1, 10**19 - 1).map(str), min_size=1, max_size=600, unique=True),
)
def test_without_an_interval_every_tweet_is_in_one_valid_request(endpoint: Endpoint, tweet_ids: list[str]) -> None:
    requests = plan(without_interval(endpoint, tweet_ids))

    assert sorted(tweet_id for request in requests for tweet_id in request.tweet_ids) == sorted(tweet_ids)
    assert_valid(requests)


# Windows


def test_windows_start_at_the_end_of_the_interval_and_go_backwards() -> None:
    for length in (1, 671, 672, 673, 1344, 5000):
        interval = TimeRange(END - length * HOUR, END)

        windows = split(interval)

        assert [hour for window in windows for hour in hours(window)] == hours(interval)
        assert all(window.hours == 672 for window in windows[1:])
        assert 1 <= windows[0].hours <= 672


@settings(max_examples=30, deadline=None)
@given(historical_queries())
def test_every_wanted_hour_is_requested_once(query: Query) -> None:
    hours_of_tweets = wanted(query.tweet_ids, interval_of(query))
    requests = plan(query)

    counted = requested(requests)

    assert {one: counted[one] for one in hours_of_tweets} == dict.fromkeys(hours_of_tweets, 1)
    assert_valid(requests)


@settings(max_examples=30, deadline=None)
@given(historical_queries(most_hours=1000, most_tweets=40))
def test_other_hours_are_requested_only_if_the_oldest_tweet_of_the_request_needs_them(query: Query) -> None:
    interval = interval_of(query)
    for request in plan(query):
        assert request.window is not None
        oldest = request.tweet_ids[:1]
        assert requested([Request(query, oldest, request.window)]).keys() <= wanted(oldest, interval)
        kept = set()
        for tweet_id in request.tweet_ids:
            part = wanted_hours(tweet_id, request.window)
            kept |= {(tweet_id, hour) for hour in (hours(part) if part else ())}
        assert kept <= wanted(request.tweet_ids, interval)


@settings(max_examples=50, deadline=None)
@given(historical_queries(most_hours=8600))
def test_a_plan_exceeds_the_lower_bound_by_at_most_one_request_per_window(query: Query) -> None:
    interval = interval_of(query)
    named = 0
    for tweet_id in query.tweet_ids:
        created = creation_hour(tweet_id)
        start = interval.start if created is None else max(interval.start, created)
        named += max(0, math.ceil((interval.end - start) / timedelta(hours=672)))
    bound = math.ceil(named / 25)
    requests = plan(query)

    assert lower_bound(query) == bound
    assert bound <= len(requests) <= bound + math.ceil(interval.hours / 672)
    assert_valid(requests)


@settings(max_examples=30, deadline=None)
@given(historical_queries(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_the_ids(query: Query, chance: random.Random) -> None:
    shuffled = list(query.tweet_ids)
    chance.shuffle(shuffled)
    again = historical(shuffled, interval_of(query))

    assert [request.body() for request in plan(again)] == [request.body() for request in plan(query)]


@settings(max_examples=30, deadline=None)
@given(historical_queries())
def test_tweets_created_after_the_interval_are_in_no_request(query: Query) -> None:
    end = interval_of(query).end
    later = {one for one in query.tweet_ids if (created := creation_hour(one)) is not None and created >= end}

    assert {one for request in plan(query) for one in request.tweet_ids} == set(query.tweet_ids) - later


def test_a_new_tweet_does_not_change_the_full_batches() -> None:
    tweet_ids = spread(75, 365)
    before = plan(historical(tweet_ids, YEAR))

    after = plan(historical([tweet_at(END - HOUR), *tweet_ids], YEAR))

    assert {(one.tweet_ids, one.window) for one in before} < {(one.tweet_ids, one.window) for one in after}


@pytest.mark.parametrize(
    ("tweet_id", "expected"),
    [
        (tweet_at(END - 3 * HOUR + timedelta(minutes=59)), TimeRange(END - 3 * HOUR, END)),
        (tweet_at(END - timedelta(milliseconds=1)), TimeRange(END - HOUR, END)),
        (tweet_at(END), None),
        (tweet_at(END - 2 * DAY), TimeRange(END - DAY, END)),
        ("20", TimeRange(END - DAY, END)),
    ],
)
def test_a_tweet_is_wanted_from_its_creation_hour_on(tweet_id: str, expected: TimeRange | None) -> None:
    assert wanted_hours(tweet_id, TimeRange(END - DAY, END)) == expected


# Costs


@pytest.mark.parametrize(
    ("count", "days", "at_most"),
    [(10_000, 365, 2_850), (3_200, 365, 906), (1_000, 90, 93), (50_000, 28, 2_000)],
)
def test_known_workloads_need_about_half_of_the_requests_of_a_simple_plan(count: int, days: int, at_most: int) -> None:
    """A simple plan requests every Tweet in windows of 27 days. 906 is the known figure for the Tweets of one user."""
    query = historical(spread(count, days), TimeRange(END - days * DAY, END))
    simple = math.ceil(days / 27) * math.ceil(count / 25)

    requests = len(plan(query))

    assert requests <= at_most
    assert requests <= 0.6 * simple
    assert requests <= lower_bound(query) + math.ceil(days / 28)


def test_an_estimate_describes_the_plan() -> None:
    query = historical(spread(60, 90), YEAR)
    requests = plan(query)

    assert estimate([query], requests, to_send=3, requests_per_minute=6.0).to_dict() == {
        "endpoint": "historical",
        "auth": "user",
        "tweets": 60,
        "owners": 1,
        "planned_requests": len(requests),
        "requests": 3,
        "lower_bound": lower_bound(query),
        "requests_per_minute": 6.0,
        "minutes": 0.5,
    }


def test_an_estimate_without_a_quota_has_no_minutes() -> None:
    query = without_interval(Endpoint.TOTALS, spread(251, 30))

    estimated = estimate([query], plan(query))

    assert (estimated.requests, estimated.planned_requests, estimated.minutes) == (2, 2, None)


# Shared requests


@st.composite
def shared_queries(draw: st.DrawFn) -> tuple[Query, TimeRange]:
    query = draw(historical_queries(most_hours=900))
    start = END - draw(st.integers(1, 70)) * DAY
    return query, TimeRange(start, start + draw(st.integers(1, (END - start) // DAY)) * DAY)


@settings(max_examples=30, deadline=None)
@given(shared_queries())
def test_shared_requests_include_every_wanted_hour_once(query_and_available: tuple[Query, TimeRange]) -> None:
    query, available = query_and_available
    hours_of_tweets = wanted(query.tweet_ids, interval_of(query))

    requests = plan_shared(query, available=available)

    counted = requested(requests)
    assert {one: counted[one] for one in hours_of_tweets} == dict.fromkeys(hours_of_tweets, 1)
    assert_valid(requests)
    for request in requests:
        assert request.window is not None
        assert request.window.intersection(available) in (None, request.window)


@settings(max_examples=30, deadline=None)
@given(shared_queries(), st.data())
def test_the_blocks_of_two_intervals_are_equal_or_do_not_overlap(
    query_and_available: tuple[Query, TimeRange], data: st.DataObject
) -> None:
    query, available = query_and_available
    first, second = (
        historical(query.tweet_ids, TimeRange(available.start + day * DAY, available.start + (day + 1) * DAY))
        for day in data.draw(st.tuples(*[st.integers(0, available.hours // 24 - 1)] * 2))
    )
    one, other = (
        {(request.tweet_ids, request.window) for request in plan_shared(each, available=available)}
        for each in (first, second)
    )

    only_first, all_second = (
        requested(Request(query, tweet_ids, window) for tweet_ids, window in blocks) for blocks in (one - other, other)
    )
    assert not only_first.keys() & all_second.keys()


def count_requests_of_backfill(tweet_ids: list[str], now: datetime, days: int = 365) -> int:
    """Return how many requests daily runs send, each a minute after the other.

    A response with counts that are not final is reused only on the same day.
    """
    sent = set()
    for run in range(days):
        clock = now + run * timedelta(minutes=1)
        oldest = (clock - 365 * DAY).replace(minute=0, second=0) + HOUR
        midnight = now.replace(hour=0, minute=0, second=0)
        start = midnight - (days - run) * DAY
        available = whole_days_within(oldest, clock)
        assert available is not None
        query = historical(tweet_ids, TimeRange(max(oldest, start), start + DAY))
        for request in plan_shared(query, available=available):
            assert request.window is not None
            is_final = request.window.end <= clock - timedelta(hours=72)
            key = (request.tweet_ids, request.window, None if is_final else clock.date())
            if key not in sent:
                assert violations(request, now=clock) == []
                sent.add(key)
    return len(sent)


@pytest.mark.parametrize(
    ("posted", "phase"), [("all over the year", 0), ("all over the year", 13), ("before the year", 0)]
)
def test_daily_runs_over_a_year_cost_hardly_more_than_one_pull(posted: str, phase: int) -> None:
    now = NOW + phase * DAY
    today = END + phase * DAY
    tweet_ids = spread(500, 365, END) if posted == "all over the year" else spread(500, 200, END - 365 * DAY)
    one_pull = plan(historical(tweet_ids, TimeRange(today - 365 * DAY + 3 * HOUR, today)))

    assert count_requests_of_backfill(tweet_ids, now) <= 1.1 * len(one_pull)


def test_inner_blocks_stay_the_same_on_later_days() -> None:
    query = historical(spread(200, 365), TimeRange(END - 200 * DAY, END - 199 * DAY))
    ranges = [TimeRange(YEAR.start + days * DAY, YEAR.end + days * DAY) for days in (0, 30)]

    today, later = ([request.body() for request in plan_shared(query, available=one)] for one in ranges)

    assert today == later


def test_blocks_end_at_midnight_so_that_days_are_whole() -> None:
    requests = plan_shared(historical(spread(200, 365), YEAR), available=YEAR)

    assert {request.window.end.hour for request in requests if request.window is not None} == {0}


def test_hours_outside_the_available_range_are_requested_as_they_are() -> None:
    query = historical(["20"], TimeRange(END - DAY, END + 2 * HOUR))

    windows = [request.window for request in plan_shared(query, available=TimeRange(END - 2 * DAY, END))]

    assert windows[-1] == TimeRange(END, END + 2 * HOUR)
    assert [one for one in windows if one is not None and one.end <= END] == windows[:-1]


def test_requests_with_groupings_are_not_shared() -> None:
    query = historical(["20"], TimeRange(END - DAY, END), days=(Dimension.METRIC, Dimension.DAY))

    assert plan_shared(query, available=YEAR) == plan(query)


# The first days of each Tweet


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 40).flatmap(
        lambda days: tweet_ids_around(TimeRange(END - (days + 40) * DAY, END - DAY), at_most=30)
    ),
    st.integers(1, 40),
    st.integers(1, 2),
)
def test_the_days_after_each_post_are_requested_once(tweet_ids: list[str], days: int, period: int) -> None:
    tweet_ids = [one for one in tweet_ids if creation_hour(one) is not None] or [tweet_at(END - 2 * DAY)]
    hours_of_tweets = set()
    for tweet_id in tweet_ids:
        created = creation_hour(tweet_id)
        assert created is not None
        first = created + (period - 1) * days * DAY
        hours_of_tweets |= {
            (tweet_id, hour)
            for hour in (first + index * HOUR for index in range(days * 24))
            if YEAR.start <= hour < YEAR.end
        }

    requests = plan_after_post(historical(tweet_ids, YEAR), days=days, period=period)

    counted = requested(requests)
    assert {one: counted[one] for one in hours_of_tweets} == dict.fromkeys(hours_of_tweets, 1)
    assert_valid(requests)


def test_tweets_of_three_weeks_share_a_request_for_their_first_week() -> None:
    [request] = plan_after_post(historical(spread(25, 21, END - 30 * DAY), YEAR), days=7)

    assert len(request.tweet_ids) == 25


def test_tweets_of_two_weeks_share_two_requests_for_their_first_four_weeks() -> None:
    assert len(plan_after_post(historical(spread(25, 14, END - 60 * DAY), YEAR), days=28)) == 2


def test_tweets_that_were_posted_far_apart_share_no_request_for_their_first_week() -> None:
    requests = plan_after_post(historical(spread(6, 360, END - DAY), YEAR), days=7)

    assert [len(request.tweet_ids) for request in requests] == [1] * 6


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1400), min_size=1, max_size=8, unique=True), st.integers(1, 40))
def test_no_other_division_of_the_tweets_needs_fewer_requests(ages: list[int], days: int) -> None:
    starts = [END - 50 * DAY - age * HOUR for age in sorted(ages, reverse=True)]
    costs = []
    for cuts in range(2 ** (len(starts) - 1)):
        first, cost = 0, 0
        for index in range(len(starts)):
            if index == len(starts) - 1 or cuts >> index & 1:
                cost += math.ceil((starts[index] + days * DAY - starts[first]) / timedelta(hours=672))
                first = index + 1
        costs.append(cost)

    assert len(plan_after_post(historical(map(tweet_at, starts), YEAR), days=days)) == min(costs)
