"""A query that the API would reject is an error before a request is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import InvalidQueryError, PermanentError

TWEET, METRIC, DAY, HOUR = Dimension
A, B = "2000000000000000001", "2000000000000000002"
INTERVAL = TimeRange(datetime(2026, 1, 10, 22, tzinfo=UTC), datetime(2026, 1, 11, 2, tzinfo=UTC))
HOURLY = (Endpoint.LAST_28_HOURS, Endpoint.HISTORICAL)


def query(endpoint: Endpoint = Endpoint.HISTORICAL, **changes: Any) -> Query:
    fields: dict[str, Any] = {
        "auth": Auth.USER,
        "tweet_ids": (A, B),
        "metrics": ("impressions", "favorites"),
        "interval": INTERVAL if endpoint is Endpoint.HISTORICAL else None,
    }
    return Query(endpoint=endpoint, **(fields | changes))


def error_of(make: Callable[[], object], field: str) -> InvalidQueryError:
    with pytest.raises(InvalidQueryError) as caught:
        make()
    error = caught.value
    assert error.field == field
    assert str(error).startswith(f"{field}: ")
    assert error.remedy
    assert isinstance(error, PermanentError)
    return error


# Tweets and metrics


@pytest.mark.parametrize("tweet_ids", [(), ("12a",), ("9" * 20,), ("",), (A, A)])
def test_a_query_has_valid_tweet_ids_without_duplicates(tweet_ids: tuple[str, ...]) -> None:
    error_of(lambda: query(tweet_ids=tweet_ids), "tweets")


@pytest.mark.parametrize("metrics", [(), ("impressions", "impressions")])
def test_a_query_has_metrics_without_duplicates(metrics: tuple[str, ...]) -> None:
    error_of(lambda: query(metrics=metrics), "metrics")


@pytest.mark.parametrize("name", ["likes", "Impressions", "detail_clicks", "media_clicks", ""])
def test_the_error_of_an_unknown_metric_lists_the_metrics(name: str) -> None:
    error = error_of(lambda: query(metrics=("impressions", name)), "metrics")

    assert repr(name) in str(error)
    assert "url_clicks" in error.remedy


def test_quote_tweets_are_only_on_totals() -> None:
    query(Endpoint.TOTALS, metrics=("quote_tweets",))
    for endpoint in HOURLY:
        error_of(lambda endpoint=endpoint: query(endpoint, metrics=("quote_tweets",)), "metrics")  # type: ignore[misc]


@pytest.mark.parametrize("metric", ["media_views", "url_clicks", "user_follows", "app_opens", "email_tweet"])
def test_hourly_metrics_are_not_on_totals(metric: str) -> None:
    error_of(lambda: query(Endpoint.TOTALS, metrics=(metric,)), "metrics")


@pytest.mark.parametrize("metric", ["impressions", "engagements"])
def test_private_metrics_require_an_access_token(metric: str) -> None:
    error = error_of(lambda: query(Endpoint.TOTALS, auth=Auth.APP, metrics=("favorites", metric)), "metrics")

    assert "access token" in error.remedy


@pytest.mark.parametrize("endpoint", HOURLY)
def test_hourly_endpoints_do_not_accept_app_credentials(endpoint: Endpoint) -> None:
    error = error_of(lambda: query(endpoint, auth=Auth.APP, metrics=("favorites",)), "auth")

    assert str(error).startswith(f"auth: {endpoint} does not accept app credentials.")


def test_every_metric_of_the_catalogue_can_be_requested() -> None:
    for endpoint in Endpoint:
        for auth in Auth:
            metrics = metrics_of(endpoint, auth)
            if metrics:
                assert query(endpoint, auth=auth, metrics=metrics).metrics == metrics


# Groupings


def test_a_query_requests_the_grouping_that_its_rows_come_from() -> None:
    assert query(Endpoint.TOTALS).requested_groupings() == {"total": (TWEET, METRIC)}
    for endpoint in HOURLY:
        assert query(endpoint).requested_groupings() == {"hour": (TWEET, METRIC, DAY, HOUR)}


@pytest.mark.parametrize("dimension", [DAY, HOUR])
def test_totals_cannot_be_grouped_by_time(dimension: Dimension) -> None:
    error = error_of(lambda: query(Endpoint.TOTALS, groupings={"g": (TWEET, METRIC, dimension)}), "groupings")

    assert dimension in str(error)


def test_two_groupings_are_allowed_beside_the_rows() -> None:
    two = dict.fromkeys("ab", (METRIC,))

    assert len(query(groupings=two).requested_groupings()) == 3
    error_of(lambda: query(groupings=two | {"c": (METRIC,)}), "groupings")


def test_names_of_other_keys_of_the_response_are_reserved() -> None:
    for name in ("start", "end", "errors", "unavailable_tweet_ids", "unsupported_for_anything", "unsupported_for_", ""):
        error_of(lambda name=name: query(groupings={name: (METRIC,)}), "groupings")  # type: ignore[misc]


def test_the_name_of_the_rows_is_reserved() -> None:
    error_of(lambda: query(groupings={"hour": (METRIC,)}), "groupings")
    error_of(lambda: query(Endpoint.TOTALS, groupings={"total": (METRIC,)}), "groupings")


def test_any_other_name_is_allowed() -> None:
    for name in ("Start", "my errors", "Grand Totals", "unsupported", "day"):
        assert name in query(groupings={name: (METRIC,)}).requested_groupings()


def test_four_dimensions_are_allowed_only_in_the_two_documented_orders() -> None:
    documented = ((TWEET, METRIC, DAY, HOUR), (METRIC, TWEET, DAY, HOUR))

    for order in permutations(Dimension, 4):
        if order in documented:
            query(groupings={"g": order})
        else:
            error_of(lambda order=order: query(groupings={"g": order}), "groupings")  # type: ignore[misc]


def test_up_to_three_dimensions_are_allowed_in_any_order_if_one_is_the_metric() -> None:
    for length in (1, 2, 3):
        for order in permutations(Dimension, length):
            if METRIC in order:
                query(groupings={"g": order})
            else:
                error = error_of(lambda order=order: query(groupings={"g": order}), "groupings")  # type: ignore[misc]
                assert METRIC in str(error)


def test_a_grouping_of_four_dimensions_is_derived_from_the_hourly_rows() -> None:
    made = query(groupings={"again": (METRIC, TWEET, DAY, HOUR)})

    assert list(made.requested_groupings()) == ["hour"]
    assert made.groupings_of_hours == {"again"}


@pytest.mark.parametrize("group_by", [(), (METRIC, METRIC), (TWEET, METRIC, TWEET)])
def test_empty_and_repeated_dimensions_are_an_error(group_by: tuple[Dimension, ...]) -> None:
    error_of(lambda: query(groupings={"g": group_by}), "groupings")


# Interval


def test_historical_requires_an_interval_and_no_other_endpoint_accepts_one() -> None:
    error_of(lambda: query(interval=None), "interval")
    error_of(lambda: query(Endpoint.TOTALS, interval=INTERVAL), "interval")
    error_of(lambda: query(Endpoint.LAST_28_HOURS, interval=INTERVAL), "interval")


# The request body


def test_the_body_has_the_form_of_the_reference() -> None:
    made = query(groupings={"any name you like": (TWEET, METRIC, DAY)})

    assert json.loads(json.dumps(Request(made, made.tweet_ids, made.interval).body())) == {
        "start": "2026-01-10T22:00:00Z",
        "end": "2026-01-11T02:00:00Z",
        "tweet_ids": [A, B],
        "engagement_types": ["impressions", "favorites"],
        "groupings": {
            "hour": {"group_by": ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"]},
            "any name you like": {"group_by": ["tweet.id", "engagement.type", "engagement.day"]},
        },
    }


def test_the_body_of_a_request_without_a_window_has_no_start_and_end() -> None:
    made = query(Endpoint.TOTALS)

    assert set(Request(made, made.tweet_ids, None).body()) == {"tweet_ids", "engagement_types", "groupings"}
