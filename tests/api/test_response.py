"""Bodies are read back as what was put into them, or not at all: never as a smaller number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.api.catalogue import FOUR_ITEM_ORDERS, Auth, Dimension, Endpoint
from airflow_provider_engagement.api.planner import Request, plan
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.response import (
    Outcome,
    ParsedResponse,
    TweetStatus,
    all_unavailable,
    error_messages,
    listed_ids,
    parse_response,
)
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidResponseError, TransientError

TWEET, METRIC, DAY, HOUR = Dimension
HOURS = timedelta(hours=1)
A, B, C = "2000000000000000001", "2000000000000000002", "2000000000000000003"
START = datetime(2026, 1, 10, 22, tzinfo=UTC)
FOUR_HOURS = TimeRange(START, START + 4 * HOURS)
ORDERS = [order for length in (1, 2, 3) for order in permutations(Dimension, length) if METRIC in order] + [
    (TWEET, METRIC, DAY, HOUR),
    (METRIC, TWEET, DAY, HOUR),
]


def request(
    *tweet_ids: str,
    metrics: Sequence[str] = ("impressions",),
    rollups: Sequence[Granularity] = (),
    groupings: Mapping[str, tuple[Dimension, ...]] | None = None,
    window: TimeRange | None = FOUR_HOURS,
    endpoint: Endpoint = Endpoint.HISTORICAL,
) -> Request:
    query = Query(
        endpoint=endpoint,
        auth=Auth.USER,
        tweet_ids=tweet_ids or (A,),
        metrics=tuple(metrics),
        granularities=tuple(rollups),
        groupings=groupings or {},
        window=window,
    )
    return Request(query, query.tweet_ids, window)


def totals(*tweet_ids: str, metrics: Sequence[str] = ("favorites",), rollups: Any = (Granularity.TOTAL,)) -> Request:
    return request(*tweet_ids, metrics=metrics, rollups=rollups, window=None, endpoint=Endpoint.TOTALS)


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, Mapping):
        for key, child in tree.items():
            yield from leaves(child, (*path, key))
    else:
        yield path, tree


def as_numbers(tree: Any) -> Any:
    """Read the documentation's numbers."""
    return {key: as_numbers(child) for key, child in tree.items()} if isinstance(tree, dict) else int(tree)


def outcomes(answer: ParsedResponse) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {tweet_id: (str(one.outcome), one.metrics_affected) for tweet_id, one in answer.statuses.items()}


# The documented bodies


