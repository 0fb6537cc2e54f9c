"""Inputs that people had trouble with: each is read exactly, or refused with its place and what to do."""

from __future__ import annotations

import gzip
import io
import json
import re
from array import array
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral
from pathlib import Path
from typing import Any

import fsspec
import numpy
import pandas
import polars
import pyarrow
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from pyarrow import parquet

from airflow_provider_engagement.connections.listed_tweets import read_tweets
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs import id_source, json_ids, parquet_ids, tweet_ids
from airflow_provider_engagement.inputs.settings import TweetSource
from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids, parse_tweets
from airflow_provider_engagement.tweet_id import first_id_at

A, B = "1070059276213702656", "1385449730818285569"

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def ids_in(path: Path, **columns: Any) -> list[str]:
    return list(parse_tweets(read_tweet_ids(path, **columns)))


def error_of(path: Path, **columns: Any) -> str:
    with pytest.raises(InvalidQueryError) as caught:
        list(read_tweet_ids(path, **columns))
    message = str(caught.value)
    assert path.name in message
    assert len(message) < 1_000
    return message


READ = {
    "texts of several lines between two columns of ids": (
        "ids.csv",
        f'n,tweet_id,text,reply_to\n1,{A},"a\n\nb, c",{B}\n2,{B},"d\ne",{A}\n',
    ),
    "texts of several lines before the id": ("ids.csv", f'text,tweet_id\n"a\nb, {A}\nc",{A}\n"d\n",{B}\n'),
    "marks of direction around the first id": ("ids.csv", f"\u202a{A}\u202c\n{B}\n"),
    "an address in the first line": ("ids.csv", f"https://x.com/a/status/{A}\n{B}\n"),
    "a zero-width space after each id": ("ids.txt", f"{A}\u200b\n{B}\u200b\n"),
    "semicolons": ("ids.csv", f"tweet_id;text\n{A};a, b\n{B};c\n"),
    "tabs": ("ids.tsv", f"tweet_id\tdate\ttime\n{A}\t2020-03-22\t00:00:01\n{B}\t2020-03-22\t00:00:02\n"),
    "tabs in a file named csv": ("ids.csv", f"date\ttweet_id\n2020-03-22\t{A}\n2020-03-23\t{B}\n"),
    "bars": ("ids.csv", f"text|tweet_id\na;b|{A}\nc|{B}\n"),
    "a delimiter that Excel announces": ("ids.csv", f"sep=;\r\ntweet_id;text\r\n{A};a\r\n{B};b\r\n"),
    "Unicode text of Excel": ("ids.csv", f"tweet_id\ttext\r\n{A}\tä\r\n{B}\tö\r\n".encode("utf-16")),
    "big-endian UTF-16": ("ids.txt", b"\xfe\xff" + f"{A}\n{B}\n".encode("utf-16-be")),
    "lines of an old Macintosh": ("ids.csv", f"tweet_id,text\r{A},a\r{B},b\r"),
    "formulas": ("ids.csv", f'tweet_id,x\n="{A}",1\n"=""{B}""",2\n'),
    "apostrophes": ("ids.csv", f"tweet_id,x\n'{A},1\n'{B}',2\n"),
    "quotes in quotes": ("ids.csv", f'tweet_id,x\n"""{A}""",1\n"""{B}""",2\n'),
    "quotes in text": ("ids.txt", f'"{A}"\n"{B}"\n'),
    "addresses": (
        "ids.txt",
        f"https://twitter.com/handle/status/{A}\nhttps://x.com/handle/status/{B}?s=20&t=ab#m\n",
    ),
    "addresses of phones": ("ids.txt", f"https://mobile.twitter.com/h/status/{A}/photo/1\nx.com/i/web/status/{B}\n"),
    "old addresses": ("ids.txt", f"http://www.twitter.com/#!/h/statuses/{A}\nHTTP://TWITTER.COM/statuses/{B}/\n"),
    "an export of analytics": (
        "ids.csv",
        f'Post id,Date,Post text,Post Link,Impressions\n"{A}","Fri, Sep 26",x,https://x.com/a/status/{A},12\n{B},,,,1\n',
    ),
    "an older export of analytics": ("ids.csv", f'"Tweet id","Tweet permalink"\n"{A}","x"\n"{B}","y"\n'),
    "rtweet": ("ids.csv", f"user_id,status_id,created_at\n7,{A},x\n8,{B},y\n"),
    "snscrape": ("ids.jsonl", f'{{"url": "x", "id": {A}}}\n{{"url": "y", "id": {B}}}\n'),
    "camel case": ("ids.csv", f"tweetId,likes\n{A},1\n{B},2\n"),
    "an archive": (
        "tweets.js",
        "window.YTD.tweets.part0 = "
        + json.dumps([{"tweet": {"id_str": A, "id": A}}, {"tweet": {"id_str": B, "id": B}}], indent=2),
    ),
    "an archive of 2013": (
        "2013_01.js",
        f'Grailbird.data.tweets_2013_01 =\n [{{"id_str": "{A}"}}, {{"id_str": "{B}"}}]',
    ),
    "pages, one of errors": (
        "ids.jsonl",
        f'{{"data": [{{"id": "{A}"}}, {{"id": "{B}"}}], "includes": {{"tweets": [{{"id": "7"}}]}}, "meta": {{}}}}\n'
        '{"errors": [{"value": "9", "resource_type": "tweet", "title": "Not Found Error"}], "__twarc": {}}\n',
    ),
    "pages as an array": ("ids.json", json.dumps([{"data": [{"id": A}]}, {"data": [{"id": B}]}])),
    "records of pandas": ("ids.json", json.dumps([{"tweet_id": int(A)}, {"tweet_id": int(B)}])),
    "cells without end": ("ids.csv", f"tweet_id,text,lang\n{A}\n{B},x\n"),
    "more commas than columns": ("ids.csv", f"tweet_id,text\n{A},a,,\n{B},b,\n"),
    "an owner that is empty": ("ids.csv", f"tweet_id,owner\n{A},\n{B},\n"),
}


