"""What the API would refuse is refused before a request is spent, by an error that names the field."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.api.catalogue import Auth, Dimension, Endpoint, metrics_of
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import (
    GRANULARITY_GROUPINGS,
    Granularity,
    Query,
    auth_for,
    parse_groupings,
    parse_metrics,
    parse_tweet_ids,
)
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError, PermanentError


def shown(value: object) -> str:
    """Name a case by its value, without the address that differs between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


TWEET, METRIC, DAY, HOUR = Dimension
A, B = "2000000000000000001", "2000000000000000002"
WINDOW = TimeRange(datetime(2026, 1, 10, 22, tzinfo=UTC), datetime(2026, 1, 11, 2, tzinfo=UTC))


def query(**changes: Any) -> Query:
    asked: dict[str, Any] = {
        "endpoint": Endpoint.HISTORICAL,
        "auth": Auth.USER,
        "tweet_ids": (A, B),
        "metrics": ("impressions", "url_clicks"),
        "window": WINDOW,
    }
    return Query(**(asked | changes))


def totals(**changes: Any) -> Query:
    return query(**({"endpoint": Endpoint.TOTALS, "window": None, "metrics": ("favorites",)} | changes))


def refused(make: Callable[[], object], field: str) -> InvalidQueryError:
    with pytest.raises(InvalidQueryError) as caught:
        make()
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert isinstance(caught.value, PermanentError)
    return caught.value


# Tweet ids


@pytest.mark.parametrize(
    "value",
    [
        [A, B],
        (A, B),
        [int(A), B],
        f"{A},{B}",
        f" {A} , {B} ",
        f"{A}\n{B}\n",
        f"{A};{B}",
        f"{A}\t{B}",
        json.dumps([A, B]),
        json.dumps([int(A), int(B)]),
        str([A, B]),
        str((A, B)),
        iter([A, B]),
        {A: 0, B: 0}.keys(),
        [f" {A}\n", B, A, int(B)],
    ],
    ids=shown,
)
def test_tweet_ids_are_read_from_what_a_dag_may_hold(value: object) -> None:
    assert parse_tweet_ids(value) == (A, B)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5.0,
        True,
        int(A),
        b"123",
        {"a": 1},
        "{'a': 1}",
        "[1, 2",
        [None],
        [True],
        [2e18],
        "[2e18]",
        [[A]],
        [""],
        ["12a"],
        ["-5"],
        [-5],
        ["9" * 20],
        [10**19],
        ["\u0661\u0662"],
        [f"{A} {B}"],
        "12345,abc",
        object(),
    ],
    ids=shown,
)
def test_what_is_no_list_of_tweet_ids_is_refused(value: object) -> None:
    refused(lambda: parse_tweet_ids(value), "tweet_ids")


def test_the_error_shows_the_first_id_that_is_wrong() -> None:
    assert "'12a'" in str(refused(lambda: parse_tweet_ids([A, "12a", "34b"]), "tweet_ids"))


def test_the_error_for_a_float_says_why_it_is_refused() -> None:
    assert "string" in str(refused(lambda: parse_tweet_ids([2000000000000000001.0]), "tweet_ids"))


def test_an_error_stays_short_however_long_the_value() -> None:
    assert len(str(refused(lambda: parse_tweet_ids("x" * 100_000), "tweet_ids"))) < 300


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1))
def test_ids_come_back_without_repetition_in_the_order_given(numbers: list[int]) -> None:
    expected = tuple(map(str, dict.fromkeys(numbers)))
    assert parse_tweet_ids(numbers) == expected
    assert parse_tweet_ids([f" {number} " for number in numbers]) == expected
    assert parse_tweet_ids(json.dumps(numbers)) == expected
    assert parse_tweet_ids(" ".join(map(str, numbers))) == expected


@pytest.mark.parametrize("value", [[], "", " ", "[]", "()"])
def test_an_empty_list_of_tweets_is_refused(value: object) -> None:
    refused(lambda: query(tweet_ids=parse_tweet_ids(value)), "tweet_ids")


@pytest.mark.parametrize("tweet_ids", [("12a",), ("9" * 20,), ("",), (A, A)])
def test_a_query_made_without_the_parser_holds_distinct_tweet_ids_too(tweet_ids: tuple[str, ...]) -> None:
    refused(lambda: query(tweet_ids=tweet_ids), "tweet_ids")


