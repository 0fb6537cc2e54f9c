"""Turns errors of dlt and of databases into errors that say what to do, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from airflow_provider_engagement.exceptions import (
    EngagementError,
    MissingExtraError,
    WarehouseAccessError,
    WarehouseError,
    WarehouseTableError,
)
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.warehouse.destinations import Target

_PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "deltalake": "airflow-provider-engagement[delta]",
        **dict.fromkeys(("dlt", "duckdb", "psycopg2", "sqlglot"), "airflow-provider-engagement[warehouse]"),
    }
)
"""What to install if a module is missing. The other modules belong to one kind of database."""

_NO_ACCESS = re.compile(
    r"read[- ]only|permission denied|must be owner|insufficient privilege|not authorized|access denied"
    r"|authentication failed|no password supplied"
    r"|does not exist: role|role \"[^\"]*\" does not exist|database \"[^\"]*\" does not exist"
    r"|invalid token|cannot open file|not a valid DuckDB database",
    re.IGNORECASE,
)
"""What databases say if the credentials or the rights do not suffice. A retry fails in the same way."""

_OTHER_SHAPE = re.compile(
    r"contract on `?data_type|DataValidationError|invalid input syntax|could not convert|conversion error"
    r"|is not a table|cannot change|type mismatch|is of type .* but expression|violates [a-z-]+ constraint"
    r"|value too long|out of range|invalid byte sequence|constraint (failed|violated)"
    r"|cannot (copy to|insert into|update) view|generated column",
    re.IGNORECASE,
)
"""What dlt and databases say if a table cannot hold the rows."""


@contextmanager
def named_errors(target: Target) -> Iterator[None]:
    """Raise an error of dlt or of a database as one of this package.

    :param target: the database.
    :raises MissingExtraError: if a package is not installed.
    :raises WarehouseAccessError: if the credentials or the rights do not suffice.
    :raises WarehouseTableError: if a table in the database cannot hold the rows.
    :raises WarehouseError: if anything else fails.
    """
    try:
        yield
    except EngagementError:
        raise
    except Exception as error:
        # The texts of dlt can contain settings. So the error of this package does not name it as its cause.
        raise _named(error, target) from None


def _named(error: Exception, target: Target) -> EngagementError:
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, EngagementError):
            return cause
    kinds = {kind.__name__ for cause in chain for kind in type(cause).__mro__}
    reported = str(chain[-1]) or type(chain[-1]).__name__
    message = presentable(reported, target.secrets)
    if kinds & {"ModuleNotFoundError", "MissingDependencyException"}:
        module = chain[-1].name if isinstance(chain[-1], ModuleNotFoundError) else None
        package = _PACKAGES.get(str(module), f"dlt[{target.warehouse}]")
        return MissingExtraError(f"Loading into {target.warehouse}", package, message)
    if _NO_ACCESS.search(reported):
        return WarehouseAccessError(target.name, message)
    if kinds & {"DataValidationError", "CannotCoerceColumnException"} or _OTHER_SHAPE.search(reported):
        return WarehouseTableError(target.name, message)
    if "ConfigFieldMissingException" in kinds or "ConfigurationValueError" in kinds:
        return WarehouseAccessError(target.name, presentable(" ".join(map(str, chain)), target.secrets))
    return WarehouseError(target.name, message)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, down to the first one."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
