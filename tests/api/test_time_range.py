"""Spans of time, and instants as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.api.time_range import (
    Adjustment,
    TimeRange,
    ceil_to_hour,
    floor_to_hour,
    interval_of_partition,
    range_after_post,
    resolve_interval,
    to_api,
    whole_days_within,
)
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.times import parse_time

NOW = datetime(2026, 1, 10, 12, 34, 56, tzinfo=UTC)
THIS_HOUR = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

hours = st.integers(-5000, 5000).map(lambda count: THIS_HOUR + count * HOUR)
windows = st.tuples(hours, hours).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: TimeRange(*sorted(pair)))


def hours_of(window: TimeRange | None) -> set[datetime]:
    return set() if window is None else {window.start + index * HOUR for index in range(window.hours)}


# Windows


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (THIS_HOUR, THIS_HOUR, "not before"),
        (THIS_HOUR, THIS_HOUR - HOUR, "not before"),
        (THIS_HOUR.replace(tzinfo=None), THIS_HOUR, "time zone"),
        (THIS_HOUR, NOW, "whole hour"),
    ],
)
def test_a_window_that_the_api_would_widen_or_refuse_cannot_be_made(
    start: datetime, end: datetime, complaint: str
) -> None:
    with pytest.raises(InvalidQueryError, match=complaint):
        TimeRange(start, end)


def test_a_window_is_in_utc_whatever_zone_it_is_given_in() -> None:
    prague = ZoneInfo("Europe/Prague")

    window = TimeRange(datetime(2026, 3, 29, tzinfo=prague), datetime(2026, 3, 30, tzinfo=prague))

    assert to_api(window.start) == "2026-03-28T23:00:00Z"
    assert window.hours == 23


def test_a_zone_off_the_hour_cannot_begin_at_its_midnight() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))

    with pytest.raises(InvalidQueryError, match="whole hour"):
        TimeRange(datetime(2026, 1, 5, tzinfo=kolkata), datetime(2026, 1, 6, tzinfo=kolkata))


@given(windows, windows)
def test_intersection_and_difference_part_a_window_in_two(one: TimeRange, other: TimeRange) -> None:
    inside = one.intersection(other)
    outside = one.difference(other)

    assert hours_of(inside) == hours_of(one) & hours_of(other)
    assert set().union(*map(hours_of, outside)) == hours_of(one) - hours_of(other)
    assert sum(window.hours for window in outside) + (inside.hours if inside else 0) == one.hours


@given(windows)
def test_whole_days_are_the_utc_days_inside(window: TimeRange) -> None:
    midnights = [hour for hour in sorted(hours_of(window)) if hour.hour == 0]
    days = [midnight for midnight in midnights if midnight + DAY <= window.end]

    assert whole_days_within(window.start, window.end) == (TimeRange(days[0], days[-1] + DAY) if days else None)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2010, 1, 1), max_value=datetime(2100, 1, 1)))
def test_rounding_to_the_hour_encloses_an_instant(moment: datetime) -> None:
    below, above = floor_to_hour(moment), ceil_to_hour(moment)

    assert below <= moment <= above
    assert above - below == (timedelta(0) if (moment.minute, moment.second, moment.microsecond) == (0, 0, 0) else HOUR)


# Instants as people write them


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-05", "2026-01-05T00:00:00Z"),
        (date(2026, 1, 5), "2026-01-05T00:00:00Z"),
        (pendulum.date(2026, 1, 5), "2026-01-05T00:00:00Z"),
        ("2026-01-05T06:00:00Z", "2026-01-05T06:00:00Z"),
        ("2026-01-05 06:00:00+00:00", "2026-01-05T06:00:00Z"),
        (" 2026-01-05T06:00+02:00 ", "2026-01-05T04:00:00Z"),
        (pendulum.datetime(2026, 7, 5, 6, tz="America/New_York"), "2026-07-05T10:00:00Z"),
        (datetime(2026, 1, 5, 6, tzinfo=UTC), "2026-01-05T06:00:00Z"),
        ("now", "2026-01-10T12:00:00Z"),
        ("36h", "2026-01-09T00:00:00Z"),
        ("7d", "2026-01-03T12:00:00Z"),
        ("2w", "2025-12-27T12:00:00Z"),
    ],
)
def test_an_instant_can_be_written_in_many_ways(value: object, expected: str) -> None:
    moment = parse_time(value, field="start", now=NOW)

    assert to_api(moment) == expected
    assert moment.tzinfo is UTC
    assert type(moment) is datetime


def test_a_relative_instant_follows_the_zone_of_now_to_the_utc_hour() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))

    assert parse_time("1h", field="start", now=NOW.astimezone(kolkata)) == THIS_HOUR - HOUR


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2010, 1, 1), max_value=datetime(2100, 1, 1)))
def test_an_aware_instant_stays_the_same_instant(moment: datetime) -> None:
    expected = moment.timestamp()

    assert parse_time(moment, field="start", now=NOW).timestamp() == expected
    assert parse_time(moment.astimezone(UTC).isoformat(), field="start", now=NOW).timestamp() == expected


@pytest.mark.parametrize("value", ["2026-01-05T06:00:00", "2026-01-05 06:00", datetime(2026, 1, 5, 6)])
def test_a_time_without_a_zone_is_refused(value: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^end: .* has no time zone"):
        parse_time(value, field="end", now=NOW)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "None",
        "yesterday",
        "7",
        "7m",
        "-7d",
        "999999w",
        "\N{ARABIC-INDIC DIGIT SEVEN}d",
        "2026-13-01",
        None,
        1767571200,
        True,
    ],
)
def test_what_is_no_time_is_refused_by_the_name_of_its_parameter(value: object) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        parse_time(value, field="end", now=NOW)

    assert refused.value.field == "end"
    assert "is no time" in refused.value.problem
    assert "36h" in refused.value.remedy


def test_the_calendars_first_day_east_of_greenwich_is_refused_and_not_a_crash() -> None:
    with pytest.raises(InvalidQueryError, match="calendar"):
        parse_time("0001-01-01T00:00:00+05:00", field="start", now=NOW)


# From a start and an end to a window


def test_whole_hours_in_reach_are_taken_as_they_are() -> None:
    resolved = resolve_interval("2026-01-05", "2026-01-06T06:00:00Z", now=NOW)

    assert resolved.window == TimeRange(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, 6, tzinfo=UTC))
    assert resolved.adjustments == ()


def test_an_empty_range_names_the_fix_for_airflow() -> None:
    with pytest.raises(InvalidQueryError, match="empty") as refused:
        resolve_interval("2026-01-05", "2026-01-05", now=NOW, on_unaligned="outward", on_out_of_range="clip")

    assert "CronDataIntervalTimetable" in refused.value.remedy


def test_a_reversed_range_is_refused() -> None:
    with pytest.raises(InvalidQueryError, match="after end"):
        resolve_interval("2026-01-06", "2026-01-05", now=NOW, on_out_of_range="clip")


def test_edges_off_the_hour_are_refused_unless_rounding_is_asked_for() -> None:
    with pytest.raises(InvalidQueryError, match="on_unaligned"):
        resolve_interval("2026-01-05T06:20:00Z", "2026-01-05T09:40:00Z", now=NOW)


@pytest.mark.parametrize(("on_unaligned", "expected"), [("outward", (6, 10)), ("inward", (7, 9))])
def test_edges_are_rounded_as_asked_and_that_is_told(on_unaligned: str, expected: tuple[int, int]) -> None:
    start, end = (datetime(2026, 1, 5, hour, minute, tzinfo=UTC) for hour, minute in ((6, 20), (9, 40)))

    resolved = resolve_interval(start, end, now=NOW, on_unaligned=on_unaligned)  # type: ignore[arg-type]

    assert (resolved.window.start.hour, resolved.window.end.hour) == expected
    assert [change.to_dict() for change in resolved.adjustments] == [
        {
            "edge": "start",
            "asked": "2026-01-05T06:20:00Z",
            "used": f"2026-01-05T{expected[0]:02}:00:00Z",
            "reason": f"off the hour, rounded {on_unaligned}",
        },
        {
            "edge": "end",
            "asked": "2026-01-05T09:40:00Z",
            "used": f"2026-01-05T{expected[1]:02}:00:00Z",
            "reason": f"off the hour, rounded {on_unaligned}",
        },
    ]


def test_a_range_within_one_hour_has_no_hour_inside() -> None:
    with pytest.raises(InvalidQueryError, match="nothing"):
        resolve_interval("2026-01-05T06:20:00Z", "2026-01-05T06:40:00Z", now=NOW, on_unaligned="inward")


def test_the_running_hour_is_refused_or_clipped() -> None:
    with pytest.raises(InvalidQueryError, match=r"^end: .*2026-01-10T12:00:00"):
        resolve_interval("1d", "2026-01-10T13:00:00Z", now=NOW)

    clipped = resolve_interval("1d", "2026-01-10T13:00:00Z", now=NOW, on_out_of_range="clip")

    assert clipped.window.end == THIS_HOUR
    assert clipped.adjustments == (Adjustment("end", THIS_HOUR + HOUR, THIS_HOUR, "not over yet"),)


def test_what_is_longer_ago_than_a_year_is_refused_or_clipped() -> None:
    with pytest.raises(InvalidQueryError, match=r"^start: .*2025-01-10T13:00:00"):
        resolve_interval("2025-01-10", "now", now=NOW)

    clipped = resolve_interval("2025-01-10", "now", now=NOW, on_out_of_range="clip")

    assert to_api(clipped.window.start) == "2025-01-10T13:00:00Z"
    assert [change.reason for change in clipped.adjustments] == ["longer ago than the API reaches"]


def test_on_the_stroke_of_the_hour_the_oldest_edge_is_still_in_reach_when_the_request_is_sent() -> None:
    clipped = resolve_interval("2025-01-10", "now", now=THIS_HOUR, on_out_of_range="clip")

    assert clipped.window.start > THIS_HOUR - 365 * DAY


def test_the_older_promise_reaches_back_to_september_2014() -> None:
    clipped = resolve_interval("2010-01-01", "2015-01-01", now=NOW, on_out_of_range="clip", reach=None)

    assert to_api(clipped.window.start) == "2014-09-01T00:00:00Z"


@pytest.mark.parametrize(("start", "end"), [("2014-01-01", "2015-01-01"), ("2026-02-01", "2026-02-02")])
def test_a_range_out_of_reach_as_a_whole_is_refused_even_when_clipped(start: str, end: str) -> None:
    with pytest.raises(InvalidQueryError, match="nothing"):
        resolve_interval(start, end, now=NOW, on_out_of_range="clip")


@pytest.mark.parametrize(("option", "value"), [("on_unaligned", "up"), ("on_out_of_range", "ignore")])
def test_unknown_options_are_refused(option: str, value: str) -> None:
    with pytest.raises(InvalidQueryError, match=f"^{option}: '{value}'"):
        resolve_interval("2026-01-05", "2026-01-06", now=NOW, **{option: value})  # type: ignore[arg-type]


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["outward", "inward"]),
)
def test_whatever_is_asked_the_window_is_in_reach_or_there_is_none(
    start: datetime, end: datetime, on_unaligned: str
) -> None:
    try:
        resolved = resolve_interval(start, end, now=NOW, on_unaligned=on_unaligned, on_out_of_range="clip")  # type: ignore[arg-type]
    except InvalidQueryError:
        first, last = max(start, NOW - 365 * DAY), min(end, NOW)
        assert last - first < 2 * HOUR
    else:
        assert resolved.window.start >= NOW - 365 * DAY
        assert resolved.window.end <= NOW
        for edge, asked in (("start", start), ("end", end)):
            used = getattr(resolved.window, edge)
            chain = [change for change in resolved.adjustments if change.edge == edge]
            assert [asked, *(change.used for change in chain)] == [*(change.asked for change in chain), used]


# The first days after each Tweet


def test_the_first_week_begins_with_the_hour_of_creation() -> None:
    week = range_after_post("2000000000000000001", days=7)

    assert (to_api(week.start), to_api(week.end)) == ("2025-12-14T00:00:00Z", "2025-12-21T00:00:00Z")


def test_repetitions_follow_one_another() -> None:
    weeks = [range_after_post("850006245121695744", days=7, repetition=number) for number in (1, 2, 3)]

    assert [week.end for week in weeks[:2]] == [week.start for week in weeks[1:]]
    assert to_api(weeks[2].start) == "2017-04-20T15:00:00Z"


def test_an_id_from_before_snowflake_has_no_first_week() -> None:
    with pytest.raises(InvalidQueryError, match=r"^tweet_ids: 20 "):
        range_after_post("20", days=7)


@pytest.mark.parametrize(("days", "repetition", "field"), [(0, 1, "days"), (7, 0, "repetition")])
def test_there_is_no_zeroth_repetition_and_no_empty_one(days: int, repetition: int, field: str) -> None:
    with pytest.raises(InvalidQueryError, match=f"^{field}: "):
        range_after_post("2000000000000000001", days=days, repetition=repetition)


# Partitions


@pytest.mark.parametrize(
    ("key", "start", "end"),
    [
        ("2026-01-05", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01-05T23", "2026-01-05T23:00:00Z", "2026-01-06T00:00:00Z"),
        ("2026-01", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("2025-12", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_partition_key_names_its_hour_day_or_month(key: str, start: str, end: str) -> None:
    window = interval_of_partition(key)

    assert (to_api(window.start), to_api(window.end)) == (start, end)


@pytest.mark.parametrize("key", ["2026-01-05T00:00:00", "2026-1-5", "2026-W03", "2026-13", "emea", ""])
def test_any_other_partition_key_is_refused_with_the_formats_that_work(key: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"^partition_key: ") as refused:
        interval_of_partition(key)

    assert "key_format" in refused.value.remedy
