"""What every pull has in common: its inputs, its way to the API and back, and its report."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, ObjectStoragePath, conf

from airflow_provider_engagement.api.catalogue import Auth, Endpoint
from airflow_provider_engagement.api.planner import Request
from airflow_provider_engagement.api.query import Query
from airflow_provider_engagement.api.response import Outcome
from airflow_provider_engagement.dataset import saved_rate_limit
from airflow_provider_engagement.dataset.fetch import FetchResult, Parts, PartsInMemory, fetch_missing
from airflow_provider_engagement.dataset.folder import DatasetFolder, Output, ReturnedOutput
from airflow_provider_engagement.dataset.formats import parse_format
from airflow_provider_engagement.dataset.manifest import MANIFESTS, Manifest, parse_accepted_outcomes
from airflow_provider_engagement.dataset.response_store import ResponseStore, ReuseRule, always_reuse
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.storage import safe_name, unique_name
from airflow_provider_engagement.exceptions import InvalidQueryError, WaitRequired, airflow_failures
from airflow_provider_engagement.hooks.engagement import EngagementHook
from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids
from airflow_provider_engagement.operators.attempt import remember
from airflow_provider_engagement.operators.observability import count_report, count_requests, count_wait, span
from airflow_provider_engagement.operators.waiting import first_start, wait_until

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_engagement.api.client import EngagementClient

ROWS_WITHOUT_OUTPUT = 1_000
"""So many rows may be pulled without an output path, travelling as XCom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One execution of a pull, with everything rendered and checked.

    :param query: what is wanted.
    :param requests: what must be sent.
    :param parts: where answers are kept.
    :param output: where rows go.
    :param folder: the dataset's folder, if rows are written.
    :param accepted: the outcomes that do not fail the task.
    :param run: the run's id.
    :param owner: the id of the user whose Tweets are asked for, where a user's token is used.
    :param name: a name for files, that of the task and its map index, the same in every try.
    """

    query: Query
    requests: Sequence[Request]
    parts: Parts
    output: Output
    folder: ObjectStoragePath | None
    accepted: tuple[Outcome, ...]
    run: str
    owner: str | None
    name: str


class EngagementPullOperator(BaseOperator):
    """Base of the operators that pull engagement metrics.

    The answers are kept as they come, so that a retry asks only for what is missing. The report of the run is returned
    as XCom; without ``output_path`` the rows are in it.

    :param tweet_ids: the Tweets: a list of ids, the XCom of a task that returns one, or a string of ids. (templated)
    :param tweet_ids_file: instead, the path of a file that holds them, on any storage: text, CSV, JSON Lines, JSON of a
        search or look-up answer, or Parquet, each also gzipped. (templated)
    :param tweet_ids_column: the column of a CSV or Parquet file that holds the ids; by default ``tweet_id``,
        ``id_str`` or ``id``. (templated)
    :param metrics: names of metrics; by default all that can be had. (templated)
    :param groupings: groupings wanted in the API's own nesting, as ``{name: [dimension, …]}``, at most two beside the
        rows; they are written as JSON, or returned in the report without ``output_path``. (templated)
    :param output_path: the folder of the dataset, on any storage; by default rows are returned, up to 1,000 of them.
        (templated)
    :param output_format: ``parquet`` (default), ``csv`` or ``jsonl``. (templated)
    :param accepted_outcomes: what may become of a Tweet without failing the task; by default ``unavailable``,
        ``unsupported_90d`` and ``unsupported_video``. With ``forbidden`` among them, Tweets that other authors wrote
        are left out and reported. (templated)
    :param engagement_conn_id: the connection. (templated)
    :param workers: how many requests are under way at once; 8 by default.
    :param max_inline_wait: the longest wait for the rate limit, in seconds, that the task sleeps through on its worker (30
        by default); for a longer one it gives the worker up. Without ``output_path`` it sleeps through any.
    :param max_wait: seconds from a try's first start past which the task fails rather than wait for the rate limit; six
        hours by default.
    :param estimate_only: whether to return only what the pull would cost, as ``requests`` to be sent, ``minutes`` at
        the connection's ``requests_per_minute`` and distinct ``owners``, and send nothing.
    :param deferrable: whether to wait in the triggerer; else the scheduler starts the task again. By default
        ``[operators] default_deferrable``.
    """

    endpoint: ClassVar[Endpoint]

    template_fields: Sequence[str] = (
        "tweet_ids",
        "tweet_ids_file",
        "tweet_ids_column",
        "metrics",
        "groupings",
        "output_path",
        "output_format",
        "accepted_outcomes",
        "engagement_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"groupings": "json"}
    ui_color = "#d7ecfb"

    def __init__(
        self,
        *,
        tweet_ids: Any = None,
        tweet_ids_file: str | None = None,
        tweet_ids_column: str | None = None,
        metrics: Sequence[str] | str | None = None,
        groupings: Mapping[str, Any] | str | None = None,
        output_path: str | None = None,
        output_format: str = "parquet",
        accepted_outcomes: Sequence[str] | str | None = None,
        engagement_conn_id: str = EngagementHook.default_conn_name,
        workers: int = 8,
        max_inline_wait: float = 30.0,
        max_wait: float = 21_600.0,
        estimate_only: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tweet_ids = tweet_ids
        self.tweet_ids_file = tweet_ids_file
        self.tweet_ids_column = tweet_ids_column
        self.metrics = metrics
        self.groupings = groupings
        self.output_path = output_path
        self.output_format = output_format
        self.accepted_outcomes = accepted_outcomes
        self.engagement_conn_id = engagement_conn_id
        self.workers = workers
        self.max_inline_wait = max_inline_wait
        self.max_wait = max_wait
        self.estimate_only = estimate_only
        self.deferrable = deferrable
        self._client: EngagementClient | None = None

    @cached_property
    def hook(self) -> EngagementHook:
        """The hook of the task's connection."""
        return EngagementHook(self.engagement_conn_id)

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Pull, and return the report.

        :param context: the task's context.
        :param event: what the trigger told, when the task waited for the rate limit; nothing is read from it, since
            the answers that are kept say how far the pull is.
        """
        with airflow_failures():
            try:
                return self._pull(context)
            except WaitRequired as required:
                count_wait(self.endpoint)
                if getattr(getattr(self, "retry_policy", None), "waits_by_retrying", False):
                    raise
                wait_until(
                    required.until,
                    operator=self,
                    context=context,
                    deferrable=self.deferrable,
                    max_wait=self.max_wait,
                )

    def on_kill(self) -> None:
        """Stop sending; answers that came are kept."""
        if self._client is not None:
            self._client.stop()

    @abstractmethod
    def _query(self, context: Context, tweet_ids: object) -> Query:
        """Return what is wanted."""

    @abstractmethod
    def _plan(self, query: Query, context: Context) -> Sequence[Request]:
        """Return what must be sent."""

    @abstractmethod
    def _occasion(self, context: Context) -> str:
        """Return what sets apart two askings of the same request that may differ."""

    @abstractmethod
    def _assemble(self, job: Job, pulled: FetchResult, context: Context) -> Result:
        """Make rows of a job's parts, and write or return them."""

    @abstractmethod
    def _rows(self, query: Query) -> int:
        """Return about how many rows a query makes."""

    def _is_reusable(self, context: Context) -> ReuseRule:
        """Return what tells of an answer that is kept whether it need not be asked for again."""
        return always_reuse

    def _span(self, job: Job, context: Context) -> dict[str, Any]:
        """Return what the report says of time."""
        return {}

    def _pull(self, context: Context) -> dict[str, Any]:
        started = time.monotonic()
        job = self._job(context)
        if self.estimate_only:
            return self._estimate(job)
        self._client = client = self.hook.get_conn(
            # Answers that are kept in memory would be lost with the worker, so that they would be asked for again.
            max_inline_wait=self.max_inline_wait if self.output_path else None,
            max_wait=self.max_wait,
            drop_forbidden=Outcome.FORBIDDEN in job.accepted,
            connections=self.workers,
            known=saved_rate_limit.known(job.folder, self.hook.contract) if job.folder else None,
        )
        self.log.info(
            "Pulling %s of %d Tweets as %s: %d requests.",
            job.query.endpoint,
            len(job.query.tweet_ids),
            job.query.auth,
            len(job.requests),
        )
        try:
            with span("fetch", endpoint=str(self.endpoint), requests=len(job.requests)):
                pulled = fetch_missing(
                    job.requests,
                    parts=job.parts,
                    fetch=client.fetch,
                    workers=self.workers,
                    since=first_start(context),
                )
        finally:
            client.close()
            count_requests(self.endpoint, client)
            tally = remember(context, client)
            if job.folder and client.requests_sent:
                saved_rate_limit.keep(job.folder, self.hook.contract, client.pace.snapshot())
        with span("assemble", endpoint=str(self.endpoint), tweets=len(job.query.tweet_ids)):
            result = self._assemble(job, pulled, context)
        manifest = Manifest(
            endpoint=job.query.endpoint,
            auth=job.query.auth,
            owner=job.owner,
            run=job.run,
            metrics=job.query.metrics,
            asked=len(job.query.tweet_ids),
            outcomes=result.outcomes,
            requests={
                "planned": len(pulled.requests),
                "sent": tally.sent,
                "answered": pulled.answered,
                "reused": pulled.reused,
                "failed": len(pulled.failures),
                "refused": tally.refused,
            },
            rows=result.rows,
            outputs=job.output.locations,
            seconds={
                "elapsed": round(time.monotonic() - started, 3),
                "waited": round(tally.waited_seconds, 3),
            },
            budget=client.pace.snapshot().to_dict(),
            **self._span(job, context),
        )
        return self._report(job, manifest)

    def _estimate(self, job: Job) -> dict[str, Any]:
        """Return what a pull would cost, without sending anything."""
        missing = sum(not job.parts.holds(request) for request in job.requests)
        rate = self.hook.requests_per_minute
        self.log.info("The pull would send %d of %d requests; nothing is sent.", missing, len(job.requests))
        return {
            "endpoint": str(job.query.endpoint),
            "auth": str(job.query.auth),
            "tweets": len(job.query.tweet_ids),
            "owners": int(job.query.auth is Auth.USER),
            "planned": len(job.requests),
            "requests": missing,
            "requests_per_minute": rate,
            "minutes": missing / rate if rate else None,
        }

    def _job(self, context: Context) -> Job:
        _check_number("workers", self.workers, least=1, whole=True)
        _check_number("max_inline_wait", self.max_inline_wait, least=0)
        _check_number("max_wait", self.max_wait, least=0)
        accepted = parse_accepted_outcomes(self.accepted_outcomes)
        file_format = parse_format(self.output_format)
        query = self._query(context, self._read_tweet_ids())
        rows = self._rows(query)
        if not self.output_path and rows > ROWS_WITHOUT_OUTPUT:
            raise InvalidQueryError(
                "output_path",
                f"is not set, and about {rows} rows are too many to return as XCom",
                f"Set a folder to write to, or pull at most {ROWS_WITHOUT_OUTPUT} rows.",
            )
        folder = ObjectStoragePath(self.output_path) if self.output_path else None
        task_instance = context["ti"]
        mapped = (
            [task_instance.map_index] if task_instance.map_index is not None and task_instance.map_index >= 0 else []
        )
        return Job(
            query=query,
            requests=self._plan(query, context),
            parts=(
                ResponseStore(
                    folder,
                    identity=self.hook.identity,
                    occasion=self._occasion(context),
                    is_reusable=self._is_reusable(context),
                )
                if folder
                else PartsInMemory()
            ),
            output=DatasetFolder(folder, file_format) if folder else ReturnedOutput(),
            folder=folder,
            accepted=accepted,
            run=context["run_id"],
            owner=self.hook.credentials.user_id if query.auth is Auth.USER else None,
            name=unique_name(task_instance.dag_id, task_instance.task_id, *mapped),
        )

    def _read_tweet_ids(self) -> object:
        if (self.tweet_ids is None) == (self.tweet_ids_file is None):
            raise InvalidQueryError("tweet_ids", "give either these or tweet_ids_file")
        if self.tweet_ids_file is None:
            return self.tweet_ids
        return read_tweet_ids(ObjectStoragePath(self.tweet_ids_file), column=self.tweet_ids_column)

    def _report(self, job: Job, manifest: Manifest) -> dict[str, Any]:
        report = manifest.to_dict()
        self.log.info(
            "Done: %d of %d Tweets without a gap%s; %d requests sent, %d reused; waited %.1f s.",
            report["got"],
            report["asked"],
            "".join(f", {tweets['tweets']} {outcome}" for outcome, tweets in report["missing"].items()),
            report["requests"]["sent"],
            report["requests"]["reused"],
            report["seconds"]["waited"],
        )
        count_report(report)
        report |= job.output.returned
        if self.output_path:
            job.output.add_json("manifest", f"{MANIFESTS}/{job.name}.{safe_name(job.run)}.json", report)
            report["outputs"] = dict(job.output.locations)
        return report


def _check_number(name: str, value: object, *, least: int, whole: bool = False) -> None:
    number = value if isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) else None
    if number is None or not number >= least:
        raise InvalidQueryError(name, f"{value!r} is no {'whole ' if whole else ''}number from {least} up")
