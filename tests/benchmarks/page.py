"""The page in Airflow and the report: time and size for a year of many Tweets, and what loading the plugin costs.

The dataset has days of a year, and daily runs with their coverage and outcomes. It is written without a server. The
routes are those of the application, without Airflow's check of users.

``--days-of-hours 365`` also measures a dataset that has the hours of a year, and no days: 88 million rows for 10,000
Tweets. It needs 0.2 GB of disk space, and 0.4 GB with ``--metrics 17``.

The list of datasets is measured with the XComs of many pulls and as many of other tasks, in the database that
``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`` names, or else in SQLite. The benchmark fills it, so use an empty database.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet
from figures import MEGABYTE, figure, in_own_process, peak_memory

from airflow_provider_engagement.pull.manifest import PULL_KEY
from airflow_provider_engagement.tables.arrow import columns_to_table
from airflow_provider_engagement.tables.tables import (
    COVERAGE,
    TWEET_METRICS,
    TWEET_STATUS,
    Table,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_ID = 1_000_000_000_000_000_000
METRICS = ("impressions", "engagements", "favorites", "retweets", "replies")
ALL_METRICS = (*METRICS, *(metric for metric in TWEET_METRICS.metrics if metric not in METRICS))
MEANS_PER_HOUR = (40, 2, 1, 0.3, *[0.1] * (len(ALL_METRICS) - 4))
OPENED = "<= 2"
ANSWERED = "<= 20"
"""After how many seconds the page stops waiting for a figure."""
LONGEST_READ = 600.0
"""How many seconds the page waits for a read here, so that a read that takes too long is measured too."""
Figure = tuple[str, float, str, str | None]
TIMESTAMP = pyarrow.timestamp("ms", "UTC")

_IMPORT = """
import json, sys, time
import {before}
modules, began = set(sys.modules), time.perf_counter()
import airflow_provider_engagement.plugin.airflow_plugin
took = time.perf_counter() - began
print(json.dumps([took, sorted(set(sys.modules) - modules)]))
"""
HEAVY = ("fastapi", "pyarrow", "altair", "vl_convert", "sqlalchemy")


def main(
    tweets: int = 10_000,
    days: int = 365,
    processes: int = 5,
    days_of_hours: int = 0,
    metrics: int = len(METRICS),
    dags: int = 200,
    pulls: int = 100_000,
    foreign: int = 100_000,
) -> None:
    """Open the page and make a report.

    :param tweets: the number of Tweets.
    :param days: the number of days, of which each is a daily run.
    :param processes: in how many new processes the plugin is imported.
    :param days_of_hours: the number of days of another dataset, which has their hours.
    :param metrics: the number of metrics of the hours.
    :param dags: the number of DAGs that have pulled, each with two tasks.
    :param pulls: the number of pulls of these DAGs.
    :param foreign: the number of XComs of other tasks, each of 2 kB. Some of them resemble manifests.
    """
    with tempfile.TemporaryDirectory() as home:
        show(in_own_process(measure_list, home, dags, pulls, foreign))
    start = f"{START:%Y-%m-%d}"
    with tempfile.TemporaryDirectory() as folder:
        in_own_process(write, folder, tweets, days)
        what = f"{tweets:,} Tweets, {days} days"
        for case, query in (("last 28 days", {}), ("all days", {"start": start})):
            show(in_own_process(measure_page, folder, f"{what}, {case}", query, OPENED))
        show(in_own_process(measure_report, folder, what, days))
    if days_of_hours:
        with tempfile.TemporaryDirectory() as folder:
            chosen = ALL_METRICS[:metrics]
            in_own_process(write_hours, folder, tweets, days_of_hours, chosen)
            what = f"{tweets:,} Tweets, hours of {days_of_hours} days, {metrics} metrics"
            query = {"metrics": ",".join(chosen)}
            show(in_own_process(measure_page, folder, f"{what}, last 28 days", query, OPENED))
            for step in ("day", "hour"):
                whole = {**query, "start": start, "granularity": step}
                show(in_own_process(measure_page, folder, f"{what}, all by {step}", whole, ANSWERED))
    for name, before in (("API server", "airflow.plugins_manager, fastapi"), ("worker", "airflow.sdk.plugins_manager")):
        measure_import(name, before, processes)


def show(found: list[Figure]) -> None:
    for name, value, unit, goal in found:
        figure(name, value, unit, goal)


def write(folder: str, tweets: int, days: int) -> None:
    """Write the days of each Tweet, and the outcomes and coverage of daily runs."""
    ids = [str(FIRST_ID + number) for number in range(tweets)]
    times = [START + day * DAY for day in range(days)]
    months: dict[str, list[datetime]] = {}
    for time_ in times:
        months.setdefault(f"{time_:%Y-%m}", []).append(time_)
    for month, found in months.items():
        path = Path(folder, f"tweet_metrics/day/partition_date={month}-01/rows.parquet")
        write_rows(path, TWEET_METRICS, [day_rows(ids, time_) for time_ in found])
    write_runs(folder, ids, times)


def write_hours(folder: str, tweets: int, days: int, metrics: tuple[str, ...]) -> None:
    """Write the hours of each Tweet, and the outcomes and coverage of daily runs."""
    ids = [str(FIRST_ID + number) for number in range(tweets)]
    times = [START + day * DAY for day in range(days)]
    # In a file of the provider, the hours of a Tweet follow each other.
    tweet_of_row = pyarrow.array([tweet for tweet in range(tweets) for _ in range(24)])
    hour_of_row = pyarrow.array([hour for _ in range(tweets) for hour in range(24)])
    id_of_row = pyarrow.array(ids).take(tweet_of_row)
    for time_ in times:
        path = Path(folder, f"tweet_metrics/hour/partition_date={time_:%Y-%m-%d}/rows.parquet")
        write_rows(path, TWEET_METRICS, [hour_rows(id_of_row, hour_of_row, time_, metrics)])
    write_runs(folder, ids, times)


def write_runs(folder: str, ids: list[str], times: list[datetime]) -> None:
    for time_ in times:
        name = f"run_date={time_:%Y-%m-%d}/page.pull.parquet"
        write_rows(Path(folder, "tweet_status", name), TWEET_STATUS, [status_rows(ids, time_)])
        write_rows(Path(folder, "coverage", name), COVERAGE, [coverage_rows(ids, time_)])


def write_rows(path: Path, table: Table, batches: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True)
    rows = pyarrow.concat_tables([columns_to_table(table, columns) for columns in batches])
    pyarrow.parquet.write_table(rows, path, compression="zstd")


def day_rows(ids: list[str], start: datetime) -> dict[str, Any]:
    number = len(ids)
    counts = pyarrow.array(
        [(int(tweet_id) * 7919 + start.toordinal() * 31) % 1000 for tweet_id in ids], pyarrow.int64()
    )
    return {
        "tweet_id": ids,
        "period_start": constant(start, number),
        "period_end": constant(start + DAY, number),
        "granularity": pyarrow.repeat("day", number),
        "time_zone": pyarrow.repeat("UTC", number),
        "fetched_at": constant(start + 2 * DAY, number),
        **dict.fromkeys(METRICS, counts),
    }


def hour_rows(ids: pyarrow.Array, hours: pyarrow.Array, start: datetime, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Return the hours of a day, with random counts, of which most are small."""
    number = len(ids)
    starts = pyarrow.array([start + hour * HOUR for hour in range(25)], TIMESTAMP)
    counts = {}
    for index, (metric, mean) in enumerate(zip(metrics, MEANS_PER_HOUR, strict=False)):
        random = compute.random(number, initializer=start.toordinal() * len(ALL_METRICS) + index)
        counts[metric] = compute.multiply(compute.log1p(compute.negate(random)), -mean)
    return {
        "tweet_id": ids,
        "period_start": starts.take(hours),
        "period_end": starts.slice(1).take(hours),
        "granularity": pyarrow.repeat("hour", number),
        "time_zone": pyarrow.repeat("UTC", number),
        "owner": pyarrow.repeat("1", number),
        "tweet_created_at": constant(START, number),
        "endpoint": pyarrow.repeat("historical", number),
        "fetched_at": constant(start + 2 * DAY, number),
        "is_final": pyarrow.repeat(False, number),
        **{metric: compute.floor(values).cast(pyarrow.int64()) for metric, values in counts.items()},
    }


