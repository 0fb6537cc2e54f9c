"""What is happening now: the rate limit that was saved last, and what its numbers mean at the present time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_engagement.http.limits.rate_limit import RateLimitSnapshot
from airflow_provider_engagement.plugin.current_figures import MAX_FOLDERS, saved_figure
from airflow_provider_engagement.plugin.manifests import FoundManifest
from airflow_provider_engagement.report.figure import Figure

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)


def manifest(folder: str | None, dag_id: str = "brand") -> FoundManifest:
    outputs = {} if folder is None else {"manifest": f"{folder}/_manifests/run.json"}
    content: dict[str, Any] = {"outputs": outputs}
    return FoundManifest(dag_id=dag_id, run_id="r", task_id="t", map_index=-1, time=NOW, content=content)


def snapshot(**changes: Any) -> RateLimitSnapshot:
    at = NOW.timestamp() - 20
    return RateLimitSnapshot(**{"observed_at": at, "limit": 60, "remaining": 7, "resets_at": at + 30, **changes})


def test_a_dataset_of_several_dags_is_one_row() -> None:
    found = [manifest("/a"), manifest("/a", "agency"), manifest("/a")]
    figure = saved_figure(found, lambda folder: {"quota": snapshot()}, now=NOW, zone=ZoneInfo("UTC"))

    assert [row["dag_ids"] for row in figure.records()] == ["agency, brand"]


def figure_of(*snapshots: RateLimitSnapshot, now: datetime = NOW) -> Figure:
    return saved_figure(
        [manifest("s3://bucket/x")],
        lambda folder: {f"quota {number}": each for number, each in enumerate(snapshots)},
        now=now,
        zone=ZoneInfo("UTC"),
    )


@pytest.mark.parametrize(
    ("changes", "seconds_later", "remaining_now"),
    [({}, 0, 7), ({}, 11, 60), ({"resets_at": None}, 0, 7), ({"held_until": NOW.timestamp() + 5}, 0, 0)],
    ids=["before the reset", "after the reset", "without a known reset", "held after HTTP 429"],
)
def test_the_remaining_requests_are_those_of_now(
    changes: dict[str, Any], seconds_later: int, remaining_now: int
) -> None:
    (row,) = figure_of(snapshot(**changes), now=NOW + timedelta(seconds=seconds_later)).records()

    assert (row["limit"], row["remaining"], row["remaining_now"]) == (60, 7, remaining_now)
    assert row["observed_at"] == NOW - timedelta(seconds=20)


def test_each_dataset_is_read_once_and_only_the_newest_are() -> None:
    read: list[str] = []

    def snapshots_of(folder: str) -> dict[str, RateLimitSnapshot]:
        read.append(folder)
        return {}

    found = [
        manifest(None),
        manifest("/a"),
        manifest("/a", "agency"),
        *(manifest(f"/{number}") for number in range(MAX_FOLDERS)),
    ]
    figure = saved_figure(found, snapshots_of, now=NOW, zone=ZoneInfo("UTC"))

    assert read == ["/a", *(f"/{number}" for number in range(MAX_FOLDERS - 1))]
    assert figure.notes == (f"Only the {MAX_FOLDERS} datasets that were written last are shown.",)


def test_a_quota_is_one_row_with_its_newest_state() -> None:
    states = {
        "/a": {"quota": snapshot(remaining=50)},
        "/b": {"quota": snapshot(remaining=9, observed_at=NOW.timestamp() - 5), "another": snapshot(remaining=1)},
    }
    found = [manifest("/a"), manifest("/b")]

    rows = saved_figure(found, lambda folder: states[folder], now=NOW, zone=ZoneInfo("UTC")).records()

    assert [(row["dataset"], row["remaining"]) for row in rows] == [("/b", 9), ("/b", 1)]


def test_a_state_of_more_than_a_day_ago_is_not_shown() -> None:
    assert figure_of(snapshot(), now=NOW + timedelta(days=2)).rows == []
