"""Every count of a body is read unchanged, or the body is rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.catalogue import FOUR_ITEM_ORDERS, Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import (
    Outcome,
    ParsedResponse,
    TweetStatus,
    all_unavailable,
    listed_ids,
    parse_response,
)
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidResponseError, TransientError

TWEET, METRIC, DAY, HOUR = Dimension
ONE_HOUR = timedelta(hours=1)
A, B, C = "2000000000000000001", "2000000000000000002", "2000000000000000003"
START = datetime(2026, 1, 10, 22, tzinfo=UTC)
FOUR_HOURS = TimeRange(START, START + 4 * ONE_HOUR)
HOURLY = (TWEET, METRIC, DAY, HOUR)
ORDERS = [order for length in (1, 2, 3) for order in permutations(Dimension, length) if METRIC in order] + [
    *FOUR_ITEM_ORDERS
]


def historical(
    *tweet_ids: str,
    metrics: Sequence[str] = ("impressions",),
    window: TimeRange = FOUR_HOURS,
    **groupings: tuple[Dimension, ...],
) -> Request:
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=tweet_ids or (A,),
        metrics=tuple(metrics),
        groupings=groupings,
        interval=window,
    )
    return Request(query, query.tweet_ids, window)


def totals(*tweet_ids: str, metrics: Sequence[str] = ("favorites",)) -> Request:
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.USER, tweet_ids=tweet_ids or (A,), metrics=tuple(metrics))
    return Request(query, query.tweet_ids, None)


def last_28_hours() -> Request:
    query = Query(endpoint=Endpoint.LAST_28_HOURS, auth=Auth.USER, tweet_ids=(A,), metrics=("impressions",))
    return Request(query, query.tweet_ids, None)


def leaves(nested: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(nested, Mapping):
        for key, child in nested.items():
            yield from leaves(child, (*path, key))
    else:
        yield path, nested


def as_integers(nested: Any) -> Any:
    """Return the counts of a documented body as integers."""
    return {key: as_integers(child) for key, child in nested.items()} if isinstance(nested, dict) else int(nested)


def rows(response: ParsedResponse) -> dict[tuple[str, str, Any], int | None]:
    counts = response.counts
    cells = [(tweet_id, period) for tweet_id in counts.tweet_ids for period in counts.periods]
    return {
        (tweet_id, metric, period): count
        for metric, column in counts.by_metric.items()
        for (tweet_id, period), count in zip(cells, column, strict=True)
    }


def outcomes(response: ParsedResponse) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {tweet_id: (str(one.outcome), one.metrics_affected) for tweet_id, one in response.statuses.items()}


# Documented bodies


def with_rows(request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a documented body with the rows that every request of the package adds to the documented groupings.

    They come from the documented grouping with the same dimensions if there is one. Otherwise they are zero.
    """
    query = request.query
    if query.endpoint is Endpoint.TOTALS:
        return {**body, "total": {one: dict.fromkeys(query.metrics, "0") for one in query.tweet_ids}}
    for name, group_by in query.groupings.items():
        if group_by == HOURLY:
            return {**body, "hour": body[name]}
    assert request.window is not None
    hours = [request.window.start + number * ONE_HOUR for number in range(request.window.hours)]
    zero = Truth(dict.fromkeys(product(query.tweet_ids, query.metrics, hours), 0), request.window, str).nested(HOURLY)
    for name in query.groupings_of_hours:
        for metric, by_tweet in body[name].items():
            for tweet_id, days in by_tweet.items():
                zero[tweet_id][metric] = days
    return {**body, "hour": zero}


