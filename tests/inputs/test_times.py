"""Times, durations and time zones, as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.times import is_relative, parse_duration, parse_time, parse_time_zone

NOW = datetime(2026, 1, 10, 12, 34, 56, tzinfo=UTC)


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
def test_a_time_has_many_forms(value: object, expected: str) -> None:
    parsed = parse_time(value, field="start", now=NOW)

    assert to_api(parsed) == expected
    assert parsed.tzinfo is UTC
    assert type(parsed) is datetime


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Berlin", "2026-01-04T23:00:00Z"),
        ("America/St_Johns", "2026-01-05T03:30:00Z"),
        ("UTC", "2026-01-05T00:00:00Z"),
    ],
)
def test_a_date_is_midnight_in_a_time_zone(zone: str, expected: str) -> None:
    for value in ("2026-01-05", date(2026, 1, 5), pendulum.date(2026, 1, 5)):
        assert to_api(parse_time(value, field="start", now=NOW, zone=ZoneInfo(zone))) == expected
    assert to_api(parse_time("7d", field="start", now=NOW, zone=ZoneInfo(zone))) == "2026-01-03T12:00:00Z"


def test_only_now_and_durations_are_relative() -> None:
    assert all(map(is_relative, ["now", " 7d ", "36h", "2 w"]))
    assert not any(map(is_relative, ["2026-01-05", "7", "", None, date(2026, 1, 5), "nowhere"]))


def test_a_relative_time_counts_from_the_utc_hour_whatever_zone_now_has() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))

    assert to_api(parse_time("1h", field="start", now=NOW.astimezone(kolkata))) == "2026-01-10T11:00:00Z"


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2010, 1, 1), max_value=datetime(2100, 1, 1)))
def test_an_aware_time_stays_the_same_instant(time: datetime) -> None:
    expected = time.timestamp()

    assert parse_time(time, field="start", now=NOW).timestamp() == expected
    assert parse_time(time.astimezone(UTC).isoformat(), field="start", now=NOW).timestamp() == expected


@pytest.mark.parametrize("value", ["2026-01-05T06:00:00", "2026-01-05 06:00", datetime(2026, 1, 5, 6)])
def test_a_time_without_a_time_zone_is_an_error(value: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^end: .* has no time zone"):
        parse_time(value, field="end", now=NOW)


def test_any_other_value_is_an_error_that_lists_the_forms() -> None:
    arabic_seven = "\N{ARABIC-INDIC DIGIT SEVEN}d"
    for value in ("", "None", "yesterday", "7", "7m", "-7d", "999999w", arabic_seven, "2026-13-01", None, 1767571200):
        with pytest.raises(InvalidQueryError, match="is not a time") as error:
            parse_time(value, field="end", now=NOW)

        assert error.value.field == "end"
        assert "36h" in error.value.remedy


def test_a_time_before_the_first_day_of_the_calendar_is_an_error() -> None:
    with pytest.raises(InvalidQueryError, match="calendar"):
        parse_time("0001-01-01T00:00:00+05:00", field="start", now=NOW)


@pytest.mark.parametrize(
    ("value", "duration"),
    [
        (timedelta(hours=36), timedelta(hours=36)),
        ("90s", timedelta(seconds=90)),
        ("15min", timedelta(minutes=15)),
        (" 1.5 h ", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        (str(timedelta(days=3, hours=1)), timedelta(days=3, hours=1)),
        (str(timedelta(days=1)), timedelta(days=1)),
        (str(timedelta(seconds=30.5)), timedelta(seconds=30.5)),
    ],
)
def test_a_duration_has_a_unit(value: object, duration: timedelta) -> None:
    assert parse_duration(value, field="wait") == duration


def test_only_some_durations_can_be_unlimited_and_only_some_can_be_zero() -> None:
    assert parse_duration(" Unlimited", field="max_age", can_be_unlimited=True) is None
    assert parse_duration("0h", field="lookback") == timedelta(0)
    with pytest.raises(InvalidQueryError, match=r"^wait: 'unlimited' is not a duration\. Pass a timedelta, or a text "):
        parse_duration("unlimited", field="wait")
    with pytest.raises(InvalidQueryError, match=r"^max_age: 0:00:00 is not above zero"):
        parse_duration("0h", field="max_age", above_zero=True)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (72, "72 has no unit"),
        ("72", "'72' has no unit"),
        ("-1", "'-1' has no unit"),
        (timedelta(hours=-1), "-1 day, 23:00:00 is not zero or more"),
        ("a day", "'a day' is not a duration"),
        ("1 month", "'1 month' is not a duration"),
        ("٣h", "'٣h' is not a duration"),
        (None, "None is not a duration"),
        ("9999999999d", "'9999999999d' is not a duration"),
        ("999999999w", "'999999999w' is too long"),
    ],
)
def test_a_value_that_is_no_duration_is_an_error(value: object, problem: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        parse_duration(value, field="wait")
    assert str(caught.value) == f"wait: {problem}. Pass a timedelta, or a text such as 90s, 36h, 7d or 2w."


def test_a_time_zone_has_an_iana_name() -> None:
    assert parse_time_zone("Europe/Prague").key == parse_time_zone(" Europe/Prague\n").key == "Europe/Prague"


@pytest.mark.parametrize("value", ["Mars/Olympus", "", "../etc", None])
def test_an_unknown_time_zone_is_an_error(value: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^time_zone: "):
        parse_time_zone(value)
