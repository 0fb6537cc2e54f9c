"""Names that a parameter chooses from: formats, granularities, outcomes, credentials."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from airflow_provider_engagement.engagement_api.response import Outcome
from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.lists import parse_list, quoted
from airflow_provider_engagement.tables.granularity import Granularity

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

ACCEPTED_BY_DEFAULT = (Outcome.UNAVAILABLE, Outcome.UNSUPPORTED_90D, Outcome.UNSUPPORTED_VIDEO)
"""Deleted Tweets, and metrics that the API does not have for old Tweets. They do not fail a task."""


def parse_choice(
    value: object, choices: Iterable[ChoiceT], *, field: str, problem: str = "{value} is not a valid choice"
) -> ChoiceT:
    """Parse the name of one of several choices.

    :param value: the name, in upper or lower case.
    :param choices: the members to choose from.
    :param field: the parameter that an error names.
    :param problem: what an error says is wrong, with ``{value}`` in place of the value.
    :raises InvalidQueryError: if the value names none of them.
    """
    known = list(choices)
    name = str(value).strip().lower()
    for choice in known:
        if choice.value == name:
            return choice
    raise InvalidQueryError(field, problem.replace("{value}", quoted(value)), f"Choose one of {', '.join(known)}.")


def parse_name(value: object, names: Iterable[str], *, field: str) -> str:
    """Parse one of several names, such as that of a table.

    :param value: the name, in upper or lower case.
    :param names: the names to choose from.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is none of them.
    """
    known = list(names)
    name = str(value).strip().lower()
    if name in known:
        return name
    raise InvalidQueryError(field, f"{quoted(value)} is not a valid choice", f"Choose one of {', '.join(known)}.")


def parse_flag(value: object, *, field: str) -> bool:
    """Parse a switch that is on or off.

    :param value: a Boolean, or its text as a rendered template leaves it.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is neither.
    """
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise InvalidQueryError(field, f"{quoted(value)} is not a valid choice", "Choose one of True, False.")
    return flag


def parse_text(value: object, *, field: str) -> str:
    """Parse a text. A whole number, as a template that is rendered as a native object leaves it, becomes text again.

    :param value: the text.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if the value is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    problem = f"{type(value).__name__} is not a text"
    raise InvalidQueryError(field, problem, "Pass a text, in quotes if a template renders it as a native object.")


def parse_accepted_outcomes(value: object) -> tuple[Outcome, ...]:
    """Parse the outcomes that do not fail a task.

    :param value: outcomes or their names; ``None`` for :data:`ACCEPTED_BY_DEFAULT`.
    :raises InvalidQueryError: if one is unknown.
    """
    if value is None:
        return ACCEPTED_BY_DEFAULT
    field = "accepted_outcomes"
    return tuple(parse_choice(item, Outcome, field=field) for item in parse_list(value, field=field))


def parse_granularity(value: object, supported: Iterable[str], *, endpoint: str) -> Granularity:
    """Parse a granularity.

    :param value: the name of the granularity.
    :param supported: the names of the granularities that the endpoint supports.
    :param endpoint: the endpoint.
    :raises InvalidQueryError: if the endpoint does not support it.
    """
    return parse_choice(
        value,
        [Granularity(name) for name in supported],
        field="granularity",
        problem=f"{str(endpoint)!r} does not support {{value}}",
    )