@pytest.mark.parametrize("name", ["G1", "G3", "G4", "G5", "G13", "G14", "G15"])
def test_documented_bodies_are_read_number_by_number(
    name: str, golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    example = golden(name)
    aligned = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T02:00:00Z"} if name == "G14" else {}
    for exchange in example["exchanges"]:
        sent = request_of({**exchange, "body": exchange["body"] | aligned}, example["auth"]["mode"])
        answer = parse_response(sent, exchange["response"])
        assert answer.groupings == {name: as_numbers(exchange["response"][name]) for name in sent.query.groupings}
        assert {one.outcome for one in answer.statuses.values()} == {Outcome.OK}
        for edge, moment in (("start", answer.start), ("end", answer.end)):
            echoed = exchange["response"].get(edge)
            assert moment == (echoed and datetime.fromisoformat(echoed))


def test_g2_a_metric_that_was_not_asked_for_is_left_out(
    golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    (exchange,) = golden("G2")["exchanges"]
    answer = parse_response(request_of(exchange, "user"), exchange["response"])
    expected = as_numbers(exchange["response"]["perTweetMetricsOwned"])
    for counts in expected.values():
        del counts["quote_tweets"]
    assert answer.groupings == {"perTweetMetricsOwned": expected}


def test_g6_the_captured_hours_of_day_add_up(golden: Callable[[str], dict[str, Any]]) -> None:
    (exchange,) = golden("G6")["exchanges"]
    tweet_id = "695310089847111681"
    window = TimeRange(datetime(2016, 1, 12, 20, tzinfo=UTC), datetime(2016, 2, 9, 20, tzinfo=UTC))
    sent = request(tweet_id, groupings={"hourly_timeseries": (METRIC, TWEET, HOUR)}, window=window)
    answer = parse_response(sent, exchange["response"])
    assert answer.end == datetime(2016, 2, 9, 19, 43, tzinfo=UTC)
    hours = answer.groupings["hourly_timeseries"]["impressions"][tweet_id]
    assert (sum(hours.values()), hours["18"], len(hours)) == (412, 167, 24)


def test_g7_video_views_of_tweets_that_are_too_old_are_null(
    golden: Callable[[str], dict[str, Any]], request_of: Callable[..., Request]
) -> None:
    (exchange,) = golden("G7")["exchanges"]
    answer = parse_response(request_of(exchange, "user"), exchange["response"])
    expected = as_numbers(exchange["response"]["grouping name"])
    too_old = ("479311209565413376", "477139122520219648")
    for tweet_id in too_old:
        expected[tweet_id]["video_views"] = None
    assert answer.groupings == {"grouping name": expected}
    assert outcomes(answer) == {
        **dict.fromkeys(too_old, ("unsupported_video", ("video_views",))),
        "1397568983931392004": ("ok", ()),
    }


def test_the_documented_partial_answer_with_a_bare_number_is_read() -> None:
    body = {
        "start": "2015-11-17T22:00:00Z",
        "end": "2015-11-19T02:00:00Z",
        "unavailable_tweet_ids": ["323456789"],
        "total": {"423456789": {"favorites": "67", "replies": "8", "retweets": 26}},
    }
    answer = parse_response(totals("323456789", "423456789", metrics=("favorites", "replies", "retweets")), body)
    assert answer.series[Granularity.TOTAL].counts == {"favorites": [67], "replies": [8], "retweets": [26]}
    assert answer.series[Granularity.TOTAL].tweet_ids == ("423456789",)
    assert outcomes(answer) == {
        "323456789": ("unavailable", ("favorites", "replies", "retweets")),
        "423456789": ("ok", ()),
    }


# What is put in comes out, whatever the nesting


@dataclass(frozen=True)
class Truth:
    """Counts by Tweet, metric and hour, and how the API happens to write them."""

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
        edges = {"start": f"{self.window.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{self.window.end:%Y-%m-%dT%H:%M:%SZ}"}
        return edges | {name: self.nested(group_by) for name, group_by in groupings.items()}


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    first = START + draw(st.integers(0, 47)) * HOURS
    window = TimeRange(first, first + draw(st.integers(1, 40)) * HOURS)
    tweet_ids = draw(st.lists(st.sampled_from([A, B, C, "20"]), min_size=1, unique=True))
    metrics = draw(st.lists(st.sampled_from(["impressions", "url_clicks", "favorites"]), min_size=1, unique=True))
    hours = [window.start + number * HOURS for number in range(window.hours)]
    chance = draw(st.randoms(use_true_random=False))
    reach = draw(st.sampled_from([0, 3, 10**6, 2**50]))
    write = draw(st.sampled_from([str, int, lambda count: str(count) if count % 2 else count]))
    counts = {
        (tweet_id, metric, hour): chance.randint(-reach, reach)
        for tweet_id in tweet_ids
        for metric in metrics
        for hour in hours
    }
    return Truth(counts, window, write)


@settings(max_examples=40)
@given(truths(), st.lists(st.sampled_from(ORDERS), min_size=1, max_size=3))
def test_any_nesting_is_read_back(truth: Truth, orders: list[tuple[Dimension, ...]]) -> None:
    groupings = {f"g{number}": order for number, order in enumerate(orders) if len(order) < 4 or number == 0}
    groupings = groupings or {"g": (METRIC,)}
    sent = request(*truth.tweet_ids, metrics=truth.metrics, groupings=groupings, window=truth.window)
    answer = parse_response(sent, truth.body(**groupings))
    for name, order in groupings.items():
        read = dict(leaves(answer.groupings[name]))
        assert read == truth.summed(order)
        assert all(type(count) is int for count in read.values())
    assert {one.outcome for one in answer.statuses.values()} == {Outcome.OK}


@settings(max_examples=40)
@given(truths(), st.sampled_from([order for order in ORDERS if HOUR in order and DAY not in order]))
def test_hours_without_the_day_are_read_in_both_documented_shapes(truth: Truth, order: tuple[Dimension, ...]) -> None:
    at = order.index(HOUR)
    dated = (*order[:at], DAY, *order[at:])
    sent = request(*truth.tweet_ids, metrics=truth.metrics, groupings={"g": order}, window=truth.window)
    for shown in (order, dated):
        answer = parse_response(sent, truth.body(g=shown))
        assert dict(leaves(answer.groupings["g"])) == truth.summed(shown)
        assert {one.outcome for one in answer.statuses.values()} == {Outcome.OK}


@settings(max_examples=40)
@given(truths())
def test_rows_of_every_grain_are_read_back(truth: Truth) -> None:
    rollups = (Granularity.TOTAL, Granularity.DAY, Granularity.HOUR)
    sent = request(*truth.tweet_ids, metrics=truth.metrics, rollups=rollups, window=truth.window)
    body = truth.body(total=(TWEET, METRIC), day=(TWEET, METRIC, DAY), hour=(TWEET, METRIC, DAY, HOUR))
    answer = parse_response(sent, body)
    keys: dict[Granularity, Callable[[datetime], datetime]] = {
        Granularity.TOTAL: lambda _: truth.window.start,
        Granularity.DAY: lambda hour: hour.replace(hour=0),
        Granularity.HOUR: lambda hour: hour,
    }
    for grain, period_of in keys.items():
        expected: dict[tuple[str, str, datetime], int] = defaultdict(int)
        for (tweet_id, metric, hour), count in truth.counts.items():
            expected[tweet_id, metric, period_of(hour)] += count
        assert rows(answer, grain) == expected


@settings(max_examples=40)
@given(truths(), st.booleans())
def test_hours_of_day_are_the_same_rows_in_both_documented_shapes(truth: Truth, dated: bool) -> None:
    sent = request(*truth.tweet_ids, metrics=truth.metrics, rollups=(Granularity.HOUR_OF_DAY,), window=truth.window)
    body = truth.body(hour_of_day=(TWEET, METRIC, DAY, HOUR) if dated else (TWEET, METRIC, HOUR))
    answer = parse_response(sent, body)
    assert rows(answer, Granularity.HOUR_OF_DAY) == truth.summed((TWEET, METRIC, HOUR))
    assert {one.outcome for one in answer.statuses.values()} == {Outcome.OK}


def rows(answer: ParsedResponse, grain: Granularity) -> dict[tuple[Any, ...], int | None]:
    series = answer.series[grain]
    cells = [(tweet_id, period) for tweet_id in series.tweet_ids for period in series.periods]
    return {
        (tweet_id, metric, period): count
        for metric, counts in series.counts.items()
        for (tweet_id, period), count in zip(cells, counts, strict=True)
    }


@settings(max_examples=40)
@given(truths(), st.data())
def test_an_answer_off_by_one_count_is_read_as_another_answer(truth: Truth, data: st.DataObject) -> None:
    sent = request(*truth.tweet_ids, metrics=truth.metrics, rollups=(Granularity.HOUR,), window=truth.window)
    body = truth.body(hour=(TWEET, METRIC, DAY, HOUR))
    other = deepcopy(body)
    path, count = data.draw(st.sampled_from(sorted(leaves(other["hour"]))))
    node = other["hour"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = truth.write(int(count) + 1)
    before, after = (rows(parse_response(sent, one), Granularity.HOUR) for one in (body, other))
    changed = {cell for cell in before if before[cell] != after[cell]}
    hour = datetime.fromisoformat(f"{path[2]}T{path[3]}:00:00+00:00")
    assert changed == {(path[0], path[1], hour)}


def test_the_order_of_keys_is_of_no_consequence() -> None:
    sent = totals(A, B, metrics=("favorites", "replies"))
    one = {"total": {A: {"favorites": "1", "replies": "2"}, B: {"favorites": "3", "replies": "4"}}}
    other = {"total": {B: {"replies": "4", "favorites": "3"}, A: {"replies": "2", "favorites": "1"}}}
    assert parse_response(sent, one) == parse_response(sent, other)


# What cannot be read without guessing


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " 5",
        "5 ",
        "+5",
        "--5",
        "5.0",
        "5,000",
        "1,2",
        "1_000",
        "1e3",
        "0x1",
        "NaN",
        "\u0665",
        "\uff15",
        "5\n",
        "many",
        "9223372036854775808",
        "-9223372036854775809",
        "1" * 5000,
        2**63,
        -(2**63) - 1,
        10**30,
        True,
        False,
        1.5,
        1.0,
        float("nan"),
        [],
        ["5"],
        {},
        {"22": "5"},
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("neighbour", ["7", 7, None])
def test_what_is_no_whole_number_of_64_bits_is_refused(value: Any, neighbour: Any) -> None:
    sent = totals(A, metrics=("favorites", "replies"))
    with pytest.raises(InvalidResponseError):
        parse_response(sent, {"total": {A: {"favorites": value, "replies": neighbour}}})


@pytest.mark.parametrize("value", [0, "0", "-0", "-1", -1, 2**63 - 1, -(2**63), str(2**63 - 1), str(-(2**63)), "007"])
@pytest.mark.parametrize("neighbour", ["7", 7, None])
def test_signed_whole_numbers_of_64_bits_are_read(value: Any, neighbour: Any) -> None:
    sent = totals(A, metrics=("favorites", "replies"))
    answer = parse_response(sent, {"total": {A: {"favorites": value, "replies": neighbour}}})
    counts = answer.series[Granularity.TOTAL].counts
    assert counts == {"favorites": [int(value)], "replies": [None if neighbour is None else 7]}


def test_an_unreadable_value_of_a_metric_that_was_not_asked_for_is_of_no_consequence() -> None:
    answer = parse_response(totals(A), {"total": {A: {"favorites": "1", "new_metric": "0.5"}}})
    assert answer.series[Granularity.TOTAL].counts == {"favorites": [1]}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order))
@pytest.mark.parametrize("change", ["shallower", "deeper"])
def test_a_count_at_the_wrong_depth_is_refused(order: tuple[Dimension, ...], change: str) -> None:
    truth = Truth({(A, "impressions", START): 5}, FOUR_HOURS, str)
    body = truth.body(g=order)
    node, parent, last = body["g"], body, "g"
    for key in next(truth.summed(order).__iter__())[:-1]:
        node, parent, last = node[key], node, key
    if change == "shallower":
        parent[last] = "5"
    else:
        node[next(iter(node))] = {"another_level": "5"}
    with pytest.raises(InvalidResponseError):
        parse_response(request(groupings={"g": order}), body)


def test_two_levels_of_dates_are_refused() -> None:
    body = {"g": {"impressions": {"2026-01-10": {"2026-01-10": {"22": "5"}}}}}
    for order in ((METRIC, HOUR), (METRIC, DAY, HOUR)):
        with pytest.raises(InvalidResponseError):
            parse_response(request(groupings={"g": order}), body)


@pytest.mark.parametrize("grouping", ["text", 5, [], True])
def test_a_grouping_that_is_no_object_is_refused(grouping: Any) -> None:
    with pytest.raises(InvalidResponseError):
        parse_response(totals(A), {"total": grouping})


@pytest.mark.parametrize(
    ("grain", "tree"),
    [
        (Granularity.HOUR, {"2026-01-10": {"21": "1"}}),
        (Granularity.HOUR, {"2026-01-12": {"00": "1"}}),
        (Granularity.HOUR, {"2026-01-10": {"24": "1"}}),
        (Granularity.DAY, {"2026-01-12": "1"}),
        (Granularity.HOUR_OF_DAY, {"24": "1"}),
        (Granularity.HOUR_OF_DAY, {"12": "1"}),
    ],
)
def test_counts_from_outside_the_window_are_refused(grain: Granularity, tree: Any) -> None:
    with pytest.raises(InvalidResponseError):
        parse_response(request(rollups=(grain,)), {str(grain): {A: {"impressions": tree}}})


@pytest.mark.parametrize("start", ["2026-01-10T21:00:00Z", "2026-01-10T23:00:00Z"])
def test_an_answer_for_another_window_than_was_asked_for_is_refused(start: str) -> None:
    body = {"start": start, "end": "2026-01-11T02:00:00Z", "total": {A: {"impressions": "5"}}}
    with pytest.raises(InvalidResponseError):
        parse_response(request(rollups=(Granularity.TOTAL,)), body)


@pytest.mark.parametrize("echo", ["yesterday", 5, [], "2026-13-01"])
def test_an_echo_that_is_no_time_is_refused(echo: Any) -> None:
    with pytest.raises(InvalidResponseError):
        parse_response(totals(A), {"start": echo, "total": {A: {"favorites": "1"}}})


def test_an_unreadable_answer_may_be_asked_for_again() -> None:
    assert issubclass(InvalidResponseError, TransientError)


# The window of the last 28 hours


def test_the_window_of_the_last_28_hours_is_the_echoed_one() -> None:
    sent = request(rollups=(Granularity.HOUR, Granularity.TOTAL), window=None, endpoint=Endpoint.LAST_28_HOURS)
    hours = {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"00": "3"}}
    body = {
        "start": "2026-01-10T22:00:00Z",
        "end": "2026-01-11T00:27:50Z",
        "hour": {A: {"impressions": hours}},
        "total": {A: {"impressions": "6"}},
    }
    answer = parse_response(sent, body)
    assert answer.end == datetime(2026, 1, 11, 0, 27, 50, tzinfo=UTC)
    assert rows(answer, Granularity.HOUR) == {
        (A, "impressions", START + number * HOURS): number + 1 for number in range(3)
    }
    assert rows(answer, Granularity.TOTAL) == {(A, "impressions", START): 6}


