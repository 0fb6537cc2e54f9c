"""The progress of a pull, and when it is reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_engagement.pull.progress import Progress, ProgressRecord, ProgressSteps


def progress(done: int, planned: int = 1000, **changes: int) -> Progress:
    return Progress(**{"planned": planned, "succeeded": done, "reused": 0, "failed": 0, **changes})


def test_progress_says_what_is_done_what_is_left_and_how_long_that_takes() -> None:
    assert str(progress(240, reused=10, requests_per_minute=60)) == (
        "25% done: 250 of 1,000 requests (240 succeeded, 10 reused, 0 failed). 750 left, about 13 min at 60 a minute."
    )


def test_without_a_known_quota_there_is_no_time() -> None:
    assert progress(250).minutes_left is None
    assert str(progress(250)).endswith("750 left.")


def test_an_empty_plan_is_done() -> None:
    assert progress(0, planned=0).share == 1.0


def reported(steps: list[tuple[float, int]]) -> list[int]:
    """Return the numbers of requests at which progress is reported, given times and numbers."""
    now = 0.0
    found: list[int] = []
    reporter = ProgressSteps(lambda progress: found.append(progress.done), lambda: now)
    for now, done in steps:  # noqa: B007
        reporter.update(progress(done))
    return found


def test_progress_is_reported_after_a_step_that_took_long_enough() -> None:
    assert reported([(9, 100), (10, 110), (15, 300), (20, 301)]) == [110, 301]


def test_a_slow_pull_reports_its_progress_once_a_minute() -> None:
    assert reported([(30, 1), (59, 2), (60, 3), (100, 4), (121, 5)]) == [3, 5]


RECORD = ProgressRecord(
    progress=progress(240, reused=10, requests_per_minute=60),
    recorded_at=datetime(2026, 1, 12, 9, 30, tzinfo=UTC),
    waits_until=datetime(2026, 1, 12, 9, 31, tzinfo=UTC),
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert ProgressRecord.from_dict(RECORD.to_dict()) == RECORD


@pytest.mark.parametrize(
    "changes",
    [
        {"planned": "1000"},
        {"planned": None},
        {"failed": -1},
        {"reused": True},
        {"requests_per_minute": 0.5},
        {"recorded_at": None},
        {"recorded_at": "2026-01-12T09:30:00"},
        {"waits_until": "soon"},
    ],
)
def test_what_another_task_wrote_is_no_record(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"progress|isoformat"):
        ProgressRecord.from_dict({**RECORD.to_dict(), **changes})


@pytest.mark.parametrize("value", [None, "text", [], {}])
def test_another_value_is_no_record(value: object) -> None:
    with pytest.raises(ValueError, match=r"progress|isoformat"):
        ProgressRecord.from_dict(value)
