"""Merge rows by key: of each metric, the newest known count, whatever the order in which reads are merged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.tables.disappearance import GONE_AT, with_disappearance
from airflow_provider_engagement.tables.tables import OLDER_COUNTS, RUNS, Table

_TIMESTAMP = pyarrow.timestamp("ms", "UTC")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""The seconds contain the milliseconds."""

_GROUP = "group"
_TIME = "time"


def merge_rows(rows: pyarrow.Table, table: Table) -> pyarrow.Table:
    """Return one row for each key, ordered by key, with the newest known count of each metric.

    A null of a newer read does not replace a count: the read may not have requested the metric, or the API may not
    return it anymore. The column ``older_counts`` then names the metric and the time of its count, so that a read from
    between the two still replaces it when it is merged later. The column ``runs`` has
    the runs of all reads. The other columns are those of the newest read.

    :param rows: rows with all columns of the table. Columns that the table does not have are treated as metrics.
    :param table: the table.
    """
    key = list(table.key)
    metrics = [name for name in rows.column_names if name not in (*table.key, *table.columns)]
    ordered = rows.sort_by([*((name, "ascending") for name in key), ("fetched_at", "descending")])
    if ordered.group_by(key).aggregate([]).num_rows == ordered.num_rows:
        return ordered
    newest = first_of_each_key(ordered, key, [name for name in ordered.column_names if name not in key])
    known = first_of_each_key(ordered, key, [*metrics, *table.kept, OLDER_COUNTS], skip_nulls=True)
    is_mixed = known[OLDER_COUNTS].is_valid()
    merged = newest
    for metric in metrics:
        is_mixed = compute.or_(is_mixed, compute.and_(newest[metric].is_null(), known[metric].is_valid()))
        merged = merged.set_column(merged.column_names.index(metric), metric, known[metric])
    for name in table.kept:
        merged = merged.set_column(merged.column_names.index(name), name, known[name])
    if GONE_AT in table.columns:
        merged = with_disappearance(merged, ordered, key)
    merged = merged.select(rows.column_names).cast(rows.schema)
    if compute.any(is_mixed).as_py():
        mixed = ordered.join(newest.filter(is_mixed).select(key), key, join_type="left semi")
        exact = _merge_each_metric(mixed, key, metrics).select(rows.column_names)
        merged = pyarrow.concat_tables([merged.filter(compute.invert(is_mixed)), exact.cast(rows.schema)])
    # The order of groups is not that of their first rows.
    merged = merged.sort_by([(name, "ascending") for name in key])
    return _with_all_runs(merged, ordered, key) if RUNS in table.columns else merged


def release_rows(rows: pyarrow.Table, run: str, snapshot_at: datetime, keeps: pyarrow.Array) -> pyarrow.Table:
    """Return the rows that remain if a run no longer has those of some Tweets: the rows that other runs have too.

    :param rows: rows of ``tweet_totals``.
    :param run: the digest of the run.
    :param snapshot_at: the snapshot. Rows of other snapshots remain.
    :param keeps: the ids of the Tweets whose rows the run still has. It no longer has its rows of other Tweets.
    """
    is_other = compute.not_equal(rows["snapshot_at"], pyarrow.scalar(snapshot_at, _TIMESTAMP))
    is_kept = compute.or_(is_other, compute.is_in(rows["tweet_id"], value_set=keeps))
    encoded = rows[RUNS].combine_chunks().dictionary_encode()
    others = [",".join(other for other in runs.split(",") if other != run) for runs in encoded.dictionary.to_pylist()]
    remaining = compute.if_else(is_kept, rows[RUNS], pyarrow.array(others, pyarrow.string()).take(encoded.indices))
    return rows.set_column(rows.column_names.index(RUNS), rows.schema.field(RUNS), remaining).filter(
        compute.fill_null(compute.not_equal(remaining, ""), True)
    )


def _with_all_runs(merged: pyarrow.Table, rows: pyarrow.Table, key: list[str]) -> pyarrow.Table:
    """Return merged rows, ordered by key, with the runs of all rows that they were merged from."""
    by_key = rows.group_by(key, use_threads=False).aggregate([(RUNS, "distinct")])
    by_key = by_key.sort_by([(name, "ascending") for name in key])
    encoded = compute.binary_join(by_key[f"{RUNS}_distinct"], ",").combine_chunks().dictionary_encode()
    texts = [",".join(sorted(set(runs.split(",")))) or None for runs in encoded.dictionary.to_pylist()]
    runs = pyarrow.array(texts, pyarrow.string()).take(encoded.indices)
    return merged.set_column(merged.column_names.index(RUNS), merged.schema.field(RUNS), runs)


