"""The address and the storage options that delta-rs needs for a path, from the Airflow connection of the path.

Airflow passes the connection to fsspec, but delta-rs accesses the storage itself. This module reads the connection in
the same way as the file systems of Airflow's providers, and gives each setting the name that it has in delta-rs.

delta-rs reads an option that is missing from the environment of the worker. So the options include the defaults that
must not change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from airflow_provider_engagement.connections.airflow_connections import extra_of, find_connection, mask
from airflow_provider_engagement.exceptions import InvalidConnectionError, InvalidQueryError, MissingExtraError
from airflow_provider_engagement.http.redaction import presentable
from airflow_provider_engagement.inputs.lists import quoted
from airflow_provider_engagement.storage.paths import StoragePath, local_path
from airflow_provider_engagement.storage.table_options import StorageOptions
from airflow_provider_engagement.storage.user_information import NO_CONNECTION, USE_CONNECTION, holds_secret

if TYPE_CHECKING:
    from airflow.sdk import Connection, ObjectStoragePath

_GLOBAL_S3_ENDPOINT = "https://s3.amazonaws.com"
"""The endpoint that boto3 chooses if it knows no region."""

_SESSION_TOKEN_VARIABLES = ("aws_session_token", "aws_token", "session_token", "token")
"""The environment variables, in any case, that delta-rs reads the session token from."""

_UNSUPPORTED_GOOGLE_FIELDS = (
    "credential_config_file",
    "gcs.requester-pays",
    "idp_issuer_url",
    "impersonation_chain",
    "key_secret_name",
    "quota_project_id",
)

_KEY_FIELDS = ("client_email", "private_key", "private_key_id")
"""The fields of a service account key that delta-rs needs."""


class _Storage(NamedTuple):
    """A storage that delta-rs supports.

    :param scheme: the scheme of its URLs.
    :param package: the provider package that Airflow needs for it.
    :param options: returns its storage options, for the id of a connection and the name of a bucket.
    """

    scheme: str
    package: str
    options: Callable[[str | None, str], dict[str, str]]


def table_address(path: StoragePath) -> tuple[str, dict[str, str]]:
    """Return the address of a table and the storage options for delta-rs.

    The options contain secrets. boto3 renews the temporary credentials of a role, so these are valid for ten minutes or
    more. Request new options for each publication.

    :param path: the folder of the table: local, on S3, on Google Cloud Storage or on Azure Blob Storage.
    :return: an absolute path or a URL, and the storage options by name.
    :raises InvalidQueryError: if delta-rs does not support the path.
    :raises MissingExtraError: if the provider of the storage is not installed.
    :raises InvalidConnectionError: if the connection has a setting that delta-rs does not support, or lacks one.
    """
    local = local_path(path)
    if local is not None:
        return str(local.absolute()), {}
    protocol, address = getattr(path, "protocol", ""), getattr(path, "path", "")
    # The path as text contains the user information of its URL, which can be a password.
    url = f"{protocol}://{address.lstrip('/')}"
    storage = _STORAGES.get(protocol)
    if storage is None:
        problem = f"'{url}' is not a storage that dataset_format delta supports"
        raise InvalidQueryError("dataset_path", problem, _SUPPORTED)
    bucket, _, key = address.partition("/")
    if "%" in key or "//" in key:
        problem = f"'{url}' contains '%' or '//', which dataset_format delta does not support"
        raise InvalidQueryError("dataset_path", problem, "Use another folder.")
    _require_provider(protocol, storage.package, url)
    try:
        options = StorageOptions(storage.options(getattr(path, "conn_id", None), bucket))
    except InvalidConnectionError as error:
        # Some programs show the variables of a failed function, and those of the inner ones hold secrets.
        raise error.with_traceback(None) from None
    mask(options.secrets)
    return f"{storage.scheme}://{bucket}/{quote(key)}", options


def storage_path(path: str, *, field: str) -> ObjectStoragePath:
    """Return a path or URL that the worker can access.

    :param path: the path or URL.
    :param field: the parameter that holds it, for errors.
    :raises InvalidQueryError: if it is not the path or URL of a storage, or can contain a secret.
    :raises MissingExtraError: if the package for the storage is not installed.
    :raises UnknownConnectionError: if the URL names a connection that does not exist.
    """
    from airflow.sdk import ObjectStoragePath

    check_user_information(path, field=field)
    try:
        found = ObjectStoragePath(path)
    except (AttributeError, TypeError, ValueError):
        raise InvalidQueryError(field, f"{quoted(path)} is not a path or the URL of a storage", _SUPPORTED) from None
    if local_path(found) is not None:
        return found
    protocol = found.protocol
    if found.conn_id:
        find_connection(found.conn_id, field=field)
    try:
        # The file system is created with the first access.
        _ = found.fs
    except (ImportError, TypeError, ValueError) as error:
        if isinstance(error, ImportError) or protocol in _STORAGES:
            package = _STORAGES[protocol].package if protocol in _STORAGES else f"fsspec[{protocol}]"
            raise MissingExtraError(f"{field} with {protocol}://", package, presentable(str(error))) from None
        problem = f"'{protocol}://' is not a storage that Airflow can access here"
        raise InvalidQueryError(field, problem, _SUPPORTED) from None
    return found


def check_user_information(path: str, *, field: str) -> None:
    """Refuse a path or URL that can contain a secret: manifests, logs and XComs show paths.

    :param path: the path or URL.
    :param field: the parameter that holds it, for the error, which does not quote it.
    :raises InvalidQueryError: if it can.
    """
    if isinstance(path, str) and holds_secret(path):
        raise InvalidQueryError(field, NO_CONNECTION, USE_CONNECTION)


_SUPPORTED = "Use a local folder, s3, gs or abfs."


def _require_provider(protocol: str, package: str, url: str) -> None:
    from airflow.sdk.io import has_fs

    if not has_fs(protocol):
        raise MissingExtraError(f"dataset_path '{url}'", package, f"no provider has the storage {protocol}")


def _s3_options(conn_id: str | None, bucket: str) -> dict[str, str]:
    """Return the options for S3. The hook and boto3 resolve the credentials, the endpoint and the region."""
    # Without a connection, S3Hook falls back to the credentials of the worker, which may belong to another account.
    _connection(conn_id)
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore import UNSIGNED

    hook = S3Hook(aws_conn_id=conn_id)
    if hook.service_config.get("signer"):
        raise _unsupported(conn_id, "the signer in service_config", "Use keys or a role.")
    session = hook.get_session()
    client = session.client(
        "s3", endpoint_url=hook.conn_config.get_service_endpoint_url("s3"), config=hook.config, verify=hook.verify
    )
    endpoint, config = client.meta.endpoint_url, client.meta.config
    if endpoint == _GLOBAL_S3_ENDPOINT and session.region_name is None:
        raise InvalidConnectionError(
            f"{_source(conn_id)}: region_name is missing. dataset_format delta needs the region of the bucket. "
            "Set region_name in the extra of the connection, or AWS_DEFAULT_REGION on the worker."
        )
    anonymous = config.signature_version is UNSIGNED
    is_virtual = (config.s3 or {}).get("addressing_style") == "virtual"
    proxy = hook.service_config.get("proxy-uri") or (config.proxies or {}).get(urlsplit(endpoint).scheme)
    return {
        "aws_endpoint": endpoint.replace("://", f"://{bucket}.", 1) if is_virtual else endpoint,
        "aws_virtual_hosted_style_request": _flag(is_virtual),
        "aws_allow_http": _flag(endpoint.startswith("http://")),
        "aws_region": client.meta.region_name,
        # The storage rejects the second of two commits of the same version.
        "aws_conditional_put": "etag",
        **({"proxy_url": proxy} if proxy else {}),
        **_certificate_options(os.environ.get("AWS_CA_BUNDLE") if hook.verify is None else hook.verify),
        **_s3_credentials(conn_id, None if anonymous else session.get_credentials()),
    }


def _s3_credentials(conn_id: str | None, credentials: Any) -> dict[str, str]:
    """Return the credentials of a boto3 session, as of now. Without credentials, Airflow sends anonymous requests."""
    if credentials is None:
        return {"aws_skip_signature": "true"}
    frozen = credentials.get_frozen_credentials()
    stray = [name for name in os.environ if name.lower() in _SESSION_TOKEN_VARIABLES]
    if stray and not frozen.token:
        raise InvalidConnectionError(
            f"{_source(conn_id)}: the keys have no session token, but with dataset_format delta the environment "
            f"variable {stray[0]} of the worker would be sent as one. Remove the variable from the worker."
        )
    return {
        "aws_skip_signature": "false",
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        **({"aws_session_token": frozen.token} if frozen.token else {}),
    }


def _certificate_options(verify: bool | str | None) -> dict[str, str]:
    """Return the options for the certificate of a server, from the ``verify`` setting of boto3."""
    if isinstance(verify, str):
        return {"certificate_path": verify}
    return {"allow_invalid_certificates": "true"} if verify is False else {}


def _google_options(conn_id: str | None, bucket: str) -> dict[str, str]:
    """Return the options for Google Cloud Storage. Without a key, delta-rs finds the worker's default credentials."""
    extra = _extra(_connection(conn_id), "google_cloud_platform")
    for name in _UNSUPPORTED_GOOGLE_FIELDS:
        if extra.get(name):
            raise _unsupported(conn_id, name, "Use keyfile_dict, key_path or the worker's default credentials.")
    options = {"google_base_url": extra["gcs.endpoint"]} if "gcs.endpoint" in extra else {}
    if extra.get("is_anonymous"):
        return options | {"google_skip_signature": "true"}
    if "key_path" in extra:
        try:
            key = Path(extra["key_path"]).read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidConnectionError(
                f"{_source(conn_id)}: key_path: '{extra['key_path']}' cannot be read: {error.strerror}. "
                "Check the path on the worker."
            ) from None
        except ValueError:
            raise InvalidConnectionError(
                f"{_source(conn_id)}: key_path: '{extra['key_path']}' is not a text file. Use a key in JSON."
            ) from None
        return options | {"google_service_account_key": _service_account_key(conn_id, "key_path", key)}
    if "keyfile_dict" in extra:
        key = extra["keyfile_dict"]
        return options | {"google_service_account_key": _service_account_key(conn_id, "keyfile_dict", key)}
    return options


