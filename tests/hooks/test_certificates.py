"""The certificate of the API is verified, whatever the connection and the environment of the worker say."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from airflow.sdk.exceptions import AirflowFailException
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_engagement.hooks.engagement import EngagementHook


class _Listening(BaseHTTPRequestHandler):
    received: list[str]

    def do_POST(self) -> None:
        self.received.append(self.headers["Authorization"])
        self.send_response(500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def write_certificate(path: Path) -> None:
    """Write a key and a certificate for 127.0.0.1 that nobody but its owner has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that is not the API: its address, and the credentials that it receives."""
    write_certificate(tmp_path / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    received: list[str] = []
    handler = type("Listening", (_Listening,), {"received": received})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("bundle", [None, ""], ids=["no bundle", "an empty bundle"])
@pytest.mark.parametrize("field", ["host", "token_url"])
def test_a_server_with_a_certificate_of_its_own_receives_no_secret(
    monkeypatch: pytest.MonkeyPatch, impostor: tuple[str, list[str]], field: str, bundle: str | None
) -> None:
    address, received = impostor
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False) if bundle is None else monkeypatch.setenv(name, bundle)
    secrets = (
        {"bearer_token": "token"}
        if field == "host"
        else {"api_key": "key", "api_key_secret": "secret", "token_url": f"{address}/oauth2/token"}
    )
    extra = {**secrets, "verify": False, "verify_ssl": "false", "extra_options": {"verify": False}}
    connection = {"conn_type": "engagement", "host": address, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEMENT_DEFAULT", json.dumps(connection))

    with pytest.raises(AirflowFailException, match=f"{address}.* has no valid certificate"):
        list(EngagementHook().totals(["1070059276213702656"], metrics=["favorites"], auth="app"))

    assert received == []
