"""No request makes the page fail or work without a bound, and every answer has the same headers."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_engagement.report.selection import MAX_PERIODS

from .conftest import DAG_ID, Pulled
from .test_application import dataset_of
from .test_hostile_pulls import FIGURES, OF_PULL

BOUND = 20.0
"""Within how many seconds each answer must come. Most take some milliseconds."""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"start": "0001-01-01"}, "start: 0001-01-01T00:00:00+00:00 is not between 1970-01-01 and 2200-01-01"),
        ({"start": "99999w"}, "start:"),
        ({"start": "999999w"}, "start:"),
        ({"end": "0001-01-01"}, "end:"),
        ({"end": "0001-01-01T00:00:00Z"}, "end:"),
        ({"end": "9999-12-31T23:59:59Z"}, "end:"),
        ({"start": "1900-01-01", "granularity": "hour"}, "start:"),
        ({"start": "2010-01-01", "granularity": "hour"}, "hours, and a figure shows at most 10,000"),
        ({"start": "1970-01-02", "end": "2199-12-31"}, "days, and a figure shows at most 10,000"),
        ({"metrics": "impressions,impressions"}, "metrics: impressions is listed 2 times"),
        ({"tweet_ids": "1," * 1_999 + "x"}, "tweet_ids"),
    ],
)
def test_a_filter_without_bounds_is_refused_with_the_reason(
    alice: TestClient, query: dict[str, str], message: str
) -> None:
    path = dataset_of(alice)
    for name in FIGURES:
        began = time.monotonic()
        response = alice.get(f"{path}/{name}", params=query)
        assert response.status_code == 400
        assert message in response.json()["detail"]
        assert time.monotonic() - began < BOUND


def test_the_longest_interval_that_is_allowed_is_shown(alice: TestClient) -> None:
    path = dataset_of(alice)
    longest = {"start": f"{MAX_PERIODS}h", "end": "now", "granularity": "hour"}
    for name in FIGURES:
        assert alice.get(f"{path}/{name}", params=longest).status_code == 200
    longer = {**longest, "start": f"{MAX_PERIODS + 1}h"}
    assert alice.get(f"{path}/series", params=longer).status_code == 400


@pytest.mark.parametrize("map_index", ["99999999999999999999", "-2", "x", "1.5", "", str(2**31)])
def test_a_map_index_that_no_task_has_is_refused(alice: TestClient, pulled: Pulled, map_index: str) -> None:
    task = {"run_id": pulled.run_id, "task_id": "series", "map_index": map_index}
    for route in (f"data/dags/{DAG_ID}/pull", f"data/dags/{DAG_ID}/pull/requests", "report"):
        response = alice.get(route, params={**task, "dag_id": DAG_ID})
        assert response.status_code == 422


@pytest.mark.parametrize("user", ["alice", "victor", "nobody", ""])
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", ""),
        ("GET", "data/datasets"),
        ("GET", "data/rate_limit/use"),
        ("GET", "data/rate_limit/use?form=csv"),
        ("GET", "data/rate_limit/other"),
        ("GET", f"data/dags/{DAG_ID}/pull?run_id=RUN&task_id=series"),
        ("GET", f"data/dags/{DAG_ID}/pull?run_id=RUN&task_id=nothing"),
        ("GET", f"data/dags/{DAG_ID}/pull"),
        ("GET", f"data/dags/{DAG_ID}/pull/requests?run_id=RUN&task_id=series&form=csv"),
        ("GET", f"data/dags/{DAG_ID}/datasets/0/series?start=x"),
        ("GET", f"report?dag_id={DAG_ID}&run_id=RUN&task_id=report"),
        ("GET", "report"),
        ("GET", "nothing"),
        ("GET", "files/nothing"),
        ("GET", "data/dags/%00/pull?run_id=RUN&task_id=series"),
        ("GET", "report?dag_id=%00&run_id=RUN&task_id=report"),
        ("POST", "data/datasets"),
        ("DELETE", ""),
        ("OPTIONS", "data/datasets"),
    ],
)
def test_every_answer_has_the_same_headers(
    login: Callable[[str], TestClient], pulled: Pulled, user: str, method: str, route: str
) -> None:
    response = login(user).request(method, route.replace("RUN", pulled.run_id))

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.status_code < 500


def test_an_error_that_nobody_has_foreseen_has_the_headers_too(
    alice: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("airflow_provider_engagement.plugin.application._file", fail)
    response = alice.get("")

    assert response.status_code == 500
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_only_the_files_of_the_page_are_kept_by_the_browser(alice: TestClient) -> None:
    for route in ("files/page.js", "vega.js"):
        assert alice.get(route).headers["cache-control"].startswith("private, max-age=")


VALUES = st.text(max_size=30) | st.sampled_from(
    [
        *("0001-01-01", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
        *("99999w", "999999w", "1h", "now", "1970-01-01", "2200-01-01", "2199-12-31T23:30:00Z", "2026-02-30"),
        *("impressions", "impressions,impressions", "quote_tweets", "email_tweet,quote_tweets", ",", "[", "[1]"),
        *("hour", "day", "total", "1", "99999999999999999999", "0", "-1", "[[1]]", '{"a": 1}', "csv", "json"),
        *("UTC", "Asia/Kolkata", "Europe", "../../etc/passwd", "Etc/GMT+12", "Pacific/Apia", "/etc/localtime"),
        *("\0", "%00", "\ud7ff", "\u202e", "'", "a" * 4_001),
    ]
)
NAMES = st.sampled_from(
    [
        *("start", "end", "metrics", "granularity", "tweet_ids", "zone", "form"),
        *("run_id", "task_id", "map_index", "dag_id", "surplus"),
    ]
)
RATE_LIMIT = ("unfinished", "use", "saved", "pulls", "backfills", "other")
ROUTES = st.one_of(
    st.sampled_from(FIGURES).map(lambda name: f"DATASET/{name}"),
    st.sampled_from(FIGURES).map(lambda name: f"data/dags/{DAG_ID}/datasets/0/{name}"),
    st.sampled_from(OF_PULL).map(lambda name: f"data/dags/{DAG_ID}/pull/{name}"),
    st.sampled_from(["unfinished", "use", "saved", "pulls", "backfills", "x"]).map(
        lambda name: f"data/rate_limit/{name}"
    ),
    st.just(f"data/dags/{DAG_ID}/pull"),
    st.just("report"),
    st.just("data/datasets"),
    st.text(min_size=1, max_size=6).map(lambda text: f"data/dags/{quote(text)}/pull"),
    st.text(min_size=1, max_size=6).map(lambda text: f"data/dags/{DAG_ID}/datasets/{quote(text)}/series"),
)


@given(route=ROUTES, query=st.lists(st.tuples(NAMES, VALUES), max_size=5), is_task=st.booleans())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_page_fail(
    login: Callable[[str], TestClient], pulled: Pulled, route: str, query: list[tuple[str, str]], is_task: bool
) -> None:
    alice = login("alice")
    if is_task:
        task = [("dag_id", DAG_ID), ("run_id", pulled.run_id), ("task_id", "series")]
        query = [*query, *(pair for pair in task if pair[0] not in dict(query))]
    route = route.replace("DATASET", dataset_of(alice)) if "DATASET" in route else route

    began = time.monotonic()
    response = alice.get(route, params=query)

    assert response.status_code < 500, response.text
    assert time.monotonic() - began < BOUND
    assert response.headers["cache-control"] == "no-store"