@pytest.mark.parametrize("case", READ)
def test_a_file_whose_meaning_is_beyond_doubt_is_read_exactly(write: Write, case: str) -> None:
    name, content = READ[case]
    assert ids_in(write(name, content)) == [A, B]


REFUSED = {
    "a number of a spreadsheet": ("ids.csv", "tweet_id,label\n1.2316E+18,x\n", r"line 2: '1.2316E\+18' is a float"),
    "the same in German": ("ids.csv", "tweet_id;label\n1,2316E+18;x\n", r"line 2: '1,2316E\+18' is a float"),
    "a float of pandas": ("ids.csv", f"tweet_id,x\n{A}.0,1\n", f"line 2: '{A}.0' is a float.*pandas"),
    "a missing value of pandas": ("ids.csv", f"tweet_id,x\n{A},1\nnan,2\n", "line 3: 'nan' stands for no id"),
    "NULL of a database": ("ids.csv", f"tweet_id,x\n{A},1\nNULL,2\n", "line 3: 'NULL' stands for no id"),
    "thousands": ("ids.txt", "1,070,059,276,213,702,656\n", "line 1: .* is a number with separators"),
    "no header, two columns": (
        "ids.csv",
        f"{A},0.125\n{B},0\n",
        "line 1: is not a header.*tweets.column to the num",
    ),
    "the id of a row beside that of a post": ("ids.csv", f"id,post_id\n1,{A}\n", "'post_id', 'id' could all hold"),
    "two columns of ids": ("ids.csv", f"tweet_id,x,Tweet ID\n{A},1,{B}\n", "'tweet_id', 'Tweet ID' could all hold"),
    "users": ("ids.csv", "id,name,username\n2244994945,Dev,TwitterDev\n", "the rows look like users"),
    "numbers of rows": ("ids.csv", "id,text\n1,a\n2,b\n", "line 2: 1 is not a Tweet id: it is smaller than 20"),
    "a header of pandas": ("ids.csv", f"0\n{A}\n", "line 1: '0' can be a header or an id"),
    "a year as a header": ("ids.csv", f"2021\n{A}\n", "line 1: '2021' can be a header or an id"),
    "two lists": ("ids.json", json.dumps({"data": [A], "statuses": [B]}), "line 1: has several keys that can hold ids"),
    "an id and a list": ("ids.json", json.dumps({"id": A, "data": [B]}), "line 1: has several keys that can hold ids"),
    "null in a list": ("ids.json", json.dumps([A, None]), "line 1, item 2: there is no id"),
    "commas at the ends": ("ids.txt", f"{A},\n", f"line 1: '{A},' is not a Tweet id"),
    "a delimiter in a text": ("ids.csv", f"text,tweet_id\na, b,{A}\n", "line 2: has 3 cells, but the first row has 2"),
    "two columns of the same name": ("ids.csv", f"tweet_id,tweet_id\n{A},{B}\n", "Give each column a name of its own"),
    "a quote in a text that is not doubled": (
        "ids.csv",
        f'tweet_id,text\n{A},"hi\n{B},you"\n{A},x\n',
        "line 2: has a cell in quotes that contains what looks like a row, until line 3",
    ),
    "a quote that swallows a shorter row": (
        "ids.csv",
        f'tweet_id,text,lang\n{A},"hi\n{B},you"\n',
        "line 2: has a cell in quotes that contains what looks like a row, until line 3.*only the column of the ids",
    ),
    "a quote that swallows longer rows": (
        "ids.csv",
        f'text,tweet_id\n"oh, no,{A}\nyou",{B}\n',
        "line 2: has a cell in quotes that contains what looks like a row, until line 3",
    ),
    "a quote in the header": (
        "ids.csv",
        f'tweet_id,"text\n{A},x"\n{B},y\n',
        "line 1: has a cell in quotes that contains what looks like a row, until line 2",
    ),
    "a quote that swallows old Tweets": ("ids.csv", 'tweet_id,text,x\n20,"a\n21,b"\n', "line 2: has a cell in quotes"),
    "a quote without an end": (
        "ids.csv",
        f'tweet_id,text\n{A},x\n{A},"hi\n{B},x\n',
        r"line 3: is not CSV until line 4 \(.*Double the quotes in texts",
    ),
    "a quote in a text before the id": (
        "ids.tsv",
        f'text\ttweet_id\nx\t{A}\n"hi\t{A}\nyou"\t{B}\n',
        "line 3: has a cell in quotes that contains what looks like a row, until line 4",
    ),
    "a decimal owner": ("ids.jsonl", json.dumps({"tweet_id": A, "owner": 12.5}), "line 1: 12.5 is not an owner"),
    "two ids and a comma on a line of text": ("ids.txt", f"{A},{B}\n", f"line 1: '{A},{B}' is not a Tweet id"),
    "a cell too few": ("ids.csv", f"text,tweet_id,reply\n{A},{B}\n", "line 2: has 2 cells, but the first row has 3"),
    "two delimiters": ("ids.csv", f"tweet_id,a;tweet_id\n{A},b;{B}\n", "line 1: .* has several delimiters"),
    "two ids on a line of text": ("ids.txt", f"{A} {B}\n", "line 1: .* is not a Tweet id"),
    "a table named txt": ("ids.txt", f"tweet_id\ttext\n{A}\tx\n", "line 1: .* A table needs the suffix .csv"),
    "a mark within an id": ("ids.txt", f"{A[:9]}\u200b{A[9:]}\n", "line 1: .* is not a Tweet id"),
    "zeros before an id": ("ids.txt", f"0{A[1:]}\n", "line 1: .* no zero at its start"),
    "an Arabic number": ("ids.txt", "\u0661\u0662\n", "line 1: .* is not a Tweet id"),
    "a short address": ("ids.txt", "https://t.co/abc\n", "line 1: .* is not the address of a Tweet"),
    "the address of a user": ("ids.txt", "https://x.com/jack\n", "line 1: .* is not the address of a Tweet"),
    "another host": ("ids.txt", f"https://x.com.example.org/a/status/{A}\n", "line 1: .* is not the address"),
    "a formula": ("ids.csv", "tweet_id,x\n=1+1,2\n", "line 2: '=1\\+1' is not a Tweet id"),
    "the time to come": ("ids.txt", "3141592653589793238\n", "line 1: .* contains a time to come"),
    "too large": ("ids.txt", "9223372036854775808\n", "line 1: .* is larger than 9223372036854775807"),
    "zero": ("ids.txt", "0\n", "line 1: 0 is not a Tweet id"),
    "negative": ("ids.txt", "-20\n", "line 1: '-20' is not a Tweet id"),
    "a key without a value": (
        "ids.jsonl",
        f'{{"id": 17, "tweet_id": null}}\n{{"id": 18, "tweet_id": "{A}"}}\n',
        "line 1: has the key 'tweet_id' without a value",
    ),
    "users of v2": ("ids.json", '{"data": [{"id": "2244994945", "name": "D", "username": "d"}]}', "look like users"),
    "an error of a page": ("ids.jsonl", '{"errors": [{"code": 88, "message": "Rate limit"}]}\n', "line 1: is an error"),
    "results without data": ("ids.json", '{"meta": {"result_count": 5}}', "line 1: has 5 results but no data"),
    "rows without names": ("ids.json", json.dumps([[0, A, 5]]), "line 1, item 1: .* is a list in a list"),
    "columns of pandas": ("ids.json", json.dumps({"tweet_id": {"0": A}}), r"line 1: \{'0': .* is not a Tweet id"),
    "split of pandas": ("ids.json", json.dumps({"columns": ["id"], "data": [[A]]}), "line 1, item 1: .* is a list"),
    "a key twice": ("ids.json", f'{{"tweet_id": "{A}", "tweet_id": "{B}"}}', "line 1: is not JSON .*a key twice"),
    "messages of an archive": (
        "messages.js",
        'window.YTD.direct_messages.part0 = [{"dmConversation": {"conversationId": "1-2"}}]',
        "line 1, item 1 has no key tweet_id",
    ),
    "UTF-16 cut short": ("ids.txt", b"\xff\xfe1", "is not UTF-16"),
    "UTF-16 without a mark cut short": ("ids.txt", A.encode("utf-16-le")[:-1], "line 1: is not UTF-16-LE"),
    "UTF-16 without a mark that starts with a sign above 255": (
        "ids.csv",
        f"Šport,tweet_id\nx,{A}\n".encode("utf-16-le"),
        "line 1: contains a NUL byte, which UTF-8 text does not.*Save the file as UTF-8",
    ),
    "two files of different encodings in one": (
        "ids.txt",
        f"{A}\n".encode() + f"{B}\n".encode("utf-16-le"),
        "line 2: contains a NUL byte",
    ),
    "Windows-1252": (
        "ids.csv",
        f"tweet_id,text\n{A},x\n{B},Grüße\n".encode("cp1252"),
        r"line 3: is not UTF-8 \(byte 0xFC\), but perhaps Windows-1252.*in Excel, as the type CSV UTF-8",
    ),
    "Shift JIS": ("ids.csv", f"tweet_id,text\n{A},表\n".encode("shift_jis"), r"line 2: is not UTF-8 \(byte 0x95\)"),
    "a NUL byte": ("ids.csv", f"tweet_id,text\n{A},x\0\n", "line 2: contains a NUL byte"),
    "a NUL byte in an id": ("ids.txt", f"{A}\n{B}\0\n", "line 2: contains a NUL byte"),
    "a NUL byte in JSON": ("ids.jsonl", f'"{A}"\n"{B}\0"\n', "line 2: contains a NUL byte"),
    "a disk's zeros at the end": ("ids.txt", f"{A}\n".encode() + bytes(4096), "line 2: contains a NUL byte"),
    "a workbook": (
        "ids.csv",
        b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xff",
        "line 1: is not UTF-8 but a workbook or a zip archive.*export the sheet as CSV",
    ),
    "gzip in gzip": ("ids.txt", gzip.compress(gzip.compress(A.encode())), "is not UTF-8 but compressed with gzip once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_in_doubt_is_refused_with_its_place(write: Write, case: str) -> None:
    name, content, problem = REFUSED[case]
    message = error_of(write(name, content))
    assert re.search(problem, message), message


@pytest.mark.parametrize(
    "encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-32", "utf-8-sig"]
)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", f"{A}\n{B}\n"),
        ("ids.csv", f"tweet_id;text\r\n{A};Grüße\r\n{B};\u20ac\r\n"),
        ("ids.jsonl", f'{{"id_str": "{A}", "text": "\u20ac"}}\n{{"id_str": "{B}"}}\n'),
        ("ids.json", json.dumps([A, B], indent=1)),
    ],
)
def test_every_encoding_of_unicode_is_read_with_and_without_a_mark(
    write: Write, name: str, content: str, encoding: str
) -> None:
    assert ids_in(write(name, content.encode(encoding))) == [A, B]