def test_hours_without_an_echo_to_tell_their_window_are_refused() -> None:
    sent = request(rollups=(Granularity.HOUR,), window=None, endpoint=Endpoint.LAST_28_HOURS)
    with pytest.raises(InvalidResponseError):
        parse_response(sent, {"hour": {A: {"impressions": {"2026-01-10": {"22": "1"}}}}})


# Null, with a reason


@pytest.mark.parametrize("listed", [[B], [int(B)], B, f"{B},{C}", [B, C]])
@pytest.mark.parametrize("errors", [None, ["1 Tweet ID(s) are unavailable"]])
def test_unavailable_tweets_have_no_numbers_and_a_reason(listed: Any, errors: Any) -> None:
    body = {"unavailable_tweet_ids": listed, "total": {A: {"favorites": "1"}, B: {"favorites": "0"}}}
    if errors:
        body["errors"] = errors
    answer = parse_response(totals(A, B), body)
    assert rows(answer, Granularity.TOTAL) == {(A, "favorites", None): 1}
    assert outcomes(answer) == {A: ("ok", ()), B: ("unavailable", ("favorites",))}
    assert answer.messages == tuple(errors or ())


@pytest.mark.parametrize("old", [{}, {"impressions": "0", "engagements": "0"}, {"impressions": "17"}])
def test_impressions_and_engagements_of_listed_tweets_are_null_whatever_the_value(old: dict[str, str]) -> None:
    body = {
        "errors": ["Impressions & engagements for tweets older than 90 days (2025-10-12T00:00:00Z) are not supported"],
        "unsupported_for_impressions_engagements_tweet_ids": [A],
        "total": {
            A: {"favorites": "69", **old},
            B: {"engagements": "11", "favorites": "2", "impressions": "80"},
        },
    }
    answer = parse_response(totals(A, B, metrics=("favorites", "impressions", "engagements")), body)
    assert answer.series[Granularity.TOTAL].counts == {
        "favorites": [69, 2],
        "impressions": [None, 80],
        "engagements": [None, 11],
    }
    assert outcomes(answer) == {A: ("unsupported_90d", ("impressions", "engagements")), B: ("ok", ())}


