"""Tweet ids and the creation time in them, with published examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.tweet_id import (
    are_rounded,
    created_at,
    first_id_at,
    is_tweet_id,
    newest_id_at,
    why_no_tweet,
)


@pytest.mark.parametrize(
    ("tweet_id", "created"),
    [
        ("850006245121695744", "2017-04-06T15:24:15.846Z"),
        ("1260294888811347969", "2020-05-12T19:44:51.296Z"),
        ("1070059276213702656", "2018-12-04T20:56:26.846Z"),
        ("697506383516729344", "2016-02-10T19:44:15.529Z"),
        ("2000000000000000001", "2025-12-14T00:28:52.860Z"),
        ("29700859247", "2010-11-04T01:43:01.738Z"),
    ],
)
def test_an_id_contains_the_creation_time(tweet_id: str, created: str) -> None:
    assert created_at(tweet_id) == datetime.fromisoformat(created)


@pytest.mark.parametrize(
    ("time", "tweet_id"),
    [
        ("2014-09-01T00:00Z", "506229949854646272"),
        ("2015-09-15T00:00Z", "643574950917046272"),
        ("2026-01-01T00:00Z", "2006515713438646272"),
    ],
)
def test_a_time_has_a_first_id(time: str, tweet_id: str) -> None:
    assert first_id_at(datetime.fromisoformat(time)) == tweet_id


@pytest.mark.parametrize("tweet_id", ["20", "0", "123456789", "29700859246"])
def test_ids_older_than_snowflakes_contain_no_time(tweet_id: str) -> None:
    assert created_at(tweet_id) is None


@given(st.datetimes(datetime(2010, 11, 5), datetime(2060, 1, 1), timezones=st.just(UTC)))
def test_the_first_id_of_a_time_contains_it_and_the_previous_id_does_not(time: datetime) -> None:
    millisecond = time.replace(microsecond=time.microsecond // 1000 * 1000)
    first = first_id_at(time)
    assert created_at(first) == millisecond
    assert created_at(str(int(first) - 1)) == millisecond - timedelta(milliseconds=1)


@given(st.integers(29700859247, 2**63 - 1), st.integers(29700859247, 2**63 - 1))
def test_later_ids_contain_later_times(one: int, other: int) -> None:
    earlier, later = (created_at(str(number)) for number in sorted((one, other)))
    assert earlier is not None
    assert later is not None
    assert earlier <= later


def test_the_creation_time_is_in_utc() -> None:
    created = created_at("2000000000000000001")
    assert created is not None
    assert created.tzinfo is UTC


def test_an_id_has_one_to_nineteen_digits() -> None:
    assert all(map(is_tweet_id, ["0", "20", "2000000000000000001", "9" * 19]))


def test_other_strings_are_not_ids() -> None:
    signs = ["-1", "+1", "1.0", "1e5", "0x1", "1_0", "12a"]
    spaces = ["", " 1", "1\n"]
    other_digits = ["\u0661\u0662", "\uff11\uff12", "\u00b2"]
    assert not any(map(is_tweet_id, ["9" * 20, *signs, *spaces, *other_digits]))


def test_an_id_is_that_of_a_tweet_from_the_oldest_one_to_now() -> None:
    now = datetime(2026, 1, 12, tzinfo=UTC)
    newest = newest_id_at(now)
    for number in (20, 29700859247, int(first_id_at(now)), newest):
        assert why_no_tweet(number, newest=newest) is None
    for number in (-1, 0, 19, newest + 1, int(first_id_at(now + timedelta(days=1))), 2**63 - 1, 2**63):
        assert why_no_tweet(number, newest=newest) is not None


def test_no_time_makes_an_id_larger_than_64_bits() -> None:
    assert newest_id_at(datetime(9999, 1, 1, tzinfo=UTC)) == 2**63 - 1


@given(st.lists(st.integers(10**18, 2 * 10**18), min_size=2))
def test_ids_with_15_or_17_digits_are_rounded(numbers: list[int]) -> None:
    for kept in (15, 17):
        assert are_rounded([f"{str(number)[:kept]}{'0' * (19 - kept)}" for number in numbers])


@pytest.mark.parametrize(
    "tweet_ids",
    [
        [],
        ["20"],
        ["1070059276213702600"],
        ["1070059276213702656", "1385449730818285569"],
        ["1070059276213702600", "1385449730818285569"],
        ["100", "1200"],
    ],
)
def test_other_ids_are_not_rounded(tweet_ids: list[str]) -> None:
    assert not are_rounded(tweet_ids)
