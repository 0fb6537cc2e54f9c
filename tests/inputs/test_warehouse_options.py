"""Names and paths of a load, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.warehouse_options import parse_database, parse_names, parse_schema


@pytest.mark.parametrize("name", ["engagement", "Social_2026", "a" * 40])
def test_a_plain_name_is_a_schema(name: str) -> None:
    assert parse_schema(f" {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "2026", "a b", "a;DROP TABLE x", 'a"b', "a'b", "a.b", "_private", "ä", "a" * 41, "a\nb", "a%s", "{a}"]
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"schema: .* is not a plain name"):
        parse_schema(name)


@pytest.mark.parametrize("name", ["information_schema", "INFORMATION_SCHEMA", "pg_catalog", "pg_toast", "PG_temp_1"])
def test_a_schema_of_the_database_itself_is_refused(name: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"schema: .* belongs to the database itself"):
        parse_schema(name)


def test_a_name_that_only_resembles_one_of_the_database_is_a_schema() -> None:
    assert parse_schema("pgm_report") == "pgm_report"


def test_names_are_known_and_listed_once() -> None:
    assert parse_names("b, a, b", ["a", "b"], field="tables") == ["b", "a"]
    with pytest.raises(InvalidQueryError, match="tables: 'c' is not a valid choice"):
        parse_names(["c"], ["a", "b"], field="tables")


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert parse_database("mart.duckdb", schema="engagement") == str(tmp_path / "mart.duckdb")


@pytest.mark.parametrize("value", ["", ":memory:", "md:mart", "s3://bucket/mart.duckdb", "a\0b"])
def test_what_is_no_file_is_refused(value: str) -> None:
    with pytest.raises(InvalidQueryError, match="is not the path of a file"):
        parse_database(value, schema="engagement")


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidQueryError, match="is a folder"):
        parse_database(str(tmp_path), schema="engagement")
    with pytest.raises(InvalidQueryError, match="is in a folder that does not exist"):
        parse_database(str(tmp_path / "missing" / "mart.duckdb"), schema="engagement")


def test_a_schema_with_the_name_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidQueryError, match="DuckDB cannot tell the schema mart from the database"):
        parse_database(str(tmp_path / "Mart.duckdb"), schema="mart")
