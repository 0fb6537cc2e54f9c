"""Parts of a pull of totals become the tables of a snapshot, whole or not at all."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.api.catalogue import Auth, Dimension
from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.dataset.fetch import FetchResult, PartsInMemory
from airflow_provider_engagement.dataset.folder import DatasetFolder, Output, ReturnedOutput
from airflow_provider_engagement.dataset.formats import Format
from airflow_provider_engagement.dataset.manifest import ACCEPTED_BY_DEFAULT
from airflow_provider_engagement.dataset.response_store import part_of
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.schema import TWEET_TOTALS
from airflow_provider_engagement.dataset.totals import Snapshot, assemble_totals
from airflow_provider_engagement.exceptions import EngagementError, IncompletePullError, NoResponseError

MakeRequest = Callable[..., Request]
ParsedResponse = Callable[..., Fetched]

SNAPSHOT = Snapshot(
    snapshot_at=datetime(2026, 1, 12, tzinfo=UTC), run="scheduled__1", task="dag.task", owner="7", auth="user"
)
FETCHED_AT = "2026-01-12T09:30:15.250Z"
NEW = "1600000000000000000"
NEW_CREATED = "2022-12-06T05:31:41.219Z"
"""From the id by hand: (1600000000000000000 >> 22) + 1288834974657 ms after 1970."""


class Kept:
    """Requests with their answers, assembled on demand."""

    def __init__(self) -> None:
        self.parts = PartsInMemory()
        self.pulled = FetchResult([])

    def answered(self, fetched: Fetched, request: Request) -> None:
        self.parts.write(request, part_of(fetched))
        self.pulled.requests = [*self.pulled.requests, request]

    def failed(self, request: Request, error: EngagementError) -> None:
        self.pulled.requests = [*self.pulled.requests, request]
        self.pulled.failures.append((request, error))

    def assembled(
        self, output: Output, *, snapshot: Snapshot = SNAPSHOT, accepted: tuple[Outcome, ...] = ACCEPTED_BY_DEFAULT
    ) -> Result:
        return assemble_totals(
            self.pulled, self.parts, output, snapshot=snapshot, name="dag.task.20260112T000000", accepted=accepted
        )


@pytest.fixture
def kept() -> Kept:
    return Kept()


def folder_output(folder: Path, file_format: Format = Format.PARQUET) -> DatasetFolder:
    return DatasetFolder(folder, file_format)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_row_holds_the_counts_their_key_and_where_they_come_from(
    kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse, count: Any
) -> None:
    request = request_for("20", NEW)
    kept.answered(answer_to(request), request)
    output = ReturnedOutput()
    result = kept.assembled(output)
    shared = {"snapshot_at": "2026-01-12T00:00:00.000Z", "owner": "7", "auth": "user", "fetched_at": FETCHED_AT}
    not_asked = dict.fromkeys(TWEET_TOTALS.metrics, None)
    assert output.returned["tweet_totals"] == [
        {
            "tweet_id": tweet_id,
            **shared,
            **not_asked,
            "tweet_created_at": created,
            "favorites": count(tweet_id, "favorites"),
            "retweets": count(tweet_id, "retweets"),
        }
        for tweet_id, created in (("20", None), (NEW, NEW_CREATED))
    ]
    assert result.rows == {"tweet_totals": 2, "tweet_status": 2}


def test_a_status_tells_for_each_tweet_what_became_of_it_and_why(
    kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", "21", "22", metrics=("favorites", "video_views"))
    fetched = answer_to(
        request,
        without=["21"],
        unavailable_tweet_ids=["21"],
        unsupported_for_video_views_tweet_ids=["22"],
    )
    kept.answered(fetched, request)
    output = ReturnedOutput()
    kept.assembled(output)
    shared = {"run": "scheduled__1", "task": "dag.task", "owner": "7", "author": None, "checked_at": FETCHED_AT}
    assert output.returned["tweet_status"] == [
        {"tweet_id": "20", **shared, "outcome": "ok", "metrics_affected": None, "message": None},
        {
            "tweet_id": "21",
            **shared,
            "outcome": "unavailable",
            "metrics_affected": "favorites,video_views",
            "message": "deleted, or not public any more",
        },
        {
            "tweet_id": "22",
            **shared,
            "outcome": "unsupported_video",
            "metrics_affected": "video_views",
            "message": "the Tweet is more than 1800 days old",
        },
    ]


def test_a_count_that_is_not_supported_is_null_and_an_unavailable_tweet_has_no_row(
    kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", "21", "22", metrics=("favorites", "video_views"))
    # The API gives zeros for what it does not know, and for Tweets that are gone.
    kept.answered(
        answer_to(request, unavailable_tweet_ids=["21"], unsupported_for_video_views_tweet_ids=["22"]), request
    )
    output = ReturnedOutput()
    kept.assembled(output)
    rows = {row["tweet_id"]: row for row in output.returned["tweet_totals"]}
    assert rows.keys() == {"20", "22"}
    assert (rows["20"]["favorites"], rows["20"]["video_views"]) == (2009, 2011)
    assert (rows["22"]["favorites"], rows["22"]["video_views"]) == (2209, None)


def test_a_tweet_of_another_author_has_that_author_and_no_owner(
    kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", "21")
    kept.answered(answer_to(request, without=["21"], unavailable_tweet_ids=["21"], authors={"21": "99"}), request)
    output = ReturnedOutput()
    kept.assembled(output)
    owners = {row["tweet_id"]: (row["owner"], row["author"]) for row in output.returned["tweet_status"]}
    assert owners == {"20": ("7", None), "21": (None, "99")}


def test_the_tables_of_all_requests_are_one(kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse) -> None:
    for first in (100, 200, 300):
        request = request_for(*(str(first + number) for number in range(50)))
        kept.answered(answer_to(request), request)
    output = ReturnedOutput()
    result = kept.assembled(output)
    assert result.rows == {"tweet_totals": 150, "tweet_status": 150}
    assert result.outcomes.numbers == {Outcome.OK: 150}
    ids = [row["tweet_id"] for row in output.returned["tweet_totals"]]
    assert ids == [str(first + number) for first in (100, 200, 300) for number in range(50)]


def test_files_are_written_where_a_rerun_finds_and_replaces_them(
    tmp_path: Path, kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", "21")
    kept.answered(answer_to(request), request)
    output = folder_output(tmp_path)
    kept.assembled(output)
    expected = [
        "tweet_status/run_date=2026-01-12/dag.task.20260112T000000.parquet",
        "tweet_totals/snapshot_date=2026-01-12/dag.task.20260112T000000.parquet",
    ]
    assert files(tmp_path) == expected
    assert sorted(output.locations.values()) == [str(tmp_path / path) for path in expected]

    kept.answered(answer_to(request_for("22")), request_for("22"))
    kept.assembled(folder_output(tmp_path))
    assert files(tmp_path) == expected
    table = parquet.read_table(tmp_path / expected[1], partitioning=None)
    assert table["tweet_id"].to_pylist() == ["20", "21", "22"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("file_format", Format)
def test_only_what_became_of_the_tweets_is_written_if_something_is_missing(
    tmp_path: Path, kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse, file_format: Format
) -> None:
    kept.answered(answer_to(request_for("20")), request_for("20"))
    kept.assembled(folder_output(tmp_path, file_format))
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path) if "tweet_status" not in path}
    kept.failed(request_for("21", "22"), NoResponseError("silence"))
    output = folder_output(tmp_path, file_format)
    with pytest.raises(IncompletePullError, match=r"2 of 3 Tweets.*silence"):
        kept.assembled(output)
    gc.collect()
    after = {path: (tmp_path / path).read_bytes() for path in files(tmp_path) if "tweet_status" not in path}
    assert after == before
    assert list(output.locations) == ["tweet_status"]
    (status,) = (path for path in files(tmp_path) if "tweet_status" in path)
    assert b"silence" in (tmp_path / status).read_bytes()


def test_a_request_that_failed_is_told_tweet_by_tweet_where_that_is_accepted(
    kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    kept.answered(answer_to(request_for("20")), request_for("20"))
    kept.failed(request_for("21", "22"), NoResponseError("silence"))
    output = ReturnedOutput()
    result = kept.assembled(output, accepted=(Outcome.FAILED,))
    assert result.outcomes.numbers == {Outcome.OK: 1, Outcome.FAILED: 2}
    assert [row["tweet_id"] for row in output.returned["tweet_totals"]] == ["20"]
    failed = [row for row in output.returned["tweet_status"] if row["outcome"] == "failed"]
    assert [(row["tweet_id"], row["message"], row["checked_at"]) for row in failed] == [
        ("21", "silence", None),
        ("22", "silence", None),
    ]


def test_groupings_are_added_up_over_requests_and_kept_beside_the_tables(
    tmp_path: Path, kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    for tweet_id in ("1", "2", "3"):
        request = request_for(tweet_id, groupings={"grand": (Dimension.METRIC,)})
        kept.answered(answer_to(request), request)
    output = folder_output(tmp_path)
    result = kept.assembled(output)
    assert result.groupings == {"grand": {"favorites": 627, "retweets": 624}}
    assert json.loads(Path(output.locations["groupings"]).read_text()) == result.groupings


def test_what_was_not_asked_of_the_api_is_null_and_not_zero(
    tmp_path: Path, kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", metrics=("quote_tweets",), auth=Auth.APP)
    kept.answered(answer_to(request), request)
    kept.assembled(folder_output(tmp_path), snapshot=replace(SNAPSHOT, owner=None, auth="app"))
    (path,) = (tmp_path / "tweet_totals").rglob("*.parquet")
    (row,) = parquet.read_table(path, partitioning=None).to_pylist()
    assert (row["quote_tweets"], row["owner"], row["auth"]) == (2012, None, "app")
    assert {metric for metric in TWEET_TOTALS.metrics if row[metric] is not None} == {"quote_tweets"}


def test_a_snapshot_of_tweets_that_are_all_gone_has_statuses_and_no_rows(
    tmp_path: Path, kept: Kept, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("20", "21")
    kept.answered(answer_to(request, without=["20", "21"], unavailable_tweet_ids=["20", "21"]), request)
    result = kept.assembled(folder_output(tmp_path))
    assert result.rows == {"tweet_totals": 0, "tweet_status": 2}
    (path,) = (tmp_path / "tweet_totals").rglob("*.parquet")
    assert parquet.read_table(path, partitioning=None).num_rows == 0