@pytest.mark.parametrize(
    "name",
    [
        "public_metrics_with_a_bearer_token",
        "last_28_hours_in_29_buckets",
        "historical_with_bare_dates",
        "grand_totals",
        "three_groupings",
        "windows_that_meet",
    ],
)
def test_documented_bodies_are_read_number_by_number(
    name: str, golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    example = golden(name)
    for exchange in example["exchanges"]:
        request = request_of(exchange, example["auth"]["mode"])
        response = parse_response(request, with_rows(request, exchange["response"]))
        assert response.groupings == {name: as_integers(exchange["response"][name]) for name in request.query.groupings}
        assert {one.outcome for one in response.statuses.values()} == {Outcome.OK}
        for edge, time in (("start", response.start), ("end", response.end)):
            returned = exchange["response"].get(edge)
            assert time == (returned and datetime.fromisoformat(returned))


def test_edges_that_the_api_moved_to_whole_hours_are_those_of_the_response(
    golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    (exchange,) = golden("edges_within_an_hour")["exchanges"]
    aligned = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T02:00:00Z"}
    request = request_of({**exchange, "body": exchange["body"] | aligned}, "user")
    response = parse_response(request, with_rows(request, exchange["response"]))
    assert response.groupings == {name: as_integers(exchange["response"][name]) for name in request.query.groupings}
    assert {one.outcome for one in response.statuses.values()} == {Outcome.OK}
    assert (response.start, response.end) == (
        datetime(2026, 1, 10, 22, tzinfo=UTC),
        datetime(2026, 1, 11, 2, tzinfo=UTC),
    )


def test_a_metric_that_was_not_requested_is_left_out(
    golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    (exchange,) = golden("owned_totals_with_a_metric_nobody_requested")["exchanges"]
    response = parse_response(request_of(exchange, "user"), exchange["response"])
    expected = as_integers(exchange["response"]["perTweetMetricsOwned"])
    for counts in expected.values():
        del counts["quote_tweets"]
    assert response.groupings == {"perTweetMetricsOwned": expected}


def test_the_documented_hours_of_day_are_read(golden: Callable[[str], dict[str, Any]]) -> None:
    (exchange,) = golden("hour_of_day_over_the_default_window")["exchanges"]
    tweet_id = "695310089847111681"
    window = TimeRange(datetime(2016, 1, 12, 20, tzinfo=UTC), datetime(2016, 2, 9, 20, tzinfo=UTC))
    request = historical(tweet_id, window=window, hourly_timeseries=(METRIC, TWEET, HOUR))
    response = parse_response(request, exchange["response"])
    assert response.end == datetime(2016, 2, 9, 19, 43, tzinfo=UTC)
    hours = response.groupings["hourly_timeseries"]["impressions"][tweet_id]
    assert (sum(hours.values()), hours["18"], len(hours)) == (412, 167, 24)


def test_video_views_of_old_tweets_are_null(
    golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    (exchange,) = golden("video_views_of_old_tweets")["exchanges"]
    request = request_of(exchange, "user")
    response = parse_response(request, with_rows(request, exchange["response"]))
    expected = as_integers(exchange["response"]["grouping name"])
    too_old = ("479311209565413376", "477139122520219648")
    for tweet_id in too_old:
        expected[tweet_id]["video_views"] = None
        assert response.statuses[tweet_id].message == "the Tweet is more than 1,800 days old"
    assert response.groupings == {"grouping name": expected}
    assert outcomes(response) == {
        **dict.fromkeys(too_old, ("unsupported_video", ("video_views",))),
        "1397568983931392004": ("ok", ()),
    }


def test_the_documented_incomplete_body_with_a_number_is_read() -> None:
    body = {
        "start": "2015-11-17T22:00:00Z",
        "end": "2015-11-19T02:00:00Z",
        "unavailable_tweet_ids": ["323456789"],
        "total": {"423456789": {"favorites": "67", "replies": "8", "retweets": 26}},
    }
    metrics = ("favorites", "replies", "retweets")
    response = parse_response(totals("323456789", "423456789", metrics=metrics), body)
    assert response.counts.by_metric == {"favorites": [67], "replies": [8], "retweets": [26]}
    assert response.counts.tweet_ids == ("423456789",)
    assert outcomes(response) == {"323456789": ("unavailable", metrics), "423456789": ("ok", ())}


# Every nesting


@dataclass(frozen=True)
class Truth:
    """Counts by Tweet, metric and hour, and how the API writes them."""

    counts: dict[tuple[str, str, datetime], int]
    window: TimeRange
    write: Callable[[int], Any]

    @property
    def tweet_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key[0] for key in self.counts))

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key[1] for key in self.counts))

    def summed(self, group_by: Sequence[Dimension]) -> dict[tuple[str, ...], int]:
        sums: dict[tuple[str, ...], int] = defaultdict(int)
        for (tweet_id, metric, hour), count in self.counts.items():
            keys = {TWEET: tweet_id, METRIC: metric, DAY: f"{hour:%Y-%m-%d}", HOUR: f"{hour:%H}"}
            sums[tuple(keys[item] for item in group_by)] += count
        return dict(sums)

    def nested(self, group_by: Sequence[Dimension]) -> dict[str, Any]:
        root: dict[str, Any] = {}
        for path, count in self.summed(group_by).items():
            node = root
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = self.write(count)
        return root

    def body(self, **groupings: Sequence[Dimension]) -> dict[str, Any]:
        """Return a body with the hourly rows and other groupings."""
        edges = {"start": f"{self.window.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{self.window.end:%Y-%m-%dT%H:%M:%SZ}"}
        return edges | {name: self.nested(group_by) for name, group_by in {"hour": HOURLY, **groupings}.items()}

    def request(self, **groupings: tuple[Dimension, ...]) -> Request:
        return historical(*self.tweet_ids, metrics=self.metrics, window=self.window, **groupings)