def test_a_file_without_a_header_can_be_said_to_have_none(write: Write) -> None:
    path = write("ids.csv", f"0.125,{A},783214\n0,{B},\n")
    for number in (2, "2", " 2 "):
        assert ids_in(path, column=number) == [A, B]
    assert parse_tweets(read_tweet_ids(path, column=2, owner_column="3")) == {A: "783214", B: None}
    assert "has only 3 columns, not 4" in error_of(path, column=4)


def test_a_number_of_a_column_never_takes_the_first_row_for_a_header(write: Write) -> None:
    assert ids_in(write("ids.csv", f"{A},1\n{B},2\n"), column="1") == [A, B]
    assert "line 1: 'tweet_id' is not a Tweet id" in error_of(write("ids.csv", f"tweet_id\n{A}\n"), column=1)


@pytest.mark.parametrize(
    ("column", "owner_column", "field"),
    [
        (1, "owner", "tweets.owner_column"),
        ("id", 2, "tweets.owner_column"),
        (0, None, "tweets.column"),
        (1.5, None, "tweets.column"),
    ],
)
def test_names_and_numbers_of_columns_do_not_mix(write: Write, column: Any, owner_column: Any, field: str) -> None:
    with pytest.raises(InvalidQueryError, match=f"^{field}"):
        list(read_tweet_ids(write("ids.csv", f"{A},{B}\n"), column=column, owner_column=owner_column))


