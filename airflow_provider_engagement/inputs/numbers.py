"""Numbers, with the bounds that a parameter sets."""

from __future__ import annotations

import math
from typing import Literal, overload

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted


@overload
def parse_number(
    value: object,
    *,
    field: str,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    whole: Literal[True],
) -> int: ...


@overload
def parse_number(
    value: object,
    *,
    field: str,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    whole: Literal[False] = False,
) -> float: ...


def parse_number(
    value: object,
    *,
    field: str,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    whole: bool = False,
) -> float:
    """Parse a finite number.

    :param value: a number, or its text as a rendered template leaves it.
    :param field: the parameter that an error names.
    :param minimum: the smallest number allowed.
    :param above: a bound that the number must exceed.
    :param maximum: the largest number allowed.
    :param whole: whether the number must be whole.
    :raises InvalidQueryError: if the value is not such a number.
    """
    number = _number(value)
    allowed = (
        math.isfinite(number)
        and (not whole or number == int(number))
        and (minimum is None or number >= minimum)
        and (above is None or number > above)
        and (maximum is None or number <= maximum)
    )
    if not allowed:
        bounds = [
            f"{words} {bound:g}"
            for words, bound in (("of at least", minimum), ("above", above), ("of at most", maximum))
            if bound is not None
        ]
        expected = " ".join(["a whole number" if whole else "a number", " and ".join(bounds)]).strip()
        raise InvalidQueryError(field, f"{quoted(value)} is not valid", f"Pass {expected}.")
    return int(number) if whole else number


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
