"""Each open question about the API, answered the other way."""

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


def test_every_switch_has_its_default_first() -> None:
    assert {name: values[0] for name, values in Switches.choices().items()} == {
        field.name: getattr(Switches(), field.name) for field in fields(Switches)
    }
    assert all(len(set(values)) > 1 for values in Switches.choices().values())


@pytest.mark.parametrize("name", Switches.choices())
def test_a_switch_takes_its_values_and_no_other(name: str) -> None:
    for value in Switches.choices()[name]:
        assert getattr(Switches().changed({name: value}), name) == value
    with pytest.raises(ValueError, match=name):
        Switches().changed({name: "sideways"})


def test_a_switch_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="there is no switch weather"):
        Switches().changed({"weather": True})


def test_a_flag_is_no_number() -> None:
    with pytest.raises(ValueError, match="errors_in_partial"):
        Switches().changed({"errors_in_partial": 1})


def test_hour_without_day_may_show_dates(switched: Switched) -> None:
    group_by = ("tweet.id", "engagement.type", "engagement.hour")
    window = {"start": "2026-01-10T22:00:00Z", "end": "2026-01-11T23:00:00Z"}
    plain, dated = (
        switched(hour_without_day=shape).historical(NEW, user=AUTHOR, group_by=group_by, **window).json()["asked"]
        for shape in ("hour_of_day", "dated")
    )
    assert plain[NEW]["impressions"]["22"] == "42"
    assert dated[NEW]["impressions"]["2026-01-10"] == {"22": "40", "23": "0"}
    assert dated[NEW]["impressions"]["2026-01-11"]["22"] == "2"


def test_partial_answers_may_do_without_errors(switched: Switched) -> None:
    assert switched(errors_in_partial=False).totals(NEW, DELETED).json() == {
        "unavailable_tweet_ids": [DELETED],
        "by_tweet": {NEW: {"favorites": "3"}},
    }