@pytest.mark.parametrize("off", [False, "False", "false"])
def test_a_column_owner_can_be_left_alone(write: Write, off: object) -> None:
    csv = write("ids.csv", f"tweet_id,owner\n{A},Anna Smith\n{B},Bob\n")
    assert parse_tweets(read_tweet_ids(csv, owner_column=off)) == {A: None, B: None}
    lines = write("ids.jsonl", f'{{"tweet_id": "{A}", "owner": "Anna Smith"}}\n')
    assert parse_tweets(read_tweet_ids(lines, owner_column=off)) == {A: None}


def test_the_error_of_a_name_in_a_column_owner_says_how_to_leave_it_alone(write: Write) -> None:
    message = error_of(write("ids.csv", f"tweet_id,owner\n{A},Anna Smith\n"))
    assert "line 2: 'Anna Smith' is not an owner" in message
    assert "Set tweets.owner_column=False" in message


def test_a_key_of_owners_that_no_object_has_is_an_error(write: Write) -> None:
    path = write("ids.jsonl", f'{{"id": "{A}", "acount": "7"}}\n')
    assert "no object with the key 'account'" in error_of(path, owner_column="account")


# Folders and patterns


def test_a_folder_of_part_files_is_read_in_the_order_of_the_names(write: Write, tmp_path: Path) -> None:
    write("out/day=2/part-0.csv.gz", gzip.compress(f"id\n{B}\n".encode()))
    write("out/day=1/part-0.csv", f"id\n{A}\n")
    write("out/_SUCCESS", "")
    write("out/day=1/.part-0.csv.crc", b"\xff")
    assert ids_in(tmp_path / "out") == [A, B]


