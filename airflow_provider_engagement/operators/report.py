"""The operator that writes a report about a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from airflow.sdk import BaseOperator, BaseOperatorLink, conf

from airflow_provider_engagement.exceptions import MissingExtraError
from airflow_provider_engagement.hooks.failures import task_failures

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey


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
            _check_installed()
        from airflow_provider_engagement.operators.report_execution import execute_report

        return execute_report(self, context)


def _check_installed() -> None:
    """Say which extra a report needs, before what needs it is imported.

    :raises MissingExtraError: if it is not installed.
    """
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        raise MissingExtraError(
            "A report", "airflow-provider-engagement[report]", "altair and vl-convert-python draw its plots"
        )