@pytest.mark.parametrize("order", [order for order in ORDERS if TWEET in order], ids=lambda order: "-".join(order))
@pytest.mark.parametrize("dated", [False, True])
def test_listed_metrics_are_null_at_any_place_of_any_nesting(order: tuple[Dimension, ...], dated: bool) -> None:
    hours = [START + number * HOURS for number in range(4)]
    counts = {
        (tweet_id, metric, hour): 5
        for tweet_id in (A, B, C)
        for metric in ("favorites", "impressions", "video_views")
        for hour in hours
    }
    shown = order
    if dated and HOUR in order and DAY not in order:
        shown = (*order[: order.index(HOUR)], DAY, *order[order.index(HOUR) :])
    truth = Truth(counts, FOUR_HOURS, str)
    body = truth.body(g=shown) | {
        "unsupported_for_video_views_tweet_ids": [A],
        "unsupported_for_impressions_engagements_tweet_ids": [A, B],
        "unavailable_tweet_ids": [C],
    }
    sent = request(A, B, C, metrics=("favorites", "impressions", "video_views"), groupings={"g": order})
    answer = parse_response(sent, body)
    nulls = {(A, "video_views"), (A, "impressions"), (B, "impressions")}
    expected = {}
    for path, count in truth.summed(shown).items():
        tweet_id, metric = (path[shown.index(item)] for item in (TWEET, METRIC))
        if tweet_id != C:
            expected[path] = None if (tweet_id, metric) in nulls else count
    assert dict(leaves(answer.groupings["g"])) == expected
    assert answer.statuses[A].outcome is Outcome.UNSUPPORTED_90D
    assert set(answer.statuses[A].metrics_affected) == {"impressions", "video_views"}
    assert outcomes(answer)[B] == ("unsupported_90d", ("impressions",))
    assert answer.statuses[C].outcome is Outcome.UNAVAILABLE


