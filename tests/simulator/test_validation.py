"""The validation of request bodies, and the windows of valid requests."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_engagement.engagement_api.catalogue import Endpoint
from airflow_provider_engagement.simulator import Switches
from airflow_provider_engagement.simulator.errors import RejectedRequest
from airflow_provider_engagement.simulator.validation import ParsedRequest, parse_body, parse_request

NOW = datetime(2026, 1, 12, 9, 30, 45, tzinfo=UTC)
TWEET, TYPE, DAY, HOUR = "tweet.id", "engagement.type", "engagement.day", "engagement.hour"
MISSING = object()


def parse(
    endpoint: Endpoint = Endpoint.HISTORICAL, switches: Switches | None = None, now: datetime = NOW, **body: Any
) -> ParsedRequest:
    fields = {
        "tweet_ids": ["2000000000000000001"],
        "engagement_types": ["favorites"],
        "groupings": {"counts": {"group_by": [TWEET, TYPE]}},
        **body,
    }
    content = {name: value for name, value in fields.items() if value is not MISSING}
    return parse_request(endpoint, parse_body(json.dumps(content).encode()), now=now, switches=switches or Switches())


def error(endpoint: Endpoint = Endpoint.HISTORICAL, **body: Any) -> str:
    with pytest.raises(RejectedRequest) as rejected:
        parse(endpoint, **body)
    assert rejected.value.status == 400
    return str(rejected.value.errors[0])


def grouped(*groupings: tuple[str, ...]) -> dict[str, Any]:
    return {f"grouping {number}": {"group_by": list(group_by)} for number, group_by in enumerate(groupings)}


@pytest.mark.parametrize("name", ["tweet_ids", "engagement_types", "groupings"])
def test_a_missing_field_is_reported(name: str) -> None:
    assert error(**{name: MISSING}) == f"{name}: field is required"


@pytest.mark.parametrize(
    ("endpoint", "maximum"), [(Endpoint.TOTALS, 250), (Endpoint.LAST_28_HOURS, 25), (Endpoint.HISTORICAL, 25)]
)
def test_each_endpoint_limits_the_number_of_ids(endpoint: Endpoint, maximum: int) -> None:
    ids = [str(2 * 10**18 + number) for number in range(maximum + 1)]
    assert len(parse(endpoint, tweet_ids=ids[:maximum]).tweet_ids) == maximum
    assert error(endpoint, tweet_ids=ids) == f"tweet_ids: size [{maximum + 1}] is not between 1 and {maximum}"
    assert error(endpoint, tweet_ids=[]) == f"tweet_ids: size [0] is not between 1 and {maximum}"


def test_ids_can_be_numbers() -> None:
    assert parse(tweet_ids=[2000000000000000001]).tweet_ids == ("2000000000000000001",)


def test_an_invalid_id_is_rejected() -> None:
    for value in ("", "x", "-1", "1.0", "12345678901234567890", 1.5, True, None, ["1"], -1):
        assert error(tweet_ids=[value]).startswith("tweet_ids: (")


def test_a_repeated_id_is_rejected() -> None:
    for ids in (["1", "1"], ["1", 1]):
        assert error(tweet_ids=ids) == "tweet_ids: ids must be unique"


def test_an_unknown_metric_is_rejected() -> None:
    for names in (["foo"], ["favorites", "detail_clicks"], ["media_clicks"], [3], [["favorites"]]):
        assert "not supported" in error(engagement_types=names)


def test_metrics_must_be_a_list_of_different_names() -> None:
    for names in ([], "favorites", {}, ["favorites", "favorites"]):
        assert error(engagement_types=names).startswith("engagement_types: ")


def test_up_to_three_dimensions_can_be_in_any_order() -> None:
    groupings = (itertools.permutations((TWEET, TYPE, DAY, HOUR), length) for length in (1, 2, 3))
    for group_by in itertools.chain.from_iterable(groupings):
        if TYPE in group_by:
            assert parse(groupings=grouped(group_by)).groupings["grouping 0"] == group_by
        else:
            assert error(groupings=grouped(group_by)) == f"groupings: group_by must hold {TYPE}"


def test_four_dimensions_have_two_legal_orders() -> None:
    legal = {(TWEET, TYPE, DAY, HOUR), (TYPE, TWEET, DAY, HOUR)}
    for group_by in itertools.permutations((TWEET, TYPE, DAY, HOUR)):
        if group_by in legal:
            assert parse(groupings=grouped(group_by))
        else:
            assert error(groupings=grouped(group_by)) == "groupings: unsupported group_by order"


def test_only_one_grouping_can_have_four_dimensions() -> None:
    four = (TWEET, TYPE, DAY, HOUR)
    assert parse(groupings=grouped(four, (TYPE,), (TYPE, DAY)))
    assert error(groupings=grouped(four, (TYPE, TWEET, DAY, HOUR))) == (
        "groupings: only one grouping with 4 group_by items is allowed"
    )


def test_a_request_must_have_one_to_three_groupings() -> None:
    assert error(groupings={}) == "groupings: size [0] is not between 1 and 3"
    assert error(groupings=grouped(*[(TYPE,)] * 4)) == "groupings: size [4] is not between 1 and 3"


def test_a_grouping_must_not_have_the_name_of_metadata() -> None:
    for name in ("start", "end", "errors", "unavailable_tweet_ids", "unsupported_for_anything"):
        assert error(groupings={name: {"group_by": [TYPE]}}) == f"groupings: ({name}) is a reserved name"


def test_a_grouping_must_be_a_list_of_dimensions() -> None:
    for grouping in (None, [], {}, {"group_by": TYPE}, {"group_by": [1]}, {"group_by": []}):
        assert error(groupings={"counts": grouping}).startswith("groupings: group_by must ")


def test_a_repeated_dimension_is_rejected() -> None:
    assert error(groupings=grouped((TYPE, TYPE))) == "groupings: group_by must hold 1 to 4 different items"


@pytest.mark.parametrize(("endpoint", "dimension"), [(Endpoint.TOTALS, DAY), (Endpoint.HISTORICAL, "Tweet.id")])
def test_an_unsupported_dimension_is_rejected(endpoint: Endpoint, dimension: str) -> None:
    assert error(endpoint, groupings=grouped((TYPE, dimension))) == (
        f"One or more of the groupBys you have specified are not supported: ({dimension}). "
        "Please adjust your request and try again."
    )


def utc(text: str) -> datetime:
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
def test_a_window_is_widened_to_whole_hours(start: str, end: str, first: str, last: str) -> None:
    window = parse(start=start, end=end).window
    assert window is not None
    assert (window.start, window.end) == (window.reported_start, window.reported_end) == (utc(first), utc(last))


@pytest.mark.parametrize(
    ("start", "end", "message"),
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
        (MISSING, "2026-01-10", "start: field is required when end is given"),
    ],
)
def test_an_unsupported_window_is_rejected(start: Any, end: Any, message: str) -> None:
    assert error(start=start, end=end) == message


def test_a_start_alone_means_until_now() -> None:
    window = parse(start="2026-01-05T12:24:00Z").window
    assert window is not None
    assert (window.start, window.reported_start) == (utc("2026-01-05T12:00"), utc("2026-01-05T12:00"))
    assert (window.end, window.reported_end) == (utc("2026-01-12T10:00"), utc("2026-01-12T09:30"))
    assert error(start="2025-12-01", end=MISSING) == "start/end: period exceeds 28 days"
    assert error(start="2026-01-12T09:30:00Z", end=MISSING) == "start: must be before end"


def test_a_start_alone_can_be_rejected() -> None:
    rejecting = Switches(start_alone="rejected")
    with pytest.raises(RejectedRequest, match="end: field is required when start is given"):
        parse(start="2026-01-10", switches=rejecting)


def test_the_length_of_a_window_can_be_measured_before_it_is_rounded() -> None:
    window = parse(
        start="2025-12-15T09:01:00Z", end="2026-01-12T09:01:00Z", switches=Switches(length_limit="requested")
    ).window
    assert window is not None
    assert window.end - window.start == timedelta(hours=673)


@pytest.mark.parametrize(
    ("running_hour", "now", "reported_end", "end"),
    [
        ("unaligned", "2026-01-12T09:30:45", "2026-01-12T09:30:45", "2026-01-12T10:00"),
        ("without_counts", "2026-01-12T09:30:45", "2026-01-12T09:30:45", "2026-01-12T09:00"),
        ("without_counts", "2026-01-12T09:00:00", "2026-01-12T09:00:00", "2026-01-12T09:00"),
    ],
)
def test_the_window_of_28hr_can_end_now_with_or_without_the_running_hour(
    running_hour: Any, now: str, reported_end: str, end: str
) -> None:
    window = parse(Endpoint.LAST_28_HOURS, now=utc(now), switches=Switches(running_hour=running_hour)).window
    assert window is not None
    assert (window.start, window.end, window.reported_end) == (utc("2026-01-11T05:00"), utc(end), utc(reported_end))


def test_every_invalid_field_has_an_error() -> None:
    with pytest.raises(RejectedRequest) as rejected:
        parse(
            tweet_ids=["x"],
            engagement_types=["foo"],
            groupings={"start": {"group_by": [TYPE]}, "counts": {"group_by": [TYPE, "weather"]}},
            start="yesterday",
            end="today",
        )
    assert rejected.value.status == 400
    assert [str(message).partition(":")[0] for message in rejected.value.errors] == [
        "tweet_ids",
        "engagement_types",
        "groupings",
        "One or more of the groupBys you have specified are not supported",
        "start",
        "end",
    ]


def test_an_unsupported_grouping_alone_can_have_status_403() -> None:
    with pytest.raises(RejectedRequest) as alone:
        parse(groupings=grouped((TYPE, "weather")), switches=Switches(unsupported_grouping_status=403))
    with pytest.raises(RejectedRequest) as together:
        parse(tweet_ids=[], groupings=grouped((TYPE, "weather")), switches=Switches(unsupported_grouping_status=403))
    assert (alone.value.status, together.value.status) == (403, 400)


def test_history_reaches_back_365_days() -> None:
    assert parse(start="2025-01-12T10:00:00Z", end="2025-01-13").window is not None


def test_the_default_window_of_historical_is_the_last_four_weeks() -> None:
    window = parse().window
    assert window is not None
    assert (window.start, window.reported_start) == (utc("2025-12-15T10:00"), utc("2025-12-15T10:00"))
    assert (window.end, window.reported_end) == (utc("2026-01-12T10:00"), utc("2026-01-12T09:30"))


@pytest.mark.parametrize(
    ("now", "start", "end", "hours"),
    [
        ("2026-01-12T09:30:45", "2026-01-11T05:00", "2026-01-12T10:00", 29),
        ("2026-01-12T09:00:00", "2026-01-11T05:00", "2026-01-12T09:00", 28),
    ],
)
def test_the_window_of_28hr_is_the_last_28_hours_widened_to_whole_hours(
    now: str, start: str, end: str, hours: int
) -> None:
    window = parse(Endpoint.LAST_28_HOURS, now=utc(now), start="2020-01-01", end="ignored").window
    assert window is not None
    assert (window.start, window.end) == (utc(start), utc(end))
    assert window.end - window.start == timedelta(hours=hours)


def test_totals_have_no_window() -> None:
    assert parse(Endpoint.TOTALS, start="2020-01-01", end="ignored").window is None


def test_unknown_fields_are_ignored() -> None:
    assert parse(color="green").tweet_ids == parse().tweet_ids
