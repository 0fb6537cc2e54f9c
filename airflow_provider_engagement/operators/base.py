"""The base of the pull operators: their common parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow.sdk import BaseOperator, conf

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.hooks.failures import airflow_failures
from airflow_provider_engagement.operators.configuration import configured
from airflow_provider_engagement.operators.links import DatasetLink, ManifestLink

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.client import EngagementClient
    from airflow_provider_engagement.operators.lineage import Lineage
    from airflow_provider_engagement.parameters import Template

    Tweets: TypeAlias = Sequence[Any] | Mapping[str, Any] | PathLike[str] | Template | int
    """Tweet ids, the path of a file of them, or ``FromFile`` or ``FromSql``."""


class EngagementPullOperator(BaseOperator):
    """Base of the operators that pull engagement metrics.

    Each response is stored as it arrives, so a retry sends only the requests that have no response. The task's XCom is
    the manifest of the pull. Without ``dataset_path``, the manifest contains the rows too.

    :param tweets: the Tweets: a list of ids or addresses, the XCom of a task that returns one, or a text of them; or
        the path or URL of a file with ids, of a folder of such files, or a pattern such as
        ``s3://bucket/part-*.csv``. An item of a list can be a mapping with ``tweet_id`` and ``owner``. To say how a
        file is read, pass :class:`~airflow_provider_engagement.parameters.FromFile`. To read the ids from a database,
        pass :class:`~airflow_provider_engagement.parameters.FromSql`. (templated)
    :param metrics: the names of the metrics to request; by default, all that the credentials can read. (templated)
    :param groupings: up to two additional groupings of the counts: ``{name: [dimension, …]}``. The task writes the
        grouped counts to a JSON file. Without ``dataset_path``, it returns them in the manifest. (templated)
    :param dataset_path: the path or URL of the dataset folder; by default, the option ``default_dataset_path`` of the
        configuration. If neither is set, or if it is ``''``, the task returns up to 1,000 rows as XCom. (templated)
    :param dataset_format: ``parquet``, ``csv`` or ``jsonl`` for one writer at a time, or ``delta`` for Delta Lake
        tables that several runs and machines write to at the same time. ``delta`` requires the extra ``delta`` of this
        package. By default, the option ``default_dataset_format`` of the configuration, or else ``parquet``.
        (templated)
    :param extra_tables: the tables to write that are not written by default: ``owner_ledger``, the owners of the pull,
        since X bills the number of different users in a month; and, except for totals, ``restatements``, the counts
        that differ from an earlier pull. ``owner_ledger`` requires ``dataset_path``. (templated)
    :param owners: :class:`~airflow_provider_engagement.parameters.Owners`: the owner of the Tweets that are listed
        without one, and the owners' own connections. (templated)
    :param accepted_outcomes: the outcomes to accept in addition to ``ok``; by default ``unavailable``,
        ``unsupported_90d`` and ``unsupported_video``. If a Tweet has any other outcome, the task fails. If you add
        ``forbidden``, the operator leaves out Tweets of other users and lists them in ``tweet_status``. (templated)
    :param limits: :class:`~airflow_provider_engagement.parameters.Limits`: how many Tweets, requests and owners the
        pull can have, and how long it can wait. (templated)
    :param asset_events: ``run`` to declare the main table of the pull as an outlet of the task, and to emit one asset
        event for each run. On ``historical`` also ``day``, to emit one event for each whole UTC day of the interval,
        with the day as its partition key. It requires a constant ``dataset_path``. By default, there are no events.
    :param estimate_only: whether to return an estimate of the pull instead of sending requests. The XCom of the task
        is then the estimate, for example how many ``requests`` the pull would send. (templated)
    :param engagement_conn_id: the id of the connection. (templated)
    :param deferrable: whether a waiting task defers to the triggerer. If not, the scheduler reschedules the task. By
        default ``[operators] default_deferrable``.
    """

    endpoint: ClassVar[str]

    template_fields: Sequence[str] = (
        "tweets",
        "metrics",
        "groupings",
        "dataset_path",
        "dataset_format",
        "extra_tables",
        "owners",
        "accepted_outcomes",
        "limits",
        "estimate_only",
        "engagement_conn_id",
    )
    operator_extra_links = (DatasetLink(), ManifestLink())
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "groupings": "json",
        "tweets.query": "sql",
        "owners": "json",
        "limits": "json",
    }
    ui_color = "#d7ecfb"

    client: EngagementClient | None = None
    """The client, while requests are in flight."""
    manifest_path: str | None = None
    """The path of the manifest, after the pull has written it."""
    lineage: Lineage | None = None
    """What the pull has read and written, for OpenLineage."""

    def __init__(
        self,
        *,
        tweets: Tweets,
        metrics: Sequence[str] | Template | None = None,
        groupings: Mapping[str, Any] | Template | None = None,
        dataset_path: Template | None = None,
        dataset_format: Template | None = None,
        extra_tables: Sequence[str] | Template | None = None,
        owners: Mapping[str, Any] | Template | None = None,
        accepted_outcomes: Sequence[str] | Template | None = None,
        limits: Mapping[str, Any] | Template | None = None,
        asset_events: str | None = None,
        estimate_only: bool | Template = False,
        engagement_conn_id: Template = EngagementHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        # The scheduler needs the pool before the task runs, so an execution cannot choose it.
        if "pool" not in {**(kwargs.get("default_args") or {}), **kwargs} and (pool := configured("default_pool")):
            kwargs["pool"] = pool
        super().__init__(**kwargs)
        self.tweets = tweets
        self.metrics = metrics
        self.groupings = groupings
        self.dataset_path = dataset_path
        self.has_dataset = dataset_path != ""
        """Whether the task writes a dataset if a path is configured. An author writes an empty path to have none."""
        self.dataset_format = dataset_format
        self.extra_tables = extra_tables
        self.owners = owners
        self.accepted_outcomes = accepted_outcomes
        self.limits = limits
        self.asset_events = asset_events
        self.estimate_only = estimate_only
        self.engagement_conn_id = engagement_conn_id
        self.deferrable = deferrable

    def check_parameters(self, granularity: object = None) -> None:
        """Reject parameters that can never be right, and declare the outlet of the task if it emits asset events.

        :param granularity: the granularity of the rows; ``None`` for totals.
        """
        from airflow_provider_engagement.inputs.settings import check_settings

        with airflow_failures():
            check_settings(self.endpoint, vars(self))
            self._declare_outlet(granularity)

    def configured_dataset_path(self) -> Any:
        """Return the path of the dataset folder: that of the task, or else that of the configuration."""
        if self.dataset_path is None and self.has_dataset:
            return configured("default_dataset_path")
        return self.dataset_path

    def _declare_outlet(self, granularity: object) -> None:
        """Declare the main table as an outlet of the task, if the task emits asset events for it."""
        if self.asset_events is None:
            return
        from airflow_provider_engagement.operators.asset_events import declared_asset

        asset = declared_asset(
            self.endpoint,
            events=self.asset_events,
            dataset_path=self.configured_dataset_path(),
            granularity=granularity,
        )
        if asset.uri not in {getattr(outlet, "uri", None) for outlet in self.outlets}:
            self.outlets = [*self.outlets, asset]

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run the pull, and return its manifest.

        :param context: the task's context.
        :param event: the trigger's event, if the task waited for the rate limit. It is not used: the stored responses
            say what is left to do.
        """
        from airflow_provider_engagement.operators.execution import execute_pull

        return execute_pull(self, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what the pull has read and written, for the provider of OpenLineage."""
        from airflow_provider_engagement.operators.lineage import to_openlineage

        return to_openlineage(self.lineage)

    def on_kill(self) -> None:
        """Stop sending requests. The responses that arrived stay stored."""
        if self.client is not None:
            self.client.stop()
