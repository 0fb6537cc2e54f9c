"""Restated counts: what differs between two reads of the same counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.merging import first_of_each_key, times_of_counts
from airflow_provider_engagement.tables.tables import OLDER_COUNTS, RESTATEMENTS

_KEY = ["tweet_id", "period_start", "period_end", "time_zone"]


class RestatementLog:
    """Collects the counts that a newer read returned with another value.

    :param granularity: the granularity of the compared rows.
    :param time_zone: the time zone of the compared rows.
    :param earlier: the rows that earlier executions of the same run have collected.
    :param save: is called with all rows before the newer counts are published, so that a kill loses none.
    """

    def __init__(
        self,
        granularity: str,
        time_zone: str = "UTC",
        *,
        earlier: pyarrow.Table | None = None,
        save: Callable[[pyarrow.Table], None] = lambda rows: None,
    ) -> None:
        self._granularity = granularity
        self._time_zone = time_zone
        self._found = [] if earlier is None else [earlier]
        self._save = save

    def compare(self, before: pyarrow.Table, after: pyarrow.Table, metrics: Sequence[str]) -> None:
        """Collect the counts that differ, and those that were null before.

        A count that becomes null is not collected, since the table keeps the known count.

        :param before: published rows, one for each Tweet and period.
        :param after: newer rows, of any Tweets and periods.
        :param metrics: the metrics that the newer read requested.
        """
        columns = [*_KEY, "fetched_at", OLDER_COUNTS, *metrics]
        both = after.select(columns).join(before.select(columns), _KEY, join_type="inner", right_suffix="_before")
        new_times, old_times = times_of_counts(both, metrics), times_of_counts(both, metrics, suffix="_before")
        found = []
        for metric in metrics:
            new, old = both[metric], both[f"{metric}_before"]
            changed = compute.fill_null(compute.not_equal(new, old), False)
            new_only = compute.and_(compute.is_valid(new), compute.is_null(old))
            # Another pull may have read other metrics of the row in the meantime.
            is_newer = compute.greater(new_times[metric], old_times[metric])
            rows = both.append_column("new_time", new_times[metric]).append_column("old_time", old_times[metric])
            rows = rows.filter(compute.and_(is_newer, compute.or_(changed, new_only)))
            if rows.num_rows:
                found.append(self._rows(rows, metric))
        if found:
            self._found += found
            self._save(self.table())

    def table(self) -> pyarrow.Table:
        """Return the collected rows of ``restatements``, ordered by Tweet and period."""
        if not self._found:
            return arrow_schema(RESTATEMENTS).empty_table()
        # A run that is repeated after a kill finds the same counts again.
        newest_first = pyarrow.concat_tables(reversed(self._found))
        rows = first_of_each_key(newest_first, RESTATEMENTS.key, RESTATEMENTS.columns)
        return rows.cast(newest_first.schema).sort_by([(name, "ascending") for name in (*_KEY, "metric")])

    def _rows(self, rows: pyarrow.Table, metric: str) -> pyarrow.Table:
        return columns_to_table(
            RESTATEMENTS,
            {
                **{name: rows[name] for name in ("tweet_id", "period_start", "period_end")},
                "granularity": pyarrow.repeat(self._granularity, rows.num_rows),
                "time_zone": pyarrow.repeat(self._time_zone, rows.num_rows),
                "metric": pyarrow.repeat(metric, rows.num_rows),
                "old_value": rows[f"{metric}_before"],
                "new_value": rows[metric],
                "old_fetched_at": rows["old_time"],
                "new_fetched_at": rows["new_time"],
            },
        )
