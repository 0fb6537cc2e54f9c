"""What changed between two readings of the same counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_engagement.dataset.schema import RESTATEMENTS, arrow_schema, columns_to_table

if TYPE_CHECKING:
    import pyarrow

_KEY = ["tweet_id", "period_start", "period_end", "time_zone"]


class Restatements:
    """Gathers the counts that a newer reading gave another value.

    :param granularity: the grain of the rows that are compared.
    :param time_zone: the zone whose days they are.
    """

    def __init__(self, granularity: str, time_zone: str = "UTC") -> None:
        self._granularity = granularity
        self._time_zone = time_zone
        self._found: list[pyarrow.Table] = []

    def compare(self, before: pyarrow.Table, now: pyarrow.Table, metrics: Sequence[str]) -> None:
        """Take note of the counts that differ; a null that became a number differs too.

        A number that became a null does not: the table keeps the number.

        :param before: rows as they were, one for each Tweet and period.
        :param now: newer rows likewise, of these or other Tweets and periods.
        :param metrics: the metrics that the newer rows were asked for.
        """
        import pyarrow.compute as compute

        columns = [*_KEY, "fetched_at", *metrics]
        both = now.select(columns).join(before.select(columns), _KEY, join_type="inner", right_suffix="_before")
        both = both.filter(compute.greater(both["fetched_at"], both["fetched_at_before"]))
        for metric in metrics:
            new, old = both[metric], both[f"{metric}_before"]
            unequal = compute.fill_null(compute.not_equal(new, old), False)
            new_only = compute.and_(compute.is_valid(new), compute.is_null(old))
            rows = both.filter(compute.or_(unequal, new_only))
            if rows.num_rows:
                self._found.append(self._rows(rows, metric))

    def table(self) -> pyarrow.Table:
        """Return what was found, in the order of Tweets and periods."""
        import pyarrow

        if not self._found:
            return arrow_schema(RESTATEMENTS).empty_table()
        return pyarrow.concat_tables(self._found).sort_by([(name, "ascending") for name in (*_KEY, "metric")])

    def _rows(self, rows: pyarrow.Table, metric: str) -> pyarrow.Table:
        import pyarrow

        return columns_to_table(
            RESTATEMENTS,
            {
                "tweet_id": rows["tweet_id"],
                "period_start": rows["period_start"],
                "period_end": rows["period_end"],
                "granularity": pyarrow.repeat(self._granularity, rows.num_rows),
                "time_zone": pyarrow.repeat(self._time_zone, rows.num_rows),
                "metric": pyarrow.repeat(metric, rows.num_rows),
                "old_value": rows[f"{metric}_before"],
                "new_value": rows[metric],
                "old_fetched_at": rows["fetched_at_before"],
                "new_fetched_at": rows["fetched_at"],
            },
        )