def test_a_pattern_names_files_and_folders(write: Write, tmp_path: Path) -> None:
    write("out/day=1/part-1.txt", f"{B}\n")
    write("out/day=1/part-0.txt", f"{A}\n")
    write("out/day=2/part-0.txt", f"{A}\n")
    write("out/day=1/other.csv", "x")
    assert ids_in(tmp_path / "out" / "day=1" / "part-*.txt") == [A, B]
    assert ids_in(tmp_path / "out" / "day=?" / "part-0.txt") == [A]
    assert "no file matches" in error_of(tmp_path / "out" / "part-*.txt")
    assert "contains **" in error_of(tmp_path / "**" / "part-*.txt")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(write: Write) -> None:
    assert ids_in(write("ids [1].txt", A)) == [A]


def test_tables_of_both_suffixes_are_one_format(write: Write, tmp_path: Path) -> None:
    write("out/a.csv", f"id\n{A}\n")
    write("out/b.tsv", f"id\ttext\n{B}\tx\n")
    assert ids_in(tmp_path / "out") == [A, B]


@pytest.mark.parametrize("name", ["none.txt", "none/ids.txt", "ids.txt/ids.txt", f"{'a' * 300}.txt", "nul\0.txt"])
def test_a_path_that_cannot_be_read_is_an_error_of_this_package(write: Write, name: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"^tweets: .*Check the path"):
        list(read_tweet_ids(write("ids.txt", A).parent / name))


def test_folders_that_lead_back_to_themselves_are_refused(write: Write) -> None:
    folder = write("out/ids.txt", A).parent
    (folder / "self").symlink_to(folder)
    assert "is too deep in other folders" in error_of(folder)