# Metrics


def test_a_query_made_without_the_parser_holds_distinct_metrics_too() -> None:
    refused(lambda: query(metrics=("impressions", "impressions")), "metrics")


def test_metrics_are_read_from_what_a_dag_may_hold() -> None:
    expected = ("impressions", "url_clicks")
    for value in (
        ["impressions", "url_clicks", "impressions"],
        "impressions, url_clicks",
        '["impressions", "url_clicks"]',
    ):
        assert parse_metrics(value, endpoint=Endpoint.HISTORICAL, auth=Auth.USER) == expected


@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("auth", list(Auth))
def test_no_metrics_named_means_all_that_can_be_had(endpoint: Endpoint, auth: Auth) -> None:
    assert parse_metrics(None, endpoint=endpoint, auth=auth) == metrics_of(endpoint, auth)


def test_media_clicks_is_translated_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read = parse_metrics(["media_clicks", "url_clicks"], endpoint=Endpoint.HISTORICAL, auth=Auth.USER)
    assert read == ("media_engagements", "url_clicks")
    (record,) = caplog.records
    assert "media_clicks" in record.getMessage()
    assert "media_engagements" in record.getMessage()


def test_a_metric_under_its_old_and_its_new_name_is_asked_for_once() -> None:
    read = parse_metrics(["media_engagements", "media_clicks"], endpoint=Endpoint.HISTORICAL, auth=Auth.USER)
    assert read == ("media_engagements",)


def test_todays_names_are_read_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    parse_metrics(list(metrics_of(Endpoint.HISTORICAL, Auth.USER)), endpoint=Endpoint.HISTORICAL, auth=Auth.USER)
    assert not caplog.records


@pytest.mark.parametrize("value", [5, [5], [None], [["impressions"]], {"impressions": 1}, b"impressions"], ids=shown)
def test_what_is_no_list_of_names_is_refused(value: object) -> None:
    refused(lambda: parse_metrics(value, endpoint=Endpoint.HISTORICAL, auth=Auth.USER), "metrics")


@pytest.mark.parametrize("value", [[], "", "[]"])
def test_an_empty_list_of_metrics_is_refused(value: object) -> None:
    read = parse_metrics(value, endpoint=Endpoint.HISTORICAL, auth=Auth.USER)
    refused(lambda: query(metrics=read), "metrics")


@pytest.mark.parametrize("name", ["likes", "Impressions", "detail_clicks", "media_clicks", ""])
def test_an_unknown_metric_is_refused_and_the_error_lists_the_known_ones(name: str) -> None:
    error = refused(lambda: query(metrics=("impressions", name)), "metrics")
    assert repr(name) in str(error)
    assert "url_clicks" in str(error)


@pytest.mark.parametrize("endpoint", [Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL])
def test_quote_tweets_are_refused_except_on_totals(endpoint: Endpoint) -> None:
    window = WINDOW if endpoint is Endpoint.HISTORICAL else None
    refused(lambda: query(endpoint=endpoint, window=window, metrics=("quote_tweets",)), "metrics")


@pytest.mark.parametrize("metric", ["media_views", "url_clicks", "user_follows", "app_opens", "email_tweet"])
def test_metrics_of_the_series_are_refused_on_totals(metric: str) -> None:
    refused(lambda: totals(metrics=(metric,)), "metrics")


@pytest.mark.parametrize("metric", ["impressions", "engagements"])
def test_owned_metrics_are_refused_with_a_bearer_token(metric: str) -> None:
    assert "access token" in str(refused(lambda: totals(auth=Auth.APP, metrics=("favorites", metric)), "metrics"))


@pytest.mark.parametrize("endpoint", [Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL])
def test_a_bearer_token_is_refused_except_on_totals(endpoint: Endpoint) -> None:
    window = WINDOW if endpoint is Endpoint.HISTORICAL else None
    refused(lambda: query(endpoint=endpoint, window=window, auth=Auth.APP, metrics=("favorites",)), "auth")


