"""A stored response is found by an equal request, and by no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.engagement_api.catalogue import FOUR_ITEM_ORDERS, Auth, Dimension, Endpoint
from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.engagement_api.query import Query
from airflow_provider_engagement.engagement_api.rejected_tweets import FetchedResponse
from airflow_provider_engagement.engagement_api.response import Outcome, TweetStatus, all_unavailable, parse_response
from airflow_provider_engagement.engagement_api.time_range import TimeRange
from airflow_provider_engagement.pull.response_store import ResponseStore, StoredResponse, reuse_final

MakeRequest = Callable[..., Request]
Respond = Callable[..., FetchedResponse]

BY_METRIC = (Dimension.METRIC,)
BY_DAY = (Dimension.METRIC, Dimension.DAY)
BY_TWEET = (Dimension.TWEET, Dimension.METRIC, Dimension.DAY, Dimension.HOUR)
SNAPSHOT = datetime(2026, 1, 12, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
JANUARY = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
HISTORY = Query(
    endpoint=Endpoint.HISTORICAL,
    auth=Auth.USER,
    tweet_ids=("10", "11"),
    metrics=("impressions", "favorites"),
    groupings={"sum": BY_METRIC},
    interval=JANUARY,
)


def open_store(folder: Path, **changes: Any) -> ResponseStore:
    identity = changes.pop("identity", "7@key")
    return ResponseStore(folder, **{"identities": {None: identity, "7": identity}, "as_of": SNAPSHOT, **changes})


def stored(request: Request, body: Mapping[str, Any], fetched_at: datetime = FEBRUARY) -> StoredResponse:
    response = parse_response(request, body)
    return StoredResponse.from_fetched(FetchedResponse(response=response, fetched_at=fetched_at, authors={}))


def unavailable(request: Request, fetched_at: datetime = FEBRUARY) -> StoredResponse:
    response = all_unavailable(request, ())
    return StoredResponse.from_fetched(FetchedResponse(response=response, fetched_at=fetched_at, authors={}))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_stored_response_is_read_unchanged(tmp_path: Path, request_for: MakeRequest, response_to: Respond) -> None:
    request = request_for("10", "11", "12", groupings={"sum": BY_METRIC})
    fetched = response_to(request, without=["12"], unavailable_tweet_ids=["12"], authors={"11": "99", "10": None})
    response = StoredResponse.from_fetched(fetched)
    open_store(tmp_path).write(request, response)

    store = open_store(tmp_path)
    assert store.contains(request)
    read = store.read(request)
    assert read is not None
    assert read.counts.equals(response.counts)
    assert read.counts.to_pylist() == [
        {"tweet_id": "10", "period_start": None, "favorites": 1009, "retweets": 1008},
        {"tweet_id": "11", "period_start": None, "favorites": 1109, "retweets": 1108},
    ]
    assert read.statuses == {
        "10": TweetStatus(Outcome.OK),
        "11": TweetStatus(Outcome.OK),
        "12": TweetStatus(Outcome.UNAVAILABLE, ("favorites", "retweets"), "deleted or no longer public"),
    }
    assert read.groupings == {"sum": {"favorites": 2118, "retweets": 2116}}
    assert read.authors == {"11": "99", "10": None}
    assert read.fetched_at == fetched.fetched_at == store.fetched_at(request)


def test_periods_and_the_window_that_the_api_returned_are_kept(tmp_path: Path) -> None:
    window = TimeRange(datetime(2026, 1, 1, 22, tzinfo=UTC), datetime(2026, 1, 2, 1, tzinfo=UTC))
    query = replace(HISTORY, groupings={}, tweet_ids=("10",), interval=window)
    request = Request(query, ("10",), window)
    hours = {"2026-01-01": {"22": "-1", "23": "9007199254740993"}, "2026-01-02": {"00": "3"}}
    body = {
        "start": "2026-01-01T22:00:00Z",
        "end": "2026-01-02T00:30:00Z",
        "hour": {"10": {"impressions": hours, "favorites": hours}},
    }
    open_store(tmp_path).write(request, stored(request, body))
    read = open_store(tmp_path).read(request)
    assert read is not None
    assert [(row["period_start"], row["impressions"]) for row in read.counts.to_pylist()] == [
        (datetime(2026, 1, 1, 22, tzinfo=UTC), -1),
        (datetime(2026, 1, 1, 23, tzinfo=UTC), 2**53 + 1),
        (datetime(2026, 1, 2, 0, tzinfo=UTC), 3),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"tweet_ids": ("10", "12")},
        {"tweet_ids": ("10",)},
        {"tweet_ids": ("101", "1")},
        {"metrics": ("impressions",)},
        {"metrics": ("impressions", "retweets")},
        {"groupings": {}},
        {"groupings": {"other": BY_METRIC}},
        {"groupings": {"sum": BY_DAY}},
        {"groupings": {"sum": BY_METRIC, "second": BY_DAY}},
        {"groupings": {"sum": BY_TWEET}},
        {"interval": TimeRange(datetime(2026, 1, 1, 1, tzinfo=UTC), JANUARY.end)},
        {"interval": TimeRange(JANUARY.start, datetime(2026, 1, 2, 23, tzinfo=UTC))},
        {"endpoint": Endpoint.LAST_28_HOURS, "interval": None},
    ],
    ids=str,
)
def test_a_different_request_has_a_different_response(tmp_path: Path, changes: dict[str, Any]) -> None:
    request = Request(HISTORY, HISTORY.tweet_ids, HISTORY.interval)
    query = replace(HISTORY, **changes)
    other = Request(query, query.tweet_ids, query.interval)
    written = open_store(tmp_path)
    written.write(request, unavailable(request))
    for store in (written, open_store(tmp_path)):
        assert store.contains(request)
        assert not store.contains(other)
        assert store.read(other) is None
        assert store.fetched_at(other) is None


def test_other_credentials_or_another_endpoint_have_a_different_response(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("10")
    open_store(tmp_path).write(request, StoredResponse.from_fetched(response_to(request)))
    store = open_store(tmp_path)
    assert store.contains(request)
    assert not store.contains(request_for("10", auth=Auth.USER))
    assert not store.contains(request_for("10", auth=Auth.USER, endpoint=Endpoint.LAST_28_HOURS))


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "8@key"},
        {"identity": "7@other"},
        {"as_of": SNAPSHOT + timedelta(seconds=1)},
        {"as_of": None},
        {"writer": "other"},
    ],
    ids=str,
)
def test_another_identity_run_or_snapshot_finds_nothing(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond, changes: dict[str, Any]
) -> None:
    request = request_for("10")
    open_store(tmp_path).write(request, StoredResponse.from_fetched(response_to(request)))
    store = open_store(tmp_path, **changes)
    assert not store.contains(request)
    assert store.read(request) is None


def test_equal_requests_of_different_plans_share_a_response(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("10")
    open_store(tmp_path).write(request, StoredResponse.from_fetched(response_to(request)))
    of_a_larger_plan = replace(request, query=replace(request.query, tweet_ids=("9", "10", "11")))
    assert open_store(tmp_path).contains(of_a_larger_plan)


def test_a_response_with_unexplained_gaps_is_stored_and_requested_again(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("10", "11")
    written = open_store(tmp_path)
    written.write(request, StoredResponse.from_fetched(response_to(request, without=["11"])))
    for store in (written, open_store(tmp_path)):
        assert not store.contains(request)
        read = store.read(request)
        assert read is not None
        assert not read.is_conclusive
        assert read.statuses["11"].outcome is Outcome.NO_DATA
        assert read.counts["tweet_id"].to_pylist() == ["10"]

    written.write(request, StoredResponse.from_fetched(response_to(request)))
    for store in (written, open_store(tmp_path)):
        assert store.contains(request)
        read = store.read(request)
        assert read is not None
        assert read.statuses["11"].outcome is Outcome.OK


def test_a_newer_inconclusive_response_does_not_hide_a_conclusive_one(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("10")
    first, second = open_store(tmp_path), open_store(tmp_path)
    conclusive = StoredResponse.from_fetched(response_to(request))
    newer = StoredResponse.from_fetched(response_to(request, without=["10"]))
    first.write(request, conclusive)
    second.write(request, replace(newer, fetched_at=conclusive.fetched_at + timedelta(minutes=1)))
    store = open_store(tmp_path)
    read = store.read(request)
    assert read is not None
    assert read.is_conclusive
    assert store.fetched_at(request) == conclusive.fetched_at


def test_the_newest_of_several_conclusive_responses_is_read(tmp_path: Path) -> None:
    request = Request(HISTORY, HISTORY.tweet_ids, HISTORY.interval)
    store = open_store(tmp_path)
    for minutes in (1, 2, 0):
        store.write(request, unavailable(request, FEBRUARY + timedelta(minutes=minutes)))
    for opened in (store, open_store(tmp_path)):
        read = opened.read(request)
        assert read is not None
        assert read.fetched_at == opened.fetched_at(request) == FEBRUARY + timedelta(minutes=2)


def test_a_response_that_is_not_reusable_is_neither_contained_nor_read(tmp_path: Path) -> None:
    request = Request(HISTORY, HISTORY.tweet_ids, HISTORY.interval)
    open_store(tmp_path).write(request, unavailable(request))
    store = open_store(tmp_path, is_reusable=lambda request, fetched_at, is_own: fetched_at > FEBRUARY)
    assert not store.contains(request)
    assert store.read(request) is None
    store.write(request, unavailable(request, FEBRUARY + timedelta(minutes=1)))
    assert store.contains(request)
    read = store.read(request)
    assert read is not None
    assert read.fetched_at == FEBRUARY + timedelta(minutes=1)


def test_final_recent_and_own_responses_are_reused(request_for: MakeRequest) -> None:
    hour, now = timedelta(hours=1), FEBRUARY
    is_reusable = reuse_final(settling_time=72 * hour, reuse_for=2 * hour, run_start=now - 5 * hour, now=now)
    history, totals = Request(HISTORY, HISTORY.tweet_ids, JANUARY), request_for("10")
    final_at = JANUARY.end + 72 * hour
    assert is_reusable(history, final_at, False)
    assert not is_reusable(history, final_at - timedelta(seconds=1), True)
    assert is_reusable(totals, now - 2 * hour, False)
    assert not is_reusable(totals, now - 2 * hour - timedelta(seconds=1), False)
    assert is_reusable(totals, now - 5 * hour, True)
    assert not is_reusable(totals, now - 5 * hour - timedelta(seconds=1), True)


def test_a_store_knows_which_responses_its_run_has_written(tmp_path: Path) -> None:
    request = Request(HISTORY, HISTORY.tweet_ids, HISTORY.interval)
    open_store(tmp_path, as_of=None, writer="one").write(request, unavailable(request))
    for writer, is_own in (("one", True), ("other", False), (None, False)):
        store = open_store(tmp_path, as_of=None, writer=writer, is_reusable=lambda request, fetched_at, is_own: is_own)
        assert store.contains(request) == is_own, writer


def test_a_response_whose_writing_fails_is_not_stored(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for("10")
    store = open_store(tmp_path)

    def write_half(table: Any, file: Any, **_: Any) -> None:
        file.write(b"PAR1 and no more")
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write_table", write_half)
        with pytest.raises(OSError, match="No space left"):
            store.write(request, StoredResponse.from_fetched(response_to(request)))
    assert files(tmp_path) == []
    assert not store.contains(request)
    assert store.read(request) is None
    store.write(request, StoredResponse.from_fetched(response_to(request)))
    assert store.contains(request)


def test_the_file_of_a_killed_writer_is_not_read(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for("10")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: None)
        open_store(tmp_path).write(request, StoredResponse.from_fetched(response_to(request)))
    (incomplete,) = files(tmp_path)
    incomplete.write_bytes(incomplete.read_bytes()[:100])
    store = open_store(tmp_path)
    assert not store.contains(request)
    assert store.read(request) is None
    store.write(request, StoredResponse.from_fetched(response_to(request)))
    assert open_store(tmp_path).contains(request)


def test_concurrent_writers_store_every_response(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    requests = [request_for(str(number)) for number in range(1, 31)]
    failures: list[BaseException] = []
    all_ready = threading.Barrier(4)

    def write_all(store: ResponseStore) -> None:
        try:
            all_ready.wait(timeout=10)
            for request in requests:
                store.write(request, StoredResponse.from_fetched(response_to(request)))
        except BaseException as error:
            failures.append(error)

    stores = [open_store(tmp_path), open_store(tmp_path)]
    threads = [threading.Thread(target=write_all, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    reopened = open_store(tmp_path)
    for request in requests:
        for store in (*stores, reopened):
            assert store.contains(request)
            response = store.read(request)
            assert response is not None
            assert response.counts["tweet_id"].to_pylist() == list(request.tweet_ids)
    assert len(files(tmp_path)) == len(requests)


def test_responses_are_hidden_from_readers_and_do_not_contain_the_identity(
    tmp_path: Path, request_for: MakeRequest, response_to: Respond
) -> None:
    request = request_for("10")
    open_store(tmp_path, identity="7@canary-key").write(request, StoredResponse.from_fetched(response_to(request)))
    (path,) = files(tmp_path)
    assert path.relative_to(tmp_path).parts[0].startswith("_")
    assert "canary" not in str(path)
    assert b"canary" not in path.read_bytes()


def test_groupings_that_are_derived_from_hourly_rows_are_part_of_the_request(tmp_path: Path) -> None:
    window = TimeRange(datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC))

    def request(**groupings: tuple[Dimension, ...]) -> Request:
        query = replace(HISTORY, tweet_ids=("1",), metrics=("impressions",), groupings=groupings, interval=window)
        return Request(query, ("1",), window)

    by_tweet, by_metric = FOUR_ITEM_ORDERS
    plain, derived, other = request(), request(derived=by_tweet), request(derived=by_metric)
    assert plain.body() == derived.body() == other.body()
    store = ResponseStore(tmp_path, identities={None: "7@key", "7": "7@key", "8": "8@key"})
    day = {"2026-01-10": {f"{hour:02d}": "1" for hour in range(24)}}
    store.write(plain, stored(plain, {"hour": {"1": {"impressions": day}}}, window.end))
    assert [store.contains(one) for one in (plain, derived, other)] == [True, False, False]
