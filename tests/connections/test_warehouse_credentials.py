"""An Airflow connection of each database becomes the settings of dlt's destination, or an error names the field."""

from __future__ import annotations

import json
import traceback

import dlt
import pytest

from airflow_provider_engagement.connections.warehouse_credentials import warehouse_address, warehouse_settings
from airflow_provider_engagement.exceptions import InvalidConnectionError
from airflow_provider_engagement.warehouse.destinations import Warehouse

SECRET = "canary-secret"
KEY = {
    "type": "service_account",
    "project_id": "from-key",
    "private_key": "-----BEGIN-----\\ncanary-secret",
    "private_key_id": "1",
    "client_email": "loader@example.com",
    "token_uri": "https://example.com/token",
}

CONNECTIONS = {
    "postgres": (
        {"conn_type": "postgres", "host": "db", "login": "loader", "password": SECRET, "schema": "mart"}
        | {"extra": {"sslmode": "require", "cursor": "dictcursor"}},
        {
            "credentials": {
                "host": "db",
                "port": 5432,
                "username": "loader",
                "password": SECRET,
                "database": "mart",
                "query": {"sslmode": "require"},
            }
        },
        "host",
    ),
    "redshift": (
        {"conn_type": "redshift", "host": "db", "login": "loader", "password": SECRET, "schema": "mart"},
        {
            "credentials": {
                "host": "db",
                "port": 5439,
                "username": "loader",
                "password": SECRET,
                "database": "mart",
            }
        },
        "password",
    ),
    "snowflake": (
        {"conn_type": "snowflake", "login": "loader", "password": SECRET}
        | {"extra": {"account": "acme", "region": "eu-west-1", "database": "MART", "extra__snowflake__role": "LOADER"}},
        {
            "credentials": {
                "host": "acme.eu-west-1",
                "username": "loader",
                "password": SECRET,
                "database": "MART",
                "role": "LOADER",
            }
        },
        "login",
    ),
    "bigquery": (
        {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": json.dumps(KEY), "project": "mart"}},
        {
            "credentials": {
                "project_id": "mart",
                "private_key": "-----BEGIN-----\ncanary-secret",
                "private_key_id": "1",
                "client_email": "loader@example.com",
                "token_uri": "https://example.com/token",
            },
            "project_id": "mart",
        },
        None,
    ),
    "databricks": (
        {"conn_type": "databricks", "host": "https://acme.cloud", "login": "token", "password": SECRET}
        | {"extra": {"http_path": "/sql/1", "catalog": "main"}},
        {
            "credentials": {
                "server_hostname": "acme.cloud",
                "http_path": "/sql/1",
                "catalog": "main",
                "access_token": SECRET,
            }
        },
        "host",
    ),
    "clickhouse": (
        {"conn_type": "clickhouse", "host": "db", "login": "loader", "password": SECRET, "extra": {"secure": False}},
        {
            "credentials": {
                "host": "db",
                "port": 9440,
                "http_port": 8443,
                "username": "loader",
                "password": SECRET,
                "database": "default",
                "secure": 0,
            }
        },
        "password",
    ),
    "motherduck": (
        {"conn_type": "generic", "password": SECRET, "schema": "mart"},
        {"credentials": {"database": "mart", "password": SECRET}},
        "password",
    ),
}


@pytest.fixture
def connect(monkeypatch):
    def connected(connection) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_MART", json.dumps(connection))
        return "mart"

    return connected


def test_every_database_except_duckdb_has_a_connection() -> None:
    assert set(CONNECTIONS) == set(Warehouse) - {Warehouse.DUCKDB}


@pytest.mark.parametrize("warehouse", CONNECTIONS)
def test_a_connection_becomes_settings(connect, warehouse) -> None:
    connection, expected, _ = CONNECTIONS[warehouse]

    settings, name, secrets = warehouse_settings(connect(connection), warehouse)

    assert settings == expected
    assert name == f"{warehouse}, connection mart"
    assert any(SECRET in secret for secret in secrets)
    assert SECRET not in name


@pytest.mark.parametrize("warehouse", CONNECTIONS)
def test_dlt_knows_every_setting(connect, warehouse) -> None:
    settings, _, _ = warehouse_settings(connect(CONNECTIONS[warehouse][0]), warehouse)
    destination = getattr(dlt.destinations, warehouse)(**settings)
    fields = destination.spec.get_resolvable_fields()
    kinds = fields["credentials"]
    known = set().union(
        *(kind.get_resolvable_fields() for kind in getattr(kinds, "__args__", (kinds,)) if kind is not type(None))
    )

    assert settings["credentials"].keys() <= known
    assert settings.keys() <= fields.keys()


@pytest.mark.parametrize("warehouse", [name for name, (_, _, field) in CONNECTIONS.items() if field])
def test_a_missing_field_is_named_and_not_looked_up_elsewhere(connect, monkeypatch, warehouse) -> None:
    connection, _, field = CONNECTIONS[warehouse]
    monkeypatch.setenv(f"DESTINATION__{warehouse.upper()}__CREDENTIALS__{field.upper()}", "elsewhere")

    with pytest.raises(InvalidConnectionError, match=f"Connection mart: {field} is missing") as raised:
        warehouse_settings(connect({**connection, field: None}), warehouse)

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("warehouse", ["postgres", "redshift", "motherduck"])
def test_a_missing_schema_is_called_the_database_that_it_is(connect, warehouse) -> None:
    connection, _, _ = CONNECTIONS[warehouse]

    with pytest.raises(InvalidConnectionError, match=r"Connection mart: schema \(the database\) is missing"):
        warehouse_settings(connect({**connection, "schema": None}), warehouse)


@pytest.mark.parametrize(
    ("kind", "warehouse", "expected"),
    [
        ("postgres", "snowflake", "snowflake"),
        ("snowflake", "postgres", "postgres"),
        ("databricks", "bigquery", "google_cloud_platform or gcpbigquery"),
        ("snowflake", "redshift", "redshift or postgres"),
    ],
)
def test_a_connection_of_another_database_is_an_error_that_names_both_types(connect, kind, warehouse, expected) -> None:
    connection, _, _ = CONNECTIONS[kind]
    problem = f"Connection mart: its type is {kind}, but the destination {warehouse} needs the type {expected}."

    with pytest.raises(
        InvalidConnectionError, match=f"^{problem} Set warehouse_conn_id to another connection"
    ) as raised:
        warehouse_settings(connect(connection), warehouse)

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "warehouse"), [("postgres", "redshift"), ("generic", "postgres"), ("postgres", "motherduck")]
)
def test_a_connection_of_a_type_that_can_have_the_fields_is_used(connect, kind, warehouse) -> None:
    connection, settings, _ = CONNECTIONS[warehouse]

    found, _, _ = warehouse_settings(connect({**connection, "conn_type": kind}), warehouse)

    assert found == settings


