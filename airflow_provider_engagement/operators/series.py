"""What the pulls by the hour have in common: the grain of their rows, and how rows are made."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_engagement.api.query import Granularity
from airflow_provider_engagement.api.time_range import TimeRange
from airflow_provider_engagement.dataset.rollups import parse_time_zone
from airflow_provider_engagement.dataset.time_series import SETTLING_TIME, TimeSeries
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.operators.base import EngagementPullOperator, Job


class EngagementSeriesOperator(EngagementPullOperator):
    """Base of the operators that pull counts by the hour and make rows of a grain of them."""

    template_fields: Sequence[str] = (*EngagementPullOperator.template_fields, "granularity", "time_zone")
    granularities: Sequence[Granularity]

    def __init__(
        self,
        *,
        granularity: str = "hour",
        time_zone: str = "UTC",
        settling_hours: float = SETTLING_TIME / timedelta(hours=1),
        restatements: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.granularity = granularity
        self.time_zone = time_zone
        self.settling_hours = settling_hours
        self.restatements = restatements

    @property
    def _settling_time(self) -> timedelta:
        return timedelta(hours=self.settling_hours)

    def _grain(self) -> Granularity:
        if self.granularity not in self.granularities:
            raise InvalidQueryError(
                "granularity",
                f"{self.granularity!r} is not to be had from {self.endpoint}",
                f"Choose from {', '.join(self.granularities)}.",
            )
        return Granularity(self.granularity)

    @abstractmethod
    def _wanted(self, tweet_id: str, covered: TimeRange) -> TimeRange | None:
        """Return the hours of a Tweet that rows are made of."""

    def _series(self, job: Job, *, span: Callable[[str], TimeRange] | None, name: str, date: datetime) -> TimeSeries:
        return TimeSeries(
            query=job.query,
            granularity=self._grain(),
            zone=parse_time_zone(self.time_zone),
            wanted=self._wanted,
            span=span,
            settling_time=self._settling_time,
            run=job.run,
            task=job.name,
            owner=job.owner,
            name=f"{job.name}.{name}",
            date=date,
            restatements=self.restatements,
        )
