"""Execute a pull as a task of Airflow: its parameters and its run come in, and Airflow is told what the pull does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_engagement.connections.engagement import EngagementConnection
from airflow_provider_engagement.connections.listed_tweets import read_tweets
from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.exceptions import WaitRequired
from airflow_provider_engagement.hooks.failures import task_failures
from airflow_provider_engagement.inputs.choices import parse_choice
from airflow_provider_engagement.inputs.numbers import parse_whole_number
from airflow_provider_engagement.inputs.settings import PullSettings, parse_settings
from airflow_provider_engagement.operators.asset_events import record_events
from airflow_provider_engagement.operators.configuration import SECTION, configured
from airflow_provider_engagement.operators.lineage import Lineage, pull_lineage
from airflow_provider_engagement.operators.observability import count_manifest, count_requests, count_wait
from airflow_provider_engagement.operators.pull_entry import push_entry
from airflow_provider_engagement.operators.rendered_parameters import parameter_values, unset_blank_parameters
from airflow_provider_engagement.operators.run_context import run_of
from airflow_provider_engagement.operators.task_state import add_to_attempt, keep_progress
from airflow_provider_engagement.operators.waiting import WaitingTask, WaitsByRetrying, wait_until
from airflow_provider_engagement.pull.attempt import AttemptTotals
from airflow_provider_engagement.pull.make_pull import make_pull
from airflow_provider_engagement.pull.progress_report import reported_progress
from airflow_provider_engagement.pull.run import Fetched, PullRun, check_pull
from airflow_provider_engagement.storage.paths import StoragePath
from airflow_provider_engagement.storage.worker_folder import WorkerFolder
from airflow_provider_engagement.tables.dataset_format import DatasetFormat

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.engagement_api.client import EngagementClient


class PullTask(WaitingTask, Protocol):
    """The operator of a pull: what its execution reads, beside the parameters, and what it says afterwards."""

    task_id: str
    outlets: list[Any]
    dataset_path: Any
    deferrable: bool
    client: EngagementClient | None
    manifest_path: str | None
    lineage: Lineage | None

    @property
    def endpoint(self) -> str:
        """The endpoint."""

    def configured_dataset_path(self) -> str | None:
        """Return the path of the dataset folder: that of the task, or else that of the configuration."""


def execute_pull(task: PullTask, context: Context) -> dict[str, Any]:
    """Run the pull of a task, and return its manifest.

    :param task: the operator, with rendered parameters.
    :param context: the task's context.
    """
    with task_failures():
        unset_blank_parameters(task)
        settings = _with_configured_limits(parse_settings(task.endpoint, _complete(task, parameter_values(task))))
    # A link leads to the path, wherever it comes from.
    task.dataset_path = settings.dataset_path
    with task_failures(settings.conn_id):
        try:
            return _pull(task, settings, context)
        except WaitRequired as required:
            count_wait(settings.endpoint)
            if isinstance(getattr(task, "retry_policy", None), WaitsByRetrying):
                raise
            wait_until(
                required.until,
                operator=task,
                context=context,
                deferrable=task.deferrable,
                max_wait=settings.max_wait,
            )


def _complete(task: PullTask, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, with what the administrator has configured in place of what the DAG does not set."""
    found = {**values, "dataset_path": task.configured_dataset_path()}
    if found["dataset_format"] is None:
        text, field = configured("default_dataset_format"), f"[{SECTION}] default_dataset_format"
        found["dataset_format"] = parse_choice(text or DatasetFormat.PARQUET, DatasetFormat, field=field)
    return found


def _with_configured_limits(settings: PullSettings) -> PullSettings:
    """Return the settings with the limits that the administrator has configured, where the DAG sets none."""
    limits = {
        name: parse_whole_number(text, field=f"[{SECTION}] max_{name}", minimum=0)
        for name in ("tweets", "requests", "owners")
        if getattr(settings.limits, name) is None and (text := configured(f"max_{name}"))
    }
    return replace(settings, limits=replace(settings.limits, **limits))


def _pull(task: PullTask, settings: PullSettings, context: Context) -> dict[str, Any]:
    api = EngagementConnection(settings.conn_id, owner_conn_id=settings.owner_conn_id)
    pull = make_pull(settings, read_tweets(settings.tweets), run_of(context), api)
    check_pull(pull)
    with _open_dataset(settings.dataset_path) as path:
        running = PullRun(pull, api, path, address_of=table_address)
        running.check_time()
        if settings.estimate_only:
            return running.estimate().to_dict()
        running.check()
        fetched, attempt = _fetch(task, settings, running, context)
        result = running.assemble(fetched, attempt)
    count_manifest(result.manifest)
    task.manifest_path = result.manifest_path
    task.lineage = pull_lineage(
        api.base_url,
        settings.endpoint,
        dataset_path=settings.dataset_path,
        granularity=settings.main_table[1],
        rows=result.rows,
    )
    if result.error is not None:
        raise result.error
    record_events(task.outlets, pull, result.manifest, context)
    push_entry(result.manifest, context)
    return result.manifest


def _fetch(task: PullTask, settings: PullSettings, running: PullRun, context: Context) -> tuple[Fetched, AttemptTotals]:
    """Send the requests, and return what they brought and what the attempt has sent, whether it waits then or not."""
    with running.open_client() as client:
        task.client = client
        try:
            with reported_progress(task.task_id, client, partial(keep_progress, context)) as report:
                fetched = running.fetch(client, report)
        finally:
            totals = AttemptTotals.from_client(client)
            count_requests(settings.endpoint, totals)
            attempt = add_to_attempt(context, totals)
        return fetched, attempt


@contextmanager
def _open_dataset(dataset_path: str | None) -> Iterator[StoragePath]:
    """Yield the folder of the dataset: the dataset path, or a temporary folder if there is none."""
    if dataset_path:
        yield storage_path(dataset_path, field="dataset_path")
    else:
        folder = WorkerFolder()
        try:
            yield folder.path
        finally:
            folder.delete()