def test_files_of_several_formats_are_refused(write: Write, tmp_path: Path) -> None:
    write("out/a.csv", f"id\n{A}\n")
    write("out/b.jsonl", A)
    assert "files of several formats, such as a.csv and b.jsonl" in error_of(tmp_path / "out")


def test_a_folder_on_object_storage_is_read() -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    folder = ObjectStoragePath("memory://part-files/out")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"part-1.txt": B, "part-0.txt": A, "_SUCCESS": ""}.items():
        with (folder / name).open("wb") as file:
            file.write(content.encode())
    assert list(parse_tweets(read_tweet_ids(folder))) == [A, B]
    assert list(parse_tweets(read_tweet_ids(folder / "part-*"))) == [A, B]


# Parquet


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([A, B], pyarrow.string_view()),
        pyarrow.array([A, B], pyarrow.large_string()).dictionary_encode(),
        pyarrow.array([f"https://x.com/a/status/{A}", f'="{B}"']),
    ],
    ids=["string_view", "dictionary", "forms"],
)
def test_parquet_holds_text_in_many_types(tmp_path: Path, column: pyarrow.Array) -> None:
    parquet.write_table(pyarrow.table({"Tweet id": column, "text": ["a", "b"]}), tmp_path / "ids.parquet")
    assert ids_in(tmp_path / "ids.parquet") == [A, B]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pyarrow.array([A.encode()]), "binary, which is bytes without an encoding"),
        (pyarrow.array([A.encode()], pyarrow.binary(19)), "which is bytes without an encoding"),
        (pyarrow.array([[A]]), "list<.*which holds several values in a row"),
        (pyarrow.array([{"id": A}]), "struct<.*which holds several values in a row"),
        (pyarrow.array([1.07e18]), "double, which rounds ids"),
        (pyarrow.array([Decimal(A)], pyarrow.decimal128(21, 1)), "which is not a whole number"),
        (pyarrow.array([True]), "bool, which cannot hold ids"),
        (pyarrow.array([17]), "row 1: 17 is not a Tweet id"),
    ],
)
def test_parquet_of_another_type_is_refused_with_the_true_reason(
    tmp_path: Path, column: pyarrow.Array, problem: str
) -> None:
    parquet.write_table(pyarrow.table({"tweet_id": column, "text": ["a"]}), tmp_path / "ids.parquet")
    assert re.search(problem, error_of(tmp_path / "ids.parquet"))


def test_parquet_with_owners_of_another_type_says_how_not_to_read_them(tmp_path: Path) -> None:
    columns = {"tweet_id": [A], "owner": pyarrow.array([12.0])}
    parquet.write_table(pyarrow.table(columns), tmp_path / "ids.parquet")

    error = error_of(tmp_path / "ids.parquet")

    assert "column 'owner': has the type double, which rounds ids" in error
    assert "Set tweets.owner_column=False to ignore it" in error
    assert ids_in(tmp_path / "ids.parquet", owner_column=False) == [A]


def test_damaged_parquet_is_an_error_of_this_package(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"tweet_id": [A, B] * 100}), tmp_path / "ids.parquet")
    content = (tmp_path / "ids.parquet").read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "ids.parquet").write_bytes(bytes(damaged))
        try:
            found = set(ids_in(tmp_path / "ids.parquet"))
        except InvalidQueryError:
            continue
        assert all(tweet_id.isdigit() for tweet_id in found)


# Bounds


def test_the_content_of_a_compressed_file_is_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_source, "MAX_FILE_BYTES", 10_000)
    path = write("ids.txt.gz", gzip.compress(f"{A}\n".encode() * 1_000))
    assert "more than 10,000 bytes after decompression" in error_of(path)


def test_a_line_is_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_source, "MAX_LINE_LENGTH", 1_000)
    for name in ("ids.txt", "ids.csv", "ids.jsonl", "ids.json"):
        assert "line 1: has more than 1,000 characters" in error_of(write(name, "1" * 1_001))