def constant(
    tweet_ids: Sequence[str] = (A,), metrics: Sequence[str] = ("impressions",), *, window: TimeRange = FOUR_HOURS
) -> Truth:
    hours = [window.start + number * ONE_HOUR for number in range(window.hours)]
    return Truth(dict.fromkeys(product(tweet_ids, metrics, hours), 5), window, str)


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    first = START + draw(st.integers(0, 47)) * ONE_HOUR
    window = TimeRange(first, first + draw(st.integers(1, 40)) * ONE_HOUR)
    tweet_ids = draw(st.lists(st.sampled_from([A, B, C, "20"]), min_size=1, unique=True))
    metrics = draw(st.lists(st.sampled_from(["impressions", "url_clicks", "favorites"]), min_size=1, unique=True))
    hours = [window.start + number * ONE_HOUR for number in range(window.hours)]
    chance = draw(st.randoms(use_true_random=False))
    largest = draw(st.sampled_from([0, 3, 10**6, 2**50]))
    write = draw(st.sampled_from([str, int, lambda count: str(count) if count % 2 else count]))
    counts = {key: chance.randint(-largest, largest) for key in product(tweet_ids, metrics, hours)}
    return Truth(counts, window, write)


@settings(max_examples=40, deadline=None)
@given(truths(), st.lists(st.sampled_from(ORDERS), min_size=1, max_size=2))
def test_rows_and_groupings_of_every_nesting_are_read(truth: Truth, orders: list[tuple[Dimension, ...]]) -> None:
    groupings = {f"g{number}": order for number, order in enumerate(orders)}
    response = parse_response(truth.request(**groupings), truth.body(**groupings))
    assert rows(response) == truth.counts
    for name, order in groupings.items():
        read = dict(leaves(response.groupings[name]))
        assert read == truth.summed(order)
        assert all(type(count) is int for count in read.values())
    assert {one.outcome for one in response.statuses.values()} == {Outcome.OK}


