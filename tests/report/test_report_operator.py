"""The operator and the command line that write a report."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk import Asset, ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_engagement.__main__ import main
from airflow_provider_engagement.operators.report import EngagementReportOperator
from airflow_provider_engagement.pull.manifest import REPORT_KEY
from airflow_provider_engagement.pull.task_run import TaskRun

from .conftest import TODAY, Pulled, execute, run_context


def write(dataset: Pulled, **options: Any) -> str:
    operator = EngagementReportOperator(task_id="report", **options)
    path: str = execute(operator, "run", TODAY - timedelta(days=1), TODAY)
    return path


def test_the_xcom_is_the_path_of_the_file_beside_the_tables(hours: Pulled) -> None:
    path = write(hours, dataset_path=str(hours.folder))

    run = TaskRun(run_id="run", task="engagement.report", time=TODAY)
    assert path.endswith(f"/_reports/{run.file_name}.html")
    text = Path(path.removeprefix("file://")).read_text(encoding="utf-8")
    assert f"{hours.count('impressions', TODAY - timedelta(days=28), TODAY):,}" in text


def test_the_report_of_a_pull_is_about_its_interval_and_metrics(hours: Pulled, tmp_path: Path) -> None:
    out = tmp_path / "report.html"

    write(hours, pull=hours.manifests["first"], report_path=str(out))

    text = out.read_text(encoding="utf-8")
    start, end = TODAY - timedelta(days=56), TODAY - timedelta(days=28)
    assert "2025-11-17 00:00 to 2025-12-15 00:00" in text
    assert f"{hours.count('url_clicks', start, end):,}" in text
    assert "Pull: Requests" in text


def test_the_event_of_an_outlet_names_the_report(hours: Pulled, tmp_path: Path) -> None:
    mail = Asset("s3://bucket/report")
    events: defaultdict[Asset, SimpleNamespace] = defaultdict(SimpleNamespace)
    operator = EngagementReportOperator(
        task_id="report", dataset_path=str(hours.folder), report_path=str(tmp_path / "r.html"), outlets=[mail]
    )
    context = {**run_context(operator, "run", TODAY, TODAY), "outlet_events": events}
    operator.render_template_fields(context)

    path = operator.execute(context)

    assert events[mail].extra == {
        "dataset": str(hours.folder),
        "window": ["2025-12-15T00:00:00Z", "2026-01-12T00:00:00Z"],
        "report": path,
    }


def test_images_are_written_beside_the_report_and_the_page_finds_it(hours: Pulled, tmp_path: Path) -> None:
    operator = EngagementReportOperator(
        task_id="report", dataset_path=str(hours.folder), report_path=str(tmp_path / "r.html"), image_format="png"
    )
    context = run_context(operator, "run", TODAY, TODAY)
    operator.render_template_fields(context)

    operator.execute(context)

    assert context["ti"].pushed[REPORT_KEY].endswith("/r.html")
    images = [Path(image.removeprefix("file://")) for image in context["ti"].pushed["images"]]
    assert {"r.top.png", "r.rhythm.png"} <= {image.name for image in images}
    assert all(image.read_bytes().startswith(b"\x89PNG") for image in images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "dataset_path: neither dataset_path nor the pull names a dataset"),
        ({"pull": {"other": 1}}, "pull: .*is not the XCom of a pull"),
        ({"pull": "[1"}, "pull: "),
        ({"dataset_path": "/nonexistent/dataset"}, "dataset_path: .*does not exist"),
        ({"image_format": "gif"}, "image_format: 'gif'"),
        ({"granularity": "total"}, "granularity: 'total'"),
    ],
)
def test_an_invalid_parameter_fails_the_task(hours: Pulled, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        write(hours, **({"dataset_path": str(hours.folder)} | options if "granularity" in options else options))


def test_the_link_of_the_task_leads_to_the_page_that_shows_its_report() -> None:
    key = SimpleNamespace(dag_id="dag & co", run_id="manual__2026", task_id="report", map_index=-1)
    (link,) = EngagementReportOperator.operator_extra_links

    address = link.get_link(None, ti_key=key)  # type: ignore[arg-type]

    assert address.endswith("/engagement/report?dag_id=dag+%26+co&run_id=manual__2026&task_id=report&map_index=-1")


def test_the_command_line_writes_a_report_of_any_dataset(
    pull: Callable[..., Pulled], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = pull("csv", "day")
    out = tmp_path / "new" / "report.html"
    capsys.readouterr()

    assert main(["report", str(dataset.folder), "--out", str(out), "--start=2026-01-05", "--end=2026-01-12"]) == 0

    assert capsys.readouterr().out == f"{out}\n"
    count = dataset.count("impressions", TODAY - timedelta(days=7), TODAY)
    assert f"{count:,}" in out.read_text(encoding="utf-8")


def test_the_command_line_explains_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "report.html")]) == 1

    assert "has no hours, days or snapshots" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dates = ["--start=2026-01-05", "--end=2026-01-12"]
    for options in ([], dates):
        assert main(["report", str(tmp_path / "nope"), "--out", str(tmp_path / "report.html"), *options]) == 1

        assert f"the folder '{tmp_path / 'nope'}' does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("No filesystem registered for scheme s3"), ImportError("no s3fs")])
def test_a_storage_that_is_not_installed_is_one_line_that_says_what_to_install(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: ObjectStoragePath) -> None:
        raise error

    monkeypatch.setattr(ObjectStoragePath, "fs", property(fail))

    assert main(["report", "s3://warehouse/engagement", "--out", str(tmp_path / "report.html")]) == 1

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "'s3://warehouse/engagement'" in message
    assert "apache-airflow-providers-amazon[s3fs]" in message


def test_an_interval_without_rows_is_a_warning(
    hours: Pulled, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "report.html"
    arguments = ["report", str(hours.folder), "--out", str(out), "--end=2026-01-12"]
    assert main([*arguments, "--start=2026-01-05"]) == 0
    assert capsys.readouterr().err == ""

    assert main([*arguments[:-1], "--start=2020-01-05", "--end=2020-01-12"]) == 0

    assert "Warning: The dataset has no hours or days in the interval" in capsys.readouterr().err
    assert "Counts over time" in out.read_text(encoding="utf-8")
    write(hours, dataset_path=str(hours.folder), start="2020-01-05", end="2020-01-12", report_path=str(out))
    assert "The dataset has no hours or days in the interval" in capsys.readouterr().out + caplog.text


def test_the_command_line_does_not_load_airflow_for_a_local_dataset(hours: Pulled, tmp_path: Path) -> None:
    program = (
        "import sys; from airflow_provider_engagement.__main__ import main;"
        f"status = main(['report', {str(hours.folder)!r}, '--out', {str(tmp_path / 'report.html')!r}]);"
        "sys.exit(status or 'airflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("tweet_status", "outcome", "splendid"),
        ("tweet_status", "outcome", None),
        ("tweet_metrics", "tweet_id", "=1+1"),
        ("tweet_metrics", "tweet_id", None),
        ("tweet_metrics", None, None),
    ],
)
def test_the_command_line_names_a_value_that_this_package_never_writes(
    hours: Pulled,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    column: str | None,
    value: str | None,
) -> None:
    folder = shutil.copytree(hours.folder, tmp_path / "copy")
    for file in (folder / table).rglob("*.parquet"):
        rows = pyarrow.parquet.read_table(file)
        if column is None:
            file.write_bytes(b"PAR1 is no table PAR1")
            continue
        place = rows.schema.get_field_index(column)
        values = pyarrow.array([value] * rows.num_rows, pyarrow.string())
        pyarrow.parquet.write_table(rows.set_column(place, column, values), file)

    status = main(["report", str(folder), "--out", str(tmp_path / "r.html"), "--start=2026-01-05", "--end=2026-01-12"])

    message = capsys.readouterr().err
    assert (status, message.count("\n")) == (1, 1), message
    assert message.startswith("Error: ")
    assert f"{folder}" in message
    assert column is None or column in message


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--start=0001-01-01", "--start: "),
        ("--start=99999w", "--start: "),
        ("--end=9999-12-31T23:59:59Z", "--end: "),
        ("--end=0001-01-01", "--end: "),
        ("--metrics=impressions,impressions", "--metrics: impressions is listed 2 times"),
    ],
)
def test_the_command_line_refuses_a_filter_without_bounds(
    hours: Pulled, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, problem: str
) -> None:
    assert main(["report", str(hours.folder), "--out", str(tmp_path / "report.html"), option]) == 1

    message = capsys.readouterr().err
    assert message.startswith(f"Error: {problem}")
    assert message.count("\n") == 1