@pytest.mark.parametrize(
    ("name", "first", "line"),
    [
        ("ids.txt", A, ""),
        ("ids.txt", A, "# a comment"),
        ("ids.txt", A, B),
        ("ids.csv", "", ""),
        ("ids.csv", f"id\n{A}", ""),
        ("ids.jsonl", f'{{"id": "{A}"}}', ""),
    ],
)
def test_the_lines_of_a_text_are_bounded(
    write: Write, monkeypatch: pytest.MonkeyPatch, name: str, first: str, line: str
) -> None:
    monkeypatch.setattr(id_source, "MAX_LINES", 100)
    assert "more than 100 lines" in error_of(write(name, f"{first}\n" + f"{line}\n" * 100))


def test_the_values_of_a_document_are_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_ids, "MAX_VALUES", 1_000)
    assert "line 1: has more than 1,000 values" in error_of(write("ids.json", f"[{'[],' * 1_000}{A}]"))


def test_a_document_of_many_lines_is_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_ids, "MAX_DOCUMENT_LENGTH", 1_000)
    assert "more than 1,000 characters in a document" in error_of(write("ids.json", "[\n" + "\n" * 1_000 + f"{A}]"))


def test_the_rows_of_a_table_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_ids, "MAX_ROWS", 2)
    parquet.write_table(pyarrow.table({"tweet_id": [A, A, A]}), tmp_path / "ids.parquet")
    assert "the table: has more than 2 rows" in error_of(tmp_path / "ids.parquet")


def test_a_compressed_file_that_grows_too_much_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_source, "MAX_SMALL_FILE", 1_000)
    path = write("ids.txt.gz", gzip.compress(b"\n" * 1_000_000))
    assert "more than 200 times larger after decompression" in error_of(path)


def test_a_list_of_tweets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tweet_ids, "MAX_TWEETS", 1)
    with pytest.raises(InvalidQueryError, match="more than 1 Tweets"):
        parse_tweets([A, B])


def test_the_error_of_a_file_with_a_million_columns_is_short(write: Write) -> None:
    message = error_of(write("ids.csv", ",".join(map("c{}".format, range(1_000_000))) + "\n"))
    assert "'c9' and 999990 more" in message


# Lists


@pytest.mark.parametrize(
    "value",
    [
        [[A, B], [B, A]],
        [(A, B)],
        [[A, int(B)]],
        [[A, f"https://x.com/a/status/{B}"]],
        [[A, B, A]],
        [[[A, "7"]]],
        [["20", "783214"]],
        json.dumps([[A, B]]),
        str([(A, B)]),
    ],
)
def test_a_list_of_lists_is_not_taken_for_owners(value: object) -> None:
    with pytest.raises(InvalidQueryError, match="Join the lists to one, or name owners as "):
        parse_tweets(value)


def test_a_mapping_names_any_owner() -> None:
    assert parse_tweets([{"tweet_id": A, "owner": B}, {"Tweet id": B, "owner": None}]) == {A: B, B: None}


def test_one_number_is_one_id() -> None:
    assert parse_tweet_ids(int(A)) == (A,)


