"""Pulls of engagement metrics as Airflow tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.api.catalogue import Endpoint
from airflow_provider_engagement.api.moment import parse_moment
from airflow_provider_engagement.api.planner import Request, plan
from airflow_provider_engagement.api.query import Query
from airflow_provider_engagement.dataset.pull import Pulled
from airflow_provider_engagement.dataset.result import Result
from airflow_provider_engagement.dataset.totals import Snapshot, assemble_totals
from airflow_provider_engagement.operators.pull import EngagementPullOperator, Job

if TYPE_CHECKING:
    from airflow.sdk import Context


class EngagementTotalsOperator(EngagementPullOperator):
    """Pulls the current totals of any number of Tweets into the tables ``tweet_totals`` and ``tweet_status``.

    .. seealso:: :ref:`howto/operator:EngagementTotalsOperator`

    :param auth: ``user`` to ask as the author of the Tweets, ``app`` to ask for public metrics of any Tweet; by
        default ``app`` where public metrics alone are named and ``user`` otherwise. (templated)
    :param snapshot_at: the time that the rows bear, part of their key; by default the run's own: the end of its data
        interval, else its logical date, else the time it was due. (templated)

    All other parameters are those of
    :class:`~airflow_provider_engagement.operators.pull.EngagementPullOperator`.
    """

    endpoint = Endpoint.TOTALS
    template_fields: Sequence[str] = (*EngagementPullOperator.template_fields, "auth", "snapshot_at")

    def __init__(self, *, auth: str | None = None, snapshot_at: datetime | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.auth = auth
        self.snapshot_at = snapshot_at

    def _query(self, context: Context, tweet_ids: object) -> Query:
        return self.hook.query(self.endpoint, tweet_ids, metrics=self.metrics, auth=self.auth, groupings=self.groupings)

    def _plan(self, query: Query) -> Sequence[Request]:
        return plan(query)

    def _occasion(self, context: Context) -> str:
        return f"{self._snapshot_time(context):%Y%m%dT%H%M%S%f}"

    def _span(self, context: Context) -> dict[str, Any]:
        return {"snapshot_at": self._snapshot_time(context).isoformat()}

    def _assemble(self, job: Job, pulled: Pulled, context: Context) -> Result:
        snapshot_at = self._snapshot_time(context)
        return assemble_totals(
            pulled,
            job.parts,
            job.output,
            snapshot=Snapshot(snapshot_at=snapshot_at, run=job.run, owner=job.owner, auth=job.query.auth),
            name=f"{job.name}.{snapshot_at:%Y%m%dT%H%M%S}",
            accepted=job.accepted,
        )

    def _snapshot_time(self, context: Context) -> datetime:
        if self.snapshot_at is not None:
            return parse_moment(self.snapshot_at, field="snapshot_at", now=datetime.now(UTC))
        own = context.get("data_interval_end") or context.get("logical_date") or context["dag_run"].run_after
        return own.astimezone(UTC)