def _service_account_key(conn_id: str | None, name: str, key: Any) -> str:
    try:
        fields = json.loads(key) if isinstance(key, str) else key
        return json.dumps({field: fields[field].replace("\\n", "\n") for field in _KEY_FIELDS})
    except (AttributeError, KeyError, TypeError, ValueError):
        # The error can contain the key.
        raise InvalidConnectionError(
            f"{_source(conn_id)}: {name} is not the key of a service account. "
            f"It must be JSON with {', '.join(_KEY_FIELDS)}."
        ) from None


def _azure_options(conn_id: str | None, container: str) -> dict[str, str]:
    """Return the options for Azure Blob Storage."""
    connection = _connection(conn_id)
    extra = _extra(connection, (connection and connection.conn_type) or "azure_data_lake")
    if text := extra.get("connection_string") or os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return _azure_connection_string(conn_id, text)
    account = extra.get("account_name") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise InvalidConnectionError(
            f"{_source(conn_id)}: account_name is missing. Set it in the extra of the connection, or set "
            "AZURE_STORAGE_ACCOUNT_NAME on the worker."
        )
    login, password = (connection.login, connection.password) if connection else (None, None)
    endpoint = {"azure_storage_endpoint": f"https://{extra['account_host']}"} if "account_host" in extra else {}
    return {"azure_storage_account_name": account, **endpoint, **_azure_credentials(extra, login, password)}


