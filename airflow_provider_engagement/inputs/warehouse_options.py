"""Where a dataset is loaded to, as a DAG author writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_engagement.exceptions import InvalidQueryError
from airflow_provider_engagement.inputs.choices import parse_name
from airflow_provider_engagement.inputs.lists import parse_list, quoted
from airflow_provider_engagement.inputs.times import parse_time_zone

_SCHEMA = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_SYSTEM_SCHEMA = re.compile(r"information_schema|pg_.*", re.IGNORECASE)
_SCHEMA_RULE = "Use a letter, followed by up to 39 letters, digits and underscores."
_NOT_FILES = (":memory:", "md:", "motherduck:")


def parse_schema(value: object) -> str:
    """Parse the name of the schema that receives the tables.

    :param value: the name. PostgreSQL allows 63 characters, and the schema for staged rows has a suffix.
    :raises InvalidQueryError: if it is not a plain name, or one that databases reserve for themselves.
    """
    text = str(value).strip()
    if not _SCHEMA.fullmatch(text):
        raise InvalidQueryError("schema", f"{quoted(value)} is not a plain name", _SCHEMA_RULE)
    if _SYSTEM_SCHEMA.fullmatch(text):
        raise InvalidQueryError("schema", f"{quoted(value)} belongs to the database itself", "Use another name.")
    return text


def parse_full_refresh(value: object) -> bool:
    """Parse whether to load everything again.

    :param value: a truth value or its name, as a rendered template leaves it. Nothing, and ``None``, mean no.
    :raises InvalidQueryError: if it is something else.
    """
    known = {"true": True, "false": False, "none": False, "": False}
    text = str(value).strip().lower()
    if text not in known:
        raise InvalidQueryError("full_refresh", f"{quoted(value)} is not a truth value", "Set it to True or False.")
    return known[text]


def parse_names(value: object, known: Iterable[str], *, field: str) -> list[str]:
    """Parse a list of known names, each once.

    :param value: a list, or a string of names.
    :param known: the names to choose from.
    :param field: the parameter that an error names.
    :raises InvalidQueryError: if one is unknown.
    """
    names = list(known)
    return list(dict.fromkeys(parse_name(item, names, field=field) for item in parse_list(value, field=field)))


def parse_view_zone(value: object) -> str | None:
    """Parse the time zone of the dates in views.

    :param value: the IANA name; ``None`` or an empty text for none.
    :raises InvalidQueryError: if there is no such zone, or if its days do not begin on a whole UTC hour. The API counts
        in UTC hours, which cannot be summed to such days.
    """
    if value is None or not str(value).strip():
        return None
    zone = parse_time_zone(str(value).strip())
    for month in (1, 7):
        offset = zone.utcoffset(datetime(datetime.now().year, month, 1))
        if offset is not None and offset % timedelta(hours=1):
            raise InvalidQueryError(
                "time_zone", f"the days in {zone.key} do not begin on a whole UTC hour", "Use another time zone."
            )
    return zone.key


def parse_database(value: object, *, schema: str) -> str:
    """Parse the path of a DuckDB file, and return it as an absolute path.

    :param value: the path. Its folder exists.
    :param schema: the schema in the database.
    :raises InvalidQueryError: if it is not the path of a file, or if the schema has the name of the file. DuckDB names
        a database after its file, and could not tell them apart.
    """
    text = str(value).strip()
    if not text or text.startswith(_NOT_FILES) or "://" in text or "\0" in text:
        raise InvalidQueryError(
            "database",
            f"{quoted(value)} is not the path of a file",
            "Set it to a local path such as /data/mart.duckdb.",
        )
    path = Path(text).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        problem = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise InvalidQueryError("database", f"{quoted(value)} {problem}", "Set it to a file in an existing folder.")
    if path.stem.lower() == schema.lower():
        raise InvalidQueryError(
            "schema", f"DuckDB cannot tell the schema {schema} from the database {path.name}", "Use another schema."
        )
    return str(path)
