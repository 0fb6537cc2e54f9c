"""Parses and checks the query of a request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from airflow_provider_engagement.simulator.x_api.problem_bodies import Problem

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?Z")
_FIRST_TIME: Final = datetime(2010, 11, 6, tzinfo=UTC)
"""The earliest time that a list can start with."""


class InvalidValue(Exception):
    """A value that a parameter does not accept. Its text is the message of the response."""


class Parameter(Protocol):
    """What values a parameter accepts."""

    def parse(self, name: str, text: str) -> Any:
        """Return the value of a text.

        :raises InvalidValue: the parameter does not accept it.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list between commas.

    :param pattern: what each item looks like.
    :param most: how many items there can be.
    """

    pattern: str
    most: int

    def parse(self, name: str, text: str) -> list[str]:
        """Return the items, each once."""
        items = text.split(",")
        if not 1 <= len(items) <= self.most:
            raise InvalidValue(
                f"The number of values in the `{name}` query parameter list [{len(items)}] is not between 1 and "
                f"{self.most}"
            )
        for item in items:
            _check_pattern(name, item, self.pattern)
        return list(dict.fromkeys(items))


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A list between commas of some of several words.

    :param words: the words.
    """

    words: Sequence[str]

    def parse(self, name: str, text: str) -> list[str]:
        """Return the chosen words."""
        for word in text.split(","):
            if word not in self.words:
                raise InvalidValue(
                    f"The `{name}` query parameter value [{word}] is not one of [{','.join(self.words)}]"
                )
        return text.split(",")


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeNumber:
    """A number.

    :param least: the smallest.
    :param most: the largest.
    """

    least: int
    most: int

    def parse(self, name: str, text: str) -> int:
        """Return the number."""
        _check_pattern(name, text, "[0-9]{1,9}")
        if not self.least <= int(text) <= self.most:
            raise InvalidValue(
                f"The `{name}` query parameter value [{text}] is not between {self.least} and {self.most}"
            )
        return int(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text.

    :param pattern: what it looks like.
    """

    pattern: str

    def parse(self, name: str, text: str) -> str:
        """Return the text."""
        _check_pattern(name, text, self.pattern)
        return text


class Time:
    """A time of X API v2, to the second or with milliseconds."""

    def parse(self, name: str, text: str) -> datetime:
        """Return the time."""
        if not _TIME.fullmatch(text):
            raise InvalidValue(f"The `{name}` query parameter value [{text}] is not a valid RFC 3339 date-time")
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidValue(
                f"The `{name}` query parameter value [{text}] is not a valid RFC 3339 date-time"
            ) from None
        if time < _FIRST_TIME:
            raise InvalidValue(f"Invalid '{name}':'{text}'. '{name}' must be on or after {_FIRST_TIME:%Y-%m-%dT%H:%MZ}")
        return time


def parse_query(
    query: Iterable[tuple[str, str]], parameters: Mapping[str, Parameter], *, required: str | None
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values of a query, and an error for each parameter that is wrong.

    :param query: the decoded parameters of the request.
    :param parameters: the parameters of the endpoint.
    :param required: the parameter that cannot be missing, if any.
    """
    texts: dict[str, list[str]] = {}
    for name, text in query:
        texts.setdefault(name, []).append(text)
    values: dict[str, Any] = {}
    errors: list[Problem] = []
    if required is not None and required not in texts:
        errors.append(_error(required, "", f"The `{required}` query parameter can not be empty"))
    for name, (text, *others) in texts.items():
        rule = parameters.get(name)
        try:
            if rule is None:
                raise InvalidValue(f"The query parameter [{name}] is not one of [{','.join(sorted(parameters))}]")
            if others:
                raise InvalidValue(f"The query parameter [{name}] is not allowed more than once")
            if not text:
                raise InvalidValue(f"The `{name}` query parameter can not be empty")
            values[name] = rule.parse(name, text)
        except InvalidValue as problem:
            errors.append(_error(name, text, str(problem)))
    return values, [*errors, *_contradictions(values, texts)]


def _contradictions(values: Mapping[str, Any], texts: Mapping[str, list[str]]) -> list[Problem]:
    errors = []
    start, end = values.get("start_time"), values.get("end_time")
    if start is not None and end is not None and start >= end:
        text = texts["start_time"][0]
        errors.append(
            _error("start_time", text, f"Invalid time range: 'start_time' ({text}) must be earlier than 'end_time'")
        )
    since, until = values.get("since_id"), values.get("until_id")
    if since is not None and until is not None and int(since) >= int(until):
        errors.append(_error("since_id", since, "Invalid id range: 'since_id' must be less than 'until_id'"))
    return errors


def _error(name: str, text: str, message: str) -> Problem:
    return {"parameters": {name: text.split(",")}, "message": message}


def _check_pattern(name: str, text: str, pattern: str) -> None:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise InvalidValue(f"The `{name}` query parameter value [{text}] does not match [^{pattern}$]")
