"""Find an Airflow connection, or say what is wrong with it, and let Airflow mask its secrets in logs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_provider_engagement.exceptions import InvalidConnectionError, UnknownConnectionError

if TYPE_CHECKING:
    from airflow.sdk import Connection

LONGEST_ID = 250
"""How many characters Airflow allows in the id of a connection."""

_UNSAFE = re.compile(r"[^\x21-\x7e]|[?#%\\]|(^|/)\.{0,2}(/|$)")
"""What an id must not contain, because a worker asks Airflow's API server for ``…/connections/ID``."""


def find_connection(conn_id: str, *, field: str, conn_types: Collection[str] = ()) -> Connection:
    """Return a connection.

    :param conn_id: its id.
    :param field: the parameter that holds the id, for errors.
    :param conn_types: the types that the connection can have; any if empty.
    :raises UnknownConnectionError: if there is no such connection.
    :raises InvalidConnectionError: if it cannot be read, or has another type.
    """
    if not isinstance(conn_id, str) or len(conn_id) > LONGEST_ID or _UNSAFE.search(conn_id):
        raise InvalidConnectionError(
            f"Connection {str(conn_id)[:LONGEST_ID]!r}: this is not the id of a connection. Correct {field}."
        )
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise UnknownConnectionError(
            f"Connection {conn_id} does not exist, or cannot be parsed. Create it, or correct {field}. In an "
            "environment variable, it is JSON or a URI."
        ) from None
    except PermissionError:
        raise InvalidConnectionError(
            f"Connection {conn_id}: Airflow does not let this task read it. Grant the right, or correct {field}."
        ) from None
    except (AirflowException, TypeError, ValueError):
        # The text of the error is left out, because it can quote the connection.
        raise InvalidConnectionError(
            f"Connection {conn_id}: Airflow cannot parse it. Check its JSON or its URI, and percent-encode each value "
            "of a URI."
        ) from None
    if conn_types and connection.conn_type not in conn_types:
        raise InvalidConnectionError(
            f"Connection {conn_id}: its type is {connection.conn_type or 'not set'}, but {field} needs the type "
            f"{' or '.join(conn_types)}. Use another connection, or change its type."
        )
    return connection


def extra_of(connection: Connection) -> dict[str, Any]:
    """Return the fields of a connection's extra.

    :param connection: a connection.
    :raises InvalidConnectionError: if the extra is not a JSON object. The error does not contain it.
    """
    text = connection.extra
    if not text or not text.strip():
        return {}
    try:
        found = json.loads(text, object_pairs_hook=without_repeated_keys)
    except RepeatedKeyError:
        raise InvalidConnectionError(
            f"Connection {connection.conn_id}: in extra, a field or an owner occurs more than once. Only one of them "
            "would count. Remove the others."
        ) from None
    except (ValueError, RecursionError):
        found = _NotJson
    if isinstance(found, dict):
        # This also registers the fields with sensitive names with Airflow's masker.
        return connection.extra_dejson
    kind = "a JSON text that was encoded twice" if _is_encoded_twice(found) else "not a JSON object"
    raise InvalidConnectionError(f'Connection {connection.conn_id}: extra is {kind}. Write {{"field": "value"}}.')


class RepeatedKeyError(ValueError):
    """An object of JSON has a key twice. The error does not name it, because it can be a secret in the wrong place."""


def without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON from its keys and values, as ``object_pairs_hook`` of ``json``.

    :param pairs: the keys and values.
    :raises RepeatedKeyError: if a key occurs twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedKeyError
    return found


def mask(secrets: Iterable[str]) -> None:
    """Let Airflow mask secrets in logs, also as a URL contains them."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    if forms:
        mask_secret([*sorted(forms)])


class _NotJson:
    """What is found in a text that is not JSON."""


def _is_encoded_twice(found: object) -> bool:
    try:
        return isinstance(found, str) and isinstance(json.loads(found), dict)
    except (ValueError, RecursionError):
        return False
