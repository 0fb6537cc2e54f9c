"""Lists and mappings, given as values or as the text that a rendered template leaves."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError

_LONGEST_QUOTE = 60
_MOST_NAMES = 10

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 2 * _LONGEST_QUOTE


def parse_list(value: object, *, field: str) -> list[object]:
    """Parse a list.

    :param value: a list or another iterable, or one string: values separated by commas, spaces or line breaks, or the
        JSON or Python text of a list. A whole number is a list of one.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is none of these.
    """
    if isinstance(value, str):
        text = value.strip()
        if text[:1] not in ("[", "(", "{"):
            return [item for item in re.split(r"[\s,;]+", text) if item]
        value = parse_literal(text, field=field)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [item for item in value if item]
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]  # a template that is rendered as a native object leaves one number so
    try:
        if not isinstance(value, (Mapping, bytes, bytearray, memoryview)):  # the items of bytes are numbers
            return list(map(plain_value, value))  # type: ignore[call-overload]
    except TypeError:
        pass  # Some types that cannot be iterated only say so when it is tried.
    raise InvalidQueryError(field, f"{quoted(value)} is not a list", "Pass a list, or a string of values.")


def plain_value(value: Any) -> Any:
    """Return the Python object that a scalar of Arrow or numpy holds, or an array without dimensions."""
    if isinstance(value, (str, int)):
        return value
    if hasattr(value, "as_py"):
        return value.as_py()
    return value.item() if getattr(value, "ndim", None) == 0 else value


def parse_literal(text: str, *, field: str) -> Any:
    """Parse the JSON or Python text of a value.

    :param text: the text.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the text is neither.
    """
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    raise InvalidQueryError(
        field, f"{quoted(text)} is neither JSON nor a Python literal", "Pass a list or a mapping, or its JSON text."
    )


def quoted(value: object) -> str:
    """Return a value as an error message shows it: quoted, and shortened to 60 characters."""
    if isinstance(value, str):
        text = repr(str(value[: 2 * _LONGEST_QUOTE]))
    else:
        try:
            text = " ".join(_SHORT.repr(value).split())  # that of a table has several lines
        except ValueError:  # Python does not convert integers of thousands of digits to text.
            text = f"a long {type(value).__name__}"
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."


def quoted_names(names: Sequence[object]) -> str:
    """Return names as an error message lists them: quoted, and the first ten of them."""
    listed = ", ".join(map(quoted, names[:_MOST_NAMES])) or "none"
    return f"{listed} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else listed
