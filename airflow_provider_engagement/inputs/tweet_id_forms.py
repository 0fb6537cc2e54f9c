"""One Tweet id, in the forms in which people and programs write it.

A form is read if it holds an exact id beyond doubt: digits, the address of a Tweet, and the ways in which spreadsheets
and APIs mark digits as text. Everything else is an error that says what the value looks like.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from numbers import Integral, Real

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.tweet_id import FIRST_TWEET_ID, MAX_DIGITS, why_no_tweet

_ADDRESS = re.compile(
    r"""(?:(?:https?:)?//)?
        (?:(?:www|mobile|m)\.)?(?:twitter|x)\.com
        /(?:\#!/)?
        (?:[A-Za-z0-9_]{1,20}/status(?:es)?|i/web/status|statuses)
        /([0-9]{1,20})
        (?:/[a-z_]+(?:/[0-9]{1,2})?)?  # such as /photo/1 and /analytics
        /?(?:[?\#]\S*)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)

_MARKED_AS_TEXT = (
    re.compile(r'="([^"]*)"'),  # the formula of Excel
    re.compile(r'"([^"]*)"'),
    re.compile(r"'([^']*)'?"),  # the apostrophe of Excel, or quotes
    re.compile(r"tag:search\.twitter\.com,[0-9]{4}:([0-9]+)", re.ASCII),  # Activity Streams of Gnip
)

_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+", re.ASCII)
_FRACTION = re.compile(r"[+-]?[0-9]+[.,][0-9]{1,14}", re.ASCII)  # more digits are another id
_GROUPS = re.compile(r"[0-9]{1,3}(?:([.,' \u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})+")
_MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a"})

_REMEDY = "Pass ids as strings."
_EXACT = "Write the ids as text where they come from, before a program has rounded them"


def parse_tweet_id(value: object, *, field: str, newest: int) -> str:
    """Parse one Tweet id, and return it as decimal digits.

    :param value: a string or a whole number.
    :param field: the parameter that an error names.
    :param newest: the largest id that a Tweet can have, from
        :func:`~airflow_provider_engagement.tweet_id.newest_id_at`.
    :raises InvalidQueryError: if the value does not hold exactly one id, or if no Tweet can have it.
    """
    text = str(value) if isinstance(value, str) else _text_of_number(value, field)
    if not (text.isascii() and text.isdigit()):
        text = _digits_of(text, field)
    if len(text) > MAX_DIGITS or (text[0] == "0" and text != "0"):
        problem = f"{quoted(text)} is not a Tweet id"
        remedy = f"An id has 1 to {MAX_DIGITS} digits, and no zero at its start."
        raise InvalidQueryError(field, problem, remedy)
    reason = why_no_tweet(int(text), newest=newest)
    if reason is not None:
        raise InvalidQueryError(field, f"{text} is not a Tweet id: it {reason}", "Check where the ids come from.")
    return text


def is_plain(text: str, *, newest: int) -> bool:
    """Return whether a text is an id that :func:`parse_tweet_id` returns as it is.

    :param text: the text.
    :param newest: the largest id that a Tweet can have.
    """
    return (
        text.isdigit()
        and text.isascii()
        and len(text) <= MAX_DIGITS
        and text[0] != "0"
        and FIRST_TWEET_ID <= int(text) <= newest
    )


def holds_long_number(text: str) -> bool:
    """Return whether a text holds at least 15 digits in a row, as an id does and the name of a column does not."""
    return re.search(r"[0-9]{15}", text, re.ASCII) is not None


def digits_in(text: str) -> str:
    """Return the digits of an id that a text holds in any form, or an empty text."""
    try:
        return _digits_of(text, "")
    except InvalidQueryError:
        return ""


def stripped(text: str) -> str:
    """Return a text without white space and invisible format characters, such as U+202A, at its ends."""
    if text.isascii():
        return text.strip()
    start, end = 0, len(text)
    while start < end and _is_invisible(text[start]):
        start += 1
    while start < end and _is_invisible(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def _text_of_number(value: object, field: str) -> str:
    if value is None:
        raise InvalidQueryError(field, "there is no id", "Fill it in or remove it.")
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        raise InvalidQueryError(field, f"{quoted(value)} is not a Tweet id", _REMEDY)
    number = _whole_number(value)
    if number is None:
        raise InvalidQueryError(field, f"{quoted(value)} is a float and cannot hold a Tweet id exactly", _REMEDY)
    # Python does not convert integers of thousands of digits to text.
    return str(number) if abs(number) < 10**MAX_DIGITS else "a longer number"


def _whole_number(value: Real | Decimal) -> int | None:
    """Return a number of a type that holds integers exactly, such as those of numpy and the decimals of databases."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        # A decimal such as 1.07E+18 leaves out digits at its end.
        return int(value) if int(value.as_tuple().exponent) <= 0 else None
    return None


def _digits_of(text: str, field: str) -> str:
    """Return the digits that a text holds in one of the known forms."""
    inner = stripped(text)
    for form in _MARKED_AS_TEXT:
        match = form.fullmatch(inner)
        if match:
            inner = stripped(match[1])
            break
    if inner.isascii() and inner.isdigit():
        return inner
    address = _ADDRESS.fullmatch(inner)
    if address:
        return address[1]
    raise InvalidQueryError(field, *_what_it_looks_like(text, inner))


def _what_it_looks_like(text: str, inner: str) -> tuple[str, str]:
    """Return what is wrong with a text, and what to do."""
    shown = quoted(text)
    if inner.lower() in _MISSING:
        return f"{shown} stands for no id", "Fill it in or remove it."
    if _EXPONENT.fullmatch(inner):
        return (
            f"{shown} is a float: a spreadsheet or another program has rounded the id",
            f"{_EXACT}: in a spreadsheet, give the column the type text.",
        )
    if _GROUPS.fullmatch(inner):
        return f"{shown} is a number with separators, not a Tweet id", _REMEDY
    if _FRACTION.fullmatch(inner):
        return (
            f"{shown} is a float: a program such as pandas writes ids so if some are missing, and rounds them",
            f"{_EXACT}: in pandas, read the column as text.",
        )
    if "://" in inner or "/" in inner:
        return (
            f"{shown} is not the address of a Tweet",
            "Pass an id, or an address such as https://x.com/i/web/status/20.",
        )
    return f"{shown} is not a Tweet id", f"An id has 1 to {MAX_DIGITS} digits."