@settings(max_examples=30, deadline=None)
@given(truths(), st.sampled_from([order for order in ORDERS if HOUR in order and DAY not in order]))
def test_hours_without_the_day_are_read_in_both_documented_shapes(truth: Truth, order: tuple[Dimension, ...]) -> None:
    at = order.index(HOUR)
    with_days = (*order[:at], DAY, *order[at:])
    for shape in (order, with_days):
        response = parse_response(truth.request(g=order), truth.body(g=shape))
        assert dict(leaves(response.groupings["g"])) == truth.summed(shape)
        assert {one.outcome for one in response.statuses.values()} == {Outcome.OK}


@settings(max_examples=30, deadline=None)
@given(truths(), st.data())
def test_a_body_with_one_other_count_gives_one_other_count(truth: Truth, data: st.DataObject) -> None:
    body = truth.body()
    changed = deepcopy(body)
    path, count = data.draw(st.sampled_from(sorted(leaves(changed["hour"]))))
    node = changed["hour"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = truth.write(int(count) + 1)
    before, after = (rows(parse_response(truth.request(), one)) for one in (body, changed))
    hour = datetime.fromisoformat(f"{path[2]}T{path[3]}:00:00+00:00")
    assert {cell for cell in before if before[cell] != after[cell]} == {(path[0], path[1], hour)}


def test_the_order_of_keys_does_not_matter() -> None:
    request = totals(A, B, metrics=("favorites", "replies"))
    one = {"total": {A: {"favorites": "1", "replies": "2"}, B: {"favorites": "3", "replies": "4"}}}
    other = {"total": {B: {"replies": "4", "favorites": "3"}, A: {"replies": "2", "favorites": "1"}}}
    assert parse_response(request, one) == parse_response(request, other)


@pytest.mark.parametrize("order", FOUR_ITEM_ORDERS)
def test_a_grouping_with_four_dimensions_is_made_of_the_hourly_rows(order: tuple[Dimension, ...]) -> None:
    truth = constant((A, B), ("impressions", "url_clicks"))
    request = truth.request(g=order)
    assert list(request.body()["groupings"]) == ["hour"]
    assert dict(leaves(parse_response(request, truth.body()).groupings["g"])) == truth.summed(order)


# Invalid bodies

NOT_INTEGERS = [
    *("", " ", " 5", "5 ", "+5", "--5", "5.0", "5,000", "1,2", "1_000", "1e3", "0x1", "NaN", "5\n", "many"),
    *("\u0665", "\uff15", "9223372036854775808", "-9223372036854775809", "1" * 5000),
    *(2**63, -(2**63) - 1, 10**30, True, False, 1.5, 1.0, float("nan"), [], ["5"], {}, {"22": "5"}),
]


@pytest.mark.parametrize("other", ["7", 7, None])
def test_values_that_are_not_integers_of_64_bits_are_rejected(other: Any) -> None:
    request = totals(A, metrics=("favorites", "replies"))
    for value in NOT_INTEGERS:
        with pytest.raises(InvalidResponseError):
            parse_response(request, {"total": {A: {"favorites": value, "replies": other}}})


@pytest.mark.parametrize("other", ["7", 7, None])
def test_signed_integers_of_64_bits_are_read(other: Any) -> None:
    request = totals(A, metrics=("favorites", "replies"))
    for value in (0, "0", "-0", "-1", -1, 2**63 - 1, -(2**63), str(2**63 - 1), str(-(2**63)), "007"):
        response = parse_response(request, {"total": {A: {"favorites": value, "replies": other}}})
        assert response.counts.by_metric == {"favorites": [int(value)], "replies": [other and int(other)]}


def test_an_invalid_value_of_a_metric_that_was_not_requested_is_ignored() -> None:
    response = parse_response(totals(A), {"total": {A: {"favorites": "1", "new_metric": "0.5"}}})
    assert response.counts.by_metric == {"favorites": [1]}


def test_a_count_at_the_wrong_level_is_rejected() -> None:
    truth = constant(window=TimeRange(START, START + ONE_HOUR))
    for order, change in product(ORDERS, ("higher", "lower")):
        name = "hour" if len(order) == 4 else "g"
        body = truth.body(g=order)
        node, parent, last = body[name], body, name
        for key in next(iter(truth.summed(HOURLY if name == "hour" else order)))[:-1]:
            node, parent, last = node[key], node, key
        if change == "higher":
            parent[last] = "5"
        else:
            node[next(iter(node))] = {"another_level": "5"}
        with pytest.raises(InvalidResponseError):
            parse_response(truth.request(g=order), body)


def test_two_levels_of_days_are_rejected() -> None:
    body = {"g": {"impressions": {"2026-01-10": {"2026-01-10": {"22": "5"}}}}}
    for order in ((METRIC, HOUR), (METRIC, DAY, HOUR)):
        with pytest.raises(InvalidResponseError):
            parse_response(historical(g=order), body)


def test_a_grouping_that_is_not_an_object_is_rejected() -> None:
    for grouping in ("text", 5, [], True):
        with pytest.raises(InvalidResponseError):
            parse_response(totals(A), {"total": grouping})


def test_counts_outside_the_window_are_rejected() -> None:
    for days in ({"2026-01-10": {"21": "1"}}, {"2026-01-12": {"00": "1"}}, {"2026-01-10": {"24": "1"}}):
        with pytest.raises(InvalidResponseError, match="outside its own window"):
            parse_response(historical(), {"hour": {A: {"impressions": days}}})


@pytest.mark.parametrize("start", ["2026-01-10T21:00:00Z", "2026-01-10T23:00:00Z"])
def test_a_response_for_another_window_is_rejected(start: str) -> None:
    with pytest.raises(InvalidResponseError, match="was requested"):
        parse_response(historical(), {"start": start, "end": "2026-01-11T02:00:00Z"})


def test_a_start_that_is_not_a_time_is_rejected() -> None:
    for value in ("yesterday", 5, [], "2026-13-01"):
        with pytest.raises(InvalidResponseError, match="is not a time"):
            parse_response(totals(A), {"start": value, "total": {A: {"favorites": "1"}}})


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z", "9999"]
)
def test_a_time_outside_the_calendar_of_tweets_is_rejected(time: str) -> None:
    for key in ("start", "end"):
        with pytest.raises(InvalidResponseError, match=f"{key} in the response is .*, which is not a time"):
            parse_response(last_28_hours(), {key: time, "by_hour": {}})


