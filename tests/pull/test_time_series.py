"""Stored hourly responses become rows of each granularity, a status of each Tweet, and its coverage."""

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

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import Outcome, parse_response
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.exceptions import EngagementError, IncompletePullError, NoResponseError
from airflow_provider_engagement.inputs.choices import ACCEPTED_BY_DEFAULT
from airflow_provider_engagement.pull.assembly import AssemblyResult
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.pull.series_rows import SeriesRows
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.time_series import assemble_time_series
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.tables import TWEET_METRICS
from airflow_provider_engagement.tweet_id import first_id_at

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
FETCHED_AT = datetime(2026, 1, 12, 9, 30, 15, 250_000, UTC)
METRICS = ("impressions", "video_views")
OLD = "21"
"""An id from before 2010-11-04, which contains no time."""

RUN = TaskRun(run_id="scheduled__1", task="dag.task", time=START + timedelta(days=7), accepted=ACCEPTED_BY_DEFAULT)

Row = Mapping[str, Any]
CountOf = Callable[[str, str, datetime], int]


def created(time: datetime) -> str:
    """Return the id of a Tweet that was created at a time."""
    return str(int(first_id_at(time)) + 5)


def hours(first: int, last: int) -> TimeRange:
    """Return a time range in hours from the start."""
    return TimeRange(START + first * HOUR, START + last * HOUR)


