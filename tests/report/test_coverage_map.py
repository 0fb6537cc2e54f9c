"""The map of the coverage, hour by hour, against what is computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.report.coverage_map import State, spans_by_task, spans_by_tweet
from airflow_provider_engagement.tweet_id import first_id_at

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
UTC_ZONE = ZoneInfo("UTC")
OLD = "1000000000000000000"


def window(start: datetime, end: datetime, outcome: str = "ok", *, read: int = 1, metrics: str = "a,b") -> Any:
    fetched_at = START + 10 * DAY + read * HOUR
    row = {"tweet_id": OLD, "window_start": start, "window_end": end, "metrics": metrics}
    return row | {"outcome": outcome, "fetched_at": fetched_at if read else None}


def states(rows: list[Any], days: int, zone: ZoneInfo = UTC_ZONE) -> list[tuple[State, int, str]]:
    interval = TimeRange(START, START + days * DAY)
    return [(span.state, span.days, span.reason) for span in spans_by_tweet(rows, [OLD], interval, zone, "a")]


def test_equal_days_in_a_row_are_one_span() -> None:
    found = states([window(START, START + 3 * DAY)], 5)
    assert found == [(State.COMPLETE, 3, ""), (State.NOT_READ, 2, "")]


def test_a_day_with_unread_hours_is_partial() -> None:
    found = states([window(START, START + 30 * HOUR)], 2)
    assert found == [(State.COMPLETE, 1, ""), (State.PARTIAL, 1, "18 of 24 hours not yet read")]


def test_the_newest_read_of_an_hour_counts_and_a_request_without_response_is_the_oldest() -> None:
    deleted = window(START, START + DAY, "unavailable", read=2)
    assert states([deleted, window(START, START + DAY, read=1)], 1) == [
        (State.MISSING, 1, "unavailable: The Tweet is deleted or no longer public")
    ]
    failed = window(START, START + DAY, "failed", read=0)
    assert states([window(START, START + DAY), failed], 1) == [(State.COMPLETE, 1, "")]


def test_a_tweet_without_some_metrics_is_partial_with_the_reason() -> None:
    ((state, _, reason),) = states([window(START, START + DAY, "unsupported_video")], 1)
    assert (state, reason) == (State.PARTIAL, "unsupported_video: The Tweet is more than 1,800 days old")


@pytest.mark.parametrize("outcome", Outcome)
def test_a_day_is_missing_if_the_outcome_leaves_no_counts(outcome: Outcome) -> None:
    expected = {
        Outcome.OK: State.COMPLETE,
        Outcome.UNSUPPORTED_VIDEO: State.PARTIAL,
        Outcome.UNSUPPORTED_90D: State.PARTIAL,
        Outcome.NO_DATA: State.PARTIAL,
    }.get(outcome, State.MISSING)

    assert [state for state, _, _ in states([window(START, START + DAY, outcome)], 1)] == [expected]


def test_reads_of_other_metrics_do_not_count() -> None:
    assert states([window(START, START + DAY, metrics="b,aa")], 1) == [(State.NOT_READ, 1, "")]


def test_days_before_the_creation_of_a_tweet_are_left_out() -> None:
    tweet_id = str(int(first_id_at(START + DAY + 5 * HOUR)) + 7)
    rows = [{**window(START + DAY, START + 2 * DAY), "tweet_id": tweet_id}]
    interval = TimeRange(START, START + 2 * DAY)

    (span,) = spans_by_tweet(rows, [tweet_id], interval, UTC_ZONE, "a")

    assert (span.start, span.days, span.state) == (START + DAY, 1, State.COMPLETE)


def test_the_day_on_which_daylight_saving_time_begins_has_23_hours() -> None:
    zone = ZoneInfo("Europe/Prague")
    start = datetime(2026, 3, 28, 23, tzinfo=UTC)
    interval = TimeRange(start, start + 23 * HOUR + DAY)

    spans = spans_by_tweet([window(start, start + 23 * HOUR)], [OLD], interval, zone, "a")

    assert [(span.state, span.days) for span in spans] == [(State.COMPLETE, 1), (State.NOT_READ, 1)]


def test_tasks_are_covered_by_the_hour_and_the_pull_that_ended_last_counts() -> None:
    def pull(start: datetime, end: datetime, complete: int, ended_at: float = 0.0) -> dict[str, Any]:
        return {
            "task": "t",
            "interval": [start.isoformat(), end.isoformat()],
            "requested": 3,
            "complete": complete,
            "outcomes": {"ok": complete, "unavailable": 3 - complete},
            "rate_limit": {"observed_at": ended_at},
        }

    manifests = [
        pull(START, START + DAY, 3, ended_at=2.0),
        pull(START, START + DAY, 1, ended_at=1.0),
        pull(START + DAY, START + DAY + 6 * HOUR, 3),
        pull(START + 2 * DAY, START + 3 * DAY, 0),
        {"task": "t", "interval": None},
    ]

    spans = spans_by_task(manifests, TimeRange(START, START + 4 * DAY), UTC_ZONE)

    assert [(span.state, span.days, span.reason) for span in spans] == [
        (State.COMPLETE, 1, ""),
        (State.PARTIAL, 1, "18 of 24 hours not yet read"),
        (State.MISSING, 1, "3 unavailable"),
        (State.NOT_READ, 1, ""),
    ]
