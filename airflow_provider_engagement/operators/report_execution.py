"""Write a report, as a task of Airflow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.lists import parse_literal, quoted
from airflow_provider_engagement.inputs.report_options import parse_report_options
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.pull_entry import push_report
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of
from airflow_provider_engagement.pull.manifest import folder_of
from airflow_provider_engagement.pull.task_run import RunContext
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.contents import images_of, make_report, warning_of
from airflow_provider_engagement.report.dataset_figures import DatasetFigures
from airflow_provider_engagement.report.dataset_reader import DatasetReader
from airflow_provider_engagement.report.document import to_html
from airflow_provider_engagement.report.images import ImageFormat
from airflow_provider_engagement.report.pull_figures import is_manifest
from airflow_provider_engagement.report.pull_selection import options_of_pull
from airflow_provider_engagement.storage.layout import REPORTS_FOLDER
from airflow_provider_engagement.storage.paths import StoragePath, write_atomically
from airflow_provider_engagement.tables.tables import TWEET_METRICS

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class ReportTask(Protocol):
    """The parameters of the operator."""

    outlets: list[Any]
    dataset_path: str | None
    pull: Any
    start: Any
    end: Any
    metrics: Sequence[str] | str | None
    granularity: str | None
    time_zone: str | None
    tweet_ids: Any
    title: str
    report_path: str | None
    image_format: str | None


def execute_report(task: ReportTask, context: Context) -> str:
    """Write the report, and return its path or URL."""
    with task_failures():
        unset_blank_parameters(task)
        return _write(task, context, run_of(context))


def _write(task: ReportTask, context: Context, run: RunContext) -> str:
    image_format = parse_choice(task.image_format, ImageFormat, field="image_format") if task.image_format else None
    manifest = _manifest(task)
    folder = _folder(task, manifest)
    reader = DatasetReader(folder, address_of=table_address)
    selection = choose(reader, **_options(task, reader, manifest, run.time))
    report = make_report(DatasetFigures(reader, selection), title=task.title, manifest=manifest)
    if warning := warning_of(report):
        log.warning("%s", warning)
    name = f"{run.task_run().file_name}.html"
    path = storage_path(task.report_path, field="report_path") if task.report_path else folder / REPORTS_FOLDER / name
    stem = path.name.removesuffix(".html")
    images = {
        path.parent / f"{stem}.{image_name}": content
        for image_name, content in (images_of(report.figures, image_format) if image_format else ())
    }
    for place, content in {**images, path: to_html(report).encode()}.items():
        with write_atomically(place, place.parent / f".{place.name}.new") as file:
            file.write(content)
    if image_format is not None:
        context["ti"].xcom_push(key="images", value=[str(place) for place in images])
    push_report(str(path), context)
    log.info("The report is %s.", path)
    window = [to_api(selection.interval.start), to_api(selection.interval.end)]
    describe_outlets(task.outlets, {"dataset": str(folder), "window": window, "report": str(path)}, context)
    return str(path)


def _manifest(task: ReportTask) -> Mapping[str, Any] | None:

    if not task.pull:
        return None
    pull = parse_literal(task.pull, field="pull") if isinstance(task.pull, str) else task.pull
    if not is_manifest(pull):
        raise InvalidQueryError("pull", f"{quoted(pull)} is not the XCom of a pull", "Pass pull=task.output.")
    manifest: Mapping[str, Any] = pull
    return manifest


def _folder(task: ReportTask, manifest: Mapping[str, Any] | None) -> StoragePath:

    if task.dataset_path:
        return storage_path(task.dataset_path, field="dataset_path")
    path = folder_of(manifest["outputs"]) if manifest else None
    if path is None:
        raise InvalidQueryError(
            "dataset_path",
            "neither dataset_path nor the pull names a dataset",
            "Set dataset_path, or pass a pull with a dataset_path.",
        )
    return storage_path(path, field="pull")


def _options(
    task: ReportTask, reader: DatasetReader, manifest: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:

    options = parse_report_options(
        start=task.start,
        end=task.end,
        metrics=task.metrics,
        granularity=task.granularity,
        time_zone=task.time_zone,
        tweet_ids=task.tweet_ids,
        now=now,
    )
    if manifest is None:
        return options
    of_pull = options_of_pull(reader, manifest)
    # A report has figures of hours and days, which some totals do not have.
    of_pull["metrics"] = tuple(name for name in of_pull["metrics"] if name in TWEET_METRICS.metrics)
    return {**of_pull, **{name: value for name, value in options.items() if value}}