def test_a_window_of_years_is_rejected_before_its_hours_are_counted() -> None:
    body = {"start": "1970-01-01T00:00:00Z", "end": "2199-12-31T00:00:00Z"}
    with pytest.raises(InvalidResponseError, match="which is more than 28 days"):
        parse_response(last_28_hours(), body)
    # Totals have no hours, whatever the response states.
    assert parse_response(totals("101"), body).counts.periods == (None,)


def test_a_list_of_ids_that_is_not_a_list_is_rejected() -> None:
    with pytest.raises(InvalidResponseError, match="is not a list of ids"):
        listed_ids({"unavailable_tweet_ids": 5}, "unavailable_tweet_ids")


def test_after_an_invalid_response_a_retry_may_succeed() -> None:
    assert issubclass(InvalidResponseError, TransientError)


# The window of 28hr


def test_the_window_of_28hr_is_the_returned_one() -> None:
    hours = {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"00": "3"}}
    body = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T00:27:50Z", "hour": {A: {"impressions": hours}}}
    response = parse_response(last_28_hours(), body)
    assert response.end == datetime(2026, 1, 11, 0, 27, 50, tzinfo=UTC)
    assert rows(response) == {(A, "impressions", START + number * ONE_HOUR): number + 1 for number in range(3)}


@pytest.mark.parametrize(
    ("edges", "hours", "first", "last"),
    [
        # The reference shows this end, and no counts to it.
        (("22:00:00", "02:27:50"), (22, 23, 0, 1), 22, 1),
        (("22:00:00", "02:27:50"), (22, 23, 0, 1, 2), 22, 2),
        (("22:00:00", "02:00:00"), (22, 23, 0, 1), 22, 1),
        (("21:32:10", "01:32:10"), (22, 23, 0), 22, 0),
        (("21:32:10", "01:32:10"), (21, 22, 23, 0, 1), 21, 1),
        (("22:00:00", "02:00:00.5"), (22, 23, 0, 1), 22, 1),
    ],
)
def test_an_hour_that_is_partly_in_the_window_of_28hr_is_missing_only_if_another_count_has_it(
    edges: tuple[str, str], hours: tuple[int, ...], first: int, last: int
) -> None:
    days = ("2026-01-10", "2026-01-11")
    counts: dict[str, dict[str, str]] = {day: {} for day in days}
    for hour in hours:
        counts[days[hour < 12]][f"{hour:02}"] = str(hour)
    start, end = (f"{day}T{edge}Z" for day, edge in zip(days, edges, strict=True))
    response = parse_response(last_28_hours(), {"start": start, "end": end, "hour": {A: {"impressions": counts}}})
    periods = [period.hour for period in response.counts.periods if period is not None]
    assert (periods[0], periods[-1]) == (first, last)
    assert response.counts.by_metric["impressions"] == periods
    assert response.statuses[A] == TweetStatus(Outcome.OK)
    assert response.end == datetime.fromisoformat(end)