@pytest.mark.parametrize(
    "value",
    [
        "['1070059276' '213702656']",  # Python joins these
        "[0xFFFFFFFFFF]",
        f"https://x.com/a/status/{A}?x=1,22",
        ["20", 10**400],
        [Decimal("1.07E+18")],
        [Decimal("Infinity")],
        [float("nan")],
        [None],
        ["None"],
        [b"20"],
        [{"tweet_id": None, "id": 17}],
        [{"id": 1385449730818285569, "post_id": 17}],
        "1,070,059,276,213,702,656",
    ],
)
def test_a_list_in_doubt_is_refused(value: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^tweets: ") as error:
        parse_tweet_ids(value)
    assert len(str(error.value)) < 500


class Int64:
    """An integer that is no ``int``, as those of numpy."""

    def __int__(self) -> int:
        return int(A)


Integral.register(Int64)


def test_integers_of_other_libraries_are_exact() -> None:
    assert parse_tweet_ids([Int64(), B]) == (A, B)
    assert parse_tweet_ids([Decimal(A), Decimal(f"{B}.00")]) == (A, B)


NUMBERS = [int(A), int(B)]


@pytest.mark.parametrize(
    "value",
    [
        numpy.array(NUMBERS),
        numpy.array([A, B]),
        numpy.array([int(A), B], dtype=object),
        [numpy.array(int(A)), numpy.str_(B)],
        pandas.Series(NUMBERS),
        pandas.Series([A, B], dtype="category"),
        pandas.Index([A, B]),
        pyarrow.array(NUMBERS, pyarrow.uint64()),
        pyarrow.chunked_array([[A], [B]]),
        pyarrow.array([A, B]).dictionary_encode(),
        pyarrow.array([{"tweet_id": A, "owner": None}, {"tweet_id": B, "owner": None}]),
        polars.Series(NUMBERS),
        polars.Series([A, B]),
        array("Q", NUMBERS),
        deque([A, B]),
        (number for number in NUMBERS),
        dict.fromkeys([A, B]).keys(),
        {1: A, 2: B}.values(),
        io.StringIO(f"{A}\n{B}\n"),
    ],
    ids=lambda value: type(value).__module__ + "." + type(value).__qualname__,
)
def test_the_lists_of_other_libraries_are_read_exactly(value: object) -> None:
    ids = parse_tweet_ids(value)
    assert ids == (A, B)
    assert {type(tweet_id) for tweet_id in ids} == {str}


@pytest.mark.parametrize("value", [numpy.array(int(A)), numpy.array(A), numpy.uint64(A), pyarrow.scalar(int(A))])
def test_a_scalar_of_another_library_is_one_id(value: object) -> None:
    assert parse_tweet_ids(value) == (A,)


def test_a_set_has_each_id_once_and_items_name_owners() -> None:
    assert set(parse_tweet_ids({A, int(B)})) == set(parse_tweet_ids(frozenset([A, B]))) == {A, B}
    assert parse_tweets({A: "7", B: None}.items()) == {A: "7", B: None}
    assert parse_tweets([(numpy.int64(A), numpy.int64(7)), pyarrow.scalar([B, "8"])]) == {A: "7", B: "8"}


@pytest.mark.parametrize(
    "value",
    [
        A.encode(),
        bytearray(A.encode()),
        memoryview(A.encode()),
        [bytearray(b"20")],
        io.BytesIO(A.encode()),
        numpy.array([[int(A), int(B)], [int(B), int(A)]]),
        numpy.array([float(A)]),
        numpy.float64(A),
        numpy.bool_(True),
        numpy.datetime64("2026-01-01"),
        numpy.ma.array(NUMBERS, mask=[False, True]),
        [(numpy.int64(A), numpy.int64(B))],
        pandas.Series([A, None]),
        pandas.Series([int(A), None]),
        pandas.DataFrame({"tweet_id": NUMBERS}),
        pandas.NA,
        pyarrow.array([int(A), None]),
        pyarrow.scalar(None, pyarrow.int64()),
        pyarrow.array([[A, B], [B, A]]),
        pyarrow.table({"tweet_id": [A]}),
        polars.Series([A, None]),
        polars.DataFrame({"tweet_id": [A]}),
        polars.lit(A),
        list,
        object(),
        ...,
    ],
    ids=lambda value: type(value).__module__ + "." + type(value).__qualname__,
)
def test_another_object_is_one_error_of_this_package(value: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^(tweets|owner): .*[^.]\. [A-Z]") as error:
        parse_tweet_ids(value)
    assert len(str(error.value)) < 300


def test_an_id_of_this_moment_is_read_and_one_of_tomorrow_is_not() -> None:
    now = datetime.now(UTC)
    for ahead in (timedelta(0), timedelta(minutes=5)):  # the clock of this machine may be late
        assert parse_tweet_ids([first_id_at(now + ahead)])
    with pytest.raises(InvalidQueryError, match="contains a time to come"):
        parse_tweet_ids([first_id_at(now + timedelta(days=1))])


def test_ids_from_before_november_2010_are_pulled_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    source = TweetSource(ids=["20", A])
    assert list(read_tweets(source)) == ["20", A]
    assert "1 of 2 ids from before 2010-11-04, such as 20" in caplog.text
    caplog.clear()
    read_tweets(TweetSource(ids=[A, B]))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.csv", "tweet_id\n"),
        ("ids.csv", ""),
        ("ids.txt", "# none\n"),
        ("ids.json", "[]"),
        ("ids.jsonl", "\n"),
        ("tweets.js", "window.YTD.tweets.part0 = [ ]"),
    ],
)
def test_a_file_without_ids_is_an_error_that_names_it(write: Write, name: str, content: str) -> None:
    path = write(name, content)
    source = TweetSource(file=str(path))
    with pytest.raises(InvalidQueryError, match=rf"tweets: \S*{re.escape(name)} contains no ids"):
        read_tweets(source)
