"""A part is found by the request that it answers, and by no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from airflow_provider_engagement.api.catalogue import FOUR_ITEM_ORDERS, Auth, Dimension, Endpoint
from airflow_provider_engagement.api.client import Fetched
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Granularity, Query
from airflow_provider_engagement.api.response import Outcome, TweetStatus, parse_response
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.response_store import ResponseStore, part_of

MakeRequest = Callable[..., Request]
ParsedResponse = Callable[..., Fetched]

BY_METRIC = (Dimension.METRIC,)
BY_DAY = (Dimension.METRIC, Dimension.DAY)
JANUARY = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
HISTORY = Query(
    endpoint=Endpoint.HISTORICAL,
    auth=Auth.USER,
    tweet_ids=("10", "11"),
    metrics=("impressions", "favorites"),
    granularities=(Granularity.DAY,),
    groupings={"grand": BY_METRIC},
    window=JANUARY,
)


def store(folder: Path, *, identity: str = "7@key", occasion: str = "20260112T000000") -> ResponseStore:
    return ResponseStore(folder, identity=identity, occasion=occasion)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_was_kept_is_read_again_as_it_was(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10", "11", "12", groupings={"grand": BY_METRIC})
    fetched = answer_to(request, without=["12"], unavailable_tweet_ids=["12"], authors={"11": "99", "10": None})
    kept = part_of(fetched)
    store(tmp_path).write(request, kept)

    again = store(tmp_path)
    assert again.holds(request)
    read = again.read(request)
    assert read is not None
    assert read.counts.equals(kept.counts)
    assert read.counts.to_pylist() == [
        {
            "granularity": "total",
            "tweet_id": tweet_id,
            "period_start": None,
            "hour_of_day": None,
            "favorites": int(tweet_id) * 100 + 9,
            "retweets": int(tweet_id) * 100 + 8,
        }
        for tweet_id in ("10", "11")
    ]
    assert read.statuses == {
        "10": TweetStatus(Outcome.OK),
        "11": TweetStatus(Outcome.OK),
        "12": TweetStatus(Outcome.UNAVAILABLE, ("favorites", "retweets"), "deleted, or not public any more"),
    }
    assert read.groupings == {"grand": {"favorites": 2118, "retweets": 2116}}
    assert read.authors == {"11": "99", "10": None}
    assert read.fetched_at == fetched.fetched_at
    assert (read.start, read.end) == (None, None)


def test_periods_and_the_window_that_the_api_echoed_are_kept(tmp_path: Path) -> None:
    query = replace(HISTORY, granularities=(Granularity.HOUR, Granularity.HOUR_OF_DAY), groupings={}, tweet_ids=("10",))
    window = TimeRange(datetime(2026, 1, 1, 22, tzinfo=UTC), datetime(2026, 1, 2, 1, tzinfo=UTC))
    request = Request(replace(query, window=window), ("10",), window)
    hours = {"2026-01-01": {"22": "-1", "23": "9007199254740993"}, "2026-01-02": {"00": "3"}}
    of_day = {"22": "1", "23": "2", "00": "3"}
    body = {
        "start": "2026-01-01T22:00:00Z",
        "end": "2026-01-02T00:30:00Z",
        "hour": {"10": {"impressions": hours, "favorites": hours}},
        "hour_of_day": {"10": {"impressions": of_day, "favorites": of_day}},
    }
    part = part_of(
        Fetched(answer=parse_response(request, body), fetched_at=datetime(2026, 2, 1, tzinfo=UTC), authors={})
    )
    store(tmp_path).write(request, part)
    read = store(tmp_path).read(request)
    assert read is not None
    assert (read.start, read.end) == (
        datetime(2026, 1, 1, 22, tzinfo=UTC),
        datetime(2026, 1, 2, 0, 30, tzinfo=UTC),
    )
    rows = [row for row in read.counts.to_pylist() if row["granularity"] == "hour"]
    assert [(row["period_start"], row["impressions"]) for row in rows] == [
        (datetime(2026, 1, 1, 22, tzinfo=UTC), -1),
        (datetime(2026, 1, 1, 23, tzinfo=UTC), 2**53 + 1),
        (datetime(2026, 1, 2, 0, tzinfo=UTC), 3),
    ]
    of_days = {
        row["hour_of_day"]: row["impressions"]
        for row in read.counts.to_pylist()
        if row["granularity"] == "hour_of_day" and row["impressions"] is not None
    }
    assert of_days == {"22": 1, "23": 2, "00": 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"tweet_ids": ("10", "12")},
        {"tweet_ids": ("10",)},
        {"tweet_ids": ("1", "011")},
        {"metrics": ("impressions",)},
        {"metrics": ("impressions", "retweets")},
        {"granularities": (Granularity.HOUR,)},
        {"granularities": (Granularity.DAY, Granularity.TOTAL)},
        {"groupings": {}},
        {"groupings": {"other": BY_METRIC}},
        {"groupings": {"grand": BY_DAY}},
        {"window": TimeRange(datetime(2026, 1, 1, 1, tzinfo=UTC), JANUARY.end)},
        {"window": TimeRange(JANUARY.start, datetime(2026, 1, 2, 23, tzinfo=UTC))},
        {"endpoint": Endpoint.LAST_28_HOURS, "window": None},
    ],
    ids=str,
)
def test_another_question_is_another_part(tmp_path: Path, changes: dict[str, Any]) -> None:
    request = Request(HISTORY, HISTORY.tweet_ids, HISTORY.window)
    kept = store(tmp_path)
    answer = parse_response(request, {"unavailable_tweet_ids": list(request.tweet_ids)})
    kept.write(request, part_of(Fetched(answer=answer, fetched_at=datetime(2026, 2, 1, tzinfo=UTC), authors={})))
    query = replace(HISTORY, **changes)
    other = Request(query, query.tweet_ids, query.window)
    for asked in (kept, store(tmp_path)):
        assert asked.holds(request)
        assert not asked.holds(other)
        assert asked.read(other) is None


def test_the_same_question_to_another_endpoint_or_as_somebody_else_is_another_part(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10")
    store(tmp_path).write(request, part_of(answer_to(request)))
    assert store(tmp_path).holds(request)
    assert not store(tmp_path).holds(request_for("10", auth=Auth.USER))
    assert not store(tmp_path).holds(request_for("10", auth=Auth.USER, endpoint=Endpoint.LAST_28_HOURS))


@pytest.mark.parametrize("changes", [{"identity": "8@key"}, {"identity": "7@other"}, {"occasion": "20260113T000000"}])
def test_another_identity_or_occasion_finds_nothing(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse, changes: dict[str, str]
) -> None:
    request = request_for("10")
    store(tmp_path).write(request, part_of(answer_to(request)))
    assert not store(tmp_path, **changes).holds(request)
    assert store(tmp_path, **changes).read(request) is None


def test_what_a_request_asks_counts_and_not_the_plan_that_it_is_of(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10")
    store(tmp_path).write(request, part_of(answer_to(request)))
    of_a_larger_plan = replace(request, query=replace(request.query, tweet_ids=("9", "10", "11")))
    assert store(tmp_path).holds(of_a_larger_plan)


def test_a_part_without_an_explanation_is_kept_and_asked_for_again(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10", "11")
    first = store(tmp_path)
    first.write(request, part_of(answer_to(request, without=["11"])))
    for one in (first, store(tmp_path)):
        assert not one.holds(request)
        read = one.read(request)
        assert read is not None
        assert read.statuses["11"].outcome is Outcome.NO_DATA
        assert read.counts["tweet_id"].to_pylist() == ["10"]

    first.write(request, part_of(answer_to(request)))
    for one in (first, store(tmp_path)):
        assert one.holds(request)
        read = one.read(request)
        assert read is not None
        assert read.statuses["11"].outcome is Outcome.OK


def test_a_later_answer_without_an_explanation_does_not_hide_a_settled_one(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10")
    first, second = store(tmp_path), store(tmp_path)
    first.write(request, part_of(answer_to(request)))
    second.write(request, part_of(answer_to(request, without=["10"])))
    read = store(tmp_path).read(request)
    assert read is not None
    assert read.settled


def test_a_part_whose_writing_fails_is_not_there(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for("10")
    one = store(tmp_path)

    def half(table: Any, file: Any, **_: Any) -> None:
        file.write(b"PAR1 and no more")
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write_table", half)
        with pytest.raises(OSError, match="No space left"):
            one.write(request, part_of(answer_to(request)))
    assert files(tmp_path) == []
    assert not one.holds(request)
    assert one.read(request) is None
    one.write(request, part_of(answer_to(request)))
    assert one.holds(request)


def test_what_a_killed_writer_left_behind_is_not_read(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for("10")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: None)
        store(tmp_path).write(request, part_of(answer_to(request)))
    (left,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    left.write_bytes(left.read_bytes()[:100])
    again = store(tmp_path)
    assert not again.holds(request)
    assert again.read(request) is None
    again.write(request, part_of(answer_to(request)))
    assert store(tmp_path).holds(request)


def test_two_stores_at_once_keep_every_part_whole(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    requests = [request_for(str(number)) for number in range(1, 31)]
    failures: list[BaseException] = []
    begin = threading.Barrier(4)

    def write_all(one: ResponseStore) -> None:
        try:
            begin.wait(timeout=10)
            for request in requests:
                one.write(request, part_of(answer_to(request)))
        except BaseException as error:
            failures.append(error)

    stores = [store(tmp_path), store(tmp_path)]
    threads = [threading.Thread(target=write_all, args=(one,)) for one in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    third = store(tmp_path)
    for request in requests:
        for one in (*stores, third):
            assert one.holds(request)
            part = one.read(request)
            assert part is not None
            assert part.counts["tweet_id"].to_pylist() == list(request.tweet_ids)
    assert len(files(tmp_path)) == len(requests)


def test_parts_are_kept_out_of_the_way_of_readers_and_tell_nothing_of_who_asked(
    tmp_path: Path, request_for: MakeRequest, answer_to: ParsedResponse
) -> None:
    request = request_for("10")
    store(tmp_path, identity="7@canary-key").write(request, part_of(answer_to(request)))
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.relative_to(tmp_path).parts[0].startswith("_")
    assert "canary" not in str(path)
    assert b"canary" not in path.read_bytes()


def test_groupings_that_are_made_of_the_hours_are_part_of_what_was_asked(tmp_path: Path) -> None:
    window = TimeRange(datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC))

    def request(**groupings: tuple[Dimension, ...]) -> Request:
        query = Query(
            endpoint=Endpoint.HISTORICAL,
            auth=Auth.USER,
            tweet_ids=("1",),
            metrics=("impressions",),
            granularities=(Granularity.HOUR,),
            groupings=groupings,
            window=window,
        )
        return Request(query, ("1",), window)

    by_tweet, by_metric = FOUR_ITEM_ORDERS
    plain, own, other = request(), request(own=by_tweet), request(own=by_metric)
    assert plain.body() == own.body() == other.body()
    store = ResponseStore(tmp_path, identity="someone")
    day = {"2026-01-10": {f"{hour:02d}": "1" for hour in range(24)}}
    answer = parse_response(plain, {"hour": {"1": {"impressions": day}}})
    store.write(plain, part_of(Fetched(answer=answer, fetched_at=window.end, authors={})))

    assert [store.holds(one) for one in (plain, own, other)] == [True, False, False]
