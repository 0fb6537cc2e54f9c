"""The examples of the API's documentation, fetched end to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import (
    ForbiddenTweetsError,
    InvalidQueryError,
    RequestRejectedError,
)
from airflow_provider_engagement.simulator import (
    Clock,
    Fault,
    Switches,
    World,
)

from ..engagement_client import NEW, Connect, Make, outcomes

TWEET, METRIC, DAY, HOUR = Dimension


def as_integers(nested: Any) -> Any:
    return {key: as_integers(child) for key, child in nested.items()} if isinstance(nested, dict) else int(nested)


def connected_to(golden: Mapping[str, Any], connect: Connect, **settings: Any) -> Any:
    rate_clock = golden.get("rate_clock")
    one = connect(
        World.from_json(golden["world"]),
        now=datetime.fromisoformat(golden["clock"]),
        user=golden["auth"].get("user_id"),
        switches=Switches(**golden["switches"]),
        rate_clock=Clock(datetime.fromisoformat(rate_clock)) if rate_clock else None,
        **settings,
    )
    one.simulator.set_limit(per_minute=golden.get("requests_per_minute"))
    return one


def documented_counts(exchange: Mapping[str, Any]) -> dict[str, Any]:
    return {grouping: as_integers(exchange["response"][grouping]) for grouping in exchange["body"]["groupings"]}


def assert_documented_groupings_are_sent(exchange: Mapping[str, Any], request: Request, one: Any) -> None:
    """Compare the groupings of the last request with the documented ones.

    A grouping with four dimensions is made of the hourly rows, so it is not requested.
    """
    documented = {
        name: group_by for name, group_by in exchange["body"]["groupings"].items() if len(group_by["group_by"]) < 4
    }
    sent = dict([entry.body for entry in one.simulator.journal][-1]["groupings"])
    del sent[request.query.rows_grouping]
    assert sent == documented


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
def test_documented_examples_are_fetched_number_by_number(
    name: str, golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden(name)
    one = connected_to(example, connect)
    for exchange in example["exchanges"]:
        request = request_of(exchange, example["auth"]["mode"])
        assert one.client.fetch(request).response.groupings == documented_counts(exchange)
        assert_documented_groupings_are_sent(exchange, request, one)


def test_a_metric_that_was_not_requested_is_left_out(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("owned_totals_with_a_metric_nobody_requested")
    one = connected_to(example, connect)
    (exchange,) = example["exchanges"]
    expected = documented_counts(exchange)
    for counts in expected["perTweetMetricsOwned"].values():
        del counts["quote_tweets"]
    request = request_of(exchange, "user")
    assert one.client.fetch(request).response.groupings == expected
    assert_documented_groupings_are_sent(exchange, request, one)


def test_video_views_of_old_tweets_are_null(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("video_views_of_old_tweets")
    one = connected_to(example, connect)
    (exchange,) = example["exchanges"]
    request = request_of(exchange, "user")
    response = one.client.fetch(request).response
    expected = documented_counts(exchange)
    for tweet_id in ("479311209565413376", "477139122520219648"):
        expected["grouping name"][tweet_id]["video_views"] = None
        assert response.statuses[tweet_id].outcome is Outcome.UNSUPPORTED_VIDEO
    assert response.groupings == expected
    assert_documented_groupings_are_sent(exchange, request, one)


def test_hours_of_day_are_fetched(golden: Callable[[str], dict[str, Any]], connect: Connect) -> None:
    example = golden("hour_of_day_over_the_default_window")
    one = connected_to(example, connect)
    (exchange,) = example["exchanges"]
    window = TimeRange(datetime(2016, 1, 12, 20, tzinfo=UTC), datetime(2016, 2, 9, 19, tzinfo=UTC))
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=("695310089847111681",),
        metrics=("impressions",),
        groupings={"hourly_timeseries": (METRIC, TWEET, HOUR)},
        interval=window,
    )
    response = one.client.fetch(Request(query, query.tweet_ids, window)).response
    expected = {"hourly_timeseries": as_integers(exchange["response"]["hourly_timeseries"])}
    assert response.groupings == expected


def test_tweets_of_other_users_make_the_request_fail(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("tweets_of_other_authors")
    one = connected_to(example, connect)
    with pytest.raises(ForbiddenTweetsError) as caught:
        one.client.fetch(request_of(example["exchanges"][0], "user"))
    assert caught.value.tweet_ids_by_author == {
        "1114564404": ("640022366307745792",),
        "18435372": ("640026211712786432", "640026277605339136", "640027450420756481"),
        "2265341844": ("640022312914407425",),
    }
    assert len(one.simulator.journal) == 1


def test_time_dimensions_on_totals_are_rejected_before_sending(
    golden: Callable[[str], dict[str, Any]], request_of: Make, totals: Make, connect: Connect
) -> None:
    example = golden("totals_grouped_by_time")
    (exchange,) = example["exchanges"]
    with pytest.raises(InvalidQueryError, match="groupings"):
        request_of(exchange, "app")
    one = connected_to(example, connect)
    one.simulator.faults.add(Fault(status=400, body=exchange["response"]))
    with pytest.raises(RequestRejectedError, match="groupBys"):
        one.client.fetch(totals(NEW))


def test_missing_gzip_is_not_retried(golden: Callable[[str], dict[str, Any]], totals: Make, connect: Connect) -> None:
    example = golden("request_without_gzip")
    one = connected_to(example, connect)
    assert one.client.fetch(totals(NEW)).response.statuses[NEW].outcome is Outcome.OK
    one.simulator.faults.add(Fault(status=406, body=example["exchanges"][0]["response"]))
    with pytest.raises(RequestRejectedError, match="gzip"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 2


@pytest.mark.parametrize("status", [400, 200])
def test_a_response_without_available_tweets_succeeds_with_either_status(
    status: int, golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("no_available_tweet")
    one = connected_to({**example, "switches": {"all_unavailable_status": status}}, connect)
    response = one.client.fetch(request_of(example["exchanges"][0], "app")).response
    assert outcomes(response) == dict.fromkeys(("2000000000000000003", "2000000000000000004"), "unavailable")
    assert len(one.simulator.journal) == 1


def test_the_seventh_request_of_a_minute_waits_and_gets_no_429(
    golden: Callable[[str], dict[str, Any]], request_of: Make, connect: Connect
) -> None:
    example = golden("seventh_request_of_a_minute")
    one = connected_to(example, connect)
    for exchange in example["exchanges"]:
        one.client.fetch(request_of(exchange, "app"))
    assert [entry.status for entry in one.simulator.journal] == [200] * 7
    assert 29 <= sum(one.slept) <= 35


def test_unaligned_times_are_rejected_before_sending(golden: Callable[[str], dict[str, Any]], request_of: Make) -> None:
    with pytest.raises(InvalidQueryError, match="whole hour"):
        request_of(golden("edges_within_an_hour")["exchanges"][0], "user")
