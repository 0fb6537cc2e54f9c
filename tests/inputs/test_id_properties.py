"""Whatever a file or a list contains, its ids are read exactly, or it is refused by an error of this package."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.tweet_id_files import read_tweet_ids
from airflow_provider_engagement.inputs.tweet_ids import parse_tweets

NEWEST = 2 * 10**18
"""An id of December 2025, so that the ids below are those of Tweets."""

ids_of_today = st.integers(10**18, NEWEST).map(str)
any_ids = st.one_of(ids_of_today, st.integers(20, NEWEST).map(str))
lists = st.lists(any_ids, min_size=1, max_size=20, unique=True)
texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)

EACH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

FORMS: dict[str, Callable[[str], str]] = {
    "digits": str,
    "spaces": " {} ".format,
    "no-break spaces": "\u00a0{}\u00a0".format,
    "marks": "\u202a{}\u202c".format,
    "byte-order mark": "\ufeff{}".format,
    "formula": '="{}"'.format,
    "apostrophe": "'{}".format,
    "x.com": "https://x.com/a_b/status/{}?s=20".format,
    "twitter.com": "http://www.twitter.com/A/statuses/{}/photo/1#x".format,
    "mobile": "HTTPS://mobile.twitter.com/i/web/status/{}/".format,
    "Gnip": "tag:search.twitter.com,2005:{}".format,
}


def found_in(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return list(parse_tweets(read_tweet_ids(path)))


def found_or_refused(read: Callable[[], Iterable[str]]) -> list[str] | InvalidQueryError:
    try:
        return list(read())
    except InvalidQueryError as error:
        return error


def csv_of(rows: list[list[str]], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    return text.getvalue()


@EACH
@given(ids=lists, form=st.sampled_from(sorted(FORMS)))
def test_every_form_of_an_id_is_read_exactly_in_lists_and_text(tmp_path: Path, ids: list[str], form: str) -> None:
    written = [FORMS[form](tweet_id) for tweet_id in ids]

    assert list(parse_tweets(written)) == ids
    assert found_in(tmp_path / "ids.txt", "\n".join(written).encode()) == ids
    assert found_in(tmp_path / "ids.json", json.dumps(written).encode()) == ids
    assert found_in(tmp_path / "ids.jsonl", "\n".join(map(json.dumps, written)).encode()) == ids


@EACH
@given(
    ids=lists,
    form=st.sampled_from(sorted(FORMS)),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    header=st.sampled_from(["tweet_id", "Tweet id", "TWEET ID", "Post id", "status_id", "id_str", "id"]),
    place=st.integers(0, 2),
    data=st.data(),
)
def test_a_table_is_read_exactly_whatever_its_delimiter_encoding_and_texts(
    tmp_path: Path,
    ids: list[str],
    form: str,
    delimiter: str,
    quoting: int,
    encoding: str,
    header: str,
    place: int,
    data: st.DataObject,
) -> None:
    rows = [["text", "likes"]] + [[data.draw(texts), "7"] for _ in ids]
    for row, cell in zip(rows, [header, *map(FORMS[form], ids)], strict=True):
        row.insert(place, cell)

    assert found_in(tmp_path / "ids.csv", csv_of(rows, delimiter, quoting).encode(encoding)) == ids


@settings(EACH, max_examples=300)
@given(
    ids=st.lists(ids_of_today, min_size=2, max_size=6, unique=True) | st.just(["20", "21", "22"]),
    form=st.sampled_from(["digits", "marks", "apostrophe", "x.com"]),
    delimiter=st.sampled_from(",;\t|"),
    place=st.sampled_from([0, 3]),  # with an id between texts, such a row can be a complete one
    data=st.data(),
)
def test_a_quote_that_is_not_doubled_never_swallows_an_id(
    tmp_path: Path, ids: list[str], form: str, delimiter: str, place: int, data: st.DataObject
) -> None:
    quotes = st.sampled_from(["", "a", '"a', 'a"', '"a"', 'a "b" c', '5"', '"', '""', '\\"', "a\n", '"\n'])
    lines = [["text", "lang", "likes"]]
    for _ in ids:
        cells = [data.draw(quotes), data.draw(quotes), data.draw(quotes)]
        lines.append(cells[: data.draw(st.integers(place, 3))])
    for line, cell in zip(lines, ["tweet_id", *map(FORMS[form], ids)], strict=True):
        line.insert(place, cell)
    content = "\n".join(map(delimiter.join, lines)) + "\n"

    found = found_or_refused(lambda: found_in(tmp_path / "ids.csv", content.encode()))
    if isinstance(found, InvalidQueryError):
        assert "ids.csv, line " in str(found)
    else:
        assert found == ids


@EACH
@given(
    ids=st.lists(ids_of_today, min_size=1, max_size=9, unique=True),
    delimiter=st.sampled_from(",;\t|"),
    place=st.integers(0, 1),
    data=st.data(),
)
def test_texts_of_several_lines_hide_no_id(
    tmp_path: Path, ids: list[str], delimiter: str, place: int, data: st.DataObject
) -> None:
    lines_of_text = st.sampled_from(
        ["", "3,5 million; or", "a|b", "https://x.com/a/status/20", "so, https://x.com/a", '"']
    )
    rows = [["text", "likes"]] + [["\n".join(data.draw(st.lists(lines_of_text, max_size=4))), "7"] for _ in ids]
    for row, cell in zip(rows, ["tweet_id", *ids], strict=True):
        row.insert(place, cell)
    assert found_in(tmp_path / "ids.csv", csv_of(rows, delimiter).encode()) == ids


@EACH
@given(
    ids=st.lists(ids_of_today, min_size=1, unique=True), form=st.sampled_from(sorted(FORMS)), columns=st.integers(1, 3)
)
def test_no_id_is_taken_for_a_header(tmp_path: Path, ids: list[str], form: str, columns: int) -> None:
    content = csv_of([[FORMS[form](tweet_id), *["7"] * (columns - 1)] for tweet_id in ids]).encode()
    found = found_or_refused(lambda: found_in(tmp_path / "ids.csv", content))
    if columns == 1:
        assert found == ids
    else:
        assert "line 1" in str(found)
        assert list(parse_tweets(read_tweet_ids(tmp_path / "ids.csv", column=1))) == ids


@EACH
@given(ids=lists, data=st.data())
def test_objects_and_pages_are_read_exactly(tmp_path: Path, ids: list[str], data: st.DataObject) -> None:
    shapes: list[Callable[[str], object]] = [
        lambda tweet_id: {"tweet_id": tweet_id, "id": 7},
        lambda tweet_id: {"id": int(tweet_id[:-2] + "00"), "id_str": tweet_id, "user": {"id_str": "7"}},
        lambda tweet_id: {
            "data": [{"id": tweet_id}],
            "includes": {"tweets": [{"id": "9"}]},
            "errors": [{"value": "8"}],
        },
        lambda tweet_id: {"data": {"id": tweet_id}},
        lambda tweet_id: {"tweet": {"id_str": tweet_id}},
        int,
    ]
    documents = [data.draw(st.sampled_from(shapes))(tweet_id) for tweet_id in ids]

    assert found_in(tmp_path / "ids.jsonl", "\n".join(map(json.dumps, documents)).encode()) == ids
    assert found_in(tmp_path / "ids.json", json.dumps(documents, indent=1).encode()) == ids
    archive = "window.YTD.tweets.part0 = " + json.dumps([{"tweet": {"id": tweet_id}} for tweet_id in ids])
    assert found_in(tmp_path / "tweets.js", archive.encode()) == ids


@EACH
@given(
    ids=lists,
    kind=st.sampled_from([pyarrow.string(), pyarrow.large_string(), pyarrow.string_view(), pyarrow.int64()]),
    encoded=st.booleans(),
)
def test_parquet_is_read_exactly(tmp_path: Path, ids: list[str], kind: pyarrow.DataType, encoded: bool) -> None:
    column = pyarrow.array(list(map(int, ids)) if kind == pyarrow.int64() else ids, kind)
    if encoded and kind != pyarrow.string_view():
        column = column.dictionary_encode()
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"tweet_id": column, "id": ids}), file)

    assert found_in(tmp_path / "ids.parquet", file.getvalue()) == ids


NAMES = ["ids", "ids.txt", "ids.csv", "ids.tsv", "ids.json", "ids.jsonl", "ids.js", "ids.parquet", "ids.txt.gz"]
PIECES = (
    *("1070059276213702656", "20", "19", "1e18", "1.0", "NaN", "null", "true", "https://x.com/a/status/20", "-"),
    *('"', "'", "=", ",", ";", "\t", "|", "\n", "\r\n", " ", "\u202a", "\ufeff", "\x00", "#", "sep=;", "PAR1"),
    *("tweet_id", "id", "owner", "data", "errors", "tweet", "[", "]", "{", "}", ":", "window.YTD.tweets.part0 ="),
)
pieces = st.sampled_from(PIECES)
contents = st.one_of(
    st.binary(max_size=200),
    st.lists(pieces, max_size=30).map(lambda parts: "".join(parts).encode()),
    st.lists(pieces, max_size=30).map(lambda parts: "".join(parts).encode("utf-16")),
    st.lists(pieces, max_size=30).map(lambda parts: gzip.compress("".join(parts).encode())),
)


def decoded(content: bytes) -> str:
    """Return the text of a file, as far as it has one."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return content.decode(encoding, errors="replace")


