"""What Airflow leaves of templated parameters: optional ones that nobody filled in, and numbers in place of texts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike
from typing import Any

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_text
from airflow_provider_engagement.inputs.rules import is_blank

_TEXTS = frozenset({"str", "Template"})
"""The annotations of parameters that are texts, beside ``None``."""


def unset_blank_parameters(operator: Any) -> None:
    """Give each templated parameter that is blank its default, so that it is as if the DAG did not set it.

    A parameter is blank if it is ``None``, or an empty text or ``None`` as text, as a field of Airflow's form leaves
    it. A text that is rendered as a native object, such as the id of a connection with digits only, becomes text again.

    :param operator: the operator, with rendered parameters.
    :raises InvalidQueryError: if a parameter without a default is blank, or if a text is a list, a mapping or a float.
    """
    parameters = _constructor_parameters(type(operator))
    for name in operator.template_fields:
        if name not in parameters:
            continue
        parameter, value = parameters[name], getattr(operator, name)
        if is_blank(value):
            if parameter.default is inspect.Parameter.empty:
                raise InvalidQueryError(name, "is not set", "Set it.")
            setattr(operator, name, parameter.default)
        elif _is_text(parameter.annotation) and not isinstance(value, str):
            setattr(operator, name, _as_text(name, value))


def parameter_values(operator: Any) -> dict[str, Any]:
    """Return the parameters of an operator by name, as it holds them now. Those of Airflow are left out.

    :param operator: the operator.
    """
    return {
        name: getattr(operator, name) for name in _constructor_parameters(type(operator)) if hasattr(operator, name)
    }


def _is_text(annotation: object) -> bool:
    return not {part.strip() for part in str(annotation).split("|")} - {"None"} - _TEXTS


def _as_text(name: str, value: Any) -> Any:
    return value if isinstance(value, PathLike) else parse_text(value, field=name)


def _constructor_parameters(operator_class: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of the constructors of a class and its bases, without those of Airflow's."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in reversed(operator_class.__mro__):
        constructor = base.__dict__.get("__init__")
        if constructor is not None and not base.__module__.startswith("airflow."):
            parameters |= inspect.signature(constructor).parameters
    return parameters
