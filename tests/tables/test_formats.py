"""Every format holds the same rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_engagement.tables.arrow import arrow_schema, columns_to_table
from airflow_provider_engagement.tables.dataset_format import DatasetFormat, FileFormat
from airflow_provider_engagement.tables.folder import DatasetFolder
from airflow_provider_engagement.tables.formats import read_table, to_json_value
from airflow_provider_engagement.tables.tables import (
    TABLES,
    TWEET_METRICS,
    TWEET_STATUS,
    TWEET_TOTALS,
    Table,
)

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
SMALLEST, LARGEST = -(2**63), 2**63 - 1

Rows = list[dict[str, Any]]


def read_parquet(path: Path, table: Table) -> Rows:
    content = parquet.read_table(path)
    assert content.schema.equals(arrow_schema(table))
    return content.to_pylist()  # type: ignore[no-any-return]


def read_csv(path: Path, table: Table) -> Rows:
    """Read a file in which an empty field is null unless it is quoted."""
    content = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=arrow_schema(table),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return content.to_pylist()  # type: ignore[no-any-return]


def read_json_lines(path: Path, table: Table) -> Rows:
    return [from_json(json.loads(line), table) for line in path.read_bytes().split(b"\n")[:-1]]


def from_json(row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    parsers: dict[str, Callable[[str], Any]] = {
        field.name: date.fromisoformat if pyarrow.types.is_date(field.type) else datetime.fromisoformat
        for field in arrow_schema(table)
        if pyarrow.types.is_temporal(field.type)
    }
    return {
        name: parsers[name](value) if name in parsers and value is not None else value for name, value in row.items()
    }


READERS: Mapping[FileFormat, Callable[[Path, Table], Rows]] = {
    FileFormat.PARQUET: read_parquet,
    FileFormat.CSV: read_csv,
    FileFormat.JSON_LINES: read_json_lines,
}

every_format = pytest.mark.parametrize("file_format", FileFormat)


def write(folder: DatasetFolder, table: Table, *batches: pyarrow.Table) -> None:
    with folder.open({table: f"{table.name}/file"}) as files:
        for batch in batches:
            files[table.name].append(batch)


def written_rows(folder: Path, file_format: FileFormat, table: Table, *batches: pyarrow.Table) -> Rows:
    """Write batches, and read them back without the package."""
    write(DatasetFolder(folder, DatasetFormat(file_format)), table, *batches)
    return READERS[file_format](folder / table.name / f"file.{file_format}", table)


def totals(*favorites: int | None) -> pyarrow.Table:
    return columns_to_table(
        TWEET_TOTALS,
        {
            "tweet_id": [str(number) for number in range(len(favorites))],
            "snapshot_at": [NOON] * len(favorites),
            "auth": ["user"] * len(favorites),
            "favorites": favorites,
        },
    )


def statuses(messages: list[str | None]) -> pyarrow.Table:
    keys = dict.fromkeys(("tweet_id", "run_id", "task"), ["1"] * len(messages))
    return columns_to_table(TWEET_STATUS, {**keys, "message": messages})


times = st.integers(0, 10**7).map(lambda count: NOON + timedelta(milliseconds=count))
# CSV cannot contain NUL.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def values_of(field: pyarrow.Field) -> st.SearchStrategy[Any]:
    kinds: dict[pyarrow.DataType, st.SearchStrategy[Any]] = {
        pyarrow.int64(): st.integers(SMALLEST, LARGEST) | st.sampled_from([SMALLEST, -1, 0, LARGEST]),
        pyarrow.bool_(): st.booleans(),
        pyarrow.string(): texts,
        pyarrow.timestamp("ms", "UTC"): times,
        pyarrow.date32(): st.dates(NOON.date(), NOON.date() + timedelta(days=9999)),
    }
    return st.none() | kinds[field.type] if field.nullable else kinds[field.type]


@st.composite
def tables_with_rows(draw: st.DrawFn) -> tuple[Table, Rows]:
    table = draw(st.sampled_from(sorted(TABLES.values(), key=lambda table: table.name)))
    rows = st.fixed_dictionaries({field.name: values_of(field) for field in arrow_schema(table)})
    return table, draw(st.lists(rows, max_size=6))


@settings(max_examples=30)
@given(drawn=tables_with_rows(), cut=st.integers(0, 6))
def test_every_format_holds_the_rows_that_were_written(drawn: tuple[Table, Rows], cut: int) -> None:
    table, rows = drawn
    schema = arrow_schema(table)
    batches = [pyarrow.Table.from_pylist(batch, schema=schema) for batch in (rows[:cut], rows[cut:])]
    for file_format in FileFormat:
        with tempfile.TemporaryDirectory() as path:
            folder = DatasetFolder(Path(path), DatasetFormat(file_format))
            write(folder, table, *batches)
            place = Path(path) / table.name / f"file.{file_format}"
            assert READERS[file_format](place, table) == rows
            with place.open("rb") as file:
                assert read_table(file, schema, file_format).equals(pyarrow.Table.from_pylist(rows, schema=schema))
            assert [from_json(row, table) for row in folder.read_rows()[table.name]] == rows


@every_format
def test_texts_with_line_breaks_are_read_from_a_large_file(tmp_path: Path, file_format: FileFormat) -> None:
    messages: list[str | None] = [f"line {index}\n{'and, another ' * 20}" for index in range(8_000)]
    write(DatasetFolder(tmp_path, DatasetFormat(file_format)), TWEET_STATUS, statuses(messages))
    with (tmp_path / "tweet_status" / f"file.{file_format}").open("rb") as file:
        assert read_table(file, arrow_schema(TWEET_STATUS), file_format)["message"].to_pylist() == messages


@every_format
def test_null_negative_and_64_bit_counts_are_kept(tmp_path: Path, file_format: FileFormat) -> None:
    counts = [SMALLEST, -1, 0, None, 2**53 + 1, LARGEST]
    rows = written_rows(tmp_path, file_format, TWEET_TOTALS, totals(*counts))
    assert [row["favorites"] for row in rows] == counts
    assert [row["retweets"] for row in rows] == [None] * len(counts)


@every_format
def test_null_and_empty_text_differ(tmp_path: Path, file_format: FileFormat) -> None:
    messages = [None, "", 'a "b", c\nd', "null", "ž😀"]
    rows = written_rows(tmp_path, file_format, TWEET_STATUS, statuses(messages))
    assert [row["message"] for row in rows] == messages


@every_format
def test_times_are_utc_to_the_millisecond(tmp_path: Path, file_format: FileFormat) -> None:
    time = NOON + timedelta(milliseconds=7)
    batch = columns_to_table(
        TWEET_METRICS,
        {
            **{key: [time] for key in ("period_start", "period_end")},
            **{key: ["1"] for key in ("tweet_id", "granularity", "time_zone")},
            "is_final": [False],
        },
    )
    (row,) = written_rows(tmp_path, file_format, TWEET_METRICS, batch)
    assert row["period_start"] == time
    assert row["period_start"].utcoffset() == timedelta(0)
    assert row["is_final"] is False


@every_format
def test_a_table_without_rows_is_a_readable_file(tmp_path: Path, file_format: FileFormat) -> None:
    assert written_rows(tmp_path, file_format, TWEET_TOTALS) == []
    assert written_rows(tmp_path, file_format, TWEET_TOTALS, totals()) == []


def test_json_lines_have_times_as_text_and_every_column(tmp_path: Path) -> None:
    write(DatasetFolder(tmp_path, DatasetFormat.JSON_LINES), TWEET_TOTALS, totals(1))
    (line,) = (tmp_path / "tweet_totals" / "file.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert row["snapshot_at"] == "2026-01-10T12:00:00.000Z"
    assert list(row) == arrow_schema(TWEET_TOTALS).names


def test_only_times_change_in_json() -> None:
    assert to_json_value(NOON + timedelta(milliseconds=7)) == "2026-01-10T12:00:00.007Z"
    assert [to_json_value(value) for value in (None, "1", 1, True)] == [None, "1", 1, True]


@every_format
def test_batches_keep_their_order(tmp_path: Path, file_format: FileFormat) -> None:
    rows = written_rows(tmp_path, file_format, TWEET_TOTALS, totals(3, 1), totals(), totals(2))
    assert [row["favorites"] for row in rows] == [3, 1, 2]