@pytest.mark.parametrize("endpoint", list(Endpoint))
@pytest.mark.parametrize("auth", list(Auth))
def test_every_metric_the_catalogue_gives_can_be_asked_for(endpoint: Endpoint, auth: Auth) -> None:
    metrics = metrics_of(endpoint, auth)
    if metrics:
        made = query(endpoint=endpoint, auth=auth, metrics=metrics, window=WINDOW if endpoint == "historical" else None)
        assert made.metrics == metrics


# Groupings


def test_groupings_are_read_as_the_request_body_has_them_and_shorter() -> None:
    expected = {"daily": (TWEET, METRIC, DAY), "all": (METRIC,)}
    long = {
        "daily": {"group_by": ["tweet.id", "engagement.type", "engagement.day"]},
        "all": {"group_by": ["engagement.type"]},
    }
    short = {name: value["group_by"] for name, value in long.items()}
    for value in (long, short, json.dumps(long), str(short)):
        assert parse_groupings(value) == expected
    assert parse_groupings(None) == {}


@pytest.mark.parametrize(
    "value",
    [
        5,
        [],
        "daily",
        '["tweet.id"]',
        {"daily": None},
        {"daily": 5},
        {"daily": "tweet.id"},
        {"daily": {}},
        {"daily": {"group_by": "tweet.id"}},
        {"daily": ["Tweet.id"]},
        {"daily": ["tweet.id", 5]},
        {"daily": [["tweet.id"]]},
        {"daily": b"tweet.id"},
    ],
    ids=shown,
)
def test_what_is_no_grouping_is_refused(value: Any) -> None:
    refused(lambda: parse_groupings(value), "groupings")


@pytest.mark.parametrize("dimension", [DAY, HOUR])
def test_time_is_refused_on_totals(dimension: Dimension) -> None:
    error = refused(lambda: totals(granularities=(), groupings={"g": (TWEET, METRIC, dimension)}), "groupings")
    assert dimension in str(error)


@pytest.mark.parametrize("grain", [Granularity.DAY, Granularity.HOUR, Granularity.HOUR_OF_DAY])
def test_grains_of_time_are_refused_on_totals(grain: Granularity) -> None:
    refused(lambda: totals(granularities=(grain,)), "groupings")


def test_three_groupings_are_allowed_and_four_are_not() -> None:
    three = dict.fromkeys("abc", (METRIC,))
    assert len(query(granularities=(), groupings=three).all_groupings()) == 3
    refused(lambda: query(granularities=(), groupings=three | {"d": (METRIC,)}), "groupings")
    refused(lambda: query(granularities=(Granularity.HOUR,), groupings=three), "groupings")


def test_a_query_without_any_grouping_is_refused() -> None:
    refused(lambda: query(granularities=(), groupings={}), "groupings")


@pytest.mark.parametrize(
    "name", ["start", "end", "errors", "unavailable_tweet_ids", "unsupported_for_anything", "unsupported_for_", ""]
)
def test_names_that_stand_beside_groupings_in_the_answer_are_refused(name: str) -> None:
    refused(lambda: query(granularities=(), groupings={name: (METRIC,)}), "groupings")


@pytest.mark.parametrize("grain", list(Granularity))
def test_the_names_of_the_grains_are_refused(grain: Granularity) -> None:
    refused(lambda: query(granularities=(), groupings={str(grain): (METRIC,)}), "groupings")


@pytest.mark.parametrize("name", ["Start", "my errors", "Grand Totals", "unsupported", "grouping name"])
def test_any_other_name_is_allowed(name: str) -> None:
    assert name in query(granularities=(), groupings={name: (METRIC,)}).all_groupings()


@pytest.mark.parametrize("group_by", list(permutations(Dimension, 4)), ids=lambda order: "-".join(order))
def test_four_dimensions_are_allowed_in_the_two_documented_orders_alone(group_by: tuple[Dimension, ...]) -> None:
    if group_by in ((TWEET, METRIC, DAY, HOUR), (METRIC, TWEET, DAY, HOUR)):
        query(granularities=(), groupings={"g": group_by})
    else:
        refused(lambda: query(granularities=(), groupings={"g": group_by}), "groupings")


