"""Decodes JSON as the API's framework does: strictly, and only up to a certain depth."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 100
"""How deeply values can be nested. The depth is invented; the values of a valid request have four levels."""


def decode(text: bytes | str) -> Any:
    """Return the decoded JSON.

    :raises ValueError: the text is not JSON, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_reject)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level if isinstance(node, (dict, list)) for child in _children(node)]
        if not level:
            return value
    raise ValueError("The JSON is nested too deeply.")


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _reject(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")
