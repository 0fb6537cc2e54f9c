"""An operator that ranks the Tweets of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_engagement.operators.links import BestTweetLink, DatasetLink

if TYPE_CHECKING:
    import pyarrow
    from airflow.sdk import Context

    from airflow_provider_engagement.operators.lineage import Lineage

    ReadCounts = Callable[[Sequence[str]], pyarrow.Table]


class EngagementTopTweetsOperator(BaseOperator):
    """Finds the Tweets of a dataset with the highest counts of each metric.

    The Tweets come from one snapshot of ``tweet_totals``, or from ``tweet_metrics``, whose counts are summed over an
    interval. A larger count comes first. Of equal counts, the smaller Tweet id comes first. A Tweet whose count is null
    is not ranked.

    .. seealso:: ``docs/operators/top-tweets.md``

    :param dataset_path: the path or URL of the dataset folder. (templated)
    :param table: ``tweet_totals`` (default) or ``tweet_metrics``. (templated)
    :param metrics: the names of the metrics to rank by; by default, all that have counts. (templated)
    :param limit: how many Tweets to return for each metric, from 1 to 1,000; 10 by default. (templated)
    :param snapshot_at: the time of the snapshot of ``tweet_totals``, in the formats of
        ``EngagementTotalsOperator.snapshot_at``; by default, the newest snapshot. (templated)
    :param start: the start of the interval of ``tweet_metrics``, in the formats of
        ``EngagementHistoricalOperator.start``. A date is midnight in ``time_zone``. By default, the run's
        partition key or data interval sets the start and the end. (templated)
    :param end: the end of the interval, in the same formats as ``start``. The end is not part of the interval.
        (templated)
    :param granularity: which rows of ``tweet_metrics`` to sum: ``hour`` (default) or ``day``. (templated)
    :param time_zone: the IANA name of the time zone of the days and of the dates in ``start`` and ``end``; UTC by
        default. (templated)
    :param csv_path: the path or URL of a CSV file to write the ranking to. (templated)
    :param markdown_path: the path or URL of a Markdown file to write the ranking to. (templated)
    """

    template_fields: Sequence[str] = (
        "dataset_path",
        "table",
        "metrics",
        "limit",
        "snapshot_at",
        "start",
        "end",
        "granularity",
        "time_zone",
        "csv_path",
        "markdown_path",
    )
    operator_extra_links = (BestTweetLink(), DatasetLink())
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        dataset_path: str,
        table: str = "tweet_totals",
        metrics: Sequence[str] | str | None = None,
        limit: int | str = 10,
        snapshot_at: Any = None,
        start: Any = None,
        end: Any = None,
        granularity: str = "hour",
        time_zone: str = "UTC",
        csv_path: str | None = None,
        markdown_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_path = dataset_path
        self.table = table
        self.metrics = metrics
        self.limit = limit
        self.snapshot_at = snapshot_at
        self.start = start
        self.end = end
        self.granularity = granularity
        self.time_zone = time_zone
        self.csv_path = csv_path
        self.markdown_path = markdown_path
        self.best_tweet: str | None = None
        """The URL of the best Tweet of the first metric, after the task has run."""
        self.lineage: Lineage | None = None
        """What the task has read and written, for OpenLineage."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Rank the Tweets, write the files, and return the ranking."""
        from airflow_provider_engagement.operators.top_tweets_execution import execute_top_tweets

        return execute_top_tweets(self, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the task has read and written, for the provider of OpenLineage."""
        from airflow_provider_engagement.operators.lineage import to_openlineage

        return to_openlineage(self.lineage)
