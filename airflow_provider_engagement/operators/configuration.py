"""What an administrator sets once for all DAGs, in the section ``[engagement]`` of Airflow's configuration.

The configuration is read when a task is constructed or executed, never when a module is imported.
"""

from __future__ import annotations

from airflow_provider_engagement.hooks.failures import airflow_failures

SECTION = "engagement"
BOUNDS = ("max_owners", "max_requests", "max_tweets")


def configured(option: str) -> str | None:
    """Return the value of an option, or ``None`` if it is not set or empty.

    :param option: the name of the option.
    :raises airflow.sdk.exceptions.AirflowFailException: if the value is not valid. The error names the option.
    """
    from airflow.sdk import conf

    value = conf.get(SECTION, option, fallback=None)
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        return None
    with airflow_failures():
        _check(option, text)
    return text


def _check(option: str, value: str) -> None:
    # The pool and the path are read when a DAG file is parsed, so nothing is imported for them.
    field = f"[{SECTION}] {option}"
    if option == "default_dataset_format":
        from airflow_provider_engagement.inputs.choices import parse_choice
        from airflow_provider_engagement.tables.dataset_format import DatasetFormat

        parse_choice(value, DatasetFormat, field=field)
    elif option in BOUNDS:
        from airflow_provider_engagement.inputs.numbers import parse_whole_number

        parse_whole_number(value, field=field, minimum=0)
