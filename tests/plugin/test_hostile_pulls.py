"""A pull that somebody has forged, and a dataset that somebody has changed, harm neither the page nor other DAGs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import DAG_ID, Pulled
from .forged_pulls import TASK_ID, Forger, write_manifest
from .test_application import records

FIGURES = (
    *("summary", "series", "rhythm", "top", "top_totals", "outcomes", "gaps", "coverage", "tasks", "restatements"),
    "snapshots",
)
OF_PULL = (
    *("requests", "missing", "owners", "outputs", "adjustments", "history", "tweets", "series", "top", "top_totals"),
    "snapshots",
)


@pytest.fixture
def forger(pulled: Pulled) -> Iterator[Forger]:
    """Pushes forged XComs, which are deleted after the test."""
    made = Forger(pulled)
    yield made
    made.withdraw()


@pytest.fixture
def copy(pulled: Pulled, tmp_path: Path) -> Path:
    """A copy of the dataset, which a test can change."""
    return Path(shutil.copytree(pulled.folder, tmp_path / "copy"))


def rewrite(folder: Path, table: str, **values: Any) -> None:
    """Replace values of columns in all rows of a table."""
    for file in (folder / table).rglob("*.parquet"):
        rows = pyarrow.parquet.read_table(file)
        for name, value in values.items():
            field = rows.schema.field(name)
            new = pyarrow.array([value] * rows.num_rows, type=field.type)
            rows = rows.set_column(rows.schema.get_field_index(name), field.with_nullable(True), new)
        pyarrow.parquet.write_table(rows, file)


def test_a_dataset_that_confirms_the_pull_is_shown(alice: TestClient, forger: Forger, copy: Path) -> None:
    manifest = forger.manifest(copy)
    path = forger.push(manifest, copy)
    assert alice.get(f"{path}/series").status_code == 404, "The copy contains the manifest of another pull."

    write_manifest(manifest)
    # The answer of a minute ago is not kept.
    assert alice.get(f"{path}/series", params={"metrics": "impressions"}).status_code == 200


@pytest.mark.parametrize("change", [{"requested": 1}, {"run_id": "other"}, {"seconds": {"elapsed": 1.0}}])
def test_a_forged_pull_does_not_show_the_dataset_of_another_dag(
    alice: TestClient, forger: Forger, pulled: Pulled, change: dict[str, Any]
) -> None:
    folder = forger.genuine_folder
    path = forger.push(forger.manifest(folder, **change), f"{folder}/.")
    assert alice.get(f"{path}/top").status_code == 404
    # A pull of the same DAG confirms the dataset for this DAG, so only the figures of the forged pull are refused.
    forger.push(forger.manifest(folder, **change), folder)
    response = alice.get(f"data/dags/{DAG_ID}/pull/tweets", params={"run_id": pulled.run_id, "task_id": TASK_ID})
    assert response.status_code == 404
    assert "finds no dataset of this pull" in response.json()["detail"]


def test_no_dag_hides_datasets_of_others_and_what_is_left_out_is_counted(
    alice: TestClient, forger: Forger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger.push(forger.manifest(tmp_path), tmp_path)
    both = alice.get("data/datasets").json()
    assert [dataset["folder"] for dataset in both["datasets"]] == [str(tmp_path), forger.genuine_folder]
    assert "more" not in both

    monkeypatch.setattr("airflow_provider_engagement.plugin.access.DATASETS_OF_EACH_DAG", 1)
    newest = alice.get("data/datasets").json()
    assert [dataset["folder"] for dataset in newest["datasets"]] == [str(tmp_path)]
    assert newest["more"] == 1


def test_what_other_tasks_return_is_not_read(alice: TestClient, forger: Forger, tmp_path: Path) -> None:
    forger.push_values(forger.manifest(tmp_path), None)
    assert [dataset["folder"] for dataset in alice.get("data/datasets").json()["datasets"]] == [forger.genuine_folder]


def test_what_exists_cannot_be_found_out(alice: TestClient, forger: Forger, tmp_path: Path) -> None:
    (tmp_path / "exists" / "_manifests").mkdir(parents=True)
    answers = set()
    for name in ("exists", "missing"):
        path = forger.push(forger.manifest(tmp_path / name), tmp_path / name)
        response = alice.get(f"{path}/series")
        answers.add((response.status_code, response.json()["detail"].replace(f"/{name}'", "")))
    assert len(answers) == 1


@pytest.mark.parametrize("name", [*FIGURES])
@pytest.mark.parametrize("scheme", ["http", "https", "github", "ftp", "simplecache::http"])
def test_a_forged_pull_sends_no_request(alice: TestClient, forger: Forger, name: str, scheme: str) -> None:
    requests: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = f"{scheme}://127.0.0.1:{server.server_port}/x"
    try:
        path = forger.push(forger.manifest(folder), folder)
        response = alice.get(f"{path}/{name}")
        saved = alice.get("data/rate_limit/saved")
    finally:
        server.shutdown()
        server.server_close()

    assert response.status_code == 403
    assert "page_roots" in response.json()["detail"]
    assert saved.status_code == 200
    assert requests == []


def test_a_report_at_an_address_of_the_web_is_refused(
    alice: TestClient, pulled: Pulled, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:9/report.html"
    monkeypatch.setattr("airflow_provider_engagement.plugin.task_routes.find_report", lambda *_: address)
    response = alice.get("report", params={"dag_id": DAG_ID, "run_id": pulled.run_id, "task_id": "report"})
    assert response.status_code == 403


@pytest.mark.parametrize("scheme", ["abfss", "gs", "adl"])
def test_a_storage_whose_package_is_not_installed_is_named(alice: TestClient, forger: Forger, scheme: str) -> None:
    folder = f"{scheme}://bucket/x"
    response = alice.get(f"{forger.push(forger.manifest(folder), folder)}/series")
    assert response.status_code == 502
    assert f"cannot open '{scheme}://bucket/x'" in response.json()["detail"]


def test_a_secret_in_the_path_of_a_storage_is_refused_and_not_shown(alice: TestClient, forger: Forger) -> None:
    folder = "s3://user:password@bucket/x"
    path = forger.push(forger.manifest(folder), folder)
    pull = {"run_id": forger.pulled.run_id, "task_id": TASK_ID}
    response = alice.get(f"{path}/series")
    assert response.status_code == 403
    assert "password" not in response.text
    assert "password" not in alice.get("data/datasets").text
    assert "password" not in alice.get(f"data/dags/{DAG_ID}/pull", params=pull).text


@pytest.mark.parametrize("output", ["/etc/passwd", "FOLDER/../other", "s3://bucket/x", "FOLDER/%2e%2e/x"])
def test_a_manifest_that_names_files_outside_of_its_dataset_is_refused_by_name(
    alice: TestClient, forger: Forger, copy: Path, output: str
) -> None:
    manifest = forger.manifest(copy)
    manifest["outputs"]["tweet_metrics/hour"] = output.replace("FOLDER", str(copy))
    write_manifest(manifest)
    path = forger.push(manifest, copy)

    response = alice.get(f"{path}/series")

    assert response.status_code == 409
    assert "which is not in it" in response.json()["detail"]


def test_a_link_in_a_dataset_is_refused_by_name(alice: TestClient, forger: Forger, copy: Path, tmp_path: Path) -> None:
    manifest = forger.manifest(copy)
    write_manifest(manifest)
    path = forger.push(manifest, copy)
    (copy / "tweet_metrics").rename(tmp_path / "elsewhere")
    (copy / "tweet_metrics").symlink_to(tmp_path / "elsewhere")
    link = next(path for path in (copy / "_manifests").iterdir() if "totals" in path.name)
    link.rename(tmp_path / "manifest")
    link.symlink_to(tmp_path / "manifest")

    for name in ("series", "tasks"):
        response = alice.get(f"{path}/{name}")
        assert response.status_code == 409
        assert "is a link that leads out of it" in response.json()["detail"]


@pytest.mark.parametrize(
    ("table", "values", "figure"),
    [
        ("tweet_status", {"outcome": "splendid"}, "outcomes"),
        ("tweet_status", {"outcome": None}, "gaps"),
        ("tweet_status", {"tweet_id": "x"}, "gaps"),
        ("tweet_status", {"tweet_id": "99999999999999999999"}, "coverage"),
        ("tweet_status", {"task": None}, "outcomes"),
        ("tweet_metrics", {"tweet_id": "=1+1"}, "top"),
        ("tweet_metrics", {"tweet_id": "9999999999999999999"}, "summary"),
        ("tweet_metrics", {"tweet_id": None}, "rhythm"),
        ("tweet_metrics", {"period_end": datetime(9999, 12, 31, tzinfo=UTC)}, "series"),
        ("tweet_totals", {"auth": None}, "snapshots"),
        ("tweet_totals", {"tweet_id": "-5"}, "top_totals"),
        ("coverage", {"outcome": "splendid"}, "coverage"),
        ("coverage", {"window_start": datetime(1, 1, 1, tzinfo=UTC)}, "coverage"),
    ],
)
def test_a_value_that_this_package_never_writes_is_named(
    alice: TestClient, forger: Forger, copy: Path, table: str, values: dict[str, Any], figure: str
) -> None:
    rewrite(copy, table, **values)
    manifest = forger.manifest(copy)
    write_manifest(manifest)

    response = alice.get(f"{forger.push(manifest, copy)}/{figure}")

    assert response.status_code == 409
    assert next(iter(values)) in response.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1" * 9, b"\x00" * 99])
def test_a_file_that_is_broken_is_explained(alice: TestClient, forger: Forger, copy: Path, content: bytes) -> None:
    for file in (copy / "tweet_metrics").rglob("*.parquet"):
        file.write_bytes(content)
    manifest = forger.manifest(copy)
    write_manifest(manifest)
    path = forger.push(manifest, copy)
    for name in FIGURES:
        assert alice.get(f"{path}/{name}").status_code in (200, 409, 502)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("schema_version", "endpoint", "auth", "owners", "run_id", "metrics", "interval", "snapshot_at", "adjustments"),
    *(
        "requested",
        "complete",
        "outcomes",
        "missing",
        "requests",
        "rows",
        "outputs",
        "versions",
        "seconds",
        "rate_limit",
    ),
)
TIMES = st.sampled_from(
    ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59Z", "2026-01-05T00:00:00Z", "2026-01-05", "", "now"]
)
NESTED = {
    "missing": st.sampled_from([{"a": 1}, {"a": {}}, {"ok": {"tweets": "1"}}, {"a": {"tweets": 1, "examples": [{}]}}]),
    "adjustments": st.sampled_from([[{}], [1], {"edge": 1}, [{"edge": "start", "requested": "x", "used": "y"}]]),
    "interval": st.lists(TIMES, max_size=3),
    "snapshot_at": TIMES,
    "rate_limit": st.fixed_dictionaries({"observed_at": st.floats(), "limit": JSON, "remaining": JSON}),
    "outcomes": st.dictionaries(st.text(max_size=5), JSON, max_size=2),
    "outputs": st.dictionaries(
        st.sampled_from(["manifest", "tweet_status", "\ud800"]), st.text(max_size=9), max_size=3
    ),
    "metrics": st.lists(st.sampled_from(["impressions", "quote_tweets", "x", 5]), max_size=4),
    "run_id": st.text(max_size=5),
}


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_manifest_makes_the_page_fail(
    data: st.DataObject, login: Callable[[str], TestClient], pulled: Pulled
) -> None:
    alice, forger = login("alice"), Forger(pulled)
    manifest = forger.manifest(forger.genuine_folder)
    for key in data.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            manifest.pop(key, None)
        else:
            manifest[key] = data.draw(NESTED.get(key, JSON) | JSON)
    entry = data.draw(st.just({"dataset": forger.genuine_folder, "metrics": ["impressions"]}) | JSON)
    forger.push_values(manifest, entry)
    task = {"run_id": pulled.run_id, "task_id": TASK_ID}
    try:
        routes = ["data/datasets", "data/rate_limit/use", "data/rate_limit/pulls", "data/rate_limit/saved"]
        statuses = {route: alice.get(route).status_code for route in routes}
        assert set(statuses.values()) == {200}, statuses
        for name in OF_PULL:
            form = data.draw(st.sampled_from(["json", "csv"]))
            response = alice.get(f"data/dags/{DAG_ID}/pull/{name}", params={**task, "form": form})
            assert response.status_code < 500 or response.status_code == 502, (name, response.text)
        assert alice.get(f"data/dags/{DAG_ID}/pull", params=task).status_code == 200
    finally:
        forger.withdraw()


def test_a_deeply_nested_manifest_is_answered(alice: TestClient, forger: Forger) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    forger.push(forger.manifest(forger.genuine_folder, surplus=deep, more=float("nan"), text="\ud800"))
    response = alice.get(f"data/dags/{DAG_ID}/pull", params={"run_id": forger.pulled.run_id, "task_id": TASK_ID})
    assert response.status_code in (200, 502)


def test_a_link_among_the_saved_rate_limits_is_not_followed(
    alice: TestClient, forger: Forger, copy: Path, tmp_path: Path
) -> None:
    manifest = forger.manifest(copy)
    write_manifest(manifest)
    forger.push(manifest, copy)
    (copy / "_rate_limit").rename(tmp_path / "elsewhere")
    (copy / "_rate_limit").symlink_to(tmp_path / "elsewhere")

    notes = alice.get("data/rate_limit/saved").json()["notes"]

    assert notes == ["Datasets that cannot be read: 1. The log of the API server has the reason."]


@pytest.mark.parametrize("content", ['{"observed_at": 1e300}', '{"observed_at": NaN, "limit": {}}', "[]", "x", "{}"])
def test_a_saved_rate_limit_that_is_none_is_left_out(
    alice: TestClient, forger: Forger, copy: Path, content: str
) -> None:
    manifest = forger.manifest(copy)
    write_manifest(manifest)
    forger.push(manifest, copy)
    (copy / "_rate_limit" / "0000.json").write_text(content, encoding="utf-8")

    response = alice.get("data/rate_limit/saved")

    assert response.status_code == 200
    assert len(records(response.json())) == 1
