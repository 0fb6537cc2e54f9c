"""Checks the values of rows before they are shown: other programs can write to a dataset, too."""

from __future__ import annotations

import pyarrow
import pyarrow.compute as compute

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.engagement_api.time_range import EARLIEST, LATEST
from airflow_provider_engagement.exceptions import IncompatibleTableError
from airflow_provider_engagement.tables.arrow import arrow_schema
from airflow_provider_engagement.tables.tables import TWEET_METRICS, Table
from airflow_provider_engagement.tweet_id import MAX_DIGITS

_REMEDY = "Correct or remove the files that this package did not write"
_NEVER_NULL = frozenset({"outcome", "new_value"})
_OUTCOMES = pyarrow.array([str(outcome) for outcome in Outcome])
_TIMES = tuple(pyarrow.scalar(time, pyarrow.timestamp("ms", "UTC")) for time in (EARLIEST, LATEST))


def check_rows(rows: pyarrow.Table, table: Table, address: str) -> None:
    """Reject rows with values that this package never writes: other outcomes, ids that are no ids, impossible times.

    The ids of counts are not checked, because there are many. Check them with :func:`check_ids` after they are summed.

    :param rows: rows with columns of the table.
    :param table: the table.
    :param address: the path or URL of the table, for an error.
    :raises IncompatibleTableError: with the column and one of the values.
    """
    schema = arrow_schema(table)
    for name in rows.column_names:
        column, field = rows[name], schema.field(name)
        if pyarrow.types.is_timestamp(field.type):
            _reject(column, _is_in_time(column), name, address)
        elif column.null_count and (not field.nullable or name in _NEVER_NULL):
            raise IncompatibleTableError(address, f"its column {name} has rows without a value", _REMEDY)
        elif table is not TWEET_METRICS and pyarrow.types.is_string(field.type):
            _check_text(column, name, address)
    if "tweet_id" in rows.column_names and table is not TWEET_METRICS:
        check_ids(rows["tweet_id"], address)
    if "outcome" in rows.column_names:
        _reject(rows["outcome"], compute.is_in(rows["outcome"], _OUTCOMES), "outcome", address)


def check_ids(ids: pyarrow.ChunkedArray, address: str) -> None:
    """Reject ids that are no Tweet ids.

    :param ids: the ids.
    :param address: the path or URL of the table, for an error.
    :raises IncompatibleTableError: with one of these ids.
    """
    _check_text(ids, "tweet_id", address)
    unique = compute.unique(ids)
    _reject(unique, compute.match_substring_regex(unique, f"^[0-9]{{1,{MAX_DIGITS}}}$"), "tweet_id", address)
    try:
        unique.cast(pyarrow.int64())
    except pyarrow.ArrowInvalid:
        raise IncompatibleTableError(address, "its column tweet_id has numbers that are too large", _REMEDY) from None


def _check_text(column: pyarrow.ChunkedArray, name: str, address: str) -> None:
    try:
        column.validate(full=True)
    except pyarrow.ArrowInvalid:
        raise IncompatibleTableError(address, f"its column {name} has text that is not UTF-8", _REMEDY) from None


def _is_in_time(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    first, last = _TIMES
    return compute.and_(compute.greater_equal(column, first), compute.less_equal(column, last))


def _reject(column: pyarrow.ChunkedArray, is_right: pyarrow.ChunkedArray, name: str, address: str) -> None:
    if compute.all(is_right).as_py() is False:
        wrong = column.filter(compute.invert(is_right))[0]
        raise IncompatibleTableError(address, f"its column {name} has the value {str(wrong)!r:.60}", _REMEDY)
