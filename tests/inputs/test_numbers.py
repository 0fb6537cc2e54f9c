"""Numbers with bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_read_from_a_number_or_its_text(number: int) -> None:
    for value in (number, float(number), str(number), f" {number} "):
        parsed = parse_whole_number(value, field="days", minimum=number)
        assert (parsed, type(parsed)) == (number, int)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_is_read_from_a_number_or_its_text(number: float) -> None:
    assert parse_number(number, field="hours") == parse_number(repr(number), field="hours") == number


def test_a_value_that_is_not_a_finite_number_is_an_error() -> None:
    for value in (None, True, "", "ten", "1,5", [1], b"1", float("nan"), float("inf"), "inf", "nan", 10**400):
        with pytest.raises(InvalidQueryError, match=r"^hours: "):
            parse_number(value, field="hours")
        with pytest.raises(InvalidQueryError, match=r"^hours: "):
            parse_whole_number(value, field="hours", minimum=0)


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        ("ten", {}, "days: 'ten' is not valid. Pass a number."),
        (0, {"above": 0}, "days: 0 is not valid. Pass a number above 0."),
        (
            "2",
            {"above": 0, "maximum": 1},
            "days: '2' is not valid. Pass a number above 0 and of at most 1.",
        ),
    ],
)
def test_the_error_states_the_bounds(value: object, bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidQueryError) as error:
        parse_number(value, field="days", **bounds)

    assert str(error.value) == message


@pytest.mark.parametrize("value", [0, 1.5])
def test_the_error_of_a_whole_number_states_the_smallest_one(value: float) -> None:
    with pytest.raises(InvalidQueryError) as error:
        parse_whole_number(value, field="days", minimum=1)

    assert str(error.value) == f"days: {value} is not valid. Pass a whole number of at least 1."


def test_the_bounds_themselves_are_allowed_except_an_open_one() -> None:
    assert parse_number(1, field="share", above=0, maximum=1) == 1
    assert parse_number(0, field="hours", minimum=0) == 0
