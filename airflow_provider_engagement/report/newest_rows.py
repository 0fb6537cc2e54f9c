"""The newest row of each key, such as the newest outcome of each Tweet in each task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow
import pyarrow.compute as compute

BATCHES_AT_ONCE = 16
"""How many batches are compared at once."""

STATUS_KEY = ("tweet_id", "task")
STATUS_COLUMNS = ("tweet_id", "task", "outcome", "metrics_affected", "message", "checked_at")
"""The columns of ``tweet_status`` that are read."""


def newest_statuses(batches: Iterable[pyarrow.Table]) -> pyarrow.Table:
    """Return the newest row of each Tweet and task, in the order of the ids.

    :param batches: rows of ``tweet_status`` with :data:`STATUS_COLUMNS`.
    """
    statuses = newest_rows(batches, key=STATUS_KEY, time="checked_at")
    if statuses is None:
        return pyarrow.table({name: pyarrow.array([], pyarrow.string()) for name in STATUS_COLUMNS})
    return statuses


def newest_rows(batches: Iterable[pyarrow.Table], *, key: Sequence[str], time: str) -> pyarrow.Table | None:
    """Return the newest row of each key, in the order of the keys; ``None`` if there are no batches.

    Memory does not depend on the number of batches.

    :param batches: rows with the columns of the key, the time and others.
    :param key: the columns of the key.
    :param time: the column that says how new a row is. A row without a time is older than every other row.
    """
    kept: list[pyarrow.Table] = []
    for batch in batches:
        kept.append(batch)
        if len(kept) >= BATCHES_AT_ONCE:
            kept = [_newest(pyarrow.concat_tables(kept), key, time)]
    return _newest(pyarrow.concat_tables(kept), key, time) if kept else None


def _newest(rows: pyarrow.Table, key: Sequence[str], time: str) -> pyarrow.Table:
    order = compute.fill_null(rows[time], pyarrow.scalar(0, rows[time].type))
    ordered = rows.append_column("_order", order).sort_by("_order").drop_columns("_order")
    others = [name for name in rows.column_names if name not in key]
    keep_nulls = compute.ScalarAggregateOptions(skip_nulls=False)
    last = ordered.group_by(list(key), use_threads=False).aggregate([(name, "last", keep_nulls) for name in others])
    renamed = last.select([*key, *(f"{name}_last" for name in others)]).rename_columns([*key, *others])
    return renamed.select(rows.column_names).sort_by([(name, "ascending") for name in key])
