"""What a body may hold, and what each kind of window becomes."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.api.catalogue import Endpoint
from airflow_provider_engagement.simulator import Switches
from airflow_provider_engagement.simulator.refusal import Refusal
from airflow_provider_engagement.simulator.validation import Asked, read_body, validated

NOW = datetime(2026, 1, 12, 9, 30, 45, tzinfo=UTC)
TWEET, TYPE, DAY, HOUR = "tweet.id", "engagement.type", "engagement.day", "engagement.hour"
MISSING = object()


def ask(
    endpoint: Endpoint = Endpoint.HISTORICAL, switches: Switches | None = None, now: datetime = NOW, **body: Any
) -> Asked:
    whole = {
        "tweet_ids": ["2000000000000000001"],
        "engagement_types": ["favorites"],
        "groupings": {"asked": {"group_by": [TWEET, TYPE]}},
        **body,
    }
    given = {name: value for name, value in whole.items() if value is not MISSING}
    return validated(endpoint, read_body(json.dumps(given).encode()), now=now, switches=switches or Switches())


def message(endpoint: Endpoint = Endpoint.HISTORICAL, **body: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        ask(endpoint, **body)
    assert refusal.value.status == 400
    return str(refusal.value.errors[0])


def grouped(*groupings: tuple[str, ...]) -> dict[str, Any]:
    return {f"grouping {number}": {"group_by": list(group_by)} for number, group_by in enumerate(groupings)}


@pytest.mark.parametrize("name", ["tweet_ids", "engagement_types", "groupings"])
def test_three_fields_are_required(name: str) -> None:
    assert message(**{name: MISSING}) == f"{name}: field is required"


@pytest.mark.parametrize(
    ("endpoint", "most"), [(Endpoint.TOTALS, 250), (Endpoint.LAST_28_HOURS, 25), (Endpoint.HISTORICAL, 25)]
)
def test_each_endpoint_limits_the_ids_of_a_request(endpoint: Endpoint, most: int) -> None:
    ids = [str(2 * 10**18 + number) for number in range(most + 1)]
    assert len(ask(endpoint, tweet_ids=ids[:most]).tweet_ids) == most
    assert message(endpoint, tweet_ids=ids) == f"tweet_ids: size [{most + 1}] is not between 1 and {most}"
    assert message(endpoint, tweet_ids=[]) == f"tweet_ids: size [0] is not between 1 and {most}"


def test_ids_may_be_numbers() -> None:
    assert ask(tweet_ids=[2000000000000000001]).tweet_ids == ("2000000000000000001",)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.0", "12345678901234567890", 1.5, True, None, ["1"], -1])
def test_what_is_no_id_is_refused(value: Any) -> None:
    assert message(tweet_ids=[value]).startswith("tweet_ids: ")


@pytest.mark.parametrize("ids", [["1", "1"], ["1", 1]])
def test_an_id_is_named_once(ids: list[Any]) -> None:
    assert message(tweet_ids=ids) == "tweet_ids: ids must be unique"


@pytest.mark.parametrize("names", [["foo"], ["favorites", "detail_clicks"], ["media_clicks"], [3], [["favorites"]]])
def test_an_unknown_metric_is_refused(names: list[Any]) -> None:
    assert "not supported" in message(engagement_types=names)


@pytest.mark.parametrize("names", [[], "favorites", {}, ["favorites", "favorites"]])
def test_metrics_are_a_list_of_different_names(names: Any) -> None:
    assert message(engagement_types=names).startswith("engagement_types: ")


@pytest.mark.parametrize("length", [1, 2, 3])
def test_up_to_three_items_may_stand_in_any_order(length: int) -> None:
    for group_by in itertools.permutations((TWEET, TYPE, DAY, HOUR), length):
        if TYPE in group_by:
            assert ask(groupings=grouped(group_by)).groupings["grouping 0"] == group_by
        else:
            assert message(groupings=grouped(group_by)) == f"groupings: group_by must hold {TYPE}"


def test_four_items_have_two_legal_orders() -> None:
    legal = {(TWEET, TYPE, DAY, HOUR), (TYPE, TWEET, DAY, HOUR)}
    for group_by in itertools.permutations((TWEET, TYPE, DAY, HOUR)):
        if group_by in legal:
            assert ask(groupings=grouped(group_by))
        else:
            assert message(groupings=grouped(group_by)) == "groupings: unsupported group_by order"


def test_only_one_grouping_has_four_items() -> None:
    four = (TWEET, TYPE, DAY, HOUR)
    assert ask(groupings=grouped(four, (TYPE,), (TYPE, DAY)))
    assert message(groupings=grouped(four, (TYPE, TWEET, DAY, HOUR))) == (
        "groupings: only one grouping with 4 group_by items is allowed"
    )


def test_a_request_has_one_to_three_groupings() -> None:
    assert message(groupings={}) == "groupings: size [0] is not between 1 and 3"
    assert message(groupings=grouped(*[(TYPE,)] * 4)) == "groupings: size [4] is not between 1 and 3"


@pytest.mark.parametrize("name", ["start", "end", "errors", "unavailable_tweet_ids", "unsupported_for_anything"])
def test_a_grouping_must_not_take_the_name_of_metadata(name: str) -> None:
    assert message(groupings={name: {"group_by": [TYPE]}}) == f"groupings: ({name}) is a reserved name"


@pytest.mark.parametrize("grouping", [None, [], {}, {"group_by": TYPE}, {"group_by": [1]}, {"group_by": []}])
def test_a_grouping_is_a_list_of_dimensions(grouping: Any) -> None:
    assert message(groupings={"asked": grouping}).startswith("groupings: ")


def test_a_dimension_is_named_once() -> None:
    assert message(groupings=grouped((TYPE, TYPE))) == "groupings: group_by must hold 1 to 4 different items"


@pytest.mark.parametrize(("endpoint", "dimension"), [(Endpoint.TOTALS, DAY), (Endpoint.HISTORICAL, "Tweet.id")])
def test_a_dimension_the_endpoint_does_not_have_is_named(endpoint: Endpoint, dimension: str) -> None:
    assert message(endpoint, groupings=grouped((TYPE, dimension))) == (
        f"One or more of the groupBys you have specified are not supported: ({dimension}). "
        "Please adjust your request and try again."
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-01-10", "2026-01-11", "2026-01-10T00:00", "2026-01-11T00:00"),
        ("2026-01-10T12:24:00Z", "2026-01-11T08:37:00Z", "2026-01-10T12:00", "2026-01-11T09:00"),
        ("2026-01-10T12:00:00Z", "2026-01-10T12:00:01Z", "2026-01-10T12:00", "2026-01-10T13:00"),
        ("2025-12-15T09:00:00Z", "2026-01-12T09:00:00Z", "2025-12-15T09:00", "2026-01-12T09:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12T09:30:00Z", "2026-01-12T09:00", "2026-01-12T10:00"),
    ],
)
def test_a_window_widens_to_whole_hours(start: str, end: str, first: str, last: str) -> None:
    window = ask(start=start, end=end).window
    assert window is not None
    assert (window.start, window.end) == (window.shown_start, window.shown_end) == (at(first), at(last))


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("2026-01-10", "2026-01-10", "start: must be before end"),
        ("2026-01-11", "2026-01-10", "start: must be before end"),
        ("2026-01-10", "2026-01-12T09:31:00Z", "end: must not be in the future"),
        ("2025-12-15T08:59:00Z", "2026-01-12T09:00:00Z", "start/end: period exceeds 28 days"),
        ("2025-12-15T09:01:00Z", "2026-01-12T09:01:00Z", "start/end: period exceeds 28 days"),
        ("2025-01-12T09:00:00Z", "2025-01-13", "start: must not be before 2025-01-12T09:30:45Z"),
        ("2026-01-10T12:00:00", "2026-01-11", "start: (2026-01-10T12:00:00) is not a valid date"),
        ("2026-01-10T12:00:00+00:00", "2026-01-11", "start: (2026-01-10T12:00:00+00:00) is not a valid date"),
        ("2026-02-30", "2026-01-11", "start: (2026-02-30) is not a valid date"),
        ("20260110", "2026-01-11", "start: (20260110) is not a valid date"),
        (1768003200, "2026-01-11", "start: (1768003200) is not a valid date"),
        ("2026-01-10", MISSING, "end: field is required when start is given"),
        (MISSING, "2026-01-10", "start: field is required when end is given"),
    ],
)
def test_a_window_the_api_does_not_serve_is_refused(start: Any, end: Any, told: str) -> None:
    assert message(start=start, end=end) == told


def test_history_reaches_back_365_days() -> None:
    assert ask(start="2025-01-12T10:00:00Z", end="2025-01-13").window is not None


def test_without_a_window_historical_takes_the_last_four_weeks() -> None:
    window = ask().window
    assert window is not None
    assert (window.start, window.shown_start) == (at("2025-12-15T10:00"), at("2025-12-15T10:00"))
    assert (window.end, window.shown_end) == (at("2026-01-12T10:00"), at("2026-01-12T09:30"))


@pytest.mark.parametrize(
    ("now", "start", "end", "hours"),
    [
        ("2026-01-12T09:30:45", "2026-01-11T05:00", "2026-01-12T10:00", 29),
        ("2026-01-12T09:00:00", "2026-01-11T05:00", "2026-01-12T09:00", 28),
    ],
)
def test_28hr_takes_the_clock_hours_that_28_hours_touch(now: str, start: str, end: str, hours: int) -> None:
    window = ask(Endpoint.LAST_28_HOURS, now=at(now), start="2020-01-01", end="ignored").window
    assert window is not None
    assert (window.start, window.end) == (at(start), at(end))
    assert window.end - window.start == timedelta(hours=hours)


def test_totals_have_no_window() -> None:
    assert ask(Endpoint.TOTALS, start="2020-01-01", end="ignored").window is None


def test_fields_nobody_knows_are_ignored() -> None:
    assert ask(color="green").tweet_ids == ask().tweet_ids
