"""Stored responses of totals become a complete snapshot, or none."""

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

from airflow_provider_engagement.engagement_api.catalogue import Auth, Dimension
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import EngagementError, IncompletePullError, NoResponseError
from airflow_provider_engagement.inputs.choices import ACCEPTED_BY_DEFAULT
from airflow_provider_engagement.pull.assembly import AssemblyResult
from airflow_provider_engagement.pull.fetch import FetchResult
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.pull.totals import assemble_totals
from airflow_provider_engagement.pull.tweet_statuses import TweetStatuses
from airflow_provider_engagement.tables.dataset_format import DatasetFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.tables import TWEET_TOTALS

MakeRequest = Callable[..., Request]
Respond = Callable[..., FetchedResponse]

SNAPSHOT_AT = datetime(2026, 1, 12, tzinfo=UTC)
RUN = TaskRun(run_id="scheduled__1", task="dag.task", time=SNAPSHOT_AT, accepted=ACCEPTED_BY_DEFAULT)
FETCHED_AT = "2026-01-12T09:30:15.250Z"
NEW = "1600000000000000000"
NEW_CREATED = "2022-12-06T05:31:41.219Z"
"""The time in the id: (1600000000000000000 >> 22) + 1288834974657 ms after 1970."""


class Pull:
    """Requests and their stored responses, which can be assembled several times.

    :param path: the folder of responses and tables.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / "dataset"
        self.store = ResponseStore(path, identities={None: "7@key", "7": "7@key"})
        self.fetched = FetchResult([])
        self.folder = self.open_folder()

    def open_folder(self, dataset_format: DatasetFormat = DatasetFormat.PARQUET) -> DatasetFolder:
        """Open the folder for another assembly."""
        self.folder = DatasetFolder(self.path, dataset_format)
        return self.folder

    def add(self, request: Request, response: FetchedResponse) -> None:
        """Add a request that got a response."""
        self.store.write(request, StoredResponse.from_fetched(response))
        self.fetched.requests = [*self.fetched.requests, request]

    def fail(self, request: Request, error: EngagementError) -> None:
        """Add a request that failed."""
        self.fetched.requests = [*self.fetched.requests, request]
        self.fetched.failures.append((request, error))

    def assemble(self, run: TaskRun = RUN) -> AssemblyResult:
        """Assemble the tables."""
        return assemble_totals(
            self.fetched,
            TweetStatuses.from_responses(self.fetched, self.store),
            self.store,
            self.folder,
            run=run,
            snapshot_at=SNAPSHOT_AT,
        )

    def rows(self, table: str = "tweet_totals", run: TaskRun = RUN) -> list[dict[str, Any]]:
        """Assemble the tables, and return the rows of one."""
        self.assemble(run)
        return self.folder.read_rows()[table]

    def files(self) -> list[str]:
        """Return the paths of all files of the dataset except locks."""
        paths = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(str(path) for path in paths if path.parts[0] != "_locks")


@pytest.fixture
def pull(tmp_path: Path) -> Pull:
    return Pull(tmp_path)


def test_a_row_has_the_key_the_counts_and_their_origin(
    pull: Pull, request_for: MakeRequest, response_to: Respond, count: Callable[[str, str], int]
) -> None:
    request = request_for("20", NEW, auth=Auth.USER)
    pull.add(request, response_to(request))
    assembled = pull.assemble()
    shared = {"snapshot_at": "2026-01-12T00:00:00.000Z", "owner": "7", "auth": "user", "fetched_at": FETCHED_AT}
    assert pull.folder.read_rows()["tweet_totals"] == [
        {
            "tweet_id": tweet_id,
            **shared,
            **dict.fromkeys(TWEET_TOTALS.metrics),
            "tweet_created_at": created,
            "older_counts": None,
            "runs": RUN.digest,
            "favorites": count(tweet_id, "favorites"),
            "retweets": count(tweet_id, "retweets"),
        }
        for tweet_id, created in ((NEW, NEW_CREATED), ("20", None))
    ]
    assert assembled.rows == {"tweet_totals": 2, "tweet_status": 2}


def test_each_tweet_has_a_status_with_the_reason(pull: Pull, request_for: MakeRequest, response_to: Respond) -> None:
    request = request_for("20", "21", "22", metrics=("favorites", "video_views"), auth=Auth.USER)
    response = response_to(
        request, without=["21"], unavailable_tweet_ids=["21"], unsupported_for_video_views_tweet_ids=["22"]
    )
    pull.add(request, response)
    shared = {"run_id": "scheduled__1", "task": "dag.task", "owner": "7", "author": None, "checked_at": FETCHED_AT}
    shared["endpoint"] = "totals"
    assert pull.rows("tweet_status") == [
        {"tweet_id": "20", **shared, "outcome": "ok", "metrics_affected": None, "message": None},
        {
            "tweet_id": "21",
            **shared,
            "outcome": "unavailable",
            "metrics_affected": "favorites,video_views",
            "message": "deleted or no longer public",
        },
        {
            "tweet_id": "22",
            **shared,
            "outcome": "unsupported_video",
            "metrics_affected": "video_views",
            "message": "the Tweet is more than 1,800 days old",
        },
    ]


def test_an_unsupported_count_is_null_and_an_unavailable_tweet_has_no_row(
    pull: Pull, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("20", "21", "22", metrics=("favorites", "video_views"))
    # The API returns counts for Tweets and metrics that it lists as unavailable or unsupported.
    response = response_to(request, unavailable_tweet_ids=["21"], unsupported_for_video_views_tweet_ids=["22"])
    pull.add(request, response)
    rows = {row["tweet_id"]: row for row in pull.rows()}
    assert rows.keys() == {"20", "22"}
    assert (rows["20"]["favorites"], rows["20"]["video_views"]) == (2009, 2011)
    assert (rows["22"]["favorites"], rows["22"]["video_views"]) == (2209, None)


def test_a_tweet_of_another_user_has_an_author_and_no_owner(
    pull: Pull, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("20", "21", auth=Auth.USER)
    pull.add(request, response_to(request, without=["21"], unavailable_tweet_ids=["21"], authors={"21": "99"}))
    owners = {row["tweet_id"]: (row["owner"], row["author"]) for row in pull.rows("tweet_status")}
    assert owners == {"20": ("7", None), "21": (None, "99")}


def test_the_rows_of_all_requests_are_in_one_file(pull: Pull, request_for: MakeRequest, response_to: Respond) -> None:
    tweet_ids = [str(first + number) for first in (300, 100, 200) for number in range(50)]
    for index in (0, 50, 100):
        request = request_for(*tweet_ids[index : index + 50])
        pull.add(request, response_to(request))
    assembled = pull.assemble()
    assert assembled.rows == {"tweet_totals": 150, "tweet_status": 150}
    assert assembled.outcomes.numbers == {Outcome.OK: 150}
    assert [row["tweet_id"] for row in pull.folder.read_rows()["tweet_totals"]] == sorted(tweet_ids)
    assert len(pull.files()) == 2


def test_a_rerun_replaces_the_files(pull: Pull, request_for: MakeRequest, response_to: Respond) -> None:
    request = request_for("20", "21")
    pull.add(request, response_to(request))
    pull.assemble()
    expected = [
        f"tweet_status/run_date=2026-01-12/dag.task.{RUN.digest}.parquet",
        "tweet_totals/snapshot_date=2026-01-12/20260112T000000000.parquet",
    ]
    assert pull.files() == expected
    assert sorted(pull.folder.locations.values()) == [str(pull.path / path) for path in expected]

    pull.add(request_for("22"), response_to(request_for("22")))
    pull.assemble()
    assert pull.files() == expected
    table = parquet.read_table(pull.path / expected[1], partitioning=None)
    assert table["tweet_id"].to_pylist() == ["20", "21", "22"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dataset_format", DatasetFormat)
def test_an_incomplete_pull_writes_only_statuses(
    pull: Pull, request_for: MakeRequest, response_to: Respond, dataset_format: DatasetFormat
) -> None:
    def other_files() -> dict[str, bytes]:
        return {path: (pull.path / path).read_bytes() for path in pull.files() if "tweet_status" not in path}

    pull.open_folder(dataset_format)
    pull.add(request_for("20"), response_to(request_for("20")))
    pull.assemble()
    before = other_files()
    pull.fail(request_for("21", "22"), NoResponseError("timeout"))
    folder = pull.open_folder(dataset_format)
    with pytest.raises(IncompletePullError, match=r"2 of 3 Tweets.*timeout"):
        pull.assemble()
    gc.collect()
    assert other_files() == before
    assert list(folder.locations) == ["tweet_status"]
    assert [row["message"] for row in folder.read_rows()["tweet_status"]] == [None, "timeout", "timeout"]


def test_each_tweet_of_a_failed_request_has_a_status_if_failed_is_accepted(
    pull: Pull, request_for: MakeRequest, response_to: Respond
) -> None:
    pull.add(request_for("20"), response_to(request_for("20")))
    pull.fail(request_for("21", "22"), NoResponseError("timeout"))
    assembled = pull.assemble(replace(RUN, accepted=(Outcome.FAILED,)))
    assert assembled.outcomes.numbers == {Outcome.OK: 1, Outcome.FAILED: 2}
    rows = pull.folder.read_rows()
    assert [row["tweet_id"] for row in rows["tweet_totals"]] == ["20"]
    assert [
        (row["tweet_id"], row["message"], row["checked_at"])
        for row in rows["tweet_status"]
        if row["outcome"] == "failed"
    ] == [("21", "timeout", None), ("22", "timeout", None)]


def test_groupings_are_summed_over_requests_and_written_beside_the_tables(
    pull: Pull, request_for: MakeRequest, response_to: Respond
) -> None:
    for tweet_id in ("1", "2", "3"):
        request = request_for(tweet_id, groupings={"sum": (Dimension.METRIC,)})
        pull.add(request, response_to(request))
    assembled = pull.assemble()
    assert assembled.groupings == {"sum": {"favorites": 627, "retweets": 624}}
    assert json.loads(Path(pull.folder.locations["groupings"]).read_text()) == assembled.groupings


def test_a_metric_that_was_not_requested_is_null(pull: Pull, request_for: MakeRequest, response_to: Respond) -> None:
    request = request_for("20", metrics=("quote_tweets",), auth=Auth.APP)
    pull.add(request, response_to(request))
    (row,) = pull.rows()
    assert (row["quote_tweets"], row["owner"], row["auth"]) == (2012, None, "app")
    assert {metric for metric in TWEET_TOTALS.metrics if row[metric] is not None} == {"quote_tweets"}


def test_a_snapshot_of_unavailable_tweets_has_statuses_and_no_rows(
    pull: Pull, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("20", "21")
    pull.add(request, response_to(request, without=["20", "21"], unavailable_tweet_ids=["20", "21"]))
    assert pull.assemble().rows == {"tweet_totals": 0, "tweet_status": 2}
    (path,) = (pull.path / "tweet_totals").rglob("*.parquet")
    assert parquet.read_table(path, partitioning=None).num_rows == 0
