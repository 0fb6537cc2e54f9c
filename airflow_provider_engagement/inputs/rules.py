"""What the parameters of an operator accept, by name: as a DAG file sets them, and after the templates are rendered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from os import PathLike
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import parse_literal, quoted

BLANKS = frozenset({"", "none", "null"})
"""What a template makes of a parameter of the run that is empty or ``None``."""

ITEMS_CHECKED = 1_000
"""How many items of a list are checked when a DAG file is parsed. The task checks all of them."""

Parse = Callable[[Any], Any]

_MARKS = ("{{", "{%", "{#")


class Rule(ABC):
    """What one parameter accepts."""

    @abstractmethod
    def parse(self, value: Any) -> Any:
        """Return the parsed value, after the templates are rendered.

        :raises InvalidQueryError: if the value is invalid.
        """

    @abstractmethod
    def check(self, value: Any) -> None:
        """Reject a value that can never be right, before the templates are rendered.

        :raises InvalidQueryError: with the text that ``parse`` would raise.
        """


@dataclass(frozen=True, slots=True)
class Value(Rule):
    """A parameter with one value.

    :param parse_value: returns the parsed value, or raises ``InvalidQueryError``.
    :param default: stands for ``None`` and blank texts.
    """

    parse_value: Parse
    default: Any = None

    def parse(self, value: Any) -> Any:
        """Return the parsed value, or the default."""
        return self.default if is_blank(value) else self.parse_value(value)

    def check(self, value: Any) -> None:
        """Parse the value, or the first items of a long list, if no template sets it."""
        first = first_items(value)
        if is_constant(first):
            self.parse(first)


@dataclass(frozen=True, slots=True)
class Group(Rule):
    """A parameter that holds other parameters.

    :param name: the parameter that holds them.
    :param entries: how each of them is parsed, by name.
    :param defaults: their values if they are not set.
    :param required: the names of those that must be set.
    """

    name: str
    entries: Mapping[str, Parse]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def parse(self, value: Any) -> dict[str, Any]:
        """Return the parsed values of all parameters of the group by name."""
        values = self._set_values(value)
        for name in self.required:
            if name not in values:
                raise InvalidQueryError(f"{self.name}.{name}", "is not set", "Set it.")
        return {**self.defaults, **{name: self.entries[name](given) for name, given in values.items()}}

    def check(self, value: Any) -> None:
        """Parse the parameters of the group that no template sets."""
        if isinstance(value, Mapping) or is_constant(value):
            for name, given in self._set_values(value).items():
                if is_constant(given):
                    self.entries[name](given)

    def _set_values(self, value: Any) -> dict[str, Any]:
        mapping = mapping_of(value, field=self.name)
        if mapping is None:
            problem = f"{quoted(value)} is not a group of parameters"
            raise InvalidQueryError(self.name, problem, f"Set some of {', '.join(self.entries)}.")
        for name in mapping:
            if name not in self.entries:
                close = get_close_matches(str(name), self.entries, n=1)
                remedy = f"Did you mean {close[0]}?" if close else f"Set some of {', '.join(self.entries)}."
                raise InvalidQueryError(self.name, f"{quoted(name)} is not a parameter", remedy)
        return {name: given for name, given in mapping.items() if not is_blank(given)}


@dataclass(frozen=True, slots=True)
class Alternatives(Rule):
    """A parameter that holds one of several groups.

    :param usual: the group, unless the value has one of ``keys``.
    :param keys: the names of parameters, each with the group that has it.
    """

    usual: Group
    keys: Mapping[str, Group]

    def parse(self, value: Any) -> dict[str, Any]:
        """Return the parsed values of the group by name."""
        return self.group_of(value).parse(value)

    def check(self, value: Any) -> None:
        """Parse the parameters of the group that no template sets."""
        if isinstance(value, Mapping) or is_constant(value):
            self.group_of(value).check(value)

    def group_of(self, value: Any) -> Group:
        """Return the group that a value is."""
        mapping = mapping_of(value, field=self.usual.name) or {}
        return next((group for name, group in self.keys.items() if name in mapping), self.usual)


def mapping_of(value: Any, *, field: str) -> Mapping[str, Any] | None:
    """Return a group as a mapping, or ``None`` if it is not one.

    :param value: the mapping, its JSON or Python text, or ``None`` or a blank text for an empty one.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if a text that begins like a mapping is neither JSON nor a Python literal.
    """
    if is_blank(value):
        return {}
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = parse_literal(value.strip(), field=field)
    return value if isinstance(value, Mapping) else None


def is_blank(value: object) -> bool:
    """Return whether a parameter is as if the DAG did not set it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in BLANKS)


def is_constant(value: object) -> bool:
    """Return whether a value is the same after the templates are rendered."""
    if isinstance(value, str):
        return not value.endswith(".sql") and not any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return all(map(is_constant, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_constant, islice(value, ITEMS_CHECKED)))
    # The XCom of another task has this method, in whichever module Airflow defines its class.
    return isinstance(value, PathLike) or not (callable(value) or hasattr(value, "resolve"))


def first_items(value: Any) -> Any:
    """Return the items of a list that are checked when a DAG file is parsed, or the value if it is no long list."""
    return value[:ITEMS_CHECKED] if isinstance(value, (list, tuple)) and len(value) > ITEMS_CHECKED else value


def check_constants(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> None:
    """Reject parameters that can never be right, when a DAG file is parsed.

    :param rules: what the parameters accept.
    :param values: the parameters, before the templates are rendered.
    :raises InvalidQueryError: with the first parameter that can never be right.
    """
    for name, rule in rules.items():
        value = values.get(name)
        if value is not None:
            rule.check(value)
