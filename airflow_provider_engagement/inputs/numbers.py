"""Numbers, with the bounds that a parameter sets."""

from __future__ import annotations

import math

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted


def parse_number(
    value: object,
    *,
    field: str,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
) -> float:
    """Parse a finite number.

    :param value: a number, or its text as a rendered template leaves it.
    :param field: the parameter that an error names.
    :param minimum: the smallest number allowed.
    :param above: a bound that the number must exceed.
    :param maximum: the largest number allowed.
    :raises InvalidQueryError: if the value is not such a number.
    """
    number = _number(value)
    if (
        math.isfinite(number)
        and (minimum is None or number >= minimum)
        and (above is None or number > above)
        and (maximum is None or number <= maximum)
    ):
        return number
    bounds = " and ".join(
        f"{words} {bound:g}"
        for words, bound in (("of at least", minimum), ("above", above), ("of at most", maximum))
        if bound is not None
    )
    raise InvalidQueryError(field, f"{quoted(value)} is not valid", f"Pass {f'a number {bounds}'.strip()}.")


def parse_whole_number(value: object, *, field: str, minimum: int) -> int:
    """Parse a whole number.

    :param value: a number, or its text as a rendered template leaves it.
    :param field: the parameter that an error names.
    :param minimum: the smallest number allowed.
    :raises InvalidQueryError: if the value is not such a number.
    """
    number = _number(value)
    if number.is_integer() and number >= minimum:
        return int(number)
    raise InvalidQueryError(field, f"{quoted(value)} is not valid", f"Pass a whole number of at least {minimum}.")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
