"""Tweet ids, from what a DAG can contain."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.tweet_ids import parse_tweet_ids, parse_tweets

A, B = "2000000000000000001", "2000000000000000002"


def test_tweet_ids_have_many_forms() -> None:
    for value in (
        [A, B],
        (A, B),
        [int(A), B],
        f"{A},{B}",
        f" {A} , {B} ",
        f"{A}\n{B}\n",
        f"{A};{B}",
        f"{A}\t{B}",
        json.dumps([A, B]),
        json.dumps([int(A), int(B)]),
        str([A, B]),
        str((A, B)),
        iter([A, B]),
        {A: 0, B: 0}.keys(),
        f"https://x.com/a/status/{A}?s=20, {B}",
        [f" {A}\n", B, A, int(B)],
    ):
        assert parse_tweet_ids(value) == (A, B), value


def test_a_value_that_is_not_a_list_of_tweet_ids_is_an_error() -> None:
    not_lists = [None, 5.0, True, b"123", {"a": 1}, "{'a': 1}", "[1, 2", object()]
    not_ids = [
        None,
        True,
        2e18,
        [A, "7", "8"],
        "",
        "12a",
        "-5",
        -5,
        "9" * 20,
        10**19,
        10**5000,
        "\u0661\u0662",
        f"{A} {B}",
    ]
    for value in (*not_lists, *([item] for item in not_ids), "[2e18]", "12345,abc"):
        with pytest.raises(InvalidQueryError, match=r"^tweets: ") as error:
            parse_tweet_ids(value)

        assert error.value.remedy


def test_the_error_shows_the_first_invalid_id() -> None:
    with pytest.raises(InvalidQueryError, match="'12a' is not a Tweet id"):
        parse_tweet_ids([A, "12a", "34b"])


def test_the_error_of_a_float_says_to_pass_strings() -> None:
    with pytest.raises(InvalidQueryError, match="Pass ids as strings"):
        parse_tweet_ids([2000000000000000001.0])


def test_an_error_is_short_however_long_the_value_is() -> None:
    with pytest.raises(InvalidQueryError) as error:
        parse_tweet_ids("x" * 100_000)

    assert len(str(error.value)) < 300


@given(st.lists(st.integers(20, int(B)), min_size=1))
def test_ids_keep_their_order_and_lose_their_duplicates(numbers: list[int]) -> None:
    expected = tuple(map(str, dict.fromkeys(numbers)))

    assert parse_tweet_ids(numbers) == expected
    assert parse_tweet_ids([f" {number} " for number in numbers]) == expected
    assert parse_tweet_ids(json.dumps(numbers)) == expected
    assert parse_tweet_ids(" ".join(map(str, numbers))) == expected


def test_an_empty_list_has_no_ids() -> None:
    for value in ([], "", " ", "[]", "()"):
        assert parse_tweet_ids(value) == ()


@pytest.mark.parametrize(
    "value",
    [
        [(A, "7"), B],
        [[A, 7], [B]],
        [{"tweet_id": A, "owner": "7"}, {"id": B}],
        f'[["{A}", "7"], ["{B}", null]]',
        [A, (A, " 7 "), (A, ""), B],
    ],
)
def test_an_item_names_the_owner_of_a_tweet(value: object) -> None:
    assert parse_tweets(value) == {A: "7", B: None}


@pytest.mark.parametrize(
    "owner", [7.0, True, ["7"], "7\n8", "x" * 101, 10**30, "a b", "a/b", "..", ".a", "\u00e9", "nan", "7.0", -7]
)
def test_a_value_that_is_not_an_owner_is_an_error(owner: object) -> None:
    with pytest.raises(InvalidQueryError, match=r"^owner: "):
        parse_tweets([(A, owner)])
