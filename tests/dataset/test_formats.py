"""The same rows in every format."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_engagement.dataset.folder import ROWS_PER_BATCH, DatasetFolder, Output, ReturnedOutput
from airflow_provider_engagement.dataset.formats import Format, parse_format, read_table
from airflow_provider_engagement.dataset.schema import (
    TABLES,
    TWEET_METRICS,
    TWEET_STATUS,
    TWEET_TOTALS,
    Table,
    arrow_schema,
    columns_to_table,
)
from airflow_provider_engagement.exceptions import InvalidQueryError

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
SMALLEST, LARGEST = -(2**63), 2**63 - 1

Rows = list[dict[str, Any]]


def read_parquet(path: Path, table: Table) -> Rows:
    content = parquet.read_table(path)
    assert content.schema.equals(arrow_schema(table))
    return content.to_pylist()  # type: ignore[no-any-return]


def read_csv(path: Path, table: Table) -> Rows:
    """Read by the rule that an empty field is null where it is not quoted."""
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


def from_json(row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    instants = {field.name for field in arrow_schema(table) if pyarrow.types.is_timestamp(field.type)}
    return {
        name: datetime.fromisoformat(value) if name in instants and value is not None else value
        for name, value in row.items()
    }


def read_json_lines(path: Path, table: Table) -> Rows:
    return [from_json(json.loads(line), table) for line in path.read_bytes().split(b"\n")[:-1]]


READERS: Mapping[Format, Callable[[Path, Table], Rows]] = {
    Format.PARQUET: read_parquet,
    Format.CSV: read_csv,
    Format.JSON_LINES: read_json_lines,
}

every_format = pytest.mark.parametrize("file_format", Format)


def write(output: Output, table: Table, *batches: pyarrow.Table) -> None:
    with output.open({table: f"{table.name}/part"}) as tables:
        for batch in batches:
            tables[table.name].append(batch)


def tear(output: Output, *tables: Table) -> None:
    """Begin to write, and fail."""
    with output.open({table: f"{table.name}/part" for table in tables}) as opened:
        opened["tweet_totals"].append(totals(1))
        raise ValueError("incomplete")


def rows_written(folder: Path, file_format: Format, table: Table, *batches: pyarrow.Table) -> Rows:
    write(DatasetFolder(folder, file_format), table, *batches)
    return READERS[file_format](folder / table.name / f"part.{file_format}", table)


def totals(*likes: int | None) -> pyarrow.Table:
    return columns_to_table(
        TWEET_TOTALS,
        {
            "tweet_id": [str(number) for number in range(len(likes))],
            "snapshot_at": [NOON] * len(likes),
            "auth": ["user"] * len(likes),
            "favorites": likes,
        },
    )


instants = st.integers(0, 10**7).map(lambda count: NOON + timedelta(milliseconds=count))
# NUL apart: no CSV can hold it.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def values_of(field: pyarrow.Field) -> st.SearchStrategy[Any]:
    kinds: dict[pyarrow.DataType, st.SearchStrategy[Any]] = {
        pyarrow.int64(): st.integers(SMALLEST, LARGEST) | st.sampled_from([SMALLEST, -1, 0, LARGEST]),
        pyarrow.bool_(): st.booleans(),
        pyarrow.string(): texts,
        pyarrow.timestamp("ms", "UTC"): instants,
    }
    return st.none() | kinds[field.type] if field.nullable else kinds[field.type]


@st.composite
def tables_with_rows(draw: st.DrawFn) -> tuple[Table, Rows]:
    table = draw(st.sampled_from(sorted(TABLES.values(), key=lambda table: table.name)))
    rows = st.fixed_dictionaries({field.name: values_of(field) for field in arrow_schema(table)})
    return table, draw(st.lists(rows, max_size=6))


@given(drawn=tables_with_rows(), cut=st.integers(0, 6))
def test_every_format_gives_back_the_rows_that_were_written(drawn: tuple[Table, Rows], cut: int) -> None:
    table, rows = drawn
    batches = [pyarrow.Table.from_pylist(part, schema=arrow_schema(table)) for part in (rows[:cut], rows[cut:])]
    with tempfile.TemporaryDirectory() as folder:
        for file_format in Format:
            assert rows_written(Path(folder), file_format, table, *batches) == rows
    returned = ReturnedOutput()
    write(returned, table, *batches)
    assert [from_json(row, table) for row in returned.returned[table.name]] == rows


@every_format
@given(drawn=tables_with_rows())
def test_a_table_is_read_back_as_it_was_written(file_format: Format, drawn: tuple[Table, Rows]) -> None:
    table, rows = drawn
    with tempfile.TemporaryDirectory() as folder:
        batch = pyarrow.Table.from_pylist(rows, schema=arrow_schema(table))
        write(DatasetFolder(Path(folder), file_format), table, batch)
        with (Path(folder) / table.name / f"part.{file_format}").open("rb") as file:
            assert read_table(file, arrow_schema(table), file_format).equals(batch)


@every_format
def test_texts_with_line_breaks_are_read_back_from_a_large_file(tmp_path: Path, file_format: Format) -> None:
    number = 40_000
    messages = [f"line {index}\nand, another" for index in range(number)]
    batch = columns_to_table(
        TWEET_STATUS, {**dict.fromkeys(("tweet_id", "run", "task"), ["1"] * number), "message": messages}
    )
    write(DatasetFolder(tmp_path, file_format), TWEET_STATUS, batch)
    with (tmp_path / "tweet_status" / f"part.{file_format}").open("rb") as file:
        assert read_table(file, arrow_schema(TWEET_STATUS), file_format)["message"].to_pylist() == messages


@every_format
def test_the_extremes_of_64_bits_nulls_and_negative_counts_are_kept(tmp_path: Path, file_format: Format) -> None:
    counts = [SMALLEST, -1, 0, None, 2**53 + 1, LARGEST]
    rows = rows_written(tmp_path, file_format, TWEET_TOTALS, totals(*counts))
    assert [row["favorites"] for row in rows] == counts
    assert [row["retweets"] for row in rows] == [None] * len(counts)


@every_format
def test_null_and_empty_text_are_not_the_same(tmp_path: Path, file_format: Format) -> None:
    messages = [None, "", 'a "b", c\nd', "null", "ž😀"]
    number = len(messages)
    batch = columns_to_table(
        TWEET_STATUS, {**dict.fromkeys(("tweet_id", "run", "task"), ["1"] * number), "message": messages}
    )
    rows = rows_written(tmp_path, file_format, TWEET_STATUS, batch)
    assert [row["message"] for row in rows] == messages


@every_format
def test_instants_are_utc_to_the_millisecond(tmp_path: Path, file_format: Format) -> None:
    moment = NOON + timedelta(milliseconds=7)
    batch = columns_to_table(
        TWEET_METRICS,
        {
            **{key: [moment] for key in ("period_start", "period_end")},
            **{key: ["1"] for key in ("tweet_id", "granularity", "time_zone")},
            "is_final": [False],
        },
    )
    (row,) = rows_written(tmp_path, file_format, TWEET_METRICS, batch)
    assert row["period_start"] == moment
    assert row["period_start"].utcoffset() == timedelta(0)
    assert row["is_final"] is False


@every_format
def test_a_table_without_rows_is_a_file_that_can_be_read(tmp_path: Path, file_format: Format) -> None:
    assert rows_written(tmp_path, file_format, TWEET_TOTALS) == []
    assert rows_written(tmp_path, file_format, TWEET_TOTALS, totals()) == []


def test_json_has_instants_as_texts_and_every_column(tmp_path: Path) -> None:
    write(DatasetFolder(tmp_path, Format.JSON_LINES), TWEET_TOTALS, totals(1))
    (line,) = (tmp_path / "tweet_totals" / "part.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert row["snapshot_at"] == "2026-01-10T12:00:00.000Z"
    assert list(row) == arrow_schema(TWEET_TOTALS).names


# Batches


def test_small_batches_are_gathered_into_few_row_groups(tmp_path: Path) -> None:
    size = ROWS_PER_BATCH // 100
    batches = [totals(*range(size))] * 201
    write(DatasetFolder(tmp_path, Format.PARQUET), TWEET_TOTALS, *batches)
    metadata = parquet.read_metadata(tmp_path / "tweet_totals" / "part.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [
        ROWS_PER_BATCH,
        ROWS_PER_BATCH,
        size,
    ]


@every_format
def test_batches_keep_their_order(tmp_path: Path, file_format: Format) -> None:
    rows = rows_written(tmp_path, file_format, TWEET_TOTALS, totals(3, 1), totals(), totals(2))
    assert [row["favorites"] for row in rows] == [3, 1, 2]


def test_rows_are_counted_as_they_are_added(tmp_path: Path) -> None:
    for output in (DatasetFolder(tmp_path, Format.CSV), ReturnedOutput()):
        with output.open({TWEET_TOTALS: "a", TWEET_STATUS: "b"}) as tables:
            tables["tweet_totals"].append(totals(1, 2))
            tables["tweet_totals"].append(totals(3))
            assert {name: rows.rows for name, rows in tables.items()} == {"tweet_totals": 3, "tweet_status": 0}


# Folders


@every_format
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_block_that_fails_writes_no_table(tmp_path: Path, file_format: Format) -> None:
    output = DatasetFolder(tmp_path, file_format)
    with pytest.raises(ValueError, match="incomplete"):
        tear(output, TWEET_TOTALS, TWEET_STATUS)
    gc.collect()  # A writer that was left open would now complain of its closed file.
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert output.locations == {}


def test_a_block_that_fails_returns_no_table() -> None:
    output = ReturnedOutput()
    with pytest.raises(ValueError, match="incomplete"):
        tear(output, TWEET_TOTALS)
    assert output.returned == {}


@every_format
def test_a_rerun_replaces_a_file(tmp_path: Path, file_format: Format) -> None:
    for likes in ((1, 2, 3), (4,)):
        rows = rows_written(tmp_path, file_format, TWEET_TOTALS, totals(*likes))
    assert [row["favorites"] for row in rows] == [4]


@every_format
def test_locations_name_the_files(tmp_path: Path, file_format: Format) -> None:
    output = DatasetFolder(tmp_path, file_format)
    write(output, TWEET_TOTALS, totals(1))
    output.add_json("manifest", "_manifests/run.json", {"a": "ž", "b": None})
    assert output.locations == {
        "tweet_totals": str(tmp_path / "tweet_totals" / f"part.{file_format}"),
        "manifest": str(tmp_path / "_manifests" / "run.json"),
    }
    assert all(Path(location).is_file() for location in output.locations.values())
    assert json.loads(Path(output.locations["manifest"]).read_bytes()) == {"a": "ž", "b": None}


# Names of formats


@pytest.mark.parametrize(
    ("name", "file_format"), [("parquet", Format.PARQUET), ("CSV", Format.CSV), (Format.CSV, "csv")]
)
def test_a_format_is_known_by_its_name(name: object, file_format: str) -> None:
    assert parse_format(name) == file_format


@pytest.mark.parametrize("name", ["xlsx", "", None, 7])
def test_an_unknown_format_is_refused_with_the_known_ones(name: object) -> None:
    with pytest.raises(InvalidQueryError, match="parquet, csv, jsonl"):
        parse_format(name)