def _azure_credentials(extra: Mapping[str, Any], login: str | None, password: str | None) -> dict[str, str]:
    """Return the first credentials of a connection, in the order of adlfs. Without any, the worker has an identity."""
    tenant, settings = extra.get("tenant_id"), extra.get("client_secret_auth_config") or {}
    principal = {}
    if tenant and login and password:
        principal = {"azure_client_id": login, "azure_client_secret": password, "azure_tenant_id": tenant}
        if authority := settings.get("authority"):
            principal["azure_authority_host"] = authority if "://" in authority else f"https://{authority}"
    if settings and principal:
        return principal
    if key := extra.get("account_key") or (None if tenant else password):
        return {"azure_storage_account_key": key}
    if token := extra.get("sas_token"):
        return {"azure_storage_sas_token": token}
    if principal:
        return principal
    if extra.get("anon"):
        return {"azure_skip_signature": "true"}
    # The environment of a pod with a workload identity names the file of its token.
    workload = extra.get("workload_identity_client_id") if "AZURE_FEDERATED_TOKEN_FILE" in os.environ else None
    identity = {
        "azure_client_id": workload or extra.get("managed_identity_client_id"),
        "azure_tenant_id": extra.get("workload_identity_tenant_id"),
    }
    return {name: value for name, value in identity.items() if value}


