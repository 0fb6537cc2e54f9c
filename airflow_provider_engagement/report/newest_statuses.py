"""The newest outcome of each Tweet in each task."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow
import pyarrow.compute as compute

BATCHES_AT_ONCE = 16
"""How many batches are compared at once."""

KEY = ["tweet_id", "task"]
COLUMNS = ("tweet_id", "task", "outcome", "metrics_affected", "message", "checked_at")
"""The columns of ``tweet_status`` that are read."""


def newest_statuses(batches: Iterable[pyarrow.Table]) -> pyarrow.Table:
    """Return the newest row of each Tweet and task, in the order of the ids.

    :param batches: rows of ``tweet_status`` with :data:`COLUMNS`.
    """
    found: list[pyarrow.Table] = []
    for batch in batches:
        found.append(batch)
        if len(found) >= BATCHES_AT_ONCE:
            found = [_newest(pyarrow.concat_tables(found))]
    if not found:
        return pyarrow.table({name: pyarrow.array([], pyarrow.string()) for name in COLUMNS})
    return _newest(pyarrow.concat_tables(found))


def _newest(rows: pyarrow.Table) -> pyarrow.Table:
    # A row without a time belongs to a request that has no response. It is older than every other row.
    time = compute.fill_null(rows["checked_at"], pyarrow.scalar(0, rows["checked_at"].type))
    ordered = rows.append_column("time", time).sort_by("time").drop_columns("time")
    others = [name for name in COLUMNS if name not in KEY]
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    last = ordered.group_by(KEY, use_threads=False).aggregate([(name, "last", keep_nulls) for name in others])
    renamed = last.select([*KEY, *(f"{name}_last" for name in others)]).rename_columns([*KEY, *others])
    return renamed.select(list(COLUMNS)).sort_by([(name, "ascending") for name in KEY])