def count_of(tweet_id: str, metric: str, hour: datetime) -> int:
    return int(tweet_id) % 1000 + len(metric) * ((hour - START) // HOUR) ** 2


def sums_of(tweet_id: str, time_range: TimeRange) -> tuple[int, ...]:
    """Return the sum of a Tweet's hours for each metric."""
    starts = [time_range.start + number * HOUR for number in range(time_range.hours)]
    return tuple(sum(count_of(tweet_id, metric, start) for start in starts) for metric in METRICS)


def body_of(request: Request, window: TimeRange, *, without: tuple[str, ...], counts: CountOf) -> dict[str, Any]:
    """Return the body of a response."""
    rows: dict[str, Any] = {}
    tweet_ids = [tweet_id for tweet_id in request.tweet_ids if tweet_id not in without]
    for tweet_id in tweet_ids:
        for metric in request.query.metrics:
            days = rows.setdefault(tweet_id, {}).setdefault(metric, {})
            for number in range(window.hours):
                hour = window.start + number * HOUR
                days.setdefault(f"{hour:%Y-%m-%d}", {})[f"{hour:%H}"] = str(counts(tweet_id, metric, hour))
    sums = {
        metric: sum(sums_of(tweet_id, window)[index] for tweet_id in tweet_ids) for index, metric in enumerate(METRICS)
    }
    return {"hour": rows, **dict.fromkeys(request.query.groupings, sums)}


class Pull:
    """Requests and their stored responses, which can be assembled several times.

    :param path: the folder of responses.
    :param interval: the interval of the query; ``None`` for ``28hr``.
    :param tweet_ids: the requested Tweets.
    :param changes: other fields of the query.
    """

    def __init__(self, path: Path, interval: TimeRange | None, *tweet_ids: str, **changes: Any) -> None:
        self.query = Query(
            endpoint=Endpoint.HISTORICAL if interval else Endpoint.LAST_28_HOURS,
            auth=Auth.USER,
            tweet_ids=tweet_ids,
            metrics=METRICS,
            interval=interval,
            owner="7",
            **changes,
        )
        self.path = path
        self.store = ResponseStore(path, identities={None: "7@key", "7": "7@key"})
        self.fetched = FetchResult([])

    def respond(
        self,
        *tweet_ids: str,
        window: TimeRange,
        fetched_at: datetime = FETCHED_AT,
        without: tuple[str, ...] = (),
        counts: CountOf = count_of,
        **body: Any,
    ) -> None:
        """Add a request that got a response."""
        request = self._add(tweet_ids, window)
        content = {**body_of(request, window, without=without, counts=counts), **body}
        if request.window is None:
            content |= {"start": window.start.isoformat(), "end": window.end.isoformat()}
        response = parse_response(request, content)
        fetched = FetchedResponse(response=response, fetched_at=fetched_at, authors={})
        self.store.write(request, StoredResponse.from_fetched(fetched))

    def fail(self, *tweet_ids: str, window: TimeRange, error: EngagementError) -> None:
        """Add a request that failed."""
        self.fetched.failures.append((self._add(tweet_ids, window), error))

    def _add(self, tweet_ids: tuple[str, ...], window: TimeRange) -> Request:
        request = Request(self.query, tweet_ids, window if self.query.interval else None)
        self.fetched.requests = [*self.fetched.requests, request]
        return request

    def assemble(
        self,
        folder: DatasetFolder,
        granularity: str = "hour",
        *,
        zone: str = "UTC",
        accepted: tuple[Outcome, ...] = ACCEPTED_BY_DEFAULT,
        run: TaskRun = RUN,
        **options: Any,
    ) -> AssemblyResult:
        """Assemble the tables in a folder."""
        rows = SeriesRows(
            query=self.query,
            granularity=Granularity(granularity),
            zone=ZoneInfo(zone),
            settling_time=timedelta(hours=72),
        )
        return assemble_time_series(
            self.fetched,
            TweetStatuses.from_responses(self.fetched, self.store),
            self.store,
            folder,
            rows=rows,
            run=replace(run, accepted=accepted),
            **options,
        )

    def tables(self, granularity: str = "hour", **options: Any) -> dict[str, list[Row]]:
        """Assemble the tables in a new folder, and return their rows."""
        folder = DatasetFolder(self.path / f"dataset-{len(list(self.path.iterdir()))}", DatasetFormat.PARQUET)
        self.assemble(folder, granularity, **options)
        return {
            table: [
                {
                    name: datetime.fromisoformat(value) if value and name.endswith(("_start", "_end", "_at")) else value
                    for name, value in row.items()
                }
                for row in rows
            ]
            for table, rows in folder.read_rows().items()
        }

    def rows(self, granularity: str = "hour", **options: Any) -> list[Row]:
        """Assemble the tables in a new folder, and return the rows of ``tweet_metrics``."""
        return self.tables(granularity, **options)["tweet_metrics"]


def open_folder(path: Path) -> DatasetFolder:
    return DatasetFolder(path / "dataset", DatasetFormat.PARQUET)


def files(path: Path) -> list[str]:
    folder = path / "dataset"
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def read(path: Path, file: str) -> list[Row]:
    return parquet.ParquetFile(path / "dataset" / file).read().to_pylist()  # type: ignore[no-any-return]


def by_key(rows: list[Row], *key: str) -> dict[Any, tuple[int | None, ...]]:
    """Return the counts of each row by a key, which must be unique."""
    found = {tuple(row[name] for name in key): tuple(row[metric] for metric in METRICS) for row in rows}
    assert len(found) == len(rows)
    return found


def test_each_hour_of_the_interval_from_the_creation_of_a_tweet_on_has_one_row(tmp_path: Path) -> None:
    young = created(START + timedelta(hours=30, minutes=59))
    pull = Pull(tmp_path, hours(0, 72), OLD, young)
    # The responses contain hours outside the interval, and are in no order.
    pull.respond(OLD, young, window=hours(48, 80))
    pull.respond(OLD, young, window=hours(-5, 48))
    assert by_key(pull.rows(), "tweet_id", "period_start") == {
        (tweet_id, START + hour * HOUR): sums_of(tweet_id, hours(hour, hour + 1))
        for tweet_id, first in ((OLD, 0), (young, 30))
        for hour in range(first, 72)
    }


def test_a_row_has_its_origin_and_whether_it_is_final(tmp_path: Path) -> None:
    tweet_id = created(START)
    pull = Pull(tmp_path, hours(0, 2), tweet_id)
    fetched_at = START + 74 * HOUR - timedelta(milliseconds=1)
    pull.respond(tweet_id, window=hours(0, 2), fetched_at=fetched_at)
    rows = pull.rows()
    shared = {
        "tweet_id": tweet_id,
        "tweet_created_at": START,
        "granularity": "hour",
        "time_zone": "UTC",
        "owner": "7",
        "endpoint": "historical",
        "fetched_at": fetched_at,
        "older_counts": None,
        **{metric: None for metric in TWEET_METRICS.metrics if metric not in METRICS},
    }
    assert all(row.items() >= shared.items() for row in rows)
    assert [(row["period_start"], row["period_end"], row["is_final"]) for row in rows] == [
        (START, START + HOUR, True),
        (START + HOUR, START + 2 * HOUR, False),
    ]


def test_a_row_has_the_date_of_its_time_zone(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(-1, 47), OLD)
    pull.respond(OLD, window=hours(-1, 47))

    in_prague = pull.rows("day", zone="Europe/Prague")
    in_utc = pull.rows("hour", zone="Europe/Prague")

    # A day in Prague begins at 23:00 UTC of the day before.
    assert [(row["period_start"], row["period_date"]) for row in in_prague] == [
        (START - HOUR, f"{START:%Y-%m-%d}"),
        (START + 23 * HOUR, f"{START + 24 * HOUR:%Y-%m-%d}"),
    ]
    assert all(row["period_date"] == f"{row['period_start']:%Y-%m-%d}" for row in in_utc)


def test_days_totals_and_hours_of_day_are_sums_of_hours_over_all_responses(tmp_path: Path) -> None:
    young = created(START + 30 * HOUR)
    interval = hours(0, 72)
    pull = Pull(tmp_path, interval, OLD, young)
    for first, last in ((0, 10), (10, 55), (55, 72)):  # No window ends at midnight.
        pull.respond(OLD, young, window=hours(first, last))
    first_hours = ((OLD, 0), (young, 30))
    assert by_key(pull.rows("day"), "tweet_id", "period_start") == {
        (tweet_id, START + 24 * day * HOUR): sums_of(tweet_id, hours(max(first, 24 * day), 24 * day + 24))
        for tweet_id, first in first_hours
        for day in range(first // 24, 3)
    }
    assert by_key(pull.rows("total"), "tweet_id", "period_start", "period_end") == {
        (tweet_id, interval.start, interval.end): sums_of(tweet_id, hours(first, 72)) for tweet_id, first in first_hours
    }
    rows = pull.tables("hour_of_day", zone="Europe/Prague")["tweet_hours_of_day"]
    expected = {(tweet_id, number): (0, 0) for tweet_id, _ in first_hours for number in range(24)}
    for tweet_id, first in first_hours:
        for hour in range(first, 72):
            key = tweet_id, (hour + 1) % 24  # The time in Prague is UTC+1.
            impressions, video_views = sums_of(tweet_id, hours(hour, hour + 1))
            expected[key] = expected[key][0] + impressions, expected[key][1] + video_views
    assert by_key(rows, "tweet_id", "hour_of_day") == expected
    assert {(row["period_start"], row["period_end"], row["time_zone"]) for row in rows} == {
        (interval.start, interval.end, "Europe/Prague")
    }


@pytest.mark.parametrize("granularity", ["day", "total"])
def test_a_sum_is_as_new_as_its_newest_hour_and_final_if_all_of_its_hours_are(tmp_path: Path, granularity: str) -> None:
    pull = Pull(tmp_path, hours(0, 24), OLD)
    pull.respond(OLD, window=hours(0, 12), fetched_at=START + 100 * HOUR)
    pull.respond(OLD, window=hours(12, 24), fetched_at=START + 90 * HOUR)
    (row,) = pull.rows(granularity)
    assert (row["fetched_at"], row["is_final"]) == (START + 100 * HOUR, False)
    pull.fetched.requests = pull.fetched.requests[:1]
    pull.respond(OLD, window=hours(12, 24), fetched_at=START + 96 * HOUR)
    (row,) = pull.rows(granularity)
    assert (row["fetched_at"], row["is_final"]) == (START + 100 * HOUR, True)


@pytest.mark.parametrize("granularity", ["day", "total", "hour_of_day"])
def test_a_sum_with_a_newer_hour_replaces_the_older_sum(tmp_path: Path, granularity: str) -> None:
    for fetched_at, more in ((FETCHED_AT + HOUR, 0), (FETCHED_AT + 2 * HOUR, 1)):
        pull = Pull(tmp_path, hours(0, 24), OLD)
        pull.respond(OLD, window=hours(0, 12))
        pull.respond(
            OLD,
            window=hours(12, 24),
            fetched_at=fetched_at,
            counts=lambda *key, more=more: count_of(*key) + more,  # type: ignore[misc]
        )
        pull.assemble(open_folder(tmp_path), granularity)
    tables = ("tweet_metrics", "tweet_hours_of_day")
    rows = [row for file in files(tmp_path) if file.startswith(tables) for row in read(tmp_path, file)]
    sums = [sum(row[metric] for row in rows) for metric in METRICS]
    assert sums == [total + 12 for total in sums_of(OLD, hours(0, 24))]


def test_a_sum_with_a_null_is_null_and_zeros_stay_zero(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(0, 48), OLD, "22")
    unsupported = {"unsupported_for_video_views_tweet_ids": [OLD]}
    pull.respond(OLD, "22", window=hours(0, 24), counts=lambda *key: 0, **unsupported)
    pull.respond(OLD, "22", window=hours(24, 48), counts=lambda *key: 0)
    for granularity in ("hour", "day", "total"):
        tables = pull.tables(granularity)
        rows = tables["tweet_metrics"]
        assert {row["impressions"] for row in rows} == {0}
        assert {row["video_views"] for row in rows if row["tweet_id"] == "22"} == {0}
        assert None in {row["video_views"] for row in rows if row["tweet_id"] == OLD}
        (status,) = (row for row in tables["tweet_status"] if row["tweet_id"] == OLD)
        assert (status["outcome"], status["metrics_affected"]) == ("unsupported_video", "video_views")


def test_the_status_of_a_tweet_is_its_most_severe_outcome_over_all_windows(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(0, 48), OLD, "22")
    pull.respond(OLD, "22", window=hours(0, 24), without=(OLD,), unavailable_tweet_ids=[OLD])
    pull.respond(OLD, "22", window=hours(24, 48))
    tables = pull.tables()
    assert {row["tweet_id"]: row["outcome"] for row in tables["tweet_status"]} == {OLD: "unavailable", "22": "ok"}
    assert {row["endpoint"] for row in tables["tweet_status"]} == {"historical"}
    assert {row["tweet_id"] for row in tables["tweet_metrics"]} == {OLD, "22"}


def test_coverage_has_the_hours_of_each_tweet_and_request_within_the_interval(tmp_path: Path) -> None:
    young, later = created(START + 30 * HOUR), created(START + 72 * HOUR)
    pull = Pull(tmp_path, hours(0, 72), OLD, young, later)
    pull.respond(OLD, window=hours(-10, 48), without=(OLD,), unavailable_tweet_ids=[OLD])
    pull.respond(OLD, young, window=hours(48, 72))
    pull.respond(young, window=hours(20, 48), fetched_at=FETCHED_AT + HOUR)
    tables = pull.tables()
    rows = tables["coverage"]
    assert {
        (row["tweet_id"], row["window_start"], row["window_end"]): (row["outcome"], row["fetched_at"]) for row in rows
    } == {
        (OLD, START, START + 48 * HOUR): ("unavailable", FETCHED_AT),
        (OLD, START + 48 * HOUR, START + 72 * HOUR): ("ok", FETCHED_AT),
        (young, START + 30 * HOUR, START + 48 * HOUR): ("ok", FETCHED_AT + HOUR),
        (young, START + 48 * HOUR, START + 72 * HOUR): ("ok", FETCHED_AT),
    }
    assert {(row["granularity"], row["metrics"]) for row in rows} == {("hour", ",".join(METRICS))}
    statuses = {row["tweet_id"]: (row["outcome"], row["message"]) for row in tables["tweet_status"]}
    assert statuses[later] == ("ok", "created after the interval")


def test_a_failed_request_has_coverage_and_statuses_if_failed_is_accepted(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(0, 48), OLD, "22")
    pull.respond(OLD, "22", window=hours(0, 24))
    pull.fail(OLD, "22", window=hours(24, 48), error=NoResponseError("timeout"))
    tables = pull.tables(accepted=(Outcome.FAILED,))
    assert [(row["outcome"], row["fetched_at"]) for row in tables["coverage"]] == [
        *([("ok", FETCHED_AT)] * 2),
        *([("failed", None)] * 2),
    ]
    assert [row["message"] for row in tables["tweet_status"]] == ["timeout"] * 2
    assert len(tables["tweet_metrics"]) == 48


@pytest.mark.parametrize("granularity", list(Granularity))
def test_an_incomplete_pull_writes_only_statuses(tmp_path: Path, granularity: str) -> None:
    def contents() -> dict[str, bytes]:
        return {file: (tmp_path / "dataset" / file).read_bytes() for file in files(tmp_path)}

    complete = Pull(tmp_path, hours(0, 24), OLD)
    complete.respond(OLD, window=hours(0, 24))
    complete.assemble(open_folder(tmp_path), granularity)
    before = contents()
    pull = Pull(tmp_path, hours(0, 48), OLD, "22")
    pull.respond(OLD, "22", window=hours(0, 24), fetched_at=FETCHED_AT + HOUR)
    pull.fail(OLD, "22", window=hours(24, 48), error=NoResponseError("timeout"))
    with pytest.raises(IncompletePullError, match=r"2 of 2 Tweets.*timeout"):
        pull.assemble(open_folder(tmp_path), granularity)
    status = f"tweet_status/{RUN.file_path}.parquet"
    after = contents()
    assert {file for file in before.keys() | after.keys() if before.get(file) != after.get(file)} == {status}
    assert [(row["tweet_id"], row["outcome"]) for row in read(tmp_path, status)] == [(OLD, "failed"), ("22", "failed")]


def test_hours_have_a_file_for_each_day_and_sums_a_file_for_each_month(tmp_path: Path) -> None:
    interval = TimeRange(START - timedelta(days=6), START + timedelta(days=1))  # It starts in December.
    for granularity in ("hour", "day", "total"):
        pull = Pull(tmp_path, interval, OLD)
        pull.respond(OLD, window=interval)
        pull.assemble(open_folder(tmp_path), granularity)
    rows = [file for file in files(tmp_path) if file.startswith("tweet_metrics")]
    days = [f"{interval.start + timedelta(days=day):%Y-%m-%d}" for day in range(7)]
    assert rows == sorted(
        [f"tweet_metrics/hour/partition_date={day}/rows.parquet" for day in days]
        + [f"tweet_metrics/day/partition_date={month}-01/rows.parquet" for month in ("2025-12", "2026-01")]
        + ["tweet_metrics/total/partition_date=2025-12-01/rows.parquet"]
    )
    schema = arrow_schema(TWEET_METRICS)
    assert all(parquet.read_schema(tmp_path / "dataset" / file).equals(schema) for file in rows)
    others = [file for file in files(tmp_path) if not file.startswith(("tweet_metrics", "_"))]
    assert others == [f"{table}/{RUN.file_path}.parquet" for table in ("coverage", "tweet_status")]


def test_groupings_are_summed_over_windows_and_batches_and_written_beside_the_tables(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(0, 48), OLD, "22", groupings={"sum": (Dimension.METRIC,)})
    for first, last in ((0, 24), (24, 48)):
        for tweet_id in (OLD, "22"):
            pull.respond(tweet_id, window=hours(first, last))
    folder = open_folder(tmp_path)
    assembled = pull.assemble(folder)
    sums = zip(sums_of(OLD, hours(0, 48)), sums_of("22", hours(0, 48)), strict=True)
    assert assembled.groupings == {"sum": dict(zip(METRICS, map(sum, sums), strict=True))}
    assert json.loads(Path(folder.locations["groupings"]).read_text()) == assembled.groupings


def test_restated_counts_are_written_to_their_own_table(tmp_path: Path) -> None:
    first = Pull(tmp_path, hours(0, 24), OLD)
    first.respond(OLD, window=hours(0, 24))
    assembled = first.assemble(open_folder(tmp_path), write_restatements=True)
    assert assembled.rows["restatements"] == 0
    second = Pull(tmp_path, hours(12, 36), OLD)
    changed = START + 20 * HOUR
    second.respond(
        OLD,
        window=hours(12, 36),
        fetched_at=FETCHED_AT + HOUR,
        counts=lambda tweet_id, metric, hour: count_of(tweet_id, metric, hour) + (hour == changed) * len(metric),
    )
    assembled = second.assemble(open_folder(tmp_path), write_restatements=True, run=replace(RUN, run_id="2"))
    assert assembled.rows["restatements"] == 2
    (file,) = (file for file in files(tmp_path) if file.startswith("restatements") and RUN.digest not in file)
    assert [
        (row["period_start"], row["metric"], row["old_value"], row["new_value"]) for row in read(tmp_path, file)
    ] == [
        (changed, metric, count_of(OLD, metric, changed), count_of(OLD, metric, changed) + len(metric))
        for metric in METRICS
    ]


def test_the_number_of_rows_is_counted_by_table(tmp_path: Path) -> None:
    pull = Pull(tmp_path, hours(0, 48), OLD, "22")
    pull.respond(OLD, "22", window=hours(0, 48))
    for granularity, expected in (
        ("hour", {"tweet_metrics": 96}),
        ("day", {"tweet_metrics": 4}),
        ("hour_of_day", {"tweet_hours_of_day": 48}),
    ):
        assembled = pull.assemble(open_folder(tmp_path), granularity)
        assert assembled.rows == {"tweet_status": 2, "coverage": 2} | expected


def test_without_an_interval_rows_and_coverage_have_the_hours_of_the_response(tmp_path: Path) -> None:
    young = created(START + 70 * HOUR)
    pull = Pull(tmp_path, None, OLD, "22", young)
    window = hours(50, 78)
    pull.respond("22", window=window, without=("22",), unavailable_tweet_ids=["22"])
    pull.respond(OLD, young, window=window, fetched_at=START + 77.5 * HOUR)
    tables = pull.tables()
    assert {(row["tweet_id"], row["window_start"], row["window_end"]) for row in tables["coverage"]} == {
        (OLD, window.start, window.end),
        ("22", window.start, window.end),
        (young, START + 70 * HOUR, window.end),
    }
    assert by_key(tables["tweet_metrics"], "tweet_id", "period_start") == {
        (tweet_id, START + hour * HOUR): sums_of(tweet_id, hours(hour, hour + 1))
        for tweet_id, first in ((OLD, 50), (young, 70))
        for hour in range(first, 78)
    }


def test_without_a_count_coverage_has_the_28_hours_before_the_response(tmp_path: Path) -> None:
    pull = Pull(tmp_path, None, OLD)
    fetched_at = START + timedelta(hours=77, minutes=30)
    pull.respond(OLD, window=hours(50, 78), fetched_at=fetched_at, without=(OLD,), unavailable_tweet_ids=[OLD])
    (row,) = pull.tables()["coverage"]
    assert (row["window_start"], row["window_end"]) == (START + 49 * HOUR, START + 78 * HOUR)
