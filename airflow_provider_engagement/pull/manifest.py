"""The manifest: the record of one pull, of the same small size whatever the size of the pull."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.pull.completeness import OutcomeSummary
from airflow_provider_engagement.pull.task_run import TaskRun
from airflow_provider_engagement.storage.layout import MANIFESTS_FOLDER

PULL_KEY = "engagement_pull"
"""The key of the XCom that says which dataset a pull wrote. The page finds pulls by it."""

REPORT_KEY = "engagement_report"
"""The key of the XCom that says where a task has written a report. The page finds reports by it."""

SCHEMA_VERSION = 1
"""The version of the manifest's keys. It changes when a key changes its name or meaning."""


def manifest_path(run: TaskRun) -> str:
    """Return the path of a run's manifest below the dataset's folder."""
    return f"{MANIFESTS_FOLDER}/{run.file_name}.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The record of one pull. :meth:`to_dict` is the XCom of the task.

    :param endpoint: the endpoint.
    :param auth: the kind of credentials: ``user``, ``app``, or ``user and app``.
    :param owners: ``requested``: how many different owners the Tweets have, as far as the pull knows them.
        ``rejected``: why the API did not accept the credentials of an owner, by owner.
    :param run_id: the id of the DAG run.
    :param task: the name of the DAG, of the task and, for a mapped task, the map index.
    :param metrics: the requested metrics.
    :param requested: how many Tweets were requested.
    :param outcomes: how many Tweets have each outcome.
    :param requests: numbers of requests: ``planned``, ``sent`` (with repetitions), ``succeeded``, ``reused``,
        ``failed``, ``rate_limited`` (HTTP 429).
    :param rows: rows by table.
    :param outputs: paths by table, and the path of the manifest.
    :param versions: the version of each Delta table after the pull.
    :param seconds: ``elapsed``, and ``waited``: the time that threads spent waiting for the rate limit or between
        repetitions, summed over the threads.
    :param rate_limit: the last known state of the rate limit.
    :param interval: start and end of the interval, as ISO text.
    :param snapshot_at: the time of the snapshot, as ISO text.
    :param adjustments: edges of the interval that differ from what was requested, and why.
    :param metric_changes: documented changes of the metrics on the days of the interval.
    """

    endpoint: str
    auth: str
    owners: Mapping[str, Any]
    run_id: str
    task: str
    metrics: tuple[str, ...]
    requested: int
    outcomes: OutcomeSummary
    requests: Mapping[str, int]
    rows: Mapping[str, int]
    outputs: Mapping[str, str]
    versions: Mapping[str, int]
    seconds: Mapping[str, float]
    rate_limit: Mapping[str, Any]
    interval: tuple[str, str] | None = None
    snapshot_at: str | None = None
    adjustments: tuple[Mapping[str, str], ...] = ()
    metric_changes: tuple[Mapping[str, str | None], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-compatible values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "endpoint": self.endpoint,
            "auth": self.auth,
            "owners": dict(self.owners),
            "run_id": self.run_id,
            "task": self.task,
            "metrics": list(self.metrics),
            "interval": list(self.interval) if self.interval else None,
            "snapshot_at": self.snapshot_at,
            "adjustments": list(self.adjustments),
            "metric_changes": list(self.metric_changes),
            "requested": self.requested,
            "complete": self.outcomes.numbers[Outcome.OK],
            **self.outcomes.to_dict(),
            "requests": dict(self.requests),
            "rows": dict(self.rows),
            "outputs": dict(self.outputs),
            "versions": dict(self.versions),
            "seconds": dict(self.seconds),
            "rate_limit": dict(self.rate_limit),
        }


def folder_of(outputs: Mapping[str, Any]) -> str | None:
    """Return the path or URL of the dataset whose manifest the outputs of a pull name; ``None`` if they name none.

    :param outputs: the paths by table, and the path of the manifest.
    """
    path = outputs.get("manifest")
    if not isinstance(path, str):
        return None
    scheme, separator, rest = path.rpartition("://")
    folder = PurePosixPath(rest).parent
    if folder.name != MANIFESTS_FOLDER:
        return None
    return f"{scheme}{separator}{folder.parent}"


def pull_entry(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the list of datasets shows of a pull. It is the same for all pulls of a task with these parameters.

    :param manifest: the manifest of the pull.
    """
    return {"dataset": folder_of(manifest["outputs"]), "metrics": list(manifest["metrics"])}