def _azure_connection_string(conn_id: str | None, text: str) -> dict[str, str]:
    """Return the options for a connection string, as the portal of Azure shows it."""
    fields = {name.strip().lower(): value for name, _, value in (item.partition("=") for item in text.split(";"))}
    endpoint = fields.get("blobendpoint")
    account = fields.get("accountname") or (urlsplit(endpoint).netloc.partition(".")[0] if endpoint else None)
    key, token = fields.get("accountkey"), fields.get("sharedaccesssignature")
    if not account or not (key or token):
        raise InvalidConnectionError(
            f"{_source(conn_id)}: connection_string lacks AccountName, or has neither AccountKey nor "
            "SharedAccessSignature. Copy it from the portal of Azure."
        )
    protocol, suffix = fields.get("defaultendpointsprotocol", "https"), fields.get("endpointsuffix", "core.windows.net")
    endpoint = endpoint or f"{protocol}://{account}.blob.{suffix}"
    return {
        "azure_storage_account_name": account,
        "azure_storage_endpoint": endpoint,
        "azure_allow_http": _flag(endpoint.startswith("http://")),
        **({"azure_storage_account_key": key} if key else {"azure_storage_sas_token": token or ""}),
    }


def _connection(conn_id: str | None) -> Connection | None:
    return find_connection(conn_id, field="the id in the URL") if conn_id else None


def _extra(connection: Connection | None, conn_type: str) -> dict[str, Any]:
    """Return the fields of a connection's extra that have a value, by their names without the prefix of old forms."""
    extra: Mapping[str, Any] = extra_of(connection) if connection else {}
    prefix = f"extra__{conn_type}__"
    old = {name.removeprefix(prefix): value for name, value in extra.items() if name.startswith(prefix)}
    return {name: value for name, value in {**old, **extra}.items() if value not in ("", None)}


def _unsupported(conn_id: str | None, setting: str, remedy: str) -> InvalidConnectionError:
    return InvalidConnectionError(f"{_source(conn_id)}: dataset_format delta does not support {setting}. {remedy}")


def _source(conn_id: str | None) -> str:
    return f"Connection {conn_id}" if conn_id else "The environment of the worker"


def _flag(value: bool) -> str:
    return "true" if value else "false"


_AMAZON = _Storage("s3", "apache-airflow-providers-amazon[s3fs]", _s3_options)
_GOOGLE = _Storage("gs", "apache-airflow-providers-google", _google_options)
_AZURE = _Storage("abfss", "apache-airflow-providers-microsoft-azure", _azure_options)
_STORAGES = {"s3": _AMAZON, "s3a": _AMAZON, "gs": _GOOGLE, "gcs": _GOOGLE, "abfs": _AZURE, "abfss": _AZURE}
