"""Parts of a pull by the hour become rows of each grain, a status for each Tweet and a coverage without gaps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyarrow import parquet

from airflow_provider_engagement.api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request, wanted_hours
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.response import Outcome, parse_response
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.api.tweet_id import first_id_at
from airflow_provider_engagement.dataset.fetch import FetchResult, PartsInMemory
from airflow_provider_engagement.dataset.folder import DatasetFolder, Output, ReturnedOutput
from airflow_provider_engagement.dataset.formats import Format
from airflow_provider_engagement.dataset.manifest import ACCEPTED_BY_DEFAULT
from airflow_provider_engagement.dataset.response_store import part_of
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.schema import TWEET_METRICS, arrow_schema
from airflow_provider_engagement.dataset.time_series import TimeSeries, assemble_time_series
from airflow_provider_engagement.exceptions import EngagementError, IncompletePullError, NoResponseError

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
READ = datetime(2026, 1, 12, 9, 30, 15, 250_000, UTC)
METRICS = ("impressions", "video_views")
OLD = "21"
"""From before snowflake."""


def born(moment: datetime) -> str:
    return str(int(first_id_at(moment)) + 5)


def window(first: int, last: int) -> TimeRange:
    """A window in hours from the start."""
    return TimeRange(START + first * HOUR, START + last * HOUR)


def truth(tweet_id: str, metric: str, hour: datetime) -> int:
    return int(tweet_id) % 1000 + len(metric) * ((hour - START) // HOUR) ** 2


def total(tweet_id: str, metric: str, span: TimeRange) -> int:
    return sum(truth(tweet_id, metric, span.start + number * HOUR) for number in range(span.hours))


def body(request: Request, gone: tuple[str, ...], counts: Callable[[str, str, datetime], int]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    assert request.window is not None
    for tweet_id in request.tweet_ids:
        for metric in request.query.metrics:
            for number in range(request.window.hours):
                hour = request.window.start + number * HOUR
                if tweet_id not in gone:
                    days = tree.setdefault(tweet_id, {}).setdefault(metric, {})
                    days.setdefault(f"{hour:%Y-%m-%d}", {})[f"{hour:%H}"] = str(counts(tweet_id, metric, hour))
    answer = {"hour": tree}
    for name in request.query.groupings:
        answer[name] = {
            metric: sum(
                total(tweet_id, metric, request.window) for tweet_id in request.tweet_ids if tweet_id not in gone
            )
            for metric in request.query.metrics
        }
    return answer


class Pull:
    """Requests and what came of them, assembled on demand."""

    def __init__(self, span: TimeRange, *tweet_ids: str, **changes: Any) -> None:
        self.query = Query(
            endpoint=Endpoint.HISTORICAL,
            auth=Auth.USER,
            tweet_ids=tweet_ids,
            metrics=METRICS,
            granularities=(Granularity.HOUR,),
            window=span,
            **changes,
        )
        self.span = span
        self.parts = PartsInMemory()
        self.pulled = FetchResult([])

    def request(self, *tweet_ids: str, window: TimeRange) -> Request:
        request = Request(self.query, tweet_ids, window)
        self.pulled.requests = [*self.pulled.requests, request]
        return request

    def answered(
        self,
        *tweet_ids: str,
        window: TimeRange,
        read: datetime = READ,
        gone: tuple[str, ...] = (),
        counts: Callable[[str, str, datetime], int] = truth,
        **more: Any,
    ) -> None:
        request = self.request(*tweet_ids, window=window)
        answer = parse_response(request, {**body(request, gone, counts), **more})
        self.parts.write(request, part_of(Fetched(answer=answer, fetched_at=read, authors={})))

    def failed(self, *tweet_ids: str, window: TimeRange, error: EngagementError) -> None:
        self.pulled.failures.append((self.request(*tweet_ids, window=window), error))

    def series(self, granularity: str = "hour", **changes: Any) -> TimeSeries:
        series = TimeSeries(
            query=self.query,
            granularity=Granularity(granularity),
            zone=ZoneInfo("UTC"),
            wanted=lambda tweet_id, covered: wanted_hours(tweet_id, self.span),
            span=lambda tweet_id: self.span,
            settling_time=timedelta(hours=72),
            run="scheduled__1",
            task="dag.task",
            owner="7",
            name="dag.task",
            date=self.span.start,
        )
        return replace(series, **changes)

    def assembled(
        self, output: Output, *, accepted: tuple[Outcome, ...] = ACCEPTED_BY_DEFAULT, **changes: Any
    ) -> Result:
        return assemble_time_series(self.pulled, self.parts, output, wanted=self.series(**changes), accepted=accepted)

    def rows(self, table: str = "tweet_metrics", **changes: Any) -> list[Mapping[str, Any]]:
        output = ReturnedOutput()
        self.assembled(output, **changes)
        return [
            {name: datetime.fromisoformat(row[name]) if name in INSTANTS and row[name] else row[name] for name in row}
            for row in output.returned[table]
        ]


INSTANTS = ("period_start", "period_end", "window_start", "window_end", "fetched_at", "checked_at", "tweet_created_at")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def values(rows: list[Mapping[str, Any]], *key: str) -> dict[Any, tuple[int | None, ...]]:
    found = {tuple(row[name] for name in key): tuple(row[metric] for metric in METRICS) for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_wanted_hour_of_every_tweet_has_one_row_with_its_counts() -> None:
    young = born(START + timedelta(hours=30, minutes=59))
    pull = Pull(window(0, 72), OLD, young)
    # The parts reach beyond what is wanted on both sides, and come in no order.
    pull.answered(OLD, young, window=window(48, 80))
    pull.answered(OLD, young, window=window(-5, 48))
    expected = {
        (tweet_id, START + hour * HOUR): tuple(truth(tweet_id, metric, START + hour * HOUR) for metric in METRICS)
        for tweet_id, first in ((OLD, 0), (young, 30))
        for hour in range(first, 72)
    }
    assert values(pull.rows(), "tweet_id", "period_start") == expected


def test_a_row_tells_where_it_comes_from_and_whether_it_may_change() -> None:
    tweet_id = born(START)
    pull = Pull(window(0, 2), tweet_id)
    pull.answered(tweet_id, window=window(0, 2), read=START + 74 * HOUR - timedelta(milliseconds=1))
    rows = pull.rows()
    shared = {
        "tweet_id": tweet_id,
        "granularity": "hour",
        "owner": "7",
        "endpoint": "historical",
        "fetched_at": START + 74 * HOUR - timedelta(milliseconds=1),
    }
    assert all(row.items() >= shared.items() for row in rows)
    assert {row["tweet_created_at"] for row in rows} == {START}
    assert [(row["period_start"], row["period_end"], row["is_final"]) for row in rows] == [
        (START, START + HOUR, True),
        (START + HOUR, START + 2 * HOUR, False),
    ]
    assert [row[metric] for row in rows for metric in TWEET_METRICS.metrics if metric not in METRICS] == [None] * 30


def test_days_totals_and_hours_of_day_are_sums_of_the_same_hours_over_all_parts() -> None:
    young = born(START + 30 * HOUR)
    pull = Pull(window(0, 72), OLD, young)
    for first, last in ((0, 10), (10, 55), (55, 72)):  # none of them at a midnight
        pull.answered(OLD, young, window=window(first, last))
    days = {
        (tweet_id, START + 24 * day * HOUR): tuple(
            total(tweet_id, metric, window(max(first, 24 * day), 24 * day + 24)) for metric in METRICS
        )
        for tweet_id, first in ((OLD, 0), (young, 30))
        for day in range(first // 24, 3)
    }
    assert values(pull.rows(granularity="day"), "tweet_id", "period_start") == days
    totals = {
        (tweet_id, pull.span.start, pull.span.end): tuple(
            total(tweet_id, metric, window(first, 72)) for metric in METRICS
        )
        for tweet_id, first in ((OLD, 0), (young, 30))
    }
    assert values(pull.rows(granularity="total"), "tweet_id", "period_start", "period_end") == totals
    of_day = {
        (tweet_id, hour): tuple(
            sum(
                truth(tweet_id, metric, START + number * HOUR)
                for number in range(first, 72)
                if (number + 1) % 24 == hour
            )
            for metric in METRICS
        )
        for tweet_id, first in ((OLD, 0), (young, 30))
        for hour in range(24)
    }
    rows = pull.rows("tweet_hours_of_day", granularity="hour_of_day", zone=ZoneInfo("Europe/Prague"))
    assert values(rows, "tweet_id", "hour_of_day") == of_day
    assert {(row["period_start"], row["period_end"], row["time_zone"]) for row in rows} == {
        (pull.span.start, pull.span.end, "Europe/Prague")
    }


@pytest.mark.parametrize("granularity", ["day", "total"])
def test_a_sum_is_as_new_as_its_newest_hour_and_final_when_all_of_its_hours_are(granularity: str) -> None:
    pull = Pull(window(0, 24), OLD)
    pull.answered(OLD, window=window(0, 12), read=START + 100 * HOUR)
    pull.answered(OLD, window=window(12, 24), read=START + 90 * HOUR)
    (row,) = pull.rows(granularity=granularity)
    assert (row["fetched_at"], row["is_final"]) == (START + 100 * HOUR, False)
    pull.answered(OLD, window=window(12, 24), read=START + 96 * HOUR)
    pull.pulled.requests = pull.pulled.requests[::2]
    (row,) = pull.rows(granularity=granularity)
    assert row["is_final"] is True


@pytest.mark.parametrize("granularity", ["day", "total", "hour_of_day"])
def test_a_sum_of_which_a_part_was_read_again_replaces_the_one_before(tmp_path: Path, granularity: str) -> None:
    pull = Pull(window(0, 24), OLD)
    pull.answered(OLD, window=window(0, 12), read=READ)
    pull.answered(OLD, window=window(12, 24), read=READ + HOUR)
    pull.assembled(DatasetFolder(tmp_path, Format.PARQUET), granularity=granularity)
    again = Pull(window(0, 24), OLD)
    again.answered(OLD, window=window(0, 12), read=READ)
    again.answered(OLD, window=window(12, 24), read=READ + 2 * HOUR, counts=lambda *cell: truth(*cell) + 1)
    again.assembled(DatasetFolder(tmp_path, Format.PARQUET), granularity=granularity)
    rows = [
        row
        for name in files(tmp_path)
        if name.startswith(("tweet_metrics", "tweet_hours_of_day"))
        for row in parquet.ParquetFile(tmp_path / name).read().to_pylist()
    ]
    for metric in METRICS:
        assert sum(row[metric] for row in rows) == total(OLD, metric, window(0, 24)) + 12


def test_the_sums_of_a_null_are_null_and_zeros_stay_zeros() -> None:
    pull = Pull(window(0, 48), OLD, "22")
    listed = {"unsupported_for_video_views_tweet_ids": [OLD]}
    pull.answered(OLD, "22", window=window(0, 24), counts=lambda *cell: 0, **listed)
    pull.answered(OLD, "22", window=window(24, 48), counts=lambda *cell: 0)
    for granularity in ("hour", "day", "total"):
        rows = pull.rows(granularity=granularity)
        assert {row["impressions"] for row in rows} == {0}
        assert {row["video_views"] for row in rows if row["tweet_id"] == "22"} == {0}
        assert None in {row["video_views"] for row in rows if row["tweet_id"] == OLD}
    (status,) = (row for row in pull.rows("tweet_status") if row["tweet_id"] == OLD)
    assert (status["outcome"], status["metrics_affected"]) == ("unsupported_video", "video_views")


def test_what_became_of_a_tweet_in_one_window_is_not_hidden_by_another() -> None:
    pull = Pull(window(0, 48), OLD, "22")
    pull.answered(OLD, "22", window=window(0, 24), gone=(OLD,), unavailable_tweet_ids=[OLD])
    pull.answered(OLD, "22", window=window(24, 48))
    statuses = {row["tweet_id"]: row["outcome"] for row in pull.rows("tweet_status")}
    assert statuses == {OLD: "unavailable", "22": "ok"}
    assert {row["tweet_id"]: 0 for row in pull.rows()} == {OLD: 0, "22": 0}


def test_coverage_has_a_row_for_each_tweet_and_window_that_cuts_off_what_was_not_wanted() -> None:
    young, unborn = born(START + 30 * HOUR), born(START + 72 * HOUR)
    pull = Pull(window(0, 72), OLD, young, unborn)
    pull.answered(OLD, window=window(-10, 48), gone=(OLD,), unavailable_tweet_ids=[OLD])
    pull.answered(OLD, young, window=window(48, 72))
    pull.answered(young, window=window(20, 48), read=READ + HOUR)
    pull.pulled.requests = pull.pulled.requests
    rows = pull.rows("coverage")
    assert {
        (row["tweet_id"], row["window_start"], row["window_end"]): (row["outcome"], row["fetched_at"]) for row in rows
    } == {
        (OLD, START, START + 48 * HOUR): ("unavailable", READ),
        (OLD, START + 48 * HOUR, START + 72 * HOUR): ("ok", READ),
        (young, START + 30 * HOUR, START + 48 * HOUR): ("ok", READ + HOUR),
        (young, START + 48 * HOUR, START + 72 * HOUR): ("ok", READ),
    }
    assert {(row["granularity"], row["metrics"]) for row in rows} == {("hour", ",".join(METRICS))}
    statuses = {row["tweet_id"]: (row["outcome"], row["message"]) for row in pull.rows("tweet_status")}
    assert statuses[unborn] == ("ok", "created after the window")


def test_a_request_that_failed_covers_its_window_as_failed_where_that_is_accepted() -> None:
    pull = Pull(window(0, 48), OLD, "22")
    pull.answered(OLD, "22", window=window(0, 24))
    pull.failed(OLD, "22", window=window(24, 48), error=NoResponseError("silence"))
    rows = pull.rows("coverage", accepted=(Outcome.FAILED,))
    assert [(row["outcome"], row["fetched_at"]) for row in rows] == [("ok", READ)] * 2 + [("failed", None)] * 2
    assert [row["message"] for row in pull.rows("tweet_status", accepted=(Outcome.FAILED,))] == ["silence"] * 2
    assert len(pull.rows(accepted=(Outcome.FAILED,))) == 48


@pytest.mark.parametrize("granularity", list(Granularity))
def test_only_what_became_of_the_tweets_is_written_if_something_is_missing(tmp_path: Path, granularity: str) -> None:
    whole = Pull(window(0, 24), OLD)
    whole.answered(OLD, window=window(0, 24))
    whole.assembled(DatasetFolder(tmp_path, Format.PARQUET), granularity=granularity)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    pull = Pull(window(0, 48), OLD, "22")
    pull.answered(OLD, "22", window=window(0, 24), read=READ + HOUR)
    pull.failed(OLD, "22", window=window(24, 48), error=NoResponseError("silence"))
    with pytest.raises(IncompletePullError, match=r"2 of 2 Tweets.*silence"):
        pull.assembled(DatasetFolder(tmp_path, Format.PARQUET), granularity=granularity)
    status = "tweet_status/run_date=2026-01-05/dag.task.parquet"
    after = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {status}
    told = parquet.ParquetFile(tmp_path / status).read().to_pylist()
    assert [(row["tweet_id"], row["outcome"]) for row in told] == [(OLD, "failed"), ("22", "failed")]


def test_hours_go_to_a_file_a_day_and_sums_to_a_file_a_month_and_the_schema_is_always_the_same(tmp_path: Path) -> None:
    span = TimeRange(START - timedelta(days=6), START + timedelta(days=1))  # from December on
    for granularity in ("hour", "day", "total"):
        pull = Pull(span, OLD)
        pull.answered(OLD, window=span)
        pull.assembled(DatasetFolder(tmp_path, Format.PARQUET), granularity=granularity)
    rows = [name for name in files(tmp_path) if name.startswith("tweet_metrics")]
    days = [f"{START - timedelta(days=6) + timedelta(days=day):%Y-%m-%d}" for day in range(7)]
    assert rows == sorted(
        [f"tweet_metrics/hour/period_date={day}/rows.parquet" for day in days]
        + [f"tweet_metrics/day/period_month={month}/rows.parquet" for month in ("2025-12", "2026-01")]
        + ["tweet_metrics/total/period_month=2025-12/rows.parquet"]
    )
    assert all(parquet.read_schema(tmp_path / name).equals(arrow_schema(TWEET_METRICS)) for name in rows)
    others = [name for name in files(tmp_path) if not name.startswith(("tweet_metrics", "_"))]
    assert others == [f"{table}/run_date=2025-12-30/dag.task.parquet" for table in ("coverage", "tweet_status")]


def test_groupings_are_added_up_over_windows_and_batches_and_kept_beside_the_tables(tmp_path: Path) -> None:
    pull = Pull(window(0, 48), OLD, "22", groupings={"grand": (Dimension.METRIC,)})
    for first, last in ((0, 24), (24, 48)):
        for tweet_id in (OLD, "22"):
            pull.answered(tweet_id, window=window(first, last))
    output = DatasetFolder(tmp_path, Format.PARQUET)
    result = pull.assembled(output)
    expected = {"grand": {m: sum(total(tweet_id, m, window(0, 48)) for tweet_id in (OLD, "22")) for m in METRICS}}
    assert result.groupings == expected
    assert json.loads(Path(output.locations["groupings"]).read_text()) == expected


def test_what_changed_since_the_rows_were_read_before_is_a_table_of_its_own(tmp_path: Path) -> None:
    first = Pull(window(0, 24), OLD)
    first.answered(OLD, window=window(0, 24))
    result = first.assembled(DatasetFolder(tmp_path, Format.PARQUET), restatements=True)
    assert result.rows["restatements"] == 0
    second = Pull(window(12, 36), OLD)
    changed = START + 20 * HOUR
    second.answered(
        OLD,
        window=window(12, 36),
        read=READ + HOUR,
        counts=lambda tweet_id, metric, hour: truth(tweet_id, metric, hour) + (hour == changed) * len(metric),
    )
    result = second.assembled(DatasetFolder(tmp_path, Format.PARQUET), restatements=True, name="dag.task.2")
    assert result.rows["restatements"] == 2
    (path,) = (tmp_path / "restatements").rglob("dag.task.2.parquet")
    assert [
        (row["period_start"], row["metric"], row["old_value"], row["new_value"])
        for row in parquet.ParquetFile(path).read().to_pylist()
    ] == [
        (changed, metric, truth(OLD, metric, changed), truth(OLD, metric, changed) + len(metric)) for metric in METRICS
    ]


def test_the_number_of_rows_is_told_by_table() -> None:
    pull = Pull(window(0, 48), OLD, "22")
    pull.answered(OLD, "22", window=window(0, 48))
    expected = {"tweet_status": 2, "coverage": 2}
    assert pull.assembled(ReturnedOutput()).rows == expected | {"tweet_metrics": 96}
    assert pull.assembled(ReturnedOutput(), granularity="day").rows == expected | {"tweet_metrics": 4}
    of_day = pull.assembled(ReturnedOutput(), granularity="hour_of_day").rows
    assert of_day == expected | {"tweet_hours_of_day": 48}