def test_an_id_list_about_metrics_that_were_not_asked_for_nulls_nothing() -> None:
    body = {"unsupported_for_video_views_tweet_ids": [A], "total": {A: {"favorites": "0"}}}
    assert outcomes(parse_response(totals(A), body)) == {A: ("ok", ())}


def test_tweets_that_were_not_asked_for_are_in_no_status_and_no_row() -> None:
    body = {"unavailable_tweet_ids": [C], "total": {A: {"favorites": "1"}, B: {"favorites": "2"}}}
    answer = parse_response(totals(A), body)
    assert set(answer.statuses) == {A}
    assert rows(answer, Granularity.TOTAL) == {(A, "favorites", None): 1}


def test_a_tweet_in_no_list_and_no_grouping_has_no_data_rather_than_zero() -> None:
    answer = parse_response(totals(A, B), {"total": {A: {"favorites": "1"}}})
    assert rows(answer, Granularity.TOTAL) == {(A, "favorites", None): 1}
    assert outcomes(answer) == {A: ("ok", ()), B: ("no_data", ("favorites",))}


@pytest.mark.parametrize("metrics", [{"favorites": "1"}, {"favorites": "1", "replies": None}])
def test_a_metric_that_is_missing_or_null_has_no_data_rather_than_zero(metrics: dict[str, Any]) -> None:
    answer = parse_response(totals(A, metrics=("favorites", "replies")), {"total": {A: metrics}})
    assert answer.series[Granularity.TOTAL].counts == {"favorites": [1], "replies": [None]}
    assert outcomes(answer) == {A: ("no_data", ("replies",))}


