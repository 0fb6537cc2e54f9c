"""The settings of dlt's destinations, from an Airflow connection of the database's own provider.

A connection has the fields that the form of Airflow's provider for the database asks for, so you can use one that you
have already. Everything that dlt would otherwise look up elsewhere is set here, or is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_engagement.connections.airflow_connections import extra_of, find_connection, mask
from airflow_provider_engagement.exceptions import InvalidConnectionError

if TYPE_CHECKING:
    from airflow.sdk import Connection

FIELD = "warehouse_conn_id"
"""The parameter of the operator that names the connection."""

_POSTGRES_OPTIONS = ("sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "options", "keepalives_idle")
"""The fields of the extra that are passed on to PostgreSQL and Redshift."""

_FIELD_NAMES: Mapping[str, str] = MappingProxyType({"schema": "schema (the database)"})
"""How messages call a field whose name has another meaning in the operator."""

_CONNECTION_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "postgres": ("postgres",),
        "redshift": ("redshift", "postgres"),
        "snowflake": ("snowflake",),
        "bigquery": ("google_cloud_platform", "gcpbigquery"),
        "databricks": ("databricks",),
    }
)
"""The types of connection that Airflow's providers have for a database. MotherDuck and ClickHouse have none."""

_SECRET_FIELDS = (
    "password",
    "token",
    "access_token",
    "private_key",
    "private_key_passphrase",
    "client_secret",
    "sslpassword",
)


def warehouse_settings(conn_id: str, warehouse: str) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    """Return the parameters of dlt's destination for a connection.

    :param conn_id: the id of the connection.
    :param warehouse: the kind of the database, such as ``postgres``.
    :return: the parameters, the name of the database in messages, and the texts that messages must not contain.
    :raises InvalidConnectionError: if the connection lacks a field, or is for another kind of database.
    """
    try:
        settings = _read_settings(conn_id, warehouse)
    except InvalidConnectionError as error:
        # Some programs show the variables of a failed function, and those of the inner ones hold secrets.
        raise error.with_traceback(None) from None
    credentials = settings["credentials"]
    fields = {**credentials, **credentials.get("query", {})}
    secrets = tuple(str(fields[name]) for name in _SECRET_FIELDS if fields.get(name))
    mask(secrets)
    return settings, f"{warehouse}, connection {conn_id}", secrets


def warehouse_address(conn_id: str | None, warehouse: str, path: str | None) -> tuple[str, str | None]:
    """Return the address of a database for OpenLineage, without credentials, and the name of the database.

    :param conn_id: the id of the connection; ``None`` for a DuckDB file.
    :param warehouse: the kind of the database, such as ``postgres``.
    :param path: the path of the DuckDB file.
    """
    if conn_id is None:
        return f"duckdb:{Path(str(path).removeprefix('file://')).absolute()}", None
    connection = find_connection(conn_id, field=FIELD)
    host = _plain(connection.host) or extra_of(connection).get("account") or conn_id
    port = f":{connection.port}" if connection.port else ""
    return f"{warehouse}://{host}{port}", _plain(connection.schema) or None


def _plain(name: str | None) -> str:
    """Return a name without what a URL can have around it: its scheme, user information, path and query."""
    without_query = (name or "").partition("?")[0]
    return without_query.rpartition("@")[2].rpartition("://")[2].partition("/")[0]


def _read_settings(conn_id: str, warehouse: str) -> dict[str, Any]:
    connection = find_connection(conn_id, field=FIELD)
    _check_type(connection, warehouse)
    return _SETTINGS[warehouse](_Fields(connection))


def _check_type(connection: Connection, warehouse: str) -> None:
    """Refuse a connection whose type is that of another database. Other types, such as ``generic``, are accepted."""
    kind, expected = str(connection.conn_type), _CONNECTION_TYPES.get(warehouse)
    if expected and kind not in expected and any(kind in kinds for kinds in _CONNECTION_TYPES.values()):
        raise InvalidConnectionError(
            f"Connection {connection.conn_id}: its type is {kind}, but the destination {warehouse} needs the type "
            f"{' or '.join(expected)}. Set warehouse_conn_id to another connection, or change the destination."
        )


class _Fields:
    """The fields of a connection, and errors that name them."""

    def __init__(self, connection: Connection) -> None:
        self.conn_id = str(connection.conn_id)
        self.connection = connection
        kind = str(connection.conn_type)
        prefix = f"extra__{kind}__"
        found = extra_of(connection)
        self._extra = {name.removeprefix(prefix): value for name, value in found.items() if value not in ("", None)}

    def option(self, *names: str) -> Any:
        """Return the first field of the extra that has a value."""
        return next((self._extra[name] for name in names if name in self._extra), None)

    def require(self, **values: Any) -> None:
        """Refuse a connection that lacks a field. The keywords are the names of the fields."""
        for name, value in values.items():
            if value in (None, ""):
                raise InvalidConnectionError(
                    f"Connection {self.conn_id}: {_FIELD_NAMES.get(name, name)} is missing. Set it in the "
                    "connection. It is not looked up anywhere else."
                )

    def error(self, field: str, problem: str) -> InvalidConnectionError:
        return InvalidConnectionError(f"Connection {self.conn_id}: {field} {problem}.")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _postgres(fields: _Fields, *, port: int = 5432) -> dict[str, Any]:
    found = fields.connection
    fields.require(host=found.host, login=found.login, schema=found.schema)
    options = {name: str(fields.option(name)) for name in _POSTGRES_OPTIONS if fields.option(name)}
    credentials = {
        "host": found.host,
        "port": found.port or port,
        "username": found.login,
        # Without a password, PostgreSQL can trust the address. dlt requires the field.
        "password": found.password or "",
        "database": found.schema,
    }
    return {"credentials": credentials | ({"query": options} if options else {})}


