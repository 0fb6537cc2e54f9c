"""The routes of the page: what they show is true, and they show it only to whom may see it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_provider_engagement.pull.progress import ProgressRecord

from .conftest import DAG_ID, DAYS, METRICS, NEEDS_TASK_STATE, REQUESTS_PER_MINUTE, TODAY, Pulled, keep_state


def dataset_of(client: TestClient) -> str:
    (dataset,) = client.get("data/datasets").json()["datasets"]
    path: str = f"data/dags/{DAG_ID}/datasets/{dataset['dataset']}"
    return path


def records(figure: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in figure["columns"]]
    return [dict(zip(names, row, strict=True)) for row in figure["rows"]]


def test_the_datasets_are_those_of_the_manifests(alice: TestClient, pulled: Pulled) -> None:
    (dataset,) = alice.get("data/datasets").json()["datasets"]

    assert dataset["dag_id"] == DAG_ID
    assert dataset["folder"].removeprefix("file://") == pulled.folder
    assert dataset["tasks"] == ["series", "totals"]
    assert dataset["pulls"] == 2


def test_the_series_is_that_of_the_world(alice: TestClient, pulled: Pulled) -> None:
    figure = alice.get(f"{dataset_of(alice)}/series", params={"start": f"{TODAY - timedelta(days=DAYS):%Y-%m-%d}"})

    found = records(figure.json())
    assert len(found) == DAYS
    for row in found:
        start = datetime.fromisoformat(row["period_start"])
        assert {metric: row[metric] for metric in METRICS} == {
            metric: pulled.count(metric, start, start + timedelta(days=1)) for metric in METRICS
        }
    assert len(figure.json()["plots"]) == len(METRICS)


def test_the_csv_has_the_rows_of_the_table(alice: TestClient) -> None:
    path = f"{dataset_of(alice)}/series"
    response = alice.get(path, params={"form": "csv", "metrics": "impressions"})

    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == 'attachment; filename="series.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    found = records(alice.get(path, params={"metrics": "impressions"}).json())
    assert [row["impressions"] for row in rows] == [
        "" if r["impressions"] is None else str(r["impressions"]) for r in found
    ]


def test_a_time_zone_whose_days_cannot_be_made_gives_days_of_utc(alice: TestClient) -> None:
    figure = alice.get(f"{dataset_of(alice)}/series", params={"zone": "Asia/Kolkata"}).json()
    assert (figure["zone"], figure["shown"]["granularity"]) == ("UTC", "day")


def test_a_pull_shows_its_manifest_and_requests(alice: TestClient, pulled: Pulled) -> None:
    pull = alice.get(f"data/dags/{DAG_ID}/pull", params={"run_id": pulled.run_id, "task_id": "series"}).json()

    assert pull["state"] == "success"
    assert pull["operator"] == "EngagementHistoricalOperator"
    assert pull["manifest"]["requested"] == len(pulled.tweet_ids)
    requests = records(
        alice.get(f"data/dags/{DAG_ID}/pull/requests", params={"run_id": pulled.run_id, "task_id": "series"}).json()
    )
    assert {row["requests"]: row["number"] for row in requests}["planned"] == 2
    missing = records(
        alice.get(f"data/dags/{DAG_ID}/pull/missing", params={"run_id": pulled.run_id, "task_id": "series"}).json()
    )
    tweets = [pulled.world.tweets[tweet_id] for tweet_id in pulled.tweet_ids]
    deleted = [tweet for tweet in tweets if tweet.deleted and tweet.created_at and tweet.created_at < TODAY]
    assert [(row["outcome"], row["tweets"]) for row in missing] == [("unavailable", len(deleted))]


def test_a_pull_shows_the_outcome_of_each_of_its_tweets(alice: TestClient, pulled: Pulled) -> None:
    response = alice.get(f"data/dags/{DAG_ID}/pull/tweets", params={"run_id": pulled.run_id, "task_id": "series"})

    found = {row["tweet_id"]: row["outcome"] for row in records(response.json())}
    tweets = pulled.world.tweets
    assert found == {
        tweet_id: "unavailable" if tweets[tweet_id].deleted and (tweets[tweet_id].created_at or TODAY) < TODAY else "ok"
        for tweet_id in pulled.tweet_ids
    }


def test_a_task_without_a_manifest_says_so(alice: TestClient, pulled: Pulled) -> None:
    pull = alice.get(f"data/dags/{DAG_ID}/pull", params={"run_id": pulled.run_id, "task_id": "report"}).json()
    assert (pull["manifest"], pull["operator"], pull["report"]) == (None, "WeeklyReportOperator", True)
    response = alice.get(f"data/dags/{DAG_ID}/pull/requests", params={"run_id": pulled.run_id, "task_id": "report"})
    assert response.status_code == 404


def test_the_rate_limit_counts_the_requests_of_the_last_day(alice: TestClient) -> None:
    used = records(alice.get("data/rate_limit/use").json())
    pulls = records(alice.get("data/rate_limit/pulls").json())

    assert len(used) == 24
    assert sum(row["sent"] for row in used) == sum(row["sent"] for row in pulls) == 3
    assert alice.get("data/rate_limit/backfills").json()["rows"] == []


def test_the_rate_limit_is_that_of_the_last_headers(alice: TestClient, pulled: Pulled) -> None:
    (row,) = records(alice.get("data/rate_limit/saved").json())

    assert row["dataset"].removeprefix("file://") == pulled.folder
    assert (row["dag_ids"], row["limit"]) == (DAG_ID, REQUESTS_PER_MINUTE)
    assert 0 < row["remaining"] < row["limit"]
    assert row["remaining_now"] in (row["remaining"], row["limit"])
    assert row["resets_at"] is not None


def test_a_dataset_that_cannot_be_read_does_not_hide_the_rate_limit_of_others(
    alice: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: object) -> Any:
        raise OSError("key AKIA-SECRET was rejected")

    monkeypatch.setattr("airflow_provider_engagement.plugin.rate_limit_routes.saved_rate_limits", fail)
    response = alice.get("data/rate_limit/saved")

    assert response.status_code == 200
    assert response.json()["notes"] == ["Datasets that cannot be read: 1. The log of the API server has the reason."]
    assert "SECRET" not in response.text


@NEEDS_TASK_STATE
def test_an_unfinished_pull_shows_its_progress(alice: TestClient, pulled: Pulled, waiting: ProgressRecord) -> None:
    pull = alice.get(f"data/dags/{DAG_ID}/pull", params={"run_id": pulled.run_id, "task_id": "totals"}).json()
    (row,) = records(alice.get("data/rate_limit/unfinished").json())

    assert (pull["state"], pull["manifest"]) == ("deferred", None)
    assert pull["progress"]["text"] == str(waiting.progress)
    assert (pull["progress"]["share"], pull["progress"]["minutes_left"]) == (0.25, 3)
    assert (row["task_id"], row["state"], row["percent_done"]) == ("totals", "deferred", 25)
    assert (row["requests_left"], row["minutes_left"]) == (90, 3)
    assert datetime.fromisoformat(row["waits_until"]) == waiting.waits_until


@NEEDS_TASK_STATE
def test_a_user_who_cannot_read_a_dag_sees_no_progress_of_it(
    login: Callable[[str], TestClient], pulled: Pulled, waiting: ProgressRecord
) -> None:
    assert records(login("victor").get("data/rate_limit/unfinished").json()) != []
    assert records(login("olga").get("data/rate_limit/unfinished").json()) == []
    assert records(login("olga").get("data/rate_limit/saved").json()) == []


def test_a_user_who_can_read_a_dag_but_not_its_xcoms_finds_nothing_of_it(
    login: Callable[[str], TestClient], pulled: Pulled
) -> None:
    xenia = login("xenia")

    assert xenia.get("data/datasets").json() == {"datasets": []}
    assert records(xenia.get("data/rate_limit/pulls").json()) == []
    assert records(xenia.get("data/rate_limit/saved").json()) == []
    task = {"run_id": pulled.run_id, "task_id": "series"}
    assert xenia.get(f"data/dags/{DAG_ID}/pull", params=task).status_code == 403


@NEEDS_TASK_STATE
@pytest.mark.parametrize("value", ["no JSON", "3", "{}", '{"planned": "<b>", "recorded_at": "now"}'])
def test_a_state_that_is_no_progress_is_not_shown(
    alice: TestClient, pulled: Pulled, waiting: ProgressRecord, value: str
) -> None:
    keep_state(pulled.run_id, "totals", value)
    pull = alice.get(f"data/dags/{DAG_ID}/pull", params={"run_id": pulled.run_id, "task_id": "totals"}).json()

    assert (pull["state"], pull["progress"]) == ("deferred", None)
    assert records(alice.get("data/rate_limit/unfinished").json()) == []


def test_a_pull_that_has_ended_is_not_unfinished(alice: TestClient) -> None:
    assert records(alice.get("data/rate_limit/unfinished").json()) == []


def test_the_report_of_a_task_is_shown_without_scripts(alice: TestClient, pulled: Pulled) -> None:
    response = alice.get("report", params={"dag_id": DAG_ID, "run_id": pulled.run_id, "task_id": "report"})

    assert response.status_code == 200
    assert "Counts over time" in response.text
    assert response.headers["content-security-policy"].startswith("sandbox ")


def test_the_files_of_the_page_come_from_the_package(alice: TestClient) -> None:
    page = alice.get("")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "http" not in page.text
    assert alice.get("files/page.js").status_code == alice.get("files/page.css").status_code == 200
    script = alice.get("vega.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "vegaEmbed" in script.text


ROUTES = (
    "",
    "files/page.js",
    "vega.js",
    "data/datasets",
    "data/rate_limit/use",
    f"data/dags/{DAG_ID}/pull?run_id=RUN&task_id=series",
    f"data/dags/{DAG_ID}/pull/requests?run_id=RUN&task_id=series",
    f"data/dags/{DAG_ID}/datasets/0123456789abcdef/series",
    f"report?dag_id={DAG_ID}&run_id=RUN&task_id=report",
)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("user", "status"), [("", 401), ("nobody", 403)])
def test_no_route_is_open_to_a_user_without_rights(
    login: Callable[[str], TestClient], pulled: Pulled, route: str, user: str, status: int
) -> None:
    assert login(user).get(route.replace("RUN", pulled.run_id)).status_code == status


def test_every_route_is_among_those_that_are_tested() -> None:
    from airflow_provider_engagement.plugin.application import make_application

    paths = {route.path for route in make_application().routes}  # type: ignore[attr-defined]
    tested = {
        "/",
        "/files/{name}",
        "/vega.js",
        "/report",
        "/data/datasets",
        "/data/rate_limit/{name}",
        "/data/dags/{dag_id}/pull",
        "/data/dags/{dag_id}/pull/{name}",
        "/data/dags/{dag_id}/datasets/{dataset_id}/{name}",
    }
    assert paths == tested


@pytest.mark.parametrize("route", [route for route in ROUTES if DAG_ID in route])
def test_a_user_who_cannot_read_a_dag_sees_nothing_of_it(
    login: Callable[[str], TestClient], pulled: Pulled, route: str
) -> None:
    route = route.replace("RUN", pulled.run_id)
    assert login("olga").get(route).status_code == 403
    assert login("victor").get(route).status_code in (200, 404)


def test_a_user_who_cannot_read_a_dag_does_not_find_its_datasets(
    login: Callable[[str], TestClient], pulled: Pulled
) -> None:
    assert login("victor").get("data/datasets").json()["datasets"]
    assert login("olga").get("data/datasets").json() == {"datasets": []}
    assert records(login("olga").get("data/rate_limit/pulls").json()) == []


@pytest.mark.parametrize(
    "dataset", ["0123456789abcdef", "..%2F..%2Fetc", "%2Fetc", "file:%2F%2F%2Fetc", "' OR 1=1 --", "series"]
)
def test_a_dataset_that_no_task_of_the_dag_wrote_is_not_opened(
    alice: TestClient, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("airflow_provider_engagement.plugin.dataset_routes.reader_of", opened.append)

    response = alice.get(f"data/dags/{DAG_ID}/datasets/{dataset}/series")

    assert response.status_code == 404
    assert opened == []


def test_another_dag_does_not_open_the_dataset(alice: TestClient) -> None:
    path = dataset_of(alice).replace(f"/{DAG_ID}/", "/another/")
    assert alice.get(f"{path}/series").status_code == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"metrics": "impressions,1) --"}, "metrics"),
        ({"metrics": "<script>"}, "metrics"),
        ({"start": "yesterday"}, "start: 'yesterday' is not a time"),
        ({"tweet_ids": "1 or 1=1"}, "tweet_ids"),
        ({"granularity": "total"}, "granularity"),
    ],
)
def test_an_invalid_filter_is_explained(alice: TestClient, query: dict[str, str], message: str) -> None:
    response = alice.get(f"{dataset_of(alice)}/series", params=query)

    assert response.status_code == 400
    assert message in response.json()["detail"]
    assert response.headers["content-type"] == "application/json"


def test_a_report_that_is_another_file_is_not_shown(
    alice: TestClient, pulled: Pulled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("airflow.cfg", "secret"), ("other.html", "secret")):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr("airflow_provider_engagement.plugin.task_routes.find_report", lambda *_, p=path: str(p))

        response = alice.get("report", params={"dag_id": DAG_ID, "run_id": pulled.run_id, "task_id": "report"})

        assert response.status_code == 404
        assert "secret" not in response.text


def test_the_error_of_a_storage_is_not_shown(alice: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: str) -> Any:
        raise OSError("key AKIA-SECRET was rejected")

    monkeypatch.setattr("airflow_provider_engagement.plugin.dataset_routes.reader_of", fail)
    response = alice.get(f"{dataset_of(alice)}/top", params={"tweet_ids": "20"})

    assert response.status_code == 502
    assert "SECRET" not in response.text
