"""The base of the pull operators: their common parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, conf

from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.operators.configuration import configured
from airflow_provider_engagement.operators.links import DatasetLink, ManifestLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.client import EngagementClient
    from airflow_provider_engagement.operators.lineage import Lineage


class EngagementPullOperator(BaseOperator):
    """Base of the operators that pull engagement metrics.

    Each response is stored as it arrives, so a retry sends only the requests that have no response. The task's XCom is
    the manifest of the pull. Without ``dataset_path``, the manifest contains the rows too.

    :param tweet_ids: the ids or addresses of the Tweets: a list, the XCom of a task that returns a list, or a string.
        An item of a list can be a mapping with ``tweet_id`` and ``owner``. (templated)
    :param tweet_ids_file: the path or URL of a file with Tweet ids, of a folder of such files, or a pattern such as
        ``s3://bucket/part-*.csv``. Use it instead of ``tweet_ids``. A file can be text, CSV, JSON, JSON Lines, Parquet
        or ``tweets.js`` of a user's archive. It can be compressed with gzip. (templated)
    :param tweet_ids_sql: a query whose result contains Tweet ids. Use it instead of ``tweet_ids``. A column ``owner``
        contains the owners, if there is one. The text can be the path of a ``.sql`` file. (templated)
    :param tweet_ids_conn_id: the id of the connection of the database for ``tweet_ids_sql``. Its hook must be one of
        Airflow's provider ``common.sql``. (templated)
    :param tweet_ids_column: the column of a CSV or Parquet file or of the result of a query, or the key of JSON
        objects, that contains the ids; by default ``tweet_id``, ``status_id``, ``post_id``, ``id_str`` or ``id``. If a
        CSV file has no header, the number of the column, counted from 1. (templated)
    :param tweet_owner: the owner of the Tweets that are listed without an owner: a user id, or a name in
        ``account_tokens`` of the connection. By default, the user of the connection's access token. (templated)
    :param owner_column: the column of a CSV or Parquet file or of the result of a query, or the key of JSON objects,
        that contains the owner of each Tweet; by default ``owner``, if there is one. ``False`` to read no owners.
        (templated)
    :param owner_conn_id: the id of each owner's own connection, with ``{owner}`` in place of the owner, for example
        ``engagement_{owner}``. The operator uses it for owners that are not in ``account_tokens`` of the connection.
        (templated)
    :param metrics: the names of the metrics to request; by default, all that the credentials can read. (templated)
    :param groupings: up to two additional groupings of the counts: ``{name: [dimension, …]}``. The task writes the
        grouped counts to a JSON file. Without ``dataset_path``, it returns them in the manifest. (templated)
    :param dataset_path: the path or URL of the dataset folder; by default, the option ``default_dataset_path`` of the
        configuration. If neither is set, or if it is ``''``, the task returns up to 1,000 rows as XCom. (templated)
    :param dataset_format: ``parquet``, ``csv`` or ``jsonl`` for one writer at a time, or ``delta`` for Delta Lake
        tables that several runs and machines write to at the same time. ``delta`` requires the extra ``delta`` of this
        package. By default, the option ``default_dataset_format`` of the configuration, or else ``parquet``.
        (templated)
    :param accepted_outcomes: the outcomes to accept in addition to ``ok``; by default ``unavailable``,
        ``unsupported_90d`` and ``unsupported_video``. If a Tweet has any other outcome, the task fails. If you add
        ``forbidden``, the operator leaves out Tweets of other users and lists them in ``tweet_status``. (templated)
    :param write_owner_ledger: whether to add the owners of the pull to the table ``owner_ledger``, since X bills the
        number of different users in a month. It requires ``dataset_path``.
    :param max_owners: the number of different owners above which the task fails before it sends a request. With
        ``write_owner_ledger``, the owners of the calendar month count. By default, the option ``max_owners`` of the
        configuration.
    :param max_requests: the number of requests above which the task fails before it sends one. Requests that have a
        stored response do not count. By default, the option ``max_requests`` of the configuration.
    :param max_tweets: the number of Tweets above which the task fails before it sends a request. By default, the option
        ``max_tweets`` of the configuration.
    :param asset_events: ``run`` to declare the main table of the pull as an outlet of the task, and to emit one asset
        event for each run. On ``historical`` also ``day``, to emit one event for each whole UTC day of the interval,
        with the day as its partition key. It requires a constant ``dataset_path``. By default, there are no events.
    :param engagement_conn_id: the id of the connection. (templated)
    :param concurrent_requests: the maximum number of requests in flight at the same time; 8 by default.
    :param max_inline_wait: the longest time, in seconds, for which the task sleeps on its worker to wait for the rate
        limit; 30 by default. For a longer wait, the task releases its worker slot. Without ``dataset_path``, the task
        always sleeps on its worker.
    :param max_wait: the time limit for waiting, in seconds from the start of the attempt; six hours by default. If the
        rate limit resets later than that, the task fails.
    :param estimate_only: whether to return an estimate of the pull instead of sending requests. The XCom of the task
        is then the estimate, for example how many ``requests`` the pull would send.
    :param deferrable: whether a waiting task defers to the triggerer. If not, the scheduler reschedules the task. By
        default ``[operators] default_deferrable``.
    """

    endpoint: ClassVar[str]

    template_fields: Sequence[str] = (
        "tweet_ids",
        "tweet_ids_file",
        "tweet_ids_sql",
        "tweet_ids_conn_id",
        "tweet_ids_column",
        "tweet_owner",
        "owner_column",
        "owner_conn_id",
        "metrics",
        "groupings",
        "dataset_path",
        "dataset_format",
        "accepted_outcomes",
        "engagement_conn_id",
    )
    operator_extra_links = (DatasetLink(), ManifestLink())
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"groupings": "json", "tweet_ids_sql": "sql"}
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        tweet_ids: Any = None,
        tweet_ids_file: str | None = None,
        tweet_ids_sql: str | None = None,
        tweet_ids_conn_id: str | None = None,
        tweet_ids_column: str | int | None = None,
        tweet_owner: str | None = None,
        owner_column: str | int | bool | None = None,
        owner_conn_id: str | None = None,
        metrics: Sequence[str] | str | None = None,
        groupings: Mapping[str, Any] | str | None = None,
        dataset_path: str | None = None,
        dataset_format: str | None = None,
        accepted_outcomes: Sequence[str] | str | None = None,
        write_owner_ledger: bool = False,
        max_owners: int | None = None,
        max_requests: int | None = None,
        max_tweets: int | None = None,
        asset_events: str | None = None,
        engagement_conn_id: str = EngagementHook.default_conn_name,
        concurrent_requests: int = 8,
        max_inline_wait: float = 30.0,
        max_wait: float = 21_600.0,
        estimate_only: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        # The scheduler needs the pool before the task runs, so an execution cannot choose it.
        if "pool" not in {**(kwargs.get("default_args") or {}), **kwargs} and (pool := configured("default_pool")):
            kwargs["pool"] = pool
        super().__init__(**kwargs)
        self.tweet_ids = tweet_ids
        self.tweet_ids_file = tweet_ids_file
        self.tweet_ids_sql = tweet_ids_sql
        self.tweet_ids_conn_id = tweet_ids_conn_id
        self.tweet_ids_column = tweet_ids_column
        self.tweet_owner = tweet_owner
        self.owner_column = owner_column
        self.owner_conn_id = owner_conn_id
        self.metrics = metrics
        self.groupings = groupings
        self.dataset_path = dataset_path
        self.has_dataset = dataset_path != ""
        """Whether the task writes a dataset if a path is configured. An author writes an empty path to have none."""
        self.dataset_format = dataset_format
        self.accepted_outcomes = accepted_outcomes
        self.write_owner_ledger = write_owner_ledger
        self.max_owners = max_owners
        self.max_requests = max_requests
        self.max_tweets = max_tweets
        self.asset_events = asset_events
        self.engagement_conn_id = engagement_conn_id
        self.concurrent_requests = concurrent_requests
        self.max_inline_wait = max_inline_wait
        self.max_wait = max_wait
        self.estimate_only = estimate_only
        self.deferrable = deferrable
        self.client: EngagementClient | None = None
        """The client, while requests are in flight."""
        self.manifest_path: str | None = None
        """The path of the manifest, after the pull has written it."""
        self.lineage: Lineage | None = None
        """What the pull has read and written, for OpenLineage."""

    def configured_dataset_path(self) -> str | None:
        """Return the path of the dataset folder: that of the task, or else that of the configuration."""
        if self.dataset_path is None and self.has_dataset:
            return configured("default_dataset_path")
        return self.dataset_path

    def declare_outlet(self, granularity: str | None = None) -> None:
        """Declare the main table as an outlet of the task, if the task emits asset events for it.

        :param granularity: the granularity of the rows; ``None`` for totals.
        :raises InvalidQueryError: if the table is known only when the task runs.
        """
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
