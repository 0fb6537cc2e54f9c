"""Counts are true, whatever the API does where its documentation is silent."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint, metrics_of
from airflow_provider_engagement.engagement_api.client import EngagementClient
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.response import Outcome, ParsedResponse
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import (
    AuthenticationError,
    NotEntitledError,
)
from airflow_provider_engagement.http.address import Address
from airflow_provider_engagement.simulator import (
    Clock,
    Fault,
    Simulator,
    Switches,
    World,
)

from ..engagement_client import (
    ANCIENT,
    AUTHOR,
    DELETED,
    FOREIGN,
    NEW,
    NOW,
    OLD,
    OWN,
    PROTECTED,
    VIDEO,
    Connect,
    Make,
    MakeClient,
    counts_of,
    make_world,
    outcomes,
)

TWEET, METRIC, DAY, HOUR = Dimension


@pytest.fixture(scope="module")
def api() -> Iterator[Simulator]:
    """One simulator for all combinations of switches."""
    with Simulator(make_world(), clock=Clock(NOW)) as simulator:
        yield simulator


@pytest.fixture
def client(api: Simulator, make_client: MakeClient) -> EngagementClient:
    app, handle = api.world.app, api.world.handles[AUTHOR]
    return make_client(
        Address(base_url=api.base_url, token_url=api.token_url),
        api_key=app.consumer_key,
        api_key_secret=app.consumer_secret,
        access_token=handle.access_token,
        access_token_secret=handle.access_token_secret,
        bearer_token=app.bearer_token,
        drop_forbidden=True,
    )


def every_pair_of_choices() -> list[Switches]:
    """Return switches in which every value of a switch occurs with every value of every other switch."""
    choices = Switches.choices()
    pairs = {
        (first, one, second, other)
        for first, second in combinations(choices, 2)
        for one in choices[first]
        for other in choices[second]
    }
    chance = random.Random(1)
    found = []
    while pairs:
        first, one, second, other = min(pairs, key=str)
        candidates = [
            {name: chance.choice(values) for name, values in choices.items()} | {first: one, second: other}
            for _ in range(30)
        ]
        covered = [
            {pair for pair in pairs if row[pair[0]] == pair[1] and row[pair[2]] == pair[3]} for row in candidates
        ]
        best = max(range(30), key=lambda number: len(covered[number]))
        pairs -= covered[best]
        found.append(Switches(**candidates[best]))
    return found


SWITCHES = every_pair_of_choices()


def changes(switches: Switches) -> str:
    """Name the switches that do not have their default value."""
    values = asdict(switches)
    return ",".join(
        f"{name}={values[name]}" for name, (default, *_) in Switches.choices().items() if values[name] != default
    )


def expected_nulls(endpoint: Endpoint, switches: Switches, metrics: tuple[str, ...]) -> set[tuple[str, str]]:
    """Return the pairs of Tweet and metric without a count, by the documented rules."""
    nulls = {(tweet_id, metric) for metric in metrics for tweet_id in (DELETED, PROTECTED)}
    if endpoint is Endpoint.TOTALS or switches.old_impressions_scope == "all":
        nulls |= {(tweet_id, metric) for tweet_id in (OLD, VIDEO, ANCIENT) for metric in ("impressions", "engagements")}
    nulls |= {(tweet_id, "video_views") for tweet_id in (VIDEO, ANCIENT)}
    return {(tweet_id, metric) for tweet_id, metric in nulls if metric in metrics}


def assert_true_or_null_with_reason(
    response: ParsedResponse,
    nulls: set[tuple[str, str]],
    metrics: tuple[str, ...],
    truth: Callable[[str, str, Any], int],
    requested: tuple[str, ...] = OWN,
) -> None:
    read = counts_of(response)
    assert read
    for (tweet_id, metric, period), count in read.items():
        if (tweet_id, metric) in nulls:
            assert count is None
        else:
            assert count == truth(tweet_id, metric, period)
    assert {key[0] for key in read} == set(requested) - {DELETED, FOREIGN, PROTECTED}
    for tweet_id in requested:
        status = response.statuses[tweet_id]
        lacking = {metric for metric in metrics if (tweet_id, metric) in nulls}
        if tweet_id == FOREIGN:
            assert status.outcome is Outcome.FORBIDDEN
            lacking = set(metrics)
        assert set(status.metrics_affected) == lacking
        assert (status.outcome is Outcome.OK) == (not lacking)
        assert bool(status.message) == bool(lacking)


@pytest.mark.parametrize("switches", SWITCHES, ids=changes)
def test_counts_are_true_or_null_with_a_reason_whatever_the_api_does(
    switches: Switches, api: Simulator, client: EngagementClient
) -> None:
    api.switches = switches
    _check_owned_totals(api, client)
    _check_public_totals(api, client)
    _check_historical(api, client)
    _check_last_28_hours(api, client)


def _check_owned_totals(api: Simulator, client: EngagementClient) -> None:
    metrics = ("impressions", "engagements", "favorites", "video_views")
    named = (*OWN, FOREIGN)
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.USER, tweet_ids=named, metrics=metrics)
    response = client.fetch(Request(query, named, None)).response
    nulls = expected_nulls(Endpoint.TOTALS, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, lambda tweet, metric, _: api.total(tweet, metric), named)


def _check_public_totals(api: Simulator, client: EngagementClient) -> None:
    metrics = metrics_of(Endpoint.TOTALS, Auth.APP)
    named = (*OWN, PROTECTED)
    query = Query(endpoint=Endpoint.TOTALS, auth=Auth.APP, tweet_ids=named, metrics=metrics)
    response = client.fetch(Request(query, named, None)).response
    nulls = expected_nulls(Endpoint.TOTALS, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, lambda tweet, metric, _: api.total(tweet, metric), named)


def _check_historical(api: Simulator, client: EngagementClient) -> None:
    metrics = ("impressions", "favorites", "video_views")
    start = datetime(2026, 1, 11, 20, tzinfo=UTC)
    window = TimeRange(start, start + timedelta(hours=7))
    query = Query(
        endpoint=Endpoint.HISTORICAL,
        auth=Auth.USER,
        tweet_ids=OWN,
        metrics=metrics,
        groupings={"hours of day": (TWEET, METRIC, HOUR)},
        interval=window,
    )
    response = client.fetch(Request(query, OWN, window)).response

    def truth(tweet_id: str, metric: str, hour: Any) -> int:
        return api.count(tweet_id, metric, hour, hour + timedelta(hours=1))

    nulls = expected_nulls(Endpoint.HISTORICAL, api.switches, metrics)
    assert_true_or_null_with_reason(response, nulls, metrics, truth)
    assert len(response.counts.periods) == 7
    by_hour = {f"{hour:%H}": hour for hour in response.counts.periods if hour is not None}
    for tweet_id, by_metric in response.groupings["hours of day"].items():
        for metric, hours in by_metric.items():
            if (tweet_id, metric) not in nulls:
                flat = {key: count for days in hours.values() for key, count in days.items()} if dated(hours) else hours
                assert flat == {key: truth(tweet_id, metric, hour) for key, hour in by_hour.items()}


def dated(hours: Mapping[str, Any]) -> bool:
    return any(isinstance(child, dict) for child in hours.values())


def _check_last_28_hours(api: Simulator, client: EngagementClient) -> None:
    metrics = ("impressions", "favorites")
    query = Query(endpoint=Endpoint.LAST_28_HOURS, auth=Auth.USER, tweet_ids=OWN, metrics=metrics)
    response = client.fetch(Request(query, OWN, None)).response
    nulls = expected_nulls(Endpoint.LAST_28_HOURS, api.switches, metrics)
    assert_true_or_null_with_reason(
        response,
        nulls,
        metrics,
        lambda tweet, metric, hour: api.count(tweet, metric, hour, hour + timedelta(hours=1)),
    )
    assert 28 <= len(response.counts.periods) <= 29


@pytest.mark.parametrize("status", Switches.choices()["all_unavailable_status"])
@pytest.mark.parametrize("errors", Switches.choices()["errors_in_partial"])
def test_a_response_without_available_tweets_succeeds_on_every_endpoint(
    status: int, errors: bool, api: Simulator, client: EngagementClient, totals: Make, historical: Make
) -> None:
    api.switches = Switches(all_unavailable_status=status, errors_in_partial=errors)
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for request in (totals(DELETED), historical(DELETED, window=window)):
        response = client.fetch(request).response
        assert outcomes(response) == {DELETED: "unavailable"}
        assert not counts_of(response)


@pytest.mark.parametrize("endpoint_status", Switches.choices()["entitlement_status"])
def test_an_app_without_access_is_not_entitled_with_either_status(
    endpoint_status: int, world: World, connect: Connect, totals: Make
) -> None:
    world.change_app("canaryKey", entitled=False)
    one = connect(world, now=NOW, switches=Switches(entitlement_status=endpoint_status))
    with pytest.raises(NotEntitledError, match="enable"):
        one.client.fetch(totals(NEW))
    assert len(one.simulator.journal) == 1


@pytest.mark.parametrize("value", Switches.choices()["protected_tweets"])
def test_all_tweets_of_a_protected_owner_are_unavailable_in_every_form(
    value: str, world: World, connect: Connect, totals: Make, historical: Make
) -> None:
    world.change_handle(AUTHOR, protected=True)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(protected_tweets=value))
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for request in (totals(*OWN, auth=Auth.USER), historical(*OWN, window=window)):
        response = one.client.fetch(request).response
        assert outcomes(response) == dict.fromkeys(OWN, "unavailable")
        assert not counts_of(response)


@pytest.mark.parametrize("scope", Switches.choices()["quota_scope"])
def test_every_scope_of_the_quota_is_kept(
    scope: str, world: World, connect: Connect, totals: Make, historical: Make
) -> None:
    rate_clock = Clock(NOW)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(quota_scope=scope), rate_clock=rate_clock)
    one.simulator.set_limit(per_minute=3)
    window = TimeRange(NOW.replace(minute=0) - timedelta(hours=4), NOW.replace(minute=0))
    for _ in range(4):
        for request in (totals(NEW), totals(NEW, auth=Auth.USER), historical(NEW, window=window)):
            assert outcomes(one.client.fetch(request).response) == {NEW: "ok"}
    assert sum(entry.status == 200 for entry in one.simulator.journal) == 12


@pytest.mark.parametrize("form", Switches.choices()["auth_errors"])
def test_a_revoked_user_is_an_authentication_error_in_both_formats(
    form: str, world: World, connect: Connect, totals: Make
) -> None:
    world.change_handle(AUTHOR, revoked=True)
    one = connect(world, now=NOW, user=AUTHOR, switches=Switches(auth_errors=form))
    with pytest.raises(AuthenticationError, match=r"revoked|expired token"):
        one.client.fetch(totals(NEW, auth=Auth.USER))
    assert len(one.simulator.journal) == 1


def test_the_check_of_counts_finds_a_wrong_count(world: World, connect: Connect, totals: Make) -> None:
    one = connect(world, now=NOW)
    truth = one.simulator.total(NEW, "favorites")
    one.simulator.faults.add(Fault(status=200, body={"total": {NEW: {"favorites": str(truth + 1)}}}))
    with pytest.raises(AssertionError):
        assert_true_or_null_with_reason(
            one.client.fetch(totals(NEW)).response,
            set(),
            ("favorites",),
            lambda tweet, metric, _: one.simulator.total(tweet, metric),
            (NEW,),
        )