def test_an_hour_that_is_missing_has_no_data_rather_than_zero() -> None:
    tree = {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"01": "4"}}
    answer = parse_response(request(rollups=(Granularity.HOUR,)), {"hour": {A: {"impressions": tree}}})
    assert answer.series[Granularity.HOUR].counts == {"impressions": [1, 2, None, 4]}
    assert outcomes(answer) == {A: ("no_data", ("impressions",))}


@pytest.mark.parametrize(
    "tree",
    [
        {"22": "1", "23": "2", "01": "4"},
        {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"01": "4"}},
        {"2026-01-10": {"22": "1", "23": "2"}, "2026-01-11": {"00": None, "01": "4"}},
    ],
)
def test_an_hour_of_day_that_is_missing_has_no_data_rather_than_zero(tree: Any) -> None:
    answer = parse_response(request(rollups=(Granularity.HOUR_OF_DAY,)), {"hour_of_day": {A: {"impressions": tree}}})
    read = rows(answer, Granularity.HOUR_OF_DAY)
    assert {hour: count for (_, _, hour), count in read.items()} == {"22": 1, "23": 2, "00": None, "01": 4}
    assert outcomes(answer) == {A: ("no_data", ("impressions",))}


@pytest.mark.parametrize("order", [order for order in ORDERS if TWEET in order], ids=lambda order: "-".join(order))
@pytest.mark.parametrize("lost", [(B, "impressions"), (B, "url_clicks"), (B, None)])
def test_what_a_grouping_of_the_callers_own_lacks_is_reported(
    order: tuple[Dimension, ...], lost: tuple[str, str | None]
) -> None:
    metrics = ("impressions", "url_clicks")
    counts = {
        (tweet_id, metric, START): 5
        for tweet_id in (A, B)
        for metric in metrics
        if tweet_id != lost[0] or lost[1] not in (None, metric)
    }
    window = TimeRange(START, START + HOURS)
    sent = request(A, B, metrics=metrics, groupings={"g": order}, window=window)
    answer = parse_response(sent, Truth(counts, window, str).body(g=order))
    assert outcomes(answer) == {A: ("ok", ()), B: ("no_data", metrics if lost[1] is None else (lost[1],))}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order))
