"""Roll up hourly rows as they arrive, and stage each row as soon as it is complete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.planner import Request
from airflow_provider_engagement.pull import rollups
from airflow_provider_engagement.pull.response_store import StoredResponse
from airflow_provider_engagement.pull.series_rows import SeriesRows, covered_hours, hourly_rows, table_rows
from airflow_provider_engagement.tables.days import local_day
from airflow_provider_engagement.tables.granularity import Granularity
from airflow_provider_engagement.tables.staging import MergeTarget

MIN_COMPACTION_ROWS = 100_000
"""Partial sums are combined once this many are in memory, so that memory depends on complete rows alone."""


class SeriesWriter:
    """Makes rows of the requested granularity from stored responses, which arrive in the order of their windows.

    :param rows: which rows to make.
    :param owner_of: returns the owner of a Tweet.
    :param target: where complete rows are staged.
    """

    def __init__(self, rows: SeriesRows, owner_of: Callable[[str], str | None], target: MergeTarget) -> None:
        self._rows = rows
        self._owner_of = owner_of
        self._target = target
        self._partial: list[pyarrow.Table] = []
        self._partial_rows = 0
        self._compact_at = MIN_COMPACTION_ROWS

    def add(self, request: Request, response: StoredResponse) -> None:
        """Add the response to a request."""
        granularity, metrics, zone = self._rows.granularity, self._rows.query.metrics, self._rows.zone
        if request.window is not None:
            self._complete_before(request.window.start)
        hours = hourly_rows(response, self._rows)
        if hours is None:
            return
        if granularity is Granularity.HOUR:
            self._stage(hours)
        elif granularity is Granularity.DAY:
            self._hold(rollups.sum_by_day(hours, metrics, zone))
        else:
            period_of = partial(self._rows.period_of, available=covered_hours(response))
            if granularity is Granularity.TOTAL:
                self._hold(rollups.sum_by_tweet(hours, metrics, period_of))
            else:
                sums = rollups.sum_by_hour_of_day(hours, metrics, zone)
                starts, ends = rollups.period_columns(sums, period_of)
                self._hold(sums.append_column("period_start", starts).append_column("period_end", ends))

    def finish(self) -> None:
        """Stage the rows that were still incomplete, since no more responses follow."""
        if self._partial:
            self._compact()
            self._stage(self._partial.pop())

    def _complete_before(self, start: datetime) -> None:
        """Stage the rows that no response from a time on adds to, and complete their partitions."""
        if self._rows.granularity is Granularity.HOUR:
            self._target.close_before(start)
        elif self._rows.granularity is Granularity.DAY and self._partial:
            self._compact()
            today = local_day(start, self._rows.zone)[0]
            sums = self._partial[0]
            is_complete = compute.less(sums["period_start"], pyarrow.scalar(today, sums["period_start"].type))
            complete = sums.filter(is_complete)
            if complete.num_rows:
                self._stage(complete)
                self._partial = [sums.filter(compute.invert(is_complete))]
                self._partial_rows = self._partial[0].num_rows
            self._target.close_before(today)

    def _stage(self, counts: pyarrow.Table) -> None:
        self._target.stage(table_rows(counts, self._rows, self._owner_of))

    def _hold(self, sums: pyarrow.Table) -> None:
        self._partial.append(sums)
        self._partial_rows += sums.num_rows
        if self._partial_rows >= self._compact_at:
            self._compact()
            self._compact_at = max(self._compact_at, 2 * self._partial_rows)

    def _compact(self) -> None:
        if len(self._partial) > 1:
            hour_of_day = ("hour_of_day",) if self._rows.granularity is Granularity.HOUR_OF_DAY else ()
            key = ("tweet_id", "period_start", *hour_of_day)
            sums = pyarrow.concat_tables(self._partial)
            self._partial = [rollups.sum_rows(sums, self._rows.query.metrics, key)]
        self._partial_rows = self._partial[0].num_rows