def test_no_available_tweet_may_be_a_success(switched: Switched) -> None:
    response = switched(all_unavailable_status=200).totals(DELETED)
    assert (response.status_code, response.json()) == (
        200,
        {"errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [DELETED], "by_tweet": {}},
    )


def test_old_impressions_may_be_zero(switched: Switched) -> None:
    answer = switched(old_impressions="zero").totals(OLD, metrics=("impressions", "favorites"), user=AUTHOR).json()
    assert answer["by_tweet"] == {OLD: {"impressions": "0", "favorites": "5"}}
    assert answer["unsupported_for_impressions_engagements_tweet_ids"] == [OLD]


def test_the_90_days_may_hold_everywhere(switched: Switched) -> None:
    answer = switched(old_impressions_scope="all").historical(OLD, user=AUTHOR, **DAY_OF_OLD).json()
    assert answer["unsupported_for_impressions_engagements_tweet_ids"] == [OLD]
    assert answer["asked"] == {}


def test_the_age_limit_may_fall_on_a_midnight(switched: Switched) -> None:
    client = switched(age_boundary="day")
    created = client.simulator.world.tweets[OLD].created_at
    client.simulator.clock.set(created + timedelta(days=90, seconds=1))
    assert "errors" not in client.totals(OLD, metrics=("impressions",), user=AUTHOR).json()
    client.simulator.clock.advance(timedelta(days=1))
    assert "errors" in client.totals(OLD, metrics=("impressions",), user=AUTHOR).json()


@pytest.mark.parametrize(("values", "counts"), [("int", (42, 3)), ("mixed", ("42", 3)), ("string", ("42", "3"))])
def test_values_may_be_numbers(switched: Switched, values: str, counts: tuple[Any, Any]) -> None:
    answer = switched(values=values).totals(NEW, metrics=("impressions", "retweets", "favorites"), user=AUTHOR).json()
    counted = answer["by_tweet"][NEW]
    assert {type(counted["impressions"]), type(counted["retweets"])} == {type(value) for value in counts}
    assert (int(counted["impressions"]), int(counted["favorites"])) == (42, 3)


def test_foreign_tweets_may_be_named_without_their_author(switched: Switched) -> None:
    response = switched(forbidden_format="plain").totals(NEW, FOREIGN, user=AUTHOR)
    assert (response.status_code, response.json()) == (403, {"errors": [f"Forbidden to access tweets: {FOREIGN}"]})


def test_history_may_reach_back_to_2014(switched: Switched) -> None:
    client = switched(history_floor="2014")
    assert client.historical(OLD, user=AUTHOR, start="2014-09-01", end="2014-09-02").status_code == 200
    assert client.historical(OLD, user=AUTHOR, start="2014-08-31", end="2014-09-02").status_code == 400


def test_gzip_may_be_optional(switched: Switched) -> None:
    response = switched(require_gzip=False).totals(NEW, headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.json()) == (200, {"by_tweet": {NEW: {"favorites": "3"}}})


def test_keys_may_be_sorted(switched: Switched) -> None:
    answer = switched(key_order="sorted").totals(NEW, SECOND, DELETED).json()
    assert list(answer) == ["by_tweet", "errors", "unavailable_tweet_ids"]
    assert list(answer["by_tweet"]) == [NEW, SECOND]


@pytest.mark.parametrize("endpoint", ["28hr", "historical"])
def test_answers_may_hold_a_metric_nobody_asked_for(switched: Switched, endpoint: str) -> None:
    answer = switched(extra_metrics=True).historical(NEW, user=AUTHOR, endpoint=endpoint).json()
    assert len(answer["asked"][NEW]) == 2


def test_an_app_that_is_not_entitled_may_be_unauthenticated(switched: Switched) -> None:
    client = switched(entitlement_status=401)
    client.simulator.world.change_app("key", entitled=False)
    assert client.totals(NEW).status_code == 401


def test_a_bearer_token_may_be_of_the_wrong_type_for_series(switched: Switched) -> None:
    body = {
        "tweet_ids": [NEW],
        "engagement_types": ["favorites"],
        "groupings": {"asked": {"group_by": ["engagement.type"]}},
    }
    response = switched(app_on_series="type").post("28hr", body)
    assert (response.status_code, response.json()) == (
        401,
        {"errors": ["Your account could not be authenticated. Reason: Unknown Authorization Type"]},
    )


def test_authentication_errors_may_be_objects(switched: Switched) -> None:
    response = switched(auth_errors="objects").totals(NEW, headers={"Authorization": "Bearer wrong"})
    assert response.json()["errors"][0]["code"] == 89


def test_the_old_name_of_media_engagements_may_be_understood(switched: Switched) -> None:
    metrics = ("media_clicks",)
    assert switched().historical(NEW, user=AUTHOR, metrics=metrics).status_code == 400
    answer = switched(media_clicks_alias=True).historical(NEW, user=AUTHOR, metrics=metrics).json()
    assert answer["asked"] == {NEW: {"media_clicks": "0"}}


def test_counts_may_be_negative(switched: Switched) -> None:
    client = switched(negative_counts=True)
    client.simulator.world.counts = SeededCounts(10)
    group_by = ("engagement.type", "engagement.day", "engagement.hour")
    answer = client.historical(NEW, user=AUTHOR, metrics=("favorites",), group_by=group_by).json()
    hours = [int(count) for day in answer["asked"]["favorites"].values() for count in day.values()]
    assert min(hours) < 0
    total = client.simulator.count(
        NEW, "favorites", datetime(2025, 12, 15, 10, tzinfo=UTC), datetime(2026, 1, 12, 10, tzinfo=UTC)
    )
    assert sum(hours) == total


def test_recent_numbers_may_still_grow(switched: Switched) -> None:
    client = switched(restatement=True)
    client.simulator.world.counts = SeededCounts(10)
    client.simulator.clock.set(client.simulator.world.tweets[NEW].created_at + timedelta(hours=10))
    window = {"start": "2025-12-14T00:00:00Z", "end": "2025-12-14T10:00:00Z"}

    def count() -> int:
        return int(client.historical(NEW, user=AUTHOR, **window).json()["asked"][NEW]["impressions"])

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


def test_switches_can_be_changed_while_the_simulator_runs(client: Any) -> None:
    client.simulator.switches = Switches(values="int")
    assert client.totals(NEW).json() == {"by_tweet": {NEW: {"favorites": 3}}}