@pytest.mark.parametrize(
    "group_by",
    [order for length in (1, 2, 3) for order in permutations(Dimension, length)],
    ids=lambda order: "-".join(order),
)
def test_up_to_three_dimensions_are_allowed_in_any_order_if_the_metric_is_among_them(
    group_by: tuple[Dimension, ...],
) -> None:
    if METRIC in group_by:
        query(granularities=(), groupings={"g": group_by})
    else:
        assert METRIC in str(refused(lambda: query(granularities=(), groupings={"g": group_by}), "groupings"))


def test_only_one_grouping_may_have_four_dimensions() -> None:
    four = (METRIC, TWEET, DAY, HOUR)
    refused(lambda: query(granularities=(), groupings={"one": four, "again": four}), "groupings")


def test_a_grouping_of_four_beside_hours_is_made_of_them() -> None:
    asked = query(granularities=(Granularity.HOUR,), groupings={"again": (METRIC, TWEET, DAY, HOUR)})
    assert list(asked.all_groupings()) == ["hour"]
    assert asked.made_of_hours == {"again"}


@pytest.mark.parametrize("group_by", [(), (METRIC, METRIC), (TWEET, METRIC, TWEET)])
def test_empty_and_repeated_dimensions_are_refused(group_by: tuple[Dimension, ...]) -> None:
    refused(lambda: query(granularities=(), groupings={"g": group_by}), "groupings")


def test_a_grain_is_asked_for_under_its_own_name() -> None:
    asked = query(granularities=(Granularity.TOTAL, Granularity.DAY, Granularity.HOUR)).all_groupings()
    assert asked == {
        "total": (TWEET, METRIC),
        "day": (TWEET, METRIC, DAY),
        "hour": (TWEET, METRIC, DAY, HOUR),
    }
    assert GRANULARITY_GROUPINGS[Granularity.HOUR_OF_DAY] == (TWEET, METRIC, HOUR)


# Windows


def test_historical_needs_a_window_and_nothing_else_takes_one() -> None:
    refused(lambda: query(window=None), "window")
    refused(lambda: totals(window=WINDOW), "window")
    refused(lambda: query(endpoint=Endpoint.LAST_28_HOURS), "window")


# Who asks


@pytest.mark.parametrize(
    ("endpoint", "metrics", "has", "expected"),
    [
        (Endpoint.TOTALS, ("favorites",), {"has_user": True, "has_app": True}, Auth.APP),
        (Endpoint.TOTALS, ("favorites", "impressions"), {"has_user": True, "has_app": True}, Auth.USER),
        (Endpoint.TOTALS, ("favorites",), {"has_user": True, "has_app": False}, Auth.USER),
        (Endpoint.TOTALS, ("favorites",), {"has_user": False, "has_app": False}, Auth.APP),
        (Endpoint.TOTALS, None, {"has_user": True, "has_app": True}, Auth.USER),
        (Endpoint.TOTALS, None, {"has_user": False, "has_app": True}, Auth.APP),
        (Endpoint.HISTORICAL, ("favorites",), {"has_user": False, "has_app": True}, Auth.USER),
        (Endpoint.LAST_28_HOURS, None, {"has_user": False, "has_app": True}, Auth.USER),
    ],
)
def test_public_metrics_are_asked_for_as_the_app_and_owned_ones_as_the_user(
    endpoint: Endpoint, metrics: tuple[str, ...] | None, has: Mapping[str, bool], expected: Auth
) -> None:
    assert auth_for(endpoint, metrics, **has) is expected


# The request body


def test_the_body_is_as_the_reference_has_it() -> None:
    made = query(granularities=(), groupings={"any name you like": (TWEET, METRIC, DAY)})
    body = json.loads(json.dumps(Request(made, made.tweet_ids, made.window).body()))
    assert body == {
        "start": "2026-01-10T22:00:00Z",
        "end": "2026-01-11T02:00:00Z",
        "tweet_ids": [A, B],
        "engagement_types": ["impressions", "url_clicks"],
        "groupings": {"any name you like": {"group_by": ["tweet.id", "engagement.type", "engagement.day"]}},
    }


def test_the_body_of_a_request_without_window_names_no_start_and_end() -> None:
    made = totals()
    assert set(Request(made, made.tweet_ids, None).body()) == {"tweet_ids", "engagement_types", "groupings"}