def test_a_count_that_lacks_an_hour_of_28hr_which_others_have_is_missing() -> None:
    body = {
        "start": "2026-01-10T22:00:00Z",
        "end": "2026-01-11T00:27:50Z",
        "hour": {
            A: {
                "impressions": {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"00": "3"}},
                "favorites": {"2026-01-10": {"22": "1", "23": "2"}},
            }
        },
    }
    query = Query(endpoint=Endpoint.LAST_28_HOURS, auth=Auth.USER, tweet_ids=(A,), metrics=("impressions", "favorites"))
    response = parse_response(Request(query, (A,), None), body)
    assert response.counts.by_metric == {"impressions": [1, 2, 3], "favorites": [1, 2, None]}
    assert response.statuses[A].outcome is Outcome.NO_DATA
    assert response.statuses[A].metrics_affected == ("favorites",)


def test_a_whole_hour_of_28hr_without_counts_is_missing() -> None:
    hours = {"2026-01-10": {"22": "1"}}
    window = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T00:00:00Z"}
    response = parse_response(last_28_hours(), {**window, "hour": {A: {"impressions": hours}}})
    assert response.counts.by_metric["impressions"] == [1, None]
    assert response.statuses[A].outcome is Outcome.NO_DATA


def test_hours_of_28hr_without_a_returned_window_are_rejected() -> None:
    with pytest.raises(InvalidResponseError):
        parse_response(last_28_hours(), {"hour": {A: {"impressions": {"2026-01-10": {"22": "1"}}}}})


# Nulls and their reasons


@pytest.mark.parametrize("listed", [[B], [int(B)], B, f"{B},{C}", [B, C]])
@pytest.mark.parametrize("errors", [[], ["1 Tweet ID(s) are unavailable"]])
def test_unavailable_tweets_have_no_counts_and_a_reason(listed: Any, errors: list[str]) -> None:
    body = {
        "unavailable_tweet_ids": listed,
        "errors": errors,
        "total": {A: {"favorites": "1"}, B: {"favorites": "0"}},
    }
    response = parse_response(totals(A, B), body)
    assert rows(response) == {(A, "favorites", None): 1}
    assert outcomes(response) == {A: ("ok", ()), B: ("unavailable", ("favorites",))}
    assert response.statuses[B].message == "deleted or no longer public"
    assert response.messages == tuple(errors)