def test_a_key_that_is_no_service_account_is_not_in_the_error(connect) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": f"{SECRET} is no JSON"}}

    with pytest.raises(InvalidConnectionError, match="keyfile_dict is not the key of a service account") as raised:
        warehouse_settings(connect(connection), "bigquery")

    assert SECRET not in str(raised.value)


def test_a_private_key_of_snowflake_is_read_from_its_file(connect, tmp_path) -> None:
    path = tmp_path / "key.p8"
    path.write_text("canary-secret")
    extra = {"account": "acme", "database": "MART", "private_key_file": str(path)}

    settings, _, secrets = warehouse_settings(
        connect({"conn_type": "snowflake", "login": "loader", "password": "passphrase", "extra": extra}), "snowflake"
    )

    assert settings["credentials"]["private_key"] == "canary-secret"
    assert settings["credentials"]["private_key_passphrase"] == "passphrase"
    assert {"canary-secret", "passphrase"} <= set(secrets)


def test_a_file_that_cannot_be_read_is_named(connect) -> None:
    extra = {"account": "acme", "database": "MART", "private_key_file": "/nowhere/key.p8"}

    with pytest.raises(InvalidConnectionError, match=r"private_key_file '/nowhere/key\.p8' cannot be read"):
        warehouse_settings(connect({"conn_type": "snowflake", "login": "loader", "extra": extra}), "snowflake")


@pytest.mark.parametrize(("warehouse", "field"), [("snowflake", "private_key_file"), ("bigquery", "key_path")])
def test_a_key_file_that_is_no_text_is_named_without_its_content(connect, tmp_path, warehouse, field) -> None:
    path = tmp_path / "key.p12"
    path.write_bytes(b"0\x82canary-secret\xff\xfe")
    extra = {"account": "acme", "database": "MART", field: str(path)}

    with pytest.raises(InvalidConnectionError, match=f"Connection mart: {field} '.*' is not a text file") as raised:
        warehouse_settings(connect({**CONNECTIONS[warehouse][0], "extra": extra}), warehouse)

    assert SECRET not in shown(raised.value)


@pytest.mark.parametrize("value", [None, 5, [SECRET], {"a": SECRET}, True])
@pytest.mark.parametrize("field", ["private_key", "client_email"])
def test_a_key_whose_fields_are_no_texts_is_not_in_the_error(connect, field, value) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {**KEY, field: value}}}

    with pytest.raises(InvalidConnectionError, match="keyfile_dict is not the key of a service account") as raised:
        warehouse_settings(connect(connection), "bigquery")

    assert SECRET not in shown(raised.value)


@pytest.mark.parametrize("port", [SECRET, "8443x", [SECRET], -1, 70000, 1.5])
def test_a_port_of_the_extra_that_is_none_is_named(connect, port) -> None:
    connection = {**CONNECTIONS["clickhouse"][0], "extra": {"http_port": port}}

    with pytest.raises(InvalidConnectionError, match="Connection mart: http_port is not a port") as raised:
        warehouse_settings(connect(connection), "clickhouse")

    assert SECRET not in shown(raised.value)


@pytest.mark.parametrize("warehouse", CONNECTIONS)
@pytest.mark.parametrize(
    "changes",
    [
        {"host": f"https://user:{SECRET}@db.example.com/"},
        {"host": f"db.example.com?token={SECRET}"},
        {"schema": f"mart?motherduck_token={SECRET}"},
    ],
)
def test_the_address_in_lineage_has_no_secret(connect, warehouse, changes) -> None:
    address = warehouse_address(connect({**CONNECTIONS[warehouse][0], **changes}), warehouse, None)

    assert SECRET not in "".join(filter(None, address))
    assert address[0].startswith(f"{warehouse}://")
    if "host" in changes:
        assert address[0] == f"{warehouse}://db.example.com"


def shown(error: BaseException) -> str:
    """Return what programs show of an error: its traceback, and the variables of the functions in it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    return "".join([*traceback.format_exception(error), *(repr(frame.f_locals) for frame in frames)])
