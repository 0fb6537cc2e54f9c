"""What a connection of type ``engagement`` holds, parsed and checked.

Some programs show the variables of a failed function. So the functions that raise to a caller have none with a secret:
they catch the error of the function that has, and raise it again without its traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.connections.accounts import ACCOUNTS, parse_accounts
from airflow_provider_engagement.connections.airflow_connections import extra_of, find_connection, mask
from airflow_provider_engagement.engagement_api.catalogue import DEFAULT_BASE_URL, DEFAULT_TOKEN_URL
from airflow_provider_engagement.exceptions import InvalidConnectionError, InvalidQueryError, UnknownConnectionError
from airflow_provider_engagement.http.address import LONGEST_TIMEOUT, Address
from airflow_provider_engagement.http.credentials import Credentials
from airflow_provider_engagement.http.redaction import check_secret
from airflow_provider_engagement.inputs.numbers import parse_number, parse_whole_number
from airflow_provider_engagement.x_api.catalogue import DEFAULT_X_BASE_URL

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger(__name__)

CONN_TYPE = "engagement"
SECRETS = ("api_key", "api_key_secret", "access_token", "access_token_secret", "bearer_token")
SETTINGS = (
    ACCOUNTS,
    "token_url",
    "x_base_url",
    "requests_per_minute",
    "quota_share",
    "connect_timeout",
    "read_timeout",
    "max_response_megabytes",
)
OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {"consumer_key": "api_key", "consumer_secret": "api_key_secret", "accounts": ACCOUNTS}
)
"""Other names of fields, which are refused: Airflow masks a secret by the name of its field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionSettings:
    """What a connection holds.

    :param credentials: the secrets of the app and of one user.
    :param accounts: the tokens of further owners, by owner.
    :param address: where the Engagement API is.
    :param x_address: where X API v2 is.
    :param requests_per_minute: the connection's own limit, if it sets one.
    :param quota_share: the share of the quota to use.
    """

    credentials: Credentials
    accounts: Mapping[str, Mapping[str, str]] = field(repr=False)
    address: Address
    x_address: Address
    requests_per_minute: int | None
    quota_share: float


def read_settings(conn_id: str) -> ConnectionSettings:
    """Return what a connection holds, and let Airflow mask its secrets in logs.

    :param conn_id: the id of the connection.
    :raises InvalidConnectionError: if there is no such connection, or a field of it is missing or invalid.
    """
    try:
        return _parse_settings(find_connection(conn_id, field="engagement_conn_id", conn_types=(CONN_TYPE,)))
    except (InvalidConnectionError, InvalidQueryError) as error:
        raise _about(conn_id, error) from None


def read_owner_secrets(conn_id: str) -> dict[str, str] | None:
    """Return the secrets of an owner's own connection, or ``None`` if there is no such connection.

    :param conn_id: the id of the connection.
    :raises InvalidConnectionError: if the connection has another type, or an invalid field.
    """
    try:
        return _secrets_of(extra_of(find_connection(conn_id, field="owner_conn_id", conn_types=(CONN_TYPE,))))
    except UnknownConnectionError:
        return None
    except InvalidConnectionError as error:
        raise _about(conn_id, error) from None


def _about(conn_id: str, error: InvalidConnectionError | InvalidQueryError) -> InvalidConnectionError:
    if isinstance(error, InvalidConnectionError) and str(error).startswith("Connection "):
        return error.with_traceback(None)
    return InvalidConnectionError(f"Connection {conn_id}: {error}")


def _secrets_of(extra: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets among the extras of a connection, which Airflow then masks in logs."""
    found = {name: extra[name] for name in SECRETS if extra.get(name) not in (None, "")}
    secrets = {name: value.strip() if isinstance(value, str) else value for name, value in found.items()}
    mask(secret for secret in secrets.values() if isinstance(secret, str))
    for old, new in OLD_NAMES.items():
        if extra.get(old) not in (None, ""):
            raise InvalidConnectionError(
                f"{old} is called {new}. Airflow masks a secret by the name of its field. Rename the field."
            )
    for name, secret in secrets.items():
        check_secret(name, secret)
    return {name: secret for name, secret in secrets.items() if secret}


def _parse_settings(connection: Connection) -> ConnectionSettings:
    extra = extra_of(connection)
    unknown = sorted(set(extra).difference(SECRETS, SETTINGS, OLD_NAMES))
    if unknown:
        log.debug("Connection %s: ignoring unknown extras: %s.", connection.conn_id, ", ".join(unknown))
    secrets = _secrets_of(extra)
    given = {name: extra[name] for name in SETTINGS if extra.get(name) not in (None, "")}
    accounts = parse_accounts(given.get(ACCOUNTS))
    mask(secret for account in accounts.values() for secret in account.values())
    return ConnectionSettings(
        credentials=Credentials(**secrets),
        accounts=accounts,
        address=_parse_address(_base_url(connection.host, connection.port), given),
        x_address=_parse_address(_with_scheme(str(given.get("x_base_url", DEFAULT_X_BASE_URL)).strip()), given),
        requests_per_minute=(
            parse_whole_number(given["requests_per_minute"], field="requests_per_minute", minimum=1)
            if "requests_per_minute" in given
            else None
        ),
        quota_share=parse_number(given.get("quota_share", 1.0), field="quota_share", above=0, maximum=1),
    )


def _base_url(host: str | None, port: int | None) -> str:
    url = _with_scheme((host or "").strip() or DEFAULT_BASE_URL)
    # Airflow's form sends port 0 for an empty field.
    return f"{url}:{port}" if port else url


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"https://{url}"


def _parse_address(base_url: str, given: Mapping[str, Any]) -> Address:
    limits: dict[str, Any] = {
        name: parse_number(given[name], field=name, above=0, maximum=LONGEST_TIMEOUT)
        for name in ("connect_timeout", "read_timeout")
        if name in given
    }
    if "max_response_megabytes" in given:
        limits["max_response_megabytes"] = parse_whole_number(
            given["max_response_megabytes"], field="max_response_megabytes", minimum=1
        )
    return Address(
        base_url=base_url,
        token_url=str(given.get("token_url", DEFAULT_TOKEN_URL)).strip(),
        **limits,
    )