@pytest.mark.parametrize("returned", [{}, {"impressions": "0", "engagements": "0"}, {"impressions": "17"}])
def test_impressions_and_engagements_of_listed_tweets_are_null(returned: dict[str, str]) -> None:
    body = {
        "errors": ["Impressions & engagements for tweets older than 90 days (2025-10-12T00:00:00Z) are not supported"],
        "unsupported_for_impressions_engagements_tweet_ids": [A],
        "total": {
            A: {"favorites": "69", **returned},
            B: {"engagements": "11", "favorites": "2", "impressions": "80"},
        },
    }
    response = parse_response(totals(A, B, metrics=("favorites", "impressions", "engagements")), body)
    assert response.counts.by_metric == {"favorites": [69, 2], "impressions": [None, 80], "engagements": [None, 11]}
    assert outcomes(response) == {A: ("unsupported_90d", ("impressions", "engagements")), B: ("ok", ())}
    assert response.statuses[A].message == "the Tweet is more than 90 days old"


@pytest.mark.parametrize("order", [order for order in ORDERS if TWEET in order], ids=lambda order: "-".join(order))
def test_listed_metrics_are_null_in_every_nesting(order: tuple[Dimension, ...]) -> None:
    metrics = ("favorites", "impressions", "video_views")
    truth = constant((A, B, C), metrics)
    shapes = [order]
    if HOUR in order and DAY not in order:
        shapes.append((*order[: order.index(HOUR)], DAY, *order[order.index(HOUR) :]))
    for shape in shapes:
        body = truth.body(g=shape) | {
            "unsupported_for_video_views_tweet_ids": [A],
            "unsupported_for_impressions_engagements_tweet_ids": [A, B],
            "unavailable_tweet_ids": [C],
        }
        response = parse_response(truth.request(g=order), body)
        nulls = {(A, "video_views"), (A, "impressions"), (B, "impressions")}
        expected = {}
        for path, count in truth.summed(shape).items():
            tweet_id, metric = (path[shape.index(item)] for item in (TWEET, METRIC))
            if tweet_id != C:
                expected[path] = None if (tweet_id, metric) in nulls else count
        assert dict(leaves(response.groupings["g"])) == expected
        assert response.statuses[A].outcome is Outcome.UNSUPPORTED_90D
        assert set(response.statuses[A].metrics_affected) == {"impressions", "video_views"}
        assert outcomes(response)[B] == ("unsupported_90d", ("impressions",))
        assert response.statuses[C].outcome is Outcome.UNAVAILABLE


def test_a_list_about_metrics_that_were_not_requested_is_ignored() -> None:
    body = {"unsupported_for_video_views_tweet_ids": [A], "total": {A: {"favorites": "0"}}}
    assert outcomes(parse_response(totals(A), body)) == {A: ("ok", ())}


def test_an_undocumented_list_makes_its_metrics_null() -> None:
    body = {"unsupported_for_replies_tweet_ids": [A], "total": {A: {"favorites": "1", "replies": "0"}}}
    response = parse_response(totals(A, metrics=("favorites", "replies")), body)
    assert rows(response) == {(A, "favorites", None): 1, (A, "replies", None): None}
    assert outcomes(response) == {A: ("no_data", ("replies",))}


def test_tweets_that_were_not_requested_are_left_out() -> None:
    body = {"unavailable_tweet_ids": [C], "total": {A: {"favorites": "1"}, B: {"favorites": "2"}}}
    response = parse_response(totals(A), body)
    assert set(response.statuses) == {A}
    assert rows(response) == {(A, "favorites", None): 1}


def test_a_missing_tweet_has_no_data_instead_of_zero() -> None:
    response = parse_response(totals(A, B), {"total": {A: {"favorites": "1"}}})
    assert rows(response) == {(A, "favorites", None): 1}
    assert outcomes(response) == {A: ("ok", ()), B: ("no_data", ("favorites",))}


@pytest.mark.parametrize("metrics", [{"favorites": "1"}, {"favorites": "1", "replies": None}])
def test_a_missing_metric_has_no_data_instead_of_zero(metrics: dict[str, Any]) -> None:
    response = parse_response(totals(A, metrics=("favorites", "replies")), {"total": {A: metrics}})
    assert response.counts.by_metric == {"favorites": [1], "replies": [None]}
    assert outcomes(response) == {A: ("no_data", ("replies",))}