def _redshift(fields: _Fields) -> dict[str, Any]:
    fields.require(password=fields.connection.password)
    return _postgres(fields, port=5439)


def _snowflake(fields: _Fields) -> dict[str, Any]:
    found = fields.connection
    account, database = fields.option("account"), fields.option("database")
    private_key = fields.option("private_key_content")
    if path := fields.option("private_key_file"):
        private_key = _read(fields, "private_key_file", path)
    fields.require(login=found.login, account=account, database=database)
    if not private_key:
        fields.require(password=found.password)
    region = fields.option("region")
    key = {"private_key": private_key, "private_key_passphrase": found.password} if private_key else {}
    credentials = _given(
        host=f"{account}.{region}" if region else account,
        username=found.login,
        database=database,
        warehouse=fields.option("warehouse"),
        role=fields.option("role"),
        authenticator=fields.option("authenticator"),
        **(key or {"password": found.password}),
    )
    return {"credentials": credentials}


def _bigquery(fields: _Fields) -> dict[str, Any]:
    key = fields.option("keyfile_dict")
    if path := fields.option("key_path"):
        key = _read(fields, "key_path", path)
    fields.require(keyfile_dict=key)
    try:
        content = json.loads(key) if isinstance(key, str) else dict(key)
        names = ("project_id", "private_key", "private_key_id", "client_email", "token_uri")
        credentials = {name: str(content[name]) for name in names if name in content}
        if not all(isinstance(content[name], str) for name in ("private_key", "client_email")):
            raise TypeError
        credentials["private_key"] = credentials["private_key"].replace("\\n", "\n")
    except (KeyError, TypeError, ValueError):
        # The error can contain the key.
        raise fields.error("keyfile_dict", "is not the key of a service account") from None
    project = fields.option("project") or content.get("project_id")
    fields.require(project=project, client_email=credentials.get("client_email"))
    return {
        "credentials": credentials | {"project_id": project},
        "project_id": project,
        **_given(location=fields.option("location")),
    }


def _databricks(fields: _Fields) -> dict[str, Any]:
    found = fields.connection
    catalog, http_path = fields.option("catalog"), fields.option("http_path")
    token = fields.option("token") or (found.password if found.login in (None, "", "token") else None)
    principal = _given(client_id=found.login, client_secret=found.password) if not token else {}
    fields.require(host=found.host, http_path=http_path, catalog=catalog)
    if "client_secret" not in principal:
        fields.require(token=token)
    credentials = _given(
        server_hostname=str(found.host).removeprefix("https://"),
        http_path=http_path,
        catalog=catalog,
        access_token=token,
        **principal,
    )
    return {"credentials": credentials}


def _clickhouse(fields: _Fields) -> dict[str, Any]:
    found = fields.connection
    fields.require(host=found.host, login=found.login, password=found.password)
    secure = fields.option("secure")
    credentials = _given(
        host=found.host,
        port=found.port or 9440,
        http_port=_port(fields, "http_port") or 8443,
        username=found.login,
        password=found.password,
        database=found.schema or "default",
        secure=1 if secure is None else int(str(secure).lower() in ("1", "true")),
    )
    credentials["secure"] = credentials.get("secure", 0)
    return {"credentials": credentials}


def _motherduck(fields: _Fields) -> dict[str, Any]:
    found = fields.connection
    token, database = found.password or fields.option("token"), found.schema or fields.option("database")
    fields.require(password=token, schema=database)
    return {"credentials": {"database": database, "password": token}}


def _read(fields: _Fields, name: str, path: object) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8")
    except OSError as error:
        raise fields.error(name, f"'{path}' cannot be read: {error.strerror}") from None
    except ValueError:
        raise fields.error(name, f"'{path}' is not a text file") from None


def _port(fields: _Fields, name: str) -> int | None:
    text = str(fields.option(name) or 0)
    if not text.isdecimal() or int(text[:6]) >= 2**16:
        raise fields.error(name, "is not a port")
    return int(text) or None


_SETTINGS: Mapping[str, Callable[[_Fields], dict[str, Any]]] = MappingProxyType(
    {
        "postgres": _postgres,
        "redshift": _redshift,
        "snowflake": _snowflake,
        "bigquery": _bigquery,
        "databricks": _databricks,
        "clickhouse": _clickhouse,
        "motherduck": _motherduck,
    }
)
"""How each kind of database reads a connection."""
