"""The arguments of the control plane: which each action takes, and how it says that one is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_engagement.simulator.simulated_api import SimulatedApi


class ControlError(Exception):
    """An invalid request to the control plane."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class ControlAction:
    """What a method and a path of the control plane do.

    :param run: does it, given the arguments.
    :param optional: the arguments that it can have.
    :param required: the arguments that it must have.
    :param takes_list: whether the body can be a list of objects with these arguments.
    """

    run: Callable[[SimulatedApi, Any], Any]
    optional: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    takes_list: bool = False

    def check(self, query: Mapping[str, str], body: Any) -> Any:
        """Return the arguments of a request.

        :param query: the arguments in the URL.
        :param body: the decoded body.
        :raises ControlError: if an argument is unknown, given twice or missing.
        """
        if self.takes_list and isinstance(body, list):
            # Every object is checked before the first one has an effect.
            return [self.check(query, one) for one in body]
        checked = checked_arguments("The body", body, self.optional | self.required)
        if twice := sorted(checked.keys() & query.keys()):
            raise ControlError(400, f"{', '.join(twice)}: given in the URL and in the body. Give it once.")
        arguments = {**checked_arguments("The URL", query, self.optional | self.required), **checked}
        if missing := sorted(self.required - arguments.keys()):
            raise ControlError(400, f"{', '.join(missing)} is missing.")
        return arguments


def checked_arguments(subject: str, found: Any, known: frozenset[str]) -> Mapping[str, Any]:
    """Return an object, if it has no other keys than the known ones."""
    if not isinstance(found, Mapping):
        raise ControlError(400, f"{subject}: not an object.")
    if unknown := sorted(set(found) - known):
        choice = f"Choose from {', '.join(sorted(known))}." if known else "It takes none."
        raise ControlError(400, f"{subject} has no {', '.join(unknown)[:200]}. {choice}")
    return found
