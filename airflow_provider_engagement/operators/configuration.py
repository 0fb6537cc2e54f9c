"""What an administrator sets once for all DAGs, in the section ``[engagement]`` of Airflow's configuration.

The configuration is read when a task is constructed or executed, never when a module is imported.
"""

from __future__ import annotations

from airflow.sdk import conf

SECTION = "engagement"


def configured(option: str) -> str | None:
    """Return the value of an option, or ``None`` if it is not set or empty.

    :param option: the name of the option.
    """
    value = conf.get(SECTION, option, fallback=None)
    return (value.strip() or None) if isinstance(value, str) else None
