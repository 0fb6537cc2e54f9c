"""Counts in the API's own nesting, merged over requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nestings of the same groupings as one, their counts added up where both have them.

    A null is a count that is not known, so that a sum with it is not known either.
    """
    result = dict(first)
    for key, value in second.items():
        if key not in result:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(result[key], Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = None if value is None or result[key] is None else result[key] + value
    return result