def _merge_each_metric(rows: pyarrow.Table, key: list[str], metrics: Sequence[str]) -> pyarrow.Table:
    """Merge rows by the time of each count instead of the time of the row."""
    ordered = rows.sort_by([*((name, "ascending") for name in key), ("fetched_at", "descending")])
    merged = first_of_each_key(ordered, key, [name for name in ordered.column_names if name not in key])
    numbered = merged.select(key).append_column(_GROUP, pyarrow.array(range(merged.num_rows), pyarrow.int64()))
    ordered = ordered.join(numbered, key, join_type="inner")
    groups = numbered[_GROUP].combine_chunks()
    times = times_of_counts(ordered, metrics)
    older: list[pyarrow.Array] = []
    for metric in metrics:
        counts = pyarrow.table({_GROUP: ordered[_GROUP], metric: ordered[metric], _TIME: times[metric]})
        counts = counts.filter(counts[metric].is_valid())
        counts = counts.sort_by([(_GROUP, "ascending"), (_TIME, "descending"), (metric, "descending")])
        first = first_of_each_key(counts, [_GROUP], [metric, _TIME])
        places = compute.index_in(groups, value_set=first[_GROUP].combine_chunks())
        merged = merged.set_column(merged.column_names.index(metric), metric, first[metric].take(places))
        older.append(_entry_if_older(metric, first[_TIME].take(places), merged["fetched_at"]))
    entries = compute.utf8_rtrim(compute.binary_join_element_wise(*older, ""), characters=",")
    texts = compute.binary_join_element_wise("{", entries, "}", "")
    texts = compute.if_else(compute.equal(entries, ""), pyarrow.scalar(None, pyarrow.string()), texts)
    return merged.set_column(merged.column_names.index(OLDER_COUNTS), OLDER_COUNTS, texts)


def times_of_counts(
    rows: pyarrow.Table, metrics: Sequence[str], *, suffix: str = ""
) -> dict[str, pyarrow.ChunkedArray]:
    """Return, for each metric, when the API returned the count of each row.

    :param rows: rows with ``fetched_at`` and ``older_counts``.
    :param metrics: the metrics.
    :param suffix: what the names of these columns end in.
    """
    encoded = rows[f"{OLDER_COUNTS}{suffix}"].combine_chunks().dictionary_encode()
    texts = [json.loads(text) for text in encoded.dictionary.to_pylist()]
    times = {}
    for metric in metrics:
        older = pyarrow.array([text.get(metric) for text in texts], pyarrow.string()).cast(_TIMESTAMP)
        times[metric] = compute.coalesce(older.take(encoded.indices), rows[f"fetched_at{suffix}"])
    return times


def _entry_if_older(metric: str, time: pyarrow.ChunkedArray, fetched_at: pyarrow.ChunkedArray) -> pyarrow.Array:
    """Return the entry of a metric in ``older_counts``, or no text if its count is null or as new as the row."""
    older = compute.if_else(compute.less(time, fetched_at), time, pyarrow.scalar(None, _TIMESTAMP))
    # There are few different times, and formatting one is slow.
    encoded = older.combine_chunks().dictionary_encode()
    texts = compute.strftime(encoded.dictionary, format=_TIME_FORMAT)
    entries = compute.binary_join_element_wise(f'"{metric}":"', texts, '",', "")
    return compute.fill_null(entries.take(encoded.indices), "")


def first_of_each_key(
    rows: pyarrow.Table, key: Sequence[str], columns: Sequence[str], *, skip_nulls: bool = False
) -> pyarrow.Table:
    """Return one row for each key, with the first value of each other column.

    :param rows: rows with the columns of the key and others.
    :param key: the columns of the key.
    :param columns: the other columns to return.
    :param skip_nulls: whether to return the first value that is not null.
    """
    options = compute.ScalarAggregateOptions(skip_nulls=skip_nulls)
    first = rows.group_by(key, use_threads=False).aggregate([(name, "first", options) for name in columns])
    return first.select([*key, *(f"{name}_first" for name in columns)]).rename_columns([*key, *columns])
