"""delta-rs accesses a table with the credentials of the Airflow connection that its path names.

The tests of S3 need the Amazon provider. The connections of Google and Azure are read without their providers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import jwt
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.io import has_fs
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from deltalake import DeltaTable

from airflow_provider_engagement.connections.storage_options import storage_path, table_address
from airflow_provider_engagement.exceptions import (
    InvalidConnectionError,
    InvalidQueryError,
    MissingExtraError,
    StorageError,
    UnknownConnectionError,
)
from airflow_provider_engagement.tables.delta_log import storage_errors

KEYS = {"login": "AKIAEXAMPLE", "password": "secret-access-key"}
SIGNED_WITH_KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret-access-key"}
ACCOUNT_KEY = b64encode(b"secret-account-key").decode()
REGION = {"region_name": "eu-west-1"}

needs_amazon = pytest.mark.skipif(
    importlib.util.find_spec("airflow.providers.amazon") is None,
    reason="needs the package apache-airflow-providers-amazon[s3fs]",
)

Connect = Callable[..., None]
Options = Callable[..., dict[str, str]]


@dataclass
class RecordingServer:
    """A storage without objects that records the requests. It also issues the credentials of assumed roles."""

    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    recording = RecordingServer()
    expiration = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assumed = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret-of-role</SecretAccessKey>"
        f"<SessionToken>token-of-role</SessionToken><Expiration>{expiration}</Expiration>"
        "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            recording.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.respond(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.respond(200, assumed)

        def respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        recording.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield recording
        listening.shutdown()


@pytest.fixture(autouse=True)
def worker_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the credentials of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name in ("SESSION_TOKEN", "TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make the connection ``storage`` as users do in the environment."""

    def connected(conn_type: str, *, login: str | None = None, password: str | None = None, **extra: Any) -> None:
        connection = {"conn_type": conn_type, "login": login, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_STORAGE", json.dumps(connection))

    return connected


@pytest.fixture
def installed_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow have a file system for each protocol, as with the provider packages."""
    monkeypatch.setattr("airflow.sdk.io.has_fs", lambda scheme: True)


@pytest.fixture
def aws(connect: Connect) -> Options:
    """Return the options for a bucket on S3, with a connection of these fields."""

    def options(**fields: Any) -> dict[str, str]:
        connect("aws", **fields)
        return table_address(ObjectStoragePath("s3://storage@bucket/table"))[1]

    return options


@pytest.fixture
def google(connect: Connect, installed_providers: None) -> Options:
    """Return the options for a bucket on Google Cloud Storage, with a connection of these extras."""

    def options(**extra: Any) -> dict[str, str]:
        connect("google_cloud_platform", **extra)
        return table_address(ObjectStoragePath("gs://storage@bucket/table"))[1]

    return options


@pytest.fixture
def azure(connect: Connect, installed_providers: None) -> Options:
    """Return the options for a container on Azure, with a connection of these fields."""

    def options(conn_type: str = "azure_data_lake", **fields: Any) -> dict[str, str]:
        connect(conn_type, **fields)
        return table_address(ObjectStoragePath("abfss://storage@container/table"))[1]

    return options


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def key_file(private_key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Return the content of a key file, as Google Cloud issues it."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "id-of-key",
        "private_key": pem,
        "client_email": "airflow@project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


def first_request(server: RecordingServer, path: ObjectStoragePath) -> tuple[str, dict[str, str]]:
    """Return the path and the headers of the first request that delta-rs sends to open a table."""
    address, options = table_address(path)
    with pytest.raises(OSError, match="404"):
        DeltaTable(address, storage_options=options)
    return server.requests[0]


class TestAddress:
    def test_a_local_table_has_its_absolute_path_and_no_options(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        expected = (str(tmp_path / "a b" / "table"), {})
        assert table_address(tmp_path / "a b" / "table") == expected
        assert table_address(Path("a b/table")) == expected
        assert table_address(ObjectStoragePath(f"file://{tmp_path}/a b") / "table") == expected
        assert table_address(ObjectStoragePath("a b/table")) == expected

    @pytest.mark.parametrize(
        ("path", "address"),
        [
            ("gs://storage@bucket/folder/table", "gs://bucket/folder/table"),
            ("gcs://storage@bucket/folder/table", "gs://bucket/folder/table"),
            ("abfs://storage@container/table", "abfss://container/table"),
            ("abfss://storage@container/table", "abfss://container/table"),
            ("gs://storage@bucket/a b#c", "gs://bucket/a%20b%23c"),
        ],
    )
    def test_the_address_has_no_connection_in_it(
        self, connect: Connect, installed_providers: None, path: str, address: str
    ) -> None:
        connect("any", account_name="account")
        assert table_address(ObjectStoragePath(path))[0] == address

    @needs_amazon
    @pytest.mark.parametrize("protocol", ["s3", "s3a"])
    def test_a_table_on_s3_has_the_scheme_s3(self, connect: Connect, protocol: str) -> None:
        connect("aws", **KEYS, **REGION)
        assert table_address(ObjectStoragePath(f"{protocol}://storage@bucket/a/b"))[0] == "s3://bucket/a/b"

    def test_the_connection_can_be_an_argument_of_the_path(self, connect: Connect, installed_providers: None) -> None:
        connect("google_cloud_platform", is_anonymous=True)
        path = ObjectStoragePath("gs://bucket/folder", conn_id="storage") / "table"
        assert table_address(path) == ("gs://bucket/folder/table", {"google_skip_signature": "true"})

    @pytest.mark.parametrize("path", ["memory://folder/table", "az://container/table"])
    def test_another_storage_is_not_supported(self, path: str) -> None:
        with pytest.raises(InvalidQueryError) as caught:
            table_address(ObjectStoragePath(path))
        assert str(caught.value) == (
            f"dataset_path: '{path}' is not a storage that dataset_format delta supports. "
            "Use a local folder, s3, gs or abfs."
        )

    def test_a_password_in_a_url_is_not_in_the_error(self) -> None:
        with pytest.raises(InvalidQueryError) as caught:
            table_address(ObjectStoragePath("memory://user:hidden@folder/table"))
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize("key", ["a%20b", "a//b"])
    def test_a_folder_that_delta_cannot_address_is_an_error(self, installed_providers: None, key: str) -> None:
        with pytest.raises(InvalidQueryError, match="contains '%' or '//'"):
            table_address(ObjectStoragePath(f"gs://bucket/{key}"))

    @pytest.mark.parametrize(
        ("path", "package"),
        [
            ("s3://bucket/table", "apache-airflow-providers-amazon[s3fs]"),
            ("gs://bucket/table", "apache-airflow-providers-google"),
            ("abfs://container/table", "apache-airflow-providers-microsoft-azure"),
        ],
    )
    def test_a_missing_provider_is_named(self, monkeypatch: pytest.MonkeyPatch, path: str, package: str) -> None:
        monkeypatch.setattr("airflow.sdk.io.has_fs", lambda scheme: False)
        with pytest.raises(MissingExtraError) as caught:
            table_address(ObjectStoragePath(path))
        assert f"pip install '{package}'" in str(caught.value)


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfss"])
def test_a_connection_that_cannot_be_looked_up_is_not_replaced_by_the_credentials_of_the_worker(
    monkeypatch: pytest.MonkeyPatch, installed_providers: None, scheme: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(UnknownConnectionError, match="Connection gone does not exist"):
        table_address(ObjectStoragePath(f"{scheme}://gone@bucket/table"))


@needs_amazon
class TestS3:
    def test_delta_signs_its_requests_with_the_keys(self, connect: Connect, server: RecordingServer) -> None:
        connect("aws", **KEYS, **REGION, endpoint_url=server.url)
        path, headers = first_request(server, ObjectStoragePath("s3://storage@bucket/folder/table"))
        assert path.startswith("/bucket")
        assert "Credential=AKIAEXAMPLE/" in headers["authorization"]
        assert "/eu-west-1/s3/" in headers["authorization"]
        assert "x-amz-security-token" not in headers

    def test_delta_sends_the_session_token(self, connect: Connect, server: RecordingServer) -> None:
        connect("aws", **KEYS, **REGION, endpoint_url=server.url, aws_session_token="session-token")
        _, headers = first_request(server, ObjectStoragePath("s3://storage@bucket/table"))
        assert headers["x-amz-security-token"] == "session-token"

    def test_delta_signs_its_requests_as_the_assumed_role(self, connect: Connect, server: RecordingServer) -> None:
        connect(
            "aws",
            **KEYS,
            **REGION,
            endpoint_url=server.url,
            role_arn="arn:aws:iam::123456789012:role/tables",
            service_config={"sts": {"endpoint_url": server.url}},
        )
        _, headers = first_request(server, ObjectStoragePath("s3://storage@bucket/table"))
        assert "Credential=ASIAROLE/" in headers["authorization"]
        assert headers["x-amz-security-token"] == "token-of-role"

    def test_delta_sends_anonymous_requests_without_credentials(
        self, connect: Connect, server: RecordingServer
    ) -> None:
        connect("aws", **REGION, endpoint_url=server.url)
        _, headers = first_request(server, ObjectStoragePath("s3://storage@bucket/table"))
        assert "authorization" not in headers

    def test_an_unsigned_connection_sends_anonymous_requests(self, aws: Options) -> None:
        options = aws(**KEYS, **REGION, config_kwargs={"signature_version": "unsigned"})
        assert options["aws_skip_signature"] == "true"
        assert "aws_access_key_id" not in options

    def test_a_path_without_connection_uses_the_credentials_of_the_worker(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", **KEYS}))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWORKER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-worker")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        options = table_address(ObjectStoragePath("s3://bucket/table"))[1]
        assert (options["aws_access_key_id"], options["aws_region"]) == ("AKIAWORKER", "eu-north-1")

    def test_a_profile_is_read_from_the_files_of_the_worker(
        self, aws: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "credentials"
        file.write_text("[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = secret-of-team\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        assert aws(**REGION, profile_name="team")["aws_access_key_id"] == "AKIATEAM"

    def test_every_option_that_the_environment_could_change_is_set(self, aws: Options) -> None:
        assert aws(**KEYS, **REGION) == {
            **SIGNED_WITH_KEYS,
            "aws_endpoint": "https://s3.eu-west-1.amazonaws.com",
            "aws_region": "eu-west-1",
            "aws_virtual_hosted_style_request": "false",
            "aws_allow_http": "false",
            "aws_skip_signature": "false",
            "aws_conditional_put": "etag",
        }

    def test_the_endpoint_of_the_service_wins(self, aws: Options) -> None:
        service_config = {"s3": {"endpoint_url": "http://minio:9000"}}
        options = aws(**KEYS, endpoint_url="https://elsewhere", service_config=service_config)
        assert (options["aws_endpoint"], options["aws_allow_http"]) == ("http://minio:9000", "true")

    def test_a_region_of_another_partition_has_its_own_endpoint(self, aws: Options) -> None:
        assert aws(**KEYS, region_name="cn-north-1")["aws_endpoint"] == "https://s3.cn-north-1.amazonaws.com.cn"

    def test_the_bucket_is_in_the_host_if_the_connection_requires_it(self, aws: Options) -> None:
        config = {"s3": {"addressing_style": "virtual"}}
        options = aws(**KEYS, **REGION, endpoint_url="https://storage.example.com:9000", config_kwargs=config)
        assert options["aws_endpoint"] == "https://bucket.storage.example.com:9000"
        assert options["aws_virtual_hosted_style_request"] == "true"

    def test_without_a_region_the_bucket_cannot_be_found(self, aws: Options) -> None:
        with pytest.raises(InvalidConnectionError, match="Connection storage: region_name is missing"):
            aws(**KEYS)

    def test_a_server_of_the_s3_api_needs_no_region(self, aws: Options) -> None:
        assert aws(**KEYS, endpoint_url="http://minio:9000")["aws_region"] == "us-east-1"

    @pytest.mark.parametrize(
        ("verify", "expected"),
        [
            (False, {"allow_invalid_certificates": "true"}),
            ("/etc/ca.pem", {"certificate_path": "/etc/ca.pem"}),
            (True, {}),
        ],
    )
    def test_the_certificate_is_verified_as_the_connection_says(
        self, aws: Options, verify: bool | str, expected: dict[str, str]
    ) -> None:
        options = aws(**KEYS, **REGION, verify=verify)
        names = ("allow_invalid_certificates", "certificate_path")
        assert {name: options[name] for name in names if name in options} == expected

    def test_the_certificates_of_the_worker_are_trusted(self, aws: Options, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ca.pem")
        assert aws(**KEYS, **REGION)["certificate_path"] == "/etc/ca.pem"

    @pytest.mark.parametrize(
        "extra",
        [
            {"service_config": {"s3": {"proxy-uri": "http://proxy:3128"}}},
            {"config_kwargs": {"proxies": {"https": "http://proxy:3128"}}},
        ],
    )
    def test_the_proxy_is_used(self, aws: Options, extra: dict[str, Any]) -> None:
        assert aws(**KEYS, **REGION, **extra)["proxy_url"] == "http://proxy:3128"

    def test_a_signer_is_not_supported(self, aws: Options) -> None:
        signer = {"signer": "S3V4RestSigner", "signer_uri": "https://signer", "signer_token": "hidden"}
        with pytest.raises(InvalidConnectionError) as caught:
            aws(**KEYS, **REGION, service_config={"s3": signer})
        assert str(caught.value) == (
            "Connection storage: dataset_format delta does not support the signer in service_config. "
            "Use keys or a role."
        )

    @pytest.mark.parametrize("variable", ["AWS_SESSION_TOKEN", "TOKEN"])
    def test_a_session_token_of_the_worker_is_not_mixed_with_the_keys(
        self, aws: Options, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "hidden")
        with pytest.raises(InvalidConnectionError) as caught:
            aws(**KEYS, **REGION)
        assert f"variable {variable} of the worker" in str(caught.value)
        assert "hidden" not in str(caught.value)


class TestGoogle:
    def test_delta_signs_its_token_with_the_key(
        self,
        connect: Connect,
        installed_providers: None,
        server: RecordingServer,
        private_key: rsa.RSAPrivateKey,
        key_file: dict[str, str],
    ) -> None:
        connect("google_cloud_platform", keyfile_dict=json.dumps(key_file), **{"gcs.endpoint": server.url})
        path, headers = first_request(server, ObjectStoragePath("gs://storage@bucket/table"))
        assert path.startswith("/bucket")
        token = headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, private_key.public_key(), algorithms=["RS256"])
        assert claims["iss"] == key_file["client_email"]

    def test_an_anonymous_connection_sends_no_token(
        self, connect: Connect, installed_providers: None, server: RecordingServer
    ) -> None:
        connect("google_cloud_platform", is_anonymous=True, **{"gcs.endpoint": server.url})
        _, headers = first_request(server, ObjectStoragePath("gs://storage@bucket/table"))
        assert "authorization" not in headers

    def test_a_key_is_the_same_in_a_file_and_in_every_form_of_the_connection(
        self, google: Options, key_file: dict[str, str], tmp_path: Path
    ) -> None:
        file = tmp_path / "key.json"
        file.write_text(json.dumps(key_file))
        expected = {name: key_file[name] for name in ("client_email", "private_key", "private_key_id")}
        escaped = {**key_file, "private_key": key_file["private_key"].replace("\n", "\\n")}
        for extra in (
            {"key_path": str(file)},
            {"keyfile_dict": key_file},
            {"keyfile_dict": json.dumps(key_file)},
            {"keyfile_dict": json.dumps(escaped)},
            {"extra__google_cloud_platform__keyfile_dict": json.dumps(key_file)},
        ):
            options = google(**extra)
            assert list(options) == ["google_service_account_key"]
            assert json.loads(options["google_service_account_key"]) == expected

    def test_without_a_key_delta_finds_the_credentials_of_the_worker(self, google: Options) -> None:
        assert google(project="project", keyfile_dict="", scope="") == {}
        assert table_address(ObjectStoragePath("gs://bucket/table"))[1] == {}

    @pytest.mark.parametrize(
        "name",
        [
            "credential_config_file",
            "gcs.requester-pays",
            "idp_issuer_url",
            "impersonation_chain",
            "key_secret_name",
            "quota_project_id",
        ],
    )
    @pytest.mark.parametrize("prefix", ["", "extra__google_cloud_platform__"])
    def test_a_setting_that_delta_does_not_have_is_an_error(self, google: Options, prefix: str, name: str) -> None:
        with pytest.raises(InvalidConnectionError) as caught:
            google(**{f"{prefix}{name}": "value"})
        assert str(caught.value) == (
            f"Connection storage: dataset_format delta does not support {name}. "
            "Use keyfile_dict, key_path or the worker's default credentials."
        )

    @pytest.mark.parametrize(
        "key", ['{"private_key": "hidden"', '{"private_key": "hidden"}', '["hidden"]', {"private_key": ["hidden"]}]
    )
    def test_a_key_that_cannot_be_read_is_not_in_the_error(self, google: Options, key: Any) -> None:
        with pytest.raises(InvalidConnectionError, match="keyfile_dict is not the key of a service account") as caught:
            google(keyfile_dict=key)
        assert "hidden" not in str(caught.value)

    def test_a_key_file_that_is_no_text_is_named_without_its_content(self, google: Options, tmp_path: Path) -> None:
        file = tmp_path / "key.p12"
        file.write_bytes(b"0\x82hidden\xff\xfe")
        with pytest.raises(InvalidConnectionError, match=r"key_path: '.*/key\.p12' is not a text file") as caught:
            google(key_path=str(file))
        assert "hidden" not in "".join(traceback.format_exception(caught.value))

    def test_airflow_masks_the_private_key_without_the_rest_of_the_key(
        self, google: Options, key_file: dict[str, str]
    ) -> None:
        google(keyfile_dict=json.dumps(key_file))
        assert redact(f"The key {key_file['private_key']} is not valid.") == "The key *** is not valid."

    def test_a_missing_key_file_is_named(self, google: Options, tmp_path: Path) -> None:
        with pytest.raises(InvalidConnectionError, match=r"key_path: '.*/no\.json' cannot be read: No such file"):
            google(key_path=str(tmp_path / "no.json"))


class TestAzure:
    def test_delta_signs_its_requests_with_the_account_key(
        self, connect: Connect, installed_providers: None, server: RecordingServer
    ) -> None:
        connection_string = f"BlobEndpoint={server.url}/account;AccountName=account;AccountKey={ACCOUNT_KEY}"
        connect("wasb", connection_string=connection_string)
        path, headers = first_request(server, ObjectStoragePath("abfs://storage@container/table"))
        assert path.startswith("/account/container")
        assert headers["authorization"].startswith("SharedKey account:")

    def test_delta_sends_the_shared_access_signature(
        self, connect: Connect, installed_providers: None, server: RecordingServer
    ) -> None:
        connection_string = (
            f"BlobEndpoint={server.url}/account;AccountName=account;SharedAccessSignature=sv=1&sig=a%2Bb"
        )
        connect("wasb", connection_string=connection_string)
        path, headers = first_request(server, ObjectStoragePath("abfs://storage@container/table"))
        assert parse_qs(urlsplit(path).query)["sig"] == ["a+b"]
        assert "authorization" not in headers

    @pytest.mark.parametrize(
        ("text", "endpoint"),
        [
            (
                "DefaultEndpointsProtocol=https;AccountName=account;AccountKey={};EndpointSuffix=core.chinacloudapi.cn",
                "https://account.blob.core.chinacloudapi.cn",
            ),
            ("AccountName=account;AccountKey={};", "https://account.blob.core.windows.net"),
            ("BlobEndpoint=https://account.blob.example.com/;AccountKey={}", "https://account.blob.example.com/"),
        ],
    )
    def test_a_connection_string_overrides_all_other_fields(self, azure: Options, text: str, endpoint: str) -> None:
        options = azure(connection_string=text.format(ACCOUNT_KEY), account_name="other", sas_token="sv=1&sig=other")
        assert options == {
            "azure_storage_account_name": "account",
            "azure_storage_account_key": ACCOUNT_KEY,
            "azure_storage_endpoint": endpoint,
            "azure_allow_http": "false",
        }

    @pytest.mark.parametrize("text", ["AccountName=account", "AccountKey=hidden", "UseDevelopmentStorage=true"])
    def test_an_incomplete_connection_string_is_not_in_the_error(self, azure: Options, text: str) -> None:
        with pytest.raises(InvalidConnectionError, match="Connection storage: connection_string lacks") as caught:
            azure(connection_string=text)
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize(
        ("fields", "credentials"),
        [
            ({"password": ACCOUNT_KEY}, {"azure_storage_account_key": ACCOUNT_KEY}),
            ({"password": "other", "account_key": ACCOUNT_KEY}, {"azure_storage_account_key": ACCOUNT_KEY}),
            ({"sas_token": "?sv=1&sig=a"}, {"azure_storage_sas_token": "?sv=1&sig=a"}),
            (
                {"account_key": ACCOUNT_KEY, "sas_token": "?sv=1&sig=a"},
                {"azure_storage_account_key": ACCOUNT_KEY},
            ),
            (
                {"login": "client", "password": "secret", "tenant_id": "tenant"},
                {"azure_client_id": "client", "azure_client_secret": "secret", "azure_tenant_id": "tenant"},
            ),
            (
                {
                    "login": "client",
                    "password": "secret",
                    "tenant_id": "tenant",
                    "account_key": ACCOUNT_KEY,
                    "client_secret_auth_config": {"authority": "login.chinacloudapi.cn"},
                },
                {
                    "azure_client_id": "client",
                    "azure_client_secret": "secret",
                    "azure_tenant_id": "tenant",
                    "azure_authority_host": "https://login.chinacloudapi.cn",
                },
            ),
            ({"anon": True}, {"azure_skip_signature": "true"}),
            ({"managed_identity_client_id": "client"}, {"azure_client_id": "client"}),
            ({}, {}),
        ],
    )
    def test_each_kind_of_credentials_has_its_options(
        self, azure: Options, fields: dict[str, Any], credentials: dict[str, str]
    ) -> None:
        assert azure(account_name="account", **fields) == {"azure_storage_account_name": "account", **credentials}

    @pytest.mark.parametrize("conn_type", ["adls", "azure_data_lake", "wasb"])
    def test_the_fields_of_old_forms_have_a_prefix(self, azure: Options, conn_type: str) -> None:
        extra = {f"extra__{conn_type}__account_name": "account", f"extra__{conn_type}__sas_token": "?sv=1&sig=a"}
        assert azure(conn_type, **extra) == {
            "azure_storage_account_name": "account",
            "azure_storage_sas_token": "?sv=1&sig=a",
        }

    def test_a_pod_uses_its_workload_identity(self, azure: Options, monkeypatch: pytest.MonkeyPatch) -> None:
        identities = {
            "account_name": "account",
            "managed_identity_client_id": "machine",
            "workload_identity_client_id": "pod",
            "workload_identity_tenant_id": "tenant",
        }
        assert azure(**identities)["azure_client_id"] == "machine"
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/token")
        options = azure(**identities)
        assert (options["azure_client_id"], options["azure_tenant_id"]) == ("pod", "tenant")

    def test_the_host_of_the_account_is_its_endpoint(self, azure: Options) -> None:
        options = azure(account_name="account", account_host="account.blob.core.usgovcloudapi.net")
        assert options["azure_storage_endpoint"] == "https://account.blob.core.usgovcloudapi.net"

    def test_the_account_is_required(self, azure: Options) -> None:
        with pytest.raises(InvalidConnectionError, match="Connection storage: account_name is missing"):
            azure(login="account", password=ACCOUNT_KEY)

    def test_a_path_without_connection_uses_the_environment_of_the_worker(
        self, installed_providers: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        path = ObjectStoragePath("abfs://container/table")
        assert table_address(path)[1] == {"azure_storage_account_name": "account"}
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=other;AccountKey={ACCOUNT_KEY}")
        assert table_address(path)[1]["azure_storage_account_name"] == "other"


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("store", ["account key", "signature", "service account"])
def test_no_error_of_a_storage_shows_a_secret_of_its_connection_even_if_the_storage_returns_it(
    store: str, status: int, connect: Connect, installed_providers: None, key_file: dict[str, str]
) -> None:
    line_of_key = key_file["private_key"].splitlines()[3]
    secret = {"account key": ACCOUNT_KEY, "signature": "canary+sesame/=", "service account": line_of_key}[store]
    authorizations: list[str] = []

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorizations.append(self.headers.get("Authorization", "").partition(" ")[2])
            shown = [secret, quote(secret, safe=""), self.headers.get("Authorization", ""), unquote(self.path)]
            body = " and ".join(shown if status == 403 else reversed(shown)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.server_address[1]}"
        if store == "service account":
            connect("google_cloud_platform", keyfile_dict=key_file, **{"gcs.endpoint": url})
        else:
            field = {"account key": f"AccountKey={secret}"}.get(
                store, f"SharedAccessSignature=sv=1&sig={quote(secret)}"
            )
            connect("wasb", connection_string=f"BlobEndpoint={url}/account;AccountName=account;{field}")
        scheme = "gs" if store == "service account" else "abfs"
        address, options = table_address(ObjectStoragePath(f"{scheme}://storage@bucket/table"))
        with pytest.raises(StorageError) as caught, storage_errors(address, options):
            DeltaTable(address, storage_options={**options, "max_retries": "0"})
        listening.shutdown()

    assert authorizations
    shown = "".join(traceback.format_exception(caught.value)) + repr(options)
    assert not any(form in shown for form in (secret, quote(secret), quote(secret, safe=""), "\x1b", "[31m"))
    if store == "service account":
        assert not any(token in shown for token in authorizations)


def test_airflow_masks_the_secrets_of_the_options_in_logs(azure: Options) -> None:
    azure(connection_string=f"AccountName=account;AccountKey={ACCOUNT_KEY}")
    assert redact(f"The storage rejected {ACCOUNT_KEY}.") == "The storage rejected ***."


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("s3://bucket/folder", "apache-airflow-providers-amazon[s3fs]"),
        ("gs://bucket/folder", "apache-airflow-providers-google"),
        ("abfs://container/folder", "apache-airflow-providers-microsoft-azure"),
    ],
)
def test_a_storage_whose_package_is_not_installed_is_named_with_what_to_install(path: str, package: str) -> None:
    scheme = path.partition(":")[0]
    if has_fs(scheme):
        pytest.skip("the package is installed")
    with pytest.raises(MissingExtraError) as caught:
        storage_path(path, field="dataset_path")
    assert f"dataset_path with {scheme}://" in str(caught.value)
    assert f"pip install '{package}'" in str(caught.value)


@pytest.mark.parametrize("path", ["foo://bucket/folder", "github://folder", 7, None])
def test_a_path_of_no_storage_is_an_error_that_names_the_parameter(path: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"^dataset_path: .*Use a local folder, s3, gs or abfs"):
        storage_path(path, field="dataset_path")


def test_a_url_with_the_id_of_no_connection_is_an_error() -> None:
    with pytest.raises(UnknownConnectionError, match=r"Connection gone does not exist.* correct dataset_path"):
        storage_path("s3://gone@bucket/folder", field="dataset_path")


def test_a_local_path_needs_no_package(tmp_path: Path) -> None:
    assert str(storage_path(str(tmp_path), field="dataset_path")) == str(tmp_path)


@pytest.mark.parametrize("path", ["s3://key:canary@bucket/x", "s3://key:canary/+@bucket/x", "s3:/key:canary@bucket/x"])
def test_a_url_with_a_secret_is_refused_without_showing_it(path: str) -> None:
    with pytest.raises(InvalidQueryError, match=r"dataset_path: .*Keep secrets in an Airflow connection") as caught:
        storage_path(path, field="dataset_path")
    assert "canary" not in "".join(traceback.format_exception(caught.value))
