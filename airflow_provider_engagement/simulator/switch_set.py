"""What all sets of switches have in common: each switch has a few values, of which the first is the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints


class SwitchSet:
    """A frozen dataclass whose fields are switches: literals or booleans."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Check the values.

        :raises ValueError: a switch does not have such a value.
        """
        for name, allowed in self.choices().items():
            value = getattr(self, name)
            # Compare the types as well, because 1 == True.
            if not any(value == choice and type(value) is type(choice) for choice in allowed):
                raise ValueError(f"{name}: {value!r} is unknown. Choose one of {', '.join(map(str, allowed))}.")

    @classmethod
    def choices(cls) -> dict[str, tuple[Any, ...]]:
        """Return the possible values of every switch, the default first."""
        hints = get_type_hints(cls)
        # Only subclasses have fields, because only they are dataclasses.
        switches = fields(cls)  # type: ignore[arg-type]
        allowed = {
            field.name: get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else (True, False)
            for field in switches
        }
        defaults = {field.name: field.default for field in switches}
        return {
            name: (defaults[name], *(value for value in values if value != defaults[name]))
            for name, values in allowed.items()
        }

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with other values.

        :param changes: new values, by name of the switch.
        :raises ValueError: there is no such switch, or it does not have such a value.
        """
        unknown = sorted(set(changes) - set(self.choices()))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such switch. Choose from {', '.join(self.choices())}.")
        return replace(self, **changes)  # type: ignore[type-var]
