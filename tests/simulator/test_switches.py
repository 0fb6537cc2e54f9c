"""The behavior under every switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.simulator import SeededCounts, Switches

NEW, SECOND, OLD, DELETED, FOREIGN = (
    "2000000000000000001",
    "2000000000000000002",
    "1850000000000000001",
    "2000000000000000003",
    "2000000000000000009",
)
AUTHOR = "7588892"
DAY_OF_OLD = {"start": "2026-01-11", "end": "2026-01-12"}
Switched = Callable[..., Any]


def test_the_default_of_every_switch_comes_first() -> None:
    assert {name: values[0] for name, values in Switches.choices().items()} == {
        field.name: getattr(Switches(), field.name) for field in fields(Switches)
    }
    assert all(len(set(values)) > 1 for values in Switches.choices().values())


def test_a_switch_accepts_its_values_only() -> None:
    for name, values in Switches.choices().items():
        for value in values:
            assert getattr(Switches().changed({name: value}), name) == value
        with pytest.raises(ValueError, match=f"{name}: 'sideways' is unknown"):
            Switches().changed({name: "sideways"})


def test_an_unknown_switch_raises_an_error() -> None:
    with pytest.raises(ValueError, match="weather: no such switch"):
        Switches().changed({"weather": True})


def test_a_boolean_switch_does_not_accept_a_number() -> None:
    with pytest.raises(ValueError, match="errors_in_partial: 1 is unknown"):
        Switches().changed({"errors_in_partial": 1})


def test_a_grouping_by_hour_without_day_can_include_the_days(switched: Switched) -> None:
    group_by = ("tweet.id", "engagement.type", "engagement.hour")
    window = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T23:00:00Z"}
    by_hour, by_date = (
        switched(hour_without_day=shape).historical(NEW, user=AUTHOR, group_by=group_by, **window).json()["counts"]
        for shape in ("hour_of_day", "dated")
    )
    assert by_hour[NEW]["impressions"]["22"] == "42"
    assert by_date[NEW]["impressions"]["2026-01-10"] == {"22": "40", "23": "0"}
    assert by_date[NEW]["impressions"]["2026-01-11"]["22"] == "2"


def test_partial_responses_can_have_no_errors(switched: Switched) -> None:
    assert switched(errors_in_partial=False).totals(NEW, DELETED).json() == {
        "unavailable_tweet_ids": [DELETED],
        "by_tweet": {NEW: {"favorites": "3"}},
    }


def test_a_response_without_available_tweets_can_have_status_200(switched: Switched) -> None:
    response = switched(all_unavailable_status=200).totals(DELETED)
    assert (response.status_code, response.json()) == (
        200,
        {"errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [DELETED], "by_tweet": {}},
    )


@pytest.mark.parametrize(
    ("value", "text"), [("counted", "2 Tweet ID(s) are unavailable"), ("unnamed", "Tweet ID(s) are unavailable")]
)
def test_a_request_that_names_a_tweet_of_a_protected_account_can_be_rejected_without_a_list(
    switched: Switched, value: str, text: str
) -> None:
    client = switched(protected_tweets=value)
    client.simulator.world.change_handle("370773112", protected=True)
    response = client.totals(NEW, FOREIGN, DELETED)
    assert (response.status_code, response.json()) == (400, {"errors": [text]})
    assert client.totals(NEW, DELETED).json()["unavailable_tweet_ids"] == [DELETED]


def test_forbidden_metrics_can_have_status_400(switched: Switched) -> None:
    response = switched(forbidden_metrics_status=400).totals(NEW, metrics=("impressions",))
    assert (response.status_code, response.json()) == (400, {"errors": ["Forbidden to access metrics: impressions"]})


def test_a_bearer_token_can_be_rejected_with_code_220(switched: Switched) -> None:
    body = {
        "tweet_ids": [NEW],
        "engagement_types": ["favorites"],
        "groupings": {"counts": {"group_by": ["engagement.type"]}},
    }
    response = switched(app_on_series="code").post("historical", body)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (403, 220)


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("app", [200, 429, 429, 429]), ("endpoint", [200, 429, 200, 429]), ("token", [200, 200, 429, 429])],
)
def test_endpoints_or_tokens_can_have_a_quota_of_their_own(switched: Switched, scope: str, statuses: list[int]) -> None:
    client = switched(quota_scope=scope)
    client.simulator.rate_clock.freeze()
    client.simulator.set_limit(per_minute=1)
    assert [
        client.totals(NEW).status_code,
        client.totals(NEW, user=AUTHOR).status_code,
        client.historical(NEW, user=AUTHOR).status_code,
        client.totals(NEW).status_code,
    ] == statuses


def test_impressions_past_90_days_can_be_zero(switched: Switched) -> None:
    body = switched(old_impressions="zero").totals(OLD, metrics=("impressions", "favorites"), user=AUTHOR).json()
    assert body["by_tweet"] == {OLD: {"impressions": "0", "favorites": "5"}}
    assert body["unsupported_for_impressions_engagements_tweet_ids"] == [OLD]


def test_the_limit_of_90_days_can_apply_to_every_endpoint(switched: Switched) -> None:
    body = switched(old_impressions_scope="all").historical(OLD, user=AUTHOR, **DAY_OF_OLD).json()
    assert body["unsupported_for_impressions_engagements_tweet_ids"] == [OLD]
    assert body["counts"] == {}


def test_the_age_limit_can_apply_by_day(switched: Switched) -> None:
    client = switched(age_boundary="day")
    created = client.simulator.world.tweets[OLD].created_at
    client.simulator.clock.set(created + timedelta(days=90, seconds=1))
    assert "errors" not in client.totals(OLD, metrics=("impressions",), user=AUTHOR).json()
    client.simulator.clock.advance(timedelta(days=1))
    assert "errors" in client.totals(OLD, metrics=("impressions",), user=AUTHOR).json()


@pytest.mark.parametrize(("values", "counts"), [("int", (42, 3)), ("mixed", ("42", 3)), ("string", ("42", "3"))])
def test_counts_can_be_strings_numbers_or_both(switched: Switched, values: str, counts: tuple[Any, Any]) -> None:
    body = switched(values=values).totals(NEW, metrics=("impressions", "retweets", "favorites"), user=AUTHOR).json()
    by_metric = body["by_tweet"][NEW]
    assert {type(by_metric["impressions"]), type(by_metric["retweets"])} == {type(value) for value in counts}
    assert (int(by_metric["impressions"]), int(by_metric["favorites"])) == (42, 3)


def test_tweets_of_other_authors_can_be_listed_in_one_error(switched: Switched) -> None:
    response = switched(forbidden_format="plain").totals(NEW, FOREIGN, user=AUTHOR)
    assert (response.status_code, response.json()) == (403, {"errors": [f"Forbidden to access tweets: {FOREIGN}"]})


def test_history_can_reach_back_to_2014(switched: Switched) -> None:
    client = switched(history_floor="2014")
    assert client.historical(OLD, user=AUTHOR, start="2014-09-01", end="2014-09-02").status_code == 200
    assert client.historical(OLD, user=AUTHOR, start="2014-08-31", end="2014-09-02").status_code == 400


def test_gzip_can_be_optional(switched: Switched) -> None:
    response = switched(require_gzip=False).totals(NEW, headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.json()) == (200, {"by_tweet": {NEW: {"favorites": "3"}}})


def test_keys_can_be_sorted(switched: Switched) -> None:
    body = switched(key_order="sorted").totals(NEW, SECOND, DELETED).json()
    assert list(body) == ["by_tweet", "errors", "unavailable_tweet_ids"]
    assert list(body["by_tweet"]) == [NEW, SECOND]


@pytest.mark.parametrize("endpoint", ["28hr", "historical"])
def test_responses_can_contain_a_metric_that_was_not_requested(switched: Switched, endpoint: str) -> None:
    body = switched(extra_metrics=True).historical(NEW, user=AUTHOR, endpoint=endpoint).json()
    assert len(body["counts"][NEW]) == 2


def test_an_app_without_entitlement_can_receive_status_401(switched: Switched) -> None:
    client = switched(entitlement_status=401)
    client.simulator.world.change_app("key", entitled=False)
    assert client.totals(NEW).status_code == 401


def test_a_bearer_token_can_be_rejected_for_its_type(switched: Switched) -> None:
    body = {
        "tweet_ids": [NEW],
        "engagement_types": ["favorites"],
        "groupings": {"counts": {"group_by": ["engagement.type"]}},
    }
    response = switched(app_on_series="type").post("28hr", body)
    assert (response.status_code, response.json()) == (
        401,
        {"errors": ["Your account could not be authenticated. Reason: Unknown Authorization Type"]},
    )


def test_authentication_errors_can_be_objects(switched: Switched) -> None:
    response = switched(auth_errors="objects").totals(NEW, headers={"Authorization": "Bearer wrong"})
    assert response.json() == {"errors": [{"code": 89, "message": "Invalid or expired token"}]}


def test_the_former_name_of_media_engagements_can_be_accepted(switched: Switched) -> None:
    metrics = ("media_clicks",)
    assert switched().historical(NEW, user=AUTHOR, metrics=metrics).status_code == 400
    body = switched(media_clicks_alias=True).historical(NEW, user=AUTHOR, metrics=metrics).json()
    assert body["counts"] == {NEW: {"media_clicks": "0"}}


def test_counts_of_hours_can_be_negative(switched: Switched) -> None:
    client = switched(negative_counts=True)
    client.simulator.world.counts = SeededCounts(10)
    group_by = ("engagement.type", "engagement.day", "engagement.hour")
    body = client.historical(NEW, user=AUTHOR, metrics=("favorites",), group_by=group_by).json()
    hours = [int(count) for day in body["counts"]["favorites"].values() for count in day.values()]
    assert min(hours) < 0
    total = client.simulator.count(
        NEW, "favorites", datetime(2025, 12, 15, 10, tzinfo=UTC), datetime(2026, 1, 12, 10, tzinfo=UTC)
    )
    assert sum(hours) == total


def test_recent_counts_can_still_grow(switched: Switched) -> None:
    client = switched(restatement=True)
    client.simulator.world.counts = SeededCounts(10)
    client.simulator.clock.set(client.simulator.world.tweets[NEW].created_at + timedelta(hours=10))
    window = {"start": "2025-12-14T00:00:00Z", "end": "2025-12-14T10:00:00Z"}

    def count() -> int:
        return int(client.historical(NEW, user=AUTHOR, **window).json()["counts"][NEW]["impressions"])

    first = count()
    client.simulator.clock.advance(timedelta(hours=24))
    second = count()
    client.simulator.clock.advance(timedelta(hours=48))
    final = count()
    assert first < second < final
    world = client.simulator.world
    assert final == world.count(
        NEW, "impressions", datetime(2025, 12, 14, tzinfo=UTC), datetime(2025, 12, 14, 10, tzinfo=UTC)
    )


def test_switches_can_change_while_the_simulator_runs(client: Any) -> None:
    client.simulator.switches = Switches(values="int")
    assert client.totals(NEW).json() == {"by_tweet": {NEW: {"favorites": 3}}}
