"""From the start and end that a DAG author writes to the hours that the API has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.engagement_api.time_range import TimeRange, to_api
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.intervals import (
    Adjustment,
    OnOutOfRange,
    OnUnaligned,
    interval_of_partition,
    resolve_interval,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 1, 10, 12, 34, 56, tzinfo=UTC)
THIS_HOUR = datetime(2026, 1, 10, 12, tzinfo=UTC)
CLIP = OnOutOfRange.CLIP

times = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


def test_available_whole_hours_are_used_as_they_are() -> None:
    resolved = resolve_interval("2026-01-05", "2026-01-06T06:00:00Z", now=NOW)

    assert resolved.time_range == TimeRange(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, 6, tzinfo=UTC))
    assert resolved.adjustments == ()


def test_the_error_of_an_empty_interval_names_the_timetable_to_use() -> None:
    with pytest.raises(InvalidQueryError, match="empty") as error:
        resolve_interval("2026-01-05", "2026-01-05", now=NOW, on_unaligned=OnUnaligned.EXPAND, on_out_of_range=CLIP)

    assert "CronDataIntervalTimetable" in error.value.remedy


def test_a_reversed_interval_is_an_error() -> None:
    with pytest.raises(InvalidQueryError, match="after end"):
        resolve_interval("2026-01-06", "2026-01-05", now=NOW, on_out_of_range=CLIP)


def test_unaligned_edges_are_an_error_by_default() -> None:
    with pytest.raises(InvalidQueryError, match="on_unaligned"):
        resolve_interval("2026-01-05T06:20:00Z", "2026-01-05T09:40:00Z", now=NOW)


@pytest.mark.parametrize(
    ("on_unaligned", "start", "end"), [(OnUnaligned.EXPAND, "06", "10"), (OnUnaligned.SHRINK, "07", "09")]
)
def test_unaligned_edges_are_rounded_on_request_and_reported(on_unaligned: OnUnaligned, start: str, end: str) -> None:
    resolved = resolve_interval("2026-01-05T06:20:00Z", "2026-01-05T09:40:00Z", now=NOW, on_unaligned=on_unaligned)

    used = {"start": f"2026-01-05T{start}:00:00Z", "end": f"2026-01-05T{end}:00:00Z"}
    requested = {"start": "2026-01-05T06:20:00Z", "end": "2026-01-05T09:40:00Z"}
    assert {edge: to_api(getattr(resolved.time_range, edge)) for edge in used} == used
    assert [adjustment.to_dict() for adjustment in resolved.adjustments] == [
        {
            "edge": edge,
            "requested": requested[edge],
            "used": used[edge],
            "reason": f"not a whole hour; on_unaligned is {on_unaligned}",
        }
        for edge in used
    ]


def test_an_interval_within_one_hour_shrinks_to_nothing() -> None:
    with pytest.raises(InvalidQueryError, match="no hour between"):
        resolve_interval("2026-01-05T06:20:00Z", "2026-01-05T06:40:00Z", now=NOW, on_unaligned=OnUnaligned.SHRINK)


def test_the_current_hour_is_an_error_or_clipped() -> None:
    with pytest.raises(InvalidQueryError, match=r"^end: .*2026-01-10T12:00:00"):
        resolve_interval("1d", "2026-01-10T13:00:00Z", now=NOW)

    clipped = resolve_interval("1d", "2026-01-10T13:00:00Z", now=NOW, on_out_of_range=CLIP)

    assert clipped.time_range.end == THIS_HOUR
    assert clipped.adjustments == (Adjustment("end", THIS_HOUR + HOUR, THIS_HOUR, "after the last complete hour"),)


def test_hours_older_than_a_year_are_an_error_or_clipped() -> None:
    with pytest.raises(InvalidQueryError, match=r"^start: .*2025-01-10T13:00:00"):
        resolve_interval("2025-01-10", "now", now=NOW)

    clipped = resolve_interval("2025-01-10", "now", now=NOW, on_out_of_range=CLIP)

    assert to_api(clipped.time_range.start) == "2025-01-10T13:00:00Z"
    assert [adjustment.reason for adjustment in clipped.adjustments] == ["older than the oldest hour that the API has"]


def test_at_the_start_of_an_hour_the_oldest_hour_is_still_available_when_the_request_is_sent() -> None:
    clipped = resolve_interval("2025-01-10", "now", now=THIS_HOUR, on_out_of_range=CLIP)

    assert clipped.time_range.start > THIS_HOUR - 365 * DAY


def test_the_older_documented_limit_is_september_2014() -> None:
    clipped = resolve_interval("2010-01-01", "2015-01-01", now=NOW, on_out_of_range=CLIP, max_age=None)

    assert to_api(clipped.time_range.start) == "2014-09-01T00:00:00Z"


@pytest.mark.parametrize(("start", "end"), [("2014-01-01", "2015-01-01"), ("2026-02-01", "2026-02-02")])
def test_an_interval_without_an_available_hour_is_an_error_even_if_clipped(start: str, end: str) -> None:
    with pytest.raises(InvalidQueryError, match="no hour between"):
        resolve_interval(start, end, now=NOW, on_out_of_range=CLIP)


@given(times, times, st.sampled_from([OnUnaligned.EXPAND, OnUnaligned.SHRINK]))
def test_a_clipped_interval_is_available_or_an_error(start: datetime, end: datetime, on_unaligned: OnUnaligned) -> None:
    try:
        resolved = resolve_interval(start, end, now=NOW, on_unaligned=on_unaligned, on_out_of_range=CLIP)
    except InvalidQueryError:
        first, last = max(start, NOW - 365 * DAY), min(end, NOW)
        assert last - first < 2 * HOUR
    else:
        assert resolved.time_range.start >= NOW - 365 * DAY
        assert resolved.time_range.end <= NOW
        for edge, requested in (("start", start), ("end", end)):
            used = getattr(resolved.time_range, edge)
            chain = [adjustment for adjustment in resolved.adjustments if adjustment.edge == edge]
            steps = [requested, *(adjustment.used for adjustment in chain)]
            assert steps == [*(adjustment.requested for adjustment in chain), used]


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
    interval = interval_of_partition(key)

    assert (to_api(interval.start), to_api(interval.end)) == (start, end)


def test_any_other_partition_key_is_an_error_that_names_the_formats() -> None:
    for key in ("2026-01-05T00:00:00", "2026-1-5", "2026-W03", "2026-13", "emea", ""):
        with pytest.raises(InvalidQueryError, match=r"^partition_key: ") as error:
            interval_of_partition(key)

        assert "key_format" in error.value.remedy
