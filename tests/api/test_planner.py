"""What a plan must hold, checked against the contract's own words and not against the planner's arithmetic."""

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

from airflow_provider_engagement.api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.api.planner import (
    Request,
    estimate,
    lower_bound,
    never_live,
    plan,
    plan_after_post,
    plan_shared,
    split,
    wanted_hours,
)
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.time_range import TimeRange, whole_days_within
from airflow_provider_engagement.exceptions import InvalidQueryError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 7, 1, 2, 17, tzinfo=UTC)
END = datetime(2026, 7, 1, tzinfo=UTC)
YEAR = TimeRange(END - 365 * DAY, END)

Cell = tuple[str, datetime]


def tweet_at(moment: datetime, low_bits: int = 0) -> str:
    """Make an id from the published formula."""
    milliseconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return str(((milliseconds - 1288834974657) << 22) + low_bits)


def hour_of_creation(tweet_id: str) -> datetime | None:
    """Read an id by the published formula."""
    number = int(tweet_id)
    if number < 29700859247:
        return None
    seconds = ((number >> 22) + 1288834974657) // 1000
    return datetime.fromtimestamp(seconds - seconds % 3600, UTC)


def historical(tweet_ids: Iterable[str], window: TimeRange, grain: Granularity = Granularity.HOUR) -> Query:
    return Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=tuple(tweet_ids),
        metrics=("impressions", "url_clicks"),
        granularities=(grain,),
        window=window,
    )


def windowless(endpoint: Endpoint, tweet_ids: Iterable[str]) -> Query:
    return Query(endpoint=endpoint, auth=Auth.USER, tweet_ids=tuple(tweet_ids), metrics=("favorites",))


def spread(count: int, days: int, end: datetime = END) -> list[str]:
    """Make Tweets at even distances over the days before ``end``."""
    return [tweet_at(end - days * DAY * (index + 0.5) / count, index) for index in range(count)]


