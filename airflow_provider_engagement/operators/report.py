"""The operator that writes a report about a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow.sdk import BaseOperator, BaseOperatorLink, conf

from airflow_provider_engagement.engagement_api.time_range import to_api
from airflow_provider_engagement.exceptions import InvalidQueryError, MissingExtraError
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.operators.asset_events import describe_outlets
from airflow_provider_engagement.operators.rendered_parameters import unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_engagement.pull.task_run import RunContext
    from airflow_provider_engagement.report.dataset_reader import DatasetReader
    from airflow_provider_engagement.storage.paths import StoragePath

FOLDER = "_reports"
"""The folder of reports. Readers of datasets ignore names that start with an underscore."""

PAGE = "/engagement/report"
"""The path below Airflow's address that shows the report of a task."""


class ReportLink(BaseOperatorLink):
    """A link from a task to its report, which Airflow's API server shows."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the report.

        :param operator: the operator.
        :param ti_key: identifies the task instance.
        """
        query = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        address = conf.get("api", "base_url", fallback="").rstrip("/")
        return f"{address}{PAGE}?{urlencode({**query, 'map_index': ti_key.map_index})}"


class EngagementReportOperator(BaseOperator):
    """Writes a report about a dataset, or about one of its pulls, as one HTML file that needs no network.

    The task's XCom is the path or URL of the file. The report says what is summed, what is missing and why. The
    operator requires the extra ``report`` of this package.

    .. seealso:: ``docs/report.md``

    :param dataset_path: the path or URL of the dataset folder. By default, the dataset of ``pull``. (templated)
    :param pull: the XCom of a pull. The report is about its Tweets, interval and metrics, and says how the pull went.
        (templated)
    :param start: the start of the interval, in the formats of
        :class:`~airflow_provider_engagement.operators.engagement.EngagementHistoricalOperator`. By default, the start
        of the interval of ``pull``, a week before its snapshot of totals, or 28 days before the end. It is rounded down
        to the hour. (templated)
    :param end: the end of the interval, in the same formats. By default, the end of the interval or the snapshot of
        ``pull``, or the end of the dataset. It is rounded up to the hour. (templated)
    :param metrics: the metrics. By default, those of ``pull``, or ``impressions``, ``engagements``, ``favorites``,
        ``retweets`` and ``replies``. (templated)
    :param granularity: the periods of the series: ``hour`` or ``day``. By default, hours if the interval has at most
        two days and the dataset has hours. (templated)
    :param time_zone: the IANA name of the time zone of days and times, and of the dates in ``start`` and ``end``; by
        default UTC, or that of the days of the dataset. (templated)
    :param tweet_ids: the ids of the Tweets; by default those of ``pull``, or all Tweets of the dataset. (templated)
    :param title: the title of the report. (templated)
    :param report_path: the path or URL of the HTML file. By default, a file below ``_reports`` in the dataset whose
        name contains the DAG, the task and the run. (templated)
    :param image_format: ``png`` or ``svg`` to write each plot as a file too, beside the report. The XCom ``images`` is
        the list of these files. By default, none are written. (templated)
    """

    template_fields: Sequence[str] = (
        "dataset_path",
        "pull",
        "start",
        "end",
        "metrics",
        "granularity",
        "time_zone",
        "tweet_ids",
        "title",
        "report_path",
        "image_format",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"pull": "json"}
    operator_extra_links = (ReportLink(),)
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        dataset_path: str | None = None,
        pull: Any = None,
        start: Any = None,
        end: Any = None,
        metrics: Sequence[str] | str | None = None,
        granularity: str | None = None,
        time_zone: str | None = None,
        tweet_ids: Any = None,
        title: str = "Engagement report",
        report_path: str | None = None,
        image_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_path = dataset_path
        self.pull = pull
        self.start = start
        self.end = end
        self.metrics = metrics
        self.granularity = granularity
        self.time_zone = time_zone
        self.tweet_ids = tweet_ids
        self.title = title
        self.report_path = report_path
        self.image_format = image_format

    def execute(self, context: Context) -> str:
        """Write the report, and return its path or URL."""
        with task_failures():
            unset_blank_parameters(self)
            return self._write(context, run_of(context))

    def _write(self, context: Context, run: RunContext) -> str:
        if find_spec("altair") is None or find_spec("vl_convert") is None:
            raise MissingExtraError(
                "A report", "airflow-provider-engagement[report]", "altair and vl-convert-python draw its plots"
            )
        from airflow_provider_engagement.connections.storage_options import storage_path, table_address
        from airflow_provider_engagement.inputs.choices import parse_choice
        from airflow_provider_engagement.report.choice import choose
        from airflow_provider_engagement.report.contents import images_of, make_report, warning_of
        from airflow_provider_engagement.report.dataset_figures import DatasetFigures
        from airflow_provider_engagement.report.dataset_reader import DatasetReader
        from airflow_provider_engagement.report.document import to_html
        from airflow_provider_engagement.report.images import ImageFormat
        from airflow_provider_engagement.storage.paths import write_atomically

        image_format = parse_choice(self.image_format, ImageFormat, field="image_format") if self.image_format else None
        manifest = self._manifest()
        folder = self._folder(manifest)
        reader = DatasetReader(folder, address_of=table_address)
        selection = choose(reader, **self._options(reader, manifest, run.time))
        report = make_report(DatasetFigures(reader, selection), title=self.title, manifest=manifest)
        if warning := warning_of(report):
            self.log.warning("%s", warning)
        name = f"{run.task_run().file_name}.html"
        path = storage_path(self.report_path, field="report_path") if self.report_path else folder / FOLDER / name
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
        self.log.info("The report is %s.", path)
        window = [to_api(selection.interval.start), to_api(selection.interval.end)]
        describe_outlets(self, {"dataset": str(folder), "window": window, "report": str(path)}, context)
        return str(path)

    def _manifest(self) -> Mapping[str, Any] | None:
        from airflow_provider_engagement.inputs.lists import parse_literal, quoted
        from airflow_provider_engagement.report.pull_figures import is_manifest

        if not self.pull:
            return None
        pull = parse_literal(self.pull, field="pull") if isinstance(self.pull, str) else self.pull
        if not is_manifest(pull):
            raise InvalidQueryError("pull", f"{quoted(pull)} is not the XCom of a pull", "Pass pull=task.output.")
        manifest: Mapping[str, Any] = pull
        return manifest

    def _folder(self, manifest: Mapping[str, Any] | None) -> StoragePath:
        from airflow_provider_engagement.connections.storage_options import storage_path
        from airflow_provider_engagement.pull.manifest import folder_of

        if self.dataset_path:
            return storage_path(self.dataset_path, field="dataset_path")
        path = folder_of(manifest["outputs"]) if manifest else None
        if path is None:
            raise InvalidQueryError(
                "dataset_path",
                "neither dataset_path nor the pull names a dataset",
                "Set dataset_path, or pass a pull with a dataset_path.",
            )
        return storage_path(path, field="pull")

    def _options(self, reader: DatasetReader, manifest: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
        from airflow_provider_engagement.inputs.report_options import parse_report_options
        from airflow_provider_engagement.report.pull_selection import options_of_pull
        from airflow_provider_engagement.tables.schema import TWEET_METRICS

        options = parse_report_options(
            start=self.start,
            end=self.end,
            metrics=self.metrics,
            granularity=self.granularity,
            time_zone=self.time_zone,
            tweet_ids=self.tweet_ids,
            now=now,
        )
        if manifest is None:
            return options
        of_pull = options_of_pull(reader, manifest)
        # A report has figures of hours and days, which some totals do not have.
        of_pull["metrics"] = tuple(name for name in of_pull["metrics"] if name in TWEET_METRICS.metrics)
        return {**of_pull, **{name: value for name, value in options.items() if value}}