@settings(EACH, max_examples=400)
@given(name=st.sampled_from(NAMES), content=contents)
def test_no_content_gives_an_id_that_is_not_in_it_or_the_error_of_another_library(
    tmp_path: Path, name: str, content: bytes
) -> None:
    found = found_or_refused(lambda: found_in(tmp_path / name, content))
    if isinstance(found, InvalidQueryError):
        assert name in str(found)
        assert len(str(found)) < 1_500
        assert found.remedy
    else:
        assert set(found) <= set(re.findall("[0-9]+", decoded(content)))


@settings(EACH, max_examples=200)
@given(text=st.one_of(st.text(max_size=80), st.lists(pieces, max_size=15).map("".join)))
def test_no_string_gives_an_id_that_is_not_in_it_or_the_error_of_another_library(text: str) -> None:
    found = found_or_refused(lambda: parse_tweets(text))
    if isinstance(found, InvalidQueryError):
        assert len(str(found)) < 500
    else:
        assert set(found) <= set(re.findall("[0-9]+", text))


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.decimals(), st.text(), st.binary(), any_ids),
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.sampled_from(["id", "tweet_id", "owner"]), inner)
    ),
    max_leaves=8,
)


@settings(EACH, max_examples=200)
@given(value=values)
def test_no_value_gives_the_error_of_another_library(value: object) -> None:
    found = found_or_refused(lambda: parse_tweets(value))
    if isinstance(found, InvalidQueryError):
        assert len(str(found)) < 500
    else:
        assert all(20 <= int(tweet_id) < 2**63 for tweet_id in found)


@pytest.mark.parametrize("number", [2, 3, 4])
@given(data=st.data())
def test_a_list_of_lists_of_tweets_is_read_whole_or_refused(number: int, data: st.DataObject) -> None:
    ids = st.lists(ids_of_today, min_size=number, max_size=number)
    value = data.draw(st.lists(ids, min_size=1, max_size=4))
    with pytest.raises(InvalidQueryError, match="item 1"):
        parse_tweets(value)