@pytest.mark.parametrize("midnight", [{}, {"00": None}])
def test_a_missing_hour_has_no_data_instead_of_zero(midnight: dict[str, None]) -> None:
    days = {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {**midnight, "01": "4"}}
    response = parse_response(historical(), {"hour": {A: {"impressions": days}}})
    assert response.counts.by_metric == {"impressions": [1, 2, None, 4]}
    assert outcomes(response) == {A: ("no_data", ("impressions",))}


@pytest.mark.parametrize("order", [order for order in ORDERS if TWEET in order], ids=lambda order: "-".join(order))
def test_what_a_grouping_lacks_is_reported(order: tuple[Dimension, ...]) -> None:
    metrics = ("impressions", "url_clicks")
    truth = constant((A, B), metrics, window=TimeRange(START, START + ONE_HOUR))
    for missing in (("impressions",), ("url_clicks",), metrics):
        kept = {key: count for key, count in truth.counts.items() if key[0] == A or key[1] not in missing}
        lacking = Truth(kept, truth.window, str)
        body = truth.body() | {"g": lacking.nested(order)} if len(order) < 4 else lacking.body()
        response = parse_response(truth.request(g=order), body)
        assert outcomes(response) == {A: ("ok", ()), B: ("no_data", missing)}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order))
def test_a_missing_grouping_is_reported(order: tuple[Dimension, ...]) -> None:
    truth = constant((A, B))
    rows_of_body = truth.body() if len(order) < 4 else {}
    for missing in ({}, {"g": None}, {"g": {}}):
        response = parse_response(truth.request(g=order), rows_of_body | missing)
        assert response.groupings == {"g": {}}
        assert outcomes(response) == dict.fromkeys((A, B), ("no_data", ("impressions",)))


def test_a_sum_over_tweets_is_kept_and_the_statuses_state_what_it_lacks() -> None:
    body = constant((A,)).body(g=(METRIC,)) | {"unavailable_tweet_ids": [B]}
    response = parse_response(historical(A, B, g=(METRIC,)), body)
    assert response.groupings == {"g": {"impressions": 20}}
    assert outcomes(response) == {A: ("ok", ()), B: ("unavailable", ("impressions",))}


def test_a_missing_sum_of_unsupported_tweets_needs_no_other_reason() -> None:
    body = {"unsupported_for_impressions_engagements_tweet_ids": [A, B], "g": {}}
    response = parse_response(historical(A, B, g=(METRIC,)), body)
    assert outcomes(response) == dict.fromkeys((A, B), ("unsupported_90d", ("impressions",)))


def test_a_response_without_any_available_tweet_has_no_rows() -> None:
    response = all_unavailable(totals(A, B), ("2 Tweet ID(s) are unavailable",))
    assert rows(response) == {}
    assert outcomes(response) == dict.fromkeys((A, B), ("unavailable", ("favorites",)))
    assert response.messages == ("2 Tweet ID(s) are unavailable",)


def test_data_next_to_errors_is_kept() -> None:
    response = parse_response(totals(A), {"errors": ["something minor"], "total": {A: {"favorites": "1"}}})
    assert (rows(response), response.messages) == ({(A, "favorites", None): 1}, ("something minor",))


def test_joined_statuses_have_the_more_severe_outcome_and_both_reasons() -> None:
    one = TweetStatus(Outcome.UNSUPPORTED_VIDEO, ("video_views",), "too old for video")
    other = TweetStatus(Outcome.UNAVAILABLE, ("favorites", "video_views"), "deleted")
    joined = TweetStatus(Outcome.UNAVAILABLE, ("favorites", "video_views"), "deleted; too old for video")
    assert one.joined(other) == other.joined(one) == joined
