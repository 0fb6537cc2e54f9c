"""Files of Tweet ids in the formats that users have."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids, parse_tweets

IDS = ["1212092628029698048", "20", "1385449730818285569"]
ONE, TWO, THREE = IDS

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def write_parquet(tmp_path: Path) -> Callable[[dict[str, pyarrow.Array]], Path]:
    def write(columns: dict[str, pyarrow.Array]) -> Path:
        parquet.write_table(pyarrow.table(columns), tmp_path / "ids.parquet", row_group_size=2)
        return tmp_path / "ids.parquet"

    return write


def ids_in(path: Any, column: str | None = None) -> list[str]:
    return list(parse_tweet_ids(read_tweet_ids(path, column=column)))


def error_of(path: Any, column: str | None = None) -> str:
    with pytest.raises(InvalidQueryError) as caught:
        list(read_tweet_ids(path, column=column))
    assert caught.value.field == "tweets"
    assert str(path) in str(caught.value)
    return str(caught.value)


# Text


@pytest.mark.parametrize("name", ["ids.txt", "ids", "IDS.TXT"])
def test_text_has_one_id_a_line(write: Write, name: str) -> None:
    assert ids_in(write(name, f"{ONE}\n{TWO}\n{THREE}")) == IDS


def test_text_from_a_spreadsheet_on_windows_is_read(write: Write) -> None:
    content = f"\ufeff# Tweets of May\r\n{ONE}\r\n\r\n   # more\r\n  {TWO}  \r\n{THREE}\r\n"
    assert ids_in(write("ids.txt", content)) == IDS


def test_text_that_is_not_utf_8_is_an_error_with_its_line(write: Write) -> None:
    assert "line 2: is not UTF-8" in error_of(write("ids.txt", b"20\n\xff\xfe\n"))


def test_an_empty_file_has_no_ids(write: Write) -> None:
    for suffix in ("txt", "csv", "jsonl", "json"):
        assert list(read_tweet_ids(write(f"ids.{suffix}", ""))) == []


def test_an_invalid_id_is_an_error_with_its_line(write: Write) -> None:
    assert "line 2: 'twenty' is not a Tweet id" in error_of(write("ids.txt", "20\ntwenty\n"))


# CSV


@pytest.mark.parametrize(
    "header", ["tweet_id,id_str,id", "id_str,tweet_id,id", "id,id_str", "text,id", "text,Tweet id", "\ufeffid,text"]
)
def test_the_column_is_found_by_its_name(write: Write, header: str) -> None:
    names = header.lstrip("\ufeff").split(",")
    best = next(name for name in ("tweet_id", "Tweet id", "id_str", "id") if name in names)
    rows = [",".join(tweet_id if name == best else "7" for name in names) for tweet_id in IDS]
    assert ids_in(write("ids.csv", "\r\n".join([header, *rows, ""]))) == IDS


def test_a_given_column_takes_precedence(write: Write) -> None:
    assert ids_in(write("ids.csv", f"id,in_reply_to\n7,{ONE}\n8,{TWO}\n"), column="in_reply_to") == [ONE, TWO]


def test_texts_with_commas_quotes_and_line_breaks_do_not_shift_columns(write: Write) -> None:
    content = f'text,tweet_id\n"One, ""two""\n999",{ONE}\n\n,{TWO}\n'
    assert ids_in(write("ids.csv", content)) == [ONE, TWO]


def test_a_single_column_can_have_any_name(write: Write) -> None:
    assert ids_in(write("ids.csv", f"status\n{ONE}\n{TWO}\n")) == [ONE, TWO]


@pytest.mark.parametrize("first", [ONE, f'"{ONE}"', f'"tag:search.twitter.com,2005:{ONE}"'])
def test_a_single_column_needs_no_header(write: Write, first: str) -> None:
    assert ids_in(write("ids.csv", f"{first}\n{TWO}\n")) == [ONE, TWO]


def test_a_single_rounded_value_is_not_a_header(write: Write) -> None:
    assert "line 1: '1.21209E+18' is a float" in error_of(write("ids.csv", "1.21209E+18\n"))


def test_the_error_of_a_file_without_a_column_of_ids_lists_its_columns(write: Write) -> None:
    message = error_of(write("ids.csv", "author,text\n1,2\n"))
    assert "tweet_id, status_id, post_id, id_str or id" in message
    assert "'author', 'text'" in message


def test_a_given_column_that_is_missing_is_an_error_even_if_another_has_ids(write: Write) -> None:
    message = error_of(write("ids.csv", "id\n1\n"), column="post_id")
    assert "'post_id'" in message
    assert "'id'" in message


def test_a_row_without_an_id_is_an_error_with_its_line(write: Write) -> None:
    assert "line 4: has no id" in error_of(write("ids.csv", 'text,id\n"a\nb",20\nc,\n'))
    assert "line 3: has no id" in error_of(write("ids.csv", "text,id\na,20\nc\n"))


def test_rows_of_empty_cells_are_skipped(write: Write) -> None:
    assert ids_in(write("ids.csv", f"id,text\n{ONE},a\n,\n , \n{TWO},b\n,\n")) == [ONE, TWO]


def test_an_unclosed_quote_is_an_error(write: Write) -> None:
    assert "is not CSV" in error_of(write("ids.csv", f'id,text\n{ONE},"a\n{TWO},b\n'))


# JSON Lines and JSON

ACTIVITY = {"id": f"tag:search.twitter.com,2005:{ONE}", "objectType": "activity", "verb": "post"}
TWEET = {"id": 1212092628029698000, "id_str": ONE, "user": {"id_str": "7"}, "entities": {"media": [{"id": 8}]}}

SHAPES = {
    "an id": ONE,
    "an integer": int(ONE),
    "a row of the dataset": {"tweet_id": ONE, "id": 7},
    "a Tweet of v1.1": TWEET,
    "a Tweet of v1.1 without id_str": {"id": int(ONE), "id_str": None},
    "a Tweet of v2": {"id": ONE, "text": "", "author_id": "7"},
    "an activity": ACTIVITY,
    "ids": [ONE],
    "a look-up of v1.1": [TWEET],
    "a search of v1.1": {"statuses": [TWEET], "search_metadata": {"max_id": 9, "count": 1}},
    "a search of Gnip": {"results": [ACTIVITY], "next": "x", "requestParameters": {"maxResults": 100}},
    "a search of v2": {"data": [{"id": ONE}], "includes": {"tweets": [{"id": "9"}]}, "meta": {"newest_id": "9"}},
    "a look-up of v2": {"data": {"id": ONE, "text": "data"}},
    "a Tweet of a stream of v2": {"data": {"id": ONE}, "matching_rules": [{"id": "9"}]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_json_is_read_in_every_form_that_the_apis_return(write: Write, shape: str) -> None:
    for indent in (None, 2):
        assert ids_in(write("ids.json", json.dumps(SHAPES[shape], indent=indent))) == [ONE], indent


@pytest.mark.parametrize("shape", SHAPES)
def test_each_line_of_json_lines_can_have_any_of_these_forms(write: Write, shape: str) -> None:
    content = f"\ufeff{json.dumps(SHAPES[shape])}\r\n\r\n{json.dumps({'id': TWO})}\r\n"
    for suffix in ("jsonl", "ndjson", "json"):
        assert ids_in(write(f"ids.{suffix}", content)) == [ONE, TWO], suffix


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_lines_about_a_response_are_skipped(write: Write, suffix: str) -> None:
    info = {"info": {"message": "Replay Request Completed", "activity_count": 1}}
    nothing_found = {"meta": {"result_count": 0}}
    lines = [json.dumps(document) for document in (nothing_found, ACTIVITY, info)]
    assert ids_in(write(f"ids.{suffix}", "\r\n".join(lines))) == [ONE]


def test_integers_in_json_are_exact(write: Write) -> None:
    exact = [1385449730818285569, 9007199254740993]
    assert ids_in(write("ids.json", json.dumps(exact))) == list(map(str, exact))


def test_a_given_key_takes_precedence(write: Write) -> None:
    assert ids_in(write("ids.jsonl", f'{{"id": 7, "in_reply_to": "{ONE}"}}'), column="in_reply_to") == [ONE]


@pytest.mark.parametrize("value", ["1.212092628029698e18", "1.0", "NaN"])
def test_a_float_is_an_error_with_its_position(write: Write, value: str) -> None:
    assert "line 2: " in error_of(write("ids.jsonl", f'{{"id": 20}}\n{{"id": {value}}}\n'))
    message = error_of(write("ids.json", f"[20, {value}]"))
    assert "item 2" in message
    assert "float" in message


@pytest.mark.parametrize("value", ["null", "true", '{"text": "a"}', '{"id": {"a": 1}}', '{"errors": [{}]}'])
def test_a_value_without_an_id_is_an_error_with_its_line(write: Write, value: str) -> None:
    assert "line 2" in error_of(write("ids.jsonl", f"20\n{value}\n"))


def test_an_invalid_line_is_an_error_with_its_number(write: Write) -> None:
    assert "line 3: is not JSON" in error_of(write("ids.jsonl", '20\n\n{"id": \n4\n'))


def test_an_invalid_document_is_an_error_with_its_line(write: Write) -> None:
    assert "line 5: is not JSON" in error_of(write("ids.json", '\n[\n\n"1",\nx\n]\n'))


@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5_000])
def test_documents_beyond_the_limits_of_the_interpreter_are_errors(write: Write, content: str) -> None:
    for suffix in ("json", "jsonl"):
        assert "is not JSON" in error_of(write(f"ids.{suffix}", content))


def test_ids_are_returned_while_the_file_is_read(write: Write) -> None:
    for name, content in {"ids.jsonl": "20\nbroken\n", "ids.json": "20\nbroken\n", "ids.csv": 'id\n20\n"'}.items():
        ids = read_tweet_ids(write(name, content))
        assert next(ids) == ("20", None)
        with pytest.raises(InvalidQueryError):
            next(ids)


# Parquet


@pytest.mark.parametrize(
    "ids",
    [
        pyarrow.array(IDS),
        pyarrow.array(IDS, pyarrow.large_string()),
        pyarrow.array(map(int, IDS), pyarrow.int64()),
        pyarrow.array(map(int, IDS), pyarrow.uint64()),
        pyarrow.array(map(int, IDS), pyarrow.int64()).cast(pyarrow.decimal128(38, 0)),
        pyarrow.array(IDS).dictionary_encode(),
    ],
    ids=lambda array: str(array.type),
)
def test_parquet_has_ids_as_strings_or_integers(
    write_parquet: Callable[[dict[str, pyarrow.Array]], Path], ids: pyarrow.Array
) -> None:
    assert ids_in(write_parquet({"id": pyarrow.array(["7", "8", "9"]), "tweet_id": ids})) == IDS
    assert ids_in(write_parquet({"any": ids})) == IDS
    assert ids_in(write_parquet({"id": pyarrow.array(["7", "8", "9"]), "other": ids}), column="other") == IDS


@pytest.mark.parametrize(
    "ids",
    [pyarrow.array([1.0]), pyarrow.array([[1]]), pyarrow.array([None]), pyarrow.nulls(1, pyarrow.decimal128(21, 2))],
    ids=lambda array: str(array.type),
)
def test_a_column_whose_type_cannot_hold_ids_exactly_is_an_error(
    write_parquet: Callable[[dict[str, pyarrow.Array]], Path], ids: pyarrow.Array
) -> None:
    message = error_of(write_parquet({"tweet_id": ids}))
    assert "'tweet_id'" in message
    assert str(ids.type).split("<")[0] in message


def test_a_null_in_parquet_is_an_error_with_its_row(
    write_parquet: Callable[[dict[str, pyarrow.Array]], Path],
) -> None:
    assert "row 4" in error_of(write_parquet({"id": pyarrow.array(["21", "22", "23", None])}))


def test_the_error_of_parquet_without_a_column_of_ids_lists_its_columns(
    write_parquet: Callable[[dict[str, pyarrow.Array]], Path],
) -> None:
    columns = {"author": pyarrow.array([1]), "text": pyarrow.array(["a"])}
    assert "'author', 'text'" in error_of(write_parquet(columns))


@pytest.mark.parametrize("content", [b"", b"tweet_id\n1\n"])
def test_a_file_that_is_not_parquet_is_an_error(write: Write, content: bytes) -> None:
    assert "is not Parquet" in error_of(write("ids.parquet", content))


# Compression, and paths


@pytest.mark.parametrize(
    ("suffix", "compressed"), [("", True), (".gz", True), (".gz", False), (".gzip", True), (".gzip", False)]
)
def test_gzip_is_detected_by_its_content_whatever_the_name(write: Write, suffix: str, compressed: bool) -> None:
    contents = {
        "ids": f"{ONE}\n{TWO}",
        "ids.txt": f"{ONE}\n{TWO}",
        "ids.csv": f"id\n{ONE}\n{TWO}",
        "ids.jsonl": f"{ONE}\n{TWO}",
        "ids.json": json.dumps([ONE, TWO], indent=1),
    }
    for name, content in contents.items():
        data = gzip.compress(content.encode()) if compressed else content.encode()
        assert ids_in(write(name + suffix, data)) == [ONE, TWO]


def test_gzipped_parquet_is_read(write: Write, write_parquet: Callable[[dict[str, pyarrow.Array]], Path]) -> None:
    path = write_parquet({"id": pyarrow.array(IDS)})
    assert ids_in(write("ids.parquet.gz", gzip.compress(path.read_bytes()))) == IDS


def test_concatenated_gzip_files_are_read_completely(write: Write) -> None:
    data = b"".join(gzip.compress(f"{tweet_id}\n".encode()) for tweet_id in IDS)
    assert ids_in(write("ids.txt.gz", data)) == IDS


@pytest.mark.parametrize("damage", [slice(0, -9), slice(0, 15)], ids=["cut short", "cut in the header"])
def test_damaged_gzip_is_an_error(write: Write, damage: slice) -> None:
    data = gzip.compress("\n".join(str(number) for number in range(20, 5_000)).encode())
    assert "damaged gzip" in error_of(write("ids.txt.gz", data[damage]))


def test_gzip_with_a_wrong_checksum_is_an_error(write: Write) -> None:
    data = bytearray(gzip.compress(ONE.encode()))
    data[-5] ^= 0xFF
    assert "damaged gzip" in error_of(write("ids.txt.gz", bytes(data)))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "does not exist" in error_of(tmp_path / "ids.txt")


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    assert "is a folder without files" in error_of(tmp_path)


@pytest.mark.parametrize("name", ["ids.xlsx", "ids.tar.gz", "ids.csv.zip"])
def test_the_error_of_an_unknown_suffix_lists_the_known_suffixes(write: Write, name: str) -> None:
    message = error_of(write(name, "1"))
    assert ".csv" in message
    assert ".parquet" in message


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_files_on_object_storage_are_read(tmp_path: Path, protocol: str) -> None:
    attach(protocol, fs=fsspec.filesystem(protocol))
    folder = ObjectStoragePath(f"{protocol}://{tmp_path}")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ids.parquet").open("wb") as file:
        parquet.write_table(pyarrow.table({"id": IDS}), file)
    for name, content in {
        "ids.txt": "\n".join(IDS).encode(),
        "ids.csv.gz": gzip.compress("\n".join(["id", *IDS]).encode()),
        "ids.json": json.dumps(IDS).encode(),
    }.items():
        with (folder / name).open("wb") as file:
            file.write(content)
    for name in ("ids.parquet", "ids.txt", "ids.csv.gz", "ids.json"):
        assert ids_in(folder / name) == IDS
    assert "does not exist" in error_of(folder / "none.txt")


# All formats agree


@given(ids=st.lists(st.integers(20, 2 * 10**18).map(str), unique=True))
def test_every_format_has_the_same_ids(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    ids = [ONE, *ids]  # a first cell with few digits could be a header
    folder = tmp_path_factory.mktemp("ids")
    contents = {
        "ids.txt": "\n".join(ids),
        "ids.csv": "\n".join(["tweet_id", *ids]),
        "bare.csv": "\n".join(ids),
        "ids.jsonl": "\n".join(ids),
        "ids.json": json.dumps([int(tweet_id) for tweet_id in ids]),
        "v2.json": json.dumps({"data": [{"id": tweet_id} for tweet_id in ids]}),
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    parquet.write_table(pyarrow.table({"id": pyarrow.array(ids, pyarrow.string())}), folder / "ids.parquet")
    for name in (*contents, "ids.parquet"):
        assert ids_in(folder / name) == ids


def test_text_is_read_without_pyarrow(write: Write) -> None:
    program = (
        "import pathlib, sys\n"
        "from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids\n"
        "list(read_tweet_ids(pathlib.Path(sys.argv[1])))\n"
        "sys.exit('pyarrow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(write("ids.txt", ONE))], check=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.csv", f"id,Owner\n{ONE},7\n{TWO},\n"),
        ("ids.jsonl", f'{{"id": "{ONE}", "owner": "7"}}\n{{"id": "{TWO}", "owner": null}}\n'),
        ("ids.json", f'{{"data": [{{"id": "{ONE}", "owner": 7}}, {{"id": "{TWO}", "owner": {{"name": "x"}}}}]}}'),
    ],
)
def test_owners_stand_beside_the_ids(name: str, content: str, write: Write) -> None:
    assert parse_tweets(read_tweet_ids(write(name, content))) == {ONE: "7", TWO: None}


def test_owners_of_a_parquet_file_may_be_integers(write_parquet: Callable[[dict[str, pyarrow.Array]], Path]) -> None:
    path = write_parquet({"author": pyarrow.array([7, None, 8]), "tweet_id": pyarrow.array(IDS)})

    assert parse_tweets(read_tweet_ids(path, owner_column="author")) == {ONE: "7", TWO: None, THREE: "8"}
    assert parse_tweets(read_tweet_ids(path)) == dict.fromkeys(IDS)


def test_an_owner_column_that_does_not_exist_is_an_error(write: Write) -> None:
    with pytest.raises(InvalidQueryError, match="has no column 'author'; its columns are 'id', 'owner'"):
        list(read_tweet_ids(write("ids.csv", f"id,owner\n{ONE},7\n"), owner_column="author"))