@pytest.mark.parametrize("body", [{}, {"g": None}, {"g": {}}])
def test_a_grouping_that_is_missing_as_a_whole_is_reported(order: tuple[Dimension, ...], body: Any) -> None:
    answer = parse_response(request(A, B, groupings={"g": order}), body)
    assert answer.groupings == {"g": {}}
    assert outcomes(answer) == dict.fromkeys((A, B), ("no_data", ("impressions",)))


def test_a_sum_over_tweets_is_kept_and_what_it_lacks_stands_in_the_statuses() -> None:
    body = {"unavailable_tweet_ids": [B], "errors": ["1 Tweet ID(s) are unavailable"], "g": {"impressions": "5"}}
    answer = parse_response(request(A, B, groupings={"g": (METRIC,)}), body)
    assert answer.groupings == {"g": {"impressions": 5}}
    assert outcomes(answer) == {A: ("ok", ()), B: ("unavailable", ("impressions",))}


def test_a_sum_of_nothing_but_unsupported_tweets_needs_no_further_reason() -> None:
    body = {"unsupported_for_impressions_engagements_tweet_ids": [A, B], "g": {}}
    answer = parse_response(request(A, B, groupings={"g": (METRIC,)}), body)
    assert outcomes(answer) == dict.fromkeys((A, B), ("unsupported_90d", ("impressions",)))


def test_an_answer_to_a_request_without_any_available_tweet_holds_no_rows() -> None:
    answer = all_unavailable(totals(A, B), ("2 Tweet ID(s) are unavailable",))
    assert rows(answer, Granularity.TOTAL) == {}
    assert outcomes(answer) == dict.fromkeys((A, B), ("unavailable", ("favorites",)))
    assert answer.messages == ("2 Tweet ID(s) are unavailable",)


def test_data_beside_errors_are_data() -> None:
    answer = parse_response(totals(A), {"errors": ["something minor"], "total": {A: {"favorites": "1"}}})
    assert (rows(answer, Granularity.TOTAL), answer.messages) == ({(A, "favorites", None): 1}, ("something minor",))


# The parts that other modules read too


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"errors": ["a", "b"]}, ("a", "b")),
        ({"errors": [{"code": 34, "message": "a"}]}, ("a",)),
        ({"errors": [{"code": 34}]}, ("{'code': 34}",)),
        ({"errors": "a"}, ("a",)),
        ({"errors": {"message": "a"}}, ("a",)),
        (["a", {"message": "b"}], ("a", "b")),
        ({"errors": []}, ()),
        ({"errors": None}, ()),
        ({"errors": 5}, ()),
        ({}, ()),
        (None, ()),
        (5, ()),
    ],
)
def test_error_messages_are_read_in_every_shape_they_have(body: Any, messages: tuple[str, ...]) -> None:
    assert error_messages(body) == messages


def test_a_list_of_ids_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidResponseError):
        listed_ids({"unavailable_tweet_ids": 5}, "unavailable_tweet_ids")


def test_statuses_join_to_the_graver_with_both_reasons() -> None:
    one = TweetStatus(Outcome.UNSUPPORTED_VIDEO, ("video_views",), "too old for video")
    other = TweetStatus(Outcome.UNAVAILABLE, ("favorites", "video_views"), "deleted")
    joined = TweetStatus(Outcome.UNAVAILABLE, ("favorites", "video_views"), "deleted; too old for video")
    assert one.joined(other) == other.joined(one) == joined


@pytest.mark.parametrize("order", FOUR_ITEM_ORDERS)
def test_a_grouping_of_four_is_made_of_the_hours_that_rows_are_made_of(order: tuple[Dimension, ...]) -> None:
    window = TimeRange(datetime(2026, 1, 10, 22, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC))
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=("1", "2"),
        metrics=("impressions", "url_clicks"),
        granularities=(Granularity.HOUR,),
        groupings={"own": order},
        window=window,
    )
    bases = {"1": {"impressions": 10, "url_clicks": 20}, "2": {"impressions": 30, "url_clicks": 40}}
    counts = {
        tweet_id: {metric: {"2026-01-10": {"22": str(base), "23": str(base + 1)}} for metric, base in metrics.items()}
        for tweet_id, metrics in bases.items()
    }

    (request,) = plan(query)
    own = parse_response(request, {"hour": counts}).groupings["own"]

    assert list(request.body()["groupings"]) == ["hour"]
    leaf = own["2"]["impressions"] if order[0] is Dimension.TWEET else own["impressions"]["2"]
    assert leaf == {"2026-01-10": {"22": 30, "23": 31}}