def hours(window: TimeRange) -> list[datetime]:
    return [window.start + index * HOUR for index in range((window.end - window.start) // HOUR)]


def asked_cells(requests: Iterable[Request]) -> Counter[Cell]:
    return Counter(
        (tweet_id, hour)
        for request in requests
        if request.window is not None
        for hour in hours(request.window)
        for tweet_id in request.tweet_ids
    )


def wanted_cells(tweet_ids: Iterable[str], window: TimeRange) -> set[Cell]:
    wanted = set()
    for tweet_id in tweet_ids:
        birth = hour_of_creation(tweet_id)
        wanted |= {(tweet_id, hour) for hour in hours(window) if birth is None or hour >= birth}
    return wanted


def refusals(request: Request, *, now: datetime, reach: timedelta | None = timedelta(days=365)) -> list[str]:
    """Say what the API would object to, by the list of the reference; nothing of the package decides here."""
    body = json.loads(json.dumps(request.body()))
    endpoint = request.query.endpoint.value
    limit = {"totals": 250, "28hr": 25, "historical": 25}[endpoint]
    legal = {"tweet.id", "engagement.type"} | (set() if endpoint == "totals" else {"engagement.day", "engagement.hour"})
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
        if list(grouping) != ["group_by"] or not 1 <= len(group_by) <= 4 or not set(group_by) <= legal:
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
            found.append("off the hour")
        if end > now or (reach is not None and start < now - reach):
            found.append("out of reach")
    return found


@st.composite
def tweet_ids_around(draw: st.DrawFn, window: TimeRange, *, most: int = 80) -> list[str]:
    """Tweets before, in and after a window, on its edges and to the millisecond beside them, some from 2007."""
    moments = st.one_of(
        st.datetimes(
            (window.start - 40 * DAY).replace(tzinfo=None),
            (window.end + 3 * DAY).replace(tzinfo=None),
            timezones=st.just(UTC),
        ),
        st.sampled_from([window.start, window.end]).flatmap(
            lambda edge: st.sampled_from([-HOUR, -timedelta(milliseconds=1), timedelta(0), HOUR]).map(
                lambda by: edge + by
            )
        ),
    )
    ids = st.one_of(
        st.builds(tweet_at, moments, st.integers(0, 2**22 - 1)),
        st.integers(1, 29700859246).map(str),
    )
    return draw(st.lists(ids, min_size=1, max_size=most, unique=True))


@st.composite
def historical_queries(draw: st.DrawFn, *, most_hours: int = 2100, most: int = 80) -> Query:
    end = END - draw(st.integers(0, 100)) * HOUR
    window = TimeRange(end - draw(st.integers(1, most_hours)) * HOUR, end)
    return historical(draw(tweet_ids_around(window, most=most)), window)


# What a request says


def test_the_body_has_the_shape_of_the_reference() -> None:
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=("2000000000000000001",),
        metrics=("impressions", "url_clicks"),
        granularities=(Granularity.HOUR,),
        groupings={"all": (Dimension.METRIC,)},
        window=TimeRange(datetime(2026, 1, 10, 22, tzinfo=UTC), datetime(2026, 1, 11, 2, tzinfo=UTC)),
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


@pytest.mark.parametrize("endpoint", [Endpoint.TOTALS, Endpoint.LAST_28_HOURS])
def test_only_historical_sends_a_window(endpoint: Endpoint) -> None:
    [request] = plan(windowless(endpoint, ["20"]))

    assert sorted(request.body()) == ["engagement_types", "groupings", "tweet_ids"]


# Packing


@pytest.mark.parametrize(
    ("endpoint", "count", "sizes"),
    [
        (Endpoint.TOTALS, 250, [250]),
        (Endpoint.TOTALS, 501, [250, 250, 1]),
        (Endpoint.LAST_28_HOURS, 25, [25]),
        (Endpoint.LAST_28_HOURS, 51, [25, 25, 1]),
    ],
)
def test_requests_are_packed_full(endpoint: Endpoint, count: int, sizes: list[int]) -> None:
    query = windowless(endpoint, spread(count, 30))

    requests = plan(query)

    assert [len(request.tweet_ids) for request in requests] == sizes
    assert lower_bound(query) == len(requests)


@given(st.lists(st.integers(1, 10**19 - 1).map(str), min_size=1, max_size=600, unique=True), st.data())
def test_without_a_window_every_tweet_is_in_one_legal_request(tweet_ids: list[str], data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from([Endpoint.TOTALS, Endpoint.LAST_28_HOURS]))

    requests = plan(windowless(endpoint, tweet_ids))

    assert sorted(tweet_id for request in requests for tweet_id in request.tweet_ids) == sorted(tweet_ids)
    assert [refusals(request, now=NOW) for request in requests] == [[]] * len(requests)


# Windows


@given(st.integers(1, 9000))
def test_windows_are_laid_from_the_end_backwards(length: int) -> None:
    window = TimeRange(END - length * HOUR, END)

    windows = split(window)

    assert [hour for part in windows for hour in hours(part)] == hours(window)
    assert all(part.hours == 672 for part in windows[1:])
    assert 1 <= windows[0].hours <= 672


@settings(max_examples=60, deadline=None)
@given(historical_queries())
def test_every_wanted_hour_of_every_tweet_is_asked_for_exactly_once(query: Query) -> None:
    assert query.window is not None
    wanted = wanted_cells(query.tweet_ids, query.window)

    asked = asked_cells(plan(query))

    assert {cell: asked[cell] for cell in wanted} == dict.fromkeys(wanted, 1)


@settings(max_examples=60, deadline=None)
@given(historical_queries())
def test_nothing_else_is_asked_for_but_hours_that_an_older_tweet_of_the_request_needs(query: Query) -> None:
    assert query.window is not None
    for request in plan(query):
        assert request.window is not None
        oldest = request.tweet_ids[:1]
        assert asked_cells([Request(query, oldest, request.window)]).keys() <= wanted_cells(oldest, query.window)
        for tweet_id in request.tweet_ids:
            birth = hour_of_creation(tweet_id)
            assert birth is None or birth < request.window.end
        kept = {
            (tweet_id, hour)
            for tweet_id in request.tweet_ids
            if (part := wanted_hours(tweet_id, request.window)) is not None
            for hour in hours(part)
        }
        assert kept <= wanted_cells(request.tweet_ids, query.window)


@settings(max_examples=60, deadline=None)
@given(historical_queries(most_hours=8600))
def test_every_request_is_legal(query: Query) -> None:
    assert [refusals(request, now=NOW) for request in plan(query)] == [[]] * len(plan(query))


@settings(max_examples=100, deadline=None)
@given(historical_queries(most_hours=8600))
def test_a_plan_is_within_one_request_for_each_window_of_the_lower_bound(query: Query) -> None:
    assert query.window is not None
    needed = 0
    for tweet_id in query.tweet_ids:
        birth = hour_of_creation(tweet_id)
        start = query.window.start if birth is None else max(query.window.start, birth)
        needed += max(0, math.ceil((query.window.end - start) / timedelta(hours=672)))
    bound = math.ceil(needed / 25)

    assert lower_bound(query) == bound
    assert bound <= len(plan(query)) <= bound + math.ceil(query.window.hours / 672)


@settings(max_examples=60, deadline=None)
@given(historical_queries(), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_the_ids(query: Query, chance: random.Random) -> None:
    assert query.window is not None
    shuffled = list(query.tweet_ids)
    chance.shuffle(shuffled)
    again = historical(shuffled, query.window)

    assert [request.body() for request in plan(again)] == [request.body() for request in plan(query)]
    assert never_live(again) == never_live(query)


@settings(max_examples=60, deadline=None)
@given(historical_queries())
def test_tweets_from_after_the_window_are_in_no_request_and_are_told(query: Query) -> None:
    assert query.window is not None
    end = query.window.end
    young = {one for one in query.tweet_ids if (birth := hour_of_creation(one)) is not None and birth >= end}

    assert set(never_live(query)) == young
    assert {one for request in plan(query) for one in request.tweet_ids} == set(query.tweet_ids) - young


def test_a_tweet_added_later_leaves_the_full_packs_as_they_were() -> None:
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
def test_a_tweet_is_wanted_from_the_hour_of_its_creation(tweet_id: str, expected: TimeRange | None) -> None:
    assert wanted_hours(tweet_id, TimeRange(END - DAY, END)) == expected


# Cost


@pytest.mark.parametrize(
    ("count", "days", "most"),
    [(10_000, 365, 2_850), (3_200, 365, 906), (1_000, 90, 93), (50_000, 28, 2_000)],
)
def test_known_workloads_cost_about_half_of_what_the_plain_way_costs(count: int, days: int, most: int) -> None:
    """The plain way asks for every Tweet in windows of 27 days. 906 is the known figure for one handle's timeline."""
    query = historical(spread(count, days), TimeRange(END - days * DAY, END))
    plain = math.ceil(days / 27) * math.ceil(count / 25)

    requests = len(plan(query))

    assert requests <= most
    assert requests <= 0.6 * plain
    assert requests <= lower_bound(query) + math.ceil(days / 28)


@settings(max_examples=60, deadline=None)
@given(historical_queries(most_hours=8600))
def test_the_estimate_is_what_the_plan_sends(query: Query) -> None:
    assert query.window is not None

    cost = estimate(query, 6.0, owners=3)

    assert cost.to_dict() == {
        "tweets": len(query.tweet_ids),
        "owners": 3,
        "windows": math.ceil(query.window.hours / 672),
        "requests": len(plan(query)),
        "lower_bound": lower_bound(query),
        "minutes": len(plan(query)) / 6,
    }


def test_an_estimate_without_a_rate_has_no_minutes() -> None:
    cost = estimate(windowless(Endpoint.TOTALS, spread(251, 30)))

    assert (cost.requests, cost.windows, cost.minutes) == (2, 0, None)


# Backfills share


@st.composite
def shared_queries(draw: st.DrawFn) -> tuple[Query, TimeRange]:
    query = draw(historical_queries(most_hours=900, most=60))
    start = END - draw(st.integers(1, 70)) * DAY
    return query, TimeRange(start, start + draw(st.integers(1, (END - start) // DAY)) * DAY)


@settings(max_examples=60, deadline=None)
@given(shared_queries())
def test_shared_requests_hold_every_wanted_hour_exactly_once(asked_in: tuple[Query, TimeRange]) -> None:
    query, span = asked_in
    assert query.window is not None
    wanted = wanted_cells(query.tweet_ids, query.window)

    requests = plan_shared(query, span=span)

    asked = asked_cells(requests)
    assert {cell: asked[cell] for cell in wanted} == dict.fromkeys(wanted, 1)
    assert [refusals(request, now=NOW) for request in requests] == [[]] * len(requests)
    for request in requests:
        assert request.window is not None
        assert request.window.intersection(span) in (None, request.window)


@settings(max_examples=60, deadline=None)
@given(shared_queries(), st.data())
def test_any_two_windows_share_blocks_or_have_none_in_common(
    asked_in: tuple[Query, TimeRange], data: st.DataObject
) -> None:
    query, span = asked_in
    first, second = (
        historical(query.tweet_ids, TimeRange(span.start + day * DAY, span.start + (day + 1) * DAY), Granularity.DAY)
        for day in data.draw(st.tuples(*[st.integers(0, span.hours // 24 - 1)] * 2))
    )
    one, other = ({(r.tweet_ids, r.window) for r in plan_shared(each, span=span)} for each in (first, second))

    cells = [
        asked_cells(Request(query, tweet_ids, window) for tweet_ids, window in asked) for asked in (one - other, other)
    ]
    assert not cells[0].keys() & cells[1].keys()


def sent_by_backfill(tweet_ids: list[str], now: datetime, days: int = 365) -> int:
    """Count what daily runs, a minute after one another, send; a part with provisional hours serves its day alone."""
    parts = set()
    for run in range(days):
        clock = now + run * timedelta(minutes=1)
        floor = (clock - 365 * DAY).replace(minute=0, second=0) + HOUR
        midnight = now.replace(hour=0, minute=0, second=0)
        start = midnight - (days - run) * DAY
        span = whole_days_within(floor, clock)
        assert span is not None
        query = historical(tweet_ids, TimeRange(max(floor, start), start + DAY))
        for request in plan_shared(query, span=span):
            assert refusals(request, now=clock) == []
            assert request.window is not None
            provisional = request.window.end > clock - timedelta(hours=72)
            parts.add((request.tweet_ids, request.window, clock.date() if provisional else None))
    return len(parts)


@pytest.mark.parametrize("phase", [0, 13])
@pytest.mark.parametrize("posted", ["all over the year", "before the year"])
def test_daily_runs_over_a_year_cost_what_one_pull_costs(posted: str, phase: int) -> None:
    now = NOW + phase * DAY
    today = END + phase * DAY
    tweet_ids = spread(2_000, 365, END) if posted == "all over the year" else spread(2_000, 200, END - 365 * DAY)
    one_pull = plan(historical(tweet_ids, TimeRange(today - 365 * DAY + 3 * HOUR, today)))

    assert sent_by_backfill(tweet_ids, now) <= 1.1 * len(one_pull)


def test_a_span_that_has_moved_on_leaves_inner_blocks_as_they_were() -> None:
    query = historical(spread(200, 365), TimeRange(END - 200 * DAY, END - 199 * DAY), Granularity.DAY)
    spans = [TimeRange(YEAR.start + days * DAY, YEAR.end + days * DAY) for days in (0, 30)]

    today, later = ([request.body() for request in plan_shared(query, span=span)] for span in spans)

    assert today == later


def test_blocks_end_at_midnight_so_that_days_stay_whole() -> None:
    query = historical(spread(200, 365), YEAR, Granularity.DAY)

    ends = {request.window.end.hour for request in plan_shared(query, span=YEAR) if request.window is not None}

    assert ends == {0}


def test_hours_outside_the_span_are_asked_for_as_they_are() -> None:
    window = TimeRange(END - DAY, END + 2 * HOUR)
    query = historical(["20"], window)

    windows = [request.window for request in plan_shared(query, span=TimeRange(END - 2 * DAY, END))]

    assert windows[-1] == TimeRange(END, END + 2 * HOUR)
    assert [one for one in windows if one is not None and one.end <= END] == windows[:-1]


@pytest.mark.parametrize(
    ("grain", "window", "missing"),
    [
        (Granularity.TOTAL, TimeRange(END - DAY, END), "engagement.day"),
        (Granularity.HOUR_OF_DAY, TimeRange(END - DAY, END), "engagement.day"),
        (Granularity.DAY, TimeRange(END - 5 * HOUR, END), "engagement.hour"),
    ],
)
def test_sharing_refuses_groupings_that_would_mix_in_other_hours(
    grain: Granularity, window: TimeRange, missing: str
) -> None:
    with pytest.raises(InvalidQueryError, match=missing):
        plan_shared(historical(["20"], window, grain), span=YEAR)


# The first days after each Tweet


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40).flatmap(lambda days: tweet_ids_around(TimeRange(END - (days + 40) * DAY, END - DAY), most=30)),
    st.integers(1, 40),
    st.integers(1, 2),
)
def test_the_days_after_each_post_are_asked_for_exactly_once(tweet_ids: list[str], days: int, repetition: int) -> None:
    tweet_ids = [one for one in tweet_ids if hour_of_creation(one) is not None] or [tweet_at(END - 2 * DAY)]
    wanted = set()
    for tweet_id in tweet_ids:
        birth = hour_of_creation(tweet_id)
        assert birth is not None
        first = birth + (repetition - 1) * days * DAY
        wanted |= {
            (tweet_id, hour)
            for hour in (first + index * HOUR for index in range(days * 24))
            if YEAR.start <= hour < YEAR.end
        }

    requests = plan_after_post(historical(tweet_ids, YEAR), days=days, repetition=repetition)

    asked = asked_cells(requests)
    assert {cell: asked[cell] for cell in wanted} == dict.fromkeys(wanted, 1)
    assert [refusals(request, now=NOW) for request in requests] == [[]] * len(requests)


def test_tweets_of_three_weeks_share_a_request_for_their_first_week() -> None:
    query = historical(spread(25, 21, END - 30 * DAY), YEAR)

    [request] = plan_after_post(query, days=7)

    assert len(request.tweet_ids) == 25


def test_tweets_of_a_fortnight_share_two_requests_for_their_first_four_weeks() -> None:
    """One request for each hour of posting would do too, and be one for each Tweet."""
    query = historical(spread(25, 14, END - 60 * DAY), YEAR)

    assert len(plan_after_post(query, days=28)) == 2


def test_tweets_far_apart_share_no_request_for_their_first_week() -> None:
    query = historical(spread(6, 360, END - DAY), YEAR)

    assert [len(request.tweet_ids) for request in plan_after_post(query, days=7)] == [1] * 6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1400), min_size=1, max_size=8, unique=True), st.integers(1, 40))
def test_no_grouping_of_neighbours_takes_fewer_requests(ages: list[int], days: int) -> None:
    tweet_ids = [tweet_at(END - 50 * DAY - age * HOUR) for age in sorted(ages, reverse=True)]
    starts = [END - 50 * DAY - age * HOUR for age in sorted(ages, reverse=True)]
    costs = []
    for cuts in range(2 ** (len(starts) - 1)):
        first, cost = 0, 0
        for index in range(len(starts)):
            if index == len(starts) - 1 or cuts >> index & 1:
                cost += math.ceil((starts[index] + days * DAY - starts[first]) / timedelta(hours=672))
                first = index + 1
        costs.append(cost)

    assert len(plan_after_post(historical(tweet_ids, YEAR), days=days)) == min(costs)