def status_rows(ids: list[str], start: datetime) -> dict[str, Any]:
    number = len(ids)
    return {
        "tweet_id": ids,
        "run_id": pyarrow.repeat(f"scheduled__{start:%Y-%m-%d}", number),
        "task": pyarrow.repeat("page.pull", number),
        "outcome": ["unavailable" if index % 50 == 0 else "ok" for index in range(number)],
        "checked_at": constant(start + 2 * DAY, number),
    }


def coverage_rows(ids: list[str], start: datetime) -> dict[str, Any]:
    number = len(ids)
    return {
        "tweet_id": ids,
        "window_start": constant(start, number),
        "window_end": constant(start + DAY, number),
        "granularity": pyarrow.repeat("day", number),
        "metrics": pyarrow.repeat(",".join(METRICS), number),
        "outcome": ["unavailable" if index % 50 == 0 else "ok" for index in range(number)],
        "fetched_at": constant(start + 2 * DAY, number),
    }


def constant(value: datetime, number: int) -> pyarrow.Array:
    return pyarrow.repeat(pyarrow.scalar(value, TIMESTAMP), number)


def measure_page(folder: str, what: str, query: dict[str, str], goal: str) -> list[Figure]:
    """Request what a browser requests to open the page of a dataset, one after the other.

    :param folder: the folder of the dataset.
    :param what: what is measured.
    :param query: the filters of the page.
    :param goal: the goal for the first figure, in seconds.
    """
    os.environ |= {"AIRFLOW_HOME": folder, "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    from fastapi.testclient import TestClient

    from airflow_provider_engagement.plugin import access, application, dataset_routes, open_dataset
    from airflow_provider_engagement.plugin.store_work import StoreWork

    dataset_routes._folder_of = lambda *_: (folder, [])
    open_dataset.open_dataset = lambda folder, manifests, reader_of: reader_of(folder)
    app = application.make_application(StoreWork(timeout=LONGEST_READ))
    for check in (access.CAN_SEE_PAGE, access.CAN_SEND_MORE, access.CAN_READ_DAG):
        app.dependency_overrides[check.dependency] = lambda: None
    found: list[Figure] = []
    total, size, slowest = 0.0, 0, ("", 0.0)
    with TestClient(app) as client:
        began = time.perf_counter()
        page = [client.get("/"), client.get("/files/page.js"), client.get("/files/page.css")]
        found.append((f"{what}: page, script and style, time", (time.perf_counter() - began) * 1000, "ms", None))
        size_of_page = sum(len(part.content) for part in page) / 1000
        found.append((f"{what}: page, script and style, size", size_of_page, "kB", None))
        for number, name in enumerate(names_of_figures(), start=1):
            began = time.perf_counter()
            response = client.get(f"/data/dags/page/datasets/0/{name}", params=query)
            took = time.perf_counter() - began
            response.raise_for_status()
            total, size, slowest = total + took, size + len(response.content), max(slowest, (name, took), key=by_time)
            if number == 1:
                found.append((f"{what}: first figure, time with all imports", took, "s", goal))
    return [
        *found,
        (f"{what}: all {number} figures, time", total, "s", None),
        (f"{what}: slowest figure, {slowest[0]}, time", slowest[1], "s", None),
        (f"{what}: all figures, size", size / 1000, "kB", None),
        (f"{what}: peak memory", peak_memory() / MEGABYTE, "MB", "<= 2000"),
    ]


def measure_list(home: str, dags: int, pulls: int, foreign: int) -> list[Figure]:
    """Request the list of datasets, and what the view of the rate limit finds in the database."""
    os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    from airflow.api_fastapi.core_api.security import get_user
    from airflow.utils.db import initdb
    from fastapi.testclient import TestClient

    from airflow_provider_engagement.plugin import access, application

    initdb()
    dag_ids = [f"dag_{number}" for number in range(dags)]
    in_own_process(write_xcoms, home, dag_ids, pulls, foreign)
    allowed = SimpleNamespace(get_authorized_dag_ids=lambda **_: set(dag_ids), is_authorized_dag=lambda **_: True)
    access.get_auth_manager = lambda: allowed
    app = application.make_application()
    app.dependency_overrides = {check.dependency: lambda: None for check in (access.CAN_SEE_PAGE, access.CAN_SEND_MORE)}
    app.dependency_overrides[get_user] = lambda: None
    what = f"{dags} DAGs, {pulls:,} pulls, {foreign:,} other XComs"
    found: list[Figure] = []
    with TestClient(app) as client:
        client.get("/data/rate_limit/backfills")
        before, times = peak_memory(), []
        for _ in range(5):
            began = time.perf_counter()
            datasets = client.get("/data/datasets").json()["datasets"]
            times.append(time.perf_counter() - began)
        assert (len(datasets), sum(dataset["pulls"] for dataset in datasets)) == (dags, pulls)
        found.append((f"{what}: list of datasets, first time", times[0], "s", "<= 0.5"))
        found.append((f"{what}: list of datasets, median of five", statistics.median(times), "s", "<= 0.5"))
        grown = (peak_memory() - before) / MEGABYTE
        found.append((f"{what}: list of datasets, growth of peak memory", grown, "MB", "<= 20"))
        began = time.perf_counter()
        client.get("/data/rate_limit/use").raise_for_status()
        found.append((f"{what}: requests of the last day, time", time.perf_counter() - began, "s", None))
    return found


def write_xcoms(home: str, dag_ids: list[str], pulls: int, foreign: int) -> None:
    """Write the XComs of hourly pulls until now, and as many of other tasks of the same runs."""
    os.environ["AIRFLOW_HOME"] = home
    from airflow.models.xcom import XComModel
    from airflow.settings import engine
    from sqlalchemy import insert, text

    own = {
        "schema_version": 1,
        "endpoint": "historical",
        "metrics": list(METRICS),
        "requested": 10_000,
        "complete": 10_000,
        "outcomes": {"ok": 10_000},
        "missing": {},
        "requests": {"sent": 400, "reused": 0, "rate_limited": 0, "planned": 400},
        "rows": {"tweet_metrics": 240_000},
        "seconds": {"elapsed": 900.0, "waited": 0.0},
        "rate_limit": {"limit": 30, "remaining": 3, "observed_at": time.time()},
    }
    other = json.dumps({"schema_version": 1, "rate_limit": {}, "rows": "x" * 2_000})
    now = datetime.now(UTC)
    with engine.begin() as connection:
        # The task instances are left out.
        off = "PRAGMA foreign_keys=OFF" if engine.dialect.name == "sqlite" else "SET session_replication_role = replica"
        connection.execute(text(off))
        rows: list[dict[str, Any]] = []
        for number in range(max(pulls, foreign)):
            index, run = number % len(dag_ids), number // len(dag_ids)
            folder = f"s3://warehouse/{dag_ids[index]}"
            outputs = {"manifest": f"{folder}/_manifests/{run}.json"}
            shared = {
                "dag_run_id": number + 1,
                "dag_id": dag_ids[index],
                "run_id": f"run_{run}",
                "map_index": -1,
                "timestamp": now - run * HOUR,
            }
            if number < pulls:
                task = {**shared, "task_id": f"pull_{run % 2}"}
                entry = json.dumps({"dataset": folder, "metrics": list(METRICS)})
                rows.append({**task, "key": PULL_KEY, "value": entry})
                rows.append({**task, "key": "return_value", "value": json.dumps({**own, "outputs": outputs})})
            if number < foreign:
                rows.append({**shared, "task_id": "other", "key": "return_value", "value": other})
            if len(rows) >= 10_000:
                connection.execute(insert(XComModel), rows)
                rows = []
        if rows:
            connection.execute(insert(XComModel), rows)


def names_of_figures() -> Iterator[str]:
    """Yield the names of the figures. The request of the first one imports what makes figures."""
    yield "series"
    from airflow_provider_engagement.report.dataset_figures import FIGURES

    yield from (name for name in FIGURES if name != "series")


def by_time(measured: tuple[str, float]) -> float:
    return measured[1]


def measure_report(folder: str, what: str, days: int) -> list[Figure]:
    """Make a report over all days."""
    from airflow_provider_engagement.report.choice import choose
    from airflow_provider_engagement.report.contents import make_report
    from airflow_provider_engagement.report.dataset_figures import DatasetFigures
    from airflow_provider_engagement.report.dataset_reader import DatasetReader
    from airflow_provider_engagement.report.document import to_html

    began = time.perf_counter()
    reader = DatasetReader(Path(folder))
    selection = choose(reader, start=START, end=START + days * DAY)
    html = to_html(make_report(DatasetFigures(reader, selection)))
    return [
        (f"{what}: report, time", time.perf_counter() - began, "s", None),
        (f"{what}: report, size", len(html.encode()) / MEGABYTE, "MB", "< 3"),
    ]


def measure_import(name: str, before: str, processes: int) -> None:
    """Import the plugin in new processes that have already loaded what Airflow loads there."""
    with tempfile.TemporaryDirectory() as home:
        runs = []
        for _ in range(processes + 1):
            completed = subprocess.run(
                [sys.executable, "-c", _IMPORT.format(before=before)],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"AIRFLOW_HOME": home, "PYTHONDONTWRITEBYTECODE": ""},
            )
            runs.append(json.loads(completed.stdout.splitlines()[-1]))
    figure(f"import of the plugin in the {name}", statistics.median(took for took, _ in runs[1:]) * 1000, "ms", "<= 10")
    added = runs[0][1]
    own = sum(module.startswith("airflow_provider_engagement") for module in added)
    figure(f"modules added in the {name}, of other packages", len(added) - own, "modules")
    heavy = sum(module.partition(".")[0] in HEAVY for module in added)
    figure(f"modules added in the {name}, of {', '.join(HEAVY)}", heavy, "modules", "== 0")
